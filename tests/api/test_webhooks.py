"""Webhooks: their endpoints, what is sent to them and when, and receivers that do not behave."""
import base64
import calendar
import hashlib
import hmac
import json
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid

import pytest
from stack import ROOT, Effects, eventually

sys.path.insert(0, str(ROOT / "clients/python"))
from millrace_client import verify_webhook  # noqa: E402

SETTINGS = {"webhooks.retry_seconds": "1,1,1", "webhooks.timeout_seconds": "3", "webhooks.pending_max": "600",
            "webhooks.pause_max_seconds": "1"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
FAILS = {"steps": [{"name": "a", "type": "fail", "message": "no"}]}
NOTHING = "http://127.0.0.1:9"  # nobody listens


def create(client, url, **members):
    answer = client.post("/webhooks", json={"url": url, **members})
    assert answer.status_code == 201, answer.text
    return answer.json()


def change(client, hook, **members):
    answer = client.request("PATCH", f"/webhooks/{hook['id']}", json=members)
    assert answer.status_code == 200, answer.text
    return answer.json()


def shown(client, hook):
    return client.get(f"/webhooks/{hook['id']}").json()


def deliveries(client, hook, **query):
    answer = client.get(f"/webhooks/{hook['id']}/deliveries", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["deliveries"]


def seconds_of(moment):
    """The time of a response, without its fraction."""
    return calendar.timegm(time.strptime(moment[:19], "%Y-%m-%dT%H:%M:%S"))


def await_delivery(client, hook, state, count=1):
    """Waits until the hook has `count` deliveries, all of them in the state; the newest first."""
    def check():
        found = deliveries(client, hook)
        return len(found) == count and all(d["state"] == state for d in found) and found
    return eventually(check, what=f"{count} deliveries are {state}")


def tried(client, hook):
    """Waits until the hook's only delivery has been tried."""
    return eventually(lambda: [d for d in deliveries(client, hook) if d["tries"]], 40, "a try")[0]


def subscribed(client, effects):
    """Waits until runs that are accepted from now on are reported to all endpoints that exist."""
    marker = create(client, f"{effects.url}/marker-{uuid.uuid4()}")
    path = marker["url"][len(effects.url):]
    return marker, path


def started(workspace, client, program=PROGRAM, **body):
    return client.started(workspace.put_workflow(program), **body)


@pytest.fixture
def hook(client, effects):
    """An endpoint that runs which are accepted from now on are reported to."""
    return made(client, f"{effects.url}/hook")


def made(client, url, **members):
    hook = create(client, url, **members)
    created = int(hook["id"].replace("-", "")[:12], 16)
    eventually(lambda: time.time() * 1000 > created + 1050, 10, "a second has passed")
    return hook


def signature(secret, call):
    sent = call["headers"]
    content = f"{sent['webhook-id']}.{sent['webhook-timestamp']}.".encode() + call["body"]
    mac = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(mac).decode()


def parts(call):
    return call["headers"]["webhook-id"], call["body"]


# --- endpoints ---------------------------------------------------------------------------------------------------------

def test_endpoints_are_created_listed_changed_and_deleted(stack, client):
    flow = str(uuid.uuid4())
    hook = create(client, "https://example.com/a?b=c", events=["execution.failed", "webhook.disabled"], description="mine",
                  filter={"workflow_id": flow, "tags": ["x", "y"]}, enabled=False)
    assert hook["secret"].startswith("whsec_") and len(base64.b64decode(hook["secret"][6:])) == 32
    assert hook["events"] == ["execution.failed", "webhook.disabled"] and hook["filter"] == {"workflow_id": flow, "tags": ["x", "y"]}
    assert (hook["enabled"], hook["disabled_reason"], hook["description"]) == (False, "by_request", "mine")
    plain = create(client, "http://example.com/", secret="whsec_" + base64.b64encode(b"k" * 24).decode())
    assert plain["events"] == ["execution.succeeded", "execution.failed", "execution.stopped"] and plain["enabled"]
    listed = client.get("/webhooks?limit=1").json()
    assert [w["id"] for w in listed["webhooks"]] == [hook["id"]] and listed["has_more"] and "secret" not in listed["webhooks"][0]
    assert [w["id"] for w in client.get(f"/webhooks?after={listed['next_cursor']}").json()["webhooks"]] == [plain["id"]]
    changed = change(client, hook, url="https://example.org/", filter={"tags": None}, description=None, enabled=True)
    assert changed["url"] == "https://example.org/" and changed["filter"] == {"workflow_id": flow, "tags": None}
    assert changed["description"] is None and changed["enabled"] and changed["disabled_reason"] is None and "secret" not in changed
    assert changed["events"] == hook["events"] and shown(client, hook) == changed
    assert client.delete(f"/webhooks/{hook['id']}").status_code == 204
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/test"), ("GET", "/deliveries")):
        body = {"json": {}} if method == "PATCH" else {}
        assert client.request(method, f"/webhooks/{hook['id']}{path}", **body).status_code == 404
        other = stack.workspace().client()
        assert other.request(method, f"/webhooks/{plain['id']}{path}", **body).status_code == 404


@pytest.mark.parametrize("body", [
    {}, {"url": ""}, {"url": "ftp://example.com/"}, {"url": "http://u:p@example.com/"}, {"url": "http:///x"}, {"url": "http://:80/"},
    {"url": "http://example.com/#a"}, {"url": "http://example.com/ b"}, {"url": "http://example.com/\u00e9"}, {"url": "http://example.com/\r\nx"},
    {"url": "http://example.com/" + "a" * 2048}, {"url": 1},
    {"url": NOTHING, "events": []}, {"url": NOTHING, "events": ["webhook.test"]}, {"url": NOTHING, "events": "execution.failed"},
    {"url": NOTHING, "filter": {"workflow_id": "x"}}, {"url": NOTHING, "filter": {"tags": [""]}}, {"url": NOTHING, "filter": {"tag": "a"}},
    {"url": NOTHING, "filter": []}, {"url": NOTHING, "description": "d" * 1025}, {"url": NOTHING, "enabled": "yes"},
    {"url": NOTHING, "secret": "abc"}, {"url": NOTHING, "secret": "whsec_"}, {"url": NOTHING, "secret": "whsec_" + "A" * 31},
    {"url": NOTHING, "secret": "whsec_" + base64.b64encode(b"k" * 23).decode()},
    {"url": NOTHING, "secret": "whsec_" + base64.b64encode(b"k" * 65).decode()}, {"url": NOTHING, "unknown": 1}])
def test_wrong_members_are_rejected(client, body):
    answer = client.post("/webhooks", json=body)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_request"
    assert client.get("/webhooks").json()["webhooks"] == []


@pytest.mark.parametrize("webhook", [1, {}, {"url": "x"}, {"url": NOTHING, "events": ["webhook.disabled"]}, {"url": NOTHING, "secret": "x"}])
def test_wrong_own_webhooks_are_rejected(workspace, client, webhook):
    answer = client.run(workspace.put_workflow(PROGRAM), webhook=webhook)
    assert answer.status_code == 400 and "webhook" in answer.json()["detail"]


def test_quota_of_endpoints(stack, workspace, client):
    stack.set_up("workspace", "set", "--workspace", workspace.id, "--quotas", "webhooks=2")
    create(client, NOTHING)
    second = create(client, NOTHING)
    answer = client.post("/webhooks", json={"url": NOTHING})
    assert answer.status_code == 403 and answer.json()["code"] == "quota_exceeded"
    shown_limits = stack.cli("workspace", "show", "--workspace", workspace.id)
    assert (shown_limits["webhooks_limit"], shown_limits["webhooks_used"]) == (2, 2)
    client.delete(f"/webhooks/{second['id']}")
    create(client, NOTHING)


def test_a_reader_can_neither_change_nor_send(workspace, hook):
    reader = workspace.client("webhooks:read")
    assert reader.get("/webhooks").status_code == 200 == reader.get(f"/webhooks/{hook['id']}/deliveries").status_code
    for method, path, body in (("POST", "/webhooks", {"url": NOTHING}), ("PATCH", f"/webhooks/{hook['id']}", {}), ("GET", "/webhooks/secret", None),
                               ("POST", f"/webhooks/{hook['id']}/test", None), ("POST", f"/webhooks/{hook['id']}/redeliver", {"since": "2026-01-01"})):
        assert reader.request(method, path, json=body).status_code == 403


# --- messages ----------------------------------------------------------------------------------------------------------

def test_message(stack, workspace, client, effects, hook):
    ids = [started(workspace, client, program) for program in (PROGRAM, FAILS)]
    effects.wait_for("/hook", 2)
    calls = effects.to("/hook")
    bodies = {json.loads(c["body"])["data"]["execution_id"]: (json.loads(c["body"]), c) for c in calls}
    for id, kind, status in zip(ids, ("execution.succeeded", "execution.failed"), ("success", "failed")):
        body, call = bodies[id]
        run = client.finished(id)
        assert body["type"] == kind and body["data"]["status"] == status == run["status"]
        assert body["data"]["workflow_id"] == run["workflow_id"] and body["data"]["root_id"] == id and body["data"]["parent_id"] is None
        assert body["data"]["ended_at"] and body["data"]["credits_used"] == run["creditsUsed"]
        assert call["method"] == "POST" and call["headers"]["content-type"] == "application/json"
        assert call["headers"]["webhook-signature"] == signature(hook["secret"], call)
        assert abs(int(call["headers"]["webhook-timestamp"]) - time.time()) < 300
        verify_webhook(hook["secret"], call["headers"], call["body"])
    assert len({c["headers"]["webhook-id"] for c in calls}) == 2
    found = await_delivery(client, hook, "delivered", 2)
    assert {d["message_id"] for d in found} == {c["headers"]["webhook-id"] for c in calls}
    assert all((d["tries"], d["status"], d["error"], d["next_try_at"]) == (1, 200, None, None) and '"ok": true' in d["response"] for d in found)
    assert [d["id"] for d in deliveries(client, hook, limit=1, after=found[0]["id"])] == [found[1]["id"]]
    assert hook["secret"] not in "".join(stack.log(s) for s in ("api", "executor", "nginx"))
    assert hook["secret"].encode().hex() not in stack.sql_one(f"SELECT HEX(sealed) FROM webhooks WHERE id = '{hook['id']}'").lower()


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
def test_npm_standardwebhooks_verifies_it(workspace, client, effects, hook):
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=600)
    id = started(workspace, client)
    effects.wait_for("/hook")
    call = effects.to("/hook")[0]
    script = (ROOT / "tests/api/verify_webhook.mjs").read_text()

    def verify(body):
        given = json.dumps({"secret": hook["secret"], "headers": call["headers"], "body": body})
        return subprocess.run(["node", "--input-type=module", "-e", script.replace("readFileSync(0, \"utf8\")", json.dumps(given))],
                              cwd=ROOT / "tests", capture_output=True, text=True, timeout=120)
    done = verify(call["body"].decode())
    assert done.returncode == 0 and json.loads(done.stdout)["data"]["execution_id"] == id, done.stderr
    assert verify(call["body"].decode() + " ").returncode != 0


def test_two_secrets_sign_while_one_is_replaced(stack, workspace, client, effects, hook):
    new = change(client, hook, rotate_secret=True)["secret"]
    assert new != hook["secret"]
    started(workspace, client)
    effects.wait_for("/hook")
    call = effects.to("/hook")[0]
    assert call["headers"]["webhook-signature"].split() == [signature(new, call), signature(hook["secret"], call)]
    for secret in (new, hook["secret"]):
        verify_webhook(secret, call["headers"], call["body"])
    stack.sql(f"UPDATE webhooks SET old_until_ms = 1 WHERE id = '{hook['id']}'")
    started(workspace, client)
    effects.wait_for("/hook", 2)
    last = effects.to("/hook")[-1]
    assert last["headers"]["webhook-signature"] == signature(new, last)


def test_filters(workspace, client, effects):
    first, second = workspace.put_workflow(PROGRAM), workspace.put_workflow(PROGRAM)
    create(client, f"{effects.url}/flow", filter={"workflow_id": first})
    create(client, f"{effects.url}/tags", filter={"tags": ["a", "b"]})
    create(client, f"{effects.url}/failed", events=["execution.failed"])
    create(client, f"{effects.url}/off", enabled=False)
    create(client, f"{effects.url}/starts", events=["execution.started"])
    made(client, f"{effects.url}/all")
    runs = [client.started(first), client.started(second, tags=["b", "c", "a"]), client.started(second, tags=["a"])]
    effects.wait_for("/all", 3)
    effects.wait_for("/starts", 3)
    effects.wait_for("/flow")
    effects.wait_for("/tags")

    def reported(path):
        return {json.loads(c["body"])["data"]["execution_id"] for c in effects.to(path)}
    assert reported("/all") == reported("/starts") == set(runs)
    assert reported("/flow") == {runs[0]} and reported("/tags") == {runs[1]}
    assert reported("/failed") == set() == reported("/off")
    assert {json.loads(c["body"])["type"] for c in effects.to("/starts")} == {"execution.started"}


def test_own_webhook_of_a_run(stack, workspace, client, effects):
    secret = client.get("/webhooks/secret").json()["secret"]
    assert client.get("/webhooks/secret").json()["secret"] == secret
    flow = workspace.put_workflow(PROGRAM)
    plain = client.started(flow, webhook={"url": f"{effects.url}/own"})
    both = client.started(flow, webhook={"url": f"{effects.url}/both", "events": ["execution.started", "execution.succeeded"]})
    batch = client.post(f"/workflows/{flow}/run-batch", json={"items": [{"webhook": {"url": f"{effects.url}/item"}}, {}]}).json()
    for path, count in (("/own", 1), ("/both", 2), ("/item", 1)):
        effects.wait_for(path, count)
        for call in effects.to(path):
            verify_webhook(secret, call["headers"], call["body"])
    assert [json.loads(c["body"])["data"]["execution_id"] for c in effects.to("/own")] == [plain]
    assert {(json.loads(c["body"])["type"], json.loads(c["body"])["data"]["execution_id"]) for c in effects.to("/both")} == {
        ("execution.started", both), ("execution.succeeded", both)}
    assert json.loads(effects.to("/item")[0]["body"])["data"]["execution_id"] == batch["results"][0]["execution_id"]
    assert stack.cli("audit")["violations"] == []


def test_own_webhook_whose_lane_has_a_hash_that_is_no_uuid(stack, effects):
    """MariaDB takes no UUID of version 8 with an octet 80 where the variant is: one in 64 hashes of a workspace and a host."""
    host = effects.url.split("://")[1]

    def is_hit(workspace):
        return hashlib.sha256(f"{workspace.id} {host}".encode()).digest()[8] & 0x3f == 0
    workspace = next(w for w in (stack.workspace(credits=10) for _ in range(2000)) if is_hit(w))
    run = workspace.client().started(workspace.put_workflow(PROGRAM), webhook={"url": f"{effects.url}/own"})
    effects.wait_for("/own")
    assert json.loads(effects.to("/own")[0]["body"])["data"]["execution_id"] == run


def test_events_of_stopped_runs_and_of_children(workspace, client, effects, hook):
    child = workspace.put_workflow(PROGRAM)
    parent = started(workspace, client, {"steps": [{"name": "c", "type": "workflow", "workflow_id": child}]})
    effects.wait_for("/hook", 2)
    data = [json.loads(c["body"])["data"] for c in effects.to("/hook")]
    assert [(d["workflow_id"] == child, d["root_id"], d["parent_id"]) for d in sorted(data, key=lambda d: d["parent_id"] or "")] == [
        (False, parent, None), (True, parent, parent)]
    waits = started(workspace, client, {"steps": [{"name": "w", "type": "delay", "seconds": 3600}]})
    assert client.post(f"/executions/{waits}/stop").status_code == 200
    effects.wait_for("/hook", 3)
    last = json.loads(effects.to("/hook")[-1]["body"])
    assert (last["type"], last["data"]["execution_id"], last["data"]["status"]) == ("execution.stopped", waits, "stopped")


# --- tries -------------------------------------------------------------------------------------------------------------

def test_tries_have_one_id_and_one_body(workspace, client, effects, hook):
    effects.answer("/hook", 503, times=2)
    effects.answer("/hook", 204, body=b"", times=1)
    started(workspace, client)
    found = await_delivery(client, hook, "delivered")[0]
    assert (found["tries"], found["status"], found["error"], found["response"]) == (3, 204, None, None)
    assert len({parts(c) for c in effects.to("/hook")}) == 1 and effects.count("/hook") == 3
    assert shown(client, hook)["failing_since"] is None


def test_a_delivery_that_failed_can_be_sent_again(workspace, client, effects, hook):
    effects.answer("/hook", 500, body=b"\xff\0no\n" + b"x" * 2000, times=4)
    started(workspace, client)
    found = await_delivery(client, hook, "failed")[0]
    assert (found["tries"], found["status"], found["error"]) == (4, 500, "The endpoint answered 500.") and found["next_try_at"] is None
    assert found["response"].startswith("??no\n") and len(found["response"]) == 1024
    assert shown(client, hook)["failing_since"] and shown(client, hook)["enabled"]
    assert client.post(f"/webhooks/{hook['id']}/deliveries/{found['id']}/redeliver").status_code == 202
    assert await_delivery(client, hook, "delivered")[0]["tries"] == 1
    assert client.post(f"/webhooks/{hook['id']}/deliveries/{found['id']}/redeliver").status_code == 202
    effects.wait_for("/hook", 6)
    assert len({parts(c) for c in effects.to("/hook")}) == 1
    assert client.post(f"/webhooks/{hook['id']}/deliveries/{uuid.uuid4()}/redeliver").status_code == 404


def test_failures_since_a_moment_are_sent_again(workspace, client, effects, hook):
    effects.answer("/hook", 500)
    before = started(workspace, client)
    await_delivery(client, hook, "failed")
    moment = deliveries(client, hook)[0]["created_at"]
    eventually(lambda: time.time() > seconds_of(moment) + 1, 10, "a second later")
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time()))
    later = [started(workspace, client) for _ in range(2)]
    await_delivery(client, hook, "failed", 3)
    effects.rules.clear()
    done = client.post(f"/webhooks/{hook['id']}/redeliver", json={"since": since}).json()
    assert done == {"redelivered": 2, "has_more": False}
    eventually(lambda: [d["state"] for d in deliveries(client, hook)] == ["delivered", "delivered", "failed"], 40, "two are delivered")
    assert {d["execution_id"] for d in deliveries(client, hook) if d["state"] == "delivered"} == set(later)
    assert client.post(f"/webhooks/{hook['id']}/redeliver", json={"since": "2026-01-01"}).json()["redelivered"] == 1
    await_delivery(client, hook, "delivered", 3)
    assert before in {d["execution_id"] for d in deliveries(client, hook)}
    for wrong in ({}, {"since": "yesterday"}, {"since": 1}, {"since": since, "x": 1}):
        assert client.post(f"/webhooks/{hook['id']}/redeliver", json=wrong).status_code == 400


