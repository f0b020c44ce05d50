"""Purge by request and by retention: what is removed, what remains, what is returned afterwards; the ledger stays balanced."""
import hashlib
import json
import os
import uuid

import pytest
from blobs import blobs_of, ten_minutes_pass
from peers import mariadb
from rows import TABLES, days_ago, insert
from skills import Space, probe
from stack import eventually

SETTINGS = {"api.rate_limit_per_minute": "1000000"}
SECRET = "not-to-be-seen"
PROGRAM = {"inputs": {"type": "object"}, "steps": [{"name": "a", "type": "transform", "value": "${/inputs/word}"}]}
SLOW = {"steps": [{"name": "d", "type": "delay", "seconds": 3600}]}


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def purge(client, run):
    answer = client.delete(f"/executions/{run}")
    assert (answer.status_code, answer.content) == (204, b""), answer.text


def holds(stack, run, word):
    """The tables in which a row of this run contains the word."""
    found = []
    for table, columns in {"executions": "input, tags, metadata, extra, output, error, trace_state",
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
    trace = {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00", "tracestate": f"v={SECRET}"}
    answer = client.post(f"/workflows/{w}/run-async", headers={"Idempotency-Key": "k1", **trace},
                         json={"inputs": {"word": SECRET}, "tags": [SECRET], "metadata": {"m": SECRET}})
    run = answer.json()["execution_id"]
    before = client.finished(run)
    assert stack.sql_one(f"SELECT trace_state FROM executions WHERE id = '{run}'") == trace["tracestate"]
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
    for name in ("id", "status", "state", "createdAt", "startedAt", "endedAt", "creditsUsed", "workflow_id", "workflow_name", "trace_id"):
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


def put_blob(stack, text):
    """Bytes as a writer publishes them, without a row; (path, hash)"""
    digest = hashlib.sha256(text).hexdigest()
    path = blobs_of(stack) / digest[:2] / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text)
    return path, digest


def test_purge_removes_artifacts_and_logs(stack, workspace, client):
    """Blobs without references are unreachable at once, and deleted from the disk ten minutes later; a blob that another run refers to
    remains."""
    runs = [client.started(workspace.put_workflow(PROGRAM), {"word": 1}) for _ in range(2)]
    for run in runs:
        client.finished(run)
    names = {"own": b"only this run's", "shared": b"of both runs", "log": b"a log"}
    path, digest = ({n: put_blob(stack, t)[i] for n, t in names.items()} for i in (0, 1))
    for run, blobs in zip(runs, (("own", "shared"), ("shared",))):
        for name in blobs:
            stack.sql(f"INSERT INTO artifacts VALUES ('{run}', UUID(), 'outputs/{name}', 'text/plain', {len(names[name])}, "
                      f"UNHEX('{digest[name]}'))")
    stack.sql(f"INSERT INTO execution_usage (execution_id, input_tokens, log_sha256, log_size) VALUES ('{runs[0]}', 7, "
              f"UNHEX('{digest['log']}'), 5)")
    artifact = stack.sql_one(f"SELECT id FROM artifacts WHERE execution_id = '{runs[0]}' AND relpath LIKE '%own'")
    purge(client, runs[0])
    problem(client.get(f"/executions/{runs[0]}/artifacts/{artifact}"), 404, "not_found")
    assert client.get(f"/executions/{runs[0]}/logs").text == ""
    assert stack.sql(f"SELECT COUNT(*) FROM artifacts WHERE execution_id = '{runs[0]}'") == [["0"]]
    assert stack.sql(f"SELECT input_tokens, log_sha256, log_size FROM execution_usage WHERE execution_id = '{runs[0]}'") == \
        [["7", "NULL", "0"]]
    ten_minutes_pass(stack, *path.values())
    assert {n: p.exists() for n, p in path.items()} == {"own": False, "shared": True, "log": False}
    purge(client, runs[1])
    ten_minutes_pass(stack, *path.values())
    assert not path["shared"].exists()
    audit(stack)


def test_bytes_that_were_just_published_are_not_removed(stack):
    """Their row is about to be committed."""
    path, digest = put_blob(stack, b"just published")
    stack.sql(f"INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES (UNHEX('{digest}'), 14, 1, 1)")
    ten_minutes_pass(stack)
    assert path.exists()
    ten_minutes_pass(stack, path)
    assert not path.exists()


def test_a_removal_that_died_after_deleting_the_bytes_is_finished(stack):
    _, digest = put_blob(stack, b"a crash")
    stack.sql(f"INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES (UNHEX('{digest}'), 7, 1, 1)")
    blobs_of(stack).joinpath(digest[:2], digest).unlink()
    ten_minutes_pass(stack)
    assert stack.sql(f"SELECT 1 FROM blobs WHERE sha256 = UNHEX('{digest}')") == []


def test_a_file_that_is_uploaded_again_keeps_its_bytes(stack, client):
    text = b"deleted and uploaded again"
    digest = hashlib.sha256(text).hexdigest()
    path = blobs_of(stack) / digest[:2] / digest
    upload = {"files": {"files": ("again.txt", text)}}
    assert client.post("/files", **upload).status_code == 201
    assert client.delete("/files/again.txt").status_code == 204
    assert stack.sql(f"SELECT dead FROM blobs WHERE sha256 = UNHEX('{digest}')") == [["1"]]
    assert client.post("/files", **upload).status_code == 201
    ten_minutes_pass(stack, path)
    assert path.exists() and client.get("/files/again.txt").content == text
    assert client.delete("/files/again.txt").status_code == 204
    ten_minutes_pass(stack, path)
    assert not path.exists()
    problem(client.get("/files/again.txt"), 404, "not_found")


def test_the_sweep_compares_files_and_rows(stack, workspace, client):
    """Bytes without a row (their writer died) and rows without a name are removed; names without bytes are reported."""
    orphan, _ = put_blob(stack, b"a writer that died")
    unused, digest = put_blob(stack, b"named by nothing")
    stack.sql(f"INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES (UNHEX('{digest}'), 16, 0, 1)")
    text = b"bytes that get lost"
    lost, lost_digest = put_blob(stack, text)
    assert client.post("/files", files={"files": ("lost.txt", text)}).status_code == 201
    lost.unlink()
    hashes = f"UNHEX('{digest}'), UNHEX('{hashlib.sha256(b'a writer that died').hexdigest()}')"
    stack.until_upkeep("sweep_blobs", lambda: stack.sql_one(f"SELECT COUNT(*) FROM blobs WHERE dead = 1 AND sha256 IN ({hashes})") == "2", 40, "the sweep")
    eventually(lambda: f"blob.missing name={lost_digest[:2]}/{lost_digest}" in stack.log("executor"), 40, "the report of lost bytes")
    ten_minutes_pass(stack, orphan, unused)
    assert not orphan.exists() and not unused.exists()
    client.delete("/files/lost.txt")


def test_audit_finds_a_name_whose_blob_has_no_row(stack, client):
    assert client.post("/files", files={"files": ("a.txt", b"audited")}).status_code == 201
    digest = hashlib.sha256(b"audited").hexdigest()
    stack.sql(f"DELETE FROM blobs WHERE sha256 = UNHEX('{digest}')")
    code, out, _ = stack.cli("audit", check=False)
    assert code == 1 and "blob_row" in out and digest.upper() in out
    client.delete("/files/a.txt")


def test_equal_bytes_wait_for_no_lock(stack, workspace, client):
    """The row of a blob is shared by all workspaces. Whoever stores bytes that are in use already does not need its lock."""
    text = "what many runs leave behind"
    probe(workspace, f"open('outputs/same.txt', 'w').write({text!r})\nprint('{{}}')")
    space = Space(workspace, client)
    assert space.ran("probe")["state"] == "succeeded"
    with mariadb(stack.dir) as session:
        session(f"BEGIN; SELECT size FROM blobs WHERE sha256 = UNHEX('{hashlib.sha256(text.encode()).hexdigest()}') FOR UPDATE")
        run = space.ran("probe")
        assert run["state"] == "succeeded" and len(run["artifacts"]) == 1
        assert client.post("/files", files={"files": ("same.txt", text)}).status_code == 201
        session("ROLLBACK")
    client.delete("/files/same.txt")


def test_audit_compares_the_rows_of_blobs_with_the_files(stack, client):
    assert client.post("/files", files={"files": ("a.txt", b"bytes that get lost, too")}).status_code == 201
    digest = hashlib.sha256(b"bytes that get lost, too").hexdigest()
    path = blobs_of(stack) / digest[:2] / digest
    orphan, orphan_digest = put_blob(stack, b"a writer that died long ago")
    audit(stack)  # a young file may belong to a transaction that has not committed

    def violations():
        code, out, _ = stack.cli("audit", check=False)
        return {v["id"]: v["detail"] for v in json.loads(out)["violations"] if v["check"] == "blob_file"}
    os.utime(orphan, (1, 1))
    path.write_bytes(b"short")
    assert violations() == {f"{orphan_digest[:2]}/{orphan_digest}": "is a file without a row", f"{digest[:2]}/{digest}": "has 5 bytes, its row says 24"}
    orphan.unlink()
    path.unlink()
    assert violations() == {f"{digest[:2]}/{digest}": "is named by a row, but its file is missing"}
    client.delete("/files/a.txt")
    audit(stack)


LOGGER = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
while True:
    print("not-to-be-seen", file=sys.stderr, flush=True)
    time.sleep(0.05)
"""


def test_log_of_a_purged_run_is_empty_while_its_command_still_writes(workspace):
    """A stopped command has two seconds before it is killed."""
    probe(workspace, LOGGER)
    space = Space(workspace)
    run = space.started("probe")
    eventually(lambda: SECRET in space.logs(run), 20, "the log of the active run")
    assert space.client.post(f"/executions/{run}/stop").status_code == 200
    assert SECRET in space.logs(run)
    purge(space.client, run)
    assert space.logs(run) == ""


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
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{old.id}' AND number IS NULL") == "0", 60, "the sums")
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
    assert stack.sql(f"SELECT day, runs, used FROM credit_usage_daily WHERE workspace_id = '{old.id}' ORDER BY day") == usage != []
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
    """The rows of a tree are removed with their links. Retention skips runs that have not ended, and finds them after their end."""
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
    eventually(lambda: whole(1), 20, "removal of all but the active run")
    assert stack.sql_one(f"SELECT COUNT(*) FROM execution_children WHERE root_id = '{ids[0]}'") == "0"
    stack.sql(f"UPDATE executions SET state = 3, ended_ms = 1, executor_id = 0 WHERE id = '{ids[20]}'")
    look_again(stack, workspace)
    eventually(lambda: left(stack, workspace) == {}, 20, "removal of all")
    assert stack.sql_one(f"SELECT COUNT(*) FROM retention_skipped WHERE workspace_id = '{workspace.id}'") == "0"


def look_again(stack, workspace):
    """Makes the workspace and the runs that retention has skipped due."""
    stack.sql(f"UPDATE retention_skipped SET due_ms = 0 WHERE workspace_id = '{workspace.id}'; "
              f"UPDATE retention SET due_ms = 0 WHERE workspace_id = '{workspace.id}'")


def test_a_run_that_has_just_ended_keeps_its_row_and_its_keys_for_a_day(stack, workspace, client):
    """It was accepted 40 days ago and stopped now; the stop's Idempotency-Key lives 24 hours."""
    stack.stop_server("executor")
    insert(stack.sql, workspace.id, workspace.put_workflow(PROGRAM), 1, days_ago(40), state="1")
    run = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}'")
    stop = {"headers": {"Idempotency-Key": "stop"}}
    first = client.post(f"/executions/{run}/stop", **stop)
    assert first.status_code == 200, first.text
    keep(stack, workspace, rows=30)
    stack.start_server("executor")
    eventually(lambda: stack.sql(f"SELECT removes FROM retention_skipped WHERE execution_id = '{run}'") == [["1"]], 20, "the run was skipped")
    again = client.post(f"/executions/{run}/stop", **stop)
    assert (again.status_code, again.json(), again.headers["Idempotent-Replayed"]) == (200, first.json(), "true")
    stack.sql(f"UPDATE executions SET updated_ms = updated_ms - 86400000 WHERE id = '{run}'")
    look_again(stack, workspace)
    eventually(lambda: left(stack, workspace) == {}, 20, "removal a day after the end")


