"""Waits for signals: a waiting run is parked, a signal is consumed once, first in first out, and waiting costs no time."""
import threading

import pytest

from stack import eventually, while_it_lasts

# Runs that wait for children stay in memory.
SETTINGS = {"executor.processes": "2", "executor.park_after_ms": "600000"}
SIGNAL, CHILD = "4", "3"


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def wait(name="a", signal="go", seconds=600, **fields):
    return step(name, "wait", signal=signal, timeout_seconds=seconds, **fields)


def program(*steps, **fields):
    return {"steps": list(steps), **fields}


def parked(stack, id, waits=1):
    def is_parked():
        assert stack.sql(f"SELECT 1 FROM executions WHERE id = '{id}' AND state > 2") == [], "the run has ended"
        return (stack.sql(f"SELECT reason, due FROM waits WHERE execution_id = '{id}'") == [[SIGNAL, "0"]]
                and len(stack.sql(f"SELECT step FROM signal_waits WHERE execution_id = '{id}'")) == waits)
    eventually(is_parked, 30, "the run is parked for a signal")


def send(client, id, name="go", **kwargs):
    answer = client.post(f"/executions/{id}/signals/{name}", **kwargs)
    assert answer.status_code == 202, answer.text
    return answer.json()["state"]


def events(stack, id, type):
    return stack.sql(f"SELECT data FROM events WHERE execution_id = '{id}' AND type = {type} ORDER BY seq")


@pytest.fixture(autouse=True)
def audited(stack):
    yield
    assert stack.cli("audit")["violations"] == []


def test_a_signal_wakes_the_run(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait(), outputs="${/steps/a/result}")))
    parked(stack, id)
    seen = client.execution(id)
    assert seen["state"] == "running" and seen["steps"][0]["status"] == "running"
    assert '"signal":"go"' in events(stack, id, 20)[0][0] and '"timeout_at"' in events(stack, id, 20)[0][0]
    assert send(client, id, json={"ok": True}) == "delivered"
    output = client.finished(id)["detail"]["output"]
    assert output["name"] == "go" and output["data"] == {"ok": True} and output["by"]["kind"] == "key" and output["at"]
    assert stack.sql(f"SELECT state, data IS NULL FROM signals WHERE execution_id = '{id}'") == [["2", "1"]]
    assert stack.sql(f"SELECT step FROM signal_waits WHERE execution_id = '{id}'") == []
    answer = client.post(f"/executions/{id}/signals/go")
    assert answer.status_code == 409 and answer.json()["code"] == "execution_terminal"


def test_signals_that_come_before_are_kept_in_order(stack, workspace, client, effects):
    release = effects.hold("/hold")
    id = client.started(workspace.put_workflow(program(
        step("h", "http", request={"method": "GET", "url": effects.url + "/hold"}), wait("a"), wait("b"), wait("c", "other", 0.5),
        outputs=["${/steps/a/result/data}", "${/steps/b/result/data}", "${/steps/c/result}"])))
    effects.wait_for("/hold")
    assert [send(client, id, json=n) for n in (1, 2, 3)] == ["kept"] * 3
    assert send(client, id, "unknown") == "kept"
    release()
    assert client.finished(id)["detail"]["output"] == [1, 2, None]
    assert client.delete(f"/executions/{id}").status_code == 204
    assert stack.sql(f"SELECT COUNT(*) FROM signals WHERE execution_id = '{id}' AND data IS NOT NULL") == [["0"]]


def test_timeout_gives_null_and_branches(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow(program(
            wait(seconds=seconds), {**step("late", "transform", value="too late"), "if": {"==": ["${/steps/a/result}", None]}},
            outputs="${/steps/late/result}")))
        parked(stack, id)
        return id
    id = while_it_lasts(1, look)
    assert client.finished(id)["detail"]["output"] == "too late"


