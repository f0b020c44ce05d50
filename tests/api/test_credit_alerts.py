"""Alerts of credits: told once for each crossing, in the transaction that crosses, whatever changes the balance."""
import concurrent.futures
import json

import pytest
import requests
from test_budgets import PROGRAM, in_an_hour, start

from stack import eventually

ONE_DAY = True
EVENTS = ["credits.low", "credits.spend_high"]
LOW, SPEND = 10, 11  # lib/outbox/outbox.h


@pytest.fixture
def room(stack):
    workspace = stack.workspace(credits=1000)
    return workspace, workspace.client()


def hook(client):
    answer = client.post("/webhooks", json={"url": "http://127.0.0.1:9/", "events": EVENTS})
    assert answer.status_code == 201, answer.text


def told(stack, workspace):
    """The messages of a workspace; what is fanned out has an envelope."""
    rows = stack.sql("SELECT event, body FROM ("
                     f"SELECT id, event, CAST(body AS CHAR) AS body FROM webhook_outbox WHERE workspace_id = '{workspace.id}') x ORDER BY id")
    return [(int(event), (lambda data: data.get("data", data))(json.loads(body))) for event, body in rows]


def put(client, **settings):
    answer = client.request("PUT", "/credits/alerts", json=settings)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_line_is_told_once_until_the_balance_is_above_it(stack, room):
    workspace, client = room
    hook(client)
    workflow = workspace.put_workflow(PROGRAM)
    put(client, balance=[{"credits": 997}, {"percent": 99}])
    shown = client.get("/credits/alerts").json()
    assert shown == {"balance": [{"credits": 997, "percent": None, "line": 997, "low": False},
                                 {"credits": None, "percent": 99, "line": 990, "low": False}], "spend": None, "last_top_up": 1000}
    runs = [start(client, workflow, start_at=in_an_hour()).json()["execution_id"] for _ in range(2)]
    assert told(stack, workspace) == []
    runs.append(start(client, workflow, start_at=in_an_hour()).json()["execution_id"])
    low = (LOW, {"credits": 997, "percent": None, "line": 997, "balance": 997})
    assert told(stack, workspace) == [low]
    for run in runs[:1]:  # a refund leaves the level
        assert client.post(f"/executions/{run}/stop").status_code == 200
    assert told(stack, workspace) == [low] and not client.get("/credits/alerts").json()["balance"][0]["low"]
    start(client, workflow)
    assert told(stack, workspace) == [low, low], "the level was left, and reached again"
    # a correction, and a void, cross lines too; many at once are told each
    stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "-990", "--reason", "correction")
    assert [body["percent"] for _, body in told(stack, workspace)] == [None, None, 99]
    # a top-up moves the lines of percentages
    stack.cli("credits", "grant", "--workspace", workspace.id, "--credits", "5000", "--reason", "more")
    assert client.get("/credits/alerts").json()["balance"] == [{"credits": 997, "percent": None, "line": 997, "low": False},
                                                               {"credits": None, "percent": 99, "line": 4950, "low": False}]
    assert len(told(stack, workspace)) == 3
    stack.cli("audit")


def test_a_hundred_parallel_debits_below_the_line_tell_once(stack, room):
    workspace, client = room
    hook(client)
    workflow, key = workspace.put_workflow(PROGRAM), workspace.key()["key"]
    put(client, balance=[{"credits": 980}])

    def send(_):
        return requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", timeout=60, headers={"Authorization": f"Bearer {key}"})
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(send, range(120)))
    assert {a.status_code for a in answers} == {202}
    assert [event for event, _ in told(stack, workspace)] == [LOW]
    assert client.post(f"/workflows/{workflow}/run-batch", json={"items": [{} for _ in range(100)]}).status_code in (200, 202, 207)
    assert len(told(stack, workspace)) == 1
    stack.cli("audit")


