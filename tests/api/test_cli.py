"""The operator command `millrace` against a real stack."""
import concurrent.futures
import hashlib
import importlib.machinery
import importlib.util
import json
import re
import subprocess
import threading

import peers
import pytest
from stack import ALL_SCOPES, BIN, ROOT, eventually, revoked

UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
NOBODY = "01890000-0000-7000-8000-000000000000"
DOUBLE = {"steps": [{"name": "twice", "type": "transform", "value": "${/inputs/x}"}]}


def plain(stack, *args, text="", code=0):
    """Runs a command without --json and returns its text output."""
    done = subprocess.run([BIN / "millrace", *map(str, args)], env=stack.env, input=text, text=True, capture_output=True,
                          timeout=60)
    assert done.returncode == code, done.stderr + done.stdout
    return done.stdout if code == 0 else done.stderr


def fails(stack, *args, code=1, text=None):
    """Runs a failing command with --json and returns its error message."""
    got, out, err = stack.cli(*args, check=False, text=text)
    assert got == code, (got, out, err)
    return json.loads(err.splitlines()[-1])["error"]


# --- command line -----------------------------------------------------------------------------------------

def test_usage_errors_exit_with_2(stack):
    assert "usage: millrace" in plain(stack, code=2)
    assert "unknown command" in plain(stack, "nonsense", code=2)
    assert "millrace key revoke" in plain(stack, "key", code=2)
    assert "missing option --workspace" in plain(stack, "key", "list", code=2)
    assert "workspace not found" in plain(stack, "key", "list", "--workspace", "no such name", code=1)
    assert "must be an id" in plain(stack, "execution", "show", "x", code=2)
    assert "unknown option" in plain(stack, "key", "list", "--nonsense", "x", code=2)
    assert "duplicate option" in plain(stack, "key", "list", "--workspace", NOBODY, "--workspace", NOBODY, code=2)
    assert "requires a value" in plain(stack, "key", "list", "--workspace", code=2)
    assert 'unexpected argument "more"' in plain(stack, "workspace", "list", "more", code=2)
    help = plain(stack, "--help")
    for command in ("migrate", "workspace create", "key revoke", "credits grant", "workflow put", "secret set",
                    "execution tail", "schema validate", "audit", "config"):
        assert f"millrace {command}" in help
    assert "credits grant" in plain(stack, "credits", "--help") and "migrate" not in plain(stack, "credits", "--help")


def test_arguments_that_are_not_utf8_are_rejected(stack):
    """Whatever the command stores or prints of them: names, reasons, aliases, slugs."""
    for command in (["workspace", "create", "--name", b"a\xff"], ["workspace", "list", b"\xc3"], [b"\x80"]):
        done = subprocess.run([BIN / "millrace", *command], env=stack.env, capture_output=True, timeout=30)
        assert done.returncode == 2 and b"is not valid UTF-8" in done.stderr, done


def test_settings_are_checked_and_dumped(stack, tmp_path):
    dump = plain(stack, "config", "--dump")
    assert f"socket = {stack.dir}/sockets/mariadb.sock" in dump
    assert "socket = /run/mysqld/mysqld.sock" in plain(stack, "config", "--dump", "--defaults")
    again = tmp_path / "again.ini"
    again.write_text(dump)
    assert plain(stack, "config", "--dump", "--config", again) == dump
    again.write_text("[api]\nworkerz = 3\n")
    assert "workerz" in plain(stack, "config", "--dump", "--config", again, code=1)
    assert "cannot be read" in plain(stack, "workspace", "list", "--config", tmp_path / "none.ini", code=1)


def test_batch_runs_one_command_per_line(stack):
    def batch(*lines, code=0):
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        got, out, err = stack.cli("batch", check=False, text=text)
        assert (got, err) == (code, "")
        return [json.loads(line) for line in out.splitlines()]

    made, = batch(["workspace", "create", "--name", "Müller"])
    granted, balance = batch(["credits", "grant", "--workspace", made["id"], "--credits", "3", "--reason", "test"],
                             ["credits", "balance", "--workspace", made["id"]])
    assert granted["balance"] == balance["balance"] == 3
    wrong = ["[]", "{", "[1]", '["credits", ["balance"]]', ["workspace"], ["help"], ["key", "--help"], ["--json", "batch"], ["batch"],
             ["nonsense"], ["workspace", "list", "--config", "x.ini"], ["key", "list", "--workspace", NOBODY, "--nonsense"],
             ["credits", "balance", "--workspace", NOBODY]]
    answers = batch(*wrong, ["credits", "balance", "--workspace", made["id"]], code=1)
    assert ["error" in answer for answer in answers] == [True] * len(wrong) + [False]
    # the commands that follow must not be read as the value of the secret
    answers = batch(["secret", "set", "--workspace", made["id"], "NAME"], ["workspace", "list"], code=1)
    assert answers[-1][0]["id"] and "NAME" not in json.dumps(stack.cli("secret", "list", "--workspace", made["id"]))