def test_retry_after(workspace, client, effects, hook):
    effects.answer("/hook", 429, headers={"Retry-After": "3000"})
    started(workspace, client)
    found = tried(client, hook)
    seen = [seconds_of(found[m]) for m in ("tried_at", "next_try_at")]
    assert found["state"] == "pending" and 2990 <= seen[1] - seen[0] <= 3400


def test_gone_disables_and_is_reported(workspace, client, effects, hook):
    made(client, f"{effects.url}/other", events=["webhook.disabled"])
    effects.answer("/hook", 410, times=1)
    started(workspace, client)
    eventually(lambda: not shown(client, hook)["enabled"], 40, "it is disabled")
    now = shown(client, hook)
    assert now["disabled_reason"] == "gone" and now["disabled_at"]
    assert deliveries(client, hook)[0]["state"] == "failed" and deliveries(client, hook)[0]["status"] == 410
    effects.wait_for("/other")
    body = json.loads(effects.to("/other")[0]["body"])
    assert body["type"] == "webhook.disabled" and body["data"] == {"webhook_id": hook["id"]}
    failed = deliveries(client, hook)[0]["id"]
    for path, json_body in (("/test", None), (f"/deliveries/{failed}/redeliver", None), ("/redeliver", {"since": "2026-01-01"})):
        answer = client.post(f"/webhooks/{hook['id']}{path}", json=json_body)
        assert answer.status_code == 409 and answer.json()["code"] == "webhook_disabled"
    assert change(client, hook, enabled=True)["disabled_reason"] is None
    message = client.post(f"/webhooks/{hook['id']}/test").json()["message_id"]
    effects.wait_for("/hook", 2)
    last = effects.to("/hook")[-1]
    assert last["headers"]["webhook-id"] == message and json.loads(last["body"])["type"] == "webhook.test"
    assert json.loads(last["body"])["data"] == {"webhook_id": hook["id"]}


