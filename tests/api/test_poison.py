"""A run that kills its executor inside the claim, whose transaction leaves no trace, counts as lost each time and ends as executor_lost.

The process dies at a crash point, which only programs built with VARIANT=crash have."""
import os
import subprocess
import threading

import pytest
from stack import ROOT, eventually

pytestmark = [pytest.mark.serial, pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="builds and runs programs with crash points")]
SETTINGS = {"executor.processes": "1"}
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


@pytest.fixture
def dies(stack, tmp_path):
    """The executor dies whenever it begins a run inside a claim, until `over` is set."""
    subprocess.run(["make", "-s", "-j2", "VARIANT=crash", "all"], cwd=ROOT, check=True)
    point, over = tmp_path / "claim.begin", threading.Event()

    def keep():
        while not over.wait(0.01):
            point.touch()
        point.unlink(missing_ok=True)
    stack.env.update(MILLRACE_BIN=str(ROOT / "build/crash/bin"), MILLRACE_CRASH_DIR=str(tmp_path))
    stack.restart_server("executor")
    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    yield over
    over.set()
    thread.join()


def test_run_that_kills_executors_inside_the_claim_ends(stack, workspace, dies):
    client, before = workspace.client(), workspace.balance()
    workflow = workspace.put_workflow(PURE)
    run = client.started(workflow, {})
    eventually(lambda: stack.sql_one(f"SELECT state FROM executions WHERE id = '{run}'") == "4", 60, "end of the run")
    dies.set()
    state, reason, attempt, refunded, cost = stack.sql(f"SELECT state, failure_reason, attempt, refunded, cost FROM executions WHERE id = '{run}'")[0]
    assert (state, reason) == ("4", "3") and int(attempt) == 2 and refunded == cost
    types = [int(r[0]) for r in stack.sql(f"SELECT type FROM events WHERE execution_id = '{run}' ORDER BY seq")]
    assert types == [1, 2, 11, 2, 11, 2, 13], types
    assert workspace.balance() == before
    other = client.started(workflow, {})
    assert client.finished(other, 40)["status"] == "success", "the executor lives and claims again"
