"""An error that answers COMMIT says nothing about the transaction: Galera answers 1180 or 1213 for one that the other nodes have
committed. Whatever the error, the outcome is looked up: nothing is lost, repeated or answered 500."""
import concurrent.futures
import uuid

import pytest

from stack import Client, eventually
from test_prices import check_books, put, settled

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
# commit failed; deadlock; lock wait; node without a quorum; disk full; a number that nobody knows
ERRORS = pytest.mark.parametrize("code", [1180, 1213, 1205, 1047, 1021, 9999])
DONE = pytest.mark.parametrize("done", [True, False], ids=["committed", "rolled_back"])


def answered(stack, proxy, code, done, act, pids=None, contains=None):
    """What act() returns while the next matching COMMIT is answered with the error."""
    before = proxy.done()
    proxy.tell(do="commit", when="error", code=code, done=done, count=1, pids=pids, contains=contains)
    result = act()
    eventually(lambda: proxy.done() > before, 20, "a COMMIT that was answered with the error")
    return result


@ERRORS
@DONE
def test_accepting_a_run(proxied, code, done):
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    api = stack.children("api")
    r = answered(stack, proxy, code, done, lambda: client.run(workflow), pids=api)
    assert r.status_code == 202
    client.finished(r.json()["execution_id"])
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"
    assert workspace.balance() == 999


def test_a_bulk_statement_that_another_node_aborts(proxied):
    """Galera answers it with errno 0 and no affected rows; what follows would begin another transaction."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    before = proxy.tell(do="count")["aborted"]
    proxy.tell(do="commit", when="bulk", count=1, pids=stack.children("api"))
    r = client.post(f"/workflows/{workflow}/run-batch", json={"items": [{"inputs": {"n": n}} for n in range(5)]})
    assert (r.status_code, r.json()["accepted"]) == (200, 5), r.text
    assert proxy.tell(do="count")["aborted"] == before + 1
    ids = [item["execution_id"] for item in r.json()["results"]]
    assert len(set(ids)) == 5
    for id in ids:
        client.finished(id)
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "5"
    assert stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND kind = 2") == "5"
    assert workspace.balance() == 995


def test_a_node_without_a_majority_counts_as_unreachable(proxied):
    """It knows no command (1047) but stays connected: the next connection reaches another node."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    seen = len(stack.log("api"))
    proxy.tell(do="commit", when="first", code=1047, count=1, pids=stack.children("api"))
    answers = [client.run(workflow).status_code for _ in range(20)]
    proxy.tell(do="forget")
    assert set(answers) == {202}
    assert "errno=1047" in stack.log("api")[seen:]
    assert workspace.balance() == 980


@ERRORS
@DONE
def test_the_end_of_a_run(proxied, code, done):
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 0.3}, {"name": "b", "type": "transform", "value": 2}]})
    id = client.started(workflow)
    answered(stack, proxy, code, done, lambda: None, pids=stack.children("executor"), contains=id)
    assert client.finished(id, 30)["status"] == "success"
    steps = stack.sql(f"SELECT step, tries FROM execution_steps WHERE execution_id = '{id}' ORDER BY step")
    assert [int(tries) for _, tries in steps] == [1, 1]
    assert workspace.balance() == 999


def events_of(stack, id):
    """(number, type) of the events of a run."""
    return [(int(seq), int(type)) for seq, type in stack.sql(f"SELECT seq, type FROM events WHERE execution_id = '{id}' ORDER BY seq")]


