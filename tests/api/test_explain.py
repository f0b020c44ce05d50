"""Lists, single reads, trees, the ledger and purges read the rows of one index range only, and sort at most one page. The rows are
counted by the server (Handler_read, Sort_rows) over 40,000 executions; the plans come from EXPLAIN."""
import json
import os
import re
import uuid

import pytest
from rows import days_ago, insert
from stack import ROOT

pytestmark = pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="asks MariaDB alone, for half a minute")
PAGE = 100
LOWEST, HIGHEST = "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"


QUERIES = {p.stem: p for p in (ROOT / "sql/queries").rglob("*.sql")}


def bind(name, *values):
    """The text of sql/queries/ROOM/NAME.sql with its question marks replaced by values ([[?]] by a list)."""
    text = re.sub(r"^\s*--.*$", "", QUERIES[name].read_text(), flags=re.M)
    values = list(values)

    def literal(value):
        if isinstance(value, (list, tuple)):
            return ", ".join(map(literal, value))
        return "NULL" if value is None else str(value) if isinstance(value, int) else f"'{value}'"
    text = re.sub(r"\[\[\?\]\]|\?", lambda _: literal(values.pop(0)), text)
    assert not values
    return text.strip()


@pytest.fixture(scope="module")
def history(stack):
    """40,000 executions of four workflows over forty days, with states and tags, and one tree of 200."""
    workspace = stack.workspace()
    w = [workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}) for _ in range(4)]
    for n in range(4):
        insert(stack.sql, workspace.id, w[n], 10000, days_ago(40 - 10 * n), apart_ms=80000, seed=n, keyed=n == 3,
               tags=("all",) + (("rare",) if n == 1 else ()), state="IF(seq % 100 = 0, 1 + seq % 5, 3 + seq % 3)")
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' AND responder_id = '{w[0]}' "
                                   "ORDER BY id LIMIT 200")]
    stack.sql(f"UPDATE executions SET has_children = 1 WHERE id = '{ids[0]}'; " + "; ".join(
        f"UPDATE executions SET parent_id = '{ids[0]}', root_id = '{ids[0]}' WHERE id = '{child}'; "
        f"INSERT INTO execution_children VALUES ('{ids[0]}', '{child}', '{ids[0]}', 0, {n}, 1)" for n, child in enumerate(ids[1:])))
    message = str(uuid.uuid4())
    stack.sql(f"INSERT INTO execution_chats (execution_id, workspace_id, message_id) SELECT id, '{workspace.id}', "
              f"IF(id = '{ids[0]}', '{message}', UUID()) FROM executions WHERE workspace_id = '{workspace.id}' LIMIT 5000")
    stack.sql(f"INSERT INTO artifacts SELECT id, UUID(), 'x', 'text/plain', 1, REPEAT('x', 32) FROM executions LIMIT 5000; "
              "INSERT INTO execution_usage (execution_id, log_sha256) SELECT id, REPEAT('y', 32) FROM executions LIMIT 5000; "
              "INSERT INTO execution_charges SELECT id, id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, NULL FROM executions LIMIT 5000")
    stack.sql("INSERT INTO execution_retries SELECT id, id FROM executions")
    stack.sql(f"INSERT INTO execution_failures SELECT workspace_id, id, responder_id, kind, 1, 'a', CRC32(id) % 200, 1 FROM executions "
              f"WHERE workspace_id = '{workspace.id}'")
    newest = f"FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id DESC LIMIT 10000"
    stack.sql(f"INSERT INTO webhook_outbox (id, workspace_id, execution_id, event, at_ms, fanned, body) SELECT id, workspace_id, id, 2, 1, 1, '{{}}' {newest}; "
              "INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, outbox_id, execution_id, lane_id, state, due_ms, created_ms) "
              f"SELECT id, workspace_id, responder_id, id, id, responder_id, IF(id LIKE '%0', 3, 2), 1, 1 {newest}")
    stack.sql("ANALYZE TABLE execution_charges, execution_retries, execution_failures, webhook_outbox, webhook_deliveries, artifacts, execution_usage, executions, execution_tags, execution_children, execution_chats, credit_ledger, events, "
              "execution_steps, idempotency_keys")
    return workspace.id, w, ids, message