def test_a_server_that_was_restarted_ends_no_command(stack):
    """A write to a connection that the other side has closed is an error of that write, and not the end of the process."""
    workspace = stack.workspace(credits=1)
    command = json.dumps(["credits", "grant", "--workspace", workspace.id, "--credits", "1", "--reason", "test"]) + "\n"
    with subprocess.Popen([BIN / "millrace", "--json", "batch"], env=stack.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        for n in range(1, 4):
            process.stdin.write(command)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["balance"] == 1 + n
            stack.restart_server("redis")
        process.stdin.close()
        assert process.wait(60) == 0


def test_a_reader_that_has_gone_ends_the_command(stack):
    done = subprocess.run(["bash", "-c", 'set -o pipefail; "$0" help | true', BIN / "millrace"], env=stack.env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) in ((0, ""), (141, "")), done


# --- migrate --------------------------------------------------------------------------------------------------

def test_migrate_is_repeatable_and_detects_changed_files(stack):
    first = stack.cli("migrate")
    assert [m["new"] for m in first] == [False] * len(first)
    assert [m["number"] for m in first] == list(range(1, len(first) + 1))
    sha = stack.sql_one("SELECT sha256 FROM schema_migrations WHERE number = 1")
    stack.sql("UPDATE schema_migrations SET sha256 = 'other' WHERE number = 1")
    assert "was changed" in fails(stack, "migrate")
    stack.sql(f"UPDATE schema_migrations SET sha256 = '{sha}', applied_ms = NULL WHERE number = 1")
    assert "halfway" in fails(stack, "migrate", "--wait", 1)
    stack.sql("UPDATE schema_migrations SET applied_ms = 1 WHERE number = 1;"
              "INSERT INTO schema_migrations VALUES (9999, '9999_later', 'x', 1)")
    assert "newer" in fails(stack, "migrate")
    stack.sql("DELETE FROM schema_migrations WHERE number = 9999")
    assert stack.cli("migrate")[0]["number"] == 1


def test_migrate_refuses_a_migration_that_programs_must_be_stopped_for(stack):
    """On a database of the version before two of them, as `millrace migrate` of that version has left it."""
    steps = [s for s in sorted((ROOT / "sql/migrations").glob("*.sql")) if s.name < "0018"]
    stack.sql("CREATE DATABASE earlier CHARACTER SET utf8mb4; GRANT ALL ON earlier.* TO millrace_admin@localhost")
    ini = stack.dir / "earlier.ini"
    ini.write_text((stack.dir / "millrace.ini").read_text().replace("name = millrace", "name = earlier"))
    stack.sql("USE earlier;\n" + (ROOT / "sql/queries/mariadb/migration_table.sql").read_text())
    for step in steps:
        stack.sql("USE earlier;\n" + step.read_text())
        stack.sql(f"INSERT INTO earlier.schema_migrations VALUES ({int(step.name[:4])}, '{step.stem}', '{hashlib.sha256(step.read_bytes()).hexdigest()}', 5)")
    stack.sql(f"INSERT INTO earlier.tenants VALUES ('{NOBODY}', 't', 1); INSERT INTO earlier.workspaces VALUES ('{NOBODY}', '{NOBODY}', 'w', 1)")
    migrate = lambda *words: subprocess.run([BIN / "millrace", "--config", ini, "migrate", *words], capture_output=True, text=True)
    last = "SELECT MAX(number) FROM earlier.schema_migrations"
    done = migrate()
    assert done.returncode == 1 and "0018_waits" in done.stderr and ": executor (" in done.stderr and "migrate --stop" in done.stderr
    assert stack.sql_one(last) == "17"  # not even those before it
    assert migrate("--stop").returncode == 0 and stack.sql_one(last) == str(stack.sql_one("SELECT MAX(number) FROM schema_migrations"))
    assert migrate().returncode == 0  # nothing is missing
    stack.sql("DELETE FROM earlier.schema_migrations WHERE number >= 35; DELETE FROM earlier.workspaces")
    assert "must not run" not in migrate().stderr  # nobody is served: it tries, and finds its columns there
    stack.sql("DROP DATABASE earlier")


def test_migration_0009_moves_bodies_into_the_rows(stack):
    """Applied to a database of the version before it."""
    steps = sorted((ROOT / "sql/migrations").glob("*.sql"))
    stack.sql("CREATE DATABASE older CHARACTER SET utf8mb4")
    older = lambda text: stack.sql("USE older;\n" + text)
    for step in steps:
        if step.name < "0009":
            older(step.read_text())
    one, two, bare = (f"01890000-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))
    for run in (one, two, bare):
        older("INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, cost, updated_ms) "
              f"VALUES ('{run}', '{NOBODY}', '{NOBODY}', '{NOBODY}', '{run}', 1, 1, 1, 3, 0, 7)")
    older(f"INSERT INTO execution_payloads VALUES ('{one}', '{{}}', '[\"ü\"]', '{{\"m\":1}}', '{{\"e\":1}}'), ('{two}', '2', NULL, NULL, NULL);"
          f"INSERT INTO execution_results VALUES ('{one}', '\"out\"', NULL), ('{two}', NULL, 'why');"
          f"INSERT INTO execution_children VALUES ('{one}', '{two}', '{one}', 0, -1, 1)")
    older(next(s for s in steps if s.name.startswith("0009")).read_text())
    assert older("SELECT has_children, input, tags, metadata, extra, output, error, updated_ms FROM executions ORDER BY id") == [
        ["1", "{}", '["ü"]', '{"m":1}', '{"e":1}', '"out"', "NULL", "7"], ["0", "2", "NULL", "NULL", "NULL", "NULL", "why", "7"],
        ["0", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "7"]]


def test_a_fill_changes_the_rows_slice_by_slice(stack):
    """The form that docs/architecture.md shows: each slice is committed by itself, and the fill can be run again."""
    [fill] = re.findall(r"```sql\n(-- millrace: .*?END;\n)```", (ROOT / "docs/architecture.md").read_text(), re.S)
    loader = importlib.machinery.SourceFileLoader("migrations", str(ROOT / "scripts/migrations"))
    lint = importlib.util.module_from_spec(importlib.util.spec_from_loader("migrations", loader))
    loader.exec_module(lint)
    assert not lint.faults_of_fills(fill) and lint.faults_of_fills(fill.replace("LIMIT 1 OFFSET 999", "LIMIT 1 OFFSET 99999"))
    stack.sql("CREATE DATABASE slices CHARACTER SET utf8mb4")
    slices = lambda text: stack.sql("USE slices;\n" + text, timeout=120)
    filled = lambda: int(slices("SELECT COUNT(*) FROM executions WHERE filled = cost + 1")[0][0])
    lock_waits = lambda: int(stack.sql("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'")[0][1])
    slices("CREATE TABLE executions (id UUID NOT NULL PRIMARY KEY, cost INT NOT NULL, filled INT NULL) ENGINE=InnoDB;"
           "INSERT INTO executions SELECT UUID(), seq, NULL FROM seq_1_to_2500")
    with peers.mariadb(stack.dir) as run, concurrent.futures.ThreadPoolExecutor(1) as pool:
        [[held]] = slices("SELECT id FROM executions ORDER BY id LIMIT 1 OFFSET 1500")
        run(f"USE slices; START TRANSACTION; SELECT id FROM executions WHERE id = '{held}' FOR UPDATE")
        waits = lock_waits()
        filling = pool.submit(slices, "SET innodb_lock_wait_timeout = 1;" + fill)
        eventually(lambda: filled() == 1000, 60, "the first slice is committed")
        eventually(lambda: lock_waits() >= waits + 2, 60, "the second one is tried again")
        assert filled() == 1000
        run("COMMIT")
        filling.result(timeout=60)
    assert filled() == 2500
    slices("UPDATE executions SET filled = 7; " + fill)
    assert filled() <= 1  # what has a value keeps it
    stack.sql("DROP DATABASE slices")


def test_concurrent_migrations_apply_each_file_once(stack):
    """On an empty database: both commands succeed, and each migration is applied by exactly one of them."""
    stack.sql("CREATE DATABASE twice CHARACTER SET utf8mb4; GRANT ALL ON twice.* TO millrace_admin@localhost")
    ini = stack.dir / "twice.ini"
    ini.write_text((stack.dir / "millrace.ini").read_text().replace("name = millrace", "name = twice"))
    runs = [subprocess.Popen([BIN / "millrace", "--json", "--config", ini, "migrate"], stdout=subprocess.PIPE, text=True)
            for _ in range(4)]
    answers = [(r.communicate(timeout=60)[0], r.returncode) for r in runs]
    assert [code for _, code in answers] == [0] * 4
    lists = [json.loads(out) for out, _ in answers]
    for row in zip(*lists):
        assert sum(m["new"] for m in row) == 1, row
    stack.sql("DROP DATABASE twice")


def test_database_users_have_minimal_grants(stack):
    def as_user(user, statement):
        secret = (stack.dir / f"secrets/{user}").read_text().strip()
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={stack.dir}/sockets/mariadb.sock", f"--user={user}",
                               f"--password={secret}", "millrace", "-e", statement], capture_output=True, text=True)
        return done.returncode == 0
    assert as_user("millrace_billing", "SELECT * FROM credit_usage_daily")
    assert as_user("millrace_billing", "SELECT * FROM credit_ledger_view")
    for table in ("credit_ledger", "accounts", "executions", "secrets", "api_keys", "workspaces"):
        assert not as_user("millrace_billing", f"SELECT * FROM {table}")
    assert not as_user("millrace_billing", "DELETE FROM credit_ledger_view")
    assert as_user("millrace_api", "SELECT * FROM executions LIMIT 1")
    assert not as_user("millrace_api", "SELECT * FROM secrets")
    assert not as_user("millrace_api", "UPDATE api_keys SET scopes = 1023")
    assert not as_user("millrace_api", "DELETE FROM credit_ledger")
    assert not as_user("millrace_api", "CREATE TABLE x (y INT)")
    assert as_user("millrace_executor", "SELECT * FROM secrets LIMIT 1")
    assert not as_user("millrace_executor", "SELECT * FROM api_keys")
    assert not as_user("millrace_executor", "UPDATE credit_ledger SET amount = 0")  # it may remove rows, to roll months up
    assert not as_user("millrace_api", "DELETE FROM executions")
    assert not as_user("millrace_executor", "DROP TABLE events")


