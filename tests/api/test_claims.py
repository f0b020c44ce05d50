"""The transaction that claims a run carries it as far as it goes without a side effect. Whatever becomes of that transaction, the run
is done once, and what others see of it is only what was committed."""
import os
import signal
import threading

import pytest
from peers import mariadb
from stack import eventually

SETTINGS = {"executor.processes": "1", "api.rate_limit_per_minute": "1000000"}
PURE = {"steps": [{"name": "a", "type": "transform", "value": {"n": "${/inputs/n}"}}], "outputs": "${/steps/a/result/n}"}


@pytest.fixture
def session(stack):
    with mariadb(stack.dir) as run:
        yield run


@pytest.fixture
def other_session(stack):
    with mariadb(stack.dir) as run:
        yield run


def row(stack, id):
    return stack.sql(f"SELECT state, attempt, losses FROM executions WHERE id = '{id}'")[0]


def ended(stack, id, seconds=10):
    eventually(lambda: int(row(stack, id)[0]) > 2, seconds, "ended")


def types(stack, id):
    rows = stack.sql(f"SELECT seq, type FROM events WHERE execution_id = '{id}' ORDER BY seq")
    assert [int(r[0]) for r in rows] == list(range(1, len(rows) + 1))
    return [int(r[1]) for r in rows]


def held(stack, state):
    """The executor's connection that waits for a lock, once there is one."""
    found = []

    def waits():
        found[:] = stack.sql(f"SELECT id FROM information_schema.processlist WHERE user = 'millrace_executor' AND state LIKE '{state}'")
        return found
    eventually(waits, 10, state)
    return found[0][0]


def kept_in_the_claim(stack, session, workspace, program):
    """A run whose claim has gone as far as its first commit and cannot write it: the table of steps is locked."""
    workflow = workspace.put_workflow(program)
    session("LOCK TABLES execution_steps WRITE")
    id = workspace.client().started(workflow, {"n": 5})
    return id, held(stack, "Waiting for table metadata lock")


def commits(stack):
    return int(stack.sql_one("SELECT VARIABLE_VALUE FROM information_schema.global_status WHERE VARIABLE_NAME = 'COM_COMMIT'"))


@pytest.mark.serial
def test_a_run_of_pure_steps_costs_one_transaction(stack, workspace, client):
    workflow = workspace.put_workflow(PURE)
    client.finished(client.started(workflow, {"n": 0}))
    runs, before = 50, commits(stack)
    for n in range(runs):
        id = client.started(workflow, {"n": n})
        client.finished(id)
    spent = commits(stack) - before
    # one accepts it, one runs it; what remains is periodic work
    assert runs * 2 <= spent < runs * 2.5, spent
    assert types(stack, id) == [1, 2, 3, 4, 12]
    assert client.execution(id)["detail"]["output"] == runs - 1


def test_a_claim_whose_connection_is_cut_is_made_once_more(stack, session, workspace, client, effects):
    id, connection = kept_in_the_claim(stack, session, workspace, {"steps": [
        *PURE["steps"], {"name": "b", "type": "http", "request": {"method": "POST", "url": effects.url + "/b/${/steps/a/result/n}"}}]})
    assert row(stack, id)[0] == "1", "others see it queued"
    stack.sql(f"KILL {connection}")
    eventually(lambda: held(stack, "Waiting for table metadata lock") != connection, 10, "made again")
    assert effects.calls == [], "nothing has an effect before the claim is written"
    session("UNLOCK TABLES")
    ended(stack, id)
    assert row(stack, id) == ["3", "0", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 3, 4, 12]
    assert effects.count("/b/5") == len(effects.calls) == 1
    assert stack.log("executor").count(f"run.claimed execution={id}") == 1


def test_a_claim_that_somebody_else_came_before_is_dropped(stack, session, other_session, workspace, client):
    id, connection = kept_in_the_claim(stack, session, workspace, PURE)
    other = threading.Thread(target=other_session, args=[f"BEGIN; SELECT id INTO @id FROM executions WHERE id = '{id}' FOR UPDATE; UPDATE executions SET attempt = 1 WHERE id = '{id}'; COMMIT"])
    other.start()
    held(stack, "Waiting for table metadata lock")
    stack.sql(f"KILL {connection}")
    other.join()
    session("UNLOCK TABLES")
    ended(stack, id)
    assert row(stack, id) == ["3", "1", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 12], "nothing of the first claim was written"
    log = stack.log("executor")
    assert log.count(f"run.claimed execution={id}") == 2 and log.count(f"run.cancelled execution={id}") == 1


def test_a_claim_is_given_up_where_mariadb_goes_away(stack, session, workspace, client, effects):
    id, _ = kept_in_the_claim(stack, session, workspace, {"steps": [
        *PURE["steps"], {"name": "b", "type": "http", "request": {"method": "POST", "url": effects.url + "/b"}}]})
    stack.kill_server("mariadb")
    eventually(lambda: f"run.cancelled execution={id}" in stack.log("executor"), 10, "given up")
    stack.start_server("mariadb")
    ended(stack, id, 30)
    assert row(stack, id) == ["3", "0", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 3, 4, 12]
    assert effects.count("/b") == 1


def test_one_that_cannot_be_written_does_not_hold_the_others_up(stack, session, workspace, client):
    """A trigger refuses one output, as a broken row would be refused."""
    stack.sql("CREATE TRIGGER poison BEFORE UPDATE ON executions FOR EACH ROW "
              "IF NEW.output = '13' THEN SIGNAL SQLSTATE '45000'; END IF")
    try:
        workflow = workspace.put_workflow(PURE)
        session("LOCK TABLES execution_steps WRITE")
        ids = [client.started(workflow, {"n": n}) for n in range(10, 20)]  # some of them in one claim
        held(stack, "Waiting for table metadata lock")
        session("UNLOCK TABLES")
        for id in ids[:3] + ids[4:]:
            ended(stack, id)
            assert row(stack, id) == ["3", "0", "0"]
            assert types(stack, id) == [1, 2, 3, 4, 12]
        eventually(lambda: int(row(stack, ids[3])[0]) == 4, 40, "given up after as many losses as are allowed")
    finally:
        stack.sql("DROP TRIGGER poison")


def test_limited_concurrency_is_counted_down(stack):
    workspace = stack.workspace(max_concurrent=2)
    client = workspace.client()
    workflow = workspace.put_workflow(PURE)
    for n in range(6):
        assert client.finished(client.started(workflow, {"n": n}))["status"] == "success"
        assert stack.sql_one(f"SELECT active FROM accounts WHERE workspace_id = '{workspace.id}'") == "0"


def test_a_sigterm_loses_nothing(stack, session, workspace, client):
    id, _ = kept_in_the_claim(stack, session, workspace, {"steps": [*PURE["steps"], {"name": "b", "type": "delay", "seconds": 0.1}]})
    os.kill(stack.pid("executor"), signal.SIGTERM)
    eventually(lambda: "executor.stopping" in stack.log("executor"), 10, "stopping")
    session("UNLOCK TABLES")
    eventually(lambda: not stack.pid("executor"), 15, "executor gone")
    state, attempt, losses = row(stack, id)
    assert (state, losses) == ("1", "0") and attempt == "1", "handed back"
    stack.start_server("executor")
    ended(stack, id)
    assert row(stack, id) == ["3", "1", "0"]
