"""Roll-up of the ledger: the rows of old months go, their sums stay, and every figure is what it was."""
import datetime
import json
import os
import random
import signal
import subprocess
import time
import uuid

import pytest
import rows
from stack import BIN, Effects, eventually

ONE_DAY = True
SETTINGS = {"billing.rollup_wait_days": "366", "push.outgoing_allow": "127.0.0.0/8", "executor.processes": "1"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
TABLES = rows.TABLES + ("purges", "waits", "execution_failures", "execution_charges")


def month_of(ms, ahead=0):
    at = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    number = 12 * at.year + at.month - 1 + ahead
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def start_of(month):
    return int(datetime.datetime.strptime(month, "%Y-%m").replace(tzinfo=datetime.timezone.utc).timestamp() * 1000)


def numbered(stack, workspace):
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND number IS NULL") == "0", 60, "the sums")


def forget_runs(stack, workspace):
    """What retention leaves of ended runs: the ledger."""
    known = {row[0] for row in stack.sql("SELECT table_name FROM information_schema.columns WHERE column_name = 'execution_id' AND table_schema = 'millrace'")}
    for table in set(TABLES) & known:
        stack.sql_long(f"DELETE t FROM {table} t JOIN executions e ON e.id = t.execution_id WHERE e.workspace_id = '{workspace.id}'")
    stack.sql_long(f"DELETE FROM executions WHERE workspace_id = '{workspace.id}'; "
                   f"INSERT INTO retention (workspace_id, removed_to, due_ms) VALUES ('{workspace.id}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 9000000000000000) "
                   "ON DUPLICATE KEY UPDATE removed_to = VALUES(removed_to)")


def with_history(stack, days, n, span_days, credits=100, flows=2):
    """A workspace with n old runs and their ledger, which is in the sums."""
    workspace = stack.workspace(credits=credits)
    for i in range(flows):
        flow = workspace.put_workflow(PROGRAM, f"flow {i}")
        rows.insert(stack.sql_long, workspace.id, flow, n // flows, rows.days_ago(days), span_days * rows.DAY_MS // (n // flows), seed=i, cost=1000001)
    numbered(stack, workspace)
    return workspace


def roll_up(stack, workspace, before="2199-01"):
    return stack.cli("billing", "roll-up", "--before", before, "--workspace", workspace.id)


def old_rows(stack, workspace, before_ms):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' "
                             f"AND CONV(LEFT(REPLACE(CAST(id AS CHAR), '-', ''), 12), 16, 10) < {before_ms}"))


def figures(stack, workspace, client, days, months):
    """Everything that is shown of the months."""
    shown = {}
    for month in months:
        shown[month] = [stack.cli("billing", "statement", "--month", month, "--workspace", workspace.id),
                        [s for s in stack.cli("billing", "statement", "--month", month) if s["workspace_id"] == workspace.id],
                        stack.cli("billing", "export", "--month", month, "--workspace", workspace.id),
                        client.get("/credits/statement", params={"month": month}).json()]
    midnight = rows.days_ago(days) // rows.DAY_MS * rows.DAY_MS
    for group in ("day", "responder", "key"):
        for first, last in ((0, 300), (3, 20), (40, 41)):
            ends = [datetime.datetime.fromtimestamp((midnight + d * rows.DAY_MS) / 1000, datetime.timezone.utc).strftime("%Y-%m-%d") for d in (first, last)]
            answer = client.get("/credits/usage", params={"from": ends[0], "to": ends[1], "group_by": group})
            assert answer.status_code == 200, answer.text
            shown[group, first] = answer.json()
    shown["views"] = [stack.sql(f"SELECT * FROM {view} WHERE workspace_id = '{workspace.id}' ORDER BY 1, 2, 3, 4, 5") for view in ("credit_usage_daily", "credit_statement_monthly")]
    shown["grants"] = client.get("/credits/grants").json()
    shown["balance"] = client.get("/credits").json()
    return shown


def audit(stack, *names):
    """The violations of an audit by check."""
    code, out, _ = stack.cli("audit", check=False)
    answer = json.loads(out)
    found = {v["check"] for v in answer["violations"]}
    return found if not names else found & set(names)


