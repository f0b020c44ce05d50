"""Heartbeats do not depend on the executor's work: a database thread that waits for a locked row is reported, keeps its lease, and ends its
process only when it takes no step for executor.stall_abort_s."""
import contextlib

import pytest
from peers import mariadb
from stack import eventually

CHILD = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SETTINGS = {"executor.processes": "1", "executor.stall_abort_s": "5"}


@contextlib.contextmanager
def locked_account(stack, workspace):
    """Starting a child waits for the account, 2 s at a time, in one call of the database thread."""
    with mariadb(stack.dir) as run:
        run("SET idle_transaction_timeout=0")
        run("BEGIN")
        run(f"SELECT 1 FROM accounts WHERE workspace_id = '{workspace.id}' FOR UPDATE")
        yield
        run("ROLLBACK")


def log(stack):
    return stack.log("executor")


def parent_that_has_not_called_yet(workspace):
    child = workspace.put_workflow(CHILD)
    parent = workspace.put_workflow({"steps": [{"name": "wait", "type": "delay", "seconds": 1},
                                               {"name": "call", "type": "workflow", "workflow_id": child}]})
    client = workspace.client()
    return client, client.started(parent, {})


@pytest.mark.serial
def test_a_stalled_database_thread_keeps_the_lease_and_a_dead_one_ends_its_process(stack, workspace):
    client, run = parent_that_has_not_called_yet(workspace)
    executor, beat = map(int, stack.sql("SELECT id, beat FROM executors WHERE lost_ms IS NULL")[0])
    with locked_account(stack, workspace):
        eventually(lambda: "executor.thread_stalled" in log(stack), 15, "report of the stall")
        assert int(stack.sql_one(f"SELECT beat FROM executors WHERE id = {executor}")) > beat
        eventually(lambda: "executor.thread_dead" in log(stack), 15, "end of the process")
        line = next(l for l in log(stack).splitlines() if "executor.thread_dead" in l)
        assert "thread=database" in line and 'doing="children"' in line, line
        eventually(lambda: int(stack.sql_one("SELECT MAX(id) FROM executors")) > executor, 10, "another process")
    assert client.finished(run, 60)["status"] == "success"
    assert int(stack.sql_one(f"SELECT losses FROM executions WHERE id = '{run}'")) >= 1
    assert "executor.fenced" not in log(stack)
