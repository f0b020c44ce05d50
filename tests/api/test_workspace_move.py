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
from skills import probe
from stack import ALL_SCOPES, BIN, ROOT, Client, Effects, Stack, eventually
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
        process.send_signal(signal.SIGSTOP)
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
    """Until the sums have the whole ledger."""
    stack = workspace.stack
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND number IS NULL") == "0", 60, "sums")


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
