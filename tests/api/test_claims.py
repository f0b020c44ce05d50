"""The transaction that claims a run also executes it up to its first side effect. Whether that transaction commits, fails or is lost:
the run is executed once, and others see committed states only."""
import os
import re
import signal
import threading
import time

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
    eventually(lambda: int(row(stack, id)[0]) > 2, seconds, "end of the run")


def types(stack, id):
    rows = stack.sql(f"SELECT seq, type FROM events WHERE execution_id = '{id}' ORDER BY seq")
    assert [int(r[0]) for r in rows] == list(range(1, len(rows) + 1))
    return [int(r[1]) for r in rows]


def held(stack, state):
    """Waits until a connection of the executor waits for a lock and returns its id."""
    found = []

    def waits():
        found[:] = stack.sql(f"SELECT id FROM information_schema.processlist WHERE user = 'millrace_executor' AND state LIKE '{state}'")
        return found
    eventually(waits, 10, state)
    return found[0][0]


def kept_in_the_claim(stack, session, workspace, program):
    """A run whose claim cannot write its first commit, because the table of steps is locked. Returns (run, connection). Work that takes
    longer than 5 ms starts after the claim was committed: on a busy machine that may be any work, so several runs are tried."""
    workflow = workspace.put_workflow(program)
    for _ in range(10):
        session("LOCK TABLES execution_steps WRITE")
        id = workspace.client().started(workflow, {"n": 5})
        connection = held(stack, "Waiting for table metadata lock")
        if row(stack, id)[0] == "1":
            return id, connection
        session("UNLOCK TABLES")
        ended(stack, id)
    raise AssertionError("each run was begun after its claim")


def commits(stack):
    return int(stack.sql_one("SELECT VARIABLE_VALUE FROM information_schema.global_status WHERE VARIABLE_NAME = 'COM_COMMIT'"))


@pytest.mark.serial
def test_run_without_side_effects_takes_one_transaction(stack, workspace, client):
    workflow = workspace.put_workflow(PURE)
    client.finished(client.started(workflow, {"n": 0}))
    runs, before, began = 50, commits(stack), time.monotonic()
    for n in range(runs):
        id = client.started(workflow, {"n": n})
        client.finished(id)
    spent, took = commits(stack) - before, time.monotonic() - began
    quiet = commits(stack)
    time.sleep(took)  # as long, without runs: the periodic work, which a slow machine does more often for each run
    periodic = commits(stack) - quiet
    # one transaction accepts a run and one executes it
    assert runs * 2 <= spent < runs * 2.5 + periodic, (spent, periodic)
    assert types(stack, id) == [1, 2, 3, 4, 12]
    assert client.execution(id)["detail"]["output"] == runs - 1


def test_claim_is_repeated_after_a_cut_connection(stack, session, workspace, client, effects):
    id, connection = kept_in_the_claim(stack, session, workspace, {"steps": [
        *PURE["steps"], {"name": "b", "type": "http", "request": {"method": "POST", "url": effects.url + "/b/${/steps/a/result/n}"}}]})
    effects.calls.clear()  # of runs that were begun after their claims
    stack.sql(f"KILL {connection}")
    eventually(lambda: held(stack, "Waiting for table metadata lock") != connection, 10, "a second claim")
    assert effects.calls == [], "a side effect came before the claim was committed"
    session("UNLOCK TABLES")
    ended(stack, id)
    assert row(stack, id) == ["3", "0", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 3, 4, 12]
    assert effects.count("/b/5") == len(effects.calls) == 1
    assert stack.log("executor").count(f"run.claimed execution={id}") == 1


def test_claim_that_lost_its_run_to_another_is_dropped(stack, session, other_session, workspace, client):
    id, connection = kept_in_the_claim(stack, session, workspace, PURE)
    change = (f"BEGIN; SELECT id INTO @id FROM executions WHERE id = '{id}' FOR UPDATE; "
              f"UPDATE executions SET attempt = 1 WHERE id = '{id}'; COMMIT")
    other = threading.Thread(target=other_session, args=[change])
    other.start()
    held(stack, "Waiting for table metadata lock")
    stack.sql(f"KILL {connection}")
    other.join()
    session("UNLOCK TABLES")
    ended(stack, id)
    assert row(stack, id) == ["3", "1", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 12], "the first claim must not have written anything"
    eventually(lambda: [stack.log("executor").count(f"run.{event} execution={id}") for event in ("claimed", "cancelled")] == [2, 1], what="the lines of the log")


def test_claim_is_abandoned_when_mariadb_is_killed(stack, session, workspace, client, effects):
    id, _ = kept_in_the_claim(stack, session, workspace, {"steps": [
        *PURE["steps"], {"name": "b", "type": "http", "request": {"method": "POST", "url": effects.url + "/b"}}]})
    stack.kill_server("mariadb")
    eventually(lambda: f"run.cancelled execution={id}" in stack.log("executor"), 10, "the claim abandoned")
    stack.start_server("mariadb")
    ended(stack, id, 30)
    assert row(stack, id) == ["3", "0", "0"]
    assert types(stack, id) == [1, 2, 3, 4, 3, 4, 12]
    assert effects.count("/b") == 1


