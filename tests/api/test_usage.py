"""Credits for callers and billing: balance, usage by day, responder and key as JSON and CSV, the ledger by cursor, the operators'
export, the views of the billing user. All sums equal the ledger to the micro-credit."""
import concurrent.futures
import csv
import datetime
import io
import json
import os
import re
import subprocess
import uuid
import zoneinfo
from decimal import Decimal

import pytest
from stack import BIN, eventually

ONE_DAY = True
SETTINGS = {"api.rate_limit_per_minute": "10000000"}
ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
N = 100000
MONTH_MS = int(datetime.datetime(2024, 2, 1, tzinfo=datetime.timezone.utc).timestamp() * 1000)
RANGE = {"from": "2024-02-01", "to": "2024-03-01"}
OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")


def problem(answer, status, code="invalid_request"):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def exact(answer):
    assert answer.status_code == 200, answer.text
    return json.loads(answer.text, parse_float=Decimal, parse_int=Decimal)


@pytest.fixture(scope="module")
def books(stack):
    """100,000 ledger rows in February 2024: debits of odd amounts by 5 responders and 3 keys; every seventh is refunded later."""
    workspace = stack.workspace(credits=0)
    responders, keys = ([str(uuid.uuid4()) for _ in range(n)] for n in (5, 3))
    pick = lambda ids: "ELT(1 + seq %% %d, %s)" % (len(ids), ", ".join(f"'{i}'" for i in ids))  # noqa: E731
    stack.sql(f"""
      CREATE TEMPORARY TABLE made (seq BIGINT PRIMARY KEY, id UUID, refund UUID, amount BIGINT) AS
        SELECT seq, CAST(CONCAT(LEFT(a, 8), '-', RIGHT(a, 4), '-7000-8000-', LPAD(HEX(seq), 12, '0')) AS UUID) AS id,
          CAST(CONCAT(LEFT(b, 8), '-', RIGHT(b, 4), '-7000-9000-', LPAD(HEX(seq), 12, '0')) AS UUID) AS refund,
          1 + seq * 7919 % 3000017 AS amount
        FROM (SELECT seq, LPAD(HEX({MONTH_MS} + seq * 28000), 12, '0') AS a,
                     LPAD(HEX({MONTH_MS} + seq * 28000 + 90000), 12, '0') AS b FROM seq_1_to_87500) AS s;
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, reason)
        SELECT '{workspace.id}', CAST('018d6000-0000-7000-8000-000000000000' AS UUID), 1, SUM(amount), 'for February' FROM made;
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id)
        SELECT '{workspace.id}', id, 2, -amount, id, {pick(responders)}, IF(seq % 4 = 3, NULL, {pick(keys)}) FROM made;
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id)
        SELECT '{workspace.id}', refund, 3, amount, id, {pick(responders)}, IF(seq % 4 = 3, NULL, {pick(keys)}) FROM made
        WHERE seq % 7 = 0;
      UPDATE accounts SET balance = (SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{workspace.id}')
        WHERE workspace_id = '{workspace.id}'""")
    assert int(stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}'")) == N + 1
    return workspace, workspace.client()


def ledger_sums(stack, workspace, by):
    """{group: (runs, debited, refunded, used)} in credits, calculated in the most direct way."""
    rows = stack.sql(f"""SELECT COALESCE(CAST({by} AS CHAR), ''), SUM(kind = 2), -SUM(IF(kind = 2, amount, 0)), SUM(IF(kind = 3, amount, 0)),
        -SUM(amount) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND kind > 1 GROUP BY 1""")
    return {g: (int(n), *(Decimal(x) / 1000000 for x in rest)) for g, n, *rest in rows}


DAY_SQL = ("DATE(TIMESTAMP('1970-01-01') + INTERVAL CONV(LEFT(REPLACE(CAST(id AS CHAR), '-', ''), 12), 16, 10) * 1000 "
           "MICROSECOND)")


@pytest.mark.parametrize("group, column, by", [("day", "day", DAY_SQL), ("responder", "responder_id", "responder_id"),
                                               ("key", "key_id", "key_id")])
