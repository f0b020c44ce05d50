"""One run through all servers, and a check of the test harness: each of its functions is used once where a failure would show."""
import signal

import pytest

from stack import alive, eventually, kill

pytestmark = pytest.mark.serial


def two_calls(effects):
    return {"steps": [
        {"name": "first", "type": "http", "request": {"method": "POST", "url": effects.url + "/first", "body": {"n": "${/inputs/n}"}}},
        {"name": "second", "type": "http", "request": {"method": "POST", "url": effects.url + "/second"}},
    ], "outputs": {"first": "${/steps/first/result/body}", "status": "${/steps/second/result/status}"}}


def test_run_from_start_to_result(stack, workspace, client, effects):
    effects.answer("/first", body={"answer": 42})
    workflow = workspace.put_workflow(two_calls(effects), name="two calls")
    run = client.finished(client.started(workflow, {"n": 7}, tags=["a"], metadata={"b": 1}))
    assert run["status"] == "success" and run["state"] == "succeeded"
    assert run["workflow_id"] == workflow and run["workflow_name"] == "two calls"
    assert run["workspaceId"] == workspace.id
    assert run["detail"]["output"] == {"first": {"answer": 42}, "status": 200}
    assert run["tags"] == ["a"] and run["metadata"] == {"b": 1}
    assert [(s["index"], s["name"], s["status"]) for s in run["steps"]] == [(0, "first", "completed"), (1, "second", "completed")]
    assert effects.to("/first")[0]["body"] == b'{"n":7}'
    assert effects.count("/first") == effects.count("/second") == 1
    assert workspace.balance() == 999
    assert client.get("/credits").json() == {"balance": 999}
    assert stack.sql_one(f"SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{workspace.id}'") == "999000000"


def test_runs_succeed_while_redis_is_down_and_afterwards(stack, workspace, client, effects):
    workflow = workspace.put_workflow(two_calls(effects))
    stack.kill_server("redis")
    run = client.finished(client.started(workflow, {"n": 1}))
    assert run["status"] == "success"
    stack.start_server("redis")
    assert client.finished(client.started(workflow, {"n": 2}))["status"] == "success"


def test_run_of_a_killed_executor_is_continued_by_another(stack, workspace, client, effects):
    workflow = workspace.put_workflow(two_calls(effects))
    release = effects.hold("/second")
    id = client.started(workflow, {"n": 1})
    effects.wait_for("/second")
    holder = int(stack.sql_one(f"SELECT executor_id FROM executions WHERE id = '{id}'"))
    assert holder > 0
    family = stack.children("executor")
    assert len(family) == 2
    for pid in family:
        kill(pid, signal.SIGKILL)
    eventually(lambda: not any(alive(p) for p in family))
    release()
    run = client.finished(id, seconds=40)
    assert run["status"] == "success"
    assert effects.count("/first") == 1, "a committed step was executed again"
    assert effects.by_key("/second").most_common(1)[0][1] == effects.count("/second") == 2, "the repeated attempt must keep its key"


def test_runs_succeed_after_a_restart_of_each_server(stack, workspace, client, effects):
    workflow = workspace.put_workflow(two_calls(effects))
    for name in ("nginx", "api", "executor", "redis", "mariadb"):
        stack.restart_server(name)
        stack.wait_ready()
        eventually(lambda: client.get("/credits").status_code == 200)
        assert client.finished(client.started(workflow, {"n": 1}))["status"] == "success", name
