"""Results near their limits: what runs write together must neither exceed a packet of MariaDB's nor hold up the beats, and what a
for_each gathers must not grow beyond what it may end with."""
import json
import os
import signal

import pytest

SETTINGS = {"executor.processes": "1"}
SIZE = 250_000


@pytest.fixture(scope="module", autouse=True)
def small_packets(stack):
    """The server's default; the executor's connections are made anew."""
    stack.sql("SET GLOBAL max_allowed_packet = 16777216")
    stack.restart_server("executor")


@pytest.mark.serial
def test_large_results_of_many_runs_at_once(stack, workspace, client, effects):
    """Eight runs write 4 MB each: in one transaction, and one bulk insert, they would be refused for ever."""
    effects.answer("/large", body={"x": "a" * SIZE})
    release = effects.hold("/large")
    steps = [{"name": "get", "type": "http", "request": {"method": "GET", "url": effects.url + "/large"}}]
    steps += [{"name": f"copy-{i}", "type": "transform", "value": "${/steps/get/result/body/x}"} for i in range(15)]
    workflow = workspace.put_workflow({"steps": steps, "outputs": {"n": 1}})
    ids = [client.started(workflow) for _ in range(8)]
    effects.wait_for("/large", 8)
    mariadb = stack.pid("mariadb")
    os.kill(mariadb, signal.SIGSTOP)  # all that is written gathers
    release()
    signal.sigtimedwait([], 1)
    os.kill(mariadb, signal.SIGCONT)
    for id in ids:
        assert client.finished(id, 40)["status"] == "success"
    lengths = stack.sql("SELECT DISTINCT LENGTH(result) FROM execution_steps WHERE step > 0")
    assert lengths == [[str(SIZE + 2)]]
    assert int(stack.sql_one("SELECT COUNT(*) FROM execution_steps")) == 8 * 16
    assert "executor.fenced" not in stack.log("executor") and "packet" not in stack.log("executor")


def test_a_loop_ends_when_its_results_are_too_large_together(stack, workspace, client, effects):
    """Not after all ten thousand items: what they came to together is known to be too much after the second."""
    effects.answer("/item", body={"x": "a" * 150_000})
    program = {"inputs": {"type": "object"}, "steps": [
        {"name": "loop", "type": "http", "for_each": "${/inputs/list}", "request": {"method": "GET", "url": effects.url + "/item"}}]}
    workflow = workspace.put_workflow(program)
    run = client.finished(client.started(workflow, {"list": list(range(500))}))
    assert run["status"] == "failed" and "256 KiB" in run["error"], json.dumps(run)[:500]
    assert effects.count("/item") == 2


def test_a_loop_without_effects_ends_so_too(workspace, client):
    program = {"inputs": {"type": "object"}, "steps": [
        {"name": "loop", "type": "transform", "for_each": "${/inputs/list}", "value": "${/inputs/text}"}]}
    workflow = workspace.put_workflow(program)
    run = client.finished(client.started(workflow, {"list": list(range(9000)), "text": "a" * 100_000}))
    assert run["status"] == "failed" and "256 KiB" in run["error"]