LARGE = 1200  # rows of each kind, more than one transaction changes


@pytest.fixture
def large(stack, workspace):
    """An ended run with 1,201 step rows, 1,203 events, 1,200 signals and 1,200 tickets for signals."""
    insert(stack.sql, workspace.id, workspace.put_workflow(PROGRAM), 1, days_ago(40), tags=("old",), keyed=True)
    run = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}'")
    stack.sql(f"""INSERT INTO execution_steps (execution_id, step, item, status, tries, started_ms, completed_ms, result, error)
                  SELECT '{run}', seq % 3 + 1, seq, 2, 1, 1, 1, '"secret step"', 'secret' FROM seq_1_to_{LARGE};
                  UPDATE events SET seq = seq + {LARGE} WHERE execution_id = '{run}' AND seq = 3;
                  INSERT INTO events SELECT '{run}', seq + 2, 4, 1, JSON_OBJECT('index', seq, 'secret', 1) FROM seq_1_to_{LARGE};
                  INSERT INTO signals (execution_id, seq, id, name, state, at_ms, sender, data)
                  SELECT '{run}', seq + 100, UUID(), 'go', 0, 1, '{{"secret": 1}}', '"secret"' FROM seq_1_to_{LARGE};
                  INSERT INTO signal_tickets (hash, id, workspace_id, execution_id, name, created_ms, expires_ms, open_until_ms, recipient)
                  SELECT UNHEX(SHA2(CONCAT('{run}', seq), 256)), UUID(), '{workspace.id}', '{run}', 'go', 1, 2, 2, 'secret' FROM seq_1_to_{LARGE};
                  UPDATE executions SET last_seq = last_seq + {LARGE} WHERE id = '{run}'""")
    return run


