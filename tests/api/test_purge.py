"""Purge by request and by retention: what is removed, what remains, what is returned afterwards; the ledger stays balanced."""
import json
import uuid

import pytest
from rows import TABLES, days_ago, insert
from skills import Space, probe
from stack import eventually

SETTINGS = {"api.rate_limit_per_minute": "1000000"}
SECRET = "not-to-be-seen"
PROGRAM = {"inputs": {"type": "object"}, "steps": [{"name": "a", "type": "transform", "value": "${/inputs/word}"}]}
SLOW = {"steps": [{"name": "d", "type": "delay", "seconds": 60}]}


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def purge(client, run):
    answer = client.delete(f"/executions/{run}")
    assert (answer.status_code, answer.content) == (204, b""), answer.text


def holds(stack, run, word):
    """The tables in which a row of this run contains the word."""
    found = []
    for table, columns in {"executions": "input, tags, metadata, extra, output, error",
                           "execution_steps": "result, error", "events": "data", "execution_tags": "tag",
                           "idempotency_keys": "body"}.items():
        where = " OR ".join(f"{c.strip()} LIKE '%{word}%'" for c in columns.split(","))
        if stack.sql_one(f"SELECT COUNT(*) FROM {table} WHERE {'id' if table == 'executions' else 'execution_id'} = '{run}' AND ({where})") != "0":
            found.append(table)
    return found


def audit(stack):
    code, out, err = stack.cli("audit", check=False)
    assert code == 0, out + err


def test_purge_removes_payloads_and_keeps_the_row(stack, workspace, client):
    w = workspace.put_workflow(PROGRAM)
    run = client.started(w, {"word": SECRET}, key="k1", tags=[SECRET], metadata={"m": SECRET})
    before = client.finished(run)
    assert {"executions", "execution_steps", "execution_tags"} <= set(holds(stack, run, SECRET))
    numbers = stack.sql(f"SELECT seq, type, at_ms FROM events WHERE execution_id = '{run}' ORDER BY seq")
    purge(client, run)
    purge(client, run)
    assert holds(stack, run, SECRET) == [] and SECRET not in client.get(f"/executions/{run}?include_step_results=true").text
    after = client.execution(run)
    assert after["isPurged"] is True and before["isPurged"] is False
    assert (after["detail"]["input"], after["detail"]["output"], after["error"]) == (None, None, None)
    assert (after["tags"], after["metadata"]) == ([], {})
    assert [(s["name"], s["status"], s["result"]) for s in after["steps"]] == [("a", "completed", None)]
    for name in ("id", "status", "state", "createdAt", "startedAt", "endedAt", "creditsUsed", "workflow_id", "workflow_name"):
        assert after[name] == before[name], name
    assert after["updatedAt"] >= before["updatedAt"]
    assert stack.sql(f"SELECT seq, type, at_ms FROM events WHERE execution_id = '{run}' ORDER BY seq") == numbers
    assert stack.sql_one(f"SELECT COUNT(*) FROM events WHERE execution_id = '{run}' AND data IS NOT NULL") == "0"
    assert client.get("/executions", params={"tag": SECRET}).json()["executions"] == []
    assert [x["id"] for x in client.get("/executions").json()["executions"]] == [run]
    assert workspace.balance() == 999
    audit(stack)


def test_replay_after_purge_shows_the_purged_object(stack, workspace, client):
    w = workspace.put_workflow(PROGRAM)
    first = client.run(w, {"word": SECRET}, key="k2")
    run = first.json()["execution_id"]
    client.finished(run)
    assert client.run(w, {"word": SECRET}, key="k2").content == first.content
    purge(client, run)
    for _ in range(2):
        again = client.run(w, {"word": SECRET}, key="k2")
        assert again.status_code == 202 and again.headers["Idempotent-Replayed"] == "true"
        assert again.json() == client.execution(run, steps=False) and again.json()["isPurged"] is True
    problem(client.run(w, {"word": "x"}, key="k2"), 422, "idempotency_key_reused")
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"
    problem(client.post(f"/executions/{run}/retry"), 400, "invalid_request")


def test_stop_response_is_replayed_unchanged_after_purge(workspace, client):
    run = client.started(workspace.put_workflow(SLOW))
    stop = {"headers": {"Idempotency-Key": "s"}}
    first = client.post(f"/executions/{run}/stop", **stop)
    purge(client, run)
    again = client.post(f"/executions/{run}/stop", **stop)
    assert (again.status_code, again.json()) == (first.status_code, first.json())


def test_purge_of_active_or_unknown_runs_is_rejected(stack, workspace, client):
    run = client.started(workspace.put_workflow(SLOW))
    problem(client.delete(f"/executions/{run}"), 409, "execution_not_terminal")
    problem(client.delete(f"/executions/{uuid.uuid4()}"), 404, "not_found")
    problem(client.delete("/executions/x"), 404, "not_found")
    problem(stack.workspace().client().delete(f"/executions/{run}"), 404, "not_found")
    client.post(f"/executions/{run}/stop")
    problem(workspace.client("executions:read,workflows:execute").delete(f"/executions/{run}"), 403, "insufficient_scope")
    purge(workspace.client("executions:purge"), run)


