"""The event stream: every subscriber gets the same numbered events, whenever it connects and whatever fails in between."""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest
import requests

from events import assert_whole, curl, follow, Stream
from stack import ROOT, eventually, kill, revoked

SETTINGS = {"api.rate_limit_per_minute": "1000000", "api.workers": "4"}
QUICK = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def held(effects):
    """A program whose second step waits until it is released."""
    return {"steps": [{"name": "a", "type": "transform", "value": 1},
                      {"name": "b", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}},
                      {"name": "c", "type": "transform", "value": 3}]}


def url(stack, execution, space=None):
    path = f"/api/v1/executions/{execution}/events"
    return stack.url + (path if not space else f"/api/v1/spaces/{space}/skills/executions/{execution}/events")


def rows(stack, execution):
    return [int(r[0]) for r in stack.sql(f"SELECT seq FROM events WHERE execution_id = '{execution}' ORDER BY seq")]


def test_subscribers_before_during_and_after_a_run_get_the_same_events(stack, workspace, client, effects):
    release = effects.hold("/hold")
    workflow = workspace.put_workflow(held(effects))
    stack.stop_server("executor")
    execution = client.started(workflow)
    before = Stream(url(stack, execution), client.key)
    before.wait_for(1)
    assert [e["event"] for e in before.events] == ["execution.queued"]
    stack.start_server("executor")
    effects.wait_for("/hold")
    during = Stream(url(stack, execution, workspace.id), client.key)
    before.wait_for(5)
    during.wait_for(5)
    later = Stream(url(stack, execution), client.key, last=3)
    later.wait_for(2)
    release()
    events = before.end()
    assert_whole(events, execution)
    assert events == during.end() == Stream(url(stack, execution), client.key).end()
    assert later.end() == events[3:]
    assert [e["id"] for e in events] == rows(stack, execution)
    for s in (before, during, later):
        assert s.whole and len(s.retries) == 1 and 1000 <= s.retries[0] < 3000


def test_response_has_event_stream_headers(stack, workspace, client):
    execution = client.started(workspace.put_workflow(QUICK))
    client.finished(execution)
    answer = client.get(f"/executions/{execution}/events")
    assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert "no-store" in answer.headers["Cache-Control"] and "ETag" not in answer.headers
    assert answer.headers["X-Request-Id"] and answer.headers["X-RateLimit-Limit"] == "1000000"
    head = client.request("HEAD", f"/executions/{execution}/events")
    assert head.status_code == 200 and head.headers["Content-Type"] == "text/event-stream; charset=utf-8"


def test_last_event_id_resumes_the_stream(stack, workspace, client):
    execution = client.started(workspace.put_workflow(QUICK))
    client.finished(execution)
    events = Stream(url(stack, execution), client.key).end()
    last = len(events)
    assert Stream(url(stack, execution), client.key, last=2).end() == events[2:]
    assert Stream(url(stack, execution), client.key, params={"last_event_id": 2}).end() == events[2:]
    # the header takes precedence over the parameter of the URL
    assert Stream(url(stack, execution), client.key, last=3, params={"last_event_id": 1}).end() == events[3:]
    # a client that has all events is told not to reconnect
    for number in (last, last + 1000):
        answer = client.get(f"/executions/{execution}/events", headers={"Last-Event-ID": str(number)})
        assert (answer.status_code, answer.text) == (204, "")
    for wrong in ("x", "-1", "1.5", "99999999999"):
        answer = client.get(f"/executions/{execution}/events", headers={"Last-Event-ID": wrong})
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_reconnecting_subscribers_get_every_event_once(stack, workspace, client):
    program = {"inputs": {"type": "object"}, "steps": [
        {"name": "a", "type": "transform", "value": "x"},
        *[{"name": f"d{i}", "type": "delay", "seconds": 0.02} for i in range(40)]]}
    dice = random.Random(7)
    execution = client.started(workspace.put_workflow(program))
    got = {}

    def one(name):
        got[name] = follow(url(stack, execution), client.key, seconds=120, cut=lambda: dice.choice((1, 2, 3, 5, 8)))
    threads = [threading.Thread(target=one, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    whole = Stream(url(stack, execution), client.key).end()
    assert_whole(whole, execution)
    assert len(whole) >= 84
    assert all(got[i] == whole for i in range(4))


def test_long_history_is_sent_completely(stack, workspace, client):
    execution = client.started(workspace.put_workflow(QUICK))
    client.finished(execution)
    # 1,000 additional events before the end, some of them large
    last = int(stack.sql_one(f"SELECT last_seq FROM executions WHERE id = '{execution}'"))
    stack.sql(f"""UPDATE events SET seq = seq + 1000 WHERE execution_id = '{execution}' AND seq = {last};
        INSERT INTO events (execution_id, seq, type, at_ms, data)
        SELECT '{execution}', {last} + seq - 1, 7, 1736937000123,
          CONCAT('{{"message":"', REPEAT('x', IF(seq % 10 = 0, 20000, 10)), '"}}') FROM seq_1_to_1000;
        UPDATE executions SET last_seq = {last} + 1000 WHERE id = '{execution}'""")
    events = Stream(url(stack, execution), client.key).end()
    assert_whole(events, execution)
    assert len(events) == last + 1000


def test_subscribers_reconnect_after_the_daemon_is_killed(stack, workspace, client, effects):
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))
    cut = Stream(url(stack, execution), client.key)
    cut.wait_for(5)
    stack.kill_server("stream")
    cut.end()
    assert not cut.whole, "a truncated response must not look complete"
    # the daemon is down: nginx answers so that an EventSource reconnects; it would give up on any other response
    away = client.get(f"/executions/{execution}/events")
    assert (away.status_code, away.headers["Content-Type"], away.text) == (200, "text/event-stream; charset=utf-8", "retry: 2000\n\n")
    got = []
    follower = threading.Thread(target=lambda: got.extend(follow(url(stack, execution), client.key)))
    follower.start()
    stack.start_server("stream")
    release()
    follower.join()
    assert_whole(got, execution)


