"""`millrace workspace export` and `import`: a workspace moves from the default cell to c7 with all that it has, once, and nothing that was
acknowledged is missing there."""
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
import peers
import rows as old_rows
from skills import manifest, package, probe
from stack import ALL_SCOPES, BIN, ROOT, Client, Effects, Stack, eventually, suspend
from test_push import events
from test_roll_up import forget_runs, month_of, with_history
from test_files import upload

SOURCE = (ROOT / "cli/workspace_tables.c").read_text()
RUNS = "IN (SELECT id FROM executions WHERE workspace_id = ?)"
TABLES = {name: (where.replace("OWN", "workspace_id = ?") if where.startswith("OWN") else f"{of} {RUNS}" if of else where.strip('"'))
          for name, where, of in re.findall(r'^    \{"(\w+)", ((?:OWN|OF_RUNS\("(\w+)"\)|"[^"]*")), NULL(?:, true)?\},', SOURCE, re.M)}
STAYS = set(re.findall(r'^    \{"(\w+)", NULL, "[^"]*"\},$', SOURCE, re.M))
SEALED = {"nonce", "sealed", "old_nonce", "old_sealed"}
ONE = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
FAILING = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs/missing}"}]}
SETTINGS = {"push.outgoing_allow": "127.0.0.0/8", "push.timeout_s": "2", "push.pause_max_s": "1"}
LONG = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}


@pytest.fixture(scope="module")
def cells():
    made = Stack(SETTINGS), Stack({"cell.name": "c7", **SETTINGS})
    try:
        for s in made:
            s.start()
        yield made
    finally:
        for s in made:
            s.stop()
    for s in made:
        s.close()


@pytest.fixture(scope="module")
def effects():
    e = Effects()
    yield e
    e.close()


@pytest.fixture
def here(cells):
    return cells[0]


@pytest.fixture
def there(cells):
    return cells[1]


def export(stack, workspace, file, *args, code=0):
    done = stack.cli("workspace", "export", "--workspace", workspace.id, "--key-file", file.with_suffix(".key"), *args, file, check=False)
    assert done[0] == code, done
    return json.loads(done[1]) if code == 0 else done[2]


def bring(stack, file, key=None, code=0):
    done = stack.cli("workspace", "import", "--key-file", key or file.with_suffix(".key"), file, check=False)
    assert done[0] == code, done
    return json.loads(done[1]) if code == 0 else done[2]


def rows(stack, id):
    """All rows of the workspace, without what is the cell's own: imported rows of the ledger have the number 0."""
    found = {}
    for table, where in TABLES.items():
        columns = [c for c, in stack.sql(f"SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '{table}' "
                                         "ORDER BY ORDINAL_POSITION") if c not in SEALED | {"frozen", "touched"} and (table, c) != ("credit_ledger", "number")]
        picked = ", ".join("IF(body LIKE 'sealed:%', 'sealed', HEX(body))" if (table, c) == ("idempotency_keys", "body") else f"HEX({c})" for c in columns)
        where = where.replace("?", f"'{id}'") + (" AND deed NOT LIKE 'workspace.%port'" if table == "deeds" else "")
        found[table] = sorted(stack.sql(f"SELECT {picked} FROM {table} WHERE {where}"))
    return found


def is_absent(stack, id):
    return all(stack.sql_one(f"SELECT COUNT(*) FROM {t} WHERE {where.replace('?', repr(id))}") == "0" for t, where in TABLES.items() if t != "tenants")


def shown(stack, workspace):
    return stack.cli("workspace", "show", "--workspace", workspace.id)["frozen"]


def records(whole):
    """The records of a file (cli/archive.h), each [kind, content], without the end."""
    found, at = [], whole.index(b"\n") + 1
    while at < len(whole) - 32:
        size = int.from_bytes(whole[at + 1:at + 9], "big")
        found.append([whole[at:at + 1], whole[at + 9:at + 9 + size]])
        at += 9 + size
    return found[:-1]


def sealed_file(found, key):
    """A file of these records by somebody who has the key."""
    derived = hashlib.blake2b(digest_size=32, key=base64.b64decode(key.read_text()), salt=(1).to_bytes(16, "little"), person=b"archive ".ljust(16, b"\0")).digest()
    body = b"MILLRACE-WORKSPACE-1\n" + b"".join(kind + len(content).to_bytes(8, "big") + content for kind, content in [*found, [b"E", b"%d" % len(found)]])
    return body + hmac.digest(derived, body, "sha256")


def changed_cell(found, table, column, value):
    """The records, with another value in a row of the table."""
    found = [list(r) for r in found]
    at = next(n for n, (kind, content) in enumerate(found) if kind == b"T" and content.startswith(table.encode() + b"\n"))
    n = found[at][1].split(b"\n")[1].split(b",").index(b"`%s`" % column.encode())
    assert found[at + 1][0] == b"R", table
    row, start = found[at + 1][1], 0
    size = lambda: int.from_bytes(row[start:start + 4], "big")
    for _ in range(n):
        start += 4 + (0 if size() == 0xffffffff else size())
    assert size() == len(value)
    found[at + 1][1] = row[:start + 4] + value.encode() + row[start + 4 + len(value):]
    return found


