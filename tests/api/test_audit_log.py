"""The audit log of people's deeds: every command and every request that changes something has a row, written with the change."""
import csv
import getpass
import itertools
import io
import json
import re
import subprocess
import uuid

from skills import manifest, package, probe
from stack import BIN, ROOT, eventually

SECRET = "hunter2-never-shown"
QUICK = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SLOW = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}

# Commands that change nothing that others see. A new command belongs here, or states its deed in cli/commands.c and has an action below.
READERS = {"status", "executor list", "workspace show", "workspace list", "key list", "credits balance", "credits ledger", "credits list",
           "billing statement", "billing export", "workflow list", "execution list", "execution errors", "execution show", "execution tail",
           "execution logs", "execution artifacts", "execution artifact", "secret list", "secret keygen", "skill check", "skill run",
           "skill list", "schedule list", "schedule show", "batch-job list", "batch-job show", "model list", "schema validate", "audit", "doctor", "log", "config", "completion", "man", "batch", "dbcheck", "cluster show",
           "budget list", "price list", "operator list", "push list", "billing rolled-up", "webhook list", "webhook show", "webhook deliveries",
           "files store",  # copies bytes under their hash to where they are to be
           "backup verify", "setup"}  # setup: before there is a database

# Operations of the API that are no deeds: a run, a signal and a ticket for a signal name their key themselves, an answer names its ticket, and a
# ticket for events is a read of five minutes.
NO_DEEDS = {"POST /workflows/{id}/run-async", "POST /workflows/{id}/estimate", "POST /spaces/{space_id}/skills/{slug}/estimate",
            "POST /workflows/{id}/run-batch", "POST /executions/{id}/retry", "POST /schedules/{id}/trigger",
            "POST /executions/{id}/signals/{name}", "POST /executions/{id}/signals/{name}/ticket", "POST /answer/{ticket}", "POST /mcp",
            "POST /spaces/{space_id}/skills/{slug}/executions", "POST /executions/{id}/events/ticket",
            "POST /spaces/{space_id}/skills/executions/{id}/events/ticket"}
# Operations that only operators' sessions may use: test_operators.py looks for their rows.
BY_OPERATORS = {"PATCH /operator/workspaces/{id}"}


def log(stack, *args):
    return stack.cli("audit-log", "--limit", 1000, *args)


def rest(stack, job):
    """Pauses a bulk job that has ended."""
    eventually(lambda: stack.sql_one(f"SELECT state FROM bulk_jobs WHERE id = '{job}'") == "4", 30, "the job has ended")
    stack.sql(f"UPDATE bulk_jobs SET state = 3, ended_ms = NULL WHERE id = '{job}'")


def only(stack, deed, *args):
    rows = log(stack, "--deed", deed, *args)
    assert len(rows) == 1, rows
    return rows[0]