def test_purge_does_not_touch_other_runs(stack, workspace, client):
    w = workspace.put_workflow(PROGRAM)
    one, other = (client.started(w, {"word": SECRET}, tags=["t"]) for _ in range(2))
    client.finished(one), client.finished(other)
    purge(client, one)
    assert client.execution(other)["detail"]["input"] == {"word": SECRET}
    assert [x["id"] for x in client.get("/executions", params={"tag": "t"}).json()["executions"]] == [other]


def test_purge_removes_the_stored_responses_of_a_cancelled_skill(stack, workspace, client):
    """Its stored idempotent responses contain its inputs."""
    probe(workspace, "print('{}')")
    space = Space(workspace)
    stack.stop_server("executor")
    run = space.started("probe", {"word": SECRET}, key="start")
    cancel = {"headers": {"Idempotency-Key": "cancel"}}
    assert SECRET in client.post(f"/spaces/{workspace.id}/skills/executions/{run}/cancel", **cancel).text
    stack.start_server("executor")
    assert "idempotency_keys" in holds(stack, run, SECRET)
    purge(client, run)
    assert holds(stack, run, SECRET) == []
    for again in (client.post(f"/spaces/{workspace.id}/skills/executions/{run}/cancel", **cancel),
                  space.start("probe", {"word": SECRET}, key="start")):
        assert again.status_code in (200, 201) and SECRET not in again.text
        assert again.json()["data"]["id"] == run and again.json()["data"]["inputs"] is None
    assert client.execution(run)["detail"]["slug"] == "probe"


def test_purge_removes_artifacts_and_logs(stack, workspace, client):
    """A blob without references is deleted from the disk; a blob that another run refers to remains."""
    runs = [client.started(workspace.put_workflow(PROGRAM), {"word": 1}) for _ in range(2)]
    for run in runs:
        client.finished(run)
    files = stack.dir / "files"
    files = files if files.exists() else next(p for p in stack.dir.rglob("blobs")).parent
    names = {"own": b"only this run's", "shared": b"of both runs", "log": b"a log"}
    import hashlib
    digest = {n: hashlib.sha256(t).hexdigest() for n, t in names.items()}
    path = {n: files / "blobs" / d[:2] / d for n, d in digest.items()}
    for name, text in names.items():
        path[name].parent.mkdir(parents=True, exist_ok=True)
        path[name].write_bytes(text)
    for run, blobs in zip(runs, (("own", "shared"), ("shared",))):
        for name in blobs:
            stack.sql(f"INSERT INTO artifacts VALUES ('{run}', UUID(), 'outputs/{name}', 'text/plain', {len(names[name])}, "
                      f"UNHEX('{digest[name]}'))")
    stack.sql(f"INSERT INTO execution_usage (execution_id, input_tokens, log_sha256, log_size) VALUES ('{runs[0]}', 7, "
              f"UNHEX('{digest['log']}'), 5)")
    purge(client, runs[0])
    assert {n: p.exists() for n, p in path.items()} == {"own": False, "shared": True, "log": False}
    assert stack.sql(f"SELECT COUNT(*) FROM artifacts WHERE execution_id = '{runs[0]}'") == [["0"]]
    assert stack.sql(f"SELECT input_tokens, log_sha256, log_size FROM execution_usage WHERE execution_id = '{runs[0]}'") == \
        [["7", "NULL", "0"]]
    purge(client, runs[1])
    assert not path["shared"].exists()


# --- retention ------------------------------------------------------------------------------------------------------


def left(stack, workspace):
    """{"purged": number of purged runs, "whole": number of other runs}"""
    rows = stack.sql(f"SELECT purged_ms IS NOT NULL, COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' GROUP BY 1")
    return {("whole", "purged")[int(p)]: int(n) for p, n in rows}


@pytest.fixture
def old(stack, workspace):
    """350 executions from 40 days ago, 250 from 10 days ago, 5 from now, each with every row that a run leaves behind."""
    w = workspace.put_workflow(PROGRAM)
    for n, (count, days) in enumerate(((350, 40), (250, 10), (5, 0.001))):
        insert(stack.sql, workspace.id, w, count, days_ago(days), seed=n, tags=("old",), keyed=True)
    return workspace


def keep(stack, workspace, **days):
    args = [a for name, value in days.items() for a in (f"--keep-{name}-days", value)]
    return stack.cli("workspace", "set", "--workspace", workspace.id, *args)


