"""Failures that a workflow handles: the steps of on_failure, and on_item_error of a for_each."""
import json
import signal

import pytest

from stack import kill

SETTINGS = {"executor.processes": "2", "api.rate_limit_per_minute": "1000000"}
FAILURE = {"step": "boom", "reason": "step_failed", "error": "no luck"}


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url, method="GET", **fields):
    return step(name, "http", request={"method": method, "url": url}, **fields)


def report(url):
    return step("report", "http", request={"method": "POST", "url": url, "body": "${/execution/failure}"})


def kill_executors(stack, effects, path, release):
    """While a request to `path` hangs. Returns when it was sent again."""
    effects.wait_for(path)
    for pid in stack.children("executor"):
        kill(pid, signal.SIGKILL)
    effects.wait_for(path, 2, seconds=60)
    release()


def ended(workspace, client, program, inputs=None):
    return client.finished(client.started(workspace.put_workflow(program), inputs or {}), 30)


def steps_of(client, id):
    run = client.get(f"/executions/{id}?include_step_results=true").json()
    return {s["name"]: (s["status"], s["result"]) for s in run["steps"]}


def test_the_steps_of_on_failure_see_what_failed(workspace, client, effects):
    run = ended(workspace, client, {
        "steps": [step("a", "transform", value=1), step("boom", "fail", message="no luck"), step("never", "transform", value=2)],
        "on_failure": [report(effects.url + "/told"), step("after", "transform", value={"a": "${/steps/a/result}", "told": "${/steps/report/status}"})]})
    assert (run["status"], run["failure_reason"], run["error"]) == ("failed", "step_failed", "step boom: no luck")
    assert [json.loads(c["body"]) for c in effects.to("/told")] == [FAILURE]
    steps = steps_of(client, run["id"])
    assert {n: s[0] for n, s in steps.items()} == {"a": "completed", "boom": "failed", "never": "pending", "report": "completed", "after": "completed"}
    assert steps["after"][1] == {"a": 1, "told": "completed"}


def test_a_successful_run_leaves_them_out(workspace, client):
    run = ended(workspace, client, {"steps": [step("a", "transform", value=1)], "on_failure": [step("b", "transform", value=2)]})
    assert (run["status"], run["detail"]["output"]) == ("success", 1)
    assert {n: s[0] for n, s in steps_of(client, run["id"]).items()} == {"a": "completed", "b": "pending"}


def test_a_step_of_on_failure_that_fails_does_not_hide_the_failure(workspace, client):
    run = ended(workspace, client, {
        "steps": [step("boom", "fail", message="first")],
        "on_failure": [step("b", "fail", message="second", on_error="continue"), step("c", "fail", message="third"), step("d", "transform", value=1)]})
    assert run["error"] == "step boom: first"
    assert {n: s[0] for n, s in steps_of(client, run["id"]).items()} == {"boom": "failed", "b": "failed", "c": "failed", "d": "pending"}


def test_outputs_that_cannot_be_rendered_are_a_failure(workspace, client):
    run = ended(workspace, client, {
        "steps": [step("a", "transform", value={})], "outputs": "${/steps/a/result/nothing}",
        "on_failure": [step("b", "transform", value="${/execution/failure}")]})
    assert run["failure_reason"] == "outputs_invalid" and run["error"].startswith("outputs: ")
    assert steps_of(client, run["id"])["b"] == ("completed", {"step": None, "reason": "outputs_invalid", "error": run["error"]})


def test_a_run_that_is_killed_while_it_handles_a_failure_keeps_the_failure(stack, workspace, client, effects):
    """The reason comes back from the row of the step that failed."""
    release = effects.hold("/hold")
    search = {"in": ["x", "${/inputs/l}"]}
    program = {"steps": [step("boom", "transform", value=1, **{"if": {"or": [search] * 300}})],
               "on_failure": [http("held", effects.url + "/hold"), step("after", "transform", value="${/execution/failure}")]}
    id = client.started(workspace.put_workflow(program), {"l": list(range(60000))})
    kill_executors(stack, effects, "/hold", release)
    assert client.finished(id, 60)["failure_reason"] == "limit_exceeded"
    after = steps_of(client, id)["after"][1]
    assert (after["step"], after["reason"]) == ("boom", "limit_exceeded")


