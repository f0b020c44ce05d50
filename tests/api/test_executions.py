"""Reading executions: the object, steps, pages by cursor and by number, filters, ETags; and stop."""
import re
import uuid

import pytest

SETTINGS = {"api.rate_limit_per_minute": "100000"}
ONE = {"steps": [{"name": "a", "type": "transform", "value": {"n": 1.50}}]}
SLOW = {"steps": [{"name": "quick", "type": "transform", "value": 1}, {"name": "d", "type": "delay", "seconds": 3600},
                  {"name": "never", "type": "transform", "value": 2}]}

OFFSET = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00")
ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def test_execution_has_every_documented_field(workspace, client):
    w = workspace.put_workflow(ONE, name="Welcome")
    run = client.started(w, {"x": 1}, tags=["b", "a", "b"], metadata={"order": 7})
    x = client.finished(run)
    assert x["id"] == x["execution_id"] == run
    assert x["workspaceId"] == workspace.id
    assert (x["status"], x["state"]) == ("success", "succeeded")
    assert x["responderId"] == x["workflow_id"] == w and x["workflow_name"] == "Welcome"
    assert (x["parentId"], x["retry_of"], x["error"], x["failure_reason"]) == (None,) * 4
    assert (x["isAgentic"], x["isPurged"], x["creditsUsed"]) == (False, False, 1)
    assert (x["tags"], x["metadata"]) == (["b", "a"], {"order": 7})
    assert x["detail"] == {"type": "workflow", "version": 1, "source": "standalone", "total_credits_used": 1, "input": {"x": 1}, "output": {"n": 1.5}}
    for camel, snake in (("createdAt", "created_at"), ("startedAt", "started_at"), ("endedAt", "completed_at")):
        assert ZULU.fullmatch(x[camel]) and OFFSET.fullmatch(x[snake])
        assert x[camel][:-1] == x[snake][:-6]
    assert ZULU.fullmatch(x["updatedAt"])
    assert x["createdAt"] <= x["startedAt"] <= x["endedAt"] <= x["updatedAt"]


def test_values_are_returned_as_sent(client, workspace):
    w = workspace.put_workflow(ONE)
    raw = b'{"inputs" : {"a": 1.0,"b":1e2, "c":"\\u00e9", "big": 18446744073709551615}, "metadata": {"m" : 0.10}}'
    run = client.post(f"/workflows/{w}/run-async", data=raw, headers={"Content-Type": "application/json"}).json()["execution_id"]
    text = client.get(f"/executions/{run}").text
    assert '{"a": 1.0,"b":1e2, "c":"\\u00e9", "big": 18446744073709551615}' in text
    assert '{"m" : 0.10}' in text


def test_queued_run_has_status_running(stack, client, workspace):
    stack.stop_server("executor")
    try:
        x = client.execution(client.started(workspace.put_workflow(ONE)))
        assert (x["status"], x["state"]) == ("running", "queued")
        assert x["started_at"] == x["created_at"] and x["completed_at"] is None
        assert [(s["index"], s["name"], s["type"], s["status"], s["attempts"]) for s in x["steps"]] == \
            [(0, "a", "transform", "pending", 0)]
        assert [x["steps"][0][n] for n in ("result", "error", "started_at", "completed_at")] == [None] * 4
    finally:
        stack.start_server("executor")


def test_steps_are_returned_on_request_only(client, workspace):
    run = client.started(workspace.put_workflow(ONE))
    done = client.finished(run)
    assert [(s["index"], s["name"], s["type"], s["status"], s["result"], s["error"], s["attempts"]) for s in done["steps"]] == \
        [(0, "a", "transform", "completed", {"n": 1.5}, None, 1)]
    assert OFFSET.fullmatch(done["steps"][0]["started_at"]) and OFFSET.fullmatch(done["steps"][0]["completed_at"])
    for query in ("", "?include_step_results=false"):
        assert "steps" not in client.get(f"/executions/{run}{query}").json()


def test_failed_run_reports_its_error(client, workspace):
    w = workspace.put_workflow({"steps": [{"name": "f", "type": "fail", "message": "no luck"}]})
    x = client.finished(client.started(w))
    assert (x["status"], x["state"], x["failure_reason"]) == ("failed", "failed", "step_failed")
    assert "no luck" in x["error"]
    assert (x["steps"][0]["status"], x["steps"][0]["result"]) == ("failed", None)