def killed_at(stack, lock, statement, *command):
    """Runs a command that is killed while this statement of it waits for a lock, as the process of a host that dies. The command gives up
    after two seconds of waiting, and is run again if that was not seen."""
    waiting = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{statement}%'"
    with peers.mariadb(stack.dir, 180) as session:
        session("BEGIN; " + lock)
        runs = []

        def waits():
            if not runs or runs[-1].poll() is not None:
                runs.append(subprocess.Popen([BIN / "millrace", "--json", *map(str, command)], env=stack.env,
                                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            return stack.sql_one(waiting) == "1"
        try:
            eventually(waits, 120, "the statement waits")
        finally:
            runs[-1].kill()
            runs[-1].wait()
        session("ROLLBACK")
    eventually(lambda: stack.sql_one(waiting) == "0", 60, "MariaDB has done what it had received")


@contextlib.contextmanager
def stopped_at(stack, lock, statement, *command):
    """A command that is stopped while this statement of it waits for a lock, as a process that hangs. What it has sent is undone: MariaDB
    ends a transaction that says nothing for a second. Yields the process, which goes on at the end."""
    waiting = f"SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '{statement}%'"
    with peers.mariadb(stack.dir, 180) as session:
        session("BEGIN; " + lock)
        process = subprocess.Popen([BIN / "millrace", *map(str, command)], env=stack.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        eventually(lambda: stack.sql_one(waiting) == "1" or process.poll() is not None, 60, "the statement waits")
        assert process.poll() is None, process.communicate()
        suspend(process.pid)
        session("ROLLBACK")
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_rows_modified > 0") == "0", 60, "nothing is open")
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.wait(60)
        process.stdout.close()


def clean(*stacks):
    for stack in stacks:
        assert stack.cli("audit")["violations"] == []


def settled(workspace):
    """Until nothing is left to send, so that no row changes any more."""
    of = f"WHERE workspace_id = '{workspace.id}'"
    waiting = (f"SELECT (SELECT COUNT(*) FROM webhook_outbox {of} AND fanned = 0) + (SELECT COUNT(*) FROM webhook_deliveries {of} AND state = 1) "
               f"+ (SELECT COUNT(*) FROM webhook_lanes {of} AND busy <> 0)")
    eventually(lambda: workspace.stack.sql_one(waiting) == "0", 60, "deliveries")


@pytest.fixture
def lively(here, effects):
    """A workspace that has something in most tables: (workspace, what a test needs to know of it)."""
    w = here.workspace(credits=100, max_concurrent=50)
    key = w.key()["key"]
    client = Client(here.url, key)
    here.cli("secret", "set", "--workspace", w.id, "token", text="hunter2-moves-along")
    secret = {"steps": [{"name": "call", "type": "http", "request": {"method": "GET", "url": f"{effects.url}/{w.id}",
                                                                     "headers": {"X-Token": "${/secrets/token}"}}}]}
    flow, failing, calls = (w.put_workflow(p) for p in (ONE, FAILING, secret))
    here.cli("price", "set", "--workspace", w.id, "--credits", 1, "--seconds", "1,5")  # 5 credits are held for each run
    ids = [client.started(flow, {"n": n}, key=f"key {n}", tags=["a", f"b{n}"], metadata={"ü": "日本"}) for n in range(5)]
    ids += [client.started(failing, {"n": 1}), client.started(calls)]
    for id in ids:
        client.finished(id)
    body = os.urandom(700_000)  # several parts
    assert upload(client, ("data.bin", body), ("empty", b"")).status_code == 201
    probe(w, "import os\nos.makedirs('outputs', exist_ok=True)\nopen('outputs/report.txt', 'w').write('moved')\nprint('a line of the log')\n", slug="mover")
    assert here.cli("webhook", "list", "--workspace", w.id) == []
    asked = {"url": f"{effects.url}/hook/{w.id}", "events": ["execution.failed"]}
    hook = client.post("/webhooks", json=asked, headers={"Idempotency-Key": "hook"})
    assert hook.status_code == 201, hook.text
    assert client.get("/webhooks/secret").status_code == 200
    schedule = client.post("/schedules", json={"name": "s", "workflow_id": flow, "cron": "0 3 1 1 *"})
    here.cli("budget", "set", "--workspace", w.id, "--scope", "workspace", "--period", "day", "--limit", 1000)

    def is_told():
        """An endpoint gets what happens more than a second after its creation."""
        ids.append(client.started(failing, {"n": 2}))
        client.finished(ids[-1])
        return effects.to(f"/hook/{w.id}")
    eventually(is_told, 60, "a delivery")
    settled(w)
    return w, {"key": key, "flow": flow, "calls": calls, "ids": ids, "body": body, "schedule": schedule, "asked": asked, "hook": hook.json()}


def test_no_table_is_forgotten(here):
    tables = {t for t, in here.sql("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'")}
    assert not set(TABLES) & STAYS
    assert tables == set(TABLES) | STAYS


# What keeps each statement that writes rows of a workspace from changing a frozen one.
WRITERS = {
    "account_lock refuses a frozen account":
        "account_alerts account_bump_catalog_version account_limits account_touch account_write alert_day_insert alert_days_delete alerts_delete "
        "alerts_put batch_finish batch_insert budget_change budget_count budget_delete budget_flags budget_insert budget_lower budget_period_insert "
        "budget_period_lower budget_periods_delete bulk_job_insert charge_insert credit_reference_insert execution_chat_insert execution_child_insert "
        "execution_mark_parents execution_mark_retried execution_retry_insert execution_tag_insert execution_touch_open execution_tree_write file_delete file_put grants_put "
        "idempotency_delete idempotency_insert ledger_insert occurrence_close occurrence_insert occurrence_update parts_insert price_flags "
        "price_list_insert price_list_replace quota_set_used quota_set_value retention_misdated retention_set run_times_put schedule_advance "
        "schedule_advance_backfill schedule_insert schedule_pause skill_insert skill_update skill_version_insert states_insert workflow_calls_delete "
        "workflow_calls_insert workflow_insert workflow_update workflow_version_insert",
    "deed_hold refuses a frozen account":
        "api_key_insert api_key_revoke bulk_job_cancel bulk_job_resume deed_hold model_clear_default model_delete model_put occurrence_reopen "
        "occurrence_skip schedule_delete schedule_set_backfill schedule_write secret_delete secret_put skill_archive webhook_delete webhook_lane_reset "
        "webhook_redeliver webhook_redeliver_since webhook_secret_put workflow_archive workflow_set_price",
    "it is of an execution, a bulk job or a delivery that has not ended, or of a row without its number: the freezing waits for these":
        "artifact_delete artifact_insert bulk_count_add bulk_item_decide bulk_item_insert bulk_job_collect bulk_job_complete bulk_job_delay "
        "bulk_job_pause charge_begin charge_lose charge_pause charge_settle event_insert execution_step_write failure_insert feed_event_insert "
        "ledger_number months_add outbox_insert run_times_move run_times_settle signal_ticket_answer signal_ticket_close signal_ticket_insert "
        "signal_ticket_wait_ended signal_waits_clear signal_waits_delete signal_waits_put signals_consume signals_give signals_insert signals_take_back "
        "states_write sums_add usage_put webhook_delivery_give_up webhook_delivery_insert webhook_delivery_result webhook_lane_claim "
        "webhook_lane_defer webhook_lane_finish webhook_lane_release webhook_lane_wake webhook_outbox_fan webhook_outbox_set_aside webhook_write",
    "the program looks at the account first, and the export waits for what has looked before":
        "purge_answers purge_artifact_rows purge_artifacts_slice purge_deliveries purge_events purge_events_slice purge_mark purge_message_bodies "
        "purge_messages purge_remove_charges purge_remove_chats purge_remove_children purge_remove_deliveries purge_remove_events "
        "purge_remove_events_slice purge_remove_executions purge_remove_failures purge_remove_keys purge_remove_messages purge_remove_occurrences "
        "purge_remove_retried purge_remove_retries purge_remove_signal_tickets purge_remove_signal_tickets_slice purge_remove_signal_waits "
        "purge_remove_signals purge_remove_signals_slice purge_remove_steps purge_remove_steps_slice purge_remove_times purge_remove_trees "
        "purge_remove_usage purge_signals purge_signals_slice purge_steps purge_steps_slice purge_tags purge_usage retention_defer retention_skip "
        "retention_unskip retention_write roll_up_begin roll_up_budgets_add roll_up_count roll_up_delete_parts roll_up_delete_rows roll_up_end "
        "roll_up_keep_references roll_up_sums_add usage_put_late webhook_outbox_retry",
    "what has expired, or what nobody wants any more, is removed in the other cell as well":
        "bulk_delete_counts bulk_delete_items bulk_delete_job deed_remove feed_advance feed_delete feed_remove feed_remove_any feed_removed "
        "maintenance_delete_expired_batches maintenance_delete_expired_keys maintenance_delete_old_budget_periods maintenance_delete_old_occurrences "
        "webhook_delivery_remove webhook_expire_deliveries webhook_expire_lanes webhook_expire_messages webhook_lane_delete webhook_outbox_delete",
    "it may be lost: when a key was used, that a feed is read, the number that the next look gives again, what was done to this copy":
        "api_key_mark_used deed_insert deed_touch feed_number feed_want",
    "the workspace is a new one, or it is moved":
        "account_insert tenant_insert workspace_insert workspace_move_set",
}


def writers():
    """The queries that write a table whose rows move along."""
    for path in ROOT.glob("sql/queries/*/*.sql"):
        text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("--"))
        verb = re.match(r"\s*(?:INSERT INTO|UPDATE|DELETE(?: (?P<alias>\w+))? FROM)\s+(?P<table>\w+)", text)
        if not verb:
            continue
        table = verb["table"]
        if verb["alias"]:
            table = re.search(rf"\b(\w+) (?:AS )?{verb['alias']}\b(?! FROM)", text[verb.end("alias"):])[1]
        if table in TABLES:
            yield path.stem


def test_every_statement_that_writes_leaves_a_frozen_workspace_alone():
    known = [name for names in WRITERS.values() for name in names.split()]
    assert len(known) == len(set(known))
    assert set(writers()) == set(known), "say above why a new statement does not change a frozen workspace"


def test_a_workspace_moves_with_all_that_it_has(here, there, lively, effects, tmp_path):
    w, known = lively
    before, balance, file = rows(here, w.id), w.balance(), tmp_path / "w.export"
    made = export(here, w, file)
    assert made["blobs"] >= 2 and made["packages"] == 1 and file.stat().st_mode & 0o777 == 0o600
    assert b"hunter2" not in file.read_bytes()

    assert before["price_lists"] and before["execution_charges"]

    # nothing changes here any more
    client = Client(here.url, known["key"])
    eventually(lambda: client.get("/credits").status_code == 503, 30, "503")
    answer = client.get("/credits")
    assert answer.json()["code"] == "unavailable" and answer.headers["Retry-After"] and "moved" in answer.json()["detail"]
    assert client.run(known["flow"], {"n": 1}).status_code == 503
    assert here.cli("credits", "grant", "--workspace", w.id, "--credits", 1, "--reason", "late", check=False)[0] == 1
    assert rows(here, w.id) == before

    # damaged files change nothing
    whole = file.read_bytes()
    damaged = tmp_path / "damaged"
    for at in [5, 40, *range(200, len(whole) - 1, len(whole) // 12), len(whole) - 1]:
        damaged.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])
        assert "nothing was changed" in bring(there, damaged, file.with_suffix(".key"), code=1)
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        damaged.write_bytes(whole[:cut])
        assert "nothing was changed" in bring(there, damaged, file.with_suffix(".key"), code=1)
    damaged.write_bytes(whole + b"x")
    bring(there, damaged, file.with_suffix(".key"), code=1)
    # as somebody without the key would make it
    damaged.write_bytes(whole[:-32] + hashlib.sha256(whole[:-32]).digest())
    assert "nothing was changed" in bring(there, damaged, file.with_suffix(".key"), code=1)
    there.cli("secret", "keygen", tmp_path / "other.key")
    assert "key file does not open" in bring(there, file, tmp_path / "other.key", code=1)
    assert is_absent(there, w.id)

    assert made["push_rows_left"] == 0  # there is no destination
    brought = bring(there, file)
    assert brought["workspace"] == w.id and brought["rows"] == made["rows"]
    assert rows(there, w.id) == before
    clean(here, there)
    assert "here already" in bring(there, file, code=1)
    assert "here already" in bring(here, file, code=1)

    # and it works there, with the key that names the default cell
    client = Client(there.url, known["key"])
    assert client.get("/credits").json()["balance"] == float(balance)
    again = client.run(known["flow"], {"n": 3}, key="key 3", tags=["a", "b3"], metadata={"ü": "日本"})
    assert again.status_code == 202 and again.json()["execution_id"] == known["ids"][3]
    hook = client.post("/webhooks", json=known["asked"], headers={"Idempotency-Key": "hook"})
    assert hook.status_code == 201 and hook.json() == known["hook"], hook.text
    assert client.get("/files/data.bin").content == known["body"] and client.get("/files/empty").content == b""
    assert client.finished(client.started(known["flow"], {"n": 9}))["status"] == "success"
    assert client.finished(client.started(known["calls"]))["status"] == "success"
    assert effects.to(f"/{w.id}")[-1]["headers"]["x-token"] == "hunter2-moves-along"
    made = client.post(f"/spaces/{w.id}/skills/mover/executions", json={"inputs": {}})
    assert made.status_code in (201, 202), made.text
    settled(type(w)(there, w.id))
    clean(here, there)


def test_a_file_writes_nothing_into_another_workspace(here, there, lively, tmp_path):
    """Also if its maker has the key."""
    w, known = lively
    victim = there.workspace(credits=5)
    run = victim.client().started(victim.put_workflow(ONE), {"n": 1})
    victim.client().finished(run)
    settled(victim)
    file, forged = tmp_path / "w.export", tmp_path / "forged"
    export(here, w, file)
    found, before = records(file.read_bytes()), rows(there, victim.id)
    assert sealed_file(found, file.with_suffix(".key")) == file.read_bytes()
    first, second = [n for n, (kind, _) in enumerate(found) if kind == b"T"][2:4]  # the workspace, its keys
    for bad, why in [(changed_cell(found, "api_keys", "workspace_id", victim.id), "not of its workspace: api_keys"),
                     (changed_cell(found, "deeds", "workspace_id", victim.id), "not of its workspace: deeds"),
                     (changed_cell(found, "workspaces", "id", victim.id), "not of its workspace: workspaces"),
                     (changed_cell(found, "events", "execution_id", run), "not of its workspace: events"),
                     (changed_cell(found, "workflow_versions", "workflow_id", run), "not of its workspace: workflow_versions"),
                     (found[:first] + found[second:second + 2] + found[first:second] + found[second + 2:], "damaged")]:
        forged.write_bytes(sealed_file(bad, file.with_suffix(".key")))
        message = bring(there, forged, file.with_suffix(".key"), code=1)
        assert why in message and "nothing was changed" in message
    assert is_absent(there, w.id) and rows(there, victim.id) == before
    bring(there, file)
    clean(there)


def test_it_waits_for_what_is_in_progress_and_loses_nothing(here, there, tmp_path):
    w = here.workspace(credits=100_000)
    key, flow, slow = w.key()["key"], w.put_workflow(ONE), w.put_workflow(LONG)
    client = Client(here.url, key)
    held = client.started(slow)
    file = tmp_path / "w.export"
    assert "1 executions that have not ended" in export(here, w, file, "--wait", 0, code=1)
    assert not file.exists() and client.get("/credits").status_code == 200
    acknowledged, ended = [], threading.Event()

    def call(caller):
        own, n = Client(here.url, key), 0
        while not ended.is_set():
            n += 1
            answer = own.run(flow, {"n": n}, key=f"{caller} {n}")
            if answer.status_code != 202:
                assert answer.status_code == 503, answer.text
                ended.set()
            else:
                acknowledged.append((f"{caller} {n}", n, answer.json()["execution_id"]))
            time.sleep(0.3)  # the workspace is at rest between two runs, sometimes

    callers = [threading.Thread(target=call, args=(n,)) for n in range(2)]
    for c in callers:
        c.start()
    eventually(lambda: len(acknowledged) >= 4, 60, "runs")
    assert client.post(f"/executions/{held}/stop").status_code == 200
    export(here, w, file, "--wait", 55)
    for c in callers:
        c.join()
    bring(there, file)
    there_client = Client(there.url, key)
    for name, n, id in acknowledged:
        again = there_client.run(flow, {"n": n}, key=name)
        assert (again.status_code, again.json()["execution_id"]) == (202, id)
    assert there.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{w.id}'") == str(len(acknowledged) + 1)
    assert there_client.execution(held)["status"] == "stopped"
    clean(here, there)


def test_an_interrupted_import_is_repeated(here, there, lively, tmp_path):
    w, known = lively
    file = tmp_path / "w.export"
    before = rows(here, w.id)
    export(here, w, file)
    month, kind = here.sql(f"SELECT month, kind FROM credit_months WHERE workspace_id = '{w.id}'")[0]
    killed_at(there, f"INSERT INTO credit_months VALUES ('{w.id}', {month}, {kind}, 0, 0)", "INSERT INTO `credit_months`",
              "workspace", "import", "--key-file", file.with_suffix(".key"), file)
    assert shown(there, w) == "importing" and shown(here, w) == "exported"
    assert Client(there.url, known["key"]).get("/credits").status_code == 503
    for command in ("reopen", "discard"):
        assert there.cli("workspace", command, "--workspace", w.id, check=False)[0] == 1
    bring(there, file)
    assert rows(there, w.id) == before and shown(there, w) is None
    # as an import of an older file leaves it that was killed: rows are missing, and some are others
    there.sql(f"UPDATE accounts SET frozen = 2, balance = balance + 5 WHERE workspace_id = '{w.id}'")
    there.sql(f"DELETE FROM events WHERE execution_id = '{known['ids'][0]}'")
    there.sql(f"DELETE FROM workspaces WHERE id = '{w.id}'")
    assert Client(there.url, known["key"]).get("/credits").status_code in (200, 503)
    # as another import of it does when it begins
    there.sql("CREATE TRIGGER another_import AFTER INSERT ON credit_months FOR EACH ROW UPDATE accounts SET touched = touched + 1 "
              "WHERE workspace_id = NEW.workspace_id")
    assert "another import" in bring(there, file, code=1) and shown(there, w) == "importing"
    there.sql("DROP TRIGGER another_import")
    bring(there, file)
    assert rows(there, w.id) == before
    clean(here, there)


def test_a_workspace_that_was_exported_is_opened_again(here, tmp_path):
    w = here.workspace(credits=5)
    client = w.client(ALL_SCOPES)
    flow = w.put_workflow(ONE)
    settled(w)
    assert here.cli("workspace", "reopen", "--workspace", w.id, check=False)[0] == 1
    export(here, w, tmp_path / "a")
    export(here, w, tmp_path / "b")  # again, of what is frozen already
    assert "exists already" in export(here, w, tmp_path / "a", code=1)
    here.cli("workspace", "reopen", "--workspace", w.id)
    eventually(lambda: client.get("/credits").status_code == 200, 30, "the workspace is open")
    assert client.finished(client.started(flow, {"n": 1}))["status"] == "success"
    deeds = [d["deed"] for d in here.cli("audit-log", "--workspace", w.id)]
    assert deeds.count("workspace.export") == 1 and deeds.count("workspace.reopen") == 1
    clean(here)


def ledger(stack, workspace):
    return {id for id, in stack.sql(f"SELECT id FROM credit_ledger WHERE workspace_id = '{workspace.id}'")}


def sent(receiver, path, workspace):
    return {e["id"] for e in events(receiver, path) if e["subject"] == workspace.id}


def discard(stack, workspace, code=0):
    done = stack.cli("workspace", "discard", "--workspace", workspace.id, check=False)
    assert done[0] == code, done
    return json.loads(done[1]) if code == 0 else done[2]


@pytest.fixture
def destinations(cells, effects):
    """One of each cell, which takes the ledger from its first row: their paths."""
    paths = ["/pushed-here", "/pushed-there"]
    for stack, path in zip(cells, paths):
        stack.cli("push", "add", path[1:], "--url", effects.url + path, "--from-start")
    yield paths
    for stack, path in zip(cells, paths):
        stack.cli("push", "remove", path[1:])


def test_each_row_of_the_ledger_is_pushed_by_the_cell_in_which_it_was_written(here, there, destinations, effects, tmp_path):
    from_here, from_there = destinations
    w = here.workspace(credits=100)
    key, flow = w.key()["key"], w.put_workflow(ONE)
    client = Client(here.url, key)
    client.finished(client.started(flow, {"n": 1}))
    first = ledger(here, w)
    eventually(lambda: first <= sent(effects, from_here, w), 60, "the first rows are sent")
    # what is written from now on, the old cell cannot send before the move
    effects.answer(from_here, status=503)
    client.finished(client.started(flow, {"n": 2}))
    file, back = tmp_path / "w.export", tmp_path / "back.export"
    made = export(here, w, file)
    written_here = ledger(here, w)
    assert made["push_rows_left"] >= 1 and written_here > first
    bring(there, file)
    moved = type(w)(there, w.id)
    client = Client(there.url, key)
    client.finished(client.started(flow, {"n": 3}))
    written_there = ledger(there, w) - written_here
    assert written_there
    eventually(lambda: written_there <= sent(effects, from_there, w), 60, "the new cell sends its rows")

    # the old copy is needed until the destination has all of it
    assert "nothing was removed" in discard(here, w, code=1)
    assert ledger(here, w) == written_here
    with effects.lock:
        effects.rules[from_here].clear()
    eventually(lambda: written_here <= sent(effects, from_here, w), 60, "the old cell sends the rest")
    eventually(lambda: discard_is_done(here, w), 60, "the cursor has passed the rows")
    assert is_absent(here, w.id)
    assert "workspace.discard" in [d["deed"] for d in here.cli("audit-log") if d["target"] == w.id]
    assert "no such workspace" in discard(here, w, code=1)

    # and back: each row was sent once, by one of both
    settled(moved)
    export(there, moved, back)
    bring(here, back)
    client = Client(here.url, key)
    client.finished(client.started(flow, {"n": 4}))
    again_here = ledger(here, w) - written_here - written_there
    eventually(lambda: again_here <= sent(effects, from_here, w), 60, "the rows after the return")
    assert sent(effects, from_here, w) == written_here | again_here
    assert sent(effects, from_there, w) == written_there
    settled(w)
    clean(here, there)


def discard_is_done(stack, workspace):
    return stack.cli("workspace", "discard", "--workspace", workspace.id, check=False)[0] == 0


def test_what_was_rolled_up_moves_and_the_next_month_follows_there(here, there, tmp_path):
    w = with_history(here, 400, 60, 75)
    months = [month_of(old_rows.days_ago(400), ahead) for ahead in range(4)]
    forget_runs(here, w)
    here.cli("billing", "roll-up", "--before", months[1], "--workspace", w.id)
    rolled = here.cli("billing", "rolled-up", "--workspace", w.id)
    assert [r["month"] for r in rolled] == [months[0]]
    statement = here.cli("billing", "statement", "--month", months[1], "--workspace", w.id)
    file = tmp_path / "w.export"
    export(here, w, file)
    # nobody rolls up what is frozen
    here.cli("billing", "roll-up", "--before", months[3], "--workspace", w.id)
    assert here.cli("billing", "rolled-up", "--workspace", w.id) == rolled
    bring(there, file)
    assert there.cli("billing", "rolled-up", "--workspace", w.id) == rolled
    there.cli("billing", "roll-up", "--before", months[2], "--workspace", w.id)
    assert [r["month"] for r in there.cli("billing", "rolled-up", "--workspace", w.id)] == months[:2]
    assert there.cli("billing", "statement", "--month", months[1], "--workspace", w.id) == statement
    clean(here, there)


def test_discard_removes_only_what_was_exported(here, tmp_path):
    w, other = here.workspace(credits=5), here.workspace(credits=7)
    client = w.client()
    client.finished(client.started(w.put_workflow(ONE), {"n": 1}))
    settled(w)
    assert "was not exported" in discard(here, w, code=1)
    export(here, w, tmp_path / "w")
    killed_at(here, f"SELECT id FROM executions WHERE workspace_id = '{w.id}' FOR UPDATE", "DELETE FROM `executions`",
              "workspace", "discard", "--workspace", w.id)
    assert here.cli("workspace", "reopen", "--workspace", w.id, check=False)[0] == 1
    assert shown(here, w) == "discarded" and "repeat that first" in export(here, w, tmp_path / "late", code=1)
    removed = discard(here, w)
    assert removed["rows"] > 3 and is_absent(here, w.id) and other.balance() == 7
    assert here.cli("workspace", "reopen", "--workspace", w.id, check=False)[0] == 1
    clean(here)


def test_a_discard_that_hung_leaves_a_workspace_alone_that_was_moved_back(here, there, tmp_path):
    w = here.workspace(credits=5)
    client = w.client()
    client.finished(client.started(w.put_workflow(ONE), {"n": 1}))
    settled(w)
    export(here, w, tmp_path / "w")
    bring(there, tmp_path / "w")
    with stopped_at(here, f"SELECT id FROM executions WHERE workspace_id = '{w.id}' FOR UPDATE", "DELETE FROM `executions`",
                    "workspace", "discard", "--workspace", w.id) as hung:
        assert hung.poll() is None
        discard(here, w)
        export(there, type(w)(there, w.id), tmp_path / "back")
        bring(here, tmp_path / "back")
        before = rows(here, w.id)
        assert len(before["executions"]) == 1
    assert hung.returncode == 1
    assert rows(here, w.id) == before and shown(here, w) is None
    clean(here)


def test_an_import_that_hung_changes_nothing_once_another_one_has_begun(here, there, tmp_path):
    w = here.workspace(credits=5)
    client = w.client()
    client.finished(client.started(w.put_workflow(ONE), {"n": 1}))
    settled(w)
    export(here, w, tmp_path / "w")
    before = rows(here, w.id)
    month, kind = here.sql(f"SELECT month, kind FROM credit_months WHERE workspace_id = '{w.id}'")[0]
    with stopped_at(there, f"INSERT INTO credit_months VALUES ('{w.id}', {month}, {kind}, 0, 0)", "INSERT INTO `credit_months`",
                    "workspace", "import", "--key-file", tmp_path / "w.key", tmp_path / "w") as hung:
        assert hung.poll() is None
        bring(there, tmp_path / "w")
        there.sql(f"DELETE FROM credit_months WHERE workspace_id = '{w.id}'")  # what it would insert again
    assert hung.returncode == 1
    after = rows(there, w.id)
    assert after.pop("credit_months") == [] and before.pop("credit_months") and after == before


@pytest.fixture
def changeable(here, effects, tmp_path):
    """A workspace with one of each thing that people change, and the ids of these: (workspace, client, ids)."""
    w = here.workspace(credits=100)
    client, at = w.client(), "2026-01-01T14:00:00Z"
    ids = {"key": w.key()["id"], "spare": w.put_workflow(ONE), "flow": w.put_workflow(ONE),
           "run": client.started(w.put_workflow(ONE), {"n": 1})}
    client.finished(ids["run"])
    ids["schedule"] = client.post("/schedules", json={"workflow_id": ids["flow"], "cron": "0 14 * * *"}).json()["id"]
    ids["hook"] = client.post("/webhooks", json={"url": f"{effects.url}/hook/{w.id}", "events": ["execution.failed"]}).json()["id"]
    ids["budget"] = client.post("/budgets", json={"scope": "workspace", "period": "day", "limit": 1000}).json()["id"]
    ids["grant"] = here.cli("credits", "list", "--workspace", w.id)[0]["id"]
    here.cli("secret", "set", "--workspace", w.id, "token", text="value")
    here.cli("model", "put", "--workspace", w.id, "--alias", "small", "--url", effects.url, "--model", "m")
    assert upload(client, ("data.bin", b"bytes")).status_code == 201
    probe(w, "print('a')", slug="probe")
    (tmp_path / "flow.json").write_text(json.dumps(ONE))
    package(tmp_path / "skill", manifest("another"), main_py="print('b')")
    settled(w)
    eventually(lambda: here.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{w.id}' AND state IN (1, 2)") == "0", 60, "at rest")
    return w, client, {**ids, "at": at}


def commands(ids, tmp_path):
    """Every command that changes a workspace."""
    return [("key", "create", "--scopes", "workflows:read"), ("key", "revoke", ids["key"]),
            ("credits", "grant", "--credits", 1, "--reason", "late"), ("credits", "void", ids["grant"], "--reason", "late"),
            ("credits", "alerts", "--low", 50), ("budget", "set", "--scope", "workspace", "--period", "month", "--limit", 5),
            ("budget", "remove", ids["budget"]), ("price", "set", "--credits", 2), ("workspace", "set", "--rate-limit-per-minute", 7),
            ("workspace", "set", "--quotas", "files=3"), ("workspace", "set", "--keep-rows-days", 3),
            ("workflow", "put", tmp_path / "flow.json", "--name", "late"), ("workflow", "archive", ids["spare"]),
            ("workflow", "price", ids["flow"], "--credits", 2), ("secret", "set", "another"), ("secret", "delete", "token"),
            ("webhook", "disable", ids["hook"]), ("webhook", "enable", ids["hook"]), ("webhook", "redeliver", ids["hook"], "--since", ids["at"]),
            ("skill", "install", tmp_path / "skill"), ("skill", "remove", "probe"), ("schedule", "pause", ids["schedule"]),
            ("schedule", "trigger", ids["schedule"]), ("model", "put", "--alias", "late", "--url", "http://127.0.0.1:1", "--model", "m"),
            ("model", "put", "--alias", "small", "--url", "http://127.0.0.1:1", "--model", "m", "--default"), ("model", "delete", "small")]


def test_no_command_changes_a_frozen_workspace(here, changeable, tmp_path):
    w, _, ids = changeable
    here.sql(f"UPDATE accounts SET frozen = 1 WHERE workspace_id = '{w.id}'")
    before = rows(here, w.id)
    for command in commands(ids, tmp_path):
        done = here.cli(*command, "--workspace", w.id, check=False, text="value")
        assert done[0] == 1 and "moved" in done[2], (command, done)
        assert rows(here, w.id) == before, command
    done = here.cli("execution", "stop", ids["run"], check=False)
    assert done[0] == 1 and "stopping: the workspace is being moved to another cell, or was moved there; nothing was changed" in done[2], done
    here.sql(f"UPDATE accounts SET frozen = 0 WHERE workspace_id = '{w.id}'")
    for command in commands(ids, tmp_path)[:2]:  # else they change it
        assert here.cli(*command, "--workspace", w.id, check=False, text="value")[0] == 0


def requests(w, ids):
    """Every request that changes a workspace and may come between the look at its key and the freezing."""
    hook, schedule, flow = (f"/{noun}/{ids[id]}" for noun, id in (("webhooks", "hook"), ("schedules", "schedule"), ("workflows", "flow")))
    return [("POST", "/workflows", {"name": "late", "program": ONE}), ("PUT", flow, {"name": "late", "program": ONE}), ("DELETE", flow, None),
            ("DELETE", f"/executions/{ids['run']}", None), ("POST", f"/executions/{ids['run']}/stop", {}),
            ("POST", "/executions/bulk", {"action": "purge", "filter": {"status": "success"}}),
            ("DELETE", "/files/data.bin", None), ("POST", "/schedules", {"workflow_id": ids["flow"], "cron": "0 3 1 1 *"}),
            ("PATCH", schedule, {"cron": "0 4 1 1 *"}), ("POST", f"{schedule}/pause", {}), ("POST", f"{schedule}/resume", {}),
            ("POST", f"{schedule}/backfill", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}), ("DELETE", schedule, None),
            ("POST", "/webhooks", {"url": "http://127.0.0.1:1/", "events": ["execution.failed"]}), ("PATCH", hook, {"description": "late"}),
            ("POST", f"{hook}/test", None), ("POST", f"{hook}/redeliver", {"since": "2026-01-01"}), ("DELETE", hook, None),
            ("GET", "/webhooks/secret", None), ("POST", "/budgets", {"scope": "workspace", "period": "month", "limit": 5}),
            ("PATCH", f"/budgets/{ids['budget']}", {"limit": 7}), ("DELETE", f"/budgets/{ids['budget']}", None),
            ("PUT", "/credits/alerts", {"balance": [{"credits": 5}]}), ("POST", "/credits/grants", {"credits": 5})]


def test_no_request_that_was_let_in_changes_a_workspace_after_it_is_frozen(here, changeable):
    """Each waits for the account, which is frozen meanwhile."""
    w, client, ids = changeable
    before, wrong = rows(here, w.id), []
    waiting = "SELECT COUNT(*) FROM information_schema.INNODB_TRX WHERE trx_state = 'LOCK WAIT'"
    with peers.mariadb(here.dir, 180) as session:
        for method, path, body in requests(w, ids):
            assert client.get("/credits").status_code == 200
            session(f"BEGIN; SELECT frozen FROM accounts WHERE workspace_id = '{w.id}' FOR UPDATE")
            answers = []
            caller = threading.Thread(target=lambda m=method, p=path, b=body: answers.append(client.request(m, p, **({"json": b} if b is not None else {}))))
            caller.start()
            eventually(lambda: answers or here.sql_one(waiting) != "0", 60, "it waits")
            session(f"UPDATE accounts SET frozen = 1 WHERE workspace_id = '{w.id}'; COMMIT")
            caller.join()
            if answers[0].status_code != 503 or answers[0].json()["code"] != "unavailable":
                wrong.append((method, path, answers[0].status_code, answers[0].text))
            here.sql(f"UPDATE accounts SET frozen = 0 WHERE workspace_id = '{w.id}'")
            eventually(lambda: client.get("/credits").status_code == 200, 60, "open again")
    assert not wrong
    assert rows(here, w.id) == before