def test_the_schema_refuses_on_arrival_and_at_the_wait(stack, workspace, client, effects):
    schema = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}}}
    release = effects.hold("/hold")
    id = client.started(workspace.put_workflow(program(
        step("h", "http", request={"method": "GET", "url": effects.url + "/hold"}), wait(schema=schema), outputs="${/steps/a/result/data}")))
    effects.wait_for("/hold")
    assert send(client, id, json={"ok": 1}) == "kept"
    release()
    eventually(lambda: events(stack, id, 21), 30, "the kept signal is rejected")
    assert "/ok" in events(stack, id, 21)[0][0]
    parked(stack, id)
    answer = client.post(f"/executions/{id}/signals/go", json={"ok": "yes"})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/ok"
    assert send(client, id, json={"ok": False}) == "delivered"
    assert client.finished(id)["detail"]["output"] == {"ok": False}


def test_kept_signals_that_take_long_to_validate(stack, workspace, client, effects):
    """More checks than the loop makes: the compute thread refuses the first and takes the second."""
    schema = {"items": {"anyOf": [{"type": "string"}] * 100 + [{"type": "integer"}]}}
    release = effects.hold("/hold")
    id = client.started(workspace.put_workflow(program(
        step("h", "http", request={"method": "GET", "url": effects.url + "/hold"}), wait(schema=schema), outputs="${/steps/a/result/data}")))
    effects.wait_for("/hold")
    right = list(range(2000))
    assert [send(client, id, json=data) for data in ([*right, None], right)] == ["kept"] * 2
    release()
    assert client.finished(id)["detail"]["output"] == right
    assert len(events(stack, id, 21)) == 1 and "/2000" in events(stack, id, 21)[0][0]


@pytest.mark.parametrize("ends_at_once", [False, True])
def test_waiting_does_not_count_against_the_deadline(stack, workspace, client, ends_at_once):
    # a run that may have children ends in a transaction of its own
    leaf = workspace.put_workflow(program(step("t", "transform", value=1)))
    after = [{**step("w", "workflow", workflow_id=leaf), "if": {"==": [1, 2]}}] if ends_at_once else [step("d", "delay", seconds=0.1)]

    def look(seconds):
        inner = workspace.put_workflow(program(wait(), *after, outputs="${/steps/a/result/data}", timeout_seconds=seconds))
        outer = workspace.put_workflow(program(step("w", "workflow", workflow_id=inner), outputs="${/steps/w/result/outputs}", timeout_seconds=seconds))
        id = client.started(outer)
        return seconds, id, child_that_waits(stack, id)
    seconds, id, child = while_it_lasts(2, look)
    ends = [int(v) for (v,) in stack.sql(f"SELECT deadline_ms - started_ms FROM executions WHERE id IN ('{id}', '{child}')")]
    assert all(v > 600000 for v in ends), "both deadlines move by the timeout of the wait"
    eventually(lambda: stack.sql_one(f"SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 > started_ms + {seconds * 1000 + 500} FROM executions WHERE id = '{id}'") == "1")
    assert send(client, child, json="late") == "delivered"
    assert client.finished(id)["detail"]["output"] == "late"
    ends = [int(v) for (v,) in stack.sql(f"SELECT deadline_ms - ended_ms FROM executions WHERE id IN ('{id}', '{child}')")]
    assert all(v <= seconds * 1000 for v in ends), "what was left of the wait is taken back"


def test_the_deadline_goes_on_after_the_wait(stack, workspace, client):
    def look(seconds):
        id = client.started(workspace.put_workflow(program(wait(), step("d", "delay", seconds=3600), timeout_seconds=seconds)))
        parked(stack, id)
        return id
    id = while_it_lasts(2, look)
    send(client, id)
    assert client.finished(id)["failure_reason"] == "timeout"


def child_that_waits(stack, id):
    def begun():
        child = stack.sql(f"SELECT id FROM executions WHERE parent_id = '{id}'")
        assert child or stack.sql(f"SELECT 1 FROM executions WHERE id = '{id}' AND state > 2") == [], "the run has ended"
        return child
    child = eventually(begun, what="the child")[0][0]
    parked(stack, child)
    return child


