"""The attackers have long queues of runs of one transform: many workspaces with some, one with very many. The victim's runs are claimed in
their turn. The long form only, because the executors use whole processors meanwhile: 100 workspaces x 1,000 runs and one with 100,000. The
short form of the same attack, judged by counts, is tests/api/test_backlog.py."""
import contextlib
import os

import pytest
import rows

pytestmark = pytest.mark.skipif(os.environ.get("HOSTILE_LONG") != "1", reason="the long form (HOSTILE_LONG=1)")
WORKSPACES, EACH, MOST = 100, 1000, 100000
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def queue(stack, workspace, workflow, runs, seed):
    """Queued runs, and the hints that accepting them would have left."""
    rows.insert(stack.sql_long, workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' AND state = 1 ORDER BY id LIMIT 10000")]
    for at in range(0, len(ids), 1000):
        stack.redis("LPUSH", f"millrace:work:{workspace.id}", *ids[at:at + 1000])
    stack.redis("ZADD", "millrace:work", "NX", str(seed), workspace.id)


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