def test_usage_equals_the_sums_of_the_ledger(stack, books, group, column, by):
    workspace, client = books
    want = ledger_sums(stack, workspace, by)
    body = exact(client.get("/credits/usage", params={**RANGE, "group_by": group}))
    assert set(body) == {"from", "to", "group_by", "usage", "total"} and body["group_by"] == group
    assert (body["from"], body["to"]) == ("2024-02-01T00:00:00.000+00:00", "2024-03-01T00:00:00.000+00:00")
    got = {row[column] or "": (row["runs"], row["debited"], row["refunded"], row["used"]) for row in body["usage"]}
    assert got == want and len(got) == {"day": 29, "responder": 5, "key": 4}[group]
    total = body["total"]
    assert (total["runs"], total["debited"], total["refunded"], total["used"]) == tuple(map(sum, zip(*want.values())))
    answer = client.get("/credits/usage", params={**RANGE, "group_by": group}, headers={"Accept": "text/csv"})
    assert answer.headers["Content-Type"].startswith("text/csv") and answer.headers["Vary"] == "Accept"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert list(rows[0]) == [column, "runs", "debited", "refunded", "used"]
    assert {r[column]: (int(r["runs"]), *(Decimal(r[c]) for c in ("debited", "refunded", "used"))) for r in rows} == want


@pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="a thousand pages, of which sanitizers see a few in the other tests")
def test_ledger_by_cursor_sums_to_the_balance(stack, books):
    workspace, client = books
    seen, cursor = [], None
    while True:
        body = exact(client.get("/credits/ledger", params={"limit": 100, **({"after": cursor} if cursor else {})}))
        seen += body["entries"]
        cursor = body["next_cursor"]
        assert body["has_more"] == (cursor is not None) and (not cursor or cursor == body["entries"][-1]["id"])
        if not cursor:
            break
    assert len(seen) == N + 1 and len({e["id"] for e in seen}) == N + 1
    assert [e["id"] for e in seen] == sorted((e["id"] for e in seen), reverse=True)
    total = sum(e["amount"] for e in seen)
    assert total == Decimal(str(workspace.balance())) == exact(client.get("/credits"))["balance"]
    assert total == Decimal(stack.sql_one(f"SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{workspace.id}'")) / 1000000
    kinds = {k: [e for e in seen if e["kind"] == k] for k in ("grant", "debit", "refund")}
    assert (len(kinds["grant"]), len(kinds["debit"]), len(kinds["refund"])) == (1, 87500, 12500)
    assert all(e["amount"] < 0 and e["id"] == e["execution_id"] for e in kinds["debit"])
    assert kinds["grant"][0]["reason"] == "for February" and kinds["grant"][0]["execution_id"] is None
    assert all(OFFSET.fullmatch(e["created_at"]) for e in seen[:100])
    assert len(exact(client.get("/credits/ledger"))["entries"]) == 20


def summed(stack):
    """Every row of the ledger is in the sums that the views show."""
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM credit_ledger WHERE number IS NULL") == "0", 60, "the sums of the ledger")


def forget(stack, workspace):
    summed(stack)
    for table in ("credit_ledger", "credit_sums", "credit_months"):
        stack.sql(f"DELETE FROM {table} WHERE workspace_id = '{workspace}'")


def export(stack, *args):
    done = subprocess.run([BIN / "millrace", "billing", "export", *args], env=stack.env, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_monthly_export_equals_the_ledger(stack, books):
    workspace, _ = books
    code, out, err = export(stack, "--month", "2024-02", "--format", "json")
    assert code == 0, err
    body = json.loads(out, parse_float=Decimal, parse_int=Decimal)
    rows = [r for r in body["rows"] if r["workspace_id"] == workspace.id]
    whole = ledger_sums(stack, workspace, "'x'")["x"]
    names = ("runs", "debited", "refunded", "used")
    assert tuple(sum(r[n] for r in rows) for n in names) == whole == tuple(body["total"][n] for n in names)
    code, out, err = export(stack, "--month", "2024-02", "--workspace", workspace.id)
    lines = list(csv.DictReader(io.StringIO(out)))
    assert list(lines[0]) == ["workspace_id", "workspace", "day", "responder_id", "responder", "key_id", "key_prefix", *names]
    key = lambda r: (r["day"], r["responder_id"] or "", r["key_id"] or "", *(Decimal(r[n]) for n in names))  # noqa: E731
    assert sorted(map(key, lines)) == sorted(map(key, rows))
    assert export(stack, "--month", "2024-03", "--workspace", workspace.id)[1].count("\n") == 1
    for bad in ("2024-13", "2024-2", "feb", "2024-02-01"):
        assert export(stack, "--month", bad)[0] == 2
    assert export(stack, "--month", "2024-02", "--format", "xml")[0] == 2


def test_names_are_quoted_in_csv(stack):
    made = stack.cli("workspace", "create", "--name", 'a "b", c')["id"]
    stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id, reason) VALUES ('{made}', '018d6000-0000-7000-8000-000000000001', 2, -1, NULL, NULL, NULL, NULL)")
    row, = csv.DictReader(io.StringIO(export(stack, "--month", "2024-01", "--workspace", made)[1]))
    assert (row["workspace"], row["used"], row["key_id"]) == ('a "b", c', "0.000001", "")
    forget(stack, made)