def test_stream_continues_without_redis_and_after_it_is_emptied(stack, workspace, client, effects):
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))
    s = Stream(url(stack, execution), client.key)
    s.wait_for(5)
    stack.kill_server("redis")
    shutil.rmtree(stack.dir / "data/redis")
    (stack.dir / "data/redis").mkdir()
    try:
        release()
        events = s.end()
        assert s.whole
        assert_whole(events, execution)
        # a stream opened while Redis is down
        other = Stream(url(stack, client.started(workspace.put_workflow(QUICK))), client.key)
        assert_whole(other.end())
    finally:
        stack.start_server("redis")
    eventually(lambda: "redis.reconnected" in stack.log("stream").rsplit("redis.unreachable", 1)[-1], 5, "the daemon reconnected to Redis")
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))
    s = Stream(url(stack, execution), client.key)
    s.wait_for(5)
    eventually(lambda: stack.redis("PUBSUB", "NUMSUB", f"millrace:events:{execution}") == [f"millrace:events:{execution}", 1], what="the subscription")
    release()
    assert_whole(s.end(), execution)
    eventually(lambda: stack.redis("PUBSUB", "CHANNELS", "millrace:events:*") == [], 5, "no channel left")


def test_forged_redis_messages_are_not_delivered(stack, workspace, client, effects):
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))
    s = Stream(url(stack, execution), client.key)
    s.wait_for(5)
    channel = f"millrace:events:{execution}"
    old = json.dumps(s.events[1]["data"], separators=(",", ":"))
    far = old.replace('"seq":2', '"seq":100000').replace("execution.started", "execution.succeeded")
    assert far != old
    eventually(lambda: stack.redis("PUBSUB", "NUMSUB", channel)[1] == 1, what="the subscription")
    for lie in ("", "nonsense", old, far, "{" * 5000):
        assert stack.redis("PUBLISH", channel, lie) == 1
    release()
    events = s.end()
    assert_whole(events, execution)
    assert [e["id"] for e in events] == rows(stack, execution)