def cost(stack, statement):
    """(rows read, rows read by scans, rows sorted, rows returned)"""
    rows = stack.sql(f"FLUSH STATUS; {statement}; SELECT '--'; SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' "
                     "OR Variable_name IN ('Sort_rows')")
    at = rows.index(["--"])
    status = {name: int(value) for name, value in rows[at + 1:]}
    read = sum(v for k, v in status.items() if k in ("Handler_read_key", "Handler_read_next", "Handler_read_prev",
                                                      "Handler_read_first", "Handler_read_last"))
    return read, status["Handler_read_rnd_next"], status["Sort_rows"], at


def plan(stack, statement):
    return json.loads("\n".join(c for r in stack.sql("EXPLAIN FORMAT=JSON " + statement) for c in r))


def accesses(value):
    """([(table, access type, key)…] of a plan, True if something is sorted)"""
    found = []
    if isinstance(value, dict):
        if "access_type" in value:
            found.append((value.get("table_name"), value["access_type"], value.get("key")))
        for x in value.values():
            found += accesses(x)
    elif isinstance(value, list):
        for x in value:
            found += accesses(x)
    return found


def lists(history):
    ws, w, ids, _ = history
    window = (LOWEST, HIGHEST)
    return {
        "execution_list": ("by_workspace", (ws, *window)),
        "execution_list_by_responder": ("by_responder", (ws, w[1], *window, None, None)),
        "execution_list_by_state": ("by_state", (ws, 1, *window)),
        "execution_list_by_tag": ("PRIMARY", (ws, "rare", *window, *(None,) * 6)),
        "execution_list_by_parent": ("by_parent_in_order", (ids[0], ws, *window, *(None,) * 4)),
    }


@pytest.mark.parametrize("name", ["execution_list", "execution_list_by_responder", "execution_list_by_state", "execution_list_by_tag",
                                  "execution_list_by_parent"])
@pytest.mark.parametrize("offset", [0, 90])
def test_page_reads_its_rows_only(stack, history, name, offset):
    key, args = lists(history)[name]
    statement = bind(name, *args, PAGE, offset)
    read, scanned, sorted_, n = cost(stack, statement)
    joined = 2 if "JOIN" in statement else 1
    assert n == PAGE or name == "execution_list_by_state"
    assert read <= joined * (n + offset) + 3 and scanned == 0 and sorted_ == 0, (read, scanned, sorted_)
    first = accesses(plan(stack, statement))[0]
    assert first[1] in ("range", "ref") and first[2] == key and "filesort" not in json.dumps(plan(stack, statement))


@pytest.mark.parametrize("name", ["batch_states", "batch_runs", "execution_list_by_batch"])
def test_runs_of_a_batch_are_one_range_of_ids(stack, history, name):
    """No row outside of the range is read."""
    ws, _, ids, _ = history
    first, last = ids[0], ids[1]
    end = first[-16:]
    more = {"batch_states": (ws, end), "batch_runs": (end,),
            "execution_list_by_batch": (LOWEST, HIGHEST, ws, end, *(None,) * 6, PAGE, 0)}[name]
    statement = bind(name, min(first, last), max(first, last), *more)
    read, scanned, _, _ = cost(stack, statement)
    between = int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE id BETWEEN '{min(first, last)}' AND '{max(first, last)}'"))
    assert read <= between + 3, (read, between)
    table, access, key = accesses(plan(stack, statement))[0]
    assert (access, key) == ("range", "PRIMARY")


def test_what_a_filter_compares_is_read_by_id(stack, history):
    ws, _, ids, _ = history
    statement = bind("execution_match", ws, ids[:64])
    read, scanned, sorted_, n = cost(stack, statement)
    assert (scanned, sorted_, n) == (0, 0, 64) and read <= 2 * 64, read
    assert accesses(plan(stack, statement)) == [("executions", "range", "PRIMARY")]


