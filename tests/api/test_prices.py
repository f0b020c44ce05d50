"""What runs cost, by the list of prices and by an estimate: always what a run is charged then."""
import concurrent.futures
import datetime
import threading

import pytest
from model_quirks import Models
from skills import EXAMPLES, Space, install, probe
from stack import eventually
from test_budgets import start
from test_model_skill import ADD, ADD_INPUTS, agent

ONE_DAY = True
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def prices(client):
    """By id."""
    return {p["responder_id"]: (p["credits"], p["source"]) for p in client.get("/prices").json()["prices"]}


def test_an_estimate_and_the_list_say_what_a_run_is_charged(stack):
    workspace = stack.workspace(credits=10)
    client = workspace.client()
    flows = {"usual": workspace.put_workflow(PROGRAM, "usual"), "dear": workspace.put_workflow({**PROGRAM, "credits": 2.5}, "dear"),
             "own": workspace.put_workflow(PROGRAM, "own")}
    stack.cli("workflow", "price", "--workspace", workspace.id, flows["own"], "--credits", "0.25")
    assert prices(client) == {flows["usual"]: (1, "default"), flows["dear"]: (2.5, "program"), flows["own"]: (0.25, "responder")}
    stack.cli("workspace", "set", "--workspace", workspace.id, "--price-credits", "2")
    assert prices(client) == {flows["usual"]: (2, "workspace"), flows["dear"]: (2.5, "program"), flows["own"]: (0.25, "responder")}
    for flow in flows.values():
        before = workspace.balance()
        estimate = client.post(f"/workflows/{flow}/estimate", json={"inputs": {}}).json()
        assert estimate == {"credits": prices(client)[flow][0], "held": 0, "price_list_id": None, "balance": before, "covered": True}
        assert workspace.balance() == before, "nothing started"
        assert start(client, flow).status_code == 202
        assert workspace.balance() == before - estimate["credits"]
    stack.cli("workflow", "price", "--workspace", workspace.id, flows["own"], "--credits", "7")
    assert client.post(f"/workflows/{flows['own']}/estimate").json()["covered"] is False
    assert start(client, flows["own"]).status_code == 402
    first = client.get("/prices?limit=2").json()
    rest = client.get(f"/prices?limit=2&after={first['next_cursor']}").json()
    assert [len(first["prices"]), len(rest["prices"]), rest["has_more"]] == [2, 1, False]
    client.delete(f"/workflows/{flows['own']}")
    assert set(prices(client)) == {flows["usual"], flows["dear"]}


def test_an_estimate_is_checked_like_a_start(stack):
    workspace, stranger = stack.workspace(credits=10), stack.workspace(credits=10)
    client = workspace.client()
    strict = workspace.put_workflow({**PROGRAM, "inputs": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}}, "strict")
    for body in ({"inputs": {}}, {"inputs": {"n": "x"}}, {"unknown": 1}, {"inputs": {"n": 1}, "delay_seconds": -1}):
        assert client.post(f"/workflows/{strict}/estimate", json=body).status_code == \
            client.post(f"/workflows/{strict}/run-async", json=body).status_code >= 400, body
    assert client.post(f"/workflows/{strict}/estimate", json={"inputs": {"n": 1}}).status_code == 200
    assert stranger.client().post(f"/workflows/{strict}/estimate", json={"inputs": {"n": 1}}).status_code == 404
    assert stranger.client().get("/prices").json()["prices"] == []


def test_a_skill_has_a_price_and_an_estimate(stack):
    workspace = stack.workspace(credits=10)
    client = workspace.client()
    probe(workspace, "pass")
    path = f"/spaces/{workspace.id}/skills"
    (skill, price), = prices(client).items()
    assert price == (1, "default")
    assert client.post(f"{path}/probe/estimate", json={"inputs": {}}).json() == {"credits": 1, "held": 0, "price_list_id": None, "balance": 10, "covered": True}
    assert workspace.balance() == 10
    assert client.post(f"{path}/probe/estimate", json={}).status_code == 422
    assert client.post(f"{path}/nobody/estimate", json={"inputs": {}}).status_code == 404
    assert client.post(f"{path}/probe/executions", json={"inputs": {}}).status_code == 201
    assert workspace.balance() == 9 and prices(client) == {skill: price}