def test_requests_without_permission_are_rejected(stack, workspace, client, effects):
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))

    def refused(answer, status, code):
        assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    path = f"/executions/{execution}/events"
    for ending in ("", "/ticket"):
        method = "POST" if ending else "GET"
        refused(workspace.client("workflows:execute").request(method, path + ending), 403, "insufficient_scope")
        refused(stack.workspace().client().request(method, path + ending), 404, "not_found")
        refused(requests.request(method, stack.url + "/api/v1" + path + ending, timeout=10), 401, "unauthenticated")
    other = stack.workspace()
    refused(client.get(f"/spaces/{other.id}/skills{path}"), 404, "not_found")
    refused(other.client().get(f"/spaces/{workspace.id}/skills{path}"), 404, "not_found")
    refused(client.get("/executions/nonsense/events"), 404, "not_found")
    refused(client.get("/executions/01900000-0000-7000-8000-000000000000/events"), 404, "not_found")
    refused(client.get(path, params={"from": 1}), 400, "invalid_request")
    refused(client.get(path, params={"ticket": "x"}), 401, "unauthenticated")
    refused(client.post(path), 405, "method_not_allowed")
    # clients have no access to the internal locations
    for place in ("stream/events", "stream/wait", "waited"):
        answer = client.session.get(f"{stack.url}/internal/{place}?execution={execution}&workspace={workspace.id}", timeout=10)
        assert answer.status_code == 404
    assert f"execution={execution}" not in stack.log("stream"), "no connection must be held open"
    release()


# --- tickets ------------------------------------------------------------------------------------------------

@pytest.fixture
def run(stack, workspace, client, effects):
    """(a running execution that waits, a function that lets it end)"""
    release = effects.hold("/hold")
    yield client.started(workspace.put_workflow(held(effects))), release
    release()


def ticket(client, execution):
    answer = client.post(f"/executions/{execution}/events/ticket")
    assert answer.status_code == 201 and set(answer.json()) == {"url"}, answer.text
    return answer.json()["url"]


def status(stack, path):
    with requests.get(stack.url + path, stream=True, timeout=10) as answer:
        return answer.status_code


def test_ticket_opens_the_stream_and_is_not_logged(stack, workspace, client, run):
    execution, release = run
    path = ticket(client, execution)
    assert client.key not in path and client.key[8:] not in path
    s = Stream(stack.url + path)
    s.wait_for(5)
    again = Stream(stack.url + path, last=2)  # as EventSource reconnects
    again.wait_for(3)
    release()
    assert_whole(s.end(), execution)
    assert again.end() == s.events[2:]
    assert Stream(stack.url + path).end() == s.events
    eventually(lambda: stack.log("nginx-access").count(f"{execution}/events") >= 3, 10, "three requests in the log of nginx")
    assert path.rsplit("=", 1)[1] not in stack.log("nginx") + stack.log("api") + stack.log("stream")


def test_ticket_is_valid_for_its_execution_only(stack, workspace, client, run):
    path = ticket(client, run[0])
    other = client.started(workspace.put_workflow(QUICK))
    assert status(stack, path.replace(run[0], other)) == 401
    assert status(stack, path[:-1] + ("A" if path[-1] != "A" else "B")) == 401
    assert status(stack, f"/api/v1/executions/{other}?" + path.split("?")[1]) == 401
    assert status(stack, path) == 200


def test_unused_ticket_expires(stack, workspace, client, run):
    unused, used = ticket(client, run[0]), ticket(client, run[0])
    assert status(stack, used) == 200
    stack.sql(f"UPDATE stream_tickets SET created_ms = created_ms - 61000 WHERE execution_id = '{run[0]}'")
    assert status(stack, unused) == 401
    assert status(stack, used) == 200


def test_ticket_ends_after_its_execution(stack, workspace, client, run):
    path = ticket(client, run[0])
    assert status(stack, path) == 200
    run[1]()
    client.finished(run[0])
    stack.sql(f"UPDATE executions SET ended_ms = ended_ms - 290000 WHERE id = '{run[0]}'")
    assert status(stack, path) == 200
    stack.sql(f"UPDATE executions SET ended_ms = ended_ms - 11000 WHERE id = '{run[0]}'")
    assert status(stack, path) == 401


def test_ticket_works_without_redis(stack, workspace, client, run):
    path = ticket(client, run[0])
    stack.kill_server("redis")
    try:
        assert status(stack, path) == 200
        assert status(stack, ticket(client, run[0])) == 200
    finally:
        stack.start_server("redis")


def test_revoked_key_ends_its_streams(stack, workspace, client, run):
    execution = run[0]
    made = workspace.key("executions:read")
    path = ticket(type(client)(stack.url, made["key"]), execution)
    by_key = Stream(url(stack, execution), made["key"])
    by_ticket = Stream(stack.url + path)
    other = Stream(url(stack, execution), client.key)
    for s in (by_key, by_ticket, other):
        s.wait_for(5)
    stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
    revoked(lambda: status(stack, f"/api/v1/executions/{execution}/events?" + path.split("?")[1]) == 401)
    for s in (by_key, by_ticket):  # they end at the next ping
        assert len(s.end(20)) == 5
    other.wait_for(5)
    assert other.thread.is_alive()
    eventually(lambda: other.comments, what="a ping")
    assert set(other.comments) == {": ping"}
    run[1]()
    assert_whole(other.end(), execution)


