"""Runs that wait are parked: no executor has them, MariaDB holds what wakes them, and nobody who looks at them sees a difference."""
import signal

import pytest

from peers import mariadb
from stack import eventually, kill, while_it_lasts

SETTINGS = {"executor.park_after_ms": "200", "executor.processes": "2"}
DELAY, BACKOFF, CHILD = "1", "2", "3"


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def delay(name, seconds, **fields):
    return step(name, "delay", seconds=seconds, **fields)


def row(stack, id):
    """state, attempt, losses, executor_id"""
    return [int(v) for v in stack.sql(f"SELECT state, attempt, losses, executor_id FROM executions WHERE id = '{id}'")[0]]


def parked(stack, id, reason):
    """Waits until the run is parked."""
    eventually(lambda: row(stack, id)[0] > 2 or stack.sql(f"SELECT reason FROM waits WHERE execution_id = '{id}'") == [[reason]], 30, "the run is parked")
    state, attempt, losses, executor = row(stack, id)
    assert (state, losses, executor) == (2, 0, 0)
    return attempt


def waits(stack, id):
    return stack.sql(f"SELECT * FROM waits WHERE execution_id = '{id}'")


def events(stack, id):
    return [r[0] for r in stack.sql(f"SELECT type FROM events WHERE execution_id = '{id}' ORDER BY seq")]


@pytest.fixture(autouse=True)
def audited(stack):
    yield
    assert stack.cli("audit")["violations"] == []


def test_delay_is_parked_and_woken(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow({"steps": [delay("a", seconds), step("b", "transform", value="${/inputs/n}")]}), {"n": 7})
        assert parked(stack, id, DELAY) == 0
        seen = client.execution(id)
        assert seen["status"] == "running" and seen["state"] == "running"
        assert [s["status"] for s in seen["steps"]] == ["running", "pending"]
        return id
    id = while_it_lasts(2, look)
    done = client.finished(id)
    assert done["status"] == "success" and done["detail"]["output"] == 7
    assert row(stack, id)[:3] == [3, 1, 0] and not waits(stack, id)
    # queued, started, step.started, step.succeeded twice, succeeded: nothing of the waking
    assert events(stack, id) == ["1", "2", "3", "4", "3", "4", "12"]
    assert int(stack.sql_one(f"SELECT completed_ms - started_ms FROM execution_steps WHERE execution_id = '{id}' AND step = 0")) >= 1900


def test_short_delay_is_not_parked(stack, workspace, client):
    id = client.started(workspace.put_workflow({"steps": [delay("a", 0.1)]}))
    assert client.finished(id)["status"] == "success" and row(stack, id)[1] == 0


def test_stop_of_a_parked_run_does_not_wake_it(stack, workspace, client):
    id = client.started(workspace.put_workflow({"steps": [delay("a", 3600)]}))
    parked(stack, id, DELAY)
    answer = client.post(f"/executions/{id}/stop")
    assert answer.status_code == 200
    assert row(stack, id) == [5, 0, 0, 0] and not waits(stack, id)
    assert events(stack, id) == ["1", "2", "3", "14"]
    assert client.post(f"/executions/{id}/stop").status_code == 400


def test_purge_after_the_stop_of_a_parked_run(stack, workspace, client):
    id = client.started(workspace.put_workflow({"steps": [delay("a", 3600)]}))
    parked(stack, id, DELAY)
    assert client.post(f"/executions/{id}/stop").status_code == 200
    assert client.delete(f"/executions/{id}").status_code in (200, 204)


def test_deadline_of_a_parked_run(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow({"timeout_seconds": seconds, "steps": [delay("a", 3600)]}))
        parked(stack, id, DELAY)
        return id
    id = while_it_lasts(2, look)
    done = client.finished(id)
    assert (done["status"], done["failure_reason"]) == ("failed", "timeout")
    assert [s["status"] for s in done["steps"]] == ["failed"]
    assert events(stack, id) == ["1", "2", "3", "5", "13"] and not waits(stack, id)


def test_time_limit_of_a_step_goes_on_while_its_run_is_parked(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow({"steps": [delay("a", 3600, timeout_seconds=seconds)]}))
        parked(stack, id, DELAY)
        return seconds, id
    seconds, id = while_it_lasts(2, look)
    done = client.finished(id)
    assert done["status"] == "failed" and f"timed out after {seconds} s" in done["error"]


def test_backoff_is_parked(stack, workspace, client, effects):
    def look(seconds):
        effects.calls.clear()
        effects.rules.clear()
        effects.answer("/x", 503, times=2)
        id = client.started(workspace.put_workflow({"steps": [
            step("a", "http", request={"method": "POST", "url": effects.url + "/x"}, retry={"max_attempts": 3, "backoff_seconds": seconds})]}))
        parked(stack, id, BACKOFF)
        return id
    id = while_it_lasts(1, look)
    assert client.finished(id)["status"] == "success"
    assert row(stack, id)[2] == 0 and not waits(stack, id)
    assert sorted(effects.by_key("/x").values()) == [1, 1, 1], "each try has a key of its own and is sent once"


