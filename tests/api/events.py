"""Subscribers to an execution's event stream. They parse the raw bytes, so that the framing is checked, too."""
import json
import subprocess
import threading
import time

import requests
from stack import PATIENCE_S

ENDS = ("execution.succeeded", "execution.failed", "execution.stopped")


class Stream:
    """One request, read by a thread. `events` holds the parsed events; `whole` is True if the response ended as HTTP requires. What is wrong
    with an event fails the test that waits for it; no wait goes on after the end of the response."""

    def __init__(self, url, key=None, last=None, stop_after=None, params=None):
        headers = {"Accept": "text/event-stream"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        if last is not None:
            headers["Last-Event-ID"] = str(last)
        session = requests.Session()
        session.trust_env = False
        self.answer = session.get(url, headers=headers, params=params, stream=True, timeout=40)
        self.events, self.comments, self.retries = [], [], []
        self.whole = self.fault = None  # fault: what ended the reading, if not the end of the response
        self.stop_after, self.wrong, self.closed = stop_after, False, False
        self.news = threading.Condition()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        block = {}
        try:
            for line in self.answer.iter_lines(chunk_size=None):
                if line:
                    self._line(line.decode(), block)
                elif block:
                    self._event(block)
                    block = {}
                if self.stop_after and len(self.events) >= self.stop_after:
                    break
            whole = True
        except requests.RequestException as fault:
            self.fault, whole = fault, False
        except Exception as fault:  # an event that is not as it should be, or what the reader meets when it is closed
            self.fault, self.wrong, whole = fault, not self.closed, False
        self.answer.close()
        with self.news:
            self.whole = whole
            self.news.notify_all()

    def _line(self, line, block):
        if line.startswith(":"):
            self.comments.append(line)
            return
        name, _, value = line.partition(": ")
        if name == "retry":
            self.retries.append(int(value))
            return
        assert name in ("id", "event", "data") and name not in block, line
        block[name] = value

    def _event(self, block):
        event = {"id": int(block["id"]), "event": block["event"], "data": json.loads(block["data"])}
        assert set(event["data"]) == {"execution_id", "seq", "type", "at", "data"}, event
        assert event["data"]["seq"] == event["id"] and event["data"]["type"] == event["event"], event
        assert isinstance(event["data"]["data"], dict) and event["data"]["at"].endswith("Z"), event
        with self.news:
            self.events.append(event)
            self.news.notify_all()

    def _wait(self, is_there, seconds, what):
        with self.news:
            self.news.wait_for(lambda: is_there() or self.whole is not None, seconds)
            state = "goes on" if self.whole is None else f"has ended, whole: {self.whole}, {self.fault!r}"
            assert is_there(), f"{what()}; the stream {state}; events: {[e['event'] for e in self.events]}"

    def wait_for(self, count, seconds=PATIENCE_S):
        self._wait(lambda: len(self.events) >= count, seconds, lambda: f"{len(self.events)} of {count} events")

    def wait_type(self, name, seconds=PATIENCE_S):
        self._wait(lambda: any(e["event"] == name for e in self.events), seconds, lambda: f"no {name}")

    def end(self, seconds=PATIENCE_S):
        self.thread.join(seconds)
        assert not self.thread.is_alive(), f"the stream did not end; events: {[e['event'] for e in self.events]}"
        assert not self.wrong, f"{self.fault!r} after {self.events[-1:]}"
        return self.events

    def close(self):
        self.closed = True
        self.answer.close()


def follow(url, key, seconds=PATIENCE_S, cut=lambda: None):
    """A client that reconnects with Last-Event-ID until the run ends. Returns all events in the order received.
    `cut` returns after how many events the next connection is dropped (None: it is not dropped)."""
    deadline, got = time.monotonic() + seconds, []
    while not (got and got[-1]["event"] in ENDS):
        assert time.monotonic() < deadline, [e["event"] for e in got]
        try:
            s = Stream(url, key, last=got[-1]["id"] if got else None, stop_after=cut())
        except requests.RequestException:
            time.sleep(0.05)
            continue
        if s.answer.status_code != 200:
            s.close()
            time.sleep(0.05)
            continue
        got += s.end(seconds)
    return got


def curl(url, key, seconds=60):
    """The same with curl. Its output is parsed after each connection has ended; a partial last event is ignored."""
    deadline, got = time.monotonic() + seconds, []
    while not (got and got[-1]["event"] in ENDS):
        assert time.monotonic() < deadline, [e["event"] for e in got]
        last = ["-H", f"Last-Event-ID: {got[-1]['id']}"] if got else []
        done = subprocess.run(["curl", "-sN", "--noproxy", "*", "--max-time", str(seconds), "-H", f"Authorization: Bearer {key}", *last, url],
                              capture_output=True, text=True, timeout=seconds + 5)
        for block in done.stdout.split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "id" in fields:
                got.append({"id": int(fields["id"]), "event": fields["event"], "data": json.loads(fields["data"])})
        if not done.stdout:
            time.sleep(0.05)
    return got


def assert_whole(events, execution=None):
    """The ids are 1…n, each once, and only the last event is terminal."""
    assert [e["id"] for e in events] == list(range(1, len(events) + 1))
    assert [e["event"] in ENDS for e in events] == [False] * (len(events) - 1) + [True]
    if execution:
        assert {e["data"]["execution_id"] for e in events} == {execution}
