"""API keys: the three headers, scopes, expiry, revocation, rate limit."""
import http.client
import json
import time
import uuid

import pytest
import requests

from stack import ALL_SCOPES, eventually, while_it_lasts, within

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


@pytest.fixture
def key(workspace):
    return workspace.key()["key"]


def get(stack, headers, path="/api/v1/executions"):
    with requests.Session() as s:
        s.trust_env = False
        return s.send(requests.Request("GET", stack.url + path, headers=headers).prepare(), timeout=10)


@pytest.mark.parametrize("header", ["Authorization: Bearer {}", "Authorization: bearer {}", "Authorization: {}", "X-API-Key: {}"])
def test_key_in_each_header_is_accepted(stack, key, header):
    name, value = header.format(key).split(": ", 1)
    assert get(stack, {name: value}).status_code == 200


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/api-proxy/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_prefixes_and_trailing_slash_are_accepted(stack, key, prefix, slash):
    assert get(stack, {"X-API-Key": key}, prefix + "/executions" + slash).status_code == 200


def test_same_key_in_two_headers_is_accepted(stack, key):
    assert get(stack, {"X-API-Key": key, "Authorization": f"Bearer {key}"}).status_code == 200


NONE = {
    "nothing": {}, "empty": {"Authorization": ""}, "only the word": {"Authorization": "Bearer "},
    "wrong": {"Authorization": "Bearer sk_live_" + "x" * 43}, "basic": {"Authorization": "Basic dTpw"},
    "over-long": {"Authorization": "Bearer " + "x" * 5000}, "not ASCII": {"X-API-Key": b"\xff\xfe"},
}


@pytest.mark.parametrize("name", NONE)
def test_missing_or_invalid_key_is_401(stack, name):
    answer = get(stack, NONE[name])
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert "X-RateLimit-Limit" not in answer.headers


def test_two_different_keys_are_401(stack, workspace, key):
    problem(get(stack, {"X-API-Key": key, "Authorization": "Bearer " + workspace.key()["key"]}), 401, "unauthenticated")


@pytest.mark.parametrize("name", ["Authorization", "X-API-Key"])
def test_duplicate_key_header_is_rejected(stack, key, name):
    c = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    c.putrequest("GET", "/api/v1/executions")
    for _ in range(2):
        c.putheader(name, key)
    c.endheaders()
    answer = c.getresponse()
    # nginx itself rejects a second Authorization header
    assert (answer.status, json.loads(answer.read())["code"]) == \
        ((400, "invalid_request") if name == "Authorization" else (401, "unauthenticated"))
    c.close()


SCOPED = [
    ("GET", "/workflows", "workflows:read"), ("POST", "/workflows", "workflows:write"),
    ("GET", f"/workflows/{uuid.uuid4()}", "workflows:read"), ("PUT", f"/workflows/{uuid.uuid4()}", "workflows:write"),
    ("DELETE", f"/workflows/{uuid.uuid4()}", "workflows:write"),
    ("POST", f"/workflows/{uuid.uuid4()}/run-async", "workflows:execute"), ("GET", "/executions", "executions:read"),
    ("GET", f"/executions/{uuid.uuid4()}", "executions:read"), ("GET", "/credits", "credits:read"),
]


def test_each_scope_permits_its_endpoints_only(workspace):
    full = workspace.client()
    for method, path, scope in SCOPED:
        others = ",".join(s for s in ALL_SCOPES.split(",") if s != scope)
        p = problem(workspace.client(others).request(method, path), 403, "insufficient_scope")
        assert scope in p["detail"]
        assert workspace.client(scope).request(method, path).status_code == full.request(method, path).status_code != 403


def test_stop_requires_the_scope_of_the_run_kind(workspace):
    client = workspace.client()
    w = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 3600}]})
    run = client.started(w)
    assert "workflows:execute" in problem(workspace.client("skills:execute").post(f"/executions/{run}/stop"), 403,
                                          "insufficient_scope")["detail"]
    problem(workspace.client("executions:read").post(f"/executions/{run}/stop"), 403, "insufficient_scope")
    assert workspace.client("workflows:execute").post(f"/executions/{run}/stop").status_code == 200


