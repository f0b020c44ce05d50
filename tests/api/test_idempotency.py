"""Idempotency-Key: a repeated request gets the first response, or an error with the reason."""
import concurrent.futures
import json
import re
import time
import uuid

import pytest
import requests

from stack import ROOT, eventually

PROGRAM = {"inputs": {"type": "object", "properties": {"n": {"type": "integer"}}},
           "steps": [{"name": "a", "type": "transform", "value": 1}]}
SETTINGS = {"api.rate_limit_per_minute": "100000"}


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


@pytest.fixture
def workflow(workspace):
    return workspace.put_workflow(PROGRAM)


def runs(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'"))


def post(client, path, data=b"", **headers):
    return client.post(path, data=data, headers={k.replace("_", "-"): v for k, v in headers.items()})


def same(first, again):
    assert first.status_code == again.status_code
    assert first.content == again.content
    assert first.headers["Content-Type"] == again.headers["Content-Type"]
    assert again.headers["Idempotent-Replayed"] == again.headers["X-Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


@pytest.mark.parametrize("redis", ["with Redis", "Redis emptied"])
def test_repeated_request_gets_the_first_response(stack, workspace, client, workflow, redis):
    first = client.run(workflow, {"n": 1}, key="k")
    assert first.status_code == 202
    if redis == "Redis emptied":
        stack.redis("FLUSHALL")
    same(first, client.run(workflow, {"n": 1}, key="k"))
    assert runs(stack, workspace) == 1
    assert workspace.balance() == 999


def round_trips(stack, answer):
    """Number of round trips to MariaDB of a request, from the request log."""
    line = eventually(lambda: re.search(rf"request={answer.headers['X-Request-Id']} .* db=(\d+) ", stack.log("api")), 5)
    return int(line[1])


def replayed_without_a_query(stack, client, workflow, first):
    """A request may query nevertheless: when the cached key is a second old, and when Redis takes too long."""
    def replayed():
        again = client.run(workflow, {"n": 1}, key="k")
        same(first, again)
        return round_trips(stack, again) == 0
    eventually(replayed, what="a replay without a query")


def test_replay_from_redis_does_not_query_mariadb(stack, client, workflow):
    first = client.run(workflow, {"n": 1}, key="k")
    assert round_trips(stack, first) > 0
    replayed_without_a_query(stack, client, workflow, first)


def test_replay_from_mariadb_is_cached_in_redis(stack, client, workflow):
    """The entry in Redis expires after ten minutes. Without a new entry, concurrent repetitions would wait for one another's
    transactions or get 409."""
    first = client.run(workflow, {"n": 1}, key="k")
    stack.redis("FLUSHALL")
    assert round_trips(stack, client.run(workflow, {"n": 1}, key="k")) > 0
    replayed_without_a_query(stack, client, workflow, first)


def test_restarted_pool_replays_the_response(stack, workspace, client, workflow):
    first = client.run(workflow, {"n": 1}, key="k")
    stack.restart_server("api")
    same(first, client.run(workflow, {"n": 1}, key="k"))
    stack.restart_server("api")
    problem(client.run(workflow, {"n": 2}, key="k"), 422, "idempotency_key_reused")
    assert runs(stack, workspace) == 1
    assert workspace.balance() == 999


def test_same_key_with_another_request_is_422(stack, workspace, client, workflow):
    client.run(workflow, {"n": 1}, key="k")
    for flush in (False, True):
        if flush:
            stack.redis("FLUSHALL")
        told = problem(client.run(workflow, {"n": 2}, key="k"), 422, "idempotency_key_reused")
        assert "the bytes of the query and the body must be those of the first one" in told["detail"]
        problem(client.run(workspace.put_workflow(PROGRAM), {"n": 1}, key="k"), 422, "idempotency_key_reused")
    assert runs(stack, workspace) == 1


def test_fingerprint_covers_the_raw_body(client, workflow):
    path = f"/workflows/{workflow}/run-async"
    assert post(client, path, b'{"inputs":{"n":1}}', Idempotency_Key="k", Content_Type="application/json").status_code == 202
    problem(post(client, path, b'{"inputs":{"n": 1}}', Idempotency_Key="k", Content_Type="application/json"), 422,
            "idempotency_key_reused")


def test_bare_and_quoted_key_are_equal(client, workflow):
    path = f"/workflows/{workflow}/run-async"
    first = post(client, path, Idempotency_Key='a"b\\c')
    same(first, post(client, path, Idempotency_Key='"a\\"b\\\\c"'))


def test_prefix_trailing_slash_and_api_key_are_not_in_the_fingerprint(stack, workspace, client, workflow):
    first = post(client, f"/workflows/{workflow}/run-async", Idempotency_Key="k")
    other = workspace.client()
    again = other.session.post(f"{stack.url}/v1/workflows/{workflow}/run-async/", headers={"Idempotency-Key": "k"})
    same(first, again)


def test_keys_are_compared_by_octet(client, workflow):
    path = f"/workflows/{workflow}/run-async"
    ids = {post(client, path, Idempotency_Key=k).json()["execution_id"] for k in (b"Key", b"key", b"k\xc3\xa9", b"k\xe9", b"ke")}
    assert len(ids) == 5


def test_keys_are_per_workspace(stack, client, workflow):
    other = stack.workspace()
    theirs = other.client().run(other.put_workflow(PROGRAM), key="k").json()["execution_id"]
    assert client.run(workflow, key="k").json()["execution_id"] != theirs


@pytest.mark.parametrize("key", ["", '""', '"a', '"a"b', '"a\\b"', "x" * 257, '"' + "x" * 257 + '"', '"a\té"'.encode()])
def test_invalid_key_is_400(client, workflow, key):
    problem(post(client, f"/workflows/{workflow}/run-async", Idempotency_Key=key), 400, "invalid_idempotency_key")


@pytest.mark.parametrize("key", ["x" * 256, '"' + "x" * 256 + '"', "a b", "'", '\\'])
def test_valid_key_is_accepted(client, workflow, key):
    assert post(client, f"/workflows/{workflow}/run-async", Idempotency_Key=key).status_code == 202


def test_duplicate_key_header_is_400(stack, client, workflow):
    import http.client
    c = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    c.putrequest("POST", f"/api/v1/workflows/{workflow}/run-async")
    c.putheader("Authorization", "Bearer " + client.key)
    c.putheader("Content-Length", "0")
    for key in ("a", "b"):
        c.putheader("Idempotency-Key", key)
    c.endheaders()
    assert c.getresponse().status == 400
    c.close()


def test_rejected_request_does_not_use_up_its_key(stack, workspace, client, workflow):
    problem(client.run(workflow, {"n": "x"}, key="k"), 422, "invalid_inputs")
    problem(client.run(uuid.uuid4(), key="k"), 404, "not_found")
    problem(post(client, f"/workflows/{workflow}/run-async", b"{", Idempotency_Key="k"), 400, "invalid_json")
    assert client.run(workflow, {"n": 1}, key="k").status_code == 202
    poor = stack.workspace(credits=0)
    w = poor.put_workflow(PROGRAM)
    problem(poor.client().run(w, key="k"), 402, "insufficient_credits")
    poor.grant(1)
    assert poor.client().run(w, key="k").status_code == 202


@pytest.mark.parametrize("redis", ["with Redis", "Redis emptied"])
def test_response_is_replayed_after_the_workflow_is_archived(stack, client, workflow, redis):
    first = client.run(workflow, {"n": 1}, key="k")
    client.delete(f"/workflows/{workflow}")
    if redis == "Redis emptied":
        stack.redis("FLUSHALL")
    same(first, client.run(workflow, {"n": 1}, key="k"))
    problem(client.run(workflow, {"n": 2}, key="k"), 422, "idempotency_key_reused")
    problem(client.run(workflow, {"n": 2}, key="k2"), 404, "not_found")


def test_response_is_replayed_without_credits(stack):
    workspace = stack.workspace(credits=1)
    client, w = workspace.client(), workspace.put_workflow(PROGRAM)
    first = client.run(w, key="k")
    same(first, client.run(w, key="k"))
    problem(client.run(w, key="k2"), 402, "insufficient_credits")


def test_stop_is_replayed(stack, workspace, client):
    w = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 3600}]})
    run = client.started(w)
    first = post(client, f"/executions/{run}/stop", Idempotency_Key="s")
    assert (first.status_code, first.json()) == (200, {"execution_id": run, "status": "stopped"})
    same(first, post(client, f"/executions/{run}/stop", Idempotency_Key="s"))
    problem(post(client, f"/executions/{run}/stop"), 400, "execution_terminal")
    problem(post(client, f"/executions/{run}/stop", Idempotency_Key="s2"), 400, "execution_terminal")
    problem(post(client, f"/executions/{client.started(w)}/stop", Idempotency_Key="s"), 422, "idempotency_key_reused")


