"""A tree of more runs than one transaction stops: the run itself ends at once, what is below it in slices, and meanwhile nothing of
it begins."""
import pytest

import peers
from stack import eventually

SETTINGS = {"executor.park_after_ms": "200", "executor.processes": "2"}
WIDTH = 24
RUNS = 1 + WIDTH + WIDTH * WIDTH


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def fan_out(workspace, child):
    return workspace.put_workflow({"timeout_seconds": 80000, "steps": [
        step("a", "workflow", workflow_id=child, for_each="${/inputs/items}", concurrency=WIDTH, inputs={"items": "${/inputs/items}"})]})


@pytest.fixture
def tree(stack):
    """A workspace, and the root of a tree of which every run is parked."""
    workspace = stack.workspace(credits=10 * RUNS)
    leaf = workspace.put_workflow({"timeout_seconds": 80000, "steps": [step("a", "delay", seconds=3600)]})
    id = workspace.client().started(fan_out(workspace, fan_out(workspace, leaf)), {"items": list(range(WIDTH))})
    eventually(lambda: number(stack, f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == RUNS, 180, "every run is parked")
    return workspace, id


def number(stack, statement):
    return int(stack.sql_one(statement))


def count(stack, id, where):
    return number(stack, f"SELECT COUNT(*) FROM executions WHERE root_id = '{id}' AND {where}")


def check_stopped(stack, workspace, id):
    """Everything below has ended once, with its event, and nothing is left of it."""
    eventually(lambda: count(stack, id, "state IN (1, 2)") == 0, 90, "all runs have ended")
    assert count(stack, id, f"id <> '{id}' AND (state <> 5 OR failure_reason <> 2 OR attempt <> 0)") == 0
    assert number(stack, f"SELECT COUNT(*) FROM events v JOIN executions e ON e.id = v.execution_id WHERE e.root_id = '{id}' AND v.type = 14 "
                         f"AND e.id <> '{id}'") == RUNS - 1
    assert number(stack, f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == 0
    assert number(stack, f"SELECT COUNT(*) FROM stops WHERE root_id = '{id}'") == 0
    assert stack.cli("audit")["violations"] == []


def test_large_tree_is_stopped(stack, tree):
    workspace, id = tree
    answer = workspace.client().post(f"/executions/{id}/stop", headers={"Idempotency-Key": "k"})
    assert answer.status_code == 200
    assert count(stack, id, f"id = '{id}' AND state = 5") == 1
    again = workspace.client().post(f"/executions/{id}/stop", headers={"Idempotency-Key": "k"})
    assert (again.status_code, again.content) == (200, answer.content)
    check_stopped(stack, workspace, id)


def test_stop_that_was_left_is_continued_and_nothing_begins_meanwhile(stack, tree, workspace):
    owner, id = tree
    middle = stack.sql_one(f"SELECT MIN(id) FROM executions WHERE parent_id = '{id}'")
    with peers.mariadb(stack.dir, 60) as blocker:
        blocker(f"BEGIN; SELECT id FROM executions WHERE id = '{middle}' FOR UPDATE")  # no slice gets past this run
        assert owner.client().post(f"/executions/{id}/stop").status_code == 200
        assert count(stack, id, "state = 5") == 1 and number(stack, f"SELECT COUNT(*) FROM stops WHERE execution_id = '{id}'") == 1
        assert owner.client().post(f"/executions/{id}/stop").status_code == 400, "the run itself has ended"
        # everything below is to be woken now: the executors look at it, and let it be
        stack.sql(f"UPDATE waits SET wake_ms = 1 WHERE workspace_id = '{owner.id}' AND execution_id <> '{middle}'")
        eventually(lambda: number(stack, f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{owner.id}' AND due = 1") > WIDTH, 30, "they are due")
        other = workspace.client()
        for _ in range(3):
            done = other.finished(other.started(workspace.put_workflow({"steps": [step("a", "delay", seconds=0.6)]})), 40)
            assert done["status"] == "success"
        assert count(stack, id, "state IN (1, 2)") == RUNS - 1 and count(stack, id, "attempt <> 0") == 0
        blocker("ROLLBACK")
    check_stopped(stack, owner, id)


def test_end_of_a_run_stops_a_large_tree_below_it(stack, tree):
    workspace, id = tree
    stack.sql(f"UPDATE executions SET deadline_ms = 2 WHERE id = '{id}'; UPDATE waits SET wake_ms = 1 WHERE execution_id = '{id}'")
    done = workspace.client().finished(id, 60)
    assert (done["status"], done["failure_reason"]) == ("failed", "timeout")
    check_stopped(stack, workspace, id)
