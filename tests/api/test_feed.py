"""GET /events: each end of a run of the workspace once, in the order of ids, through interruptions of any kind."""
import collections
import concurrent.futures
import http.client
import json
import random
import signal
import threading
import time
import zlib

import peers
import pytest
import requests
from openapi import DOCUMENT
from stack import Client, eventually, kill

ECHO = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
FAIL = {"steps": [{"name": "no", "type": "fail", "message": "no"}]}
SLOW = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}
SETTINGS = {"quotas.streams": "2000"}


class Subscriber:
    """Follows the feed; a connection that ends is opened again with the last id."""

    def __init__(self, stack, key, params=None, last=None, restless=None):
        self.url, self.key, self.params, self.last, self.restless = stack.url + "/api/v1/events", key, params, last, restless
        self.events, self.gaps, self.connections = [], [], 0
        self.answers = collections.Counter()
        self.ended, self.ready, self.failure = threading.Event(), threading.Event(), None
        self.thread = threading.Thread(target=self.follow, daemon=True)
        self.thread.start()

    def follow(self):
        try:
            while not self.ended.is_set():
                try:
                    self.connect()
                except (requests.RequestException, AttributeError) as e:
                    self.answers[type(e).__name__] += 1
                    self.ended.wait(0.05)
        except Exception as e:  # noqa: BLE001 - reported by stop()
            self.failure = e

    def connect(self):
        headers = {"Authorization": f"Bearer {self.key}"} | ({"Last-Event-ID": str(self.last)} if self.last else {})
        with requests.Session() as session:
            session.trust_env = False
            with session.get(self.url, headers=headers, params=self.params, stream=True, timeout=40) as answer:
                self.answers[answer.status_code] += 1
                if answer.status_code != 200:
                    raise requests.RequestException(answer.status_code)
                self.connections += 1
                budget = self.restless.randrange(1, 30) if self.restless else None
                self.read(answer, budget)

    def read(self, answer, budget):
        block, got = {}, 0
        for line in answer.iter_lines(chunk_size=None):
            if self.ended.is_set() or (budget and got > budget):
                return
            if line and not line.startswith(b":"):
                name, _, value = line.decode().partition(": ")
                block[name] = value
            elif block:
                got += 1
                self.take(block)
                block = {}

    def take(self, block):
        if "id" not in block:
            return
        id = int(block["id"])
        assert self.last is None or id >= self.last, (id, self.last)
        self.last = id
        if "data" in block:
            event = json.loads(block["data"])
            DOCUMENT.validate({"$ref": "#/components/schemas/FeedEvent"}, event, "event of the feed")
            assert event["type"] == block["event"]
            (self.gaps if event["type"] == "feed.gap" else self.events).append(event)
        self.ready.set()

    def ids(self):
        return [e["execution_id"] for e in self.events]

    def stop(self):
        self.ended.set()
        assert self.failure is None, self.failure


@pytest.fixture
def follow(stack):
    made = []

    def begin(key, **options):
        made.append(Subscriber(stack, key, **options))
        return made[-1]
    yield begin
    for each in made:
        each.stop()


def started(subscriber):
    assert subscriber.ready.wait(30), (subscriber.failure, subscriber.answers)
    return subscriber


def test_filters(workspace, follow):
    client = workspace.client()
    echo, fail, slow = (workspace.put_workflow(p) for p in (ECHO, FAIL, SLOW))
    every = started(follow(client.key))
    failed = started(follow(client.key, params={"type": ["execution.failed", "execution.stopped"]}))
    tagged = started(follow(client.key, params={"tag": "ä b", "responder": [echo, slow]}))
    other = started(follow(client.key, params={"responder": fail}))
    runs = [client.started(echo), client.started(echo, tags=["x", "ä b"]), client.started(fail, tags=["ä b"]), client.started(slow)]
    for run in runs[:3]:
        client.finished(run)
    client.post(f"/executions/{runs[3]}/stop")
    eventually(lambda: len(every.events) == 4, 30, "four ends")
    assert sorted(every.ids()) == sorted(runs)
    by_id = {e["execution_id"]: e for e in every.events}
    assert by_id[runs[1]] == {"execution_id": runs[1], "seq": by_id[runs[1]]["seq"],
                              "type": "execution.succeeded", "at": client.execution(runs[1])["endedAt"], "data": {}, "responder_id": echo,
                              "kind": "workflow", "parent_id": None, "tags": ["x", "ä b"]}
    assert by_id[runs[2]]["data"] == {"failure_reason": "step_failed"} and by_id[runs[3]]["type"] == "execution.stopped"
    eventually(lambda: len(failed.events) == 2 and tagged.events and other.events, 30, "the filtered ends")
    assert sorted(failed.ids()) == sorted(runs[2:]) and tagged.ids() == [runs[1]] and other.ids() == [runs[2]]


