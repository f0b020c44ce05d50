"""GET /operator/executor-log: what the executors log, followed by operators, with filters, through interruptions, and bounded."""
import contextlib
import json
import re
import socket
import threading

import pytest
import requests
from openapi import DOCUMENT
from stack import eventually
from test_operators import operator
from test_sessions import problem

QUICK = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
FAIL = {"steps": [{"name": "no", "type": "fail", "message": "the tide is out"}]}


class Follower:
    """One stream, read by a thread."""

    def __init__(self, browser, last=None, **params):
        headers = {**browser.headers, "Last-Event-ID": last} if last else browser.headers
        self.session = requests.Session()
        self.session.trust_env = False
        self.answer = self.session.get(browser.stack.url + "/api/v1/operator/executor-log", headers=headers, params=params, stream=True, timeout=40)
        assert self.answer.status_code == 200, self.answer.text
        assert self.answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        self.lines, self.gaps, self.last, self.ended = [], 0, last, threading.Event()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        block = {}
        try:
            for line in self.answer.iter_lines(chunk_size=None):
                if line and not line.startswith(b":"):
                    name, _, value = line.decode().partition(": ")
                    block[name] = value
                elif block:
                    self.take(block)
                    block = {}
        except (requests.RequestException, AttributeError, ValueError):
            pass
        self.ended.set()

    def take(self, block):
        if "data" in block:
            event = json.loads(block["data"])
            DOCUMENT.validate({"$ref": "#/components/schemas/ExecutorLogLine" if block["event"] == "executor.line" else "#/components/schemas/LogGap"}, event, "event of the log")
            if block["event"] == "log.gap":
                self.gaps += 1
            else:
                self.lines.append(event)
        self.last = block.get("id", self.last)

    def of(self, execution):
        return [e["event"] for e in self.lines if e.get("execution") == execution]

    def close(self):
        """The reader ends at once; to close the answer would wait for its next bytes."""
        if self.ended.is_set():
            return
        with contextlib.suppress(OSError):
            self.answer.raw._connection.sock.shutdown(socket.SHUT_RDWR)
        assert self.ended.wait(10)


@pytest.fixture
def viewer(stack):
    return operator(stack, "viewer")[1]


@pytest.fixture
def follow(viewer):
    made = []

    def start(**params):
        made.append(Follower(viewer, **params))
        return made[-1]
    yield start
    for f in made:
        f.close()


def test_lines_come_live_with_host_and_members(stack, workspace, client, follow):
    f = follow()
    run = client.started(workspace.put_workflow(QUICK))
    eventually(lambda: f.of(run)[-1:] == ["run.succeeded"], 20)
    assert f.of(run) == ["run.claimed", "run.succeeded"]
    line = next(e for e in f.lines if e.get("execution") == run)
    assert line["workspace"] == workspace.id and line["level"] == "info" and re.fullmatch(r"executor\[\d+\]", line["process"]) and line["host"]
    assert sum(run in text for text in stack.log("executor").splitlines()) == len(f.of(run))


def test_filters(stack, workspace, client, follow):
    flow, failing = workspace.put_workflow(QUICK), workspace.put_workflow(FAIL)
    run, failed = client.started(flow), client.started(failing)
    other = stack.workspace()
    foreign = other.client().started(other.put_workflow(FAIL))
    everything = follow(q="run.")
    eventually(lambda: all(everything.of(r)[-1:] and everything.of(r)[-1] != "run.claimed" for r in (run, failed, foreign)), 20)
    # what was logged before the request comes too, if a filter says what is wanted
    by_run, by_workspace, by_level, by_text = follow(execution_id=run), follow(workspace_id=workspace.id), follow(level="warn", workspace_id=workspace.id), follow(q="TIDE is out", workspace_id=workspace.id)
    eventually(lambda: by_run.of(run) == ["run.claimed", "run.succeeded"], 20)
    eventually(lambda: by_workspace.of(run) and by_workspace.of(failed) == everything.of(failed), 20)
    assert {e.get("execution") for e in by_run.lines} == {run}
    assert {e.get("workspace") for e in by_workspace.lines} == {workspace.id}
    warned = [e for e in everything.lines if e["level"] in ("warn", "error") and e.get("workspace") == workspace.id]
    eventually(lambda: len(by_level.lines) == len(warned), 20)
    found = [e for e in everything.lines if e.get("workspace") == workspace.id and "tide is out" in json.dumps(e)]
    eventually(lambda: by_text.lines == found, 20)


def test_resumes_after_a_cut(workspace, client, follow):
    flow = workspace.put_workflow(QUICK)
    first = follow()
    before = client.started(flow)
    eventually(lambda: first.of(before)[-1:] == ["run.succeeded"] and first.last, 20)
    last = first.last
    first.close()
    missed = [client.started(flow) for _ in range(5)]
    for run in missed:
        client.finished(run)
    second = follow(last=last)
    eventually(lambda: all(second.of(run) == ["run.claimed", "run.succeeded"] for run in missed), 20)
    assert second.of(before) == [] and second.gaps == 0


def test_gap_is_told(stack, follow):
    f = follow(last="1-1")
    eventually(lambda: f.gaps == 1, 20)
    eventually(lambda: f.lines, 20)  # and goes on with what is kept


def test_who_may_follow(stack, client):
    _, billing = operator(stack, "billing")
    assert "executions:read" in problem(billing.get("/operator/executor-log"), 403, "insufficient_scope")["detail"]
    answer = client.get("/operator/executor-log")
    problem(answer, 403, "insufficient_scope")


@pytest.mark.parametrize("query", ["level=loud", "level=", "workspace_id=x", "execution_id=" + "0" * 36, "q=", "q=" + "a" * 201, "last_event_id=7", "last_event_id=new", "tail=5", "level=warn&level=info"])
def test_wrong_parameters(viewer, query):
    problem(viewer.get("/operator/executor-log?" + query), 400, "invalid_request")


def test_revoked_operator_is_cut_off(stack):
    made, browser = operator(stack, "viewer")
    f = Follower(browser)
    stack.cli("operator", "revoke", made["id"])
    assert f.ended.wait(40)


def test_number_of_streams_is_bounded(stack):
    _, browser = operator(stack, "viewer")
    open_ones = [Follower(browser) for _ in range(20)]
    problem(browser.get("/operator/executor-log"), 403, "quota_exceeded")
    open_ones.pop().close()
    eventually(lambda: browser.request("HEAD", "/operator/executor-log").status_code == 200, 5)

    def again():
        try:
            open_ones.append(Follower(browser))
        except AssertionError:
            return False
        return True
    eventually(again, 20)
    for f in open_ones:
        f.close()
