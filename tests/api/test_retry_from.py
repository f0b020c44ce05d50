"""A retry that adopts the finished steps of the execution that it retries."""
import signal

import pytest

from stack import kill
from test_on_failure import SETTINGS, http, kill_executors, step, steps_of  # noqa: F401


def retry(client, id, **body):
    return client.post(f"/executions/{id}/retry", json=body)


def retried(client, id, **body):
    answer = retry(client, id, **body)
    assert answer.status_code == 202 and answer.json()["retry_of"] == id, answer.text
    return client.finished(answer.json()["execution_id"], 30)


def step_events(stack, id):
    """(type, name of the step); 3 is step.started, 4 step.succeeded, 19 step.adopted."""
    rows = stack.sql(f"SELECT type, JSON_VALUE(data, '$.name') FROM events WHERE execution_id = '{id}' AND JSON_VALUE(data, '$.name') IS NOT NULL ORDER BY seq")
    return [(type, name) for type, name in rows]


def failed(workspace, client, effects, program, inputs=None):
    workflow = workspace.put_workflow(program)
    run = client.finished(client.started(workflow, inputs or {}), 30)
    assert run["status"] == "failed", run
    return workflow, run["id"]


def three(effects, **last):
    return {"steps": [http("a", effects.url + "/a", "POST"), step("skipped", "transform", value=1, **{"if": False}),
                      step("may", "fail", message="as it may", on_error="continue"),
                      http("b", effects.url + "/b", "POST", **last)],
            "outputs": {"a": "${/steps/a/result/body/path}", "may": "${/steps/may/error}", "b": "${/steps/b/result/status}"}}


def test_steps_before_the_failed_one_are_adopted(stack, workspace, client, effects):
    effects.answer("/b", 500, times=1)
    _, old = failed(workspace, client, effects, three(effects))
    run = retried(client, old, **{"from": "failed"})
    assert run["status"] == "success" and run["detail"]["output"] == {"a": "/a", "may": "as it may", "b": 200}
    assert (effects.count("/a"), effects.count("/b")) == (1, 2)
    assert (run["creditsUsed"], run["retry_of"]) == (1, old)
    shown = client.get(f"/executions/{run['id']}?include_step_results=true").json()["steps"]
    assert [(s["status"], s["adopted_from"]) for s in shown] == [("completed", old), ("skipped", old), ("failed", old), ("completed", None)]
    before = client.get(f"/executions/{old}?include_step_results=true").json()["steps"]
    for name in ("result", "error", "attempts", "started_at", "completed_at"):
        assert [s[name] for s in shown[:3]] == [s[name] for s in before[:3]]
    assert step_events(stack, run["id"]) == [("19", "a"), ("19", "skipped"), ("19", "may"), ("3", "b"), ("4", "b")]
    assert stack.cli("audit")


def test_a_retry_of_a_retry_adopts_what_was_adopted(workspace, client, effects):
    effects.answer("/b", 500, times=2)
    _, old = failed(workspace, client, effects, three(effects))
    second = retried(client, old, **{"from": "failed"})
    third = retried(client, second["id"], **{"from": "b"})
    assert (second["status"], third["status"]) == ("failed", "success")
    assert (effects.count("/a"), effects.count("/b")) == (1, 3)


def test_a_named_step_and_other_inputs(workspace, client, effects):
    _, old = failed(workspace, client, effects, {
        "inputs": {"type": "object", "properties": {"n": {"type": "integer"}}},
        "steps": [http("a", effects.url + "/a", "POST"), step("b", "transform", value="${/inputs/n}"), step("c", "fail", message="no", **{"if": {"==": ["${/inputs/n}", 1]}})],
        "outputs": "${/steps/b/result}"}, {"n": 1})
    run = retried(client, old, **{"from": "b", "inputs": {"n": 2}})
    assert (run["status"], run["detail"]["output"], run["detail"]["input"]) == ("success", 2, {"n": 2})
    assert effects.count("/a") == 1
    run = retried(client, old, inputs={"n": 3})
    assert (run["detail"]["output"], effects.count("/a")) == (3, 2)
    answer = retry(client, old, **{"from": "b", "inputs": {"n": "x"}})
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/inputs/n")


def test_the_current_version_is_matched_by_names(workspace, client, effects):
    workflow, old = failed(workspace, client, effects, {"steps": [http("a", effects.url + "/a", "POST"), step("b", "fail", message="wrong")]})
    mended = {"steps": [http("a", effects.url + "/a", "POST"), step("b", "transform", value="${/steps/a/result/status}")]}
    assert client.put(f"/workflows/{workflow}", json={"name": "w", "program": mended}).status_code == 200
    assert retried(client, old, **{"from": "failed"})["status"] == "failed", "the old version"
    run = retried(client, old, **{"from": "failed", "version": "current"})
    assert (run["status"], run["detail"]["output"], run["detail"]["version"], effects.count("/a")) == ("success", 200, 2, 1)
    renamed = {"steps": [http("new", effects.url + "/new", "POST"), mended["steps"][0], step("b", "transform", value=1)]}
    assert client.put(f"/workflows/{workflow}", json={"name": "w", "program": renamed}).status_code == 200
    answer = retry(client, old, **{"from": "b", "version": "current"})
    assert answer.status_code == 422 and "step new" in answer.json()["errors"][0]["message"], answer.text
    assert retried(client, old, **{"from": "failed", "version": "current"})["status"] == "success"
    assert (effects.count("/new"), effects.count("/a")) == (1, 2)