def test_the_deadline_of_the_parent_goes_on_after_the_wait(stack, workspace, client):
    inner = workspace.put_workflow(program(wait()))

    def look(seconds):
        id = client.started(workspace.put_workflow(program(
            step("w", "workflow", workflow_id=inner), step("d", "delay", seconds=300), timeout_seconds=seconds)))
        return seconds, id, child_that_waits(stack, id)
    seconds, id, child = while_it_lasts(2, look)
    # the timer of the parent's first deadline has read the moved one
    eventually(lambda: stack.sql_one(f"SELECT UNIX_TIMESTAMP(NOW(3)) * 1000 > started_ms + {seconds * 1000 + 500} FROM executions WHERE id = '{id}'") == "1")
    assert send(client, child) == "delivered"
    assert client.finished(id, 60)["failure_reason"] == "timeout"


def test_another_attempt_keeps_the_deadline_that_a_wait_below_has_moved(stack, workspace, client):
    inner = workspace.put_workflow(program(wait(), outputs="${/steps/a/result/data}"))
    id = client.started(workspace.put_workflow(program(
        step("w", "workflow", workflow_id=inner), outputs="${/steps/w/result/outputs}", timeout_seconds=300)))
    child = child_that_waits(stack, id)
    row = f"SELECT attempt, executor_id > 0, deadline_ms FROM executions WHERE id = '{id}'"
    (before,) = stack.sql(row)
    assert before[:2] == ["0", "1"]
    stack.kill_server("executor", with_children=True)
    stack.start_server("executor")
    eventually(lambda: stack.sql(row)[0][:2] == ["1", "1"], 60, "the second attempt")
    assert stack.sql(row)[0][2] == before[2]
    assert send(client, child, json=1) == "delivered"
    assert client.finished(id, 60)["detail"]["output"] == 1


def test_two_at_once_one_wins(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait("a"), wait("b"), outputs=["${/steps/a/result/data}", "${/steps/b/result/data}"])))
    parked(stack, id)
    states = []
    threads = [threading.Thread(target=lambda n=n: states.append(send(workspace.client(), id, json=n))) for n in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(client.finished(id)["detail"]["output"]) == [0, 1] and "delivered" in states


def test_items_wait_side_by_side(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(
        wait(signal="go-${/item}", for_each=["x", "y", "z"], concurrency=3), outputs="${/steps/a/result}")))
    parked(stack, id, 3)
    assert send(client, id, "go-z", json="third") == "delivered"
    parked(stack, id, 2)
    assert send(client, id, "go-x", json="first") == "delivered" and send(client, id, "go-y", json="second") in ("delivered", "kept")
    assert [r["data"] for r in client.finished(id)["detail"]["output"]] == ["first", "second", "third"]


def test_stop_while_waiting_and_retry(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait())))
    parked(stack, id)
    assert client.post(f"/executions/{id}/retry").status_code == 409
    assert client.post(f"/executions/{id}/stop").status_code == 200
    assert client.post(f"/executions/{id}/signals/go").status_code == 409
    again = client.post(f"/executions/{id}/retry").json()["execution_id"]
    parked(stack, again)
    send(client, again)
    assert client.finished(again)["status"] == "success"


def test_key_limits_and_wrong_requests(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait(signal="never"))))
    parked(stack, id)
    keyed = {"headers": {"Idempotency-Key": "s"}, "json": 1}
    first, again = (client.post(f"/executions/{id}/signals/x", **keyed) for _ in range(2))
    assert again.json() == first.json() and again.headers["Idempotent-Replayed"] == "true"
    assert client.post(f"/executions/{id}/signals/x", headers=keyed["headers"], json=2).status_code == 422
    for _ in range(99):
        assert send(client, id, "x") == "kept"
    assert client.post(f"/executions/{id}/signals/x").json()["code"] == "too_many_signals"
    assert client.post(f"/executions/{id}/signals/a%20b").status_code == 400
    assert client.post(f"/executions/{id}/signals/x", data="{").status_code == 400
    assert stack.workspace().client().post(f"/executions/{id}/signals/x").status_code == 404
    assert workspace.client("executions:read").post(f"/executions/{id}/signals/x").status_code == 403
    assert client.post(f"/executions/{id}/stop").status_code == 200