def test_errors_read_the_newest_failures_only(stack, history):
    """No more than 10,000 short rows are read, and no row of an execution for a hash that does not match."""
    ws, w, _, _ = history
    read, scanned, _, n = cost(stack, bind("error_groups", ws, 101))
    assert n == 101 and scanned <= 2 * 10000 + 500 and read <= 2 * 10000 + 500, (read, scanned)
    read, scanned, sorted_, n = cost(stack, bind("failures_oldest", ws, 9999))
    assert n == 1 and read <= 10000 + 3 and scanned == 0 and sorted_ == 0, (read, scanned, sorted_)
    (oldest,), = stack.sql(bind("failures_oldest", ws, 9999))
    window = (ws, oldest, LOWEST, HIGHEST, LOWEST, HIGHEST, None, None, f"{w[3]},{w[2]}", f"{w[3]},{w[2]}")
    read, scanned, sorted_, n = cost(stack, bind("execution_list_by_failure", *window, 7, 7, *(None,) * 6, PAGE, 0))
    assert 0 < n < PAGE and read <= 10000 + n + 5 and scanned == 0 and sorted_ == 0, (read, scanned, sorted_, n)
    read, scanned, sorted_, n = cost(stack, bind("execution_list_by_failure", *window, None, None, "x", "x", *(None,) * 4, PAGE, 0))
    assert n == 0 and read <= 2 * 10000 + 5 and scanned == 0 and sorted_ == 0, (read, scanned, sorted_)


def test_cursor_page_reads_its_rows_only_at_any_depth(stack, history):
    ws, w, _, _ = history
    middle = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 1 OFFSET 20000")
    for name, args in (("execution_list", (ws, LOWEST, middle)), ("execution_list_by_responder", (ws, w[0], LOWEST, middle, None, None)),
                       ("execution_list_by_state", (ws, 3, LOWEST, middle)),
                       ("execution_list_by_tag", (ws, "all", LOWEST, middle, *(None,) * 6))):
        read, scanned, sorted_, n = cost(stack, bind(name, *args, PAGE, 0))
        assert n == PAGE and read <= 2 * PAGE + 3 and scanned == 0 and sorted_ == 0, (name, read)


def test_page_at_once_reads_its_rows_only(stack, history):
    ws, w, _, _ = history
    middle = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 1 OFFSET 20000")
    for name, key, args in (("execution_page", "by_workspace", (ws, LOWEST, middle)),
                            ("execution_page_by_responder", "by_responder", (ws, w[0], LOWEST, middle, None, None)),
                            ("execution_page_by_state", "by_state", (ws, 3, LOWEST, middle))):
        statement = bind(name, *args, PAGE)
        read, scanned, sorted_, n = cost(stack, statement)
        assert n == PAGE and read <= PAGE + 3 and scanned == 0 and sorted_ == 0, (name, read)
        assert accesses(plan(stack, statement))[0][1:] == ("range", key)
        ids = stack.sql(bind(name.replace("page", "list"), *args, PAGE, 0))
        assert [r[-2] for r in stack.sql(statement)] == [i for i, in ids]


def test_time_filters_read_ranges_of_ids(stack, history):
    ws = history[0]
    rows = stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 30 OFFSET 15000")
    read, scanned, sorted_, n = cost(stack, bind("execution_list", ws, rows[0][0], rows[29][0], PAGE, 0))
    assert n == 28 and read <= 31 and scanned == 0 and sorted_ == 0


def test_rows_of_a_page_are_read_by_primary_key(stack, history):
    ws = history[0]
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id DESC LIMIT 64")]
    statement = bind("execution_by_ids", ws, ids)
    read, scanned, sorted_, n = cost(stack, statement)
    assert n == 64 and read <= 64 * 7 and scanned == 0 and sorted_ == 0, read
    assert accesses(plan(stack, statement))[0][1:] == ("range", "PRIMARY")
    stack.sql(f"INSERT INTO execution_retries SELECT '{ids[0]}', UUID() FROM executions LIMIT 150")
    read, scanned, sorted_, n = cost(stack, bind("execution_retries", ids[0]))
    assert (scanned, sorted_, n) == (0, 0, 100) and read <= 100
    read, scanned, _, n = cost(stack, bind("execution_get", ids[0], ws))
    assert n == 1 and read <= 1 and scanned == 0


def test_tree_is_one_range(stack, history):
    ws, _, ids, message = history
    statement = bind("execution_tree_rows", ids[0])
    read, scanned, sorted_, n = cost(stack, statement)
    assert n == 199 and read <= 2 * 199 + 3 and scanned == 0 and sorted_ == 0, read
    assert accesses(plan(stack, statement))[0] == ("c", "ref", "PRIMARY")
    read, scanned, sorted_, n = cost(stack, bind("execution_tree_by_message", ws, message))
    assert n == 1 and read <= 2 and scanned == 0 and sorted_ == 0