# --- dated prices -------------------------------------------------------------------------------------------


def put(workspace, *args):
    return workspace.stack.cli("price", "set", "--workspace", workspace.id, *args)


def moment(stack, seconds):
    """So many seconds from now by MariaDB's clock."""
    ms = int(stack.sql_one("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")) + int(seconds * 1000)
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


def paid(workspace, action):
    """What an action takes from the balance."""
    before = workspace.balance()
    answer = action()
    assert answer.status_code in (201, 202), answer.text
    return round(before - workspace.balance(), 6)


def test_the_list_of_the_most_specific_target_prices_a_run(stack):
    workspace, stranger = stack.workspace(credits=1000), stack.workspace(credits=10)
    client = workspace.client()
    flow, other, asks = (workspace.put_workflow(p, n) for p, n in ((PROGRAM, "flow"), (PROGRAM, "other"), ({**PROGRAM, "credits": 4}, "asks")))
    stack.cli("workflow", "price", "--workspace", workspace.id, other, "--credits", "7")
    usual = put(workspace, "--credits", "3")
    own = put(workspace, "--responder", "flow", "--credits", "0.5")
    coming = put(workspace, "--credits", "9", "--from", moment(stack, 3600))
    want = {flow: (0.5, "price_list"), other: (3, "price_list"), asks: (4, "program")}
    assert prices(client) == want
    for responder, (credits, _) in want.items():
        estimate = client.post(f"/workflows/{responder}/estimate", json={}).json()
        assert estimate["credits"] == credits and estimate["price_list_id"] == (own if responder == flow else usual)["id"]
        assert paid(workspace, lambda r=responder: start(client, r)) == credits
    lists = client.get("/prices").json()["price_lists"]
    assert [(x["id"], x["responder_id"], x["credits"], x["in_force"]) for x in lists] == \
        [(usual["id"], None, 3, True), (coming["id"], None, 9, False), (own["id"], flow, 0.5, True)]
    assert client.get("/prices?after=" + min(want)).json()["price_lists"] == []
    put(workspace, "--responder", flow, "--none")
    assert paid(workspace, lambda: start(client, flow)) == 3, "the workspace's list counts again"
    assert stranger.client().get("/prices").json() == {"prices": [], "price_lists": [], "has_more": False, "next_cursor": None}
    assert len(stack.cli("price", "list", "--workspace", workspace.id)) == 3
    assert len(stack.cli("price", "list", "--workspace", workspace.id, "--all")) == 4
    assert stack.sql(f"SELECT c.price_list_id, COUNT(*) FROM execution_charges c JOIN executions e ON e.id = c.execution_id "
                     f"WHERE e.workspace_id = '{workspace.id}' GROUP BY c.price_list_id ORDER BY 1") == [[usual["id"], "3"], [own["id"], "1"]]


def test_a_list_comes_into_force_by_itself_and_the_past_stays(stack):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    flow = workspace.put_workflow(PROGRAM)
    replaced = moment(stack, 5)
    put(workspace, "--credits", "8", "--from", replaced)
    put(workspace, "--credits", "2", "--from", replaced)
    assert paid(workspace, lambda: start(client, flow)) == 1
    eventually(lambda: prices(client) == {flow: (2, "price_list")}, 30, "the list is in force")
    assert paid(workspace, lambda: start(client, flow)) == 2
    for args, problem in ((("--credits", "1", "--from", replaced), "has passed"),
                          (("--credits", "1", "--responder", workspace.id), "no such workflow or skill"), ((), "--none is needed")):
        code, _, error = stack.cli("price", "set", "--workspace", workspace.id, *args, check=False)
        assert code != 0 and problem in error, error
    for _ in range(3):
        put(workspace, "--credits", "5")
        put(workspace, "--credits", "6")
    assert paid(workspace, lambda: start(client, flow)) == 6
    assert len(stack.cli("price", "list", "--workspace", workspace.id, "--all")) == 7, "no list in force was replaced"


