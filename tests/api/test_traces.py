"""The trace of an execution: where it comes from, and what gets it."""
import re

import pytest
from skills import EXAMPLES, Space, probe
from stack import Effects

TRACE, SPAN, STATE = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"
PARENT = f"00-{TRACE}-{SPAN}-01"
SENT = {"traceparent": PARENT, "tracestate": STATE}
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def http(name, url, **request):
    return {"name": name, "type": "http", "request": {"method": "GET", "url": url, **request}}


def start(client, workflow, headers=None, **body):
    answer = client.post(f"/workflows/{workflow}/run-async", json=body, headers=headers or {})
    assert answer.status_code == 202, answer.text
    return answer.json()["execution_id"]


def own(execution):
    return execution["execution_id"].replace("-", "")


def headers_to(effects, path):
    return [call["headers"] for call in effects.to(path)]


def test_a_callers_trace_goes_on_into_requests_children_and_webhooks(stack, workspace, client, effects):
    child = workspace.put_workflow({"steps": [http("c", effects.url + "/child")]})
    program = {"steps": [http("a", effects.url + "/step"),
                         {"name": "b", "type": "workflow", "workflow_id": child}]}
    workflow = workspace.put_workflow(program)
    run = start(client, workflow, SENT, webhook={"url": effects.url + "/hook"})
    done = client.finished(run)
    assert (done["status"], done["trace_id"]) == ("success", TRACE), done
    effects.wait_for("/hook")
    for path in "/step", "/child", "/hook":
        [got] = headers_to(effects, path)
        assert (got["traceparent"], got["tracestate"]) == (PARENT, STATE), path
    [child_run] = stack.sql(f"SELECT id FROM executions WHERE parent_id = '{run}'")
    assert client.execution(child_run[0])["trace_id"] == TRACE


def test_an_execution_without_a_caller_has_a_trace_of_its_own(workspace, client, effects):
    child = workspace.put_workflow({"steps": [http("c", effects.url + "/child")]})
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/step"), http("a2", effects.url + "/step"),
                                                 {"name": "b", "type": "workflow", "workflow_id": child}]})
    done = client.finished(start(client, workflow, webhook={"url": effects.url + "/hook"}))
    assert done["trace_id"] == own(done)
    effects.wait_for("/hook")
    spans = set()
    for path in "/step", "/child", "/hook":
        for got in headers_to(effects, path):
            version, trace, span, flags = got["traceparent"].split("-")
            assert (version, trace, flags) == ("00", own(done), "00") and re.fullmatch("[0-9a-f]{16}", span)
            assert "tracestate" not in got
            spans.add(span)
    assert len(spans) == 4 and "0" * 16 not in spans


@pytest.mark.parametrize("parent", [PARENT.upper(), f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
                                    PARENT + "-x", PARENT[:-1], "x", f"01-{TRACE}-{SPAN}-01{'-' + 'x' * 600}"])
def test_a_traceparent_that_is_not_valid_is_ignored(workspace, client, parent):
    done = client.finished(start(client, workspace.put_workflow(PURE), {"traceparent": parent, "tracestate": STATE}))
    assert done["trace_id"] == own(done)


def test_a_traceparent_of_a_later_version_and_a_wrong_tracestate(workspace, client, effects):
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/step")]})
    done = client.finished(start(client, workflow, {"traceparent": f"cc-{TRACE}-{SPAN}-00-new", "tracestate": "No"}))
    [got] = headers_to(effects, "/step")
    assert done["trace_id"] == TRACE and got["traceparent"] == f"00-{TRACE}-{SPAN}-00" and "tracestate" not in got


def test_a_step_may_set_the_header_itself(workspace, client, effects):
    mine = f"00-{'1' * 32}-{'2' * 16}-00"
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/step", headers={"TraceParent": mine})]})
    client.finished(start(client, workflow, SENT))
    [got] = headers_to(effects, "/step")
    assert got["traceparent"] == mine and "tracestate" not in got