@ERRORS
@DONE
def test_a_child_that_is_accepted_with_its_parents_commit(proxied, code, done):
    """The child, its debit and the parent's event of it are there once, also where the parent's commit has events of its own."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    child = workspace.put_workflow(PROGRAM)
    # the first step keeps the second from being part of the claim; the third follows the child
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 0.3}, {"name": "b", "type": "workflow", "workflow_id": child},
                                                 {"name": "c", "type": "workflow", "workflow_id": child}]})
    id = client.started(workflow)
    answered(stack, proxy, code, done, lambda: None, pids=stack.children("executor"), contains='"step_index":1')
    assert client.finished(id, 30)["status"] == "success"
    children = [(int(step), child) for step, child in stack.sql(f"SELECT step, child_id FROM execution_children WHERE parent_id = '{id}' ORDER BY step")]
    assert [step for step, _ in children] == [1, 2]
    assert workspace.balance() == 997
    events = events_of(stack, id)
    assert [seq for seq, _ in events] == list(range(1, len(events) + 1))
    assert [type for _, type in events].count(10) == 2  # execution.child_started
    assert stack.sql_one(f"SELECT last_seq FROM executions WHERE id = '{id}'") == str(len(events))
    for _, child in children:
        assert [type for _, type in events_of(stack, child)].count(1) == 1


@pytest.fixture
def refuses(proxied):
    """While a parent is in the table `refused`, MariaDB refuses its children."""
    stack, _ = proxied
    stack.sql("CREATE TABLE refused (id UUID PRIMARY KEY)")
    stack.sql("CREATE TRIGGER refuse_child BEFORE INSERT ON execution_children FOR EACH ROW IF NEW.parent_id IN (SELECT id FROM refused) THEN "
              "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'refused', MYSQL_ERRNO = 4025; END IF")
    yield lambda id: stack.sql(f"INSERT INTO refused VALUES ('{id}')")
    stack.sql("DROP TRIGGER refuse_child; DROP TABLE refused")


def with_child(workspace, seconds):
    child = workspace.put_workflow(PROGRAM)
    return workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": seconds}, {"name": "b", "type": "workflow", "workflow_id": child}]})


def test_a_child_that_mariadb_refuses(proxied, refuses):
    """It fails its parent, and no other commit or child of the transaction."""
    stack, _ = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = with_child(workspace, 1)
    ids = [client.started(workflow) for _ in range(8)]
    refuses(ids[3])
    ends = [client.finished(id, 30) for id in ids]
    assert [end["status"] for end in ends] == ["success"] * 3 + ["failed"] + ["success"] * 4
    assert "could not be started" in ends[3]["error"]
    assert workspace.balance() == 1000 - 8 - 7


def test_a_child_whose_commit_is_lost_after_a_refusal(proxied, refuses):
    """The refusal of the transaction with the child is no answer to the child, if its commit is written only later, in a batch that claims."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    id, other = client.started(with_child(workspace, 1)), workspace.put_workflow(PROGRAM)
    refuses(id)
    seen = len(stack.log("executor"))
    proxy.tell(do="commit", when="before", count=1000, pids=stack.children("executor"), contains='"index":1')
    eventually(lambda: "4025" in stack.log("executor")[seen:], 20, "refusal of the child")
    stack.sql("DELETE FROM refused")
    others = [client.started(other) for _ in range(3)]
    eventually(lambda: "error=uncertain" in stack.log("executor")[seen:] or proxy.done() > 30, 20, "COMMITs that were lost")
    proxy.tell(do="forget")
    assert client.finished(id, 60)["status"] == "success"
    assert {client.finished(other, 60)["status"] for other in others} == {"success"}


@pytest.mark.parametrize("code", [1180, 9999])
@DONE
@pytest.mark.parametrize("moment", ["accept", "end", "stop", "refund"])
def test_a_priced_run(proxied, effects, code, done, moment):
    """The debit with its hold, the settlement with its release, and the refund of both are made once, also in a budget."""
    stack, proxy = proxied
    workspace = stack.workspace(credits=100)
    client, api = workspace.client(), stack.children("api")
    put(workspace, "--credits", "1", "--seconds", "0.5,20", "--bytes", "2,1000000")
    assert client.post("/budgets", json={"scope": "workspace", "period": "total", "limit": 100}).status_code == 201
    release = effects.hold("/held")
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "POST", "url": effects.url + "/held"}}]})
    late = {"delay_seconds": 3600} if moment == "refund" else {}
    if moment == "accept":
        answer = answered(stack, proxy, code, done, lambda: client.run(workflow), pids=api)
        assert answer.status_code == 202, answer.text
        id = answer.json()["execution_id"]
    else:
        id = client.started(workflow, **late)
    assert round(workspace.balance(), 6) == 87 and stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"
    if moment != "refund":
        effects.wait_for("/held", 1, 30)
    if moment in ("stop", "refund"):
        assert answered(stack, proxy, code, done, lambda: client.post(f"/executions/{id}/stop"), pids=api, contains=id).status_code == 200
    elif moment == "end":
        answered(stack, proxy, code, done, release, pids=stack.children("executor"), contains=id)
    release() if moment != "end" else None
    assert client.finished(id, 30)["status"] == ("stopped" if moment in ("stop", "refund") else "success")
    if moment == "refund":
        assert workspace.balance() == 100
    else:
        debit, released, ms, size = settled(stack, id)
        assert debit == 13000000 and released == 12000000 - (min(ms, 20000) * 500 + size * 2) and effects.count("/held") == 1
    check_books(stack, workspace, 100)