def test_a_model_has_its_price(stack):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    probe(workspace, "pass")
    for alias in ("fast", "deep"):
        stack.cli("model", "put", "--workspace", workspace.id, "--alias", alias, "--url", "https://models.example/v1", "--model", "m-1")
    put(workspace, "--model", "deep", "--credits", "20")
    put(workspace, "--model", "fast", "--responder", "probe", "--credits", "0.000001")
    path = f"/spaces/{workspace.id}/skills/probe"

    def run(model):
        body = {"inputs": {}, **({"model": model} if model else {})}
        credits = client.post(f"{path}/estimate", json=body).json()["credits"]
        assert paid(workspace, lambda: client.post(f"{path}/executions", json=body)) == credits
        return credits

    assert [run(m) for m in (None, "deep", "fast")] == [1, 20, 0.000001]
    assert prices(client)[next(iter(prices(client)))] == (1, "default")


def test_200_parallel_starts_of_listed_runs_are_exact(stack):
    workspace = stack.workspace(credits=30)
    client = workspace.client()
    flow = workspace.put_workflow(PROGRAM)
    put(workspace, "--credits", "2.5")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        codes = list(pool.map(lambda _: start(client, flow).status_code, range(200)))
    assert codes.count(202) == 12 and codes.count(402) == 188 and workspace.balance() == 0
    put(workspace, "--credits", "0")
    assert start(client, flow).status_code == 202, "the first refusal is not decided by an older price"


# --- what runs use ------------------------------------------------------------------------------------------