def test_parents_of_a_held_child_are_parked_and_woken_by_its_end(stack, workspace, client, effects):
    release = effects.hold("/hold")
    inner = workspace.put_workflow({"steps": [step("a", "http", request={"method": "GET", "url": effects.url + "/hold"})],
                                    "outputs": "${/steps/a/result/status}"})
    middle = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=inner)], "outputs": "${/steps/a/result/outputs}"})
    outer = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=middle)], "outputs": "${/steps/a/result/outputs}"})
    id = client.started(outer)
    effects.wait_for("/hold")
    parked(stack, id, CHILD)
    child = stack.sql_one(f"SELECT id FROM executions WHERE parent_id = '{id}'")
    parked(stack, child, CHILD)
    release()
    done = client.finished(id)
    assert (done["status"], done["detail"]["output"]) == ("success", 200)
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE root_id = '{id}'") == "3"
    assert not waits(stack, id) and not waits(stack, child)
    assert events(stack, id).count("10") == 1 and events(stack, id).count("3") == 1


def test_items_wait_for_several_children_and_are_parked(stack, workspace, client):
    child = workspace.put_workflow({"steps": [delay("a", "${/inputs/s}")], "outputs": "${/inputs/s}"})
    id = client.started(workspace.put_workflow({"steps": [
        step("a", "workflow", workflow_id=child, inputs={"s": "${/item}"}, for_each="${/inputs/s}", concurrency=3),
        step("b", "transform", value="${/item/outputs}", for_each="${/steps/a/result}")], "outputs": "${/steps/b/result}"}),
        {"s": [1, 2, 1.5, 0.5, 1, 2]})
    parked(stack, id, CHILD)
    done = client.finished(id, 60)
    assert done["detail"]["output"] == [1, 2, 1.5, 0.5, 1, 2]
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE parent_id = '{id}'") == "6"


def test_step_that_waits_for_a_child_times_out_and_stops_it(stack, workspace, client):
    child = workspace.put_workflow({"steps": [delay("a", 3600)]})

    def look(seconds):
        id = client.started(workspace.put_workflow({"steps": [
            step("a", "workflow", workflow_id=child, timeout_seconds=seconds, on_error="continue"), delay("b", 5)]}))
        parked(stack, id, CHILD)
        below = stack.sql_one(f"SELECT id FROM executions WHERE parent_id = '{id}'")
        parked(stack, below, DELAY)
        return id, below
    id, below = while_it_lasts(3, look)
    eventually(lambda: row(stack, below)[0] == 5, 30, "the child is stopped")
    assert row(stack, id)[0] == 2, "the parent goes on"
    assert client.finished(id)["status"] == "success"


def test_child_that_is_accepted_after_its_step_has_timed_out_is_stopped(stack, workspace, client, effects):
    release = effects.hold("/hold")
    child = workspace.put_workflow({"steps": [delay("a", 3600)]})
    id = client.started(workspace.put_workflow({"steps": [
        step("hold", "http", request={"method": "GET", "url": effects.url + "/hold"}),
        step("a", "workflow", workflow_id=child, timeout_seconds=1, on_error="continue"), delay("b", 3600)]}))
    effects.wait_for("/hold")
    with mariadb(stack.dir) as session:  # the child waits for the account
        session(f"BEGIN; SELECT workspace_id FROM accounts WHERE workspace_id = '{workspace.id}' FOR UPDATE")
        release()
        parked(stack, id, DELAY)
        assert stack.sql(f"SELECT id FROM executions WHERE parent_id = '{id}'") == []
        session("ROLLBACK")
    eventually(lambda: stack.sql(f"SELECT state FROM executions WHERE parent_id = '{id}'") == [["5"]], 30, "the child is stopped")
    assert row(stack, id)[0] == 2, "the parent goes on"


def test_stop_of_a_tree_of_parked_runs(stack, workspace, client):
    child = workspace.put_workflow({"steps": [delay("a", 3600)]})
    id = client.started(workspace.put_workflow({"steps": [
        step("a", "workflow", workflow_id=child, for_each=[1, 2, 3], concurrency=3)]}))
    parked(stack, id, CHILD)
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM waits WHERE workspace_id = '%s'" % workspace.id) == "4", 30, "all are parked")
    assert client.post(f"/executions/{id}/stop").status_code == 200
    assert stack.sql(f"SELECT DISTINCT state FROM executions WHERE root_id = '{id}'") == [["5"]]
    assert stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == "0"