@pytest.fixture(scope="module")
def invoice(stack):
    """A workspace with grants in January and February, debits by two workflows (one archived) and two keys, and a refund."""
    workspace = stack.workspace(credits=0)
    keys = [workspace.key() for _ in range(2)]
    flows = [workspace.put_workflow(ONE, name=name) for name in ("=letters", "maps")]
    stack.cli("workflow", "archive", "--workspace", workspace.id, flows[1])

    def entry(day, n, kind, credits, flow=None, key=None):
        at = int(datetime.datetime(2024, *day, 12, tzinfo=datetime.timezone.utc).timestamp() * 1000)
        raw = f"{at:012x}7{n:03x}8{0:015x}"
        row = f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"
        quoted = lambda v: f"'{v}'" if v else "NULL"  # noqa: E731
        stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id, reason) VALUES ('{workspace.id}', '{row}', {kind}, {credits * 1000000}, NULL, {quoted(flow)}, {quoted(key)}, NULL)")
    entry((1, 5), 1, 1, 100)
    entry((1, 31), 2, 2, -10, flows[0], keys[0]["id"])
    entry((2, 1), 3, 1, 50)
    entry((2, 2), 4, 2, -7, flows[0], keys[0]["id"])
    entry((2, 3), 5, 2, -5, flows[1], keys[1]["id"])
    entry((2, 3), 6, 3, 5, flows[1], keys[1]["id"])
    entry((2, 29), 7, 1, -3)
    entry((3, 1), 8, 2, -1, flows[1], keys[1]["id"])
    yield workspace, keys, flows
    forget(stack, workspace.id)


def test_statement_has_opening_grants_usage_refunds_and_closing(stack, invoice):
    workspace, keys, flows = invoice

    def statement(month, *more):
        return stack.cli("billing", "statement", "--month", month, "--workspace", workspace.id, *more)
    names = ("opening", "grants", "usage", "refunds", "closing", "runs")
    got = {month: tuple(statement(month)[n] for n in names) for month in ("2023-12", "2024-01", "2024-02", "2024-03", "2024-04")}
    assert got == {"2023-12": (0, 0, 0, 0, 0, 0), "2024-01": (0, 100, 10, 0, 90, 1), "2024-02": (90, 47, 12, 5, 130, 2),
                   "2024-03": (130, 0, 1, 0, 129, 1), "2024-04": (129, 0, 0, 0, 129, 0)}
    lines = statement("2024-02", "--by", "responder")["lines"]
    assert {(x["responder"], x["runs"], x["used"]) for x in lines} == {("=letters", 1, 7), ("maps", 1, 0)}
    assert sum(x["used"] for x in lines) == 12 - 5
    lines = statement("2024-02", "--by", "key")["lines"]
    assert {(x["key_prefix"], x["debited"], x["refunded"]) for x in lines} == {(keys[0]["prefix"], 7, 0), (keys[1]["prefix"], 5, 5)}
    assert [(x["day"], x["used"]) for x in statement("2024-02", "--by", "day")["lines"]] == [("2024-02-02", 7), ("2024-02-03", 0)]
    everyone = {s["workspace_id"]: s for s in stack.cli("billing", "statement", "--month", "2024-02")}
    alone = statement("2024-02")
    assert set(alone) - set(everyone[workspace.id]) == {"lines", "grant_lines"}
    assert everyone[workspace.id].items() <= alone.items()
    assert {(x["responder"], x["key_prefix"], x["used"]) for x in alone["lines"]} == {
        ("=letters", keys[0]["prefix"], 7), ("maps", keys[1]["prefix"], 0)}
    for wrong in (["--month", "2024-13"], ["--month", "2024-02", "--by", "week"], ["--month", "2024-02", "--by", "key"]):
        assert stack.cli("billing", "statement", *wrong, check=False)[0] == 2