def test_five_days_of_failure_disable(stack, workspace, client, effects, hook):
    effects.answer("/hook", 500)
    started(workspace, client)
    eventually(lambda: shown(client, hook)["failing_since"], 40, "it fails")
    stack.sql(f"UPDATE webhooks SET failing_since_ms = failing_since_ms - 5 * 86400000 WHERE id = '{hook['id']}'")
    started(workspace, client)
    eventually(lambda: not shown(client, hook)["enabled"], 40, "it is disabled")
    assert shown(client, hook)["disabled_reason"] == "failing"
    assert {d["state"] for d in await_delivery(client, hook, "failed", 2)} == {"failed"}


def test_success_or_change_ends_the_time_of_failure(stack, workspace, client, effects, hook):
    """A new URL or secret does, and so does enabling it."""
    def fails():
        stack.sql(f"UPDATE webhooks SET failing_since_ms = 1 WHERE id = '{hook['id']}'; INSERT INTO webhook_lanes (id, workspace_id, webhook_id, "
                  f"due_ms, failures, failing) VALUES ('{hook['id']}', '{workspace.id}', '{hook['id']}', {9 * 10**15}, 3, 1) "
                  "ON DUPLICATE KEY UPDATE failures = 3, failing = 1")

    def failures():
        return stack.sql_one(f"SELECT failures FROM webhook_lanes WHERE id = '{hook['id']}'")
    fails()
    for members in ({"description": "x"}, {"url": hook["url"], "enabled": True, "events": ["execution.failed"]}, {"filter": {"tags": None}}):
        assert change(client, hook, **members)["failing_since"] and failures() == "3"
    for members in ({"rotate_secret": True}, {"url": f"{effects.url}/new"}, {"url": hook["url"]}):
        fails()
        assert change(client, hook, **members)["failing_since"] is None and failures() == "0"
    fails()
    assert change(client, hook, enabled=False)["failing_since"]
    assert change(client, hook, enabled=True)["failing_since"] is None and failures() == "0"
    fails()
    assert client.post(f"/webhooks/{hook['id']}/test").status_code == 202
    await_delivery(client, hook, "delivered")
    eventually(lambda: shown(client, hook)["failing_since"] is None, 40, "it fails no longer")
    assert shown(client, hook)["enabled"]