@ERRORS
@DONE
def test_storing_a_workflow(proxied, code, done):
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    r = answered(stack, proxy, code, done, lambda: client.put(f"/workflows/{workflow}", json={"name": "n", "program": PROGRAM}),
                 pids=stack.children("api"))
    assert (r.status_code, r.json()["version"]) == (200, 2), r.text
    assert deeds(stack, workflow) == ["workflow.put"] * 2


@DONE
@pytest.mark.parametrize("change", ["secret delete", "key revoke", "credits grant"])
def test_a_command_and_its_row_in_the_audit_log(proxied, done, change):
    """Changes of one statement and of several: the change is made once, and has one row."""
    stack, proxy = proxied
    workspace = stack.workspace()
    w = ("--workspace", workspace.id)
    stack.cli("secret", "set", *w, "token", text="opensesame")
    key = workspace.key("files:read")["id"]
    words = {"secret delete": ("token",), "key revoke": (key,), "credits grant": ("--credits", "5", "--reason", "r")}[change]
    answer = answered(stack, proxy, 1180, done, lambda: stack.cli(*change.split(), *w, *words))
    target = answer["ledger_id"] if change == "credits grant" else words[0]
    assert deeds(stack, target, workspace.id).count(change.replace(" ", ".")) == 1
    assert workspace.balance() == (1005 if change == "credits grant" else 1000)
    assert stack.cli("secret", "list", *w) == [] or change != "secret delete"


def of_webhook(stack, workspace, client, hook, what):
    """(act, check of its answer and effect)"""
    path, id = f"/webhooks/{hook['id']}", hook["id"]
    key = stack.sql_one(f"SELECT HEX(sealed) FROM webhooks WHERE id = '{id}'")
    message, failed = (f"01a21b0e-a5f1-7a73-930e-{uuid.uuid4().hex[:12]}" for _ in range(2))
    if what.startswith("redeliver"):
        stack.sql(f"""BEGIN;
            INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, fanned, body) VALUES ('{message}', '{workspace.id}', 2, 1, 1, '{{}}');
            INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, outbox_id, lane_id, state, due_ms, created_ms)
                VALUES ('{failed}', '{workspace.id}', '{id}', '{message}', '{id}', 3, 9000000000000, 1);
            COMMIT""")
    return {
        "create": (lambda: client.post("/webhooks", json={"url": "http://127.0.0.1:9/second"}), lambda r: (
            r.status_code, len(client.get("/webhooks").json()["webhooks"]), r.json()["secret"][:6]) == (201, 2, "whsec_")),
        "change": (lambda: client.request("PATCH", path, json={"rotate_secret": True}), lambda r: (
            r.status_code == 200 and stack.sql_one(f"SELECT HEX(old_sealed) FROM webhooks WHERE id = '{id}'") == key)),
        "delete": (lambda: client.delete(path), lambda r: (r.status_code, client.get(path).status_code) == (204, 404)),
        "test": (lambda: client.post(f"{path}/test"), lambda r: (
            r.status_code, stack.sql_one(f"SELECT COUNT(*) FROM webhook_outbox WHERE webhook_id = '{id}'")) == (202, "1")),
        "redeliver": (lambda: client.post(f"{path}/deliveries/{failed}/redeliver"), lambda r: r.status_code == 202),
        "redeliver all": (lambda: client.post(f"{path}/redeliver", json={"since": "2026-01-01"}),
                          lambda r: r.json() == {"redelivered": 1, "has_more": False}),
    }[what]


