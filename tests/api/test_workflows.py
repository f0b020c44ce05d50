"""Workflows: create, list, change, archive. The program is checked when it is stored."""
import json
import uuid

import pytest

HELLO = {"steps": [{"name": "a", "type": "transform", "value": "hello"}]}


def create(client, **members):
    return client.post("/workflows", json={"name": "w", "program": HELLO, **members})


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.json()


def test_workflow_is_created_listed_and_read(client):
    made = create(client, name="Grüße", description="says hello")
    assert made.status_code == 201
    w = made.json()
    assert {"id", "name", "description", "created_by", "created_at", "updated_at", "last_run_at"} <= set(w)
    assert (w["name"], w["description"], w["version"], w["last_run_at"]) == ("Grüße", "says hello", 1, None)
    assert w["created_at"].endswith("+00:00") and len(w["created_at"]) == 29
    assert client.get(f"/workflows/{w['id']}").json() == w
    listed = client.get("/workflows").json()["workflows"]
    assert [x["id"] for x in listed] == [w["id"]]
    assert "program" not in listed[0]


def test_description_is_never_null(client):
    assert create(client).json()["description"] == ""
    assert client.get("/workflows").json()["workflows"][0]["description"] == ""


def test_program_is_stored_as_sent(client):
    raw = '{"name":"w","program":{"steps" : [{"type":"transform", "name":"a","value":{"n":1.50,"e":1e3,"s":"\\u00e9"}}]}}'
    made = client.post("/workflows", data=raw, headers={"Content-Type": "application/json"})
    assert made.status_code == 201
    kept = '{"steps" : [{"type":"transform", "name":"a","value":{"n":1.50,"e":1e3,"s":"\\u00e9"}}]}'
    assert kept in made.text
    assert kept in client.get(f"/workflows/{made.json()['id']}").text


def test_put_creates_a_version(client):
    w = create(client).json()
    program = {"steps": [{"name": "b", "type": "transform", "value": 2}]}
    put = client.put(f"/workflows/{w['id']}", json={"name": "w2", "program": program})
    assert put.status_code == 200, put.text
    assert (put.json()["version"], put.json()["name"], put.json()["program"]) == (2, "w2", program)
    assert put.json()["created_at"] == w["created_at"]
    assert client.put(f"/workflows/{uuid.uuid4()}", json={"name": "x", "program": program}).status_code == 404


def test_run_keeps_the_version_at_acceptance(client):
    w = create(client).json()["id"]
    first = client.started(w)
    client.put(f"/workflows/{w}", json={"name": "w", "program": {"steps": [
        {"name": "x", "type": "transform", "value": 1}, {"name": "y", "type": "transform", "value": 2}]}})
    second = client.started(w)
    assert [s["name"] for s in client.execution(first)["steps"]] == ["a"]
    assert [s["name"] for s in client.execution(second)["steps"]] == ["x", "y"]
    assert client.execution(first)["detail"]["version"] == 1
    assert client.execution(second)["detail"]["version"] == 2


def test_archived_workflow_is_404_and_its_runs_remain(client):
    w = create(client, name="old").json()["id"]
    run = client.started(w)
    assert client.delete(f"/workflows/{w}").status_code == 204
    assert client.delete(f"/workflows/{w}").status_code == 204
    assert client.get(f"/workflows/{w}").status_code == 404
    assert client.get("/workflows").json()["workflows"] == []
    problem(client.run(w), 404, "not_found")
    assert client.execution(run)["workflow_name"] == "old"
    assert client.delete(f"/workflows/{uuid.uuid4()}").status_code == 404


def test_last_run_at_is_updated(client):
    w = create(client).json()["id"]
    run = client.started(w)
    assert client.get(f"/workflows/{w}").json()["last_run_at"] == client.execution(run)["created_at"]


def test_workflows_are_paged(client):
    ids = [create(client, name=str(i)).json()["id"] for i in range(5)]
    first = client.get("/workflows?limit=2").json()
    assert [w["id"] for w in first["workflows"]] == ids[:2:-1] and first["has_more"] is True
    rest = client.get("/workflows", params={"after": first["next_cursor"]}).json()
    assert [w["id"] for w in rest["workflows"]] == ids[2::-1]
    assert (rest["has_more"], rest["next_cursor"]) == (False, None)