def erased(stack, run):
    return holds(stack, run, "secret") == [] and stack.sql(f"SELECT 1 FROM purges WHERE execution_id = '{run}'") == []


def test_purge_of_a_large_run_by_request(stack, client, large):
    purge(client, large)
    eventually(lambda: erased(stack, large), 20, "purge of all rows")
    assert stack.sql_one(f"SELECT COUNT(*) FROM execution_steps WHERE execution_id = '{large}'") == str(LARGE + 1)
    assert stack.sql_one(f"SELECT COUNT(*) FROM events WHERE execution_id = '{large}'") == str(LARGE + 3)
    assert stack.sql(f"SELECT COUNT(*), COUNT(data) FROM signals WHERE execution_id = '{large}' AND sender = '{{}}' AND seq > 100") == [[str(LARGE), "0"]]
    audit_of(stack, large)


def test_a_purge_that_was_cut_off_is_continued(stack, client, large):
    """What is left by a request that died shows in no response, and maintenance erases it."""
    stack.stop_server("executor")
    stack.sql(f"UPDATE executions SET purged_ms = 1, input = NULL, output = NULL, error = NULL, tags = NULL, metadata = NULL WHERE id = '{large}'; "
              f"UPDATE idempotency_keys SET body = NULL WHERE execution_id = '{large}'; "
              f"INSERT INTO purges (execution_id, removes, due_ms) VALUES ('{large}', 0, 0)")
    shown = client.get(f"/executions/{large}?include_step_results=true")
    assert shown.status_code == 200 and "secret" not in shown.text
    assert "secret" not in client.get(f"/executions/{large}/events", headers={"Accept": "application/json"}).text
    stack.start_server("executor")
    eventually(lambda: erased(stack, large), 20, "purge of all rows")


