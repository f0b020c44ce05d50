"""The page of the workspace contract: nestings, single executions, numbered pages, every parameter and field with its default and
bounds; credits of a tree."""
import json
import re
import uuid

import pytest
from stack import Client, eventually

SETTINGS = {"api.rate_limit_per_minute": "1000000"}
ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
ZULU = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
REQUIRED = {"createdAt", "id", "updatedAt", "creditsUsed", "detail", "endedAt", "isAgentic", "isPurged", "parentId",
            "responderId", "startedAt", "status", "workspaceId"}


def problem(answer, status, code="invalid_request"):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def calls(*ids):
    return {"steps": [{"name": f"s{n}", "type": "workflow", "workflow_id": i} for n, i in enumerate(ids)]}


@pytest.fixture(scope="module")
def tree(stack):
    """A run of `top` that starts `leaf` and `middle`; `middle` starts `leaf` twice. Five executions."""
    workspace = stack.workspace()
    client = workspace.client()
    leaf = workspace.put_workflow(ONE, "leaf")
    middle = workspace.put_workflow({**calls(leaf, leaf), "credits": 3}, "middle")
    top = workspace.put_workflow(calls(leaf, middle), "top")
    message = str(uuid.uuid4())
    run = client.started(top, {"x": 1}, chat={"thread_id": "t", "message_id": message, "tool_call_id": "c1"})
    assert client.finished(run)["status"] == "success"
    again = client.started(leaf, chat={"message_id": message})
    client.finished(again)
    return workspace, client, run, message, (leaf, middle, top), again


def nestings(client, **params):
    answer = client.get("/executions/nestings", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def flat(x):
    return [x] + [y for c in x["children"] for y in flat(c)]


def test_nestings_return_the_whole_tree(tree):
    workspace, client, run, _, (leaf, middle, top), _ = tree
    x = nestings(client, executionId=run)
    assert x["id"] == run and x["responderId"] == top and x["parentId"] is None
    first, second = x["children"]
    assert [first["responderId"], second["responderId"]] == [leaf, middle]
    assert [c["responderId"] for c in second["children"]] == [leaf, leaf]
    for node in flat(x):
        assert REQUIRED | {"children", "children_truncated"} <= set(node)
        assert node["children_truncated"] is False and node["workspaceId"] == workspace.id
        ids = [c["id"] for c in node["children"]]
        assert ids == sorted(ids) and {c["parentId"] for c in node["children"]} <= {node["id"]}
    assert x["detail"]["input"] == {"x": 1} and "input" not in first["detail"]
    whole = client.execution(run, steps=False)
    assert whole.pop("retried_by") == []  # shown of one execution only
    assert {k: v for k, v in x.items() if not k.startswith("children")} == whole


def test_nestings_of_an_inner_run_return_its_subtree(tree):
    _, client, run, _, _, _ = tree
    whole = nestings(client, executionId=run)
    middle = whole["children"][1]
    part = nestings(client, executionId=middle["id"])
    assert part["id"] == middle["id"] and part["parentId"] == run
    assert part["children"] == middle["children"]
    assert nestings(client, executionId=part["children"][0]["id"])["children"] == []


def test_nestings_by_message_return_the_oldest_root(tree):
    _, client, run, message, _, again = tree
    assert nestings(client, chatMessageId=message)["id"] == run
    assert nestings(client, chatMessageId=message.upper())["id"] == run
    assert nestings(client, executionId=again)["children"] == []


def test_credits_are_summed_over_a_tree(tree):
    _, client, run, _, _, _ = tree
    x = nestings(client, executionId=run)
    # top 1, leaf 1, middle 3, two leaves 1 each
    assert [(n["creditsUsed"], n["detail"]["total_credits_used"]) for n in flat(x)] == [(1, 7), (1, 1), (3, 5), (1, 1), (1, 1)]
    for node in flat(x):
        assert client.execution(node["id"])["detail"]["total_credits_used"] == node["detail"]["total_credits_used"]
    listed = client.get("/executions").json()["executions"]
    assert all("total_credits_used" not in e["detail"] for e in listed)


def test_refunded_child_costs_nothing(stack):
    """A child that is stopped before its start is refunded, and the total of the tree shows that."""
    workspace = stack.workspace()
    client = workspace.client()
    leaf = workspace.put_workflow(ONE)
    slow = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 3600}]})
    run = client.started(workspace.put_workflow(calls(leaf, slow)))
    eventually(lambda: len(nestings(client, executionId=run)["children"]) == 2, 10, "two children")
    client.post(f"/executions/{run}/stop")
    x = nestings(client, executionId=run)
    costs = {n["id"]: n["creditsUsed"] for n in flat(x)}
    assert x["detail"]["total_credits_used"] == sum(costs.values()) == 1000 - workspace.balance()


