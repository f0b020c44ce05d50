"""POST /executions/{id}/retry: a new, charged run with the same input and version; keys, scopes, rejections."""
import re
import uuid

from skills import Space, probe

SETTINGS = {"api.rate_limit_per_minute": "100000"}
ECHO = {"inputs": {"type": "object", "required": ["x"]}, "steps": [{"name": "a", "type": "transform", "value": "${/inputs/x}"}]}
FAIL = {"steps": [{"name": "f", "type": "fail", "message": "no luck"}]}
SLOW = {"steps": [{"name": "d", "type": "delay", "seconds": 3600}]}


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def retry(client, run, key=None, **kwargs):
    return client.post(f"/executions/{run}/retry", headers={"Idempotency-Key": key} if key else {}, **kwargs)


def test_retry_uses_the_same_input_and_version(workspace, client):
    w = workspace.put_workflow(ECHO)
    run = client.started(w, {"x": 1.50}, tags=["t", "u"], metadata={"order": 7}, chat={"tool_call_id": "c1"})
    client.finished(run)
    assert client.put(f"/workflows/{w}", json={"name": "n", "program": FAIL}).status_code == 200
    answer = retry(client, run)
    body = answer.json()
    assert answer.status_code == 202 and set(body) == {"execution_id", "workflow_id", "status", "created_at", "retry_of"}
    assert (body["workflow_id"], body["status"], body["retry_of"]) == (w, "running", run)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", body["created_at"])
    again = client.finished(body["execution_id"])
    assert again["id"] != run and again["status"] == "success" and again["retry_of"] == run and again["parentId"] is None
    assert again["retried_by"] == [] and client.get(f"/executions/{run}").json()["retried_by"] == [again["id"]]
    assert (again["detail"]["version"], again["detail"]["input"], again["detail"]["output"]) == (1, {"x": 1.5}, 1.5)
    assert (again["tags"], again["metadata"], again["detail"]["source"]) == (["t", "u"], {"order": 7}, "standalone")
    assert '{"x": 1.5}' in client.get(f"/executions/{again['id']}").text
    assert {x["id"] for x in client.get("/executions", params={"tag": "u"}).json()["executions"]} == {run, again["id"]}
    assert workspace.balance() == 998


def test_the_newest_hundred_retries_are_listed(stack, workspace, client):
    run = client.started(workspace.put_workflow(ECHO), {"x": 1})
    client.finished(run)
    ids = [retry(client, run).json()["execution_id"] for _ in range(3)]
    assert client.get(f"/executions/{run}").json()["retried_by"] == ids[::-1]
    older = [f"00000000-0000-7000-8000-{n:012x}" for n in range(150)]
    stack.sql("INSERT INTO execution_retries VALUES " + ", ".join(f"('{run}', '{x}')" for x in older))
    assert client.get(f"/executions/{run}").json()["retried_by"] == (older + ids)[:-101:-1]
    stack.sql(f"DELETE FROM execution_retries WHERE execution_id IN {tuple(older)}")


def test_times_and_retries_are_shown_of_runs_of_older_programs(stack, workspace, client):
    run = client.started(workspace.put_workflow(ECHO), {"x": 1}, ttl_seconds=3600)
    client.finished(run)
    second = retry(client, run).json()["execution_id"]
    client.finished(second)
    assert stack.sql(f"SELECT side_rows FROM executions WHERE id IN ('{run}', '{second}') ORDER BY id") == [["3"], ["0"]]
    shown = client.get(f"/executions/{run}").json()
    assert shown["retried_by"] == [second] and shown["expires_at"]
    stack.sql(f"UPDATE executions SET side_rows = NULL WHERE id = '{run}'")
    assert client.get(f"/executions/{run}").json() == shown
    third = retry(client, run).json()["execution_id"]
    assert client.get(f"/executions/{run}").json()["retried_by"] == [third, second]


def test_failed_stopped_and_retried_runs_can_be_retried(workspace, client):
    run = client.started(workspace.put_workflow(FAIL))
    assert client.finished(run)["status"] == "failed"
    second = retry(client, run).json()["execution_id"]
    assert client.finished(second)["status"] == "failed"
    third = retry(client, second, json={}).json()
    assert third["retry_of"] == second
    stopped = client.started(workspace.put_workflow(SLOW))
    client.post(f"/executions/{stopped}/stop")
    fourth = retry(client, stopped).json()["execution_id"]
    assert client.execution(fourth)["status"] == "running"
    client.post(f"/executions/{fourth}/stop")


def test_child_is_retried_as_a_root(workspace, client):
    child = workspace.put_workflow(ECHO)
    run = client.started(workspace.put_workflow({"steps": [
        {"name": "c", "type": "workflow", "workflow_id": child, "inputs": {"x": [1]}}]}))
    client.finished(run)
    inner = client.get("/executions", params={"parentId": run}).json()["executions"][0]["id"]
    again = client.finished(retry(client, inner).json()["execution_id"])
    assert (again["parentId"], again["retry_of"], again["detail"]["output"]) == (None, inner, [1])