@pytest.fixture(scope="module")
def history(stack):
    return with_history(stack, 400, 1200, 75)


def test_a_month_is_not_rolled_up_while_an_execution_remains(stack, history):
    before = int(stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{history.id}'"))
    assert roll_up(stack, history) == []
    assert int(stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{history.id}'")) == before


def test_every_figure_is_the_same_afterwards(stack, history):
    client = history.client()
    months = [month_of(rows.days_ago(400), ahead) for ahead in range(4)] + [month_of(rows.days_ago(0))]
    forget_runs(stack, history)
    before = figures(stack, history, client, 400, months)
    n = old_rows(stack, history, rows.days_ago(300))
    total = int(stack.sql_one(f"SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{history.id}'"))
    assert n == 1202 and audit(stack) == set()
    done = roll_up(stack, history, month_of(rows.days_ago(400), 1))
    assert [r["month"] for r in done] == [months[0]] and done[0]["state"] == "done" and done[0]["pushed"]
    assert figures(stack, history, client, 400, months) == before and audit(stack) == set()
    done = roll_up(stack, history)
    assert sum(r["entries"] for r in done) == n and [r["month"] for r in done] == sorted(r["month"] for r in done) and len(done) >= 3
    assert len({r["checksum"] for r in done}) == len(done)
    assert old_rows(stack, history, rows.days_ago(300)) == 0
    assert figures(stack, history, client, 400, months) == before
    left = int(stack.sql_one(f"SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{history.id}'"))
    assert left + sum(round(r["credits"] * 1000000) for r in done) == total
    assert audit(stack) == set()
    assert roll_up(stack, history) == done, "nothing is left to do"
    # the current month is never rolled up
    assert client.get("/credits").json()["balance"] == 100


def test_the_ledger_ends_where_it_was_rolled_up(stack, history):
    client = history.client()
    done = stack.cli("billing", "rolled-up", "--workspace", history.id)
    page = client.get("/credits/ledger").json()
    assert [e["kind"] for e in page["entries"]] == ["grant"] and page["next_cursor"] is None and not page["has_more"]
    ends = datetime.datetime.fromisoformat(page["rolled_up_before"]).timestamp() * 1000
    assert ends == start_of(month_of(start_of(done[-1]["month"]), 1))
    other = stack.workspace(credits=1).client()
    assert other.get("/credits/ledger").json()["rolled_up_before"] is None
    # only whole days are known of what is rolled up
    day = datetime.datetime.fromtimestamp(rows.days_ago(390) / 1000, datetime.timezone.utc).strftime("%Y-%m-%d")
    for query in ({"from": f"{day}T12:00:00Z", "to": f"{day}T23:00:00Z"}, {"from": day, "to": f"{day}T23:00:00Z"}):
        answer = client.get("/credits/usage", params=query)
        assert answer.status_code == 400 and "midnight" in answer.text


def test_the_audit_proves_the_chain(stack, history):
    of = f"workspace_id = '{history.id}'"
    harm = ((f"UPDATE ledger_rollup_sums SET amount = amount + 1 WHERE {of} ORDER BY day LIMIT 1", f"UPDATE ledger_rollup_sums SET amount = amount - 1 WHERE {of} ORDER BY day LIMIT 1"),
            (f"UPDATE ledger_rollups SET checksum = REVERSE(checksum) WHERE {of} ORDER BY month LIMIT 1",) * 2,
            (f"INSERT INTO ledger_rollup_budgets SELECT workspace_id, month, UUID(), 0, 0 FROM ledger_rollups WHERE {of} ORDER BY month LIMIT 1",
             f"DELETE FROM ledger_rollup_budgets WHERE {of}"))
    for break_it, mend_it in harm:
        stack.sql(break_it)
        assert "roll_up_chain" in audit(stack), break_it
        stack.sql(mend_it)
        assert audit(stack) == set()
    # two days change places: all totals stay, the chain does not
    days = [row[0] for row in stack.sql(f"SELECT DISTINCT day FROM ledger_rollup_sums WHERE {of} AND kind = 2 ORDER BY day LIMIT 2")]
    swap = (f"UPDATE ledger_rollup_sums SET amount = amount + 5 WHERE {of} AND day = {days[0]} AND kind = 2 LIMIT 1; "
            f"UPDATE ledger_rollup_sums SET amount = amount - 5 WHERE {of} AND day = {days[1]} AND kind = 2 LIMIT 1")
    stack.sql(swap)
    assert audit(stack, "roll_up_chain") == {"roll_up_chain"} and audit(stack, "balance", "roll_up", "ledger_sums") == set()
    stack.sql(swap.replace("+ 5", "+ 0").replace("- 5", "+ 5").replace("+ 0", "- 5"))
    assert audit(stack) == set()


def test_a_budget_and_a_reference_outlive_their_rows(stack):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    stack.cli("budget", "set", "--workspace", workspace.id, "--scope", "workspace", "--period", "total", "--limit", 50)
    client.finished(client.started(workspace.put_workflow(PROGRAM)))
    correction = ("credits", "grant", "--workspace", workspace.id, "--credits", "-7", "--reason", "wrong", "--reference", "c-1")
    stack.cli(*correction)
    numbered(stack, workspace)
    forget_runs(stack, workspace)
    of = f"workspace_id = '{workspace.id}'"
    # everything happened two years ago
    old = rows.days_ago(730)
    for n, (id, kind) in enumerate(stack.sql(f"SELECT id, kind FROM credit_ledger WHERE {of}")):
        hex = f"{old + n:012x}"
        new = f"{hex[:8]}-{hex[8:]}-7000-8000-{uuid.uuid4().hex[:12]}"
        stack.sql(f"UPDATE credit_ledger SET id = '{new}', execution_id = IF(kind = 2, '{new}', NULL) WHERE {of} AND id = '{id}'; "
                  f"UPDATE credit_references SET ledger_id = '{new}' WHERE {of} AND ledger_id = '{id}'")
    used = client.get("/budgets").json()["budgets"][0]["used"]
    assert used == 1 and audit(stack) == set()
    done, = roll_up(stack, workspace)
    assert done["entries"] == 3 and old_rows(stack, workspace, rows.days_ago(100)) == 0 and audit(stack) == set()
    assert client.get("/budgets").json()["budgets"][0]["used"] == used
    again = stack.cli(*correction)
    assert client.get("/credits").json()["balance"] == 92 and again
    code, _, error = stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "-8", "--reason", "wrong", "--reference", "c-1", check=False)
    assert code == 1 and "c-1" in error
    assert audit(stack) == set()


def test_a_late_row_belongs_to_the_next_month(stack):
    workspace = with_history(stack, 800, 20, 2, flows=1)
    forget_runs(stack, workspace)
    first, *_ = roll_up(stack, workspace)
    hex = f"{rows.days_ago(801):012x}"
    row = f"{hex[:8]}-{hex[8:]}-7000-8000-00000000abcd"
    grant = stack.sql_one(f"SELECT id FROM credit_grants WHERE workspace_id = '{workspace.id}' LIMIT 1")
    stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, reason, grant_id) VALUES ('{workspace.id}', '{row}', 1, 0, 'late', '{grant}')")
    numbered(stack, workspace)
    done = roll_up(stack, workspace)
    assert done[0] == first and done[-1]["month"] > first["month"] and done[-1]["entries"] == 1 and audit(stack) == set()