@pytest.mark.parametrize("query, name", [
    ("", "executionId"), ("executionId=1", "executionId"), ("chatMessageId=x", "chatMessageId"), ("executionId=", "executionId"),
    (f"executionId={uuid.uuid4()}&chatMessageId={uuid.uuid4()}", "chatMessageId"), (f"execution_id={uuid.uuid4()}", "execution_id"),
    (f"executionId={uuid.uuid4()}&executionId={uuid.uuid4()}", "executionId"), (f"executionId={uuid.uuid4()}&limit=1", "limit"),
])
def test_bad_nestings_parameter_is_named_in_the_error(tree, query, name):
    assert name in problem(tree[1].get("/executions/nestings?" + query), 400)["detail"]


def test_nestings_of_another_workspace_are_404(stack, tree):
    other = stack.workspace().client()
    for params in ({"executionId": tree[2]}, {"chatMessageId": tree[3]}, {"executionId": str(uuid.uuid4())}):
        problem(other.get("/executions/nestings", params=params), 404, "not_found")
    problem(tree[0].client("workflows:read").get("/executions/nestings", params={"executionId": tree[2]}), 403, "insufficient_scope")


def grow(stack, workspace, client, run, n):
    """Inserts n children of a finished run directly into the tables."""
    x = client.execution(run)
    stack.sql(f"""
      SET @ms = CONV(LEFT(REPLACE('{run}', '-', ''), 12), 16, 10) + 1000;
      CREATE TEMPORARY TABLE made AS SELECT CAST(CONCAT(LEFT(LPAD(HEX(@ms + seq), 12, '0'), 8), '-',
        RIGHT(LPAD(HEX(@ms + seq), 12, '0'), 4), '-7000-8000-', LPAD(HEX(seq), 12, '0')) AS UUID) AS id FROM seq_1_to_{n};
      INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, parent_id, kind, source, depth, version, state,
          last_seq, cost, updated_ms, ended_ms)
        SELECT id, '{workspace.id}', '{x['responderId']}', UUID(), '{run}', '{run}', 1, 3, 1, 1, 3, 2, 250000, @ms, @ms FROM made;
      INSERT INTO execution_children SELECT '{run}', id, '{run}', 0, ROW_NUMBER() OVER (ORDER BY id), 1 FROM made;
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id)
        SELECT '{workspace.id}', id, 2, -250000, id FROM made;
      DROP TEMPORARY TABLE made""")


def test_large_tree_is_truncated_and_marked(stack):
    workspace = stack.workspace()
    client = workspace.client()
    run = client.started(workspace.put_workflow(ONE))
    client.finished(run)
    grow(stack, workspace, client, run, 1500)
    x = nestings(client, executionId=run)
    assert x["children_truncated"] is True and len(x["children"]) == 999
    ids = [c["id"] for c in x["children"]]
    assert ids == sorted(ids) and ids[0] == stack.sql_one(
        f"SELECT MIN(child_id) FROM execution_children WHERE parent_id = '{run}'")
    assert x["detail"]["total_credits_used"] == 1 + 1500 * 0.25


# --- the object ---------------------------------------------------------------------------------------------------