# --- workspaces, keys, credits ----------------------------------------------------------------------------------

def test_workspaces_are_created_listed_and_changed(stack):
    made = stack.cli("workspace", "create", "--name", "Müller & Söhne", "--rate-limit-per-minute", 60, "--max-concurrent", 3,
                     "--price-credits", "0.25")
    assert UUID.match(made["id"]) and UUID.match(made["tenant_id"])
    assert (made["rate_limit_per_minute"], made["max_concurrent"], made["price_credits"]) == (60, 3, 0.25)
    sibling = stack.cli("workspace", "create", "--name", "second", "--tenant", made["tenant_id"])
    assert sibling["tenant_id"] == made["tenant_id"] and sibling["max_concurrent"] is None
    listed = {w["id"]: w for w in stack.cli("workspace", "list")}
    assert listed[made["id"]] == made and sibling["id"] in listed
    changed = stack.cli("workspace", "set", "--workspace", made["id"], "--max-concurrent", "default", "--price-credits", 2)
    assert (changed["rate_limit_per_minute"], changed["max_concurrent"], changed["price_credits"]) == (60, None, 2)
    assert UUID.match(plain(stack, "workspace", "create", "--name", "x").strip())
    assert "tenant not found" in fails(stack, "workspace", "create", "--name", "x", "--tenant", NOBODY)
    assert "not found" in fails(stack, "workspace", "set", "--workspace", NOBODY, "--max-concurrent", 1)
    for wrong in (["--max-concurrent", 0], ["--price-credits", "-1"], ["--price-credits", "1.0000001"], ["--price-credits", "1000000000.000001"],
                  ["--rate-limit-per-minute", "many"], ["--name", ""], ["--name", "n" * 201]):
        name = [] if wrong[0] == "--name" else ["--name", "x"]
        fails(stack, "workspace", "create", *name, *wrong, code=2)