def test_a_run_that_came_after_the_beginning_keeps_its_debit(stack):
    """A month was begun when none of its executions existed; one was committed later, by a host whose clock was wrong."""
    workspace = with_history(stack, 900, 20, 1, flows=1)
    of = f"workspace_id = '{workspace.id}'"
    kept = stack.sql_one(f"SELECT id FROM executions WHERE {of} ORDER BY id LIMIT 1")
    stack.sql_long(f"UPDATE executions SET workspace_id = '{uuid.uuid4()}' WHERE id = '{kept}'")
    forget_runs(stack, workspace)
    stack.sql(f"UPDATE executions SET workspace_id = '{workspace.id}' WHERE id = '{kept}'")
    month = month_of(rows.days_ago(900))
    number = 12 * int(month[:4]) + int(month[5:]) - 1
    hex = f"{start_of(month_of(rows.days_ago(900), 1)):012x}"
    stack.sql(f"INSERT INTO ledger_rollups (workspace_id, month, state, before_id, begun_ms) VALUES ('{workspace.id}', {number}, 1, '{hex[:8]}-{hex[8:]}-0000-0000-000000000000', 1)")
    eventually(lambda: any(r["month"] == month and r["state"] == "done" for r in roll_up(stack, workspace)), 60, "the end of the month")
    assert stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE {of} AND id = '{kept}'") == "1", "its end needs it"
    assert audit(stack) == set()