# --- receivers that do not behave --------------------------------------------------------------------------------------

def serve(connected):
    """A server that handles each connection by `connected`; its URL."""
    server = socket.create_server(("127.0.0.1", 0))

    def loop():
        while True:
            connection, _ = server.accept()
            threading.Thread(target=connected, args=(connection,), daemon=True).start()
    threading.Thread(target=loop, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/"


def drip(connection):
    """Answers at once, and then one byte a second."""
    with connection:
        try:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            while True:
                connection.sendall(b"x")
                time.sleep(1)
        except OSError:
            pass


def hang(connection):
    with connection:
        while connection.recv(65536):
            pass


def expired(folder):
    """The URL of an HTTPS server whose certificate has expired."""
    subprocess.run(["openssl", "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", folder / "key", "-out", folder / "request"],
                   check=True, capture_output=True)
    (folder / "index").touch()
    (folder / "ca.conf").write_text(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}\nrand_serial=yes\npolicy=p\n"
                                    "default_md=sha256\n[p]\ncommonName=supplied\n")
    subprocess.run(["openssl", "ca", "-batch", "-config", folder / "ca.conf", "-selfsign", "-keyfile", folder / "key", "-in", folder / "request",
                    "-startdate",  "20200101000000Z", "-enddate", "20200201000000Z", "-out", folder / "cert"], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert", folder / "key")

    def secure(connection):
        try:
            with context.wrap_socket(connection, server_side=True) as tls:
                tls.recv(65536)
                tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        except OSError:
            pass
    return serve(secure).replace("http:", "https:")


def test_receivers_that_do_not_behave_delay_no_other(tmp_path, workspace, client, effects):
    elsewhere = Effects()
    effects.answer("/redirect", 302, headers={"Location": f"{elsewhere.url}/x"})
    urls = {"hang": serve(hang), "drip": serve(drip), "redirect": f"{effects.url}/redirect", "expired": expired(tmp_path),
            "private": "http://10.0.0.1/", "private6": "http://[fd00::1]/", "metadata": "http://169.254.169.254/latest", "refused": NOTHING,
            "nowhere": "http://does-not-exist.invalid/", "large": serve(lambda c: (c.recv(65536), c.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400000), c.close()))}
    hooks = {name: create(client, url) for name, url in urls.items()}
    made(client, f"{effects.url}/good")
    runs = [started(workspace, client) for _ in range(3)]
    effects.wait_for("/good", 3)
    assert {json.loads(c["body"])["data"]["execution_id"] for c in effects.to("/good")} == set(runs)
    errors = {}
    for name, hook in hooks.items():
        found = eventually(lambda: [d for d in deliveries(client, hook) if d["tries"]], 60, f"a try of {name}")[0]
        assert found["state"] in ("pending", "failed") and found["error"], (name, found)
        errors[name] = found["error"]
    assert errors["hang"] == errors["drip"] == "The endpoint did not answer within 3 s."
    assert errors["redirect"] == "The endpoint answered 302; redirects are not followed." and elsewhere.calls == []
    assert "certificate" in errors["expired"].lower(), errors["expired"]
    for name in ("private", "private6", "metadata"):
        assert "not allowed" in errors[name] or "denied" in errors[name] or "outgoing_allow" in errors[name], errors[name]
    elsewhere.close()


