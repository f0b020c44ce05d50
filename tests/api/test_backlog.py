"""A backlog drains as fast as the executors can, whatever the hints in Redis say, and no workspace's backlog delays another's run."""
import uuid

import pytest
import rows
from stack import eventually

pytestmark = pytest.mark.serial
# Few slots: a scan that came once a second would claim 16 runs a second.
SETTINGS = {"executor.processes": "2", "executor.max_active": "8"}
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
RUNS = 3000


@pytest.fixture
def paused(stack):
    stack.stop_server("executor")
    yield stack
    if not stack.pid("executor"):
        stack.start_server("executor")


def queue(stack, workspace, runs, seed):
    workflow = workspace.put_workflow(PURE)
    rows.insert(stack.sql_long, workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")
    return workflow


def queued(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state < 3"))


def lie(stack, workspace):
    """Hints that name runs of nobody, more than there are runs, and a workspace that does not exist."""
    for ws in (workspace.id, str(uuid.uuid4())):
        for _ in range(5):
            stack.redis("LPUSH", f"millrace:work:{ws}", *(str(uuid.uuid4()) for _ in range(1000)))
        stack.redis("ZADD", "millrace:work", "1", ws)


@pytest.mark.parametrize("hints", ["lost", "lying"])
def test_backlog_drains_without_waiting_for_a_timer(paused, hints):
    stack, workspace = paused, paused.workspace(credits=100000)
    workflow = queue(stack, workspace, RUNS, seed=1 if hints == "lost" else 2)
    if hints == "lying":
        lie(stack, workspace)
    stack.start_server("executor")
    eventually(lambda: queued(stack, workspace) == 0, 60, "end of all runs")
    ended = stack.sql(f"SELECT state, attempt, COUNT(*) FROM executions WHERE responder_id = '{workflow}' GROUP BY state, attempt")
    assert ended == [["3", "1", str(RUNS)]], ended


def test_a_run_is_claimed_in_its_turn_beside_another_workspace_s_backlog(paused):
    stack = paused
    large, small = stack.workspace(credits=100000), stack.workspace(credits=100)
    backlog = queue(stack, large, 2000, seed=3)
    workflow = queue(stack, small, 1, seed=4)
    stack.start_server("executor")
    eventually(lambda: queued(stack, large) + queued(stack, small) == 0, 60, "end of all runs")
    before = int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE responder_id = '{backlog}' AND "
                               f"started_ms < (SELECT started_ms FROM executions WHERE responder_id = '{workflow}')"))
    # in the first round of one of the two processes; the other may have claimed a few times by then
    assert before < 200, before