def test_retention_purges_and_removes_large_runs(stack, workspace, large):
    keep(stack, workspace, payload=20)
    eventually(lambda: left(stack, workspace) == {"purged": 1} and erased(stack, large), 20, "purge of all rows")
    keep(stack, workspace, rows=30)

    def gone():
        return left(stack, workspace) == {} and all(stack.sql_one(f"SELECT COUNT(*) FROM {t} WHERE execution_id = '{large}'") == "0" for t in TABLES)
    eventually(gone, 20, "removal of all rows")
    assert stack.sql(f"SELECT 1 FROM purges WHERE execution_id = '{large}'") == []


def audit_of(stack, run):
    code, out, _ = stack.cli("audit", check=False)
    assert run not in out, out


def test_a_workspace_that_fails_does_not_hold_up_the_others(stack, old):
    """A row that no transaction can remove: a table of another application refers to it."""
    other = stack.workspace()
    insert(stack.sql, other.id, other.put_workflow(PROGRAM), 10, days_ago(40), seed=7)
    victim = stack.sql_one(f"SELECT MIN(id) FROM executions WHERE workspace_id = '{old.id}'")
    stack.sql(f"CREATE TABLE obstacle (id UUID PRIMARY KEY, FOREIGN KEY (id) REFERENCES executions (id)) ENGINE=InnoDB; INSERT INTO obstacle VALUES ('{victim}')")
    try:
        keep(stack, old, rows=30)
        eventually(lambda: int(stack.sql_one(f"SELECT failures FROM retention WHERE workspace_id = '{old.id}'")) > 0, 20, "a failure")
        keep(stack, other, rows=30)
        eventually(lambda: left(stack, other) == {}, 20, "removal of the other workspace's runs")
        assert left(stack, old) == {"whole": 605}
    finally:
        stack.sql("DROP TABLE obstacle")
    stack.sql(f"UPDATE retention SET due_ms = 0 WHERE workspace_id = '{old.id}'")
    eventually(lambda: left(stack, old) == {"whole": 255}, 20, "removal after the obstacle")
    assert stack.sql_one(f"SELECT failures FROM retention WHERE workspace_id = '{old.id}'") == "0"


def test_invalid_retention_days_are_rejected(stack, workspace):
    for value in ("0", "-1", "x", "36501"):
        code, _, err = stack.cli("workspace", "set", "--workspace", workspace.id, "--keep-rows-days", value, check=False)
        assert code == 2 and "--keep-rows-days" in err
