"""Runs with a start and an expiry: they wait, are listed, moved, stopped, started once and refunded exactly once."""
import datetime

import pytest

import peers
import skills
from stack import eventually, while_it_lasts

SETTINGS = {"executor.processes": "1", "quotas.delayed_runs": "5"}
PROGRAM = {"credits": 3, "steps": [{"name": "a", "type": "transform", "value": "${/inputs/n}"}], "outputs": "${/steps/a/result}"}


def moment(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).isoformat()


def events(stack, id):
    return [r[0] for r in stack.sql(f"SELECT type FROM events WHERE execution_id = '{id}' ORDER BY seq")]


def waits(stack, id):
    return stack.sql(f"SELECT reason, due FROM waits WHERE execution_id = '{id}'")


def start(client, workflow, **body):
    answer = client.post(f"/workflows/{workflow}/run-async", json={"inputs": {"n": 7}, **body})
    assert answer.status_code == 202, answer.text
    return answer.json()["execution_id"]


@pytest.fixture(autouse=True)
def audited(stack):
    yield
    assert stack.cli("audit")["violations"] == []


@pytest.fixture
def workflow(workspace):
    return workspace.put_workflow(PROGRAM)


def test_a_delayed_run_waits_and_starts_once(stack, workspace, client, workflow):
    def look(seconds):
        answer = client.post(f"/workflows/{workflow}/run-async", json={"inputs": {"n": 7}, "delay_seconds": seconds}).json()
        id, before = answer["execution_id"], workspace.balance()
        assert answer["status"] == "running" and answer["start_at"] > answer["created_at"] and "expires_at" not in answer
        seen = client.execution(id)
        assert (seen["state"], seen["status"], seen["start_at"], seen["expires_at"]) == ("queued", "running", answer["start_at"], None)
        assert seen["creditsUsed"] == 3 and waits(stack, id) == [["5", "0"]]
        assert [e["id"] for e in client.get("/executions?state=queued").json()["executions"]] == [id]
        return answer, id, before
    answer, id, before = while_it_lasts(2, look)
    done = client.finished(id)
    assert done["status"] == "success" and done["detail"]["output"] == 7
    assert done["started_at"] >= done["start_at"] == answer["start_at"] and not waits(stack, id)
    assert events(stack, id) == ["1", "2", "3", "4", "12"] and workspace.balance() == before


def test_expired_before_its_start_and_refunded_once(stack, workspace, client, workflow):
    before = workspace.balance()
    id = start(client, workflow, delay_seconds=3600, ttl_seconds=0.5)
    assert workspace.balance() == before - 3
    done = client.finished(id)
    assert (done["status"], done["failure_reason"], done["creditsUsed"]) == ("failed", "expired", 0)
    assert events(stack, id) == ["1", "13"] and not waits(stack, id) and workspace.balance() == before
    assert client.post(f"/executions/{id}/stop").status_code == 400 and workspace.balance() == before
    retry = client.post(f"/executions/{id}/retry").json()["execution_id"]
    assert client.finished(retry)["detail"]["output"] == 7
    assert client.delete(f"/executions/{id}").status_code == 204


def test_stopped_before_its_start_and_refunded(stack, workspace, client, workflow):
    before = workspace.balance()
    id = start(client, workflow, start_at=moment(3600), expires_at=moment(7200))
    assert client.delete(f"/executions/{id}").status_code == 409
    assert client.post(f"/executions/{id}/stop").status_code == 200
    assert events(stack, id) == ["1", "14"] and not waits(stack, id) and workspace.balance() == before
    assert client.patch(f"/executions/{id}", json={"delay_seconds": 1}).json()["code"] == "execution_not_delayed"


def test_moved(stack, client, workflow):
    id = start(client, workflow, start_at=moment(3600))
    moved = moment(180 * 86400)[:11] + "10:00:00"
    later = client.patch(f"/executions/{id}", json={"start_at": moved + "Z"})
    assert later.status_code == 200 and later.json()["start_at"] == moved + ".000+00:00" and later.json()["state"] == "queued"
    assert client.patch(f"/executions/{id}", json={"start_at": moment(-5)}).status_code == 200
    assert client.finished(id)["status"] == "success" and events(stack, id)[:4] == ["1", "18", "18", "2"]
    assert client.patch(f"/executions/{id}", json={"start_at": moment(60)}).status_code == 409
    for body in ({}, {"start_at": moment(400 * 86400)}, {"start_at": 5}, {"delay_seconds": -1}, {"tags": []}):
        assert client.patch(f"/executions/{id}", json=body).status_code == 400, body


def test_a_move_is_not_overtaken_by_the_start(stack, workspace, client, workflow):
    """Starts hold the account from the search for due runs to their COMMIT, so a move waits for it."""
    id = start(client, workflow, start_at=moment(3600))
    with peers.mariadb(stack.dir) as session:
        session(f"BEGIN; SELECT workspace_id FROM accounts WHERE workspace_id = '{workspace.id}' FOR UPDATE")
        assert client.patch(f"/executions/{id}", json={"start_at": moment(7200)}).status_code == 503
        session("ROLLBACK")
    assert client.patch(f"/executions/{id}", json={"start_at": moment(7200)}).status_code == 200
    assert client.post(f"/executions/{id}/stop").status_code == 200