def test_retention_removes_payloads_first_and_rows_later(stack, old):
    client = old.client()
    usage = stack.sql(f"SELECT day, runs, used FROM credit_usage_daily WHERE workspace_id = '{old.id}' ORDER BY day")
    shown = keep(stack, old, payload=20)
    assert (shown["keep_payload_days"], shown["keep_rows_days"]) == (20, None)
    eventually(lambda: left(stack, old) == {"purged": 350, "whole": 255}, 20, "purge of the payloads from 40 days ago")
    shown = keep(stack, old, payload=5, rows=30)
    assert (shown["keep_payload_days"], shown["keep_rows_days"]) == (5, 30)
    eventually(lambda: left(stack, old) == {"purged": 250, "whole": 5}, 20, "removal of the rows from 40 days ago")
    for table in TABLES:
        assert stack.sql_one(f"SELECT COUNT(*) FROM {table} x LEFT JOIN executions e ON e.id = x.execution_id WHERE e.id IS NULL") == "0"
    whole = [json.loads(r[0]) for r in stack.sql(
        f"SELECT input FROM executions WHERE workspace_id = '{old.id}' AND input IS NOT NULL")]
    assert whole == [{"secret": "input"}] * 5
    assert stack.sql_one(f"SELECT COUNT(*) FROM idempotency_keys WHERE workspace_id = '{old.id}'") == "255"
    assert stack.sql_one(f"SELECT COUNT(*) FROM idempotency_keys WHERE workspace_id = '{old.id}' AND body IS NOT NULL") == "5"
    assert len(client.get("/executions?limit=100&tag=old").json()["executions"]) == 5
    assert stack.sql(f"SELECT day, runs, used FROM credit_usage_daily WHERE workspace_id = '{old.id}' ORDER BY day") == usage
    stack.sql(f"UPDATE accounts SET balance = (SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{old.id}') "
              f"WHERE workspace_id = '{old.id}'")
    audit(stack)
    assert (keep(stack, old, payload="default")["keep_payload_days"], keep(stack, old, rows=30)["keep_rows_days"]) == (None, 30)


def test_debit_without_execution_is_still_reported(stack, old):
    keep(stack, old, rows=30)
    eventually(lambda: left(stack, old) == {"whole": 255}, 20, "removal of the rows")
    run = stack.sql_one(f"SELECT MAX(id) FROM executions WHERE workspace_id = '{old.id}'")
    for table in (*TABLES, "executions"):
        stack.sql(f"DELETE FROM {table} WHERE {'id' if table == 'executions' else 'execution_id'} = '{run}'")
    code, out, _ = stack.cli("audit", check=False)
    assert code == 1 and run in out
    stack.sql(f"DELETE FROM credit_ledger WHERE id = '{run}'")


def test_retention_removes_trees_and_keeps_active_runs(stack, workspace):
    """The rows of a tree are removed with their links. Retention waits for runs that have not ended, and continues afterwards."""
    w = workspace.put_workflow(PROGRAM)
    insert(stack.sql, workspace.id, w, 20, days_ago(40), seed=1)
    insert(stack.sql, workspace.id, w, 1, days_ago(39), seed=2, state="2")
    # held by another executor with a current heartbeat; otherwise it would be found lost and executed
    stack.sql("INSERT INTO executors (host, pid, started_ms) VALUES ('elsewhere', 1, 1)")
    holder = stack.sql_one("SELECT MAX(id) FROM executors WHERE host = 'elsewhere'")
    stack.sql(f"UPDATE executions SET executor_id = {holder} WHERE workspace_id = '{workspace.id}' AND state = 2")

    def whole(rows):
        stack.sql(f"UPDATE executors SET beat = beat + 1 WHERE id = {holder}")
        return left(stack, workspace) == {"whole": rows}
    insert(stack.sql, workspace.id, w, 20, days_ago(38), seed=3)
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id")]
    for n, child in enumerate(ids[1:5]):
        stack.sql(f"UPDATE executions SET parent_id = '{ids[0]}', root_id = '{ids[0]}', depth = 1 WHERE id = '{child}'; UPDATE executions SET has_children = 1 WHERE id = '{ids[0]}'; "
                  f"INSERT INTO execution_children VALUES ('{ids[0]}', '{child}', '{ids[0]}', 0, {n}, 1)")
    keep(stack, workspace, rows=30)
    eventually(lambda: whole(21), 20, "removal of the first twenty")
    assert stack.sql_one(f"SELECT COUNT(*) FROM execution_children WHERE root_id = '{ids[0]}'") == "0"
    stack.sql(f"UPDATE executions SET state = 3, ended_ms = 1, executor_id = 0 WHERE id = '{ids[20]}'; "
              f"UPDATE retention SET due_ms = 0 WHERE workspace_id = '{workspace.id}'")
    eventually(lambda: left(stack, workspace) == {}, 20, "removal of all")


def test_invalid_retention_days_are_rejected(stack, workspace):
    for value in ("0", "-1", "x", "36501"):
        code, _, err = stack.cli("workspace", "set", "--workspace", workspace.id, "--keep-rows-days", value, check=False)
        assert code == 2 and "--keep-rows-days" in err