def test_setting_max_concurrent_counts_active_runs(stack, effects):
    workspace = stack.workspace()
    client = workspace.client()
    flow = workspace.put_workflow({"steps": [{"name": "wait", "type": "http",
                                              "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    release = effects.hold("/hold")
    runs = [client.started(flow) for _ in range(3)]
    set_to = stack.cli("workspace", "set", "--workspace", workspace.id, "--max-concurrent", 3)
    assert set_to["active"] == 3
    refused = client.run(flow)
    assert (refused.status_code, refused.json()["code"]) == (429, "concurrency_limited")
    release()
    for run in runs:
        client.finished(run)
    assert stack.cli("audit")["ok"]
    assert stack.sql_one(f"SELECT active FROM accounts WHERE workspace_id = '{workspace.id}'") == "0"
    assert client.finished(client.started(flow))["status"] == "success"


def test_keys_are_created_listed_and_revoked(stack):
    workspace = stack.workspace()
    made = workspace.key("credits:read,executions:read", "--expires-in-days", 2)
    assert re.fullmatch(r"sk_live_[A-Za-z0-9_-]{43}", made["key"])
    assert made["key"].startswith(made["prefix"]) and len(made["prefix"]) == 12
    assert sorted(made["scopes"]) == ["credits:read", "executions:read"]
    assert made["expires_at"] and UUID.match(made["principal_id"])
    other = workspace.key("all", "--principal", made["principal_id"])
    assert sorted([*other["scopes"], "credits:write"]) == sorted(ALL_SCOPES.split(",")) and other["principal_id"] == made["principal_id"]
    listed = stack.cli("key", "list", "--workspace", workspace.id)
    assert [k["id"] for k in listed] == [made["id"], other["id"]]
    assert made["key"] not in json.dumps(listed)
    dump = stack.sql_one(f"SELECT GROUP_CONCAT(HEX(hash), prefix) FROM api_keys WHERE workspace_id = '{workspace.id}'")
    assert made["key"] not in dump
    for wrong in ("", "everything", "credits:read,", "credits:read, executions:read"):
        fails(stack, "key", "create", "--workspace", workspace.id, "--scopes", wrong, code=2)
    assert "not found" in fails(stack, "key", "create", "--workspace", NOBODY, "--scopes", "all")


def test_revoked_key_is_rejected_within_a_second(stack):
    workspace = stack.workspace()
    made = workspace.key("all")
    from stack import Client
    client = Client(stack.url, made["key"])
    assert client.get("/credits").status_code == 200
    assert "key not found" in fails(stack, "key", "revoke", "--workspace", stack.workspace().id, made["id"])
    stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
    revoked(lambda: client.get("/credits").status_code == 401)
    revoked_at = stack.cli("key", "list", "--workspace", workspace.id)[0]["revoked_at"]
    stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
    assert stack.cli("key", "list", "--workspace", workspace.id)[0]["revoked_at"] == revoked_at


def test_credits_are_granted_and_shown(stack):
    workspace = stack.workspace(credits=0)
    assert workspace.balance() == 0
    assert workspace.grant("12.5")["balance"] == 12.5
    assert workspace.grant("-2.500001", "correction")["balance"] == 9.999999
    assert "below zero" in fails(stack, "credits", "grant", "--workspace", workspace.id, "--credits", "-10", "--reason", "x")
    assert "would exceed 4,611,686,018,427 credits" in fails(stack, "credits", "grant", "--workspace", workspace.id, "--credits", "9223372036854",
                                     "--reason", "x")
    assert workspace.grant("-9.999999")["balance"] == 0
    for wrong in ("0", "1e3", "1.0000001", "", "x"):
        fails(stack, "credits", "grant", "--workspace", workspace.id, "--credits", wrong, "--reason", "x", code=2)
    fails(stack, "credits", "grant", "--workspace", workspace.id, "--credits", 1, "--reason", "", code=2)
    assert "not found" in fails(stack, "credits", "grant", "--workspace", NOBODY, "--credits", 1, "--reason", "x")
    rows = stack.sql("SELECT kind, credits, reason FROM credit_ledger_view"
                     f" WHERE workspace_id = '{workspace.id}' ORDER BY id")
    assert rows == [["grant", "12.500000", "test"], ["grant", "-2.500001", "correction"], ["grant", "-9.999999", "test"]]
    assert stack.redis("HGET", f"millrace:credits:{workspace.id}", "balance") == "0"


def test_concurrent_grants_add_up(stack):
    workspace = stack.workspace(credits=0)
    threads = [threading.Thread(target=workspace.grant, args=("0.1",)) for _ in range(20)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert workspace.balance() == 2
    assert stack.redis("HGET", f"millrace:credits:{workspace.id}", "balance") == "2000000"


# --- secrets --------------------------------------------------------------------------------------------------------

def test_secrets_are_set_listed_and_removed(stack, tmp_path):
    workspace = stack.workspace()
    stack.cli("secret", "set", "--workspace", workspace.id, "TOKEN", text="first-value\n")
    value = tmp_path / "value"
    value.write_text("a value of several\nlines")
    stack.cli("secret", "set", "--workspace", workspace.id, "OTHER", "--value-file", value)
    assert [s["name"] for s in stack.cli("secret", "list", "--workspace", workspace.id)] == ["OTHER", "TOKEN"]
    sealed = stack.sql(f"SELECT name, HEX(sealed) FROM secrets WHERE workspace_id = '{workspace.id}'")
    assert not any(b"first-value".hex() in row[1].lower() for row in sealed)
    before = dict(sealed)["TOKEN"]
    stack.cli("secret", "set", "--workspace", workspace.id, "TOKEN", text="first-value\n")
    assert dict(stack.sql(f"SELECT name, HEX(sealed) FROM secrets WHERE workspace_id = '{workspace.id}'"))["TOKEN"] != before
    for wrong in ("", "abc", "\n"):
        assert "secret must be" in fails(stack, "secret", "set", "--workspace", workspace.id, "TOKEN", text=wrong)
    fails(stack, "secret", "set", "--workspace", workspace.id, "a/b", code=2)
    fails(stack, "secret", "set", "--workspace", workspace.id, "TOKEN", "the-value", code=2)
    assert "workspace not found" in fails(stack, "secret", "set", "--workspace", NOBODY, "TOKEN", text="value")
    stack.cli("secret", "delete", "--workspace", workspace.id, "TOKEN")
    assert "secret not found" in fails(stack, "secret", "delete", "--workspace", workspace.id, "TOKEN")
    key = tmp_path / "key"
    stack.cli("secret", "keygen", key)
    assert key.stat().st_mode & 0o777 == 0o600
    assert "already exists" in fails(stack, "secret", "keygen", key)


# --- workflows --------------------------------------------------------------------------------------------------------

def test_workflow_put_stores_versions(stack, tmp_path):
    workspace = stack.workspace()
    client = workspace.client()
    file = tmp_path / "double.json"
    file.write_text(json.dumps(DOUBLE))
    made = stack.cli("workflow", "put", "--workspace", workspace.id, file)
    assert (made["name"], made["version"]) == ("double", 1) and UUID.match(made["id"])
    assert client.finished(client.started(made["id"], {"x": 21}))["detail"]["output"] == 21
    body = {"name": "Named", "description": "says what", "program": DOUBLE}
    again = stack.cli("workflow", "put", "--workspace", workspace.id, "--id", made["id"], "-", text=json.dumps(body))
    assert again == {"id": made["id"], "name": "Named", "version": 2}
    shown = client.get(f"/workflows/{made['id']}").json()
    assert (shown["name"], shown["description"], shown["version"], shown["program"]) == ("Named", "says what", 2, DOUBLE)
    third = stack.cli("workflow", "put", "--workspace", workspace.id, "--name", "Other", ROOT / "examples/weather.json")
    assert third["name"] == "Other"
    assert [w["id"] for w in stack.cli("workflow", "list", "--workspace", workspace.id)] == [third["id"], made["id"]]
    stack.cli("workflow", "archive", "--workspace", workspace.id, third["id"])
    assert client.get(f"/workflows/{third['id']}").status_code == 404
    assert "workflow not found" in fails(stack, "workflow", "put", "--workspace", workspace.id, "--id", NOBODY, file)
    assert "workspace not found" in fails(stack, "workflow", "put", "--workspace", NOBODY, file)
    assert "cannot be read" in fails(stack, "workflow", "put", "--workspace", workspace.id, tmp_path / "none")


def test_workflow_put_reports_each_error(stack):
    workspace = stack.workspace()
    put = ("workflow", "put", "--workspace", workspace.id, "--name", "x", "-")
    assert "-:" in fails(stack, *put, text="{")
    code, out, err = stack.cli(*put, check=False, text=json.dumps({"steps": [{"name": "a", "type": "nonsense"}]}))
    assert code == 1 and "the program has" in err
    problems = json.loads(out)["problems"]
    assert problems and all(p["pointer"].startswith("/steps/0") for p in problems)
    assert "/credits" in stack.cli(*put, check=False, text=json.dumps({**DOUBLE, "credits": 0.5}))[1]
    assert "larger than 1 MiB" in fails(stack, *put, text=" " * (1024 * 1024 + 1))
    assert stack.cli("workflow", "list", "--workspace", workspace.id) == []


def test_workflow_price_takes_effect(stack):
    workspace = stack.workspace(credits=10)
    client = workspace.client()
    flow = workspace.put_workflow(DOUBLE)
    stack.cli("workflow", "price", "--workspace", workspace.id, flow, "--credits", "2.5")
    eventually(lambda: client.finished(client.started(flow, {"x": 1}))["creditsUsed"] == 2.5, 5, "the new price")
    fails(stack, "workflow", "price", "--workspace", workspace.id, flow, "--credits", "-1", code=2)
    assert "workflow not found" in fails(stack, "workflow", "price", "--workspace", workspace.id, NOBODY, "--credits", 1)


# --- executions -----------------------------------------------------------------------------------------------------------

def test_execution_list_and_show_print_runs(stack):
    workspace = stack.workspace()
    client = workspace.client()
    flow = workspace.put_workflow(DOUBLE)
    runs = [client.started(flow, {"x": n}) for n in range(3)]
    for run in runs:
        client.finished(run)
    mine = ("execution", "list", "--workspace", workspace.id)
    listed = stack.cli(*mine)
    assert [x["id"] for x in listed] == runs[::-1]
    assert {x["state"] for x in listed} == {"succeeded"} and {x["credits"] for x in listed} == {1}
    assert [x["id"] for x in stack.cli(*mine, "--limit", 1, "--before", runs[2])] == [runs[1]]
    assert stack.cli(*mine, "--state", "failed") == []
    assert len(stack.cli(*mine, "--workflow", flow, "--state", "succeeded")) == 3
    assert runs[2] in [x["id"] for x in stack.cli("execution", "list")]
    fails(stack, "execution", "list", "--state", "happy", code=2)
    shown = stack.cli("execution", "show", runs[0])
    assert shown["detail"]["output"] == 0 and shown["steps"][0]["name"] == "twice"
    assert [e["seq"] for e in shown["events"]] == list(range(1, len(shown["events"]) + 1))
    assert shown["events"][-1]["type"] == "execution.succeeded"
    assert shown["operator"]["effects"] is True and shown["operator"]["losses"] == 0
    assert "execution.succeeded" in plain(stack, "execution", "show", runs[0])
    assert "execution not found" in fails(stack, "execution", "show", NOBODY)


def test_execution_stop_stops_a_run(stack, effects):
    workspace = stack.workspace()
    client = workspace.client()
    flow = workspace.put_workflow({"steps": [{"name": "wait", "type": "http",
                                              "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    release = effects.hold("/hold")
    run = client.started(flow)
    effects.wait_for("/hold")
    assert stack.cli("execution", "stop", run) == {"id": run, "state": "stopped"}
    assert client.execution(run)["status"] == "stopped"
    assert "already ended" in fails(stack, "execution", "stop", run)
    assert "execution not found" in fails(stack, "execution", "stop", NOBODY)
    release()


@pytest.mark.parametrize("with_redis", [True, False])
def test_execution_tail_follows_to_the_end(stack, effects, with_redis):
    workspace = stack.workspace()
    client = workspace.client()
    flow = workspace.put_workflow({"steps": [{"name": "wait", "type": "http",
                                              "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    release = effects.hold("/hold")
    run = client.started(flow)
    effects.wait_for("/hold")
    if not with_redis:
        stack.stop_server("redis")
    tail = subprocess.Popen([BIN / "millrace", "--json", "execution", "tail", run], env=stack.env, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True)
    first = [json.loads(tail.stdout.readline()) for _ in range(3)]
    assert [e["type"] for e in first] == ["execution.queued", "execution.started", "step.started"]
    assert tail.poll() is None
    release()
    rest = [json.loads(line) for line in tail.stdout]
    assert tail.wait(10) == 0
    assert [e["seq"] for e in first + rest] == list(range(1, len(first + rest) + 1))
    assert rest[-1]["type"] == "execution.succeeded"
    if not with_redis:
        stack.start_server("redis")
    after = plain(stack, "execution", "tail", run, "--after", rest[-1]["seq"] - 1).splitlines()
    assert len(after) == 1 and "execution.succeeded" in after[0]


# --- with servers stopped -------------------------------------------------------------------------------------------------------

def test_commands_work_without_redis(stack):
    workspace = stack.workspace(credits=0)
    stack.stop_server("redis")
    assert workspace.grant(3)["balance"] == 3
    stack.start_server("redis")
    assert workspace.balance() == 3


def test_commands_fail_clearly_without_mariadb(stack):
    stack.stop_server("mariadb")
    assert "cannot connect" in fails(stack, "workspace", "list")
    stack.start_server("mariadb")
    assert isinstance(stack.cli("workspace", "list"), list)


def test_doctor_names_what_is_wrong_with_the_servers(stack):
    def levels():
        code, out, _ = stack.cli("doctor", check=False)
        return code, {f["check"]: f["level"] for f in json.loads(out)}
    before, healthy = levels()
    assert before == int("error" in healthy.values())
    for check in ("mariadb.answers", "mariadb.durability", "mariadb.schema", "mariadb.clock", "mariadb.max_allowed_packet", "redis.answers", "redis.policy"):
        assert healthy[check] == "ok", healthy
    stack.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 2; SET GLOBAL max_allowed_packet = 1048576")
    stack.redis("CONFIG", "SET", "maxmemory-policy", "noeviction")
    try:
        code, found = levels()
    finally:
        stack.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL max_allowed_packet = 67108864")
        stack.redis("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    assert code == 1
    assert {c for c in found if found[c] != healthy[c]} == {"mariadb.durability", "mariadb.max_allowed_packet", "redis.policy"}
    code, _, err = stack.cli("doctor", "--quick", "nginx", check=False)
    assert code == 2 and "api, executor or stream" in err


def rights_found(stack, *args):
    """The exit code of `millrace doctor`, and what it says of mariadb.rights (None: nothing is missing)."""
    code, out, _ = stack.cli("doctor", *args, check=False)
    return code, {f["check"]: f for f in json.loads(out)}["mariadb.rights"]["found"]


@pytest.mark.parametrize("program, revoke, grant, missing", [
    ("api", "REVOKE INSERT, UPDATE ON credit_sums FROM {}", "GRANT INSERT, UPDATE ON credit_sums TO {}", "INSERT on credit_sums, UPDATE on credit_sums"),
    ("executor", "REVOKE UPDATE (room) ON credit_ledger FROM {}", "GRANT UPDATE (room) ON credit_ledger TO {}", "UPDATE (room) on credit_ledger"),
    ("stream", "REVOKE SELECT ON events FROM {}", "GRANT SELECT ON events TO {}", "SELECT on events"),
])
def test_doctor_names_rights_that_a_program_lacks(stack, program, revoke, grant, missing):
    user = f"'millrace_{program}'@'localhost'"
    others = {"api", "executor", "stream"} - {program}
    healthy, found = rights_found(stack, "--quick", program)
    assert (healthy, found) == (0, None)
    stack.sql(revoke.format(user))
    try:
        said = f"millrace_{program}, the user of millrace-{program}, lacks {missing}"
        assert rights_found(stack, "--quick", program) == (1, said)
        assert rights_found(stack) == (1, said)
        for other in others:
            assert rights_found(stack, "--quick", other) == (0, None)
        assert "grants.sql" in subprocess.run([BIN / "millrace", "doctor", "--quick", program], env=stack.env, capture_output=True, text=True, timeout=60).stdout
    finally:
        stack.sql(grant.format(user))
    assert rights_found(stack, "--quick", program) == (0, None)


def test_doctor_knows_rights_from_elsewhere(stack, tmp_path):
    """It asks the user whom the settings name, whatever its name is, and counts the rights of columns, the database, patterns and roles."""
    database = stack.sql_one("SELECT DATABASE()")
    (tmp_path / "password").write_text("p\n")
    (tmp_path / "password").chmod(0o600)
    ini = tmp_path / "m.ini"
    ini.write_text(plain(stack, "config", "--dump").replace("db_user = millrace_executor", "db_user = elsewhere").replace(
        f"{stack.dir}/secrets/millrace_executor", str(tmp_path / "password")))

    def missing():
        code, found = rights_found(stack, "--quick", "executor", "--config", ini)
        assert code == int(found is not None)
        return found
    user = "'elsewhere'@'localhost'"
    stack.sql(f"CREATE USER {user} IDENTIFIED BY 'p'; CREATE ROLE elsewhere_role")
    try:
        assert missing() is None, "it may not enter the database, and a user who cannot sign in keeps no program from starting"
        stack.sql(f"GRANT SELECT (prefix) ON api_keys TO {user}")
        assert missing().startswith("elsewhere, the user of millrace-executor, lacks ") and re.search(r" and \d+ more$", missing())
        stack.sql(f"GRANT SELECT, INSERT, UPDATE ON `{database}`.* TO {user}")
        assert "DELETE on " in missing() and "SELECT" not in missing() and "UPDATE" not in missing()
        stack.sql(f"GRANT DELETE ON `{database[:-1]}%`.* TO elsewhere_role; GRANT elsewhere_role TO {user}")
        assert "DELETE on " in missing(), "the role is not the user's default"
        stack.sql(f"SET DEFAULT ROLE elsewhere_role FOR {user}")
        assert missing() is None
        stack.sql(f"DROP ROLE elsewhere_role; GRANT ALL PRIVILEGES ON *.* TO {user}")
        assert missing() is None
        # the rights of grants.sql alone, columns by name
        stack.sql(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {user}")
        stack.sql((ROOT / "sql/grants.sql").read_text().replace("'millrace_executor'@", "'elsewhere'@"))
        assert missing() is None
    finally:
        stack.sql(f"DROP USER {user}; DROP ROLE IF EXISTS elsewhere_role")


def test_doctor_finds_no_missing_right_while_mariadb_is_away(stack):
    stack.stop_server("mariadb")
    try:
        assert rights_found(stack, "--quick", "api") == (0, None)
        assert rights_found(stack)[1] is None
    finally:
        stack.start_server("mariadb")