def test_counts_for_max_concurrent_from_its_start(stack, effects):
    workspace = stack.workspace(max_concurrent=1)
    client = workspace.client()
    release = effects.hold("/hold")
    busy = start(client, workspace.put_workflow({"steps": [
        {"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}}]}))
    effects.wait_for("/hold")
    ids = [start(client, workspace.put_workflow(PROGRAM), delay_seconds=0.1) for _ in range(2)]
    gone = start(client, workspace.put_workflow(PROGRAM), delay_seconds=0.1, ttl_seconds=1)
    assert client.finished(gone)["failure_reason"] == "expired"
    eventually(lambda: [waits(stack, i) for i in ids] == [[["5", "2"]]] * 2, 30, "the runs wait for capacity")
    assert [client.execution(i)["state"] for i in ids] == ["queued"] * 2
    release()
    assert [client.finished(i)["status"] for i in [busy, *ids]] == ["success"] * 3


def test_quota(client, workflow, workspace, stack):
    ids = [start(client, workflow, delay_seconds=3600) for _ in range(5)]
    answer = client.post(f"/workflows/{workflow}/run-async", json={"delay_seconds": 3600})
    assert answer.status_code == 403 and answer.json()["code"] == "quota_exceeded" and "delayed_runs" in answer.json()["detail"]
    start(client, workflow)
    assert client.post(f"/executions/{ids[0]}/stop").status_code == 200
    start(client, workflow, delay_seconds=3600)


@pytest.mark.parametrize("body", [
    {"start_at": "tomorrow"}, {"start_at": 1}, {"delay_seconds": "1"}, {"delay_seconds": -1}, {"delay_seconds": 366 * 86400 + 1},
    {"start_at": "2027-01-01", "delay_seconds": 1}, {"expires_at": "2027-01-01", "ttl_seconds": 1}, {"ttl_seconds": 0},
    {"expires_at": "2020-01-01"}, {"start_at": "2099-01-01"}, {"expires_at": "2099-01-01"}, {"delay_seconds": True}])
def test_wrong_times(client, workflow, workspace, body):
    before = workspace.balance()
    answer = client.post(f"/workflows/{workflow}/run-async", json=body)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_request"
    items = client.post(f"/workflows/{workflow}/run-batch", json={"items": [body, {}]}).json()
    assert [r["status"] for r in items["results"]] == [400, 202]
    assert workspace.balance() == before - 3


def test_replay_after_the_expiry_has_passed(client, workflow):
    def look(seconds):
        body = {"json": {"inputs": {"n": 1}, "expires_at": moment(seconds)}, "headers": {"Idempotency-Key": f"k{seconds}"}}
        first = client.post(f"/workflows/{workflow}/run-async", **body)
        assert first.status_code == 202 and client.finished(first.json()["execution_id"])["status"] == "success"
        return body, first
    body, first = while_it_lasts(2, look)
    eventually(lambda: moment(0) > body["json"]["expires_at"], 30, "the expiry has passed")
    again = client.post(f"/workflows/{workflow}/run-async", **body)
    assert again.status_code == 202 and again.json() == first.json() and again.headers["Idempotent-Replayed"] == "true"


def test_a_started_run_does_not_expire(stack, client, workspace, effects):
    release = effects.hold("/slow")
    flow = workspace.put_workflow({"timeout_seconds": 60, "steps": [
        {"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/slow"}}]})

    def look(seconds):
        id = start(client, flow, ttl_seconds=seconds)
        eventually(lambda: effects.count("/slow") or client.execution(id)["state"] == "failed", what="the start or the expiry")
        assert effects.count("/slow"), "it has expired before its start"
        return id
    id = while_it_lasts(1, look)
    eventually(lambda: stack.sql_one(f"SELECT settled FROM run_times WHERE execution_id = '{id}'") == "1", 30, "the expiry was looked at")
    release()
    assert client.finished(id)["status"] == "success"


def test_start_of_a_skill(workspace, client):
    skills.probe(workspace, "raise SystemExit(1)")
    path = f"/spaces/{workspace.id}/skills/probe/executions"
    assert client.post(path, json={"inputs": {}, "delay_seconds": "x"}).status_code == 400
    id = client.post(path, json={"inputs": {}, "delay_seconds": 3600, "ttl_seconds": 0.5}).json()["data"]["id"]
    assert client.finished(id)["failure_reason"] == "expired"


def test_items_of_a_batch(stack, client, workflow):
    answer = client.post(f"/workflows/{workflow}/run-batch", json={"items": [
        {"inputs": {"n": i}, "delay_seconds": 0.5 * i} for i in range(4)]}, headers={"Idempotency-Key": "b"}).json()
    assert answer["accepted"] == 4
    assert [client.finished(r["execution_id"])["detail"]["output"] for r in answer["results"]] == [0, 1, 2, 3]