def test_summaries_count_each_end_once(stack, workspace, follow):
    """Also across kill -9 of the event daemon."""
    client = workspace.client()
    echo, fail = workspace.put_workflow(ECHO), workspace.put_workflow(FAIL)
    every = started(follow(client.key, params={"summary": "true"}))
    failed = started(follow(client.key, params={"summary": "true", "type": "execution.failed"}))
    began = time.monotonic()

    def ended(feed):
        return {state: sum(e["ended"][state] for e in feed.events) for state in ("succeeded", "failed", "stopped")}
    for n in range(3):
        runs = [client.started(fail if i % 4 == 0 else echo) for i in range(20)]
        for run in runs:
            client.finished(run)
        if n == 1:
            kill(stack.pid("stream"), signal.SIGKILL)
            eventually(lambda: not stack.pid("stream"), 20, "the end of the daemon")
            stack.start_server("stream")
    eventually(lambda: ended(every) == {"succeeded": 45, "failed": 15, "stopped": 0}, 60, "all ends")
    eventually(lambda: ended(failed) == {"succeeded": 0, "failed": 15, "stopped": 0}, 60, "the failed ones")
    # one a second, and one at the beginning of each connection
    assert len(every.events) <= time.monotonic() - began + every.connections + 1
    assert {e["type"] for e in every.events} == {"feed.summary"}


def test_a_client_that_accepts_gzip_gets_each_end_as_it_comes(stack, workspace):
    """Read by zlib from the raw bytes: each piece can be read when it arrives, and the file is whole when the stream ends."""
    client = workspace.client()
    flow = workspace.put_workflow(ECHO)
    connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
    for accepted, packed in (("gzip;q=0, deflate", False), ("deflate, gzip;q=0.5, br", True)):
        connection.request("GET", "/api/v1/events", headers={"Authorization": f"Bearer {client.key}", "Accept-Encoding": accepted})
        answer = connection.getresponse()
        assert answer.getheader("Content-Encoding") == ("gzip" if packed else None)
        unpack, text, last = zlib.decompressobj(zlib.MAX_WBITS | 16), b"", None
        for _ in range(3):
            run = client.finished(client.started(flow))["id"].encode()
            while run not in text:
                piece = answer.read1(1 << 16)
                assert piece
                text += unpack.decompress(piece) if packed else piece
            last = run
        stack.stop_server("stream")
        while piece := answer.read1(1 << 16):
            text += unpack.decompress(piece) if packed else piece
        assert text.count(b"event: execution.succeeded") == 3 and last in text and text.endswith(b"\n\n")
        assert unpack.eof == packed
        stack.start_server("stream")
        connection.close()


def test_children_are_included(workspace, follow):
    client = workspace.client()
    leaf = workspace.put_workflow(ECHO)
    parent = workspace.put_workflow({"steps": [{"name": "c", "type": "workflow", "workflow_id": leaf}]})
    feed = started(follow(client.key))
    run = client.started(parent)
    eventually(lambda: len(feed.events) == 2, 30, "two ends")
    assert [e["parent_id"] for e in feed.events] == [run, None]


def test_requests_that_are_refused(stack, workspace):
    client = workspace.client()
    for query in ({"type": "execution.started"}, {"type": "x"}, {"responder": "x"}, {"tag": ""}, {"tag": "t" * 257}, {"last_event_id": "x"},
                  {"last_event_id": "1" * 17}, {"nonsense": "1"}, {"summary": "1"}, {"responder": [workspace.id] * 17}):
        answer = client.get("/events", params=query)
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), query
    assert workspace.client("files:read").get("/events").status_code == 403
    assert Client(stack.url).get("/events").status_code == 401
    with client.get("/events", stream=True) as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert client.request("HEAD", "/events").status_code == 200
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "streams=0")
    eventually(lambda: workspace.client().get("/events").status_code == 403, 10, "the quota")