def test_used_key_is_reported_before_an_unknown_execution(stack, workspace, client, workflow):
    client.run(workflow, {"n": 1}, key="k")
    missing = str(uuid.uuid4())
    one_scope = workspace.client("workflows:execute")
    for path in (f"/executions/{missing}/stop", f"/spaces/{workspace.id}/skills/executions/{missing}/cancel"):
        problem(post(client, path, Idempotency_Key="k"), 422, "idempotency_key_reused")
        problem(post(client, path, Idempotency_Key="another"), 404, "not_found")
    problem(post(one_scope, f"/executions/{missing}/stop", Idempotency_Key="k"), 422, "idempotency_key_reused")


def test_expired_key_starts_a_new_run(stack, workspace, client, workflow):
    first = client.run(workflow, key="k")
    stack.sql(f"UPDATE idempotency_keys SET expires_ms = {int(time.time() * 1000) - 1} WHERE workspace_id = '{workspace.id}'")
    stack.redis("FLUSHALL")
    again = client.run(workflow, key="k")
    assert again.status_code == 202 and again.json()["execution_id"] != first.json()["execution_id"]


def test_hundred_concurrent_requests_with_one_key_start_one_run(stack, workspace, workflow):
    key = workspace.key()["key"]

    def send(_):
        return requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", json={"inputs": {"n": 1}}, timeout=30,
                             headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "k"})
    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(send, range(100)))
    taken = [a for a in answers if a.status_code == 202]
    for a in answers:
        if a.status_code != 202:
            problem(a, 409, "idempotency_in_flight")
            assert a.headers["Retry-After"] == "1"
    assert taken and len({a.text for a in taken}) == 1
    assert [a for a in taken if "Idempotent-Replayed" not in a.headers], "one response must be the first and not a replay"
    last = eventually(lambda: (lambda a: a if a.status_code == 202 else None)(send(0)))
    assert last.text == taken[0].text
    assert runs(stack, workspace) == 1
    assert workspace.balance() == 999
    assert stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE workspace_id = '{workspace.id}' AND kind = 2") == "1"


