"""Results near their limits: a batch of commits must neither exceed MariaDB's max_allowed_packet nor delay heartbeats, and the results
of a for_each must not grow beyond the limit of a result."""
import json
import os
import signal

import pytest

from stack import suspend

SETTINGS = {"executor.processes": "1"}
SIZE = 250_000


@pytest.fixture(scope="module", autouse=True)
def small_packets(stack):
    """Sets max_allowed_packet to the default of the server. A restarted executor has connections with that value."""
    stack.sql("SET GLOBAL max_allowed_packet = 16777216")
    stack.restart_server("executor")


@pytest.mark.serial
def test_large_results_of_concurrent_runs_are_committed(stack, workspace, client, effects):
    """Eight runs write 4 MB each. In one transaction with one bulk insert, MariaDB would reject them forever."""
    effects.answer("/large", body={"x": "a" * SIZE})
    release = effects.hold("/large")
    steps = [{"name": "get", "type": "http", "request": {"method": "GET", "url": effects.url + "/large"}}]
    steps += [{"name": f"copy-{i}", "type": "transform", "value": "${/steps/get/result/body/x}"} for i in range(15)]
    workflow = workspace.put_workflow({"steps": steps, "outputs": {"n": 1}})
    ids = [client.started(workflow) for _ in range(8)]
    effects.wait_for("/large", 8)
    mariadb = stack.pid("mariadb")
    suspend(mariadb)  # so that the commits accumulate
    release()
    signal.sigtimedwait([], 1)
    os.kill(mariadb, signal.SIGCONT)
    for id in ids:
        assert client.finished(id, 40)["status"] == "success"
    lengths = stack.sql("SELECT DISTINCT LENGTH(result) FROM execution_steps WHERE step > 0")
    assert lengths == [[str(SIZE + 2)]]
    assert int(stack.sql_one("SELECT COUNT(*) FROM execution_steps")) == 8 * 16
    assert "executor.fenced" not in stack.log("executor") and "packet" not in stack.log("executor")


def test_for_each_fails_once_its_results_exceed_the_limit(stack, workspace, client, effects):
    """It fails after the second of 500 items, because the limit is exceeded then."""
    effects.answer("/item", body={"x": "a" * 150_000})
    program = {"inputs": {"type": "object"}, "steps": [
        {"name": "loop", "type": "http", "for_each": "${/inputs/list}", "request": {"method": "GET", "url": effects.url + "/item"}}]}
    workflow = workspace.put_workflow(program)
    run = client.finished(client.started(workflow, {"list": list(range(500))}))
    assert run["status"] == "failed" and "256 KiB" in run["error"], json.dumps(run)[:500]
    assert effects.count("/item") == 2


def test_for_each_without_side_effects_fails_at_the_same_limit(workspace, client):
    program = {"inputs": {"type": "object"}, "steps": [
        {"name": "loop", "type": "transform", "for_each": "${/inputs/list}", "value": "${/inputs/text}"}]}
    workflow = workspace.put_workflow(program)
    run = client.finished(client.started(workflow, {"list": list(range(9000)), "text": "a" * 100_000}))
    assert run["status"] == "failed" and "256 KiB" in run["error"]