def test_completed_items_of_a_failed_loop_are_adopted(workspace, client, effects):
    effects.answer("/i/2", 500, times=1)
    program = {"steps": [http("a", effects.url + "/i/${/item}", for_each=[0, 1, 2, 3])], "outputs": "${/steps/a/result}"}
    _, old = failed(workspace, client, effects, program)
    run = retried(client, old, **{"from": "failed"})
    assert [x["body"]["path"] for x in run["detail"]["output"]] == [f"/i/{n}" for n in range(4)]
    assert [effects.count(f"/i/{n}") for n in range(4)] == [1, 1, 2, 1]
    effects.answer("/i/3", 500, times=1)
    _, old = failed(workspace, client, effects, program)
    assert retried(client, old, **{"from": "a"})["status"] == "success"
    assert effects.count("/i/0") == 3, "by its name the step begins again"


def test_outputs_are_rendered_again_when_every_step_has_ended(workspace, client, effects):
    workflow, old = failed(workspace, client, effects, {"steps": [http("a", effects.url + "/a", "POST")], "outputs": "${/steps/a/result/nothing}"})
    client.put(f"/workflows/{workflow}", json={"name": "w", "program": {"steps": [http("a", effects.url + "/a", "POST")], "outputs": "${/steps/a/result/status}"}})
    run = retried(client, old, **{"from": "failed", "version": "current"})
    assert (run["detail"]["output"], effects.count("/a")) == (200, 1)


def test_an_executor_that_dies_after_it_has_copied_the_steps(stack, workspace, client, effects):
    effects.answer("/b", 500, times=1)
    _, old = failed(workspace, client, effects, three(effects, timeout_seconds=60))
    release = effects.hold("/b")
    id = retry(client, old, **{"from": "failed"}).json()["execution_id"]
    effects.wait_for("/b", 2)
    for pid in stack.children("executor"):
        kill(pid, signal.SIGKILL)
    effects.wait_for("/b", 3, seconds=60)
    release()
    assert client.finished(id, 60)["detail"]["output"] == {"a": "/a", "may": "as it may", "b": 200}
    assert effects.count("/a") == 1
    assert [name for type, name in step_events(stack, id) if type == "19"] == ["a", "skipped", "may"]


def test_a_purged_execution_cannot_be_adopted(workspace, client, effects):
    _, old = failed(workspace, client, effects, {"steps": [step("a", "transform", value=1), step("b", "fail", message="no")]})
    assert client.delete(f"/executions/{old}").status_code == 204
    assert retry(client, old, **{"from": "failed"}).status_code == 400


LOST = "the run that is retried was purged, and its steps cannot be adopted any more"


def test_a_purge_before_the_retry_is_claimed_executes_nothing_again(stack, workspace, client, effects):
    effects.answer("/b", 500, times=1)
    effects.answer("/i/1", 500, times=1)
    items = {"steps": [http("i", effects.url + "/i/${/item}", "POST", for_each=[0, 1], concurrency=1)]}
    old = [failed(workspace, client, effects, program)[1] for program in (three(effects), items)]
    before = [effects.count(p) for p in ("/a", "/b", "/i/0", "/i/1")]
    stack.stop_server("executor")
    try:
        new = [retry(client, id, **{"from": "failed"}).json()["execution_id"] for id in old]
        assert [client.delete(f"/executions/{id}").status_code for id in old] == [204, 204]
    finally:
        stack.start_server("executor")
    for id in new:
        run = client.finished(id, 60)
        assert (run["status"], run["error"]) == ("failed", LOST), run
    assert [effects.count(p) for p in ("/a", "/b", "/i/0", "/i/1")] == before


def test_a_purge_after_some_steps_were_copied_executes_nothing_again(stack, workspace, client, effects):
    """The executor dies between the commits that copy the steps: the last of them is not copied."""
    effects.answer("/b", 500, times=1)
    _, old = failed(workspace, client, effects, {"steps": [step("v", "transform", value=1), http("a", effects.url + "/a", "POST"),
                                                           http("b", effects.url + "/b", "POST", timeout_seconds=60)]})
    release = effects.hold("/b")
    id = retry(client, old, **{"from": "failed"}).json()["execution_id"]
    effects.wait_for("/b", 2)
    stack.kill_server("executor", with_children=True)
    try:
        stack.sql(f"DELETE FROM execution_steps WHERE execution_id = '{id}' AND step > 0")
        assert client.delete(f"/executions/{old}").status_code == 204
    finally:
        stack.start_server("executor")
    run = client.finished(id, 90)
    release()
    assert (run["status"], run["error"]) == ("failed", LOST), run
    assert (effects.count("/a"), effects.count("/b")) == (1, 2)


def test_a_purge_leaves_what_was_adopted(workspace, client, effects):
    effects.answer("/b", 500, times=1)
    _, old = failed(workspace, client, effects, three(effects))
    run = retried(client, old, **{"from": "failed"})
    assert client.delete(f"/executions/{old}").status_code == 204
    assert steps_of(client, run["id"])["a"][1]["status"] == 200


@pytest.mark.parametrize("body, status", [({"from": "nothing"}, 422), ({"from": ""}, 400), ({"from": 1}, 400), ({"from": "a\0b"}, 400), ({"version": "next"}, 400),
                                          ({"version": None}, 400), ({"inputs": []}, 422), ({"step": "a"}, 400), ({"from": "c"}, 422)], ids=str)
def test_bodies_that_are_refused(workspace, client, effects, body, status):
    _, old = failed(workspace, client, effects, {"steps": [step("a", "fail", message="no"), step("b", "transform", value=1), step("c", "transform", value=1)]})
    before = client.get("/credits").json()["balance"]
    assert retry(client, old, **body).status_code == status
    assert client.get("/credits").json()["balance"] == before
