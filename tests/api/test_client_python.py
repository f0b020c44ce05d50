"""clients/python against a real stack: its types are those of the document, the wheel can be built, and it gets through what happens to
callers: a 503, a 409 of a request in progress, a cut stream, a large integer, an expired key."""
import base64
import hashlib
import hmac
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
import typing
import zipfile

import peers
import pytest
from cutting_relay import CuttingRelay
from skills import EXAMPLES, install
from stack import ROOT, eventually, kill

sys.path.insert(0, str(ROOT / "clients/python"))
import millrace_client  # noqa: E402
from millrace_client import ApiError, Client, ConnectionFailed, RunTimeout, WebhookInvalid, by_code, types, verify_webhook  # noqa: E402

ECHO = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
LARGE = 2 ** 53 + 1


@pytest.fixture
def api(stack, workspace):
    return Client(stack.url, workspace.key()["key"])


def test_types_are_those_of_the_document():
    done = subprocess.run([ROOT / "scripts/clients", "--check", "python"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_types_can_be_evaluated():
    schemas = json.loads((ROOT / "docs/openapi.json").read_text())["components"]["schemas"]
    assert schemas.keys() <= vars(types).keys()
    made = [t for t in vars(types).values() if typing.is_typeddict(t)]
    assert len(made) > 30
    for each in made:
        typing.get_type_hints(each)
    hints = typing.get_type_hints(types.Execution, include_extras=True)
    optional = {name for name, hint in hints.items() if typing.get_origin(hint) is typing.NotRequired}
    assert hints.keys() - optional >= {"id", "state", "detail"} and {"steps", "artifacts"} <= optional
    assert set(by_code) == set(schemas["Problem"]["properties"]["code"]["enum"])


def test_wheel(tmp_path, stack, workspace):
    """The wheel holds the package; the example runs with it and nothing else."""
    subprocess.run(["cp", "-r", ROOT / "clients/python", tmp_path / "source"], check=True)
    build = "import setuptools.build_meta as b; print(b.build_wheel('.'))"
    done = subprocess.run(["/usr/bin/python3", "-c", build], cwd=tmp_path / "source", capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    wheel = tmp_path / "source" / done.stdout.split()[-1]
    assert {"millrace_client/client.py", "millrace_client/types.py", "millrace_client/py.typed"} <= set(zipfile.ZipFile(wheel).namelist())
    flow = workspace.put_workflow({"inputs": {"type": "object"}, **ECHO})
    env = {"PYTHONPATH": str(wheel), "MILLRACE_URL": stack.url, "MILLRACE_API_KEY": workspace.key()["key"], "MILLRACE_WORKFLOW_ID": flow,
           "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(["/usr/bin/python3", "-P", ROOT / "clients/python/examples/run.py"], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "1 execution.queued" in done.stdout and done.stdout.splitlines()[-1] == "succeeded {'reader': 'Ada'}"


def test_a_run_from_start_to_end(api, workspace):
    flow = api.create_workflow("echo", ECHO)["id"]
    assert api.workflow(flow)["program"] == ECHO and api.update_workflow(flow, "echo 2", ECHO)["version"] == 2
    run = api.run_and_wait(flow, {"n": 1}, tags=["x"], metadata={"m": 2})
    assert run["state"] == "succeeded" and run["detail"]["output"] == {"n": 1} and run["tags"] == ["x"]
    assert api.execution(run["id"], steps=True)["steps"][0]["status"] == "completed"
    again = api.wait(api.retry(run["id"])["execution_id"])
    assert again["retry_of"] == run["id"] and again["state"] == "succeeded"
    assert api.balance() == workspace.balance() and api.usage(group_by="day")["total"]["runs"] == 2
    api.purge(run["id"])
    assert api.execution(run["id"])["isPurged"]
    api.archive_workflow(flow)
    with pytest.raises(by_code["not_found"]):
        api.run(flow)


def test_large_integer(api, workspace):
    inputs = {"n": LARGE, "negative": -LARGE, "half": 0.5, "deep": [{"n": 2 ** 63 - 1}]}
    output = api.run_and_wait(workspace.put_workflow(ECHO), inputs)["detail"]["output"]
    assert output == inputs and type(output["n"]) is int


def test_pages(api, workspace):
    flow = workspace.put_workflow(ECHO)
    started = [api.run(flow, {"n": n})["execution_id"] for n in range(7)]
    assert [e["id"] for e in api.executions(limit=3, workflow_id=flow)] == started[::-1]
    assert [e["kind"] for e in api.ledger(limit=2)].count("debit") == 7
    flows = {workspace.put_workflow(ECHO) for _ in range(4)} | {flow}
    assert {w["id"] for w in api.workflows(limit=2)} == flows


def test_errors_by_code(api, stack, workspace):
    with pytest.raises(by_code["not_found"]) as raised:
        api.execution("01890000-0000-7000-8000-000000000000")
    assert raised.value.status == 404 and raised.value.request_id and isinstance(raised.value, ApiError)
    with pytest.raises(by_code["invalid_program"]) as raised:
        api.create_workflow("w", {"steps": 1})
    assert raised.value.errors[0]["pointer"]
    flow = workspace.put_workflow(ECHO)
    api.run(flow, {"n": 1}, idempotency_key="same")
    assert api.run(flow, {"n": 1}, idempotency_key="same")
    with pytest.raises(by_code["idempotency_key_reused"]):
        api.run(flow, {"n": 2}, idempotency_key="same")
    with pytest.raises(by_code["insufficient_scope"]):
        Client(stack.url, workspace.key("credits:read")["key"]).run(flow)
    with pytest.raises(by_code["insufficient_credits"]):
        poor = stack.workspace(credits=0)
        Client(stack.url, poor.key()["key"]).run(poor.put_workflow(ECHO))


def test_expired_key(stack, workspace):
    key = workspace.key()
    delays = []
    api = Client(stack.url, key["key"], on_retry=delays.append)
    flow = workspace.put_workflow(ECHO)
    run = api.run_and_wait(flow)
    stack.sql(f"UPDATE api_keys SET expires_ms = {int(time.time() * 1000) - 1} WHERE id = '{key['id']}'")

    def refused():
        try:
            api.balance()
        except by_code["unauthenticated"]:
            return True
    eventually(refused, 20, "the end of the key")
    for call in (lambda: api.run_and_wait(flow), lambda: list(api.events(run["id"])), lambda: list(api.executions()), lambda: api.upload("a", b"b")):
        with pytest.raises(by_code["unauthenticated"]) as raised:
            call()
        assert raised.value.status == 401
    assert delays == [], "a 401 is not repeated"


def in_background(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    return thread, results


def test_through_a_503(stack, workspace):
    errors, seen = [], threading.Event()

    def on_retry(error):
        errors.append(error)
        seen.set()
    api = Client(stack.url, workspace.key()["key"], on_retry=on_retry, retry_seconds=120)
    flow, before = workspace.put_workflow(ECHO), workspace.balance()
    stack.stop_server("api")
    try:
        thread, results = in_background(lambda: api.run_and_wait(flow, {"n": 1}))
        assert seen.wait(30)
    finally:
        stack.start_server("api")
    thread.join(120)
    assert results and results[0]["detail"]["output"] == {"n": 1}
    assert errors[0].code == "unavailable" and errors[0].retry_after == 1
    assert before - workspace.balance() == 1
    stack.stop_server("api")
    try:
        with pytest.raises(by_code["unavailable"]):
            Client(stack.url, "any", retry_seconds=0).balance()
        with pytest.raises(by_code["unavailable"]):  # no key, so it is not repeated
            api.request("POST", "/workflows", body={})
    finally:
        stack.start_server("api")
        stack.wait_ready()


def test_rate_limit_is_waited_for(stack):
    workspace = stack.workspace(rate_limit_per_minute=1)
    limits = []
    api = Client(stack.url, workspace.key()["key"], on_retry=limits.append, retry_seconds=0)
    with pytest.raises(by_code["rate_limited"]) as raised:
        for _ in range(3):
            api.balance()
    assert 0 < raised.value.retry_after <= 60
    assert limits == [], "Retry-After is later than the deadline"


def test_409_in_flight(stack, workspace):
    """The first request waits for the workspace's account, which the test has locked; the second, with its key, is told to come again, and
    gets the answer of the first when there is one."""
    in_flight, key = threading.Event(), workspace.key()["key"]
    flow = workspace.put_workflow(ECHO)

    def on_retry(error):
        if getattr(error, "code", "") == "idempotency_in_flight":
            in_flight.set()

    def call():
        return Client(stack.url, key, on_retry=on_retry, retry_seconds=120).run(flow, {"n": 1}, idempotency_key="k")["execution_id"]
    with peers.mariadb(stack.dir) as session:
        session(f"BEGIN; SELECT workspace_id FROM accounts WHERE workspace_id = '{workspace.id}' FOR UPDATE")
        calls = [in_background(call) for _ in range(2)]
        assert in_flight.wait(30)
        session("COMMIT")
    for thread, _ in calls:
        thread.join(120)
    first, second = (results[0] for _, results in calls)
    assert first == second and int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")) == 1


@pytest.mark.parametrize("cuts", [[10], [400, 700, 1, 900], [1500]])
def test_cut_stream(stack, workspace, cuts):
    relay = CuttingRelay(stack.port, [None, *cuts])
    try:
        api = Client(relay.url, workspace.key()["key"])
        program = {"steps": [{"name": f"s{i}", "type": "transform", "value": "x" * 50} for i in range(10)]}
        run = api.run(workspace.put_workflow(program))["execution_id"]
        events = list(api.events(run))
        assert [e["seq"] for e in events] == list(range(1, len(events) + 1)) and events[-1]["type"] == "execution.succeeded"
        assert relay.connections == 2 + len(cuts)
        assert [e["seq"] for e in api.events(run, after=3)] == list(range(4, len(events) + 1))
        assert list(api.events(run, after=len(events))) == []
    finally:
        relay.close()


def ids(feed, count):
    return sorted(e["execution_id"] for e in itertools.islice(feed, count))


def test_feed(stack, workspace):
    """Each end once: through streams that are cut, kill -9 of the daemon, an end that the server sends twice, and with `last_id` in a new feed."""
    relay, key = CuttingRelay(stack.port, []), workspace.key()["key"]
    flow, errors, api = workspace.put_workflow(ECHO), [], Client(stack.url, key)

    def started(count):
        api.run(flow)  # does not have the tag
        return sorted(api.run(flow, tags=["fed", "\u2028"])["execution_id"] for _ in range(count))
    try:
        relay.cuts[:] = [10, 1000, 500, 2200]
        with Client(relay.url, key, on_retry=errors.append).feed(tag="fed", types=["execution.succeeded"], responders=[flow]) as feed:
            assert feed.last_id and relay.connections >= 2
            runs = started(6)
            assert ids(feed, 6) == runs
            kill(stack.pid("stream"), signal.SIGKILL)
            eventually(lambda: not stack.pid("stream"), 20, "the end of the daemon")
            runs = started(3)
            stack.start_server("stream")
            assert ids(feed, 3) == runs and errors
            # what the server sends again, because a transaction became visible late, is dropped
            stack.sql(f"DELETE FROM feed_events WHERE execution_id = '{runs[0]}'")
            stack.sql(f"INSERT INTO feed_events (execution_id, workspace_id, at_ms) VALUES ('{runs[0]}', '{workspace.id}', {int(time.time() * 1000)})")
            mark = started(1)
            assert ids(feed, 1) == mark
        assert list(feed) == []
        runs = started(2)
        with api.feed(after=feed.last_id, tag="fed") as feed:
            assert ids(feed, 2) == runs
    finally:
        relay.close()


def test_feed_reports_a_gap_and_the_end_of_its_key(stack, workspace):
    key = workspace.key()
    api, flow = Client(stack.url, key["key"]), workspace.put_workflow(ECHO)
    feed = api.feed()
    begin = feed.last_id
    runs = [api.run_and_wait(flow)["id"] for _ in range(2)]
    assert ids(feed, 2) == sorted(runs)
    stack.sql(f"UPDATE feed_events SET at_ms = 1 WHERE workspace_id = '{workspace.id}' AND id < {feed.last_id}")
    stack.until_upkeep("trim_feeds", lambda: stack.sql_one(f"SELECT COUNT(*) FROM feed_events WHERE workspace_id = '{workspace.id}'") == "1", 30, "the removal")
    gap, event = itertools.islice(api.feed(after=begin), 2)
    assert gap["type"] == "feed.gap" and int(begin) < gap["resumed_after"] < int(feed.last_id) and event["execution_id"] in runs
    stack.sql(f"UPDATE api_keys SET expires_ms = {int(time.time() * 1000) - 1} WHERE id = '{key['id']}'")
    with pytest.raises(by_code["unauthenticated"]):
        next(feed)
    stack.stop_server("stream")
    try:
        with pytest.raises(ConnectionFailed):  # the answer is a stream that ends and asks to come again
            Client(stack.url, workspace.key()["key"], retry_seconds=0).feed()
    finally:
        stack.start_server("stream")


def test_lost_response_is_asked_for_again(stack, workspace):
    """The run was started, the response was cut: the repetition has the same key, and there is one run."""
    relay = CuttingRelay(stack.port, [20, 0])
    try:
        api = Client(relay.url, workspace.key()["key"])
        flow = workspace.put_workflow(ECHO)
        assert api.run_and_wait(flow, {"n": 1})["state"] == "succeeded" and relay.connections >= 3
        assert len(list(api.executions())) == 1
        relay.cuts[:] = [20]
        with pytest.raises(ConnectionFailed):
            Client(relay.url, workspace.key()["key"], retry_seconds=0).balance()
    finally:
        relay.close()


def test_timeout_of_a_wait(api, workspace):
    flow = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 600}]})
    with pytest.raises(RunTimeout) as raised:
        api.run_and_wait(flow, timeout=1)
    assert api.stop(raised.value.execution_id)["status"] == "stopped"
    assert api.wait(raised.value.execution_id)["state"] == "stopped"


def test_files_and_a_skill(api, workspace):
    install(workspace, EXAMPLES / "word-count")
    name, content = 'a "b" ü.txt', os.urandom(300000)
    assert api.upload("one.txt", b"one two two") == "one.txt"
    file = io.BytesIO(b"skipped" + content)
    file.seek(7)
    stored = api.upload(name, file)
    assert api.download(stored) == content and {f["name"] for f in api.files(limit=1)} == {"one.txt", stored}
    assert [s["slug"] for s in api.skills(workspace.id)] == ["word-count"]
    api.delete_file(stored)
    with pytest.raises(by_code["not_found"]):
        api.download(stored)


# --- webhooks ----------------------------------------------------------------------------------------------------------

SECRET = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()


def signed(body, id="msg_1", at=1700000000, secret=SECRET):
    mac = hmac.new(base64.b64decode(secret[6:]), f"{id}.{at}.".encode() + body, hashlib.sha256).digest()
    return {"Webhook-Id": id, "webhook-timestamp": str(at), "webhook-signature": "v1a,xx v1,AAAA v1," + base64.b64encode(mac).decode()}


def test_webhook_of_the_published_example():
    """The example of the scheme's specification."""
    headers = {"webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330",
               "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="}
    verify_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", headers, b'{"test": 2432232314}', now=1614265330)


def test_webhooks():
    body = b'{"type":"execution.succeeded"}'
    other = "whsec_" + base64.b64encode(b"another").decode()
    verify_webhook(SECRET, signed(body), body, now=1700000300)
    verify_webhook([other, SECRET], signed(body), body, now=1699999700)
    verify_webhook(SECRET, signed(body), body.decode(), now=1700000000)
    for secret, headers, content, now in ((SECRET, signed(body), body + b" ", 1700000000), (other, signed(body), body, 1700000000),
                                          (SECRET, signed(body), body, 1700000301), (SECRET, signed(body), body, 1699999699),
                                          (SECRET, signed(body) | {"Webhook-Id": "msg_2"}, body, 1700000000),
                                          (SECRET, signed(body) | {"webhook-timestamp": "1700000001"}, body, 1700000000),
                                          (SECRET, signed(body) | {"webhook-timestamp": "now"}, body, 1700000000),
                                          (SECRET, signed(body) | {"webhook-signature": ""}, body, 1700000000),
                                          (SECRET, {}, body, 1700000000), ([], signed(body), body, 1700000000)):
        with pytest.raises(WebhookInvalid):
            verify_webhook(secret, headers, content, now=now)
    assert millrace_client.__all__ == sorted(millrace_client.__all__)