def test_execution_has_every_documented_field(tree):
    workspace, client, run, _, (_, _, top), _ = tree
    for x in (client.execution(run, steps=False), client.get("/executions", params={"responderIds": top}).json()["executions"][0]):
        assert REQUIRED <= set(x)
        assert uuid.UUID(x["id"]) and uuid.UUID(x["workspaceId"]) and uuid.UUID(x["responderId"])
        for name in ("createdAt", "updatedAt", "startedAt", "endedAt"):
            assert ZULU.fullmatch(x[name]), name
        assert isinstance(x["creditsUsed"], (int, float)) and isinstance(x["detail"], dict)
        assert x["isAgentic"] is False and x["isPurged"] is False and x["parentId"] is None
        assert x["status"] in ("running", "success", "failed", "stopped") and x["workspaceId"] == workspace.id
        assert x["detail"]["type"] == "workflow"


def everywhere(client, run):
    """The same run, read by each of the three endpoints of the page."""
    listed = [x for x in client.get("/executions", params={"pageNumber": 1, "pageSize": 100}).json()["executions"] if x["id"] == run]
    return [client.execution(run, steps=False), nestings(client, executionId=run), *listed]


def test_fields_of_running_and_stopped_runs(workspace, client):
    run = client.started(workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 3600}]}))
    eventually(lambda: client.execution(run)["state"] == "running", 10)
    for x in everywhere(client, run):
        assert (x["status"], x["endedAt"], x["creditsUsed"], x["isPurged"]) == ("running", None, 1, False)
        assert x["createdAt"] <= x["startedAt"] <= x["updatedAt"]
    client.post(f"/executions/{run}/stop")
    for x in everywhere(client, run):
        assert x["status"] == "stopped" and x["startedAt"] <= x["endedAt"] <= x["updatedAt"]


def test_fields_of_failed_and_purged_runs(workspace, client):
    run = client.started(workspace.put_workflow({"steps": [{"name": "f", "type": "fail", "message": "no"}]}))
    assert client.finished(run)["status"] == "failed"
    for x in everywhere(client, run):
        assert (x["status"], x["isPurged"], x["parentId"]) == ("failed", False, None) and ZULU.fullmatch(x["endedAt"])
    assert client.delete(f"/executions/{run}").status_code == 204
    for x in everywhere(client, run):
        assert REQUIRED <= set(x) and (x["status"], x["isPurged"]) == ("failed", True)


def test_fields_of_a_child(tree):
    _, client, run, _, (leaf, middle, _), _ = tree
    child = nestings(client, executionId=run)["children"][1]
    ways = everywhere(client, child["id"])
    assert len(ways) == 3
    for x in ways:
        assert (x["parentId"], x["responderId"], x["creditsUsed"], x["isAgentic"]) == (run, middle, 3, False)


def test_invalid_id_is_404(tree):
    for id in ("1", "x" * 36, str(uuid.uuid4())):
        problem(tree[1].get(f"/executions/{id}"), 404, "not_found")


def test_key_is_accepted_without_bearer(stack, tree):
    workspace, _, run, _, _, _ = tree
    key = workspace.key()["key"]
    bare = Client(stack.url)
    for path in (f"/executions/{run}", "/executions", f"/executions/nestings?executionId={run}"):
        assert bare.get(path, headers={"authorization": key}).status_code == 200
        problem(bare.get(path), 401, "unauthenticated")


# --- numbered pages -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many(stack):
    """3,000 executions of three responders with mixed states and times, inserted directly; newest first."""
    workspace = stack.workspace()
    client = workspace.client()
    responders = [str(uuid.uuid4()) for _ in range(3)]
    stack.sql(f"""
      INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, last_seq, cost,
          updated_ms, ended_ms)
        SELECT id, '{workspace.id}', ELT(1 + seq % 3, '{"','".join(responders)}'), UUID(), id, 1, 1, 1, state, 1, 0, 1,
               IF(state > 2, 1, NULL)
        FROM (SELECT seq, CAST(CONCAT('018bcfe5-', LPAD(HEX(seq), 4, '0'), '-7000-8000-000000000000') AS UUID) AS id,
                     3 + seq % 3 AS state FROM seq_1_to_3000) AS s""")
    rows = stack.sql(f"SELECT id, responder_id, state FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id DESC")
    return client, responders, rows