@pytest.mark.parametrize("by, columns, count", [
    ("workspace", [], 1), ("responder", ["responder_id", "responder"], 2), ("key", ["key_id", "key_prefix"], 2), ("day", ["day"], 2)])
def test_export_by_one_group_sums_to_the_same_total(stack, invoice, by, columns, count):
    workspace, _, _ = invoice
    out = export(stack, "--month", "2024-02", "--workspace", workspace.id, "--by", by)[1]
    lines = list(csv.DictReader(io.StringIO(out)))
    assert list(lines[0]) == ["workspace_id", "workspace", *columns, "runs", "debited", "refunded", "used"]
    assert len(lines) == count and sum(Decimal(x["used"]) for x in lines) == 7 and sum(int(x["runs"]) for x in lines) == 2


def test_formulas_are_made_safe_in_csv(stack, invoice):
    workspace, _, _ = invoice
    out = export(stack, "--month", "2024-02", "--workspace", workspace.id)[1]
    assert {x["responder"] for x in csv.DictReader(io.StringIO(out))} == {"'=letters", "maps"}
    made = stack.cli("workspace", "create", "--name", '=HYPERLINK("http://x","y")')["id"]
    out = stack.cli("billing", "statement", "--month", "2024-01", "--format", "csv", "--workspace", made, check=False)[1]
    assert next(csv.DictReader(io.StringIO(out)))["workspace"] == '\'=HYPERLINK("http://x","y")'


def test_ledger_command_has_names_and_filters(stack, invoice):
    workspace, keys, flows = invoice
    mine = ("credits", "ledger", "--workspace", workspace.id)
    rows = stack.cli(*mine)
    assert [r["credits"] for r in rows] == [-1, -3, 5, -5, -7, 50, -10, 100]
    assert (rows[0]["responder"], rows[0]["key_prefix"], rows[0]["kind"]) == ("maps", keys[1]["prefix"], "debit")
    assert [r["credits"] for r in stack.cli(*mine, "--month", "2024-02", "--kind", "grant")] == [-3, 50]
    assert [r["credits"] for r in stack.cli(*mine, "--limit", 2, "--before", rows[1]["id"])] == [5, -5]
    assert stack.cli(*mine, "--kind", "gift", check=False)[0] == 2


def test_grant_with_a_reference_is_made_once(stack):
    workspace = stack.workspace(credits=0)

    def grant(credits, reference, check=True):
        return stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", credits, "--reason", "order", "--reference", reference, check=check)
    first = grant(10, "invoice-1")
    assert (first["balance"], first["is_new"]) == (10, True)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        again = list(pool.map(lambda _: grant(10, "invoice-1"), range(8)))
    assert {(a["balance"], a["is_new"], a["ledger_id"]) for a in again} == {(10, False, first["ledger_id"])}
    code, _, err = grant(11, "invoice-1", check=False)
    assert code == 1 and "used before, for another grant of 10 credits" in err and workspace.balance() == 10
    assert grant(10, "Invoice-1")["balance"] == 20  # compared byte by byte
    other = stack.workspace(credits=0)
    stack.cli("credits", "grant", "--workspace", other.id, "--credits", 1, "--reason", "x", "--reference", "invoice-1")
    assert other.balance() == 1
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: grant(5, "invoice-2"), range(8)))
    assert sum(m["is_new"] for m in made) == 1 and workspace.balance() == 25
    assert {r["reference"] for r in stack.cli("credits", "ledger", "--workspace", workspace.id)} == {"invoice-1", "Invoice-1", "invoice-2"}
    assert stack.cli("audit", check=False)[0] in (0, 1)
    assert not [v for v in json.loads(stack.cli("audit", check=False)[1])["violations"] if v["check"] == "reference"]


