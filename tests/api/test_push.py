"""Usage push: destinations get every row of the ledger at least once, as CloudEvents with the same id, whatever they answer and whoever dies."""
import base64
import collections
import hashlib
import hmac
import json
import uuid

import pytest
import requests
from stack import Effects, eventually

SETTINGS = {"push.outgoing_allow": "127.0.0.0/8", "push.timeout_s": "2", "push.pause_max_s": "1", "executor.processes": "2"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
KINDS = {"1": "grant", "2": "debit", "3": "refund", "4": "expiry", "5": "void"}


@pytest.fixture
def receiver():
    server = Effects()
    yield server
    server.close()


@pytest.fixture
def name(stack):
    """A name for a destination, which is removed after the test."""
    name = f"d-{uuid.uuid4().hex[:8]}"
    yield name
    stack.cli("push", "remove", name, check=False)


def add(stack, name, url, *options):
    return stack.cli("push", "add", name, "--url", url, *options)


def shown(stack, name):
    return next(row for row in stack.cli("push", "list") if row["name"] == name)


def events(receiver, path="/in"):
    return [event for call in receiver.to(path) for event in json.loads(call["body"])]


def await_events(receiver, ids, path="/in", seconds=40):
    def check():
        got = {e["id"] for e in events(receiver, path)}
        return ids <= got
    eventually(check, seconds, f"{len(ids)} events")


def ledger(stack, workspace):
    return {row[0]: row[1:] for row in stack.sql(f"SELECT id, kind, amount, execution_id FROM credit_ledger WHERE workspace_id = '{workspace.id}'")}


def run(workspace, n=1):
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    return [client.started(workflow) for _ in range(n)]


def test_each_row_is_an_event_with_the_id_of_the_row(stack, receiver, name, tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret-token\n")
    made = add(stack, name, receiver.url + "/in", "--bearer-file", str(token))
    assert stack.sql_one(f"SELECT kinds FROM pushes WHERE name = '{name}'") == str(2 ** 32 - 1) and made["all_kinds"] is True
    assert made["auth"] == "bearer" and set(made["kinds"].split(",")) >= {"grant", "debit", "refund", "expiry", "void"}
    workspace = stack.workspace(credits=100)
    run(workspace, 3)
    rows = ledger(stack, workspace)
    await_events(receiver, set(rows))
    mine = {e["id"]: e for e in events(receiver) if e["subject"] == workspace.id}
    assert set(mine) == set(rows)
    for id, (kind, amount, execution) in rows.items():
        event = mine[id]
        assert (event["specversion"], event["source"], event["datacontenttype"]) == ("1.0", "/millrace/ledger", "application/json")
        assert event["type"] == ("millrace.usage" if kind in ("2", "3") else "millrace.balance") and event["time"].endswith("Z")
        data = event["data"]
        assert data["kind"] == KINDS[kind] and round(data["credits"] * 1000000) == int(amount) and data["workspace"] == "test"
        assert sum(round(g["credits"] * 1000000) for g in data["grants"]) == int(amount)
        if kind == "2":
            assert data["used"] == -data["credits"] and data["execution_id"] == execution == id and data["responder"] == "test" and data["key_prefix"]
        else:
            assert "used" not in data and data["reason"] == "test"
    call = receiver.to("/in")[0]
    assert call["headers"]["content-type"] == "application/cloudevents-batch+json" and call["headers"]["authorization"] == "Bearer s3cret-token"
    assert b"s3cret-token" not in stack.sql_one(f"SELECT HEX(sealed) FROM pushes WHERE name = '{name}'").encode()
    state = eventually(lambda: (lambda s: s["lag_rows"] == 0 and s)(shown(stack, name)), 20, "nothing is left to send")
    assert state["state"] == "active" and state["sent_rows"] >= len(rows) and state["sent_at"] and state["error"] is None


def test_kinds_a_signature_and_the_start_are_chosen(stack, receiver, name, tmp_path):
    workspace = stack.workspace(credits=100)
    run(workspace, 2)
    secret = tmp_path / "secret"
    raw = b"k" * 32
    secret.write_text("whsec_" + base64.b64encode(raw).decode())
    add(stack, name, receiver.url + "/in", "--kinds", "debit,refund", "--signing-file", str(secret), "--from-start")
    debits = {id for id, row in ledger(stack, workspace).items() if row[0] == "2"}
    await_events(receiver, debits)
    assert {e["data"]["kind"] for e in events(receiver)} <= {"debit", "refund"}
    for call in receiver.to("/in"):
        sent = call["headers"]
        content = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + call["body"]
        assert sent["webhook-signature"] == "v1," + base64.b64encode(hmac.new(raw, content, hashlib.sha256).digest()).decode()
    later = f"{name}-b"
    try:
        eventually(lambda: shown(stack, name)["lag_rows"] == 0, 20, "all is numbered and sent")
        add(stack, later, receiver.url + "/later")
        more = set(run(workspace))
        await_events(receiver, more, "/later")
        assert not debits & {e["id"] for e in events(receiver, "/later")}, "what was in the ledger before is not sent"
    finally:
        stack.cli("push", "remove", later)


@pytest.mark.parametrize("from_start", [False, True])
def test_the_first_destination_finds_a_ledger_without_numbers(stack, receiver, name, from_start):
    """Rows get numbers only while there is a destination. The first one gets what it wants of those that came before, however many they are."""
    assert stack.cli("push", "list") == []
    workspace = stack.workspace(credits=1000)
    workflow = workspace.put_workflow(PROGRAM)
    for _ in range(5):
        answer = workspace.client().post(f"/workflows/{workflow}/run-batch", json={"items": [{}] * 90})
        assert answer.status_code == 200 and {r["status"] for r in answer.json()["results"]} == {202}, answer.text
    before = set(ledger(stack, workspace))
    unnumbered = f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND number = -9223372036854775808"
    assert len(before) == 451 and stack.sql_one(unnumbered) == "451"
    add(stack, name, receiver.url + "/in", *["--from-start"] * from_start)
    assert stack.sql_one(unnumbered) == "0"
    later = set(run(workspace, 2))
    await_events(receiver, later | (before if from_start else set()))
    assert (before & {e["id"] for e in events(receiver)}) == (before if from_start else set())
    assert stack.cli("audit")["violations"] == []


def test_a_destination_is_added_when_rows_of_an_older_program_in_many_workspaces_are_in_the_sums(stack, name):
    """Such rows have no number (NULL) and are in no sum. A transaction adds at most 200 of them, of at most 64 workspaces: `push add` goes on until
    one finds none, however many rows the one before added."""
    workspaces = [stack.workspace(credits=1) for _ in range(72)]  # the first 200 rows are those of 67 workspaces
    for workspace in workspaces:
        workspace.grant(2)
        workspace.grant(3)
    of = f"WHERE workspace_id IN ({', '.join(repr(workspace.id) for workspace in workspaces)})"
    sums = f"SELECT workspace_id, kind, SUM(n), SUM(amount) FROM {{}} {of} GROUP BY workspace_id, kind"
    want = sorted([workspace.id, "1", "3", "6000000"] for workspace in workspaces)
    stack.stop_server("executor")  # its tasks would add and number the rows, too
    try:
        stack.sql(f"START TRANSACTION; UPDATE credit_ledger SET number = NULL {of}; DELETE FROM credit_sums {of}; DELETE FROM credit_months {of}; COMMIT")
        add(stack, name, "http://127.0.0.1:9/")
        assert stack.sql(f"SELECT COUNT(*), SUM(number IS NULL), SUM(number > 0) FROM credit_ledger {of}") == [["216", "0", "216"]]
        assert sorted(stack.sql(sums.format("credit_sums"))) == sorted(stack.sql(sums.format("credit_months"))) == want
        assert stack.cli("audit")["violations"] == []
    finally:
        stack.start_server("executor")


@pytest.mark.parametrize("args", [
    ("--url", "ftp://x/"), ("--url", "http://u:p@x/"), ("--url", "http://x/", "--kinds", "debit,unknown"), ("--url", "http://x/", "--kinds", ""), ()])
def test_wrong_destinations_are_refused(stack, args):
    code, _, error = stack.cli("push", "add", "wrong", *args, check=False)
    assert code == 2 and error


def test_names_are_unique_and_unknown_ones_are_told(stack, receiver, name, tmp_path):
    add(stack, name, receiver.url + "/in")
    assert stack.cli("push", "add", name, "--url", receiver.url, check=False)[0] == 1
    for verb in ("pause", "resume", "retry", "remove"):
        code, _, error = stack.cli("push", verb, "nobody", check=False)
        assert code == 1 and "nobody" in error
    short = tmp_path / "short"
    short.write_text("ab\n")
    for option in ("--bearer-file", "--signing-file"):
        assert stack.cli("push", "add", "other", "--url", receiver.url, option, str(short), check=False)[0] == 1


def test_a_failing_destination_gets_everything_later_and_delays_no_other(stack, receiver, name):
    receiver.answer("/broken", status=500, times=2)
    receiver.answer("/broken", status=429, headers={"Retry-After": "2"}, times=1)
    receiver.answer("/broken", status=307, headers={"Location": receiver.url + "/elsewhere"}, times=1)
    receiver.answer("/broken", status=404, times=1)
    receiver.answer("/broken", delay=3, times=1)  # longer than push.timeout_s
    other = f"{name}-b"
    dead = f"{name}-dead"
    add(stack, name, receiver.url + "/broken")
    add(stack, dead, "http://127.0.0.1:9/")
    try:
        add(stack, other, receiver.url + "/in")
        workspace = stack.workspace(credits=100)
        run(workspace, 3)
        rows = set(ledger(stack, workspace))
        await_events(receiver, rows)
        assert shown(stack, name)["lag_rows"] > 0, "the other destination did not wait for this one"
        failing = eventually(lambda: (lambda s: s["failures"] > 0 and s)(shown(stack, dead)), 20, "a failure")
        assert failing["state"] == "failing" and failing["failing_since"] and failing["error"] and failing["lag_seconds"] >= 0
        eventually(lambda: receiver.count("/broken") >= 7, 60, "the tries")
        eventually(lambda: shown(stack, name)["lag_rows"] == 0, 40, "everything was sent")
        calls = receiver.to("/broken")
        assert calls[3]["at"] - calls[2]["at"] >= 1.9, "Retry-After"
        bodies = {frozenset(e["id"] for e in json.loads(c["body"])) for c in calls[:7]}
        assert all(rows & ids for ids in bodies) and rows <= set().union(*bodies)
        assert [c for c in receiver.to("/in") if c["headers"].get("authorization")] == []
        assert receiver.count("/elsewhere") == 0, "the redirect was not followed"
        assert shown(stack, name)["state"] == "active" and shown(stack, name)["error"] is None
    finally:
        stack.cli("push", "remove", other)
        stack.cli("push", "remove", dead)


def test_what_is_rejected_is_set_aside_and_sent_again_by_request(stack, receiver, name):
    add(stack, name, receiver.url + "/picky")
    receiver.answer("/picky", status=400, body={"error": "unknown customer"})
    workspace = stack.workspace(credits=100)
    run(workspace, 2)
    rows = set(ledger(stack, workspace))
    aside = eventually(lambda: (lambda s: s["lag_rows"] == 0 and s["set_aside"] >= len(rows) and s)(shown(stack, name)), 40, "rows are set aside")
    assert aside["status"] == 400 and "400" in aside["error"]
    answer, = {row[0] for row in stack.sql(f"SELECT a.answer FROM pushes_aside a JOIN pushes p ON p.id = a.push_id WHERE p.name = '{name}'")}
    assert json.loads(answer) == {"error": "unknown customer"}
    receiver.rules.pop("/picky")
    before = receiver.count("/picky")
    later = set(run(workspace))
    eventually(lambda: later <= {e["id"] for c in receiver.to("/picky")[before:] for e in json.loads(c["body"])}, 40, "what comes later is sent")
    assert shown(stack, name)["set_aside"] == aside["set_aside"]
    stack.cli("push", "retry", name)
    eventually(lambda: shown(stack, name)["set_aside"] == 0, 40, "nothing is set aside")
    again = {e["id"] for c in receiver.to("/picky")[before:] for e in json.loads(c["body"])}
    assert rows <= again


def test_a_paused_destination_goes_on_where_it_stopped(stack, receiver, name):
    add(stack, name, receiver.url + "/in")
    stack.cli("push", "pause", name)
    workspace = stack.workspace(credits=100)
    run(workspace)
    rows = set(ledger(stack, workspace))
    eventually(lambda: shown(stack, name)["lag_rows"] >= len(rows), 20, "rows wait")
    assert shown(stack, name)["state"] == "paused" and receiver.count("/in") == 0
    stack.cli("push", "resume", name)
    await_events(receiver, rows)


def test_a_killed_executor_loses_no_row_and_changes_no_id(stack, receiver, name):
    """The receiver holds its answer while the executor that waits for it is killed: another one, or the next, sends the rows again."""
    add(stack, name, receiver.url + "/in")
    workspace = stack.workspace(credits=1000)
    client, workflow = workspace.client(), workspace.put_workflow(PROGRAM)
    for _ in range(3):
        release = receiver.hold("/in")
        before = receiver.count("/in")
        client.started(workflow)
        receiver.wait_for("/in", before + 1, 40)
        stack.kill_server("executor", with_children=True)
        stack.start_server("executor")
        release()
    rows = set(ledger(stack, workspace))
    await_events(receiver, rows, seconds=60)
    eventually(lambda: shown(stack, name)["lag_rows"] == 0, 60, "everything was sent")
    sent = collections.Counter(e["id"] for e in events(receiver) if e["subject"] == workspace.id)
    assert set(sent) == rows and max(sent.values()) > 1, "something was sent again, and nothing has another id"


def test_rows_of_a_kind_of_a_later_version_are_left_to_it(stack, receiver, name):
    """The cursor stops before them, and what comes later waits."""
    add(stack, name, receiver.url + "/in")
    few = f"{name}-few"
    add(stack, few, receiver.url + "/few", "--kinds", "debit")
    workspace = stack.workspace(credits=100)
    first = set(run(workspace))
    await_events(receiver, first)
    row = str(uuid.uuid4())
    stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount) VALUES ('{workspace.id}', '{row}', 200, 1)")
    number = f"SELECT number FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND id = '{row}'"
    try:
        eventually(lambda: stack.sql_one(number) != "NULL", what="the row is in the sums")
        later = set(run(workspace))
        await_events(receiver, later, "/few")
        stack.logged("executor", "push.left")
        assert not (later | {row}) & {e["id"] for e in events(receiver)} and shown(stack, name)["lag_rows"] >= 2
        assert int(stack.sql_one(f"SELECT number FROM pushes WHERE name = '{name}'")) < int(stack.sql_one(number))
        shown_as = requests.get(f"{stack.url}/api/v1/credits/ledger", headers={"Authorization": f"Bearer {workspace.key()['key']}"}, timeout=60).json()
        assert {e["kind"] for e in shown_as["entries"]} == {"grant", "debit", "unknown"}
        stack.sql(f"UPDATE credit_ledger SET kind = 1 WHERE workspace_id = '{workspace.id}' AND id = '{row}'")  # as if this executor were of that version
        await_events(receiver, later | {row})
    finally:
        stack.sql(f"DELETE FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND id = '{row}'")
        stack.cli("push", "remove", few)


def test_a_destination_of_a_later_version_gets_nothing(stack, receiver, name):
    add(stack, name, receiver.url + "/in")
    stack.sql(f"UPDATE pushes SET auth = 9 WHERE name = '{name}'")
    other = f"{name}-b"
    add(stack, other, receiver.url + "/other")
    try:
        workspace = stack.workspace(credits=100)
        rows = set(run(workspace))
        await_events(receiver, rows, "/other")
        stack.logged("executor", "push.left")
        assert receiver.count("/in") == 0
        stack.sql(f"UPDATE pushes SET auth = 0 WHERE name = '{name}'")
        await_events(receiver, rows)
    finally:
        stack.cli("push", "remove", other)
