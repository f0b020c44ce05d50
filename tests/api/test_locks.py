"""A process that hangs in the middle of a transaction holds its locks for one second at most."""
import time

import pytest

from stack import PATIENCE_S, eventually

pytestmark = pytest.mark.serial


def test_hanging_executor_does_not_block_its_locked_account(proxied):
    stack, proxy = proxied
    workspace = stack.workspace(max_concurrent=1000)  # with a limit, the end of each root run locks the account
    client = workspace.client()
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 1.5}]})
    first = client.started(workflow)
    eventually(lambda: stack.sql(f"SELECT 1 FROM execution_steps WHERE execution_id = '{first}'"), 10, "the delay")
    proxy.tell(do="commit", when="hold", seconds=2 * PATIENCE_S, count=1, contains=first, pids=stack.children("executor"))
    until = time.monotonic() + PATIENCE_S
    while "db.commit_unanswered" not in stack.log("executor"):
        assert time.monotonic() < until, "the proxy held no COMMIT"
        client.started(workflow)  # not 503, as after 2 s of waiting for the lock of the hanging process
        time.sleep(0.05)
    assert client.finished(first, 30)["status"] == "success"
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 30, "end of all runs")