NOTHING = "http://127.0.0.1:9/"  # nobody listens


def count(stack, table, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM {table} WHERE workspace_id = '{workspace.id}'"))


def once(client, path, body, other=None):
    """Two requests with one key, and another one with it, if there is another one; returns the response."""
    first = client.post(path, json=body, headers={"Idempotency-Key": path})
    assert first.status_code in (201, 202), first.text
    same(first, client.post(path, json=body, headers={"Idempotency-Key": path}))
    if other:
        problem(client.post(path, json=other, headers={"Idempotency-Key": path}), 422, "idempotency_key_reused")
    return first.json()


def test_a_webhook_is_created_once_and_its_secret_is_not_stored_in_the_open(stack, workspace, client):
    hook = once(client, "/webhooks", {"url": NOTHING}, {"url": NOTHING + "x"})
    assert hook["secret"].startswith("whsec_") and count(stack, "webhooks", workspace) == 1
    [[body]] = stack.sql(f"SELECT body FROM idempotency_keys WHERE workspace_id = '{workspace.id}'")
    assert body.startswith("sealed:") and hook["secret"] not in body and hook["id"] not in body
    assert client.request("DELETE", f"/webhooks/{hook['id']}").status_code == 204
    again = client.post("/webhooks", json={"url": NOTHING}, headers={"Idempotency-Key": "/webhooks"})
    assert again.json() == hook and count(stack, "webhooks", workspace) == 0
    assert client.post("/webhooks", json={"url": NOTHING}, headers={"Idempotency-Key": "another"}).json()["id"] != hook["id"]


def test_messages_of_a_webhook_are_sent_once(stack, workspace, client, effects):
    effects.answer("/hook", 500)
    hook = client.post("/webhooks", json={"url": effects.url + "/hook"}).json()
    at = f"/webhooks/{hook['id']}"
    once(client, f"{at}/test", {})
    effects.wait_for("/hook")
    found = eventually(lambda: client.get(f"{at}/deliveries").json()["deliveries"], 40, "the delivery")
    assert len(found) == 1
    one = f"{at}/deliveries/{found[0]['id']}/redeliver"
    assert once(client, one, {})["id"] == found[0]["id"]
    since = {"since": "2026-01-01"}
    assert once(client, f"{at}/redeliver", since, {"since": "2026-01-02"}) == {"redelivered": 0, "has_more": False}
    assert client.request("DELETE", at).status_code == 204
    for path, body in (f"{at}/test", {}), (one, {}), (f"{at}/redeliver", since):
        assert client.post(path, json=body, headers={"Idempotency-Key": path}).status_code == 202, path
        assert client.post(path, json=body).status_code == 404, path


def test_budgets_and_backfills_are_made_once(stack, workspace, client, workflow):
    budget = {"scope": "workspace", "period": "day", "limit": 1.5}
    once(client, "/budgets", budget, {**budget, "limit": 2})
    problem(client.post("/budgets", json=budget), 409, "budget_exists")
    schedule = client.post("/schedules", json={"workflow_id": workflow, "cron": "0 0 * * *", "paused": True}).json()
    path, times = f"/schedules/{schedule['id']}/backfill", {"from": "2026-01-01T00:00:00Z", "to": "2026-01-03T00:00:00Z"}
    assert once(client, path, times, {**times, "to": "2026-01-04T00:00:00Z"}) == {"occurrences": 2, "existing": 0}
    assert count(stack, "schedule_occurrences", workspace) == 2


def test_a_refused_creation_leaves_its_key_free(client):
    key = {"Idempotency-Key": "free"}
    problem(client.post("/budgets", json={"scope": "workspace", "period": "never", "limit": 1}, headers=key), 400, "invalid_request")
    problem(client.post("/webhooks", json={"url": "ftp://x"}, headers=key), 400, "invalid_request")
    assert client.post("/webhooks", json={"url": NOTHING}, headers=key).status_code == 201


def test_concurrent_creations_with_one_key_make_one(stack, workspace):
    client = workspace.client()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: client.post("/webhooks", json={"url": NOTHING}, headers={"Idempotency-Key": "k"}), range(16)))
    assert {a.status_code for a in answers} == {201} and len({a.content for a in answers}) == 1
    assert count(stack, "webhooks", workspace) == 1


# Why they take no key: docs/api.md.
WITHOUT_KEY = {"estimateWorkflow", "estimateSkill", "createSignalTicket", "createTicket", "createSkillTicket", "uploadFiles", "cancelBulkJob",
               "resumeBulkJob", "pauseSchedule", "resumeSchedule", "createSession", "answerSignalTicket"}


def test_every_post_takes_a_key_or_says_why_not():
    without = {operation["operationId"] for path in json.loads((ROOT / "docs/openapi.json").read_text())["paths"].values() for method, operation in path.items()
               if method == "post" and {"$ref": "#/components/parameters/IdempotencyKey"} not in operation.get("parameters", [])}
    assert without == WITHOUT_KEY