def test_stop_ends_a_run(client, workspace):
    run = client.started(workspace.put_workflow(SLOW))
    answer = client.post(f"/executions/{run}/stop", headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()) == (200, {"execution_id": run, "status": "stopped"})
    x = client.execution(run)
    assert (x["status"], x["state"], x["failure_reason"]) == ("stopped", "stopped", "stopped")
    assert x["completed_at"] and x["error"]
    problem(client.post(f"/executions/{run}/stop"), 400, "execution_terminal")


def test_stop_rejects_unknown_ids_and_invalid_bodies(client, stack, workspace):
    problem(client.post(f"/executions/{uuid.uuid4()}/stop"), 404, "not_found")
    problem(client.post("/executions/nonsense/stop"), 404, "not_found")
    run = client.started(workspace.put_workflow(SLOW))
    problem(client.post(f"/executions/{run}/stop", data="{", headers={"Content-Type": "application/json"}), 400, "invalid_json")
    other = stack.workspace().client()
    problem(other.post(f"/executions/{run}/stop"), 404, "not_found")
    problem(other.get(f"/executions/{run}"), 404, "not_found")
    assert client.execution(run)["status"] == "running"
    assert client.post(f"/executions/{run}/stop", json={}).status_code == 200


def test_etag_changes_with_the_execution(client, workspace):
    run = client.started(workspace.put_workflow(ONE))
    client.finished(run)
    first = client.get(f"/executions/{run}")
    tag = first.headers["ETag"]
    again = client.get(f"/executions/{run}", headers={"If-None-Match": f'"x", W/{tag}'})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    assert client.get(f"/executions/{run}", headers={"If-None-Match": '"x"'}).status_code == 200
    assert client.get(f"/executions/{run}?include_step_results=true", headers={"If-None-Match": tag}).status_code == 200


# --- lists -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(stack):
    """25 runs of two workflows, newest first: the even ones of `a`, the odd ones of `b`; every fifth is stopped, the others succeeded."""
    workspace = stack.workspace()
    client = workspace.client()
    a, b = workspace.put_workflow(ONE, "a"), workspace.put_workflow(SLOW, "b")
    ids = []
    for i in range(25):
        tags = {"tags": [f"t{i % 3}", "all"]}
        ids.append(client.started(b if i % 2 else a, **tags))
    for i in range(25):
        if i % 2 == 0:
            client.finished(ids[i])
        elif i % 5 == 0:
            client.post(f"/executions/{ids[i]}/stop")
    yield workspace, client, a, b, ids[::-1]
    for i in range(25):
        client.post(f"/executions/{ids[i]}/stop")