def test_thousands_of_hosts_of_one_workspace_delay_no_other(stack, workspace, client, effects, hook):
    """Its due lanes fill more than one page of the search for lanes, and its places are taken."""
    other, message = stack.workspace().id, uuid.uuid4()
    url = serve(hang)
    stack.sql(f"""BEGIN;
        INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, fanned, body) VALUES ('{message}', '{other}', 2, 1, 1, '{{}}');
        INSERT INTO webhook_lanes (id, workspace_id, due_ms, pending) SELECT UUID(), '{other}', seq, 1 FROM seq_1_to_4000;
        INSERT INTO webhook_deliveries (id, workspace_id, outbox_id, lane_id, url, state, due_ms, created_ms)
            SELECT UUID(), '{other}', '{message}', id, '{url}', 1, due_ms, 1 FROM webhook_lanes WHERE workspace_id = '{other}';
        COMMIT""")
    untried = f"SELECT COUNT(*) FROM webhook_deliveries WHERE outbox_id = '{message}' AND tries = 0"
    try:
        started(workspace, client)
        effects.wait_for("/hook", 1, 60)
        assert int(stack.sql_one(untried)) > 1000
    finally:
        stack.sql(f"DELETE FROM webhook_deliveries WHERE outbox_id = '{message}'; DELETE FROM webhook_outbox WHERE id = '{message}'; "
                  f"DELETE FROM webhook_lanes WHERE workspace_id = '{other}'")