SLOW = {"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "wait", "type": "delay", "seconds": 600}]}


def settled(stack, run):
    """(debit, released, used time in ms, used bytes) in micro-credits, of a run that has ended."""
    debit, = stack.sql(f"SELECT -amount FROM credit_ledger WHERE id = '{run}'")[0]
    back = stack.sql(f"SELECT kind, amount FROM credit_ledger WHERE execution_id = '{run}' AND kind <> 2")
    assert len(back) <= 1 and all(kind == "6" for kind, _ in back), back
    time, size = stack.sql(f"SELECT time_used, bytes_used FROM execution_charges WHERE execution_id = '{run}' AND settled_ms IS NOT NULL")[0]
    return int(debit), int(back[0][1]) if back else 0, int(time), int(size)


def ceil(a, b):
    return -(-a // b)


def check_books(stack, workspace, granted):
    """The account, the ledger and the executions say the same, to the micro-credit, and so does a budget of the workspace."""
    of = f"workspace_id = '{workspace.id}'"
    spent = int(stack.sql_one(f"SELECT COALESCE(SUM(cost - refunded), 0) FROM executions WHERE {of}"))
    assert stack.sql(f"SELECT balance, (SELECT SUM(amount) FROM credit_ledger WHERE {of}) FROM accounts WHERE {of}") == [[str(granted * 1000000 - spent)] * 2]
    assert all(int(used) == spent for used, in stack.sql(f"SELECT used FROM budgets WHERE {of} AND scope = 1 AND period = 3"))
    for run, cost, refunded, debits, backs, back in stack.sql(
            "SELECT e.id, e.cost, e.refunded, SUM(l.kind = 2 AND l.amount = -e.cost), SUM(l.kind IN (3, 6)), SUM(IF(l.kind = 2, 0, l.amount)) FROM executions e "
            f"JOIN credit_ledger l ON l.workspace_id = e.workspace_id AND l.execution_id = e.id WHERE e.{of} GROUP BY e.id"):
        assert debits == "1" and backs in "01" and back == refunded, run
    assert stack.cli("audit")["violations"] == []


def test_an_end_releases_what_was_held_and_not_used(stack):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    flow = workspace.put_workflow(PROGRAM)
    put(workspace, "--credits", "1", "--seconds", "0.5,20", "--bytes", "2,1000000")
    estimate = client.post(f"/workflows/{flow}/estimate").json()
    assert (estimate["credits"], estimate["held"]) == (13, 12)
    listed, = client.get("/prices").json()["price_lists"]
    assert listed["use"] == {"seconds": {"credits": 0.5, "max": 20}, "bytes": {"credits": 2, "max": 1000000}} and listed["held"] == 12
    budget = client.post("/budgets", json={"scope": "workspace", "period": "total", "limit": 50}).json()
    run = client.started(flow)
    assert client.finished(run)["status"] == "success"
    debit, released, ms, size = settled(stack, run)
    output = int(stack.sql_one(f"SELECT LENGTH(output) FROM executions WHERE id = '{run}'"))
    assert debit == 13000000 and size == output and ms < 20000
    assert released == 12000000 - ceil(ms * 500000, 1000) - ceil(size * 2000000, 1000000)
    used = (debit - released) / 1e6
    assert client.get(f"/executions/{run}").json()["creditsUsed"] == used
    assert round(100 - workspace.balance(), 6) == used == client.get(f"/budgets/{budget['id']}").json()["used"]
    entries = {x["kind"]: x for x in client.get("/credits/ledger").json()["entries"]}
    assert entries["release"]["amount"] == released / 1e6 and entries["release"]["execution_id"] == run
    month = moment(stack, 0)[:7]
    statement = client.get(f"/credits/statement?month={month}").json()
    assert (statement["usage"], statement["releases"], statement["refunds"]) == (13, released / 1e6, 0)
    assert statement["lines"][0]["used"] == used and round(statement["closing"], 6) == workspace.balance()


def test_a_stop_settles_the_time_that_an_executor_had_the_run(stack):
    """A queued run is refunded; a parked one is charged for the time before it was parked, and no second twice."""
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    put(workspace, "--credits", "0", "--seconds", "1,30")
    slow = workspace.put_workflow(SLOW)
    run = client.started(slow)
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE execution_id = '{run}'") == "1", 30, "it is parked")
    before = stack.sql_one(f"SELECT time_used FROM execution_charges WHERE execution_id = '{run}' AND since_ms IS NULL")
    assert workspace.balance() == 70, "held while it runs"
    assert client.post(f"/executions/{run}/stop").status_code == 200
    debit, released, ms, _ = settled(stack, run)
    assert (debit, str(ms)) == (30000000, before) and released == 30000000 - ms * 1000
    later = client.post(f"/workflows/{slow}/run-async", json={"delay_seconds": 3600}).json()["execution_id"]
    client.post(f"/executions/{later}/stop")
    assert stack.sql(f"SELECT kind, amount FROM credit_ledger WHERE execution_id = '{later}' AND kind <> 2") == [["3", "30000000"]]
    assert round(workspace.balance(), 6) == round(100 - ms / 1000, 6)


def test_a_hold_larger_than_the_balance_and_200_parallel_holds(stack):
    workspace = stack.workspace(credits=29.999999)
    client = workspace.client()
    flow = workspace.put_workflow(SLOW)
    put(workspace, "--credits", "0", "--bytes", "30000000,1")
    assert start(client, flow).status_code == 402 and workspace.balance() == 29.999999
    put(workspace, "--credits", "0", "--bytes", "2500000,1")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        codes = list(pool.map(lambda _: start(client, flow).status_code, range(200)))
    assert codes.count(202) == 11 and codes.count(402) == 189
    for x in client.get("/executions?limit=100").json()["executions"]:
        client.post(f"/executions/{x['id']}/stop")
    assert workspace.balance() == 29.999999, "nothing was left behind, so that all is released or refunded"


def test_a_release_returns_to_the_grant_that_was_used_last(stack):
    workspace = stack.workspace(credits=0)
    client = workspace.client()
    flow = workspace.put_workflow(PROGRAM)
    for priority, credits in ((30, 10), (10, 4), (20, 5)):
        stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", credits, "--reason", "x", "--priority", priority)
    put(workspace, "--credits", "3", "--bytes", "9000000,1")
    run = client.started(flow)
    assert client.finished(run)["status"] == "success"  # its output has at least one byte: all is used
    assert settled(stack, run)[:2] == (12000000, 0)
    put(workspace, "--credits", "1", "--input-tokens", "5000000,1")
    run = client.started(flow)
    assert client.finished(run)["status"] == "success"
    assert settled(stack, run)[:2] == (6000000, 5000000)
    assert stack.sql(f"SELECT g.priority, IF(g.id = a.head_grant, a.head_remaining, g.remaining) FROM credit_grants g JOIN accounts a ON a.workspace_id = g.workspace_id "
                     f"WHERE g.workspace_id = '{workspace.id}' ORDER BY 1") == [["10", "0"], ["20", "0"], ["30", "6000000"]]
    stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "2", "--reason", "x", "--priority", 5)
    run = client.started(flow)  # 2 from the new grant, 4 from the last
    assert client.finished(run)["status"] == "success"
    assert settled(stack, run)[:2] == (6000000, 5000000)
    assert stack.sql(f"SELECT g.priority, IF(g.id = a.head_grant, a.head_remaining, g.remaining) FROM credit_grants g JOIN accounts a ON a.workspace_id = g.workspace_id "
                     f"WHERE g.workspace_id = '{workspace.id}' AND priority IN (5, 30) ORDER BY 1") == [["5", "1000000"], ["30", "6000000"]]


def test_the_audit_finds_a_wrong_release(stack):
    workspace = stack.workspace(credits=1000)
    client = workspace.client()
    put(workspace, "--credits", "1", "--seconds", "1,60")
    flow = workspace.put_workflow(PROGRAM)
    runs = [client.started(flow) for _ in range(10)]
    for run in runs:
        client.finished(run)
    stack.sql(f"UPDATE credit_ledger SET amount = amount + 1 WHERE execution_id = '{runs[0]}' AND kind = 6")
    findings = stack.cli("audit", check=False)
    stack.sql(f"UPDATE credit_ledger SET amount = amount - 1 WHERE execution_id = '{runs[0]}' AND kind = 6")
    assert findings[0] == 1 and '"refund"' in findings[1] and runs[0] in findings[1]
    stack.sql(f"UPDATE execution_charges SET time_used = time_used + 1 WHERE execution_id = '{runs[1]}'")
    findings = stack.cli("audit", check=False)
    stack.sql(f"UPDATE execution_charges SET time_used = time_used - 1 WHERE execution_id = '{runs[1]}'")
    assert findings[0] == 1 and '"refund_due"' in findings[1] and runs[1] in findings[1]
    code, out, _ = stack.cli("audit", check=False)
    assert code == 0, out


def test_seconds_count_until_the_end_or_the_stop(stack):
    workspace = stack.workspace(credits=1000)
    client = workspace.client()
    put(workspace, "--credits", "0", "--seconds", "1,100")
    path = f"/spaces/{workspace.id}/skills"

    def begin(version, code):
        probe(workspace, code, version=version)
        return client.post(f"{path}/probe/executions", json={"inputs": {}}).json()["data"]["id"]

    run = begin("1.0.0", "import time; time.sleep(0.5); print('{}')")
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM execution_charges WHERE execution_id = '{run}' AND settled_ms IS NOT NULL") == "1", 60, "it has ended")
    debit, released, ms, _ = settled(stack, run)
    assert debit == 100000000 and ms >= 500 and released == debit - 1000 * min(ms, 100000)
    run = begin("1.0.1", "import time; time.sleep(600)")
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM execution_charges WHERE execution_id = '{run}' AND since_ms < UNIX_TIMESTAMP(NOW(3)) * 1000 - 200") == "1",
               60, "an executor has it")
    eventually(lambda: stack.sql_one(f"SELECT effects FROM executions WHERE id = '{run}'") == "1", 60, "it was started")
    assert client.post(f"/executions/{run}/stop").status_code == 200
    debit, released, ms, _ = settled(stack, run)
    assert ms >= 200 and released == debit - 1000 * min(ms, 100000)
    assert client.get(f"/executions/{run}").json()["creditsUsed"] == (debit - released) / 1e6


