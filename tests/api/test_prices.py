"""What runs cost, by the list of prices and by an estimate: always what a run is charged then."""
from test_budgets import start
from skills import Space, probe

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
        assert estimate == {"credits": prices(client)[flow][0], "balance": before, "covered": True}
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
    assert client.post(f"{path}/probe/estimate", json={"inputs": {}}).json() == {"credits": 1, "balance": 10, "covered": True}
    assert workspace.balance() == 10
    assert client.post(f"{path}/probe/estimate", json={}).status_code == 422
    assert client.post(f"{path}/nobody/estimate", json={"inputs": {}}).status_code == 404
    assert client.post(f"{path}/probe/executions", json={"inputs": {}}).status_code == 201
    assert workspace.balance() == 9 and prices(client) == {skill: price}