def test_grants_of_a_month_are_limited(stack):
    """The sum of a month's grants is a 64-bit number: a void or an expiry leaves room in the balance for another grant, and none in that sum."""
    workspace, most = stack.workspace(credits=0), 4611686018427
    client = workspace.client()
    later = {"effective_from": (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=40)).isoformat()}

    def grant(credits, **more):
        return client.post("/credits/grants", json={"credits": credits, **more})

    def void(grant):
        stack.cli("credits", "void", "--workspace", workspace.id, grant.json()["id"], "--reason", "by mistake")
    void(grant(most))
    for more in ({}, later):
        problem(grant(1, **more), 422, "balance_limit")
    code, _, err = stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", 1, "--reason", "x", check=False)
    assert code == 1 and "granted in this month" in err
    assert stack.sql(f"SELECT kind, n, amount FROM credit_months WHERE workspace_id = '{workspace.id}' ORDER BY kind") == [
        ["1", "1", f"{most}000000"], ["5", "1", f"-{most}000000"]]
    workspace = stack.workspace(credits=0)
    client = workspace.client()
    assert grant(most - 10).status_code == 201
    assert workspace.grant(10 - most, "correction")["balance"] == 0
    planned = grant(most - 10, **later)
    assert planned.status_code == 201, "a correction lowers what was granted"
    problem(grant(11), 422, "balance_limit")
    void(grant(10))
    problem(grant(1), 422, "balance_limit")
    void(planned)
    assert grant(most - 10).status_code == 201, "a scheduled grant that was voided never counts"


def row_id(at, n):
    raw = f"{int(at.timestamp() * 1000):012x}7{n:03x}8{0:015x}"
    return f"{raw[:8]}-{raw[8:12]}-{raw[12:16]}-{raw[16:20]}-{raw[20:]}"


@pytest.fixture(scope="module")
def berlin(stack):
    """Rows around the bounds of March 2024 in Berlin, whose clocks are set forward on the 31st; and the workspace's rows of that month."""
    workspace = stack.workspace(credits=0)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", "Europe/Berlin")
    key = workspace.key()
    flow = workspace.put_workflow(ONE, name="<b>&maps")
    grants = [str(uuid.uuid4()) for _ in range(2)]
    for i, grant in enumerate(grants):
        stack.sql(f"INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms, note) "
                  f"VALUES ('{workspace.id}', '{grant}', 2, {i + 1}, 50, 1, 0, 1, 1, 'note {i}')")
    stack.sql(f"INSERT INTO credit_references (workspace_id, reference, ledger_id) VALUES ('{workspace.id}', 'invoice <1>', '{grants[1]}')")
    utc = datetime.timezone.utc
    first, end = datetime.datetime(2024, 2, 29, 23, tzinfo=utc), datetime.datetime(2024, 3, 31, 22, tzinfo=utc)
    ms = datetime.timedelta(milliseconds=1)
    rows = [(first - ms, 1, 100000000, False), (first, 1, 50000000, False), (first, 2, -7000001, True), (end - ms, 2, -5000000, True),
            (end - ms, 3, 5000000, True), (first + 20 * 86400000 * ms, 4, -2000000, False), (first + 21 * 86400000 * ms, 5, -1000000, False),
            (end, 2, -3000000, True), (end - 3600000 * ms, 2, -9000000, True)]
    for n, (at, kind, amount, run) in enumerate(rows):
        grant = "NULL" if n == 8 else f"'{grants[1]}'"
        stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, responder_id, key_id, grant_id) VALUES ('{workspace.id}', "
                  f"'{row_id(at, n)}', {kind}, {amount}, {repr(flow) if run else 'NULL'}, {repr(key['id']) if run else 'NULL'}, {grant})")
    for grant, amount in zip(grants, (-4000000, -5000000)):
        stack.sql(f"INSERT INTO credit_parts VALUES ('{workspace.id}', '{row_id(rows[8][0], 8)}', '{grant}', {amount})")
    yield workspace, first, end, flow, key, grants
    forget(stack, workspace.id)