def seconds_of(do):
    began = time.monotonic()
    do()
    return time.monotonic() - began


def test_killed_at_any_moment_it_goes_on_exactly(stack):
    other, workspace = (with_history(stack, 500, 6000, 60, flows=1) for _ in range(2))
    for one in (other, workspace):
        forget_runs(stack, one)
    # At first a command gets a twentieth of the time that the whole takes here. The machine may have more or less to do from one moment to the
    # next, so what a command has done says how long the next one gets: several are killed in the middle.
    whole, start = (seconds_of(lambda: roll_up(stack, other)) for _ in range(2))
    of = f"workspace_id = '{workspace.id}'"
    month = month_of(rows.days_ago(500))
    before = stack.cli("billing", "statement", "--month", month, "--workspace", workspace.id)
    total, n = (int(x) for x in stack.sql(f"SELECT SUM(amount), COUNT(*) FROM credit_ledger WHERE {of}")[0])
    command = [BIN / "millrace", "--json", "billing", "roll-up", "--before", "2199-01", "--workspace", workspace.id]
    chance, killed, done = random.Random(7), 0, False
    slice_s, gone_before = max(whole - start, 0.02) / 20, 0
    until = time.monotonic() + 60
    while not done and time.monotonic() < until:
        process = subprocess.Popen(command, env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            process.wait(start + chance.uniform(-0.4, 1) * slice_s)
            done = process.returncode == 0
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
        # one statement: what was killed may have sent a COMMIT that MariaDB carries out now
        left, rest, sums, gone = (int(x) for x in stack.sql(
            f"SELECT l.amount, l.n, s.amount, s.n FROM (SELECT COALESCE(SUM(amount), 0) AS amount, COUNT(*) AS n FROM credit_ledger WHERE {of}) l, "
            f"(SELECT COALESCE(SUM(amount), 0) AS amount, COALESCE(SUM(n), 0) AS n FROM ledger_rollup_sums WHERE {of}) s")[0])
        assert (left + sums, rest + gone) == (total, n), "each row is in the ledger or in the sums, once"
        slice_s *= 0.5 if gone - gone_before > n / 8 else 1.2 if gone == gone_before else 1
        gone_before = gone
    # the server may still hold the lock of a command that was killed
    eventually(lambda: all(r["state"] == "done" for r in roll_up(stack, workspace)) and old_rows(stack, workspace, rows.days_ago(300)) == 0, 30, "the end")
    assert killed > 3
    assert stack.cli("billing", "statement", "--month", month, "--workspace", workspace.id) == before and audit(stack) == set()


def test_a_destination_that_lags_holds_it_back_for_a_time(stack):
    receiver = Effects()
    stack.cli("push", "add", "slow", "--url", receiver.url + "/in", "--from-start")
    stack.cli("push", "pause", "slow")
    try:
        young, ancient = with_history(stack, 200, 20, 5, flows=1), with_history(stack, 700, 20, 5, flows=1)
        for workspace in (young, ancient):
            forget_runs(stack, workspace)
        assert roll_up(stack, young) == [], "billing.rollup_wait_days have not passed"
        assert not any(r["pushed"] for r in roll_up(stack, ancient)), "they have passed"
        stack.cli("push", "resume", "slow")
        eventually(lambda: stack.cli("push", "list")[0]["lag_rows"] == 0, 60, "the push")
        done = roll_up(stack, young)
        assert done and all(r["pushed"] and r["state"] == "done" for r in done) and audit(stack) == set()
    finally:
        stack.cli("push", "remove", "slow")
        receiver.close()


def test_months_are_checked(stack):
    for args in (("--before", "2020-13"), ("--before", "x"), ()):
        assert stack.cli("billing", "roll-up", *args, check=False)[0] == 2
