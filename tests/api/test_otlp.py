"""Spans that are exported: one trace from the request to the webhook, what decides that, and a collector that is gone."""
import json
import pathlib
import re
import subprocess
import tempfile
import threading

import pytest
import requests
from skills import Space, probe
from stack import ROOT, eventually
from test_state_dump import dump, total

FOLDER = tempfile.TemporaryDirectory(prefix="otlp-")
SOCKET = pathlib.Path(FOLDER.name, "otlp.sock")
SETTINGS = {"otlp.endpoint": f"unix:{SOCKET}", "otlp.sample_ratio": "0", "otlp.caller_runs_per_minute": "5"}
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SECRET = "what-a-tenant-sends"


class Receiver:
    def __init__(self):
        subprocess.run([ROOT / "scripts/node-modules"], check=True)
        self.lines, self.spans, self.errors = [], [], []
        self.start()

    def start(self):
        self.process = subprocess.Popen(["node", ROOT / "tests/api/otlp_receiver.mjs", SOCKET], stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.thread = threading.Thread(target=self.read, args=[self.process], daemon=True)
        self.thread.start()

    def read(self, process):
        for line in process.stdout:
            got = json.loads(line)
            self.lines.append(line)
            (self.errors if "error" in got else self.spans).append(got)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.thread.join()

    def of(self, trace):
        return [s for s in self.spans if s["trace"] == trace]

    def await_spans(self, trace, names):
        """The spans of the trace, when all of these names (with repetitions) have come."""
        def check():
            found = self.of(trace)
            return len(found) >= len(names) and found
        found = eventually(check, 40, f"{len(names)} spans of {trace}")
        assert sorted(s["name"] for s in found) == sorted(names) and not self.errors, (found, self.errors)
        return found


@pytest.fixture(scope="module")
def receiver(stack):
    receiver = Receiver()
    yield receiver
    receiver.stop()


def http(name, url, **more):
    return {"name": name, "type": "http", "request": {"method": "GET", "url": url}, **more}


def start(client, workflow, trace, sampled=True, **body):
    answer = client.post(f"/workflows/{workflow}/run-async", json=body,
                         headers={"traceparent": f"00-{trace}-{SPAN}-{'01' if sampled else '00'}"})
    assert answer.status_code == 202, answer.text
    return answer.json()["execution_id"]


def sent_parent(effects, path):
    return [call["headers"]["traceparent"].split("-")[2] for call in effects.to(path)]


def recorded(stack, workspace):
    rows = stack.sql(f"SELECT trace_context IS NOT NULL AND ORD(SUBSTR(trace_context, 25)) >= 128 FROM executions WHERE workspace_id = '{workspace.id}'")
    return [int(r[0]) for r in rows]


def test_who_decides_what_is_recorded(stack, workspace, client, receiver):
    """The first test of the file, because workspaces whose ids have the same hash share what a minute records."""
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    client.finished(start(client, workflow, "b" * 32, sampled=False))
    client.finished(client.started(workflow))
    assert recorded(stack, workspace) == [0, 0]
    for i in range(12):
        client.finished(start(client, workflow, f"{i:02x}" * 16 if i else "c" * 32))
    # five a minute: the runs began in one minute or in two
    assert 5 <= sum(recorded(stack, workspace)) <= 10


def test_a_run_is_one_trace(workspace, client, effects, receiver):
    effects.answer("/retried", 503, times=1)
    effects.answer("/retried")
    child = workspace.put_workflow({"steps": [http("inner", effects.url + "/inner")]})
    workflow = workspace.put_workflow({"steps": [
        {"name": "pure", "type": "transform", "value": 1},
        http("outer", effects.url + "/retried", retry={"max_attempts": 2, "backoff_seconds": 0}),
        {"name": "call", "type": "workflow", "workflow_id": child}]})
    run = start(client, workflow, TRACE, inputs={"x": SECRET}, webhook={"url": effects.url + "/hook?" + SECRET})
    assert client.finished(run)["status"] == "success"
    spans = receiver.await_spans(TRACE, ["accept", "queue", "run", "pure", "outer", "outer", "outer", "call", "call",
                                         "queue", "run", "inner", "inner", "webhook"])
    by_id = {s["id"]: s for s in spans}
    assert len(by_id) == len(spans) and SECRET not in "".join(receiver.lines)
    mine = [s for s in spans if s["millrace.execution_id"] == run]
    accept, = (s for s in spans if s["name"] == "accept")
    queue, = (s for s in mine if s["name"] == "queue")
    own, = (s for s in mine if s["name"] == "run")
    assert (accept["parent"], accept["service"], accept["kind"]) == (SPAN, "millrace-api", "SPAN_KIND_SERVER")
    assert queue["parent"] == own["parent"] == accept["id"]
    assert {s["name"] for s in mine if s["parent"] == own["id"]} == {"pure", "outer", "call", "webhook"}
    tries = sorted((s for s in mine if "millrace.try" in s and s["name"] == "outer"), key=lambda s: s["millrace.try"])
    assert [(t["http.response.status_code"], t["status"], t["message"]) for t in tries] == [
        (503, "STATUS_CODE_ERROR", "step_failed"), (200, None, None)], tries
    assert [t["id"] for t in tries] == sent_parent(effects, "/retried")
    call = next(s for s in mine if s["name"] == "call" and "millrace.try" in s)
    inner, = (s for s in spans if s["name"] == "run" and s is not own)
    assert inner["parent"] == call["id"] and by_id[call["parent"]]["parent"] == own["id"]
    webhook, = (s for s in spans if s["name"] == "webhook")
    assert [webhook["id"]] == sent_parent(effects, "/hook") and webhook["http.response.status_code"] == 200
    assert [s["id"] for s in spans if s["name"] == "inner" and "millrace.try" in s] == sent_parent(effects, "/inner")
    assert all(s["parent"] in by_id for s in spans if s is not accept)
    assert all(int(s["start"]) <= int(s["end"]) for s in spans)


def test_a_run_that_fails_says_so_in_a_word(workspace, client, receiver):
    workflow = workspace.put_workflow({"steps": [{"name": "no", "type": "fail", "message": SECRET}]})
    client.finished(start(client, workflow, "a" * 32))
    spans = {s["name"]: s for s in receiver.await_spans("a" * 32, ["accept", "queue", "run", "no"])}
    assert (spans["run"]["status"], spans["run"]["message"]) == ("STATUS_CODE_ERROR", "step_failed")
    assert spans["no"]["status"] == "STATUS_CODE_ERROR" and SECRET not in "".join(receiver.lines)


COLD = "import json, os, sys; sys.stdin.read(); print(json.dumps({'parent': os.environ['TRACEPARENT']}))"
WARM = """
import json, sys
for line in sys.stdin:
    _, token, inputs = line.split(" ", 2)
    print("error" if "fail" in json.loads(inputs) else "ok", token, json.dumps({"parent": token.split(";")[1]}), flush=True)
"""


@pytest.mark.parametrize("main", [COLD, WARM])
def test_each_job_of_a_command_is_a_span(workspace, receiver, main):
    warm = main is WARM
    probe(workspace, main, runner={"type": "command", "argv": ["python3", "./main.py"], **({"mode": "warm"} if warm else {})})
    space = Space(workspace)
    for trace in ("1" if warm else "2") * 32, ("3" if warm else "4") * 32:
        id = space.started("probe", headers={"traceparent": f"00-{trace}-{SPAN}-01"})
        parent = space.client.finished(id)["detail"]["output"]["parent"]
        spans = {s["name"]: s for s in receiver.await_spans(trace, ["accept", "queue", "run", "command"])}
        assert parent == f"00-{trace}-{spans['command']['id']}-01" and spans["command"]["parent"] == spans["run"]["id"]
        assert spans["command"]["status"] is None, spans


def test_a_job_that_fails_says_so_in_its_span(workspace, receiver):
    probe(workspace, WARM, runner={"type": "command", "mode": "warm", "argv": ["python3", "./main.py"]})
    space = Space(workspace)
    space.client.finished(space.started("probe", {"fail": SECRET}, headers={"traceparent": f"00-{'5' * 32}-{SPAN}-01"}))
    spans = {s["name"]: s for s in receiver.await_spans("5" * 32, ["accept", "queue", "run", "command"])}
    assert (spans["command"]["status"], spans["command"]["message"]) == ("STATUS_CODE_ERROR", "step_failed")
    assert SECRET not in "".join(receiver.lines)


def dropped(stack):
    text = requests.get(f"{stack.url}/metrics", timeout=30).text
    return int(re.search(r'^millrace_spans_dropped_total\{reason="collector"\} (\d+)$', text, re.M).group(1))


def dropped_by_executors(stack):
    return total(dump(stack), "state.spans", "dropped_collector")


def all_sent(stack):
    """No span waits in an executor."""
    eventually(lambda: total(dump(stack), "state.spans", "queued") == 0, 90, "the spans that wait")


def test_a_collector_that_is_gone_holds_up_nothing(stack, workspace, client, receiver):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    receiver.stop()
    assert client.finished(start(client, workflow, "d" * 32))["status"] == "success"
    receiver.start()
    receiver.await_spans("d" * 32, ["accept", "queue", "run", "a"])  # the batch was tried again
    all_sent(stack)
    receiver.stop()
    before, before_executor = dropped(stack), dropped_by_executors(stack)
    assert client.finished(start(client, workflow, "e" * 32))["status"] == "success"
    eventually(lambda: dropped(stack) > before, 90, "the API has dropped spans")
    eventually(lambda: dropped_by_executors(stack) >= before_executor + 3, 90, "the executor has dropped spans")
    all_sent(stack)
    receiver.start()
    assert client.finished(start(client, workflow, "f" * 32))["status"] == "success"
    receiver.await_spans("f" * 32, ["accept", "queue", "run", "a"])
    assert not receiver.of("e" * 32)
