"""Failed executions grouped by their errors, and the filters error and error_hash of the list."""
import pytest
from stack import while_it_lasts

NUMBERED = {"steps": [{"name": "pay", "type": "fail", "message": "order ${/inputs/order} of '${/inputs/who}' is not paid"}]}
HOSTILE = "\u202e<img src=x onerror=alert(1)> ' \" % _ \\ 💥"


@pytest.fixture(scope="module")
def failed(stack):
    """A workspace in which three runs have failed alike, one otherwise, one in another workflow alike, and one has succeeded."""
    workspace = stack.workspace()
    client = workspace.client()
    one, two = workspace.put_workflow(NUMBERED, "one"), workspace.put_workflow(NUMBERED, HOSTILE)
    other = workspace.put_workflow({"steps": [{"name": "ship", "type": "fail", "message": "${/inputs/text}"}]}, "other")
    good = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}, "good")
    runs = [client.started(w, {"order": n, "who": f"Ada {n}"}, tags=[f"t{n}"]) for n, w in enumerate((one, one, one, two))]
    runs += [client.started(other, {"text": HOSTILE}), client.started(good)]
    for run in runs:
        client.finished(run)
    return workspace, client, runs, (one, two, other)


def ids(client, query):
    answer = client.get(f"/executions?{query}")
    assert answer.status_code == 200, answer.text
    return [e["id"] for e in answer.json()["executions"]]


def test_alike_errors_are_one_group(failed):
    workspace, client, runs, (one, two, other) = failed
    page = client.get("/executions/errors").json()
    assert page["considered"] == 5 and page["has_more"] is False
    alike, hostile = page["groups"]
    assert (alike["count"], alike["reason"], alike["step"]) == (4, "step_failed", "pay")
    assert alike["execution_id"] == runs[3] and alike["responder_id"] == two
    assert alike["error"] == client.execution(runs[3])["error"] and "order 3 of 'Ada 3'" in alike["error"]
    assert alike["first_at"] <= alike["last_at"] and alike["responder_count"] == 2
    assert sorted((r["type"], r["id"], r["name"]) for r in alike["responders"]) == sorted(
        [("workflow", one, "one"), ("workflow", two, HOSTILE)])
    assert (hostile["count"], hostile["step"], hostile["responder_id"]) == (1, "ship", other) and HOSTILE in hostile["error"]
    first = client.get("/executions/errors?limit=1").json()
    assert (first["groups"], first["has_more"]) == ([alike], True)


def test_the_hash_of_a_group_lists_its_executions(failed):
    _, client, runs, (one, two, _) = failed
    alike, hostile = client.get("/executions/errors").json()["groups"]
    found = f"error_hash={alike['hash']}"
    assert ids(client, found) == runs[3::-1]
    assert ids(client, f"{found}&workflow_id={one}") == runs[2::-1]
    assert ids(client, f"{found}&responderIds={one}&responderIds={two}") == runs[3::-1]
    assert ids(client, f"{found}&tag=t1") == [runs[1]]
    assert ids(client, f"{found}&status=failed&limit=2") == [runs[3], runs[2]]
    assert ids(client, f"{found}&after={runs[2]}") == [runs[1], runs[0]]
    assert ids(client, f"{found}&pageNumber=2&pageSize=3") == [runs[0]]
    assert ids(client, f"{found}&state=succeeded") == [] and ids(client, f"{found}&parentId={runs[0]}") == []
    assert ids(client, f"error_hash={hostile['hash']}") == [runs[4]]
    assert ids(client, "error_hash=0123456789abcdef") == []


@pytest.mark.parametrize("text, which", [("ORDER 2", [2]), ("is not paid", [3, 2, 1, 0]), ("%", [4]), ("_", [4]), ("\\", [4]), ("💥", [4]), ("😀", []),
                                         ("<img src=x onerror=alert(1)>", [4]), ("'Ada", [3, 2, 1, 0]), ("nowhere", [])])
def test_a_text_is_found_as_it_stands(failed, text, which):
    _, client, runs, _ = failed
    answer = client.get("/executions", params={"error": text})
    assert [e["id"] for e in answer.json()["executions"]] == [runs[n] for n in which]


@pytest.mark.parametrize("query", ["error=", "error=" + "a" * 257, "error_hash=", "error_hash=0123", "error_hash=0123456789ABCDEF",
                                   "error_hash=0123456789abcdeg", "error=%ff", "error=a%00b"])
def test_other_values_are_rejected(failed, query):
    answer = failed[1].get(f"/executions?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=a", "after=x"])
def test_groups_have_one_parameter(failed, query):
    assert failed[1].get(f"/executions/errors?{query}").status_code == 400


def test_groups_are_those_of_the_workspace(stack, failed):
    other = stack.workspace().client()
    page = other.get("/executions/errors").json()
    assert page == {"groups": [], "has_more": False, "considered": 0}
    hash_ = failed[1].get("/executions/errors").json()["groups"][0]["hash"]
    assert ids(other, f"error_hash={hash_}") == [] and ids(other, "error=order") == []


def test_every_way_to_fail_is_counted_and_a_purge_is_not(stack):
    def look(seconds):
        workspace = stack.workspace()
        client = workspace.client()
        slow = workspace.put_workflow({"steps": [{"name": "rest", "type": "delay", "seconds": 3600}], "timeout_seconds": seconds})
        timed_out = client.started(slow)
        expired = client.started(slow, delay_seconds=3600, ttl_seconds=1)
        for run in (timed_out, expired):
            assert client.finished(run)["status"] == "failed"
        groups = client.get("/executions/errors").json()["groups"]
        assert {(g["reason"], g["step"]) for g in groups} == {("expired", None), ("timeout", "rest")}
        return workspace, client, timed_out, expired
    workspace, client, timed_out, expired = while_it_lasts(1, look)
    code, out, err = stack.cli("audit", check=False)
    assert code == 0, out + err
    shown = stack.cli("execution", "errors", "--workspace", workspace.id)
    assert {g["execution_id"] for g in shown} == {timed_out, expired}
    assert client.delete(f"/executions/{timed_out}").status_code == 204
    page = client.get("/executions/errors").json()
    assert page["considered"] == 1 and [g["execution_id"] for g in page["groups"]] == [expired]


def test_the_newest_ten_thousand_are_looked_at(stack):
    workspace = stack.workspace()
    client = workspace.client()
    run = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "oldest"}]}))
    client.finished(run)
    assert ids(client, "error=oldest") == [run]
    stack.sql(f"INSERT INTO execution_failures SELECT workspace_id, CONCAT('ffffffff-ffff-7fff-8fff-', LPAD(HEX(seq), 12, '0')), responder_id, kind, "
              f"reason, step, seq % 150, ended_ms + seq FROM execution_failures JOIN seq_1_to_9999 WHERE execution_id = '{run}'")
    assert ids(client, "error=oldest") == [run]
    assert client.get("/executions/errors?limit=100").json()["considered"] == 10000
    stack.sql(f"INSERT INTO execution_failures SELECT workspace_id, 'fffffffe-ffff-7fff-8fff-000000000000', responder_id, kind, reason, step, 7, 7 "
              f"FROM execution_failures WHERE execution_id = '{run}'")
    assert ids(client, "error=oldest") == []
    page = client.get("/executions/errors?limit=100").json()
    assert page["considered"] == 10000 and page["has_more"] is True and len(page["groups"]) == 100
    stack.sql(f"DELETE FROM execution_failures WHERE workspace_id = '{workspace.id}'")