def test_a_trace_stays_at_a_redirect_only_on_its_origin(workspace, client, effects):
    other = Effects()
    effects.answer("/near", 302, headers={"Location": "/here"})
    effects.answer("/far", 302, headers={"Location": other.url + "/there"})
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/near"), http("b", effects.url + "/far")]})
    client.finished(start(client, workflow, SENT))
    other.close()
    assert headers_to(effects, "/here")[0]["traceparent"] == PARENT
    assert "traceparent" not in headers_to(other, "/there")[0]


def test_every_request_that_starts_executions_takes_a_trace(workspace, client):
    workflow = workspace.put_workflow(PURE)
    answer = client.post(f"/workflows/{workflow}/run-batch", json={"items": [{}, {}]}, headers=SENT)
    assert answer.status_code in (200, 202), answer.text
    batch = [r["execution_id"] for r in answer.json()["results"]]
    failing = workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "no"}]})
    mine = client.finished(start(client, failing))["execution_id"]
    theirs = client.finished(start(client, failing, SENT))["execution_id"]

    def retried(run, headers=None):
        answer = client.post(f"/executions/{run}/retry", headers=headers or {})
        assert answer.status_code == 202, answer.text
        return answer.json()["execution_id"]

    def trace(run):
        return client.finished(run)["trace_id"]
    assert [trace(r) for r in batch] == [TRACE, TRACE]
    assert trace(retried(mine, SENT)) == TRACE
    assert trace(retried(theirs)) == TRACE
    again = retried(mine)
    assert trace(again) == again.replace("-", "")
    newer = f"00-{'a' * 32}-{SPAN}-01"
    assert trace(retried(theirs, {"traceparent": newer})) == "a" * 32


def test_a_skill_gets_the_trace_in_its_environment(workspace):
    probe(workspace, "import json, os, sys\n"
          "json.dump({k: os.environ.get(k) for k in ('TRACEPARENT', 'TRACESTATE')}, sys.stdout)")
    space = Space(workspace)
    id = space.started("probe", headers=SENT)
    done = space.client.finished(id)
    assert done["detail"]["output"] == {"TRACEPARENT": PARENT, "TRACESTATE": STATE} and done["trace_id"] == TRACE
    done = space.client.finished(space.started("probe"))
    parent = done["detail"]["output"]["TRACEPARENT"]
    assert parent.split("-")[1] == done["trace_id"] == own(done) and done["detail"]["output"]["TRACESTATE"] is None


WARM = {"type": "command", "mode": "warm", "argv": ["python3", "./main.py"]}
HELPER = (EXAMPLES / "fibonacci/warm.py").read_text()


def test_each_job_of_a_warm_skill_gets_its_trace(workspace):
    probe(workspace, HELPER + "\nserve(lambda inputs: {'pid': os.getpid(), **{k: os.environ.get(k) for k in ('TRACEPARENT', 'TRACESTATE')}})",
          runner=WARM)
    space = Space(workspace)

    def ran(**more):
        done = space.client.finished(space.started("probe", **more))
        return done, done["detail"]["output"]
    difficult = {"traceparent": PARENT, "tracestate": "a=x y;%20z, b=1"}
    done, first = ran(headers=SENT)
    assert (first["TRACEPARENT"], first["TRACESTATE"]) == (PARENT, STATE) and done["trace_id"] == TRACE
    done, second = ran()
    assert second["TRACEPARENT"].split("-")[1] == done["trace_id"] == own(done) and second["TRACESTATE"] is None
    third = ran(headers=difficult)[1]
    assert (third["TRACEPARENT"], third["TRACESTATE"]) == (PARENT, difficult["tracestate"])
    assert first["pid"] == second["pid"] == third["pid"]


def test_a_trace_survives_the_executor(stack, workspace, client, effects):
    release = effects.hold("/held")
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/held"), http("b", effects.url + "/after")]})
    run = start(client, workflow, SENT)
    effects.wait_for("/held")
    stack.kill_server("executor", with_children=True)
    release()
    stack.start_server("executor")
    assert client.finished(run, seconds=60)["status"] == "success"
    assert {h["traceparent"] for h in headers_to(effects, "/held") + headers_to(effects, "/after")} == {PARENT}