def test_signals_in_all_are_limited(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait())))
    parked(stack, id)
    stack.sql(f"INSERT INTO signals (execution_id, seq, id, name, state, at_ms, sender) VALUES ('{id}', 19999, UUID(), 'x', 2, 1, '{{}}')")
    assert send(client, id, "x") == "kept"
    answer = client.post(f"/executions/{id}/signals/go")
    assert answer.status_code == 409 and answer.json()["code"] == "too_many_signals" and "20000" in answer.json()["detail"]
    assert client.post(f"/executions/{id}/stop").status_code == 200


def test_bytes_are_limited(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait(signal="never"))))
    parked(stack, id)
    assert client.post(f"/executions/{id}/signals/x", json="x" * 70000).status_code == 413
    sent = 0
    while client.post(f"/executions/{id}/signals/x", json="x" * 65000).status_code == 202:
        sent += 1
    assert sent == 1024 * 1024 // 65002
    assert client.post(f"/executions/{id}/stop").status_code == 200


@pytest.mark.parametrize("fields, pointer", [
    ({"timeout_seconds": None}, "/program/steps/0/timeout_seconds"), ({"timeout_seconds": 366 * 86400 + 1}, "/program/steps/0/timeout_seconds"),
    ({"signal": "a b"}, "/program/steps/0/signal"), ({"signal": ""}, "/program/steps/0/signal"), ({"retry": {"max_attempts": 2}}, "/program/steps/0/retry"),
    ({"schema": {"type": "strange"}}, "/program/steps/0/schema/type"), ({"seconds": 1}, "/program/steps/0/seconds")])
def test_wrong_programs(client, fields, pointer):
    s = {k: v for k, v in {**wait(), **fields}.items() if v is not None}
    answer = client.post("/workflows", json={"name": "w", "program": program(s)})
    assert answer.status_code == 422 and [e["pointer"] for e in answer.json()["errors"]] == [pointer]


def test_executors_that_die_and_return_lose_no_signal(stack, workspace, client):
    id = client.started(workspace.put_workflow(program(wait("a"), wait("b"), outputs=["${/steps/a/result/data}", "${/steps/b/result/data}"])))
    parked(stack, id)
    stack.kill_server("executor", with_children=True)
    assert send(client, id, json=1) == "delivered" and send(client, id, json=2) == "kept"
    stack.start_server("executor")
    assert client.finished(id, 60)["detail"]["output"] == [1, 2]


def test_a_signal_is_consumed_with_the_result_of_its_wait(stack):
    """Also if the turn of the run ends in between: a signal that was consumed by itself would be lost with the executor."""
    workspace = stack.workspace(credits=1000)
    client = workspace.client()
    numbers = list(range(5000))  # reading them takes most of a turn, so that many turns end when the wait does
    flow = workspace.put_workflow(program(wait(schema={"type": "array", "items": {"type": "integer", "minimum": 0}})))
    runs = [result["execution_id"] for _ in range(6) for result in client.post(f"/workflows/{flow}/run-batch", json={"items": [{"inputs": {}}] * 100}).json()["results"]]
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}' AND reason = {SIGNAL}") == "600", 60, "all runs wait")
    stack.stop_server("executor")
    for run in runs:
        assert send(client, run, json=numbers) == "delivered"
    stack.start_server("executor")

    def all_ended():
        alone = stack.sql("SELECT s.execution_id FROM signals s JOIN execution_steps t ON t.execution_id = s.execution_id AND t.step = s.step AND t.item = s.item "
                          "WHERE s.state = 2 AND t.status = 1 LIMIT 1")
        assert alone == [], f"the signal of {alone[0][0]} is consumed, and its wait goes on"
        return stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state = 3") == "600"
    eventually(all_ended, 60, "all runs end")