@pytest.mark.serial
def test_revoked_key_is_rejected_by_all_workers_within_a_second(stack, workspace):
    made = workspace.key()
    headers = {"X-API-Key": made["key"]}
    for _ in range(40):  # so that every worker has cached the key
        assert get(stack, headers).status_code == 200
    stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
    at = time.monotonic()
    within(lambda: get(stack, headers).status_code == 401, 2)
    while time.monotonic() < at + 1.05:
        get(stack, headers)
    assert {get(stack, headers).status_code for _ in range(40)} == {401}


@pytest.mark.serial
def test_new_key_works_within_a_second_of_a_failed_lookup(stack, workspace):
    """Failed lookups are cached, too, and not longer than a second."""
    made = workspace.key()
    stack.sql(f"UPDATE api_keys SET hash = UNHEX(REVERSE(HEX(hash))) WHERE id = '{made['id']}'")
    headers = {"X-API-Key": made["key"]}
    assert {get(stack, headers).status_code for _ in range(20)} == {401}
    stack.sql(f"UPDATE api_keys SET hash = UNHEX(REVERSE(HEX(hash))) WHERE id = '{made['id']}'")
    within(lambda: get(stack, headers).status_code == 200, 2)


def test_expired_key_is_rejected(stack, workspace):
    made = workspace.key()
    stack.sql(f"UPDATE api_keys SET expires_ms = {int(time.time() * 1000) - 1} WHERE id = '{made['id']}'")
    problem(get(stack, {"X-API-Key": made["key"]}), 401, "unauthenticated")


@pytest.mark.serial
def test_key_expires_while_cached(stack, workspace):
    def valid_for(seconds):
        made = workspace.key()
        stack.sql(f"UPDATE api_keys SET expires_ms = {int((time.time() + seconds) * 1000)} WHERE id = '{made['id']}'")
        headers = {"X-API-Key": made["key"]}
        assert get(stack, headers).status_code == 200
        return seconds, headers
    seconds, headers = while_it_lasts(0.7, valid_for)
    within(lambda: get(stack, headers).status_code == 401, seconds + 1.3)


@pytest.mark.serial
def test_last_use_is_stored_once_a_minute(stack, workspace):
    made = workspace.key()
    used = lambda: stack.sql_one(f"SELECT last_used_ms FROM api_keys WHERE id = '{made['id']}'")
    assert used() == "NULL"
    before = int(time.time() * 1000)
    get(stack, {"X-API-Key": made["key"]})
    first = eventually(lambda: used() if used() != "NULL" else None)
    assert before <= int(first) <= time.time() * 1000
    deadline = time.monotonic() + 1.2
    while time.monotonic() < deadline:
        get(stack, {"X-API-Key": made["key"]})
    assert used() == first


def test_requests_above_the_rate_limit_are_rejected(stack):
    workspace = stack.workspace(rate_limit_per_minute=10)
    clients = [workspace.client(), workspace.client()]  # the keys of a workspace share its limit
    answers = [clients[i % 2].get("/executions") for i in range(13)]
    assert [a.status_code for a in answers] == [200] * 10 + [429] * 3
    assert [int(a.headers["X-RateLimit-Remaining"]) for a in answers] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0, 0]
    for a in answers:
        assert a.headers["X-RateLimit-Limit"] == "10"
        assert 1 <= int(a.headers["X-RateLimit-Reset"]) <= 60
        assert a.headers["RateLimit-Policy"] == '"default";q=10;w=60'
        assert a.headers["RateLimit"].startswith('"default";r=')
    problem(answers[-1], 429, "rate_limited")
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 60
    assert stack.workspace().client().get("/executions").status_code == 200  # the limits of workspaces are independent


@pytest.mark.serial
def test_rate_limit_is_not_enforced_without_redis(stack):
    client = stack.workspace(rate_limit_per_minute=3).client()
    assert [client.get("/executions").status_code for _ in range(5)] == [200] * 3 + [429] * 2
    stack.stop_server("redis")
    try:
        time.sleep(0.3)  # a rejection is cached for 200 ms
        answers = [client.get("/executions") for _ in range(6)]
    finally:
        stack.start_server("redis")
    assert [a.status_code for a in answers] == [200] * 6
    assert "X-RateLimit-Limit" not in answers[-1].headers
