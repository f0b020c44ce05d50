"""Budgets: exact under parallel requests, of each scope, by each way that debits; refunds lower the period of the debit."""
import collections
import concurrent.futures
import datetime
import json
import uuid

import requests

from stack import eventually

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
ONE_DAY = True
SETTINGS = {"api.rate_limit_per_minute": "100000", "api.workers": "16"}


def make(client, scope="workspace", target=None, period="day", limit=10, **more):
    body = {"scope": scope, "period": period, "limit": limit, **more}
    answer = client.post("/budgets", json=body | ({"target": target} if target else {}))
    assert answer.status_code == 201, answer.text
    return answer.json()


def refusals(stack):
    """Runs that a budget of a workspace did not allow, by the metrics."""
    text = requests.get(f"{stack.url}/metrics", timeout=30).text
    return int(text.split('millrace_refused_budget_total{scope="workspace"} ')[1].split("\n")[0])


def in_an_hour():
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()


def used(client, budget):
    return client.get(f"/budgets/{budget['id']}").json()["used"]


def start(client, workflow, **body):
    return client.post(f"/workflows/{workflow}/run-async", json=body)




def test_two_hundred_parallel_runs_against_a_budget_of_ten(stack):
    workspace = stack.workspace(credits=1000)
    workflow, key, client = workspace.put_workflow(PROGRAM), workspace.key()["key"], workspace.client()
    budget, before = make(client), refusals(stack)

    def send(_):
        return requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", timeout=30, headers={"Authorization": f"Bearer {key}"})
    with concurrent.futures.ThreadPoolExecutor(200) as pool:
        answers = list(pool.map(send, range(200)))
    assert collections.Counter(a.status_code for a in answers) == {202: 10, 402: 190}
    refused = next(a for a in answers if a.status_code == 402).json()
    assert refused["code"] == "budget_exceeded" and refused["budget_id"] == budget["id"]
    assert refused["reset_at"] == budget["reset_at"]
    shown = client.get(f"/budgets/{budget['id']}").json()
    assert (shown["used"], shown["remaining"], shown["level"]) == (10, 0, "exceeded")
    assert workspace.balance() == 990
    assert refusals(stack) - before == 190


def test_each_scope_counts_what_it_names(stack):
    workspace = stack.workspace(credits=1000)
    first, second = workspace.key(), workspace.key()
    client, own = workspace.client(), requests.Session()
    flow, other = workspace.put_workflow(PROGRAM), workspace.put_workflow(PROGRAM, "other")

    def run(key, workflow, tags=None):
        return own.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", json={"tags": tags} if tags else {},
                        headers={"Authorization": f"Bearer {key['key']}"}).status_code
    budgets = {scope: make(client, scope, target, limit=limit) for scope, target, limit in (
        ("key", first["id"], 3), ("responder", other, 2), ("tag", "ä \t\"x", 1), ("workspace", None, 100))}
    principal = make(client, "principal", second["principal_id"], limit=100)
    assert run(first, flow) == 202
    assert run(second, other) == 202
    assert run(second, flow, ["ä \t\"x", "more"]) == 202
    assert run(second, flow, ["ä \t\"x"]) == 402
    assert run(second, flow, ["more"]) == 202
    assert [used(client, budgets[s]) for s in ("key", "responder", "tag", "workspace")] == [1, 1, 1, 4]
    assert used(client, principal) == 4 if first["principal_id"] == second["principal_id"] else 3
    assert run(first, other) == 202 and run(first, other) == 402, "the responder's budget is used up"
    assert run(first, flow) == 202 and run(first, flow) == 402, "the key's budget is used up"
    assert client.delete(f"/budgets/{budgets['key']['id']}").status_code == 204
    assert run(first, flow) == 202
    changed = client.request("PATCH", f"/budgets/{budgets['responder']['id']}", json={"limit": 2.5, "soft_percent": 50}).json()
    assert (changed["limit"], changed["soft_percent"], changed["used"], changed["remaining"], changed["level"]) == (2.5, 50, 2, 0.5, "soft")
    assert run(first, other) == 402, "half a credit is left, and a run costs one"
    stack.cli("audit")


def test_a_refund_lowers_the_period_of_the_debit(stack):
    workspace = stack.workspace(credits=100)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    day, total = make(client, limit=5), make(client, period="total", limit=5)
    waiting = [start(client, workflow, start_at=in_an_hour()).json()["execution_id"] for _ in range(2)]
    assert used(client, day) == used(client, total) == 2
    assert client.post(f"/executions/{waiting[0]}/stop").status_code == 200
    assert used(client, day) == used(client, total) == 1, "in the same period"
    # the day ends now
    stack.sql(f"UPDATE budgets SET end_ms = UNIX_TIMESTAMP(NOW(3)) * 1000 - 1 WHERE id = '{day['id']}'")
    assert used(client, day) == 0
    assert start(client, workflow).status_code == 202
    assert client.post(f"/executions/{waiting[1]}/stop").status_code == 200
    assert used(client, day) == 1, "the counter of the new day stays"
    assert stack.sql(f"SELECT used FROM budget_periods WHERE budget_id = '{day['id']}'") == [["0"]]
    assert used(client, total) == 1
    stack.cli("audit")
    for table, column in (("budgets", "id"), ("budget_periods", "budget_id")):
        stack.sql(f"UPDATE {table} SET used = used + 1 WHERE {column} = '{day['id']}'")
        code, out, _ = stack.cli("audit", check=False)
        assert code == 1 and [v["check"] for v in json.loads(out)["violations"]] == ["budget"], out
        stack.sql(f"UPDATE {table} SET used = used - 1 WHERE {column} = '{day['id']}'")


