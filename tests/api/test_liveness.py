"""Heartbeats do not depend on the executor's work: a database thread that waits for a locked table is reported, keeps its lease, and ends its
process only when it takes no step for executor.stall_abort_s."""
import pytest
from peers import mariadb
from stack import eventually

PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
# A statement is given up after 3 s, and its transaction is repeated once, in one call of the database thread.
SETTINGS = {"executor.processes": "1", "executor.stall_abort_s": "4"}


def log(stack):
    return stack.log("executor")


@pytest.mark.serial
def test_a_stalled_database_thread_keeps_the_lease_and_a_dead_one_ends_its_process(stack, workspace):
    client, workflow = workspace.client(), workspace.put_workflow(PURE)
    client.finished(client.started(workflow, {}))
    executor, beat = map(int, stack.sql("SELECT id, beat FROM executors WHERE lost_ms IS NULL")[0])
    with mariadb(stack.dir) as session:
        session("LOCK TABLES execution_steps WRITE")
        run = client.started(workflow, {})  # the claim writes its first step
        eventually(lambda: "executor.thread_stalled" in log(stack), 15, "report of the stall")
        eventually(lambda: int(stack.sql_one(f"SELECT beat FROM executors WHERE id = {executor}")) > beat, 5, "a heartbeat")
        eventually(lambda: "executor.thread_dead" in log(stack), 15, "end of the process")
    line = next(l for l in log(stack).splitlines() if "executor.thread_dead" in l)
    assert "thread=database" in line and 'doing="claim"' in line, line
    eventually(lambda: int(stack.sql_one("SELECT MAX(id) FROM executors")) > executor, 10, "another process")
    assert client.finished(run, 60)["status"] == "success"
    assert "executor.fenced" not in log(stack)