def test_stop_of_a_child_wakes_its_parked_parent(stack, workspace, client):
    child = workspace.put_workflow({"steps": [delay("a", 3600)]})
    id = client.started(workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)]}))
    parked(stack, id, CHILD)
    below = stack.sql_one(f"SELECT id FROM executions WHERE parent_id = '{id}'")
    assert client.post(f"/executions/{below}/stop").status_code == 200
    assert client.finished(id)["status"] == "failed"


def test_parked_runs_survive_the_death_of_every_executor(stack, workspace, client):
    def look(seconds):
        child = workspace.put_workflow({"steps": [delay("a", seconds)]})
        ids = [client.started(workspace.put_workflow({"steps": [delay("a", seconds)]})),
               client.started(workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)]}))]
        parked(stack, ids[0], DELAY)
        parked(stack, ids[1], CHILD)
        for pid in stack.children("executor"):
            kill(pid, signal.SIGKILL)
        assert [row(stack, id)[0] for id in ids] == [2, 2] and all(row(stack, id)[3] == 0 for id in ids), "parked while all executors died"
        return ids
    for id in while_it_lasts(5, look):
        assert client.finished(id, 60)["status"] == "success"
        assert row(stack, id)[2] == 0, "no loss is counted"


def test_parked_runs_survive_a_restart_and_need_no_executor_to_be_stopped(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow({"steps": [delay("a", seconds)]}))
        other = client.started(workspace.put_workflow({"steps": [delay("a", 3600)]}))
        parked(stack, id, DELAY)
        parked(stack, other, DELAY)
        stack.stop_server("executor")
        try:
            assert row(stack, id) == [2, 0, 0, 0], "parked while no executor runs"
            assert client.post(f"/executions/{other}/stop").status_code == 200
        finally:
            stack.start_server("executor")
        return id, other
    id, other = while_it_lasts(2, look)
    assert client.finished(id)["status"] == "success"
    assert row(stack, id)[1:3] == [1, 0]
    assert row(stack, other) == [5, 0, 0, 0]


def test_workspaces_are_woken_in_turn(stack, workspace, client):
    """Many runs that are due at once do not hold up the one of another workspace, nor a new run."""
    workflow = workspace.put_workflow({"steps": [delay("a", 3600)]})
    ids = [client.started(workflow) for _ in range(150)]
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == "150", 60, "all are parked")
    stack.sql(f"UPDATE execution_steps SET due_ms = 1 WHERE execution_id IN (SELECT id FROM executions WHERE workspace_id = '{workspace.id}'); "
              f"UPDATE waits SET wake_ms = 1 WHERE workspace_id = '{workspace.id}'")
    other = stack.workspace()
    assert other.client().finished(other.client().started(other.put_workflow({"steps": [delay("a", 0.5)]})))["status"] == "success"
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state <> 3") == "0", 60, "all have ended")
    assert len(ids) == 150 and stack.sql_one(f"SELECT SUM(attempt) FROM executions WHERE workspace_id = '{workspace.id}'") == "150"


def test_parked_runs_whose_program_is_of_a_later_version_hold_up_no_other(stack, workspace, client):
    """More of them than a scan has places are due before a run whose program compiles. They fail at their deadline."""
    later, flow = (workspace.put_workflow({"steps": [delay("a", 300), step("b", "transform", value=n)]}, name=f"flow-{n}") for n in (1, 2))
    left, behind = [client.started(later) for _ in range(200)], client.started(flow)
    of_left = f"execution_id IN (SELECT id FROM executions WHERE responder_id = '{later}')"
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == "201", 60, "the runs are parked")
    stack.stop_server("executor")
    stack.sql(f"UPDATE workflow_versions SET program = REPLACE(program, 'transform', 'telepathy') WHERE workflow_id = '{later}'; "
              f"UPDATE execution_steps SET due_ms = 1 WHERE execution_id = '{behind}'")
    now = int(stack.sql_one("SELECT ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)"))
    stack.sql(f"UPDATE waits SET wake_ms = {now} - (execution_id <> '{behind}') WHERE workspace_id = '{workspace.id}'")
    stack.start_server("executor")
    assert client.finished(behind)["status"] == "success"
    # each was seen, and is due again later, also after that
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE {of_left} AND wake_ms > {now} + 5000") == "200", 60, "all were left once")
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE {of_left} AND wake_ms > {now} + 10000") == "200", 60, "all were left twice")
    assert {client.execution(run)["state"] for run in left[::50]} == {"running"}
    stack.sql(f"UPDATE executions SET deadline_ms = {now} WHERE responder_id = '{later}'; UPDATE waits SET wake_ms = 1 WHERE {of_left}")
    for run in left:
        ended = client.finished(run)
        assert (ended["state"], ended["failure_reason"]) == ("failed", "internal")
    assert "the workflow's program could not be loaded" in ended["error"], ended
