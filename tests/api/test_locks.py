"""A process that hangs in the middle of a transaction holds its locks for one second at most."""
import time

import pytest

from stack import eventually

pytestmark = pytest.mark.serial


def test_hanging_executor_does_not_block_its_locked_account(proxied):
    stack, proxy = proxied
    workspace = stack.workspace(max_concurrent=1000)  # with a limit, the end of each root run locks the account
    client = workspace.client()
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 1.5}]})
    first = client.started(workflow)
    eventually(lambda: stack.sql(f"SELECT 1 FROM execution_steps WHERE execution_id = '{first}'"), 10, "the delay")
    proxy.tell(do="commit", when="hold", seconds=20, count=1, contains=first, pids=stack.children("executor"))
    longest, until = 0, time.monotonic() + 20
    while "db.commit_unanswered" not in stack.log("executor"):
        assert time.monotonic() < until, "the proxy held no COMMIT"
        begun = time.monotonic()
        client.started(workflow)
        longest = max(longest, time.monotonic() - begun)
        time.sleep(0.05)
    assert longest < 1.8, "accepting a run waited for a lock of the hanging process"
    assert client.finished(first, 30)["status"] == "success"
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 30, "end of all runs")