def test_a_stream_without_an_id_has_nothing_that_ended_before(stack, follow):
    """Ends pile up without an id while nobody reads the feed. A stream that begins now has none of them, one that resumes has all."""
    workspace = stack.workspace(credits=2000)
    client, flow = workspace.client(), workspace.put_workflow(ECHO)
    first = follow(client.key)
    assert first.ready.wait(10)
    first.stop()
    first.thread.join(40)
    runs = []
    for _ in range(15):
        answer = client.post(f"/workflows/{flow}/run-batch", json={"items": [{"inputs": {}}] * 100})
        runs += [result["execution_id"] for result in answer.json()["results"]]
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM feed_events WHERE workspace_id = '{workspace.id}' AND id IS NULL") == "1500", 60, "ends without an id")
    new, resumed, counted = follow(client.key), follow(client.key, last=first.last), follow(client.key, params={"summary": "true"})
    assert new.ready.wait(20) and counted.ready.wait(20)
    last = client.started(flow, {})
    eventually(lambda: last in new.ids() and last in resumed.ids() and counted.events, 20, "the last end")
    assert new.ids() == [last] and counted.events == [{"type": "feed.summary", "ended": {"succeeded": 1, "failed": 0, "stopped": 0}}]
    assert sorted(resumed.ids()) == sorted([*runs, last])


def test_another_workspace_sees_nothing(stack, workspace, follow):
    stranger = started(follow(stack.workspace().client().key))
    client = workspace.client()
    own = started(follow(client.key))
    client.finished(client.started(workspace.put_workflow(ECHO)))
    eventually(lambda: own.events, 30, "the own end")
    assert stranger.events == []


def test_a_revoked_key_ends_the_stream(stack, workspace, follow):
    key = workspace.key()
    feed = started(follow(key["key"]))
    stack.cli("key", "revoke", "--workspace", workspace.id, key["id"])
    eventually(lambda: "why=revoked" in stack.log("stream"), 40, "the end of the stream")
    assert feed.connections == 1


def accepted(client, flow):
    """A run that the API takes at last: while a hundred subscribers connect again, it may reject requests, and nothing was done then."""
    def run():
        answer = client.run(flow)
        assert answer.status_code in (202, 503), answer.text
        return answer.json().get("execution_id")
    return eventually(run, what="a run is accepted")


def test_a_hundred_subscribers_that_resume_at_random_miss_nothing(stack, workspace, follow):
    """Also across kill -9 of the event daemon, several times, and while the runs end."""
    client = workspace.client()
    flow = workspace.put_workflow(ECHO)
    first = started(follow(client.key))
    subscribers = [follow(client.key, restless=random.Random(n)) for n in range(100)]
    for each in subscribers:
        started(each)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        pending = [pool.submit(accepted, workspace.client(), flow) for _ in range(400)]
        for n in range(3):
            eventually(lambda want=100 * n + 50: sum(p.done() for p in pending) > want, 120, "accepted runs")
            kill(stack.pid("stream"), signal.SIGKILL)
            eventually(lambda: not stack.pid("stream"), 20, "the end of the daemon")
            stack.start_server("stream")
        runs = sorted(p.result() for p in pending)
    for each in [first, *subscribers]:
        eventually(lambda: len(each.events) >= len(runs), 300, "all ends")  # some 2,700 connections, 40 pages a second
    mark = client.started(flow)  # what would come twice comes before the mark
    for each in [first, *subscribers]:
        eventually(lambda: mark in each.ids(), 120, "the mark")
        assert sorted(each.ids()) == sorted([*runs, mark]) and not each.gaps
    assert sum(s.connections for s in subscribers) > 400
    # a client that was away reads it all from the id at which it left
    late = follow(client.key, last=int(stack.sql_one(f"SELECT removed_id FROM feeds WHERE workspace_id = '{workspace.id}'")))
    eventually(lambda: mark in late.ids(), 60, "all ends")
    assert sorted(late.ids()) == sorted([*runs, mark])


def test_a_commit_that_becomes_visible_late_is_not_skipped(stack, workspace, follow):
    """A transaction that has written its row before others, and commits after them."""
    client = workspace.client()
    flow = workspace.put_workflow(ECHO)
    feed = started(follow(client.key))
    done = client.finished(client.started(flow))["id"]
    eventually(lambda: feed.ids() == [done], 30, "the first end")
    hidden = client.finished(client.started(workspace.put_workflow(FAIL)))["id"]
    eventually(lambda: hidden in feed.ids(), 30, "the second end")
    last = feed.last
    with peers.mariadb(stack.dir, 60) as run:
        run(f"DELETE FROM feed_events WHERE execution_id = '{hidden}'")
        run("BEGIN")
        run(f"INSERT INTO feed_events (execution_id, workspace_id, at_ms) VALUES ('{hidden}', '{workspace.id}', 1)")
        others = [client.finished(client.started(flow))["id"] for _ in range(3)]
        eventually(lambda: set(others) <= set(feed.ids()), 30, "the ends that were committed")
        assert feed.ids().count(hidden) == 1 and feed.last > last
        run("COMMIT")
    eventually(lambda: feed.ids().count(hidden) == 2, 30, "the end that became visible late")
    assert feed.ids()[-1] == hidden