@pytest.mark.parametrize("in_sums", [False, True])
def test_statement_of_a_month_with_a_clock_change_equals_ledger_usage_and_export(stack, berlin, in_sums):
    workspace, first, end, flow, key, grants = berlin
    if in_sums:
        summed(stack)
    mine = ("--month", "2024-03", "--workspace", workspace.id)
    code, out, _ = stack.cli("billing", "statement", *mine, "--format", "json", check=False)
    got = json.loads(out, parse_float=Decimal, parse_int=Decimal)
    assert code == 0 and (got["timezone"], got["from"], got["to"]) == (
        "Europe/Berlin", "2024-02-29T23:00:00.000+00:00", "2024-03-31T22:00:00.000+00:00")
    assert [got[n] for n in ("opening", "grants", "usage", "refunds", "releases", "expired", "voided", "closing", "runs")] == [
        100, 50, Decimal("21.000001"), 5, 0, 2, 1, Decimal("130.999999"), 3]
    assert got["lines"] == [{"responder_id": flow, "responder": "<b>&maps", "key_id": key["id"], "key_prefix": key["prefix"], "runs": 3,
                             "debited": Decimal("21.000001"), "refunded": 5, "used": Decimal("16.000001")}]
    assert got["grant_lines"] == [{"grant_id": grants[1], "category": "paid", "reference": "invoice <1>", "note": "note 1",
                                   "grants": 50, "expired": 2, "voided": 1}]
    # the same by the API
    client = workspace.client()
    read = lambda accept: client.get("/credits/statement", params={"month": "2024-03"}, headers={"Accept": accept})  # noqa: E731
    answer = read("application/json")
    assert exact(answer) == got and answer.headers["Vary"] == "Accept"
    for form, accept in (("csv", "text/csv"), ("html", "text/html,application/xhtml+xml,*/*;q=0.8")):
        answer = read(accept)
        assert answer.headers["Content-Type"].startswith(f"text/{form}")
        assert answer.text.split() == stack.cli("billing", "statement", *mine, "--format", form, check=False)[1].split()
    for wrong in ({}, {"month": "2024-13"}, {"month": "2024-03-01"}):
        problem(client.get("/credits/statement", params=wrong), 400)
    # the ledger of the month
    rows = json.loads(stack.cli("credits", "ledger", *mine, "--limit", 100, check=False)[1], parse_float=Decimal, parse_int=Decimal)
    assert len(rows) == 7 and sum(r["credits"] for r in rows) == got["closing"] - got["opening"]
    # usage between the bounds that the statement names
    usage = exact(workspace.client().get("/credits/usage", params={"from": got["from"], "to": got["to"]}))["total"]
    assert usage == {n: got["lines"][0][n] for n in ("runs", "debited", "refunded", "used")}
    # the export, by the days of Berlin
    lines = list(csv.DictReader(io.StringIO(export(stack, *mine)[1])))
    assert [(x["day"], x["runs"], Decimal(x["used"])) for x in lines] == [
        ("2024-03-01", "1", Decimal("7.000001")), ("2024-03-31", "2", Decimal(9))]
    # CSV: what stands between the balances is what changed them
    items = list(csv.DictReader(io.StringIO(stack.cli("billing", "statement", *mine, "--format", "csv", check=False)[1])))
    assert items[0]["item"] == "opening" and items[-1]["item"] == "closing"
    assert sum(Decimal(x["credits"]) for x in items[:-1]) == Decimal(items[-1]["credits"]) == got["closing"]
    assert {(x["item"], x["reference"]) for x in items if x["grant_id"]} == {(k, "invoice <1>") for k in ("grants", "expired", "voided")}
    page = stack.cli("billing", "statement", *mine, "--format", "html", check=False)[1]
    assert "&lt;b&gt;&amp;maps" in page and "invoice &lt;1&gt;" in page and "<b>" not in page and ">130.999999<" in page
    assert stack.cli("billing", "statement", "--month", "2024-03", "--format", "html", check=False)[0] == 2


def test_days_stay_when_the_time_zone_changes(stack, berlin):
    workspace = berlin[0]
    summed(stack)
    statement = lambda: stack.cli("billing", "statement", "--month", "2024-03", "--workspace", workspace.id)  # noqa: E731
    before = statement()
    stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", "Asia/Tokyo")
    after = statement()
    stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", "Europe/Berlin")
    assert after["from"] == "2024-02-29T15:00:00.000+00:00" and {**after, **{n: before[n] for n in ("from", "to", "timezone")}} == before