def test_children_count_with_the_key_and_the_tags_of_their_root(stack):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    child = workspace.put_workflow(PROGRAM, "child")
    parent = workspace.put_workflow({"steps": [{"name": f"c{i}", "type": "workflow", "workflow_id": child} for i in range(3)]}, "parent")
    tag, responder = make(client, "tag", "deep", limit=3), make(client, "responder", child, limit=100)
    run = start(client, parent, tags=["deep"]).json()["execution_id"]
    ended = eventually(lambda: (lambda e: e if e["state"] in ("failed", "succeeded") else None)(client.get(f"/executions/{run}").json()))
    assert (ended["state"], ended["failure_reason"]) == ("failed", "budget_exceeded"), ended
    assert used(client, tag) == 3 and used(client, responder) == 2
    assert workspace.balance() == 97
    # a retry has the tags of the run
    assert client.post(f"/executions/{run}/retry").json()["code"] == "budget_exceeded"


def test_items_of_a_batch_are_decided_one_by_one(stack):
    workspace = stack.workspace(credits=2000)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    budget = make(client)
    answer = client.post(f"/workflows/{workflow}/run-batch", json={"items": [{} for _ in range(1000)]})
    results = answer.json()["items"] if "items" in answer.json() else answer.json()["results"]
    assert collections.Counter(r["status"] for r in results) == {202: 10, 402: 990}
    assert used(client, budget) == 10 and workspace.balance() == 1990


def test_an_occurrence_that_does_not_fit_is_refused(stack):
    workspace = stack.workspace(credits=100)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    make(client, limit=0)
    schedule = client.post("/schedules", json={"workflow_id": workflow, "every_seconds": 10}).json()["id"]
    assert client.post(f"/schedules/{schedule}/trigger").status_code == 402
    refused = eventually(lambda: client.get(f"/schedules/{schedule}/occurrences").json()["occurrences"], 30)
    assert {o["reason"] for o in refused} == {"budget_exceeded"}


def test_no_run_escapes_by_its_number_of_tags(stack):
    workspace = stack.workspace(credits=100)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    budgets = [make(client, "tag", f"t{i}") for i in range(9)]
    assert start(client, workflow, tags=[f"t{i}" for i in range(8)]).status_code == 202
    refused = start(client, workflow, tags=[f"t{i}" for i in range(9)]).json()
    assert refused["code"] == "budget_exceeded" and refused["budget_id"] is None and refused["reset_at"] is None
    assert [used(client, b) for b in budgets] == [1] * 8 + [0]
    # without tags, at most six apply
    for scope, target in (("workspace", None), ("responder", workflow)):
        for period in ("day", "month", "total"):
            make(client, scope, target, period)
    body = {"scope": "key", "target": workspace.key()["id"], "period": "day", "limit": 1}
    assert client.post("/budgets", json=body).json()["code"] == "budget_limit"
    stack.cli("audit")


def test_what_is_wrong_is_rejected(stack):
    workspace, other = stack.workspace(), stack.workspace()
    client = workspace.client()
    good = {"scope": "workspace", "period": "day", "limit": 1}
    for change, code in (({"scope": "team"}, "invalid_request"), ({"period": "week"}, "invalid_request"), ({"limit": -1}, "invalid_request"),
                         ({"limit": 0.0000001}, "invalid_request"), ({"limit": 1000000001}, "invalid_request"), ({"limit": "1"}, "invalid_request"),
                         ({"target": "x"}, "invalid_request"), ({"scope": "key"}, "invalid_request"), ({"scope": "tag", "target": ""}, "invalid_request"),
                         ({"scope": "tag", "target": "x" * 257}, "invalid_request"), ({"soft_percent": 100}, "invalid_request"),
                         ({"more": 1}, "invalid_request"), ({"scope": "key", "target": str(uuid.uuid4())}, "budget_target_unknown"),
                         ({"scope": "key", "target": other.key()["id"]}, "budget_target_unknown")):
        assert client.post("/budgets", json=good | change).json()["code"] == code, change
    made = make(client)
    assert client.post("/budgets", json=good).json()["code"] == "budget_exists"
    for method, body in (("GET", None), ("PATCH", {"limit": 2}), ("DELETE", None)):
        assert other.client().request(method, f"/budgets/{made['id']}", json=body).status_code == 404
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "budgets=1")
    assert client.post("/budgets", json=good | {"period": "month"}).json()["code"] == "quota_exceeded"