def page(client, **params):
    answer = client.get("/executions", params=params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [x["id"] for x in body["executions"]], body


def test_list_by_cursor(many):
    _, client, _, _, ids = many
    got, body = page(client)
    assert got == ids[:20] and set(body) == {"executions", "has_more", "next_cursor"}
    assert (body["has_more"], body["next_cursor"]) == (True, ids[19])
    rest, body = page(client, after=body["next_cursor"])
    assert rest == ids[20:] and (body["has_more"], body["next_cursor"]) == (False, None)
    assert page(client, limit=25)[1]["has_more"] is False
    assert page(client, limit=100)[0] == ids
    x = body["executions"][0]
    assert x["detail"] == {"type": "workflow", "version": 1, "source": "standalone"} and "steps" not in x


def test_list_by_number(many):
    _, client, a, b, ids = many
    got, body = page(client, pageNumber=1)
    assert got == ids[:10] and set(body) == {"executions", "has_more", "pageNumber", "pageSize"}
    assert (body["has_more"], body["pageNumber"], body["pageSize"]) == (True, 1, 10)
    assert page(client, pageNumber=3)[0] == ids[20:]
    got, body = page(client, pageSize=7, pageNumber=4)
    assert got == ids[21:] and body["has_more"] is False
    assert page(client, pageNumber=9)[0] == []
    assert page(client, pageNumber=2, pageSize=5, responderIds=[a, b])[0] == ids[5:10]
    assert page(client, pageNumber=2, pageSize=5, status="running", responderIds=[a, b])[0] == \
        [i for n, i in enumerate(ids) if (24 - n) % 2 and (24 - n) % 5][5:10]


def test_responder_filter_alone_is_numbered(many):
    _, client, a, b, ids = many
    of_b = [i for n, i in enumerate(ids) if (24 - n) % 2]
    got, body = page(client, responderIds=b)
    assert got == of_b[:10] and body["pageNumber"] == 1
    got, body = page(client, **{"responderIds[]": [a, b]})
    assert got == ids[:10] and body["pageSize"] == 10
    got, body = page(client, responderIds=b, limit=5)
    assert got == of_b[:5] and body["next_cursor"] == of_b[4]


def test_filters_select_matching_runs(many):
    workspace, client, a, b, ids = many
    index = {x: 24 - n for n, x in enumerate(ids)}  # in the order in which they were started
    stopped = [x for x in ids if index[x] % 2 and index[x] % 5 == 0]
    assert page(client, workflow_id=a, limit=100)[0] == [x for x in ids if index[x] % 2 == 0]
    assert page(client, workflow_id=b, status="stopped")[0] == stopped
    assert page(client, status="stopped")[0] == page(client, state="stopped")[0] == stopped
    assert page(client, status="success", limit=5)[0] == [x for x in ids if index[x] % 2 == 0][:5]
    assert page(client, state="succeeded", after=ids[10], limit=3)[0] == [x for x in ids[11:] if index[x] % 2 == 0][:3]
    assert page(client, status="running")[0] == [x for x in ids if index[x] % 2 and index[x] % 5]
    assert page(client, status="running", state="stopped")[0] == []
    assert page(client, tag="t1", limit=100)[0] == [x for x in ids if index[x] % 3 == 1]
    assert page(client, tag="t1", workflow_id=b, status="stopped")[0] == [x for x in stopped if index[x] % 3 == 1]
    assert page(client, tag="T1")[0] == []
    assert page(client, workflow_id=a, responderIds=b)[0] == []
    assert page(client, workflow_id=str(uuid.uuid4()))[0] == []
    assert page(client, parentId=ids[0])[0] == []


def test_time_filters_select_matching_runs(many):
    _, client, _, _, ids = many
    x = client.execution(ids[5])
    assert page(client, created_before=x["createdAt"], limit=100)[0] == ids[6:]
    assert page(client, created_after=x["created_at"], limit=100)[0] == ids[:5]
    assert page(client, created_after="2020-01-01", created_before="2020-01-02")[0] == []
    assert page(client, created_after="2020-01-01", limit=100)[0] == ids


def test_children_are_listed_by_parent(client, workspace):
    child = workspace.put_workflow(ONE)
    parent = workspace.put_workflow({"steps": [{"name": n, "type": "workflow", "workflow_id": child} for n in "xy"]})
    top = client.started(parent)
    assert client.finished(top)["status"] == "success"
    children, body = page(client, parentId=top)
    assert len(children) == 2 and children == sorted(children, reverse=True)
    assert {x["parentId"] for x in body["executions"]} == {top}
    assert {x["detail"]["source"] for x in body["executions"]} == {"workflow"}
    assert page(client, parentId=top, workflow_id=parent)[0] == []
    assert page(client, parentId=top, limit=1, after=children[0])[0] == children[1:]


BAD = {
    "limit=0": "limit", "limit=101": "limit", "limit=x": "limit", "limit=": "limit", "limit=1.5": "limit", "limit=-1": "limit",
    "limit=99999999999999999999": "limit", "pageNumber=0": "pageNumber", "pageSize=0": "pageSize", "pageSize=101": "pageSize",
    "workflow_id=x": "workflow_id", "responderIds=x": "responderIds", "responderIds=": "responderIds", "parentId=1": "parentId",
    "status=done": "status", "status=queued": "status", "state=success": "state", "created_after=yesterday": "created_after",
    "created_before=": "created_before", "tag=": "tag", "tag=" + "x" * 257: "tag", "foo=1": "foo", "Limit=1": "Limit",
    "limit=1&limit=1": "limit", "limit=1&pageSize=1": "pageNumber", "after=" + str(uuid.uuid4()) + "&pageNumber=1": "after",
    "include_step_results=true": "include_step_results",
}


@pytest.mark.parametrize("query", BAD)
def test_bad_parameter_is_named_in_the_error(many, query):
    p = problem(many[1].get("/executions?" + query), 400, "invalid_request")
    assert BAD[query] in p["detail"]


def test_bad_cursor_is_400(many):
    for cursor in ("x", "", "1"):
        problem(many[1].get("/executions?after=" + cursor), 400, "invalid_cursor")
