"""A host whose clock is wrong destroys nothing: retention and the expiry of keys use MariaDB's clock."""
import os
import subprocess
import time

import pytest
from stack import BIN, ROOT, eventually

LIBRARY = ROOT / "build/plain/clock-ahead.so"
AHEAD_DAYS = 400
BEHIND_DAYS = 100
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def clock_moved(stack, tmp_path, days, *servers):
    """Replaces servers by ones whose wall clock is wrong; their monotonic clocks are the kernel's."""
    subprocess.run(["make", "-s", "clock-ahead"], cwd=ROOT, check=True, timeout=300)
    for program in BIN.iterdir():
        os.symlink(program, tmp_path / program.name)
    for name in (f"millrace-{server}" for server in servers):
        wrapper = tmp_path / name
        wrapper.unlink()
        wrapper.write_text(f"#!/bin/sh\nexec env LD_PRELOAD={LIBRARY} CLOCK_AHEAD_S={days * 86400} {BIN}/{name} \"$@\"\n")
        wrapper.chmod(0o755)
    plain = stack.env["MILLRACE_BIN"]
    restart(stack, tmp_path, *servers)
    yield
    restart(stack, plain, *servers)


def restart(stack, programs, *servers):
    for server in servers:
        stack.stop_server(server)
    stack.env["MILLRACE_BIN"] = str(programs)
    for server in servers:
        stack.start_server(server)
    stack.wait_ready()


@pytest.fixture
def executor_ahead(stack, tmp_path):
    yield from clock_moved(stack, tmp_path, AHEAD_DAYS, "executor")


@pytest.fixture
def host_behind(stack, tmp_path):
    yield from clock_moved(stack, tmp_path, -BEHIND_DAYS, "api", "executor")


def tasks_done_ahead(stack, *tasks):
    """The tasks were scheduled by a clock that is ahead, so the executor has done them."""
    ahead = (time.time() + (AHEAD_DAYS - 10) * 86400) * 1000
    due = dict(stack.sql("SELECT name, due_ms FROM upkeep_tasks"))
    return all(int(due[t]) > ahead for t in tasks)


def test_a_clock_that_is_ahead_destroys_nothing(stack, workspace, client, executor_ahead):
    w = workspace.put_workflow(PROGRAM)
    first = client.run(w, key="k")
    run = first.json()["execution_id"]
    client.finished(run)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--keep-payload-days", 20, "--keep-rows-days", 30)
    stack.sql("UPDATE upkeep_tasks SET due_ms = 0")
    eventually(lambda: tasks_done_ahead(stack, "retention", "expire_keys"), 20, "maintenance by the executor whose clock is ahead")
    eventually(lambda: int(stack.sql_one(f"SELECT due_ms FROM retention WHERE workspace_id = '{workspace.id}'")) > 0, 20, "retention of the workspace")
    assert client.execution(run)["isPurged"] is False
    again = client.run(w, key="k")
    assert (again.status_code, again.json()) == (202, first.json()) and again.headers["Idempotent-Replayed"] == "true"
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"
    assert workspace.balance() == 999


def test_runs_accepted_by_a_clock_that_is_behind_are_kept(stack, workspace, client, host_behind):
    """Their ids say that they are 100 days old, and so does the time of their end."""
    run = client.started(workspace.put_workflow(PROGRAM))
    client.finished(run)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--keep-payload-days", 20, "--keep-rows-days", 30)

    def look():
        stack.sql("UPDATE retention_skipped SET due_ms = 0; UPDATE retention SET due_ms = 0")
        eventually(lambda: stack.sql_one("SELECT (SELECT COUNT(*) FROM retention_skipped WHERE due_ms = 0) + "
                                         "(SELECT COUNT(*) FROM retention WHERE due_ms = 0)") == "0", 20, "retention")
    look()
    assert client.execution(run)["isPurged"] is False
    stack.sql("UPDATE retention_skipped SET accepted_ms = accepted_ms - 21 * 86400000")
    look()
    eventually(lambda: client.execution(run)["isPurged"], 20, "the purge after 20 days")
    stack.sql(f"UPDATE retention_skipped SET accepted_ms = accepted_ms - 10 * 86400000; UPDATE executions SET updated_ms = updated_ms - 86400000 WHERE id = '{run}'")
    look()
    eventually(lambda: stack.sql(f"SELECT 1 FROM executions WHERE id = '{run}'") == [], 20, "the removal after 30 days")


def test_a_host_that_is_behind_parks_a_run_once(stack, workspace, client, host_behind):
    """By MariaDB's clock the time at which it is to go on has passed for long."""
    id = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 600}]}))
    eventually(lambda: stack.sql(f"SELECT execution_id FROM waits WHERE execution_id = '{id}'"), 60, "the run is parked")
    # the executors look for due runs four times a second, so they have looked before these have ended
    again = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 1}]})
    for run in [client.started(again) for _ in range(3)]:
        assert client.finished(run)["status"] == "success"
    left_ms, due, attempt = stack.sql(f"SELECT w.wake_ms - ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000), w.due, e.attempt FROM waits w "
                                      f"JOIN executions e ON e.id = w.execution_id WHERE w.execution_id = '{id}'")[0]
    assert (due, attempt) == ("0", "0") and 0 < int(left_ms) <= 600000
    assert client.post(f"/executions/{id}/stop").ok


def test_a_run_that_is_woken_early_is_parked_for_the_rest(stack, workspace, client):
    """As when MariaDB's clock is set forward. Another executor that has read before that the run is due may wake it once more."""
    id = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 600}]}))
    eventually(lambda: stack.sql(f"SELECT execution_id FROM waits WHERE execution_id = '{id}'"), 60, "the run is parked")
    stack.sql(f"UPDATE waits SET wake_ms = 1 WHERE execution_id = '{id}'")
    eventually(lambda: stack.sql(f"SELECT e.attempt > 0, w.due, w.wake_ms > 1 FROM waits w JOIN executions e ON e.id = w.execution_id "
                                 f"WHERE e.id = '{id}'") == [["1", "0", "1"]], 60, "parked again")
    assert client.post(f"/executions/{id}/stop").ok