# --- shutdown ------------------------------------------------------------------------------------------------

@pytest.mark.serial
def test_sigterm_ends_streams_with_spread_reconnects(stack, workspace, client, run):
    execution, release = run
    streams = [Stream(url(stack, execution), client.key) for _ in range(20)]
    for s in streams:
        s.wait_for(5)
    waited = []
    waiter = threading.Thread(target=lambda: waited.append(client.get(f"/executions/{execution}", params={"wait": 30})))
    waiter.start()
    eventually(lambda: len(stack.redis("CLIENT", "LIST").splitlines()) > 0)
    time.sleep(0.3)  # until the waiter is connected
    pid, began = stack.pid("stream"), time.monotonic()
    os.kill(pid, signal.SIGTERM)
    for s in streams:
        assert [e["id"] for e in s.end(5)] == [1, 2, 3, 4, 5] and s.whole
        assert len(s.retries) == 2
    waiter.join(5)
    assert waited[0].status_code == 200 and waited[0].json()["state"] == "running"
    eventually(lambda: stack.pid("stream") is None, what="the end of the daemon")
    assert time.monotonic() - began < 4
    assert len({s.retries[1] for s in streams}) > 5, "reconnect delays must be spread"
    stack.start_server("stream")
    release()
    assert_whole(follow(url(stack, execution), client.key), execution)


def test_stream_survives_a_reload_of_nginx(stack, workspace, client, run):
    execution, release = run
    s = Stream(url(stack, execution), client.key)
    s.wait_for(5)
    reloaded = reload_nginx(stack)
    release()
    events = s.end(15)
    if not (events and s.whole and events[-1]["event"] == "execution.succeeded"):
        events = events + follow(url(stack, execution), client.key)[len(events):]
    assert_whole(events, execution)
    reloaded()


def test_slow_reader_is_disconnected(stack, workspace, client, run):
    """A client that does not read: the data buffered for it is bounded, and other clients are not affected."""
    import socket
    execution, release = run
    slow = socket.create_connection(("127.0.0.1", stack.port))
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.sendall(f"GET /api/v1/executions/{execution}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n\r\n".encode())
    good = Stream(url(stack, execution), client.key)
    good.wait_for(5)
    eventually(lambda: stack.redis("PUBSUB", "NUMSUB", f"millrace:events:{execution}")[1] == 1, 5)
    text = "x" * 30000
    for seq in range(6, 300):
        # nginx waits 30 s for a slow reader; the stream daemon should disconnect it sooner
        stack.sql(f"BEGIN; INSERT INTO events VALUES ('{execution}', {seq}, 7, 1, '{{\"m\":\"{text}\"}}'); "
                  f"UPDATE executions SET last_seq = {seq} WHERE id = '{execution}'; COMMIT")
        message = json.dumps({"execution_id": execution, "seq": seq, "type": "log", "at": "2026-01-01T00:00:00.000Z",
                              "data": {"m": text}}, separators=(",", ":"))
        stack.redis("PUBLISH", f"millrace:events:{execution}", message)
        good.wait_for(seq)  # otherwise it could count as slow on a busy machine
        if "why=slow" in stack.log("stream"):
            break
    assert "why=slow" in stack.log("stream")
    release()
    assert_whole(good.end(), execution)
    slow.close()


def test_stream_ends_before_an_event_of_a_later_version(stack, workspace, client):
    """A daemon that cannot name it leaves it to one that can: the client comes back."""
    execution = client.started(workspace.put_workflow(QUICK))
    client.finished(execution)
    whole = Stream(url(stack, execution), client.key).end()
    row = f"execution_id = '{execution}' AND seq = 3"
    known = stack.sql_one(f"SELECT type FROM events WHERE {row}")
    stack.sql(f"UPDATE events SET type = 200 WHERE {row}")
    s = Stream(url(stack, execution), client.key)
    assert s.end() == whole[:2] and s.whole and len(s.retries) == 2
    stack.logged("stream", "stream.ended", execution, "why=later_version")
    assert Stream(url(stack, execution), client.key, last=3).end() == whole[3:]
    waited = client.get(f"/executions/{execution}", params={"wait": 10})
    assert waited.json()["status"] == "success"
    stack.sql(f"UPDATE events SET type = {known} WHERE {row}")
    assert Stream(url(stack, execution), client.key, last=2).end() == whole[2:]