def test_ledger_reads_its_rows_only(stack, history):
    ws = history[0]
    read, scanned, sorted_, n = cost(stack, bind("ledger_page", ws, HIGHEST, PAGE))
    assert n == PAGE and scanned == 0 and sorted_ == 0
    assert read <= 2 * PAGE + 2, "each row, and the parts of those that concern no grant or several"
    rows = stack.sql(f"SELECT id FROM credit_ledger WHERE workspace_id = '{ws}' ORDER BY id LIMIT 1000 OFFSET 20000")
    read, scanned, _, _ = cost(stack, bind("usage_by_day", ws, rows[0][0], rows[999][0], ws, 0, 100000))
    assert read <= 2 * 1000 + 30, "expected each row of the requested days, once more for its sum, and the sums once more with what is rolled up"

    # what holds back the roll-up of a month is found without reading the month
    last = int(stack.sql_one("SELECT last FROM ledger_numbers"))
    read, scanned, _, _ = cost(stack, bind("roll_up_blocked", ws, HIGHEST, ws, HIGHEST))
    assert read <= 20 and scanned <= 20
    read, scanned, _, _ = cost(stack, bind("roll_up_unsent", last, ws, HIGHEST, ws, HIGHEST))
    assert read <= 2 and scanned <= 2


def test_webhooks_read_what_they_send_and_list(stack, history):
    ws, (_, _, _, hook), _, _ = history
    for name, values, most in (("webhook_delivery_list", (hook, ws, HIGHEST, 21), 21), ("webhook_delivery_due", (hook, 1, 16), 0),
                               ("webhook_outbox_turn", (LOWEST, 200), 0)):
        read, scanned, sorted_, n = cost(stack, bind(name, *values))
        assert n == most and read <= 2 * most + 4 and scanned <= 2 and sorted_ == 0, (name, read, scanned, sorted_, n)
    rows = stack.sql("EXPLAIN " + bind("webhook_redeliver_since", 1, hook, ws, HIGHEST, 1, 500))
    assert "by_lane" in rows[0] and rows[0][3] == "range", rows


def uncommitted_cost(stack, changes, statement):
    """(rows read, rows read by scans, rows sorted, rows returned) after changes that no other connection sees and that are rolled back."""
    status = ("SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Sort_rows'")
    rows = stack.sql(f"BEGIN; {changes}; SELECT '--'; {status}; SELECT '--'; {statement}; SELECT '--'; {status}; ROLLBACK")
    marks = [i for i, row in enumerate(rows) if row == ["--"]]
    before, after = (dict(rows[a + 1:b]) for a, b in ((marks[0], marks[1]), (marks[2], len(rows))))
    change = {name: int(after[name]) - int(before[name]) for name in after}
    read = sum(change[f"Handler_read_{k}"] for k in ("key", "next", "prev", "first", "last"))
    return read, change["Handler_read_rnd_next"], change["Sort_rows"], marks[2] - marks[1] - 1


def waiting_messages(workspace, n):
    return (f"INSERT INTO webhook_outbox (id, workspace_id, event, at_ms) SELECT CONCAT('00000000-0000-7000-8000-{workspace[:4]}', "
            f"LPAD(HEX(seq), 8, '0')), '{workspace}', 2, 1 FROM seq_1_to_{n}")


def test_a_turn_of_webhooks_reads_its_messages_only(stack):
    """Whatever the number of messages that wait."""
    many, few = "00000001-0000-7000-8000-000000000001", "00010002-0000-7000-8000-000000000002"
    for n in (300, 5000):
        changes = f"{waiting_messages(many, n)}; {waiting_messages(few, 3)}"
        read, scanned, sorted_, rows = uncommitted_cost(stack, changes, bind("webhook_outbox_turn", LOWEST, 200))
        assert rows == 200 and read <= 201 and scanned == 0 and sorted_ == 0, (n, read, scanned, sorted_)
        read, scanned, sorted_, rows = uncommitted_cost(stack, changes, bind("webhook_outbox_turn", many, 100))
        assert rows == 3 and read <= 4 and scanned == 0 and sorted_ == 0, (n, read, scanned, sorted_)


