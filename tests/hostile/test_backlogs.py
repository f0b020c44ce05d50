"""The attackers have long queues of runs of one transform: many workspaces with some, one with very many. The victim's runs are claimed in
their turn. HOSTILE_LONG=1: 100 workspaces x 1,000 runs and one with 100,000."""
import contextlib
import os

import rows

LONG = os.environ.get("HOSTILE_LONG") == "1"
WORKSPACES, EACH, MOST = (100, 1000, 100000) if LONG else (10, 200, 20000)
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def queue(stack, workspace, workflow, runs, seed):
    rows.insert(stack.sql_long, workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")


def unfinished(stack, workspaces):
    ids = ", ".join(f"'{w.id}'" for w in workspaces)
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id IN ({ids}) AND state < 3"))


def test_long_queues_do_not_delay_another_workspace(stack, beside):
    attackers = [stack.workspace(credits=1000000) for _ in range(WORKSPACES + 1)]
    workflows = [w.put_workflow(PURE) for w in attackers]
    left = []

    @contextlib.contextmanager
    def queued():
        queue(stack, attackers[0], workflows[0], MOST, 1)
        for seed, (w, workflow) in enumerate(zip(attackers[1:], workflows[1:], strict=True), 2):
            queue(stack, w, workflow, EACH, seed)
        left.append(unfinished(stack, attackers))
        yield
        left.append(unfinished(stack, attackers))
    beside(queued())
    assert left[0] > 0, left
    print(f"queued runs of the attackers at the beginning and at the end: {left}")