def test_the_operator_sets_lists_and_removes(stack):
    workspace = stack.workspace()
    w = ("--workspace", workspace.id)
    stack.cli("workspace", "set", *w, "--timezone", "Pacific/Auckland")
    made = stack.cli("budget", "set", *w, "--scope", "tag", "--target", "x", "--period", "month", "--limit", "2.5", "--soft-percent", "80")
    assert (made["limit"], made["used"], made["soft_percent"], made["level"]) == (2.5, 0, 80, "ok")
    assert made["reset_at"][11:13] in ("10", "11", "12", "13"), "midnight in Auckland"
    again = stack.cli("budget", "set", *w, "--scope", "tag", "--target", "x", "--period", "month", "--limit", "3")
    assert again["id"] == made["id"] and again["limit"] == 3 and again["soft_percent"] is None
    assert [b["id"] for b in stack.cli("budget", "list", *w)] == [made["id"]]
    assert stack.cli("budget", "set", *w, "--scope", "key", "--target", "x", "--period", "day", "--limit", "1", check=False)[0] == 2
    assert stack.cli("workspace", "set", *w, "--timezone", "Mars/Olympus", check=False)[0] == 2
    stack.cli("budget", "remove", *w, made["id"])
    assert stack.cli("budget", "list", *w) == []
    assert stack.cli("budget", "remove", *w, made["id"], check=False)[0] == 1
    assert stack.sql_one(f"SELECT budgets FROM accounts WHERE workspace_id = '{workspace.id}'") == "0"


def test_a_period_that_has_begun_keeps_its_end_in_another_zone(stack):
    workspace = stack.workspace()
    client, workflow = workspace.client(), workspace.put_workflow(PROGRAM)
    counted, untouched = make(client, limit=5), make(client, "tag", "x", limit=5)
    assert start(client, workflow).status_code == 202
    # no run has been accepted today with the tag
    stack.sql(f"UPDATE budgets SET start_ms = start_ms - 3 * 86400000, end_ms = end_ms - 3 * 86400000 WHERE id = '{untouched['id']}'")
    before = {b["id"]: b for b in client.get("/budgets").json()["budgets"]}
    assert before[untouched["id"]]["reset_at"] == counted["reset_at"]
    for zone in ("Pacific/Kiritimati", "Pacific/Honolulu", "default"):
        stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", zone)
        assert {b["id"]: b for b in client.get("/budgets").json()["budgets"]} == before, zone
    stack.cli("workspace", "set", "--workspace", workspace.id, "--timezone", "Pacific/Honolulu")
    # the end of both periods is now; the next ones end when the day in Honolulu does
    stack.sql(f"UPDATE budgets SET start_ms = start_ms - end_ms + UNIX_TIMESTAMP(NOW(3)) * 1000, end_ms = UNIX_TIMESTAMP(NOW(3)) * 1000 WHERE workspace_id = '{workspace.id}'")
    ended = stack.sql_one(f"SELECT MAX(end_ms) FROM budgets WHERE workspace_id = '{workspace.id}'")
    for shown in client.get("/budgets").json()["budgets"]:
        assert shown["used"] == 0 and shown["reset_at"][11:] == "10:00:00.000+00:00"
        assert datetime.datetime.fromisoformat(shown["started_at"]).timestamp() * 1000 == float(ended)
    assert start(client, workflow, tags=["x"]).status_code == 202
    assert [b["used"] for b in client.get("/budgets").json()["budgets"]] == [1, 1]


def test_a_level_is_told_once_until_it_is_left(stack):
    workspace = stack.workspace(credits=100)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    hook = client.post("/webhooks", json={"url": "http://127.0.0.1:9/", "events": ["budget.soft", "budget.exceeded"]}).json()["id"]
    budget = make(client, limit=4, soft_percent=50)

    def told():
        rows = stack.sql(f"SELECT event FROM webhook_outbox WHERE workspace_id = '{workspace.id}' ORDER BY id")
        return [int(event) for event, in rows]
    runs = [start(client, workflow, start_at=in_an_hour()) for _ in range(2)]
    assert told() == [7], "half of it is used"
    assert [start(client, workflow).status_code for _ in range(5)] == [202, 202, 402, 402, 402]
    assert told() == [7, 8]
    assert client.post(f"/executions/{runs[0].json()['execution_id']}/stop").status_code == 200
    assert start(client, workflow).status_code == 202 and start(client, workflow).status_code == 402
    assert told() == [7, 8, 8], "the level was left by the refund, and reached again"
    assert used(client, budget) == 4
    assert client.get(f"/webhooks/{hook}").json()["events"] == ["budget.soft", "budget.exceeded"]
    shown = eventually(lambda: (lambda d: d if len(d) == 3 else None)(client.get(f"/webhooks/{hook}/deliveries").json()["deliveries"]), 30)
    assert sorted(d["event"] for d in shown) == ["budget.exceeded", "budget.exceeded", "budget.soft"]