def test_a_step_that_succeeded_after_a_loss_stays_completed_when_the_outputs_fail(stack, workspace, client, effects):
    release = effects.hold("/hold")
    id = client.started(workspace.put_workflow({"steps": [http("held", effects.url + "/hold")], "outputs": "${/steps/held/result/nothing}"}))
    kill_executors(stack, effects, "/hold", release)
    assert client.finished(id, 60)["failure_reason"] == "outputs_invalid"
    assert steps_of(client, id)["held"][0] == "completed"


def test_failed_items_are_values(workspace, client, effects):
    for status in (404, 500):
        effects.answer(f"/status/{status}", status)
    run = ended(workspace, client, {
        "steps": [step("a", "http", request={"method": "GET", "url": effects.url + "/status/${/item}"}, for_each=[200, 404, 500], on_item_error="continue", concurrency=3),
                  step("b", "transform", value="${/item/name}", for_each=[{"name": "x"}, {}], on_item_error="continue"),
                  step("c", "transform", value="${/item}", for_each=[1, 2], on_item_error="continue", **{"if": {"==": ["${/item}", 1]}})],
        "outputs": {"a": "${/steps/a/result}", "b": "${/steps/b/result}", "c": "${/steps/c/result}"}})
    assert run["status"] == "success", run
    a, b, c = (run["detail"]["output"][n] for n in "abc")
    assert a[0]["result"]["status"] == 200 and "error" not in a[0]
    assert [(x["result"]["status"], "404" in x["error"] or "500" in x["error"]) for x in a[1:]] == [(404, True), (500, True)]
    assert b[0] == {"result": "x"} and set(b[1]) == {"error"}
    assert c == [{"result": 1}, {"result": None}]


def test_items_that_failed_before_a_loss_are_not_tried_again(stack, workspace, client, effects):
    release = effects.hold("/hold")
    effects.answer("/missing", 404)
    program = {"steps": [step("a", "http", request={"method": "GET", "url": effects.url + "/${/item}"}, for_each=["missing", "hold"], on_item_error="continue")],
               "outputs": "${/steps/a/result}"}
    id = client.started(workspace.put_workflow(program))
    kill_executors(stack, effects, "/hold", release)
    run = client.finished(id, 60)
    assert [sorted(x) for x in run["detail"]["output"]] == [["error", "result"], ["result"]]
    assert effects.count("/missing") == 1


@pytest.mark.parametrize("program, pointer", [
    ({"steps": [step("a", "delay", seconds=0)], "on_failure": []}, "/program/on_failure"),
    ({"steps": [step("a", "delay", seconds=0)], "on_failure": {}}, "/program/on_failure"),
    ({"steps": [step(f"a{n}", "delay", seconds=0) for n in range(150)], "on_failure": [step(f"b{n}", "delay", seconds=0) for n in range(51)]}, "/program/on_failure"),
    ({"steps": [step("a", "delay", seconds=0)], "on_failure": [step("a", "delay", seconds=0)]}, "/program/on_failure/0/name"),
    ({"steps": [step("a", "transform", value="${/steps/b/result}")], "on_failure": [step("b", "delay", seconds=0)]}, "/program/steps/0/value"),
    ({"steps": [step("a", "transform", value="${/execution/failure}")], "on_failure": [step("b", "delay", seconds=0)]}, "/program/steps/0/value"),
    ({"steps": [step("a", "delay", seconds=0)], "outputs": "${/steps/b/result}", "on_failure": [step("b", "delay", seconds=0)]}, "/program/outputs"),
    ({"steps": [step("a", "delay", seconds=0)], "on_failure": [step("b", "transform", value="${/execution/failure/code}")]}, "/program/on_failure/0/value"),
    ({"steps": [step("a", "delay", seconds=0, on_item_error="continue")]}, "/program/steps/0/on_item_error"),
    ({"steps": [step("a", "delay", seconds=0, for_each=[1], on_item_error="skip")]}, "/program/steps/0/on_item_error"),
], ids=str)
def test_programs_that_are_refused(client, program, pointer):
    answer = client.post("/workflows", json={"name": "w", "program": program})
    assert answer.status_code == 422 and pointer in [e["pointer"] for e in answer.json()["errors"]], answer.text


def test_a_child_of_on_failure_is_part_of_the_call_graph(workspace, client):
    id = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    answer = client.put(f"/workflows/{id}", json={"name": "w", "program": {
        "steps": [step("a", "transform", value=1)], "on_failure": [step("b", "workflow", workflow_id=id)]}})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/program/on_failure/0/workflow_id", answer.text