BAD_BODIES = [
    {}, {"name": "x"}, {"program": HELLO}, {"name": "", "program": HELLO}, {"name": 5, "program": HELLO},
    {"name": "x" * 201, "program": HELLO}, {"name": "a\u0000b", "program": HELLO}, {"name": None, "program": HELLO},
    {"name": "x", "program": HELLO, "description": 1}, {"name": "x", "program": HELLO, "descriptoin": ""},
]


@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda b: json.dumps(b)[:40])
def test_invalid_body_is_rejected(client, body):
    problem(client.post("/workflows", json=body), 400, "invalid_request")


BAD_PROGRAMS = {
    "no object": ([], ""),
    "no steps": ({}, ""),
    "unknown field": ({**HELLO, "stpes": []}, "/stpes"),
    "unknown type": ({"steps": [{"name": "a", "type": "transmogrify"}]}, "/steps/0/type"),
    "twice the same name": ({"steps": HELLO["steps"] * 2}, "/steps/1/name"),
    "a later step": ({"steps": [{"name": "a", "type": "transform", "value": "${/steps/b/result}"},
                                {"name": "b", "type": "transform", "value": 1}]}, "/steps/0/value"),
    "a bad schema": ({**HELLO, "inputs": {"type": "strnig"}}, "/inputs/type"),
    "too cheap": ({**HELLO, "credits": 0.5}, "/credits"),
    "no such workflow": ({"steps": [{"name": "a", "type": "workflow", "workflow_id": str(uuid.uuid4())}]},
                         "/steps/0/workflow_id"),
    "no such skill": ({"steps": [{"name": "a", "type": "skill", "slug": "nobody-installed-it"}]}, "/steps/0/slug"),
}


@pytest.mark.parametrize("name", BAD_PROGRAMS)
def test_invalid_program_is_422(client, name):
    program, pointer = BAD_PROGRAMS[name]
    p = problem(create(client, program=program), 422, "invalid_program")
    assert [e["pointer"] for e in p["errors"]][:1] == ["/program" + pointer]
    assert all(e["message"] for e in p["errors"])
    assert client.get("/workflows").json()["workflows"] == []


RAW_STEP = '{"name":"a","type":"fail","message":"%s"}'
CHANGED_PLACES = {
    "a name twice": ('{"steps":[{"name":"a","type":"transform","value":{"n":-1,"n":5}}]}', ["/steps/0/value/n"]),
    "half of a pair": ('{"steps":[%s]}' % RAW_STEP % "\\ud800", ["/steps/0/message"]),
    "both": ('{"steps":[%s],"steps":[]}' % RAW_STEP % "\\udc00\\ud800", ["/steps/0/message", "/steps"]),
}