def test_lanes_of_webhooks_are_found_and_given_back_without_reading_all(stack):
    """2,000 hosts of one workspace whose deliveries are due, 2,000 of another that have none, and a lane with 2,000 pending deliveries."""
    busy, idle, lane = (f"0000000{n}-0000-7000-8000-000000000001" for n in (1, 2, 3))

    def lanes(id, workspace, due_ms, pending, n):
        return (f"INSERT INTO webhook_lanes (id, workspace_id, due_ms, pending) SELECT {id}, '{workspace}', {due_ms}, {pending} "
                f"FROM seq_1_to_{n}")
    changes = "; ".join((
        lanes("UUID()", busy, "seq", 1, 2000), lanes("UUID()", idle, 9 * 10**15, 0, 2000), lanes(f"'{lane}'", lane, 4, 2000, 1),
        "INSERT INTO webhook_deliveries (id, workspace_id, outbox_id, lane_id, state, due_ms, created_ms) "
        f"SELECT UUID(), '{lane}', UUID(), '{lane}', 1, 1000 + seq, 1 FROM seq_1_to_2000"))
    for name, values, most in (("webhook_lane_due", (0, 20000, [LOWEST]), 512), ("webhook_lane_due", (1, 20000, [LOWEST]), 0),
                               ("webhook_own_pending", ([idle],), 0), ("webhook_lane_orphans", (30000, 10**12), 0),
                               ("webhook_lane_finish", (0, 0, 1, 5, 10**12, lane, 9999, lane), 0)):
        read, scanned, sorted_, n = uncommitted_cost(stack, changes, bind(name, *values))
        # the few hundred that were found are ranked in temporary tables
        assert n == most and read <= most + 8 and scanned <= 3 * most + 4 and sorted_ <= 3 * most, (name, read, scanned, sorted_, n)
    rows = stack.sql(f"BEGIN; {changes}; {bind('webhook_lane_finish', 0, 0, 1, 5, 10**12, lane, 9999, lane)}; "
                     f"SELECT due_ms, pending, next_ms FROM webhook_lanes WHERE id = '{lane}'; DELETE FROM webhook_deliveries WHERE lane_id = '{lane}'; "
                     f"{bind('webhook_lane_finish', 0, 0, 1, 5, 10**12, lane, 9999, lane)}; "
                     f"SELECT due_ms, pending, next_ms FROM webhook_lanes WHERE id = '{lane}'; ROLLBACK")
    assert rows == [["1001", "9999", "1001"], [str(9 * 10**15), "0", str(9 * 10**15)]]


def test_feeds_read_what_they_number_send_and_remove(stack):
    """5,000 numbered rows, none of which is old, and 5,000 that nobody has numbered yet."""
    ws = str(uuid.uuid4())
    stack.sql(f"INSERT INTO feeds VALUES ('{ws}', 5000, 0, 4000000000000); INSERT INTO feed_events (execution_id, workspace_id, id, at_ms) "
              f"SELECT UUID(), '{ws}', IF(seq <= 5000, seq, NULL), 3000000000000 + seq DIV 4 FROM seq_1_to_10000; ANALYZE TABLE feed_events")
    statement = bind("feed_new", ws)
    read, scanned, sorted_, n = cost(stack, statement)
    assert n == 1000 and read <= n + 2 and scanned == 0 and sorted_ == 0, (read, scanned, sorted_, n)
    assert "filesort" not in json.dumps(plan(stack, statement))
    read, scanned, sorted_, n = cost(stack, bind("feed_oldest", ws, 1))
    assert n == 0 and read <= 502 and scanned <= 502 and sorted_ == 0, (read, scanned, sorted_, n)
    read, scanned, sorted_, n = cost(stack, bind("feed_oldest", ws, -10**13))
    assert n == 500 and read <= 502 and scanned <= 1100 and sorted_ <= 500, (read, scanned, sorted_, n)
    stack.sql(f"DELETE FROM feed_events WHERE workspace_id = '{ws}'; DELETE FROM feeds WHERE workspace_id = '{ws}'")


def test_the_search_for_feeds_to_trim_reads_no_unnumbered_rows(stack):
    feeds = [f"0000000{n}-0000-7000-8000-00000000000f" for n in (1, 2)]
    changes = "; ".join(
        f"INSERT INTO feeds VALUES ('{ws}', 10, 0, 4000000000000); INSERT INTO feed_events (execution_id, workspace_id, id, at_ms) "
        f"SELECT UUID(), '{ws}', IF(seq <= 10, seq, NULL), 3000000000000 FROM seq_1_to_2000" for ws in feeds)
    for name, values, most in (("feed_next_to_trim", (LOWEST,), 2), ("feed_first", (1, feeds[0]), 1)):
        read, scanned, _, n = uncommitted_cost(stack, changes, bind(name, *values))
        assert n == most and read <= 3 and scanned == 0, (name, read, scanned, n)