# --- the npm package eventsource --------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def node():
    if not shutil.which("node"):
        pytest.skip("node is not installed")
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=120)
    return pathlib.Path(__file__).parent / "eventsource_client.mjs"


def test_eventsource_client_gets_every_event(stack, workspace, client, run, node):
    execution, release = run
    client_process = subprocess.Popen(["node", str(node), stack.url + ticket(client, execution)], stdout=subprocess.PIPE, text=True)
    try:
        lines = [json.loads(client_process.stdout.readline()) for _ in range(6)]
        stack.kill_server("stream")
        stack.start_server("stream")
        release()
        lines += [json.loads(line) for line in client_process.communicate(timeout=40)[0].splitlines()]
    finally:
        client_process.kill()
    assert_whole(eventsource_events(lines), execution)
    assert lines[-1] == {"error": 204, "closed": True}
    assert client_process.returncode == 0


def eventsource_events(lines):
    return [{"id": int(x["id"]), "event": x["event"], "data": x["data"]} for x in lines if "id" in x]


def empty_redis(stack):
    stack.kill_server("redis")
    shutil.rmtree(stack.dir / "data/redis")
    (stack.dir / "data/redis").mkdir()
    stack.start_server("redis")


def restart_stream(stack):
    stack.kill_server("stream")
    stack.start_server("stream")


def reload_nginx(stack):
    """Returns a function that waits for the end of the old workers. While one is there, it may still accept connections, and it ends them after
    10 s (worker_shutdown_timeout)."""
    old = set(stack.children("nginx"))
    os.kill(stack.pid("nginx"), signal.SIGHUP)
    eventually(lambda: set(stack.children("nginx")) - old, what="new workers")
    return lambda: eventually(lambda: not set(stack.children("nginx")) & old, what="the end of the old workers of nginx")


def test_every_subscriber_gets_the_same_events_through_all_failures(stack, workspace, client, effects, node):
    """Subscribers of all kinds, connected at different times, get the same events while each server between them and the run fails."""
    release = effects.hold("/end")  # all failures occur while the run is active
    program = {"steps": [{"name": f"d{i}", "type": "delay", "seconds": 0.1} for i in range(100)] + [
        {"name": "end", "type": "http", "request": {"method": "GET", "url": effects.url + "/end"}, "timeout_seconds": 300}]}
    stack.stop_server("executor")
    execution = client.started(workspace.put_workflow(program))
    address, dice, got, threads = url(stack, execution), random.Random(11), {}, []

    def listen(name, how, *args, **kwargs):
        threads.append(threading.Thread(target=lambda: got.update({name: how(*args, **kwargs)})))
        threads[-1].start()
    listen("before", follow, address, client.key, seconds=300)
    listen("before, leaving at random", follow, address, client.key, seconds=300, cut=lambda: dice.choice((1, 2, 3, 5, 8, 13)))
    listen("curl", curl, address, client.key, seconds=300)
    eventsource = subprocess.Popen(["node", str(node), stack.url + ticket(client, execution)], stdout=subprocess.PIPE, text=True)
    listen("eventsource", lambda: eventsource_events(map(json.loads, eventsource.stdout)))
    try:
        stack.start_server("executor")
        reloaded = None
        for number, fault in enumerate((restart_stream, empty_redis, reload_nginx, restart_stream, empty_redis), 1):
            eventually(lambda: len(rows(stack, execution)) >= number * 30, 30, "progress of the run")
            reloaded = fault(stack) or reloaded
            listen(f"since fault {number}", follow, address, client.key, seconds=300)
        assert stack.sql_one(f"SELECT state FROM executions WHERE id = '{execution}'") == "2", "the run must have been active during all failures"
        release()
        for t in threads:
            t.join(300)
    finally:
        eventsource.kill()
    whole = Stream(address, client.key).end()
    assert_whole(whole, execution)
    assert [e["id"] for e in whole] == rows(stack, execution)
    assert len(got) == 9 and {name for name, events in got.items() if events != whole} == set()
    reloaded()
