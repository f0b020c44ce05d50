"""An executor on a host whose clock is 400 days ahead destroys nothing: retention and the expiry of keys use MariaDB's clock."""
import os
import subprocess
import time

import pytest
from stack import BIN, ROOT, eventually

LIBRARY = ROOT / "build/plain/clock-ahead.so"
AHEAD_DAYS = 400
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


@pytest.fixture
def executor_ahead(stack, tmp_path):
    """Replaces the executor by one whose wall clock is ahead; its monotonic clocks are the kernel's."""
    subprocess.run(["make", "-s", "clock-ahead"], cwd=ROOT, check=True, timeout=300)
    for program in BIN.iterdir():
        os.symlink(program, tmp_path / program.name)
    wrapper = tmp_path / "millrace-executor"
    wrapper.unlink()
    wrapper.write_text(f"#!/bin/sh\nexec env LD_PRELOAD={LIBRARY} CLOCK_AHEAD_S={AHEAD_DAYS * 86400} {BIN}/millrace-executor \"$@\"\n")
    wrapper.chmod(0o755)
    plain = stack.env["MILLRACE_BIN"]
    stack.stop_server("executor")
    stack.env["MILLRACE_BIN"] = str(tmp_path)
    stack.start_server("executor")
    yield
    stack.stop_server("executor")
    stack.env["MILLRACE_BIN"] = plain
    stack.start_server("executor")


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