def stored_deliveries(stack, workspace, hook, state, n):
    """Inserts deliveries that have failed (state 3), or that are pending (1) and due much later; their ids."""
    message, *ids = (f"01a21b0e-a5f1-7a73-930e-{uuid.uuid4().hex[:12]}" for _ in range(n + 1))
    stack.sql(f"BEGIN; INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, fanned, body) VALUES ('{message}', '{workspace.id}', 2, 1, 1, '{{}}'); "
              "INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, outbox_id, lane_id, state, due_ms, created_ms) VALUES "
              + ", ".join(f"('{id}', '{workspace.id}', '{hook['id']}', '{message}', '{hook['id']}', {state}, 9000000000000, 1)" for id in ids) +
              "; INSERT INTO webhook_lanes (id, workspace_id, webhook_id, due_ms, pending) VALUES "
              f"('{hook['id']}', '{workspace.id}', '{hook['id']}', 9000000000000, {n if state == 1 else 0}) "
              "ON DUPLICATE KEY UPDATE pending = pending + VALUES(pending); COMMIT")
    return ids


def test_too_many_pending_deliveries_fail_at_once(stack, workspace, client, effects, hook):
    stored_deliveries(stack, workspace, hook, 1, 580)
    effects.answer("/hook", 503, headers={"Retry-After": "3600"})
    flow = workspace.put_workflow(PROGRAM)
    batch = client.post(f"/workflows/{flow}/run-batch", json={"items": [{}] * 30}).json()
    assert batch["accepted"] == 30

    def settled():
        found = [d for d in deliveries(client, hook, limit=100) if d["execution_id"]]
        return len(found) == 30 and found
    found = eventually(settled, 60, "30 deliveries")
    refused = [d for d in found if d["state"] == "failed"]
    # executors that fan out at the same time count without locks, so that the limit is exceeded by what the others add
    assert 0 < len(refused) <= 10 and {d["error"] for d in refused} == {"Too many deliveries are pending (webhooks.pending_max)."}


def test_redelivery_makes_no_more_pending_than_may_be(stack, workspace, client, effects, hook):
    def pending(ids):
        listed = ", ".join(f"'{id}'" for id in ids)
        return int(stack.sql_one(f"SELECT COUNT(*) FROM webhook_deliveries WHERE id IN ({listed}) AND state = 1"))
    effects.answer("/hook", 503, headers={"Retry-After": "3600"})
    stored_deliveries(stack, workspace, hook, 1, 580)
    ids = stored_deliveries(stack, workspace, hook, 3, 20)
    assert client.post(f"/webhooks/{hook['id']}/redeliver", json={"since": "2026-01-01"}).json() == {"redelivered": 20, "has_more": False}
    effects.wait_for("/hook")  # one that fails; then the lane rests for an hour, so that its count changes by what is done here alone
    resting = f"SELECT busy = 0 AND not_before_ms > {int(time.time() * 1000)} + 600000 FROM webhook_lanes WHERE id = '{hook['id']}'"
    eventually(lambda: stack.sql_one(resting) == "1", what="the lane rests")
    assert client.post(f"/webhooks/{hook['id']}/redeliver", json={"since": "2026-01-01"}).json() == {"redelivered": 0, "has_more": False}
    more = stored_deliveries(stack, workspace, hook, 3, 2)
    for path, body in ((f"deliveries/{more[0]}/redeliver", None), ("redeliver", {"since": "2026-01-01"})):
        answer = client.post(f"/webhooks/{hook['id']}/{path}", json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded") and "pending_max" in answer.text
    assert "webhooks.pending_max" in stack.cli("webhook", "redeliver", hook["id"], "--workspace", workspace.id, "--since", "2026-01-01", check=False)[2]
    assert client.post(f"/webhooks/{hook['id']}/deliveries/{ids[0]}/redeliver").status_code == 202, "it is pending already"
    assert pending(ids) == 20 and pending(more) == 0
    for id in ids[:5]:
        stack.sql(f"BEGIN; DELETE FROM webhook_deliveries WHERE id = '{id}'; UPDATE webhook_lanes SET pending = pending - 1 WHERE id = '{hook['id']}'; COMMIT")
    third = stored_deliveries(stack, workspace, hook, 3, 4)
    assert client.post(f"/webhooks/{hook['id']}/redeliver", json={"since": "2026-01-01"}).json() == {"redelivered": 5, "has_more": True}
    assert pending(more + third) == 5


def test_events_of_runs_that_were_accepted_before_the_endpoint_was_created(workspace, client, effects):
    run = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "wait", "signal": "go", "timeout_seconds": 600}]}))
    hook = made(client, f"{effects.url}/late")
    assert client.post(f"/executions/{run}/signals/go", json=1).status_code < 300
    assert await_delivery(client, hook, "delivered")[0]["execution_id"] == run