def test_a_line_that_is_crossed_when_it_is_set_is_told_at_once_and_stays_told(stack, room):
    workspace, client = room
    hook(client)
    assert put(client, balance=[{"credits": 2000}, {"credits": 0}])["balance"][1]["low"]
    assert put(client, balance=[{"credits": 2000}])["balance"] == [{"credits": 2000, "percent": None, "line": 2000, "low": True}]
    assert [body["credits"] for _, body in told(stack, workspace)] == [2000]
    assert put(client)["balance"] == []
    stack.cli("audit")
    for body in ({"balance": [{"credits": 1}, {"credits": 1}]}, {"balance": [{"credits": -1}]}, {"balance": [{}]}, {"balance": [{"percent": 100}]},
                 {"balance": {}}, {"spend": {"percent": 100, "at_least": 1}}, {"spend": {"percent": 200}}, {"other": 1},
                 {"balance": [{"credits": 1, "percent": 1}]}, {"balance": [{"credits": n} for n in range(11)]}):
        assert client.request("PUT", "/credits/alerts", json=body).status_code == 400, body


def test_more_than_usual_is_told_once_a_day(stack, room):
    workspace, client = room
    hook(client)
    workflow = workspace.put_workflow(PROGRAM)
    assert put(client, spend={"percent": 200, "at_least": 3})["spend"]["usual"] is None
    for _ in range(5):
        start(client, workflow)
    assert told(stack, workspace) == [], "what is usual is not known yet"
    # five whole days of 2 credits are over, and the first of them began when the alert was set
    day = 86400000
    end = int(stack.sql_one(f"SELECT spent_until_ms FROM accounts WHERE workspace_id = '{workspace.id}'")) - day
    stack.sql(f"UPDATE credit_alerts SET since_ms = {end - 5 * day} WHERE workspace_id = '{workspace.id}'")
    rows = ", ".join(f"('{workspace.id}', {end - n * day}, 2000000)" for n in range(1, 5))
    stack.sql(f"INSERT INTO credit_alert_days (workspace_id, end_ms, spent) VALUES {rows}")
    stack.sql(f"UPDATE accounts SET spent = 2000000, spent_until_ms = {end} WHERE workspace_id = '{workspace.id}'")
    runs = [start(client, workflow, start_at=in_an_hour()).json()["execution_id"] for _ in range(4)]
    spend = client.get("/credits/alerts").json()["spend"]
    assert (spend["usual"], spend["line"], spend["spent"], spend["high"]) == (2, 4, 4, False)
    assert told(stack, workspace) == []
    start(client, workflow)
    (event, body), = told(stack, workspace)
    assert event == SPEND and (body["usual"], body["line"], body["spent"], body["percent"]) == (2, 4, 5, 200)
    for run in runs:
        assert client.post(f"/executions/{run}/stop").status_code == 200
    for _ in range(8):
        start(client, workflow)
    assert len(told(stack, workspace)) == 1, "once a day"
    stack.cli("audit")
    shown = stack.cli("credits", "alerts", "--workspace", workspace.id)
    assert [(a["kind"], a["value"], a["crossed"]) for a in shown] == [("spend", 200, True)]
    assert stack.cli("credits", "alerts", "--workspace", workspace.id, "--none") == []
    assert stack.sql_one(f"SELECT COUNT(*) FROM credit_alert_days WHERE workspace_id = '{workspace.id}'") == "0"
    shown = stack.cli("credits", "alerts", "--workspace", workspace.id, "--low", "5,20%", "--spend-percent", "300")
    assert [(a["kind"], a["value"]) for a in shown] == [("credits", 5), ("percent", 20), ("spend", 300)]
    stack.cli("audit")


def test_a_message_is_delivered_with_its_name(stack, room):
    workspace, client = room
    made = client.post("/webhooks", json={"url": "http://127.0.0.1:9/", "events": EVENTS}).json()["id"]
    put(client, balance=[{"credits": 1000}])
    shown = eventually(lambda: client.get(f"/webhooks/{made}/deliveries").json()["deliveries"], 30)
    assert [d["event"] for d in shown] == ["credits.low"]