# --- what models use ----------------------------------------------------------------------------------------


@pytest.fixture
def models():
    m = Models()
    yield m
    m.close()


def with_model(stack, models):
    workspace = stack.workspace(credits=100)
    stack.cli("model", "put", "--workspace", workspace.id, "--alias", "main", "--url", models.url, "--model", "m", "--default")
    install(workspace, EXAMPLES / "headline")
    return workspace


def test_a_model_run_pays_for_its_tokens(stack, models):
    workspace = with_model(stack, models)
    space = Space(workspace)
    models.answers = [{"content": '{"headline": "x"}', "input": 1234, "cached": 300, "output": 56}]

    def used(*use):
        put(workspace, "--model", "main", "--credits", "1", *use)
        before, run = workspace.balance(), space.started("headline", {"text": "x"})
        assert space.finished(run)["state"] == "succeeded"
        eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM execution_charges WHERE execution_id = '{run}' AND settled_ms IS NOT NULL") == "1", 30, "it is settled")
        debit, released, _, _ = settled(stack, run)
        assert round((before - workspace.balance()) * 1000000) == debit - released == round(space.client.get(f"/executions/{run}").json()["creditsUsed"] * 1000000)
        return debit, debit - released
    # 934 input tokens at 3, 200 of the cached ones at 0.3, 50 output tokens at 15 credits a million, and each is rounded up
    assert used("--input-tokens", "3,1000", "--cached-tokens", "0.3,200", "--output-tokens", "15,50") == (1000000 + 3000 + 60 + 750, 1000000 + 2802 + 60 + 750)
    # without a price of their own, cached tokens are input tokens
    assert used("--input-tokens", "3,2000", "--output-tokens", "15,100") == (1000000 + 6000 + 1500, 1000000 + 3702 + 840)
    # what is not priced costs nothing, and a part of a micro-credit is a whole one
    assert used("--cached-tokens", "0.000001,400") == (1000001, 1000001)
    assert used("--output-tokens", "0.5,7") == (1000004, 1000004), "never more than was held"
    models.answers = [{"content": '{"title": "x"}', "input": 10, "output": 2}]  # no valid outputs: the run fails, and has used its tokens
    run = space.started("headline", {"text": "x"})
    assert space.finished(run)["state"] == "failed"
    assert settled(stack, run)[:2] == (1000004, 3)
    check_books(stack, workspace, 100)