def test_a_run_that_waits_for_a_signal(stack, workspace, client, effects):
    """Each wait is reported once, also to the run's own webhook; a wait whose signal has come before is not."""
    events = ["execution.waiting", "execution.succeeded"]
    made(client, f"{effects.url}/all", events=events)
    wait = {"type": "wait", "timeout_seconds": 600}
    program = {"steps": [{"name": "a", "signal": "a", **wait}, {"name": "b", "signal": "b", **wait}, {"name": "c", "signal": "c", **wait}]}
    run = client.started(workspace.put_workflow(program), webhook={"url": f"{effects.url}/own", "events": events})
    for name, waits in (("a", 1), ("b", 2)):
        for path in ("/all", "/own"):
            effects.wait_for(path, waits, 60)
        if name == "b":
            assert client.post(f"/executions/{run}/signals/c", json=1).status_code < 300
        assert client.post(f"/executions/{run}/signals/{name}", json=1).status_code < 300
    assert client.finished(run, 60)["status"] == "success"
    for path in ("/all", "/own"):
        effects.wait_for(path, 3, 60)
        bodies = [json.loads(call["body"]) for call in effects.to(path)]
        assert [b["type"] for b in bodies] == ["execution.waiting"] * 2 + ["execution.succeeded"]
        waiting = bodies[0]["data"]
        assert (waiting["execution_id"], waiting["status"], waiting["ended_at"], waiting["failure_reason"]) == (run, "running", None, None)
        assert len({parts(call) for call in effects.to(path)}) == 3
    assert stack.sql_one(f"SELECT COUNT(*) FROM webhook_outbox WHERE execution_id = '{run}' AND event = 9") == "2"


# --- errors that stay ------------------------------------------------------------------------------------------------------

def trigger(stack, name, when, condition):
    """The statement fails with an error that stays while the condition is true of the row."""
    stack.sql(f"CREATE TRIGGER {name} BEFORE {when} FOR EACH ROW IF {condition} THEN SIGNAL SQLSTATE '45000'; END IF")


def test_a_message_that_cannot_be_fanned_out_delays_no_other(stack, workspace, client, effects, hook):
    place = stack.workspace()
    other = place.client()
    broken = made(other, f"{effects.url}/broken")
    trigger(stack, "broken_delivery", "INSERT ON webhook_deliveries", f"NEW.webhook_id = '{broken['id']}'")
    aside = f"SELECT COUNT(*) FROM webhook_outbox WHERE workspace_id = '{place.id}' AND fanned = 2"
    try:
        started(place, other)
        id = started(workspace, client)
        assert await_delivery(client, hook, "delivered")[0]["execution_id"] == id
        eventually(lambda: stack.sql_one(aside) == "1", 30, "the message is set aside")
        stack.logged("executor", "webhook.message_set_aside")
        eventually(lambda: "millrace_webhook_messages_set_aside 1\n" in client.session.get(stack.url + "/metrics").text, what="the metric")
        id = started(workspace, client)
        assert id in {d["execution_id"] for d in await_delivery(client, hook, "delivered", 2)}
    finally:
        stack.sql("DROP TRIGGER broken_delivery")
    stack.kill_server("executor", with_children=True)
    stack.start_server("executor")
    effects.wait_for("/broken", 1, 60)
    assert stack.sql_one(aside) == "0" and stack.cli("audit")["violations"] == []


def test_a_message_of_a_later_version_is_left_to_it(stack, workspace, client, effects, hook):
    message = str(uuid.uuid4())
    stack.sql(f"UPDATE webhooks SET events = events | (1 << 31) WHERE id = '{hook['id']}'")  # as the API of that version does
    stack.sql(f"INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, fanned, body) VALUES ('{message}', '{workspace.id}', 31, 1, 0, '{{\"a\":1}}')")
    row = f"SELECT fanned FROM webhook_outbox WHERE id = '{message}'"
    eventually(lambda: stack.sql_one(row) == "2", what="the message is set aside")
    stack.logged("executor", "webhook.messages_left")
    id = started(workspace, client)
    assert [d["execution_id"] for d in await_delivery(client, hook, "delivered")] == [id], "no delivery was made of it"
    stack.sql(f"UPDATE webhook_outbox SET event = {2} WHERE id = '{message}'")  # as if this executor knew it
    stack.restart_server("executor")
    await_delivery(client, hook, "delivered", 2)
    assert [json.loads(call["body"])["data"] for call in effects.to("/hook")][-1] == {"a": 1}


def test_a_lane_that_cannot_be_claimed_delays_no_other(stack, workspace, client, effects, hook):
    place = stack.workspace()
    other = place.client()
    broken = made(other, f"{effects.url}/broken")
    trigger(stack, "broken_lane", "UPDATE ON webhook_lanes", f"NEW.id = '{broken['id']}' AND NEW.busy = 1")
    try:
        started(place, other)
        eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM webhook_lanes WHERE id = '{broken['id']}' AND pending = 1") == "1", 30, "its delivery")
        id = started(workspace, client)
        assert await_delivery(client, hook, "delivered")[0]["execution_id"] == id
        assert effects.to("/broken") == []
    finally:
        stack.sql("DROP TRIGGER broken_lane")
    effects.wait_for("/broken", 1, 90)


# --- operators ---------------------------------------------------------------------------------------------------------

