"""Commands of one workspace take three quarters of an executor's slots; the last quarter is for workspaces below their minimum."""
import os
import re

import pytest
from skills import Space, probe
from stack import BIN, eventually

SETTINGS = {"executor.processes": "1", "executor.max_active": "4"}

WAITS = "import sys, time\nprint('up', file=sys.stderr, flush=True)\nwhile True: time.sleep(1)"
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
QUEUED, RUNNING = 1, 2


def states(stack, ids):
    rows = stack.sql(f"SELECT state FROM executions WHERE id IN ({', '.join(repr(id) for id in ids)})")
    return sorted(int(r[0]) for r in rows)


def cancel(space, id):
    assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200


def test_commands_of_one_workspace_leave_a_quarter_to_others(stack):
    greedy, other = stack.workspace(credits=1000), stack.workspace(credits=1000)
    spaces = []
    for workspace in (greedy, other):
        probe(workspace, WAITS, timeout_seconds=300)
        spaces.append(Space(workspace))
    mine = [spaces[0].started("probe") for _ in range(8)]
    three_run = [QUEUED] * 5 + [RUNNING] * 3
    eventually(lambda: states(stack, mine) == three_run, 30, "three commands")

    # another workspace's command has the last slot, although older runs are queued, and a scan finds it without Redis
    stack.redis("FLUSHALL")
    id = spaces[1].started("probe")
    eventually(lambda: spaces[1].logs(id) == "up\n", 30, "the command of the other workspace")
    assert states(stack, mine) == three_run
    cancel(spaces[1], id)

    # the free slot serves what is no command, also of the greedy workspace
    workflow = greedy.put_workflow(PURE)
    client = greedy.client()
    assert all(client.finished(client.started(workflow))["status"] == "success" for _ in range(3))
    assert states(stack, mine) == three_run

    # each command that ends makes room for one
    running = [id for id in mine if states(stack, [id]) == [RUNNING]]
    for left, id in enumerate(running, 1):
        cancel(spaces[0], id)
        eventually(lambda: states(stack, mine).count(QUEUED) == 5 - left and states(stack, mine).count(RUNNING) == 3, 30, "the next command")
    for id in mine:
        if id not in running:
            cancel(spaces[0], id)


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no uid of a slot")
def test_an_executor_names_what_the_sandbox_lacks(stack, workspace, client, tmp_path):
    for program in BIN.iterdir():
        if program.name != "millrace-runner":
            os.symlink(program, tmp_path / program.name)
    wrapper = tmp_path / "millrace-runner"  # the process that starts runners, and so they themselves
    wrapper.write_text(f"#!/bin/sh\nexec setpriv --bounding-set -setuid --inh-caps -setuid {BIN}/millrace-runner \"$@\"\n")
    wrapper.chmod(0o755)
    plain, shown = stack.env["MILLRACE_BIN"], r'sandbox\.unavailable piece=slot_uid message="[^"]+" remedy="[^"]*CAP_SETUID[^"]*"'
    assert "sandbox.unavailable" not in stack.log("executor")
    stack.stop_server("executor")
    stack.stop_server("runner")
    stack.env["MILLRACE_BIN"] = str(tmp_path)
    try:
        stack.start_server("runner")
        stack.start_server("executor")
        eventually(lambda: re.search(shown, stack.log("executor")), 30, "the report of the check")
        assert client.finished(client.started(workspace.put_workflow(PURE)))["status"] == "success", "others are served"
    finally:
        stack.stop_server("executor")
        stack.stop_server("runner")
        stack.env["MILLRACE_BIN"] = plain
        stack.start_server("runner")
        stack.start_server("executor")