def test_old_events_are_removed_and_the_gap_is_reported(stack, workspace, follow):
    client = workspace.client()
    flow = workspace.put_workflow(ECHO)
    feed = started(follow(client.key))
    begin = feed.last
    for _ in range(3):
        client.finished(client.started(flow))
    eventually(lambda: len(feed.events) == 3, 30, "three ends")
    stack.sql(f"UPDATE feed_events SET at_ms = 1 WHERE workspace_id = '{workspace.id}' AND id < {feed.last}")
    stack.until_upkeep("trim_feeds", lambda: stack.sql_one(f"SELECT COUNT(*) FROM feed_events WHERE workspace_id = '{workspace.id}'") == "1", 30, "the removal")
    late = started(follow(client.key, last=begin))
    eventually(lambda: late.events, 30, "the event that is left")
    assert late.ids() == feed.ids()[-1:] and [g["resumed_after"] for g in late.gaps] == [feed.last - 1]
    assert not started(follow(client.key, last=feed.last - 1)).gaps
    # a feed that nobody wants is deleted; a new one does not take up its ids
    feed.stop(), late.stop()
    stack.sql(f"UPDATE feeds SET wanted_until_ms = 1 WHERE workspace_id = '{workspace.id}'")
    stack.until_upkeep("trim_feeds", lambda: stack.sql(f"SELECT 1 FROM feeds WHERE workspace_id = '{workspace.id}'") == [], 60, "the removal of the feed")
    client.finished(client.started(flow))
    assert stack.sql_one(f"SELECT COUNT(*) FROM feed_events WHERE workspace_id = '{workspace.id}'") == "0"
    again = started(follow(client.key, last=feed.last))
    eventually(lambda: again.gaps, 30, "the gap")
    assert again.gaps[0]["resumed_after"] > feed.last


def test_pages_that_are_cut_by_their_size_leave_nothing_out(stack, workspace, follow):
    """Events of 9 kB: a page holds about 15. More subscribers than pages are read at a time, with and without filters."""
    client = workspace.client()
    flow = workspace.put_workflow(ECHO)
    live = started(follow(client.key))
    begin = live.last
    tags = [f"{n:0256}" for n in range(31)]
    runs = [client.started(flow, tags=[*tags, "odd" if n % 2 else "even"]) for n in range(40)]
    eventually(lambda: len(live.events) == len(runs), 60, "all ends")
    everything = [follow(client.key, last=begin) for _ in range(6)]
    odd = [follow(client.key, last=begin, params={"tag": "odd"}) for _ in range(6)]
    mark = client.started(flow, tags=["odd"])
    for each in [live, *everything, *odd]:
        eventually(lambda: mark in each.ids(), 60, "the mark")
        assert each.ids() == [i for i in live.ids() if each not in odd or i == mark or i in runs[1::2]] and not each.gaps
    assert sorted(live.ids()) == sorted([*runs, mark])


def test_a_feed_that_cannot_be_trimmed_does_not_hold_up_the_later_ones(stack, follow):
    first, second = sorted((stack.workspace() for _ in range(2)), key=lambda w: w.id)
    for each in (first, second):
        client = each.client()
        feed = started(follow(client.key))
        client.finished(client.started(each.put_workflow(ECHO)))
        eventually(lambda: feed.events, 30, "the end")
        feed.stop()
        stack.sql(f"UPDATE feed_events SET at_ms = 1 WHERE workspace_id = '{each.id}'")

    def is_trimmed(workspace):
        stack.sql("UPDATE upkeep_tasks SET due_ms = 0 WHERE name = 'trim_feeds'")
        return stack.sql_one(f"SELECT COUNT(*) FROM feed_events WHERE workspace_id = '{workspace.id}'") == "0"
    with peers.mariadb(stack.dir, 60) as run:
        run("BEGIN")
        run(f"SELECT last_id FROM feeds WHERE workspace_id = '{first.id}' FOR UPDATE")
        eventually(lambda: is_trimmed(second), 60, "the removal of the second feed's rows")
        run("ROLLBACK")
    eventually(lambda: is_trimmed(first), 60, "the removal of the first feed's rows")