class Room:
    """A workspace in which the actions of the commands find what they need."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        self.space = stack.workspace(credits=0)
        self.id = self.space.id

    def command(self, *words, text=None):
        return self.stack.cli(*words, text=text)

    def file(self, name, text):
        path = self.folder / f"{uuid.uuid4()}-{name}"
        path.write_text(text)
        return path

    def workflow(self, program=QUICK):
        return self.space.put_workflow(program)

    def slow_run(self):
        self.space.grant(5)
        return self.space.client().started(self.workflow(SLOW))

    def webhook(self):
        return self.space.client().post("/webhooks", json={"url": "http://127.0.0.1:9"}).json()["id"]

    def skill(self, slug):
        directory = self.folder / str(uuid.uuid4())
        directory.mkdir()
        return package(directory, manifest(slug, "1.0.0"), main_py="print()")


def command_actions(room):
    """{command: (its action, the target of its row, or None)}"""
    w = ("--workspace", room.id)

    def key_revoke():
        key = room.space.key("files:read")["id"]
        room.command("key", "revoke", *w, key)
        return key

    def credits_void():
        grant = room.command("credits", "grant", *w, "--credits", "5", "--reason", "by mistake")["ledger_id"]
        room.command("credits", "void", *w, grant, "--reason", "a mistake")
        return grant

    def workflow_archive():
        workflow = room.workflow()
        room.command("workflow", "archive", *w, workflow)
        return workflow

    def workflow_price():
        workflow = room.workflow()
        room.command("workflow", "price", *w, workflow, "--credits", "2.5")
        return workflow

    def execution_stop():
        run = room.slow_run()
        room.command("execution", "stop", run)
        return run

    def secret_delete():
        room.command("secret", "set", *w, "gone", text=SECRET)
        room.command("secret", "delete", *w, "gone")
        return "gone"

    def skill_remove():
        room.command("skill", "install", room.skill("leaver"), *w)
        room.command("skill", "remove", "leaver", *w)
        return "leaver"

    def model_put(alias="big"):
        room.command("model", "put", *w, "--alias", alias, "--url", "https://models.test/v1", "--model", "m", "--api-key-file",
                     room.file("key", SECRET))
        return alias

    def model_delete():
        model_put("old")
        room.command("model", "delete", "old", *w)
        return "old"

    def budget_remove():
        made = room.command("budget", "set", *w, "--scope", "workspace", "--period", "day", "--limit", 1)["id"]
        room.command("budget", "remove", *w, made)
        return made

    def schedule(verb):
        body = {"workflow_id": room.workflow(), "cron": "0 0 1 1 *", "paused": verb == "resume"}
        made = room.space.client().post("/schedules", json=body).json()["id"]
        room.command("schedule", verb, made, *w)
        return made

    def batch_job_cancel():
        made = room.space.client().post("/executions/bulk", json={"action": "stop", "filter": {}}).json()["id"]
        rest(room.stack, made)
        room.command("batch-job", "cancel", made, *w)
        return made

    def billing_roll_up():
        old = room.stack.workspace(credits=0).id
        row = "00d00000-0000-7000-8000-" + old[-12:]
        room.stack.sql(f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, reason, grant_id) VALUES ('{old}', '{row}', 1, 0, 'old', NULL)")
        eventually(lambda: room.stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{old}' AND number IS NULL") == "0", 30, "the sums")
        room.command("billing", "roll-up", "--before", "2020-01", "--workspace", old)
        return old

    def push(verb):
        name = f"target-{verb}"
        room.command("push", "add", name, "--url", "http://127.0.0.1:9/")
        if verb != "add":
            room.command("push", verb, name)
        if verb != "remove":
            room.stack.sql(f"DELETE FROM pushes WHERE name = '{name}'")
        return name

    return {
        "batch-job cancel": batch_job_cancel,
        "schedule pause": lambda: schedule("pause"),
        "schedule resume": lambda: schedule("resume"),
        "schedule trigger": lambda: schedule("trigger"),
        "workspace create": lambda: room.command("workspace", "create", "--name", "made", "--max-concurrent", 7)["id"],
        "workspace set": lambda: room.command("workspace", "set", *w, "--price-credits", "1.5", "--quotas", "files=10")["id"],
        "operator create": lambda: room.command("operator", "create", "--name", "made", "--role", "viewer")["id"],
        "operator revoke": lambda: room.command("operator", "revoke", room.command("operator", "create", "--name", "gone", "--role", "viewer")["id"])["id"],
        "key create": lambda: room.command("key", "create", *w, "--scopes", "files:read")["id"],
        "key revoke": key_revoke,
        "budget set": lambda: room.command("budget", "set", *w, "--scope", "tag", "--target", "a", "--period", "day", "--limit", 1)["id"],
        "budget remove": budget_remove,
        "price set": lambda: room.command("price", "set", *w, "--model", "deep", "--credits", "2", "--from", "2999-01-01")["id"],
        **{f"push {verb}": lambda verb=verb: push(verb) for verb in ("add", "pause", "resume", "retry", "remove")},
        "billing roll-up": billing_roll_up,
        "credits alerts": lambda: room.command("credits", "alerts", *w, "--low", "50,20%") and w[1],
        "credits grant": lambda: room.command("credits", "grant", *w, "--credits", "5", "--reason", "invoice 7", "--reference",
                                              "R7")["ledger_id"],
        "credits void": credits_void,
        "workflow put": lambda: room.command("workflow", "put", *w, room.file("w.json", json.dumps(QUICK)), "--name", "n")["id"],
        "workflow archive": workflow_archive,
        "workflow price": workflow_price,
        "execution stop": execution_stop,
        "secret set": lambda: room.command("secret", "set", *w, "token", text=SECRET) and "token",
        "secret delete": secret_delete,
        "skill install": lambda: room.command("skill", "install", room.skill("arriver"), *w) and "arriver",
        "skill remove": skill_remove,
        "model put": model_put,
        "webhook enable": lambda: room.command("webhook", "enable", *w, room.webhook())["id"],
        "webhook disable": lambda: room.command("webhook", "disable", *w, room.webhook())["id"],
        "webhook redeliver": lambda: (lambda hook: room.command("webhook", "redeliver", *w, hook, "--since", "2026-01-01") and hook)(room.webhook()),
        "model delete": model_delete,
    }


APART = {"migrate", "audit-log", "cluster switch", "backup create", "backup restore", "workspace export", "workspace import",
         "workspace reopen", "workspace discard"}  # tests of their own: below, in tests/cluster, test_backup.py and test_workspace_move.py


def test_every_command_that_changes_something_has_a_row(stack, tmp_path):
    table = json.loads(subprocess.run([BIN / "millrace", "help", "--table"], env=stack.env, check=True, capture_output=True).stdout)
    names = {" ".join(filter(None, (c["noun"], c["verb"]))): c for c in table}
    changing = {name for name, c in names.items() if c["deed"]}
    assert set(names) - changing == READERS, "a new command: see READERS"
    actions = command_actions(Room(stack, tmp_path))
    assert changing == set(actions) | APART
    for name, action in actions.items():
        target = action()
        rows = log(stack, "--deed", names[name]["deed"], "--target", target)
        assert len(rows) == 1, (name, rows)
        assert rows[0]["actor_kind"] == "user" and f"millrace {name} on " in rows[0]["origin"]
    everything = json.dumps(log(stack))
    assert SECRET not in everything and not re.search("sk_live_[A-Za-z0-9_-]{5}", everything)


def test_a_row_says_who_what_and_how(stack):
    workspace = stack.workspace(credits=0)
    env = {**stack.env, "SUDO_USER": "alice"}
    subprocess.run([BIN / "millrace", "credits", "grant", "--workspace", workspace.id, "--credits", "2.5", "--reason", "=1+1",
                    "--reference", "R1"], env=env, check=True, capture_output=True)
    row = only(stack, "credits.grant", "--workspace", workspace.id)
    assert row["actor"] == "alice" and row["origin"].endswith(f" as {getpass.getuser()}") and row["workspace"] == "test"
    assert row["detail"] == {"credits": "2.5", "reason": "=1+1", "reference": "R1"}
    assert log(stack, "--actor", "alice", "--workspace", workspace.id) == [row]
    assert log(stack, "--actor", "alice", "--to", row["at"], "--workspace", workspace.id) == []
    assert log(stack, "--actor", "alice", "--from", "2999-01-01") == []
    # a grant that was made before is not made again, and has no second row
    stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "2.5", "--reason", "=1+1", "--reference", "R1")
    assert len(log(stack, "--deed", "credits.grant", "--workspace", workspace.id)) == 1


def test_a_change_that_fails_has_no_row(stack):
    before = len(log(stack))
    workspace = stack.workspace(credits=0)
    code, _, _ = stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "-5", "--reason", "too much", check=False)
    assert code == 1
    code, _, _ = stack.cli("secret", "delete", "--workspace", workspace.id, "none", check=False)
    assert code == 1
    client = workspace.client()
    assert client.delete(f"/executions/{uuid.uuid4()}").status_code == 404
    assert client.delete("/files/none").status_code == 404
    rows = log(stack)[:len(log(stack)) - before]
    assert {r["deed"] for r in rows} == {"workspace.create", "key.create"}


def api_actions(stack):
    workspace = stack.workspace()
    client = workspace.client()
    program = {"name": "n", "program": QUICK}

    def run(stop=False):
        id = client.started(workspace.put_workflow(SLOW if stop else QUICK))
        return id if stop else client.finished(id)["execution_id"]

    def made():
        return client.post("/workflows", json=program).json()["id"]

    def skill_cancel():
        probe(workspace, "import time; time.sleep(600)", slug="sleeper")
        return with_id(client.post(f"/spaces/{workspace.id}/skills/sleeper/executions", json={"inputs": {}}).json()["data"]["id"],
                       lambda e: client.post(f"/spaces/{workspace.id}/skills/executions/{e}/cancel"))

    def file_delete():
        client.post("/files", files=[("files", ("gone.txt", b"x"))])
        assert client.delete("/files/gone.txt").status_code == 204
        return "gone.txt"

    def with_id(id, call):
        assert call(id).status_code < 300
        return id

    def past_schedule():
        return client.post("/schedules", json={"workflow_id": workspace.put_workflow(QUICK), "cron": "0 * * * *"}).json()["id"]

    def schedule():
        made = client.post("/schedules", json={"workflow_id": workspace.put_workflow(QUICK), "every_seconds": 3600})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def webhook():
        made = client.post("/webhooks", json={"url": "http://127.0.0.1:9"})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def webhook_redeliver():
        hook = webhook()
        client.post(f"/webhooks/{hook}/test")
        delivery = eventually(lambda: client.get(f"/webhooks/{hook}/deliveries").json()["deliveries"], 30, "a delivery")[0]["id"]
        return with_id(hook, lambda w: client.post(f"/webhooks/{w}/deliveries/{delivery}/redeliver"))

    page = {"X-Millrace-Console": "1", "Sec-Fetch-Site": "same-origin", "Authorization": None}

    def sign_in():
        made = client.post("/session", json={"token": client.key}, headers=page)
        assert made.status_code == 200, made.text
        client.session.cookies.clear()
        cookie = {**page, "Cookie": made.headers["Set-Cookie"].split(";")[0]}
        return cookie, log(stack, "--deed", "session.create", "--workspace", workspace.id)[0]["target"]

    def sign_out():
        cookie, session = sign_in()
        assert client.delete("/session", headers=cookie).status_code == 204
        return session

    tags = itertools.count()

    def budget():
        made = client.post("/budgets", json={"scope": "tag", "target": f"tag {next(tags)}", "period": "day", "limit": 1})
        assert made.status_code == 201, made.text
        return made.json()["id"]

    def bulk_job(paused=False):
        made = client.post("/executions/bulk", json={"action": "stop", "filter": {"tag": "none"}})
        assert made.status_code == 202, made.text
        if paused:
            rest(stack, made.json()["id"])
        return made.json()["id"]

    return workspace, client, {
        "POST /budgets": ("budget.put", budget),
        "PATCH /budgets/{id}": ("budget.change", lambda: with_id(budget(), lambda b: client.patch(f"/budgets/{b}", json={"limit": 2}))),
        "DELETE /budgets/{id}": ("budget.delete", lambda: with_id(budget(), lambda b: client.delete(f"/budgets/{b}"))),
        "PUT /credits/alerts": ("credits.alerts", lambda: client.request("PUT", "/credits/alerts", json={"balance": [{"percent": 20}]}) and workspace.id),
        "POST /session": ("session.create", lambda: sign_in()[1]),
        "DELETE /session": ("session.delete", sign_out),
        "POST /executions/bulk": ("bulk_job.create", bulk_job),
        "POST /bulk-jobs/{id}/cancel": ("bulk_job.cancel", lambda: with_id(bulk_job(True), lambda j: client.post(f"/bulk-jobs/{j}/cancel"))),
        "POST /bulk-jobs/{id}/resume": ("bulk_job.resume", lambda: with_id(bulk_job(True), lambda j: client.post(f"/bulk-jobs/{j}/resume"))),
        "POST /credits/grants": ("credits.grant", lambda: client.post("/credits/grants", json={"credits": 1}).json()["id"]),
        "POST /webhooks": ("webhook.create", webhook),
        "PATCH /webhooks/{id}": ("webhook.change", lambda: with_id(webhook(), lambda w: client.patch(f"/webhooks/{w}", json={"enabled": False}))),
        "DELETE /webhooks/{id}": ("webhook.delete", lambda: with_id(webhook(), lambda w: client.delete(f"/webhooks/{w}"))),
        "POST /webhooks/{id}/test": ("webhook.test", lambda: with_id(webhook(), lambda w: client.post(f"/webhooks/{w}/test"))),
        "POST /webhooks/{id}/redeliver": ("webhook.redeliver", lambda: with_id(webhook(), lambda w: client.post(
            f"/webhooks/{w}/redeliver", json={"since": "2026-01-01"}))),
        "POST /webhooks/{id}/deliveries/{delivery}/redeliver": ("webhook.redeliver", webhook_redeliver),
        "POST /workflows": ("workflow.put", made),
        "PUT /workflows/{id}": ("workflow.put", lambda: with_id(workspace.put_workflow(QUICK),
                                                                lambda w: client.put(f"/workflows/{w}", json=program))),
        "DELETE /workflows/{id}": ("workflow.archive", lambda: with_id(made(), lambda w: client.delete(f"/workflows/{w}"))),
        "POST /executions/{id}/stop": ("execution.stop", lambda: with_id(run(True), lambda e: client.post(f"/executions/{e}/stop"))),
        "POST /spaces/{space_id}/skills/executions/{id}/cancel": ("execution.stop", skill_cancel),
        "PATCH /executions/{id}": ("execution.move", lambda: with_id(
            client.post(f"/workflows/{workspace.put_workflow(QUICK)}/run-async", json={"delay_seconds": 3600}).json()["execution_id"],
            lambda e: client.patch(f"/executions/{e}", json={"delay_seconds": 7200}))),
        "DELETE /executions/{id}": ("execution.purge", lambda: with_id(run(), lambda e: client.delete(f"/executions/{e}"))),
        "POST /files": ("file.put", lambda: client.post("/files", files=[("files", ("a.txt", b"x")), ("files", ("b.txt", b"y"))])
                        and "a.txt"),
        "DELETE /files/{name}": ("file.delete", file_delete),
        "POST /schedules": ("schedule.create", schedule),
        "PATCH /schedules/{id}": ("schedule.change", lambda: with_id(schedule(), lambda s: client.patch(f"/schedules/{s}", json={"note": "n"}))),
        "POST /schedules/{id}/pause": ("schedule.change", lambda: with_id(schedule(), lambda s: client.post(f"/schedules/{s}/pause"))),
        "POST /schedules/{id}/resume": ("schedule.change", lambda: with_id(schedule(), lambda s: client.post(f"/schedules/{s}/resume"))),
        "POST /schedules/{id}/backfill": ("schedule.backfill", lambda: with_id(past_schedule(), lambda s: client.post(
            f"/schedules/{s}/backfill", json={"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T02:00:00Z"}))),
        "DELETE /schedules/{id}": ("schedule.delete", lambda: with_id(schedule(), lambda s: client.delete(f"/schedules/{s}"))),
    }


def test_every_request_that_changes_something_has_a_row(stack):
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    changing = {f"{method.upper()} {path}" for path, item in document["paths"].items() for method in item
                if method in ("post", "put", "patch", "delete")}
    workspace, client, actions = api_actions(stack)
    assert changing == set(actions) | NO_DEEDS | BY_OPERATORS, "a new operation: record a deed, or add it to NO_DEEDS with the reason"
    key = stack.sql_one(f"SELECT id FROM api_keys WHERE workspace_id = '{workspace.id}' ORDER BY id LIMIT 1")
    for name, (deed, action) in actions.items():
        target = action()
        rows = log(stack, "--deed", deed, "--target", target, "--actor", key)
        assert len(rows) == 1, (name, rows)
        assert rows[0]["actor_kind"] == "key" and rows[0]["workspace_id"] == workspace.id
        assert rows[0]["key_prefix"] == client.key[:12]
    # a purge that is repeated changes nothing, and has no second row
    purged = only(stack, "execution.purge", "--workspace", workspace.id)["target"]
    assert client.delete(f"/executions/{purged}").status_code == 204
    assert len(log(stack, "--target", purged, "--deed", "execution.purge")) == 1


def test_what_the_system_does_by_itself_has_no_row(stack):
    workspace = stack.workspace()
    client = workspace.client()
    run = client.started(workspace.put_workflow({**SLOW, "timeout_seconds": 1}))
    assert client.finished(run)["status"] == "failed"
    assert log(stack, "--target", run) == []


def test_the_migrations_have_a_row(stack):
    row = only(stack, "database.migrate")
    assert row["workspace_id"] is None and row["detail"]["migrations"].startswith("1 2 3 ")


def test_export_has_all_rows_oldest_first(stack):
    def export(format):
        return subprocess.run([BIN / "millrace", "audit-log", "--format", format], env=stack.env, check=True, capture_output=True,
                              text=True).stdout
    listed = log(stack)
    lines = [json.loads(line) for line in export("jsonl").splitlines()]
    assert lines == listed[::-1]
    rows = list(csv.DictReader(io.StringIO(export("csv"))))
    assert [r["id"] for r in rows] == [r["id"] for r in lines] and [r["deed"] for r in rows] == [r["deed"] for r in lines]
    code, _, err = stack.cli("audit-log", "--format", "csv", "--limit", 5, check=False)
    assert code == 2 and "--limit" in err


def test_daemons_can_only_add_rows(stack):
    granted = stack.sql("SELECT GRANTEE, PRIVILEGE_TYPE FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_NAME = 'deeds'")
    columns = stack.sql("SELECT GRANTEE, PRIVILEGE_TYPE, COLUMN_NAME FROM information_schema.COLUMN_PRIVILEGES WHERE TABLE_NAME = 'deeds'")
    assert sorted(map(tuple, granted)) == [("'millrace_api'@'localhost'", "INSERT")]
    assert sorted(map(tuple, columns)) == [("'millrace_api'@'localhost'", "SELECT", "id")]


def test_expired_rows_are_removed_and_the_removal_has_a_row(stack):
    stack.sql("INSERT INTO deeds (id, at_ms, actor_kind, actor, origin, deed, target) SELECT CONCAT('01000000-0000-7000-8000-0000000', "
              "LPAD(seq, 5, '0')), 1, 'user', 'old', 'test', 'test.old', '' FROM seq_1_to_2500")
    kept = len(log(stack, "--from", "2020-01-01"))
    assert stack.cli("audit-log", "--remove-expired") == {"removed": 2500}
    assert log(stack, "--deed", "test.old") == []
    assert only(stack, "audit_log.remove_expired")["detail"]["rows"] == "2500"
    assert len(log(stack)) == kept + 1
    assert stack.cli("audit-log", "--remove-expired") == {"removed": 0}
    assert len(log(stack)) == kept + 1