@pytest.mark.parametrize("zone", [None, "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_what_is_accepted_is_in_the_sums_at_once(stack, zone):
    """Also without an executor, in the days of the workspace, with each grant that a debit came from."""
    workspace = stack.workspace(credits=1)
    for few in ("0.6", "0.6", "0.8"):
        workspace.grant(few)
    if zone:
        stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", zone)
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    stack.stop_server("executor")
    try:
        today = lambda: (datetime.datetime.now(zoneinfo.ZoneInfo(zone or "UTC")).date() - datetime.date(1970, 1, 1)).days  # noqa: E731
        first = today()
        runs = {workspace.client().started(workflow) for _ in range(3)}
        of = f"WHERE workspace_id = '{workspace.id}'"
        parts = stack.sql("SELECT COALESCE(p.grant_id, l.grant_id) AS g, SUM(COALESCE(p.amount, l.amount)) FROM credit_ledger l LEFT JOIN credit_parts p "
                          f"ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id WHERE l.workspace_id = '{workspace.id}' AND l.kind = 2 GROUP BY g ORDER BY g")
        assert len(parts) == 4
        assert stack.sql(f"SELECT grant_id, SUM(amount) FROM credit_sums {of} AND kind = 2 GROUP BY grant_id ORDER BY grant_id") == parts
        assert stack.sql_one(f"SELECT SUM(n) FROM credit_sums {of} AND kind = 2") == stack.sql_one(f"SELECT SUM(n) FROM credit_months {of} AND kind = 2") == str(len(runs))
        assert {int(day) for day, in stack.sql(f"SELECT day FROM credit_sums {of} AND kind = 2")} <= {first, today()}
        found = json.loads(stack.cli("audit", check=False)[1])["violations"]  # other tests of this file write rows of their own
        assert not [v for v in found if v["check"] == "ledger_sums" or workspace.id in v["id"]]
    finally:
        stack.start_server("executor")


def test_statement_view_equals_the_command(stack, invoice):
    workspace, _, _ = invoice
    summed(stack)
    rows = stack.sql("SELECT month, opening, grants, `usage`, refunds, closing, runs FROM credit_statement_monthly "
                     f"WHERE workspace_id = '{workspace.id}' ORDER BY month")
    assert [[month, *map(Decimal, rest)] for month, *rest in rows] == [
        ["2024-01", 0, 100, 10, 0, 90, 1], ["2024-02", 90, 47, 12, 5, 130, 2], ["2024-03", 130, 0, 1, 0, 129, 1]]
    assert stack.sql("SELECT responder, key_prefix IS NULL FROM credit_usage_daily "
                     f"WHERE workspace_id = '{workspace.id}' AND day = '2024-03-01'") == [["maps", "0"]]


def test_billing_views_equal_the_ledger(stack, books):
    workspace, _ = books
    secret = (stack.dir / "secrets/millrace_billing").read_text().strip()

    def ask(statement):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={stack.dir}/sockets/mariadb.sock", "--user=millrace_billing",
                               f"--password={secret}", "--batch", "--skip-column-names", "millrace"], input=statement, text=True,
                              capture_output=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return [line.split("\t") for line in done.stdout.splitlines()]
    want = ledger_sums(stack, workspace, DAY_SQL)
    summed(stack)
    got = ask(f"SELECT day, SUM(runs), SUM(debited), SUM(refunded), SUM(used) FROM credit_usage_daily "
              f"WHERE workspace_id = '{workspace.id}' GROUP BY day")
    assert {d: (int(n), *map(Decimal, rest)) for d, n, *rest in got} == want
    assert Decimal(ask(f"SELECT SUM(credits) FROM credit_ledger_view WHERE workspace_id = '{workspace.id}'")[0][0]) == \
        Decimal(str(workspace.balance()))
    # every query that docs/billing.md prints
    from stack import ROOT
    text = (ROOT / "docs/billing.md").read_text().split("```sql\n")[1].split("```")[0]
    assert len(re.findall(r";\s*$", text, re.M)) == 9
    for statement in filter(str.strip, re.sub(r"--.*", "", text).split(";")):
        ask(statement)


def test_runs_and_refunds_appear_in_default_usage(stack):
    workspace = stack.workspace(credits=10)
    client = workspace.client()
    w = workspace.put_workflow(ONE)
    client.finished(client.started(w))
    stack.stop_server("executor")
    queued = client.started(w)
    client.post(f"/executions/{queued}/stop")
    stack.start_server("executor")
    body = client.get("/credits/usage").json()
    today = datetime.datetime.now(datetime.timezone.utc).date()
    assert body["group_by"] == "day" and body["to"].startswith(str(today + datetime.timedelta(days=1)))
    assert body["from"].startswith(str(today - datetime.timedelta(days=29)))
    assert body["total"] == {"runs": 2, "debited": 2, "refunded": 1, "used": 1}
    assert sum(r["used"] for r in body["usage"]) == 1
    keys = client.get("/credits/usage", params={"group_by": "key"}).json()["usage"]
    assert [(k["runs"], k["refunded"]) for k in keys] == [(2, 1)] and keys[0]["key_id"]
    refund, debit, *_ = client.get("/credits/ledger", params={"limit": 2}).json()["entries"]
    assert (refund["kind"], refund["amount"], refund["execution_id"]) == ("refund", 1, queued)
    assert (debit["kind"], debit["amount"], debit["id"]) == ("debit", -1, queued) and debit["responder_id"] == w
    assert client.get("/credits").json() == {"balance": 9}


@pytest.mark.parametrize("path, name, code", [
    ("/credits/usage?group_by=week", "group_by", "invalid_request"), ("/credits/usage?group_by=", "group_by", "invalid_request"),
    ("/credits/usage?from=x", "from", "invalid_request"), ("/credits/usage?to=", "to", "invalid_request"),
    ("/credits/usage?from=2024-02-02&to=2024-02-02", "from", "invalid_request"),
    ("/credits/usage?from=2023-01-01&to=2024-02-02", "from", "invalid_request"), ("/credits/usage?limit=1", "limit", "invalid_request"),
    ("/credits/ledger?limit=0", "limit", "invalid_request"), ("/credits/ledger?limit=101", "limit", "invalid_request"),
    ("/credits/ledger?after=x", "after", "invalid_cursor"), ("/credits/ledger?from=2024-01-01", "from", "invalid_request"),
    ("/credits?x=1", "x", "invalid_request")])
def test_bad_parameter_is_named_in_the_error(books, path, name, code):
    assert name in problem(books[1].get(path), 400, code)["detail"]


def test_usage_requires_its_scope_and_workspace(stack, books):
    workspace, _ = books
    for path in ("/credits", "/credits/usage", "/credits/ledger"):
        problem(workspace.client("executions:read").get(path), 403, "insufficient_scope")
        assert workspace.client("credits:read").get(path).status_code == 200
    other = stack.workspace(credits=3).client()
    assert [e["kind"] for e in other.get("/credits/ledger").json()["entries"]] == ["grant"]
    assert other.get("/credits/usage", params=RANGE).json()["usage"] == []


def test_a_statement_of_too_many_lines_is_refused(stack):
    workspace = stack.workspace(credits=0)
    none = "00000000-0000-0000-0000-000000000000"
    stack.sql(f"INSERT INTO credit_sums SELECT '{workspace.id}', 19754, 2, CONCAT('01a20000-0000-7000-8000-', LPAD(seq, 12, '0')), '{none}', '{none}', 1, -1 "
              "FROM seq_1_to_50000")
    client = workspace.client()
    read = lambda: client.get("/credits/statement", params={"month": "2024-02"})  # noqa: E731
    assert len(exact(read())["lines"]) == 50000
    stack.sql(f"INSERT INTO credit_sums VALUES ('{workspace.id}', 19755, 3, '{none}', '{none}', '{none}', 1, 1)")
    problem(read(), 422, "statement_too_large")
    assert stack.cli("billing", "statement", "--month", "2024-02", "--workspace", workspace.id)["runs"] == 50000
    stack.sql(f"DELETE FROM credit_sums WHERE workspace_id = '{workspace.id}'")