def test_a_stop_before_the_usage_is_reported_pays_no_tokens(tmp_path, stack, models):
    """The answer that is being received has not reported its tokens yet; those of the answers before it are paid."""
    workspace = with_model(stack, models)
    space, hold = Space(workspace), threading.Event()
    put(workspace, "--model", "main", "--credits", "1", "--input-tokens", "100000,100", "--output-tokens", "100000,100")
    models.answers = [{"hold": hold, "content": "x"}]
    run = space.started("headline", {"text": "x"})
    models.wait_for(1, 60)
    assert space.client.post(f"/executions/{run}/stop").status_code == 200
    assert settled(stack, run)[:2] == (21000000, 20000000) and workspace.balance() == 99
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["add"])
    models.answers = [{"calls": [("add", '{"a": 1, "b": 2}')], "input": 7, "output": 3}, {"hold": hold, "content": "x", "input": 50, "output": 50}]
    run = space.started("agent", {"task": "x"})
    models.wait_for(3, 60)
    assert space.client.post(f"/executions/{run}/stop").status_code == 200
    assert settled(stack, run)[:2] == (21000000, 19000000), "seven tokens in and three out, at a tenth of a credit"
    hold.set()
    assert workspace.balance() == 96, "the child of the tool cost one"
    check_books(stack, workspace, 100)