def test_retry_is_idempotent(workspace, client):
    run = client.started(workspace.put_workflow(ECHO), {"x": 1})
    client.finished(run)
    first, second = retry(client, run, "k"), retry(client, run, "k")
    assert first.status_code == second.status_code == 202 and first.content == second.content
    assert second.headers["Idempotent-Replayed"] == second.headers["X-Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    problem(retry(client, run, "k", json={}), 422, "idempotency_key_reused")
    problem(retry(client, first.json()["execution_id"], "k"), 422, "idempotency_key_reused")
    assert workspace.balance() == 998
    problem(retry(client, run, "x" * 257), 400, "invalid_idempotency_key")


def test_active_purged_and_unknown_runs_are_rejected(stack, workspace, client):
    running = client.started(workspace.put_workflow(SLOW))
    problem(retry(client, running, "r1"), 409, "execution_not_terminal")
    client.post(f"/executions/{running}/stop")
    assert retry(client, running, "r1").status_code == 202, "a rejected request must not use up its key"
    for missing in (str(uuid.uuid4()), "nonsense"):
        problem(retry(client, missing), 404, "not_found")
        problem(retry(client, missing, "r2"), 404, "not_found")
    problem(retry(stack.workspace().client(), running), 404, "not_found")
    w = workspace.put_workflow(ECHO)
    run = client.started(w, {"x": 1})
    client.finished(run)
    assert client.delete(f"/workflows/{w}").status_code in (200, 204)
    problem(retry(client, run), 404, "not_found")
    problem(retry(client, run, json=[1]), 400, "invalid_request")


def test_retry_is_replayed_after_the_workflow_is_archived(workspace, client):
    w = workspace.put_workflow(ECHO)
    run = client.started(w, {"x": 1})
    client.finished(run)
    first = retry(client, run, "k")
    client.delete(f"/workflows/{w}")
    assert retry(client, run, "k").content == first.content


def test_retry_requires_credits_and_scopes(stack):
    workspace = stack.workspace(credits=1)
    client = workspace.client()
    run = client.started(workspace.put_workflow(ECHO), {"x": 1})
    client.finished(run)
    problem(retry(client, run), 402, "insufficient_credits")
    workspace.grant(5)
    for scopes in ("skills:execute", "executions:read,workflows:write"):
        problem(retry(workspace.client(scopes), run), 403, "insufficient_scope")
    assert retry(workspace.client("workflows:execute"), run).status_code == 202
    assert workspace.balance() == 4


def test_retry_costs_the_price_of_its_version(stack, workspace, client):
    w = workspace.put_workflow({**FAIL, "credits": 3})
    run = client.started(w)
    client.finished(run)
    client.put(f"/workflows/{w}", json={"name": "n", "program": {**FAIL, "credits": 10}})
    before = workspace.balance()
    again = client.finished(retry(client, run).json()["execution_id"])
    assert again["creditsUsed"] == 3 and workspace.balance() == before - 3


def test_skill_execution_can_be_retried(stack, workspace, client):
    probe(workspace, "print('{}')")
    space = Space(workspace)
    run = space.started("probe", {"n": 1}, file_source_ids=["a.txt"], chat={"tool_call_id": "tc"}, key="first")
    client.post(f"/spaces/{workspace.id}/skills/executions/{run}/cancel")
    space.finished(run)
    probe(workspace, "print('{}')", version="2.0.0")
    problem(retry(workspace.client("workflows:execute"), run), 403, "insufficient_scope")
    body = retry(workspace.client("skills:execute"), run, "again").json()
    assert (body["workflow_id"], body["retry_of"], body["status"]) == (None, run, "running")
    x = client.execution(body["execution_id"])
    assert x["detail"]["type"] == "skill" and x["detail"]["slug"] == "probe" and x["retry_of"] == run
    assert (x["detail"]["skill_version"], x["detail"]["file_source_ids"], x["detail"]["model"]) == ("1.0.0", ["a.txt"], None)
    assert x["detail"]["input"] == {"n": 1}
    data = space.get(body["execution_id"])
    assert data["skill_version"] == "1.0.0" and data["idempotency_key"] == "again"
    client.post(f"/executions/{body['execution_id']}/stop")
    stack.cli("skill", "remove", "probe", "--workspace", workspace.id)
    problem(retry(client, run), 404, "not_found")


def test_retried_skill_is_executed_and_charged_again(workspace, client):
    probe(workspace, "import json, sys; print(json.dumps({'n': json.load(sys.stdin)['n'] + 1}))", credits=3)
    space = Space(workspace)
    run = space.ran("probe", {"n": 1})
    assert run["outputs"] == {"n": 2} and workspace.balance() == 997
    first, second = retry(client, run["id"], "k"), retry(client, run["id"], "k")
    assert first.status_code == second.status_code == 202 and first.content == second.content
    assert second.headers["Idempotent-Replayed"] == "true"
    again = space.finished(first.json()["execution_id"])
    assert again["id"] != run["id"] and (again["state"], again["outputs"]) == ("succeeded", {"n": 2})
    assert again["source"] == "standalone" and again["parent_execution_id"] is None
    assert workspace.balance() == 994, "the run and its retry are charged, the replay is not"
    assert client.delete(f"/executions/{run['id']}").status_code == 204
    problem(retry(client, run["id"]), 400, "invalid_request")
    assert retry(client, run["id"], "k").status_code == 202, "a replay must work after the purge"


def test_retry_with_a_removed_model_is_rejected(stack, workspace, client):
    stack.cli("model", "put", "--workspace", workspace.id, "--alias", "fast", "--url", "http://127.0.0.1:1/v1/chat/completions",
              "--model", "m")
    probe(workspace, "print('{}')")
    run = Space(workspace).ran("probe", model="fast")
    again = retry(client, run["id"]).json()["execution_id"]
    assert Space(workspace).finished(again)["state"] == "succeeded"
    assert client.execution(again)["detail"]["model"] == "fast"
    stack.cli("model", "delete", "fast", "--workspace", workspace.id)
    before = workspace.balance()
    answer = retry(client, run["id"])
    problem(answer, 422, "model_not_allowed")
    assert [(e["pointer"], bool(e["message"])) for e in answer.json()["errors"]] == [("/model", True)]
    assert workspace.balance() == before