def page(client, **params):
    answer = client.get("/executions", params=params)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return [x["id"] for x in body["executions"]], body


def test_page_number_and_size_have_defaults_and_bounds(many):
    client, _, rows = many
    ids = [r[0] for r in rows]
    got, body = page(client, pageNumber=1)
    assert got == ids[:10] and (body["pageNumber"], body["pageSize"], body["has_more"]) == (1, 10, True)
    assert page(client, pageSize=1)[0] == ids[:1]
    assert page(client, pageSize=100, pageNumber=30)[0] == ids[2900:]
    assert page(client, pageSize=100, pageNumber=30)[1]["has_more"] is False
    assert page(client, pageSize=100, pageNumber=31)[0] == []
    assert page(client, pageSize=100, pageNumber=10000)[0] == []
    for query in ("pageNumber=0", "pageNumber=-1", "pageNumber=1.5", "pageNumber=", "pageNumber=10001&pageSize=100"):
        assert "pageNumber" in problem(client.get("/executions?" + query), 400)["detail"]
    for query in ("pageSize=0", "pageSize=101", "pageSize=x"):
        assert "pageSize" in problem(client.get("/executions?" + query), 400)["detail"]


def test_responder_ids_are_accepted_in_every_spelling(many):
    client, responders, rows = many
    a, b, c = responders
    of = lambda *r: [i for i, x, _ in rows if x in r]  # noqa: E731
    assert page(client, responderIds=a)[0] == of(a)[:10]
    assert page(client, responderIds=[a, b], pageSize=100)[0] == of(a, b)[:100]
    assert page(client, **{"responderIds[]": [a, c], "pageSize": 100, "pageNumber": 3})[0] == of(a, c)[200:300]
    assert page(client, **{"responderIds[]": a, "responderIds": b, "pageSize": 100})[0] == of(a, b)[:100]
    assert page(client, responderIds=[a, a], pageSize=100)[0] == of(a)[:100]
    assert page(client, responderIds=[a.upper()], pageSize=7)[0] == of(a)[:7]
    assert page(client, pageSize=100, pageNumber=20, responderIds=[a, b])[0] == of(a, b)[1900:]
    got, body = page(client)  # by default there is no filter, and pages go by cursor
    assert got == [r[0] for r in rows[:20]] and "pageNumber" not in body
    for query in ("responderIds=x", "responderIds[]=", "responderIds=" + ",".join(responders)):
        assert "responderIds" in problem(client.get("/executions?" + query), 400)["detail"]
    too_many = "&".join(f"responderIds={uuid.uuid4()}" for _ in range(65))
    answer = client.get("/executions?" + too_many)
    assert answer.status_code == 400 and ("responderIds" in answer.text or "query" in answer.text)


def test_deep_pages_of_several_responders_are_correct(stack, many):
    client, responders, rows = many
    for number in (1, 7, 19, 20, 21):
        want = [i for i, x, _ in rows if x in responders[:2]][(number - 1) * 100:number * 100]
        assert page(client, responderIds=responders[:2], pageNumber=number, pageSize=100)[0] == want
    seen, cursor = [], None
    while True:
        got, body = page(client, workflow_id=responders[2], limit=100, **({"after": cursor} if cursor else {}))
        seen += got
        cursor = body["next_cursor"]
        if not body["has_more"]:
            break
    assert seen == [i for i, x, _ in rows if x == responders[2]]


def test_filters_can_be_combined(many):
    client, responders, rows = many
    names = {"3": "succeeded", "4": "failed", "5": "stopped"}
    for state, name in names.items():
        want = [i for i, _, s in rows if s == state]
        assert page(client, state=name, limit=100)[0] == want[:100]
    a = responders[0]
    want = [i for i, x, s in rows if x == a and s == rows[0][2]]
    assert page(client, responderIds=a, state=names[rows[0][2]], limit=50)[0] == want[:50]
    assert json.dumps(page(client, status="running")[0]) == "[]"