def test_commands_and_metrics(stack, workspace, client, effects, hook):
    def webhook(verb, *args, **how):
        return stack.cli("webhook", verb, "--workspace", workspace.id, *args, **how)
    effects.answer("/hook", 410, times=1)
    id = started(workspace, client)
    eventually(lambda: not webhook("show", hook["id"])["enabled"], 40, "it is disabled")
    assert [(w["id"], w["disabled_reason"]) for w in webhook("list")] == [(hook["id"], "gone")]
    found = webhook("deliveries", hook["id"])
    assert [(d["execution_id"], d["state"], d["status"], d["tries"]) for d in found] == [(id, "failed", 410, 1)]
    metrics = dict(line.split(" ") for line in client.session.get(stack.url + "/metrics").text.splitlines() if line.startswith("millrace_webhook") and "{" not in line)
    assert int(metrics["millrace_webhook_disabled"]) >= 1 and set(metrics) == {
        f"millrace_webhook_{name}" for name in ("messages", "messages_set_aside", "pending", "failing", "disabled", "lag_seconds")}
    code, _, error = webhook("redeliver", hook["id"], "--delivery", found[0]["id"], check=False)
    assert code == 1 and "disabled" in error
    assert webhook("enable", hook["id"])["enabled"]
    assert webhook("redeliver", hook["id"], "--delivery", found[0]["id"]) == {"redelivered": 1}
    await_delivery(client, hook, "delivered")
    assert webhook("redeliver", hook["id"], "--since", "2026-01-01") == {"redelivered": 0}
    stack.sql("INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, outbox_id, execution_id, lane_id, state, due_ms, created_ms) "
              "SELECT CONCAT(LEFT(id, 24), LPAD(HEX(seq), 12, '0')), workspace_id, webhook_id, outbox_id, execution_id, lane_id, 3, due_ms, "
              f"created_ms FROM webhook_deliveries, seq_1_to_501 WHERE webhook_id = '{hook['id']}'")
    assert webhook("redeliver", hook["id"], "--since", "2026-01-01") == {"redelivered": 501}  # more than one transaction
    assert webhook("disable", hook["id"])["disabled_reason"] == "by_request"
    for wrong in ((), (hook["id"], "--since", "x"), (hook["id"],)):
        assert webhook("redeliver", *wrong, check=False)[0] == 2
    assert webhook("show", str(uuid.uuid4()), check=False)[0] == 1


# --- purge, death ------------------------------------------------------------------------------------------------------

def test_purge_drops_what_is_not_delivered(stack, workspace, client, effects, hook):
    effects.answer("/hook", 503, headers={"Retry-After": "3600"}, times=1)
    id = started(workspace, client)
    found = tried(client, hook)
    assert client.delete(f"/executions/{id}").status_code == 204
    dropped = deliveries(client, hook)[0]
    assert (dropped["state"], dropped["response"]) == ("dropped", None)
    assert stack.sql_one(f"SELECT COUNT(*) FROM webhook_outbox WHERE execution_id = '{id}' AND body IS NOT NULL") == "0"
    answer = client.post(f"/webhooks/{hook['id']}/deliveries/{found['id']}/redeliver")
    assert answer.status_code == 409 and answer.json()["code"] == "execution_purged"
    assert stack.cli("audit")["violations"] == []


def test_a_deleted_endpoint_gets_nothing_and_leaves_no_rows(stack, workspace, client, effects, hook):
    effects.answer("/hook", 503)
    started(workspace, client)
    tried(client, hook)
    assert client.delete(f"/webhooks/{hook['id']}").status_code == 204
    eventually(lambda: stack.sql_one(f"SELECT (SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = '{hook['id']}') + "
                                     f"(SELECT COUNT(*) FROM webhook_lanes WHERE id = '{hook['id']}')") == "0", 60, "its rows are gone")


def test_killed_while_a_request_is_in_flight(stack, workspace, client, effects, hook):
    release = effects.hold("/hook")
    started(workspace, client)
    effects.wait_for("/hook")
    lane = f"webhook_lanes SET not_before_ms = UNIX_TIMESTAMP() * 1000 + 30000 WHERE id = '{hook['id']}' AND busy = 1 AND executor_id = "
    dead = stack.sql_one(f"SELECT executor_id FROM webhook_lanes WHERE id = '{hook['id']}'")
    stack.kill_server("executor", with_children=True)
    stack.sql(f"UPDATE executors SET lost_ms = 1 WHERE id = {dead}")  # instead of waiting until its lease has ended
    stack.start_server("executor")
    release()

    def sent_again():
        stack.sql(f"UPDATE {lane} {dead}")  # the claim never ends by itself
        return len(effects.to("/hook")) >= 2
    eventually(sent_again, 60, "the claim of the lost executor is ended")
    assert len({parts(c) for c in effects.to("/hook")}) == 1
    await_delivery(client, hook, "delivered")


def test_killed_between_end_and_delivery(stack, workspace, client, effects, hook):
    flow = workspace.put_workflow(PROGRAM)
    runs = set()
    for _ in range(3):
        runs |= {r["execution_id"] for r in client.post(f"/workflows/{flow}/run-batch", json={"items": [{}] * 5}).json()["results"]}
        eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state = 3") != "0", 30, "an end")
        stack.kill_server("executor", with_children=True)
        stack.start_server("executor")
        stack.sql("UPDATE webhook_lanes SET not_before_ms = 0")
    for id in runs:
        assert client.finished(id, 60)["status"] == "success"
    found = await_delivery(client, hook, "delivered", 15)
    assert {d["execution_id"] for d in found} == runs
    by_run = {}
    for call in effects.to("/hook"):
        by_run.setdefault(json.loads(call["body"])["data"]["execution_id"], set()).add(parts(call))
    assert set(by_run) == runs and all(len(messages) == 1 for messages in by_run.values())
    assert stack.cli("audit")["violations"] == []