def test_unwritable_run_does_not_block_the_others_of_its_claim(stack, session, workspace, client):
    """A trigger rejects one output, as MariaDB would reject an invalid row."""
    stack.sql("CREATE TRIGGER poison BEFORE UPDATE ON executions FOR EACH ROW "
              "IF NEW.output = '13' THEN SIGNAL SQLSTATE '45000'; END IF")
    try:
        workflow = workspace.put_workflow(PURE)
        session("LOCK TABLES execution_steps WRITE")
        ids = [client.started(workflow, {"n": n}) for n in range(10, 20)]  # one claim takes several of them
        held(stack, "Waiting for table metadata lock")
        session("UNLOCK TABLES")
        for id in ids[:3] + ids[4:]:
            ended(stack, id)
            assert row(stack, id) == ["3", "0", "0"]
            assert types(stack, id) == [1, 2, 3, 4, 12]
        ended(stack, ids[3])
        assert row(stack, ids[3]) == ["4", "0", "0"], "it ends once, and no loss is counted"
        assert client.execution(ids[3])["failure_reason"] == "internal"
        refused = re.search(r" error executor\[\d+\] run\.commit_failed .*message=\"([^\"]+)\"", stack.logged("executor", f"run.commit_failed execution={ids[3]} "))
        assert refused and "Unhandled user-defined exception" in refused[1], "the log line has MariaDB's message"
    finally:
        stack.sql("DROP TRIGGER poison")


def test_active_count_returns_to_zero(stack):
    workspace = stack.workspace(max_concurrent=2)
    client = workspace.client()
    workflow = workspace.put_workflow(PURE)
    for n in range(6):
        assert client.finished(client.started(workflow, {"n": n}))["status"] == "success"
        assert stack.sql_one(f"SELECT active FROM accounts WHERE workspace_id = '{workspace.id}'") == "0"


def test_sigterm_during_a_claim_releases_the_run(stack, session, workspace, client):
    id, _ = kept_in_the_claim(stack, session, workspace, {"steps": [*PURE["steps"], {"name": "b", "type": "delay", "seconds": 0.1}]})
    seen = len(stack.log("executor"))
    os.kill(stack.pid("executor"), signal.SIGTERM)
    stack.logged("executor", "executor.stopping", since=seen)
    session("UNLOCK TABLES")
    eventually(lambda: not stack.pid("executor"), 15, "the end of the executor")
    state, attempt, losses = row(stack, id)
    assert (state, losses) == ("1", "0") and attempt == "1", "the run must have been released"
    stack.start_server("executor")
    ended(stack, id)
    assert row(stack, id) == ["3", "1", "0"]


LARGE = {"steps": [{"name": f"s{n}", "type": "transform", "value": [{"n": i, "of": f"{n}"} for i in range(150)]} for n in range(150)],
         "outputs": {"last": "${/steps/s149/result/149/n}"}}


def test_a_large_program_is_compiled_after_the_claim(stack):
    """Its runs stay queued until the program is in the cache of a process, and are claimed then without another hint."""
    workspace = stack.workspace(credits=100)
    workflow = workspace.put_workflow(LARGE)
    client = workspace.client()
    runs = [client.started(workflow, {}) for _ in range(8)]
    for run in runs:
        ended = client.finished(run, 60)
        assert ended["status"] == "success", ended
    losses = stack.sql(f"SELECT DISTINCT losses FROM executions WHERE responder_id = '{workflow}'")
    assert losses == [["0"]], losses


def test_a_large_program_that_does_not_compile_fails_its_runs(stack):
    """For a minute they are left to executors of a later version, which may know what this one does not: the first two runs are older than that, the last one is not."""
    workspace = stack.workspace(credits=100)
    workflow = workspace.put_workflow(LARGE)
    client = workspace.client()
    stack.stop_server("executor")
    runs = [client.started(workflow, {}) for _ in range(2)]
    stack.sql(f"UPDATE executions SET updated_ms = updated_ms - 60000 WHERE workspace_id = '{workspace.id}'")
    left = client.started(workflow, {})
    stack.sql(f"UPDATE workflow_versions SET program = REPLACE(program, '\"transform\"', '\"unknown\"') WHERE workflow_id = '{workflow}'")
    stack.start_server("executor")
    for run in runs:
        ended = client.finished(run, 30)
        assert ended["status"] == "failed" and ended["failure_reason"] == "internal", ended
    assert client.execution(left)["state"] == "queued"
    stack.sql(f"UPDATE executions SET updated_ms = updated_ms - 60000 WHERE id = '{left}'")
    assert client.finished(left, 90)["status"] == "failed"