def send(client, text):
    return client.post("/workflows", data=text, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("name", CHANGED_PLACES)
def test_what_a_parser_would_change_in_a_program_is_422(client, name):
    program, pointers = CHANGED_PLACES[name]
    p = problem(send(client, '{"name":"w","program":%s}' % program), 422, "invalid_program")
    assert [e["pointer"] for e in p["errors"]] == ["/program" + pointer for pointer in pointers]
    id = create(client).json()["id"]
    put = client.put(f"/workflows/{id}", data='{"name":"w","program":%s}' % program, headers={"Content-Type": "application/json"})
    assert problem(put, 422, "invalid_program")["errors"] == p["errors"]


@pytest.mark.parametrize("text", ['{"name":"w","name":"w","program":%s}', '{"name":"\\ud800","program":%s}', '{"program":%s,"program":{},"name":"w"}'])
def test_what_a_parser_would_change_beside_the_program_is_400(client, text):
    problem(send(client, text % '{"steps":[]}'), 400, "invalid_json")


def test_a_program_that_an_earlier_version_stored_is_read_and_runs(stack, client):
    workflow = create(client, program={"steps": [{"name": "a", "type": "transform", "value": "half"}]}).json()["id"]
    stack.sql(f"UPDATE workflow_versions SET program = REPLACE(program, 'half', '\\\\ud83d') WHERE workflow_id = '{workflow}'")
    assert client.get(f"/workflows/{workflow}").json()["program"]["steps"][0]["value"] == "\ufffd"
    run = client.post(f"/workflows/{workflow}/run-async", json={}).json()["execution_id"]
    ended = client.get(f"/executions/{run}?wait=30").json()
    assert ended["state"] == "succeeded" and ended["detail"]["output"] == "\ufffd"


def calls(workflow):
    return {"steps": [{"name": "c", "type": "workflow", "workflow_id": workflow}]}


def test_call_cycle_is_rejected(client):
    a = create(client).json()["id"]
    b = create(client, program=calls(a)).json()["id"]
    c = create(client, program=calls(b)).json()["id"]
    for target in (a, b, c):
        p = problem(client.put(f"/workflows/{a}", json={"name": "a", "program": calls(target)}), 422, "invalid_program")
        assert p["errors"][0]["pointer"] == "/program/steps/0/workflow_id"
    assert client.get(f"/workflows/{a}").json()["version"] == 1
    # the cycle was removed
    assert client.put(f"/workflows/{b}", json={"name": "b", "program": HELLO}).status_code == 200
    assert client.put(f"/workflows/{a}", json={"name": "a", "program": calls(c)}).status_code == 200


def test_workflow_of_another_workspace_is_404(stack, client):
    other = stack.workspace().client()
    w = create(other).json()["id"]
    for answer in (client.get(f"/workflows/{w}"), client.delete(f"/workflows/{w}"), client.run(w),
                   client.put(f"/workflows/{w}", json={"name": "x", "program": HELLO})):
        problem(answer, 404, "not_found")
    problem(create(client, program=calls(w)), 422, "invalid_program")
    assert other.get(f"/workflows/{w}").json()["version"] == 1


def test_create_is_idempotent(client):
    send = lambda name: client.post("/workflows", json={"name": name, "program": HELLO}, headers={"Idempotency-Key": "k"})
    first, again = send("w"), send("w")
    assert first.status_code == again.status_code == 201
    assert first.text == again.text
    assert "Idempotent-Replayed" not in first.headers and again.headers["Idempotent-Replayed"] == "true"
    problem(send("other"), 422, "idempotency_key_reused")
    assert len(client.get("/workflows").json()["workflows"]) == 1


def test_operator_price_is_the_minimum_of_credits(stack):
    client = stack.workspace(price_credits=3).client()
    assert create(client, program={**HELLO, "credits": 3}).status_code == 201
    problem(create(client, program={**HELLO, "credits": 2.999999}), 422, "invalid_program")
    assert client.get("/credits").json() == {"balance": 1000}
    w = create(client, program={**HELLO, "credits": 4.5}).json()["id"]
    assert client.execution(client.started(w))["creditsUsed"] == 4.5
    assert client.get("/credits").json() == {"balance": 995.5}


def test_cheaper_version_is_not_rejected_for_the_old_price(stack):
    client = stack.workspace(credits=1).client()
    w = create(client, program={**HELLO, "credits": 5}).json()["id"]
    assert client.run(w).status_code == 402  # so that the price is cached on the host
    assert client.put(f"/workflows/{w}", json={"name": "w", "program": {**HELLO, "credits": 1}}).status_code == 200
    assert client.run(w).status_code == 202


def test_a_missing_secret_is_a_warning_when_the_program_is_stored(stack, workspace, client):
    program = {"steps": [{"name": "a", "type": "http", "request": {
        "method": "GET", "url": "http://127.0.0.1:1/", "headers": {"A": "${/secrets/HAVE} ${/secrets/MISSING}"}}}]}
    stack.cli("secret", "set", "--workspace", workspace.id, "HAVE", text="the value of this secret")
    made = create(client, program=program)
    assert made.status_code == 201
    warning, = made.json()["warnings"]
    assert "MISSING does not exist" in warning and "millrace secret set MISSING" in warning
    path = f"/workflows/{made.json()['id']}"
    assert "warnings" not in client.get(path).json()
    assert client.put(path, json={"name": "w", "program": program}).json()["warnings"] == [warning]
    stored = stack.cli("workflow", "put", "--workspace", workspace.id, "-", text=json.dumps(program))
    assert stored["warnings"] == [warning]
    short = stack.cli("secret", "set", "--workspace", workspace.id, "MISSING", text="2000")
    assert "looks like a number" in short["warning"]
    assert "warnings" not in client.put(path, json={"name": "w", "program": program}).json()