def test_purge_reads_the_purged_rows_only(stack, history):
    ws = history[0]
    cursor = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 1 OFFSET 20000")
    read, scanned, sorted_, n = cost(stack, bind("retention_scan", 0, ws, cursor, HIGHEST))
    assert n == 64 and read <= 3 * 64 and scanned == 0 and sorted_ == 0  # each run, and whether it is noted in retention_skipped
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 64")]
    texts = {name: path.read_text() for name, path in QUERIES.items() if name.startswith("purge_")}
    slices = {name for name in texts if name.endswith(("_slice", "_page"))}
    for name in sorted(slices | {name for name in texts if "[[?]]" in texts[name]}):
        if name in slices:  # of one run, from a cursor on
            statement = bind(name, ids[0], *[0] * (re.sub("^--.*$", "", texts[name], flags=re.M).count("?") - 1))
        else:
            statement = bind(name, *(ws,) * texts[name].count("workspace_id = ?"), ids)
        rows = stack.sql("EXPLAIN " + statement)
        assert rows and all(r[3] in ("range", "eq_ref", "ref") for r in rows if r[2] != "NULL"), (name, rows)
        # a few of the 64 have no such row, or several; far fewer than the 40,000 rows of the table
        assert all(int(r[8]) <= 640 for r in rows if r[8].isdigit()), (name, rows)


def test_the_end_of_a_wait_reads_the_open_tickets_for_its_signal_only(stack):
    """Of a run with 2,000 tickets for this signal that were answered, three that are open, 500 open ones for another, and 2,000 signals."""
    run, ws = str(uuid.uuid4()), str(uuid.uuid4())

    def tickets(name, first, last, open_until):
        return ("INSERT INTO signal_tickets (hash, id, workspace_id, execution_id, name, created_ms, expires_ms, open_until_ms) "
                f"SELECT UNHEX(SHA2(CONCAT('{run}', seq), 256)), UUID(), '{ws}', '{run}', '{name}', 1, 9000, {open_until} FROM seq_{first}_to_{last}")
    changes = "; ".join((tickets("go", 1, 2000, "NULL"), tickets("go", 2001, 2003, "9000"), tickets("other", 3001, 3500, "9000"),
                         f"INSERT INTO signal_waits (execution_id, step, item, name, due_ms) VALUES ('{run}', 0, -1, 'go', 9), ('{run}', 1, -1, 'other', 9)",
                         "INSERT INTO signals (execution_id, seq, id, name, state, step, item, at_ms, sender) "
                         f"SELECT '{run}', seq, UUID(), 'go', IF(seq = 2000, 1, 2), 0, -1, 1, '{{}}' FROM seq_1_to_2000"))
    ended = bind("signal_ticket_wait_ended", run, run, 0, -1, run, 0, -1)
    read, scanned, sorted_, _ = uncommitted_cost(stack, changes, ended)
    assert read <= 24 and scanned <= 4 and sorted_ == 0, (read, scanned, sorted_)
    read, scanned, _, n = uncommitted_cost(stack, changes, bind("signal_ticket_counts", ws, 1, ws, 10, 1, run))
    assert n == 1 and read <= 2503 + 503 + 30 and scanned <= 4, (read, scanned)
    read, scanned, _, n = uncommitted_cost(stack, changes, bind("signal_ticket_wait", run, run, "go"))
    assert n == 1 and read <= 2000 + 16 and scanned <= 8, (read, scanned)
    rows = stack.sql(f"BEGIN; {changes}; {ended}; SELECT name, COUNT(open_until_ms) FROM signal_tickets WHERE execution_id = '{run}' GROUP BY name; "
                     f"UPDATE signal_waits SET name = 'other' WHERE execution_id = '{run}'; {bind('signal_ticket_wait_ended', run, run, 1, -1, run, 1, -1)}; "
                     f"SELECT name, COUNT(open_until_ms) FROM signal_tickets WHERE execution_id = '{run}' GROUP BY name; ROLLBACK")
    assert rows == [["go", "0"], ["other", "500"]] * 2, "another wait for the same signal goes on"