@DONE
@pytest.mark.parametrize("what", ["create", "change", "delete", "test", "redeliver", "redeliver all"])
def test_a_change_of_a_webhook(proxied, done, what):
    """The quota of endpoints is full after the creation."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    stack.set_up("workspace", "set", "--workspace", workspace.id, "--quotas", "webhooks=2")
    hook = client.post("/webhooks", json={"url": "http://127.0.0.1:9"}).json()
    act, check = of_webhook(stack, workspace, client, hook, what)
    answer = answered(stack, proxy, 1180, done, act, pids=stack.children("api"))
    assert check(answer), answer.text
    target = answer.json()["id"] if what == "create" else hook["id"]
    assert deeds(stack, target).count(f"webhook.{what.split()[0]}") == 1


@DONE
@pytest.mark.parametrize("what", ["create", "change", "delete", "count", "refuse"])
def test_a_budget(proxied, done, what):
    """A budget is changed once, and a run counts once; a level that a refused run reaches is told once."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client, api = workspace.client(), stack.children("api")
    workflow = workspace.put_workflow(PROGRAM)
    hook = client.post("/webhooks", json={"url": "http://127.0.0.1:9", "events": ["budget.exceeded"]})
    assert hook.status_code == 201, hook.text
    body = {"scope": "workspace", "period": "day", "limit": 0 if what == "refuse" else 1}

    def act(method, path, json=None):
        return answered(stack, proxy, 1180, done, lambda: client.request(method, path, json=json), pids=api)
    made = act("POST", "/budgets", body) if what == "create" else client.post("/budgets", json=body)
    assert made.status_code == 201, made.text
    path = f"/budgets/{made.json()['id']}"
    if what == "change":
        assert act("PATCH", path, {"limit": 2}).json()["limit"] == 2
    elif what == "delete":
        assert act("DELETE", path).status_code == 204
    elif what in ("count", "refuse"):
        assert act("POST", f"/workflows/{workflow}/run-async", {}).status_code == (202 if what == "count" else 402)
        assert client.get(path).json()["used"] == (1 if what == "count" else 0)
        assert client.post(f"/workflows/{workflow}/run-async", json={}).status_code == 402
        assert stack.sql(f"SELECT event FROM webhook_outbox WHERE workspace_id = '{workspace.id}'") == [["8"]]
    verbs = {"create": ["put"], "change": ["put", "change"], "delete": ["put", "delete"]}.get(what, ["put"])
    assert sorted(deeds(stack, made.json()["id"])) == sorted(f"budget.{verb}" for verb in verbs)


def deeds(stack, target, workspace=None):
    where = f" AND workspace_id = '{workspace}'" if workspace else ""
    return [row[0] for row in stack.sql(f"SELECT deed FROM deeds WHERE target = '{target}'{where} ORDER BY id")]


@pytest.fixture
def statements(proxied):
    """What MariaDB has been told since then: a function that returns the commands and texts of one user's connections, by connection."""
    stack, _ = proxied
    stack.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")

    def told(user):
        found = {}
        for thread, command, text in stack.sql("SELECT thread_id, command_type, HEX(argument) FROM mysql.general_log "
                                               f"WHERE user_host LIKE '{user}[%' OR user_host LIKE '[{user}]%' ORDER BY event_time, thread_id"):
            found.setdefault(thread, []).append((command, bytes.fromhex(text).decode(errors="replace")))  # keys are sent as octets
        return found
    yield told
    stack.sql("SET GLOBAL general_log = 0; TRUNCATE mysql.general_log")


def kills(told):
    return [text for connection in told.values() for _, text in connection if text.startswith("KILL ")]


def test_the_first_read_of_a_connection_waits_for_what_the_other_nodes_have_committed(proxied, statements):
    """A server without Galera takes the setting and does nothing: what is said to it is what is tested."""
    stack, proxy = proxied
    client = stack.workspace().client()
    proxy.tell(do="reset")
    assert eventually(lambda: client.get("/credits").status_code == 200, 60)
    fresh = [c for c in statements("millrace_api").values() if any(command == "Connect" for command, _ in c)]
    assert fresh
    for connection in fresh:
        texts = [text for command, text in connection if command in ("Query", "Execute", "Prepare")]
        assert "wsrep_sync_wait=1" in texts[0] and texts[1] == "SELECT 1" and texts[2] == "SET SESSION wsrep_sync_wait=0", texts[:4]


@pytest.mark.parametrize("is_other", [False, True], ids=["the_same_server", "another_server"])
def test_a_connection_is_killed_only_at_its_own_server(proxied, statements, is_other):
    """After a failover, its number may be that of a stranger's connection."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client, workflow = workspace.client(), workspace.put_workflow(PROGRAM)

    def all_connected():  # a worker that connects after the change of names has known no other name
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            assert all(pool.map(lambda _: Client(stack.url, client.key).get("/credits").status_code == 200, range(8)))
        return int(stack.sql_one("SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'millrace_api'")) >= int(stack.settings["api.workers"])
    eventually(all_connected, 60, "a connection of each worker")
    proxy.tell(do="rename", on=is_other)
    try:
        before = proxy.done()
        proxy.tell(do="commit", when="after", count=1, pids=stack.children("api"))
        run = client.run(workflow)
        assert run.status_code == 202 and proxy.done() > before, run.text
        assert bool(kills(statements("millrace_api"))) != is_other  # the reset may cut another commit
    finally:
        proxy.tell(do="rename", on=False)
        proxy.tell(do="forget")
        proxy.tell(do="reset")
    client.finished(run.json()["execution_id"])
    assert workspace.balance() == 999


def test_the_books_are_right(proxied):
    stack, _ = proxied
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 30, "end of all runs")
    assert stack.cli("audit")["ok"]
