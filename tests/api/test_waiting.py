"""`Prefer: wait` and `?wait`: the response comes when the run has ended, and a waiting request occupies no worker.

That a response did not wait is told from a wait that is much longer than a busy machine needs for any response."""
import concurrent.futures
import json
import time

import pytest

from stack import PATIENCE_S, eventually, revoked

pytestmark = pytest.mark.serial
SETTINGS = {"api.rate_limit_per_minute": "1000000", "api.workers": "2"}
QUICK = {"steps": [{"name": "a", "type": "transform", "value": {"x": 1}}]}


def held(effects):
    return {"steps": [{"name": "b", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}}]}


def run(client, workflow, wait, key=None):
    headers = {"Prefer": wait, **({"Idempotency-Key": key} if key else {})}
    return client.post(f"/workflows/{workflow}/run-async", headers=headers)


def test_run_that_ends_in_time_is_returned(stack, workspace, client):
    answer = run(client, workspace.put_workflow(QUICK), "wait=60")
    assert answer.status_code == 200 and answer.headers["Preference-Applied"] == "wait"
    whole = answer.json()
    assert whole["status"] == "success" and whole["detail"]["output"] == {"x": 1}
    assert client.execution(whole["id"], steps=False) == whole
    assert answer.headers["X-RateLimit-Limit"] == "1000000" and answer.headers["X-Request-Id"]
    assert answer.headers["Content-Type"] == "application/json"


def test_run_that_fails_in_time_is_returned(stack, workspace, client):
    answer = run(client, workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "no"}]}), "wait=60")
    assert (answer.status_code, answer.json()["status"]) == (200, "failed")


def test_run_that_takes_longer_is_202(stack, workspace, client, effects):
    release = effects.hold("/hold")
    began = time.monotonic()
    answer = run(client, workspace.put_workflow(held(effects)), "respond-async, wait=1", key="k")
    assert time.monotonic() - began > 0.9
    assert answer.status_code == 202 and "Preference-Applied" not in answer.headers
    plain = client.post(answer.request.path_url.removeprefix("/api/v1"), headers={"Idempotency-Key": "k"})
    assert (plain.status_code, plain.content) == (202, answer.content)
    assert plain.headers["Idempotent-Replayed"] == "true"
    # a replay waits again, for the same execution
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, client, answer.json()["workflow_id"], "wait=60", "k")
        time.sleep(0.3)
        release()
        again = waiting.result()
    assert again.status_code == 200 and again.json()["id"] == answer.json()["execution_id"]
    assert again.headers["Idempotent-Replayed"] == again.headers["X-Idempotent-Replayed"] == "true"
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"


@pytest.mark.parametrize("prefer", ["wait=0", "wait=-1", "wait=x", "wait", "return=minimal", "awaits=60"])
def test_invalid_preferences_are_ignored(stack, workspace, client, effects, prefer):
    release = effects.hold("/hold")
    answer = run(client, workspace.put_workflow(held(effects)), prefer)
    assert answer.status_code == 202 and answer.elapsed.total_seconds() < 50
    release()


def test_rejected_requests_do_not_wait(stack, workspace, client):
    assert run(client, "01900000-0000-7000-8000-000000000000", "wait=10").status_code == 404
    poor = stack.workspace(credits=0)
    assert run(poor.client(), poor.put_workflow(QUICK), "wait=10").status_code == 402


def test_long_poll_returns_at_the_end_of_the_run(stack, workspace, client, effects):
    release = effects.hold("/hold")
    execution = client.started(workspace.put_workflow(held(effects)))
    answer = client.get(f"/executions/{execution}", params={"wait": 1})
    assert answer.status_code == 200 and answer.json()["state"] in ("queued", "running")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(client.get, f"/executions/{execution}", params={"wait": 60, "include_step_results": "true"})
        time.sleep(0.3)
        release()
        answer = waiting.result()
    assert answer.json()["state"] == "succeeded" and answer.json()["steps"][0]["status"] == "completed"
    assert answer.json() == client.execution(execution)
    # a terminal execution is returned at once, with the same ETag as without a wait
    again = client.get(f"/executions/{execution}", params={"wait": 60, "include_step_results": "true"},
                       headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    for wrong in ("61", "-1", "x"):
        assert client.get(f"/executions/{execution}", params={"wait": wrong}).status_code == 400


def test_waiting_requests_hold_no_worker(stack, workspace, client, effects):
    release = effects.hold("/hold")
    workflow = workspace.put_workflow(held(effects))
    with concurrent.futures.ThreadPoolExecutor(60) as pool:
        waiting = [pool.submit(run, client, workflow, "wait=60") for _ in range(50)]
        effects.wait_for("/hold", 10)
        for _ in range(20):
            assert client.get("/credits").status_code == 200
        assert not any(w.done() for w in waiting)
        release()
        assert [w.result().status_code for w in waiting] == [200] * 50


def test_wait_works_without_redis(stack, workspace, client, effects):
    workflow = workspace.put_workflow(QUICK)
    stack.kill_server("redis")
    try:
        answer = run(client, workflow, "wait=60")
        assert answer.status_code == 200 and answer.elapsed.total_seconds() < 50
    finally:
        stack.start_server("redis")


def test_forged_redis_message_does_not_change_the_response(stack, workspace, client, effects):
    """A terminal event from Redis only ends the wait. The response is read from MariaDB."""
    release = effects.hold("/hold")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, client, workspace.put_workflow(held(effects)), "wait=30")
        effects.wait_for("/hold")
        execution = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}'")
        lie = json.dumps({"execution_id": execution, "seq": 9, "type": "execution.succeeded", "at": "2026-01-01T00:00:00.000Z", "data": {}},
                         separators=(",", ":"))
        eventually(lambda: stack.redis("PUBLISH", f"millrace:events:{execution}", lie) == 1, 10, "a subscriber for the message")
        answer = waiting.result()
    assert answer.status_code == 202 and answer.json()["status"] == "running" and "Preference-Applied" not in answer.headers
    release()
    assert client.finished(execution)["status"] == "success"


def test_requests_do_not_wait_without_the_stream_daemon(stack, workspace, client):
    """An accepted run is still answered with 202, only without the wait."""
    workflow = workspace.put_workflow(QUICK)
    stack.kill_server("stream")
    try:
        stack.stop_server("executor")
        answer = run(client, workflow, "wait=10", key="k")
        assert answer.status_code == 202 and "Preference-Applied" not in answer.headers
        answer = client.get(f"/executions/{answer.json()['execution_id']}", params={"wait": 10})
        assert answer.status_code == 200 and answer.json()["state"] == "queued"
    finally:
        stack.start_server("stream")
        stack.start_server("executor")
    eventually(lambda: run(client, workflow, "wait=10", key="k").status_code == 200, 15, "a replay with the finished execution")


def test_killed_stream_daemon_ends_the_wait(stack, workspace, client, effects):
    release = effects.hold("/hold")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(run, client, workspace.put_workflow(held(effects)), "wait=60")
        effects.wait_for("/hold")
        time.sleep(0.2)
        stack.kill_server("stream")
        assert waiting.result().status_code == 202
    stack.start_server("stream")
    release()


def test_key_revoked_during_a_wait_is_401(stack, workspace, client, effects):
    release = effects.hold("/hold")
    made = workspace.key("workflows:execute")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        other = type(client)(stack.url, made["key"])
        waiting = pool.submit(run, other, workspace.put_workflow(held(effects)), "wait=60")
        effects.wait_for("/hold")
        stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
        revoked(lambda: other.get("/credits").status_code == 401)
        release()
        assert waiting.result().status_code == 401
