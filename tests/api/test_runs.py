"""Runs with every kind of step, from acceptance to their end, on a real stack."""
import json
import socket
import threading
import time

import pytest
from stack import eventually, while_it_lasts

SETTINGS = {"executor.max_active": "4", "api.rate_limit_per_minute": "1000000"}


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url, method="GET", **fields):
    request = {"method": method, "url": url, **fields.pop("request", {})}
    return step(name, "http", request=request, **fields)


@pytest.fixture
def run(workspace, client):
    """run(steps, inputs=None, **program) executes a workflow and returns the finished execution."""
    def run(steps, inputs=None, seconds=20, **program):
        workflow = workspace.put_workflow({"steps": steps, **program})
        return client.finished(client.started(workflow, inputs), seconds)
    return run


def ok(execution):
    assert execution["status"] == "success", (execution["failure_reason"], execution["error"], execution["steps"])
    return execution["detail"]["output"]


def events(stack, execution):
    rows = stack.sql(f"SELECT seq, type FROM events WHERE execution_id = '{execution['id']}' ORDER BY seq")
    assert [int(r[0]) for r in rows] == list(range(1, len(rows) + 1))
    return [int(r[1]) for r in rows]


def test_values_keep_their_types(run):
    done = run([step("a", "transform", value={"n": "${/inputs/n}", "text": "n is ${/inputs/n}", "whole": "${/inputs}"}),
                step("b", "transform", value=["${/steps/a/result/n}", "${/steps/a/status}", "${/execution/id}"])],
               {"n": 1.5, "list": [1, None, True]}, outputs={"b": "${/steps/b/result}", "a": "${/steps/a/result}"})
    assert ok(done) == {"b": [1.5, "completed", done["id"]],
                        "a": {"n": 1.5, "text": "n is 1.5", "whole": {"n": 1.5, "list": [1, None, True]}}}
    assert [s["status"] for s in done["steps"]] == ["completed", "completed"]
    assert done["failure_reason"] is None and done["error"] is None


def test_events_are_numbered_and_end_once(stack, run):
    done = run([step("a", "transform", value=1), step("b", "transform", value=2, **{"if": False}), step("c", "delay", seconds=0)])
    assert events(stack, done) == [1, 2, 3, 4, 6, 3, 4, 12]


def test_missing_reference_fails_the_step(run, workspace):
    done = run([step("a", "transform", value="${/inputs/missing}"), step("b", "transform", value=1)])
    assert (done["status"], done["failure_reason"]) == ("failed", "step_failed")
    assert "step a" in done["error"] and "/inputs/missing" in done["error"]
    assert [s["status"] for s in done["steps"]] == ["failed", "pending"]


def test_http_responses_become_results(run, effects):
    effects.answer("/json", 201, {"a": [1, 2]}, {"X-Thing": "yes"})
    effects.answer("/text", 200, b"caf\xc3\xa9 \xff", {"Content-Type": "text/plain"})
    effects.answer("/empty", 204, b"")
    done = run([http("json", effects.url + "/json", "POST", request={
                    "query": {"q": "a b&c", "list": [1, 2]}, "headers": {"X-Mine": "${/inputs/x}"}, "body": {"x": "${/inputs/x}"}}),
                http("text", effects.url + "/text"), http("empty", effects.url + "/empty")], {"x": "y z"},
               outputs=["${/steps/json/result/status}", "${/steps/json/result/headers/x-thing}", "${/steps/json/result/body/a/1}",
                        "${/steps/text/result/body}", "${/steps/empty/result/body}"])
    assert ok(done) == [201, "yes", 2, "café �", None]
    call = effects.to("/json")[0]
    assert (call["method"], call["target"]) == ("POST", "/json?q=a%20b%26c&list=1&list=2")
    assert json.loads(call["body"]) == {"x": "y z"} and call["headers"]["x-mine"] == "y z"
    assert call["headers"]["content-type"] == "application/json"
    assert call["key"].startswith(done["id"])


def test_unexpected_status_fails_without_retry(run, effects):
    effects.answer("/gone", 404)
    done = run([http("a", effects.url + "/gone", retry={"max_attempts": 3, "backoff_seconds": 0})])
    assert done["failure_reason"] == "step_failed" and "404" in done["error"]
    assert effects.count("/gone") == 1
    assert ok(run([http("a", effects.url + "/gone", expect_status=[404])]))["status"] == 404


def test_retries_after_a_response_have_new_keys(run, effects):
    effects.answer("/busy", 503, times=1)
    effects.answer("/busy", 429, headers={"Retry-After": "1"}, times=1)
    done = run([http("a", effects.url + "/busy", retry={"max_attempts": 5, "backoff_seconds": 0})])
    assert ok(done)["status"] == 200
    calls = effects.to("/busy")
    assert len({c["key"] for c in calls}) == len(calls) == 3
    assert calls[2]["at"] - calls[1]["at"] >= 1, "Retry-After must be respected"
    assert done["steps"][0]["attempts"] == 3


def test_retries_without_a_response_have_the_same_key(run, effects):
    release = effects.hold("/slow")
    threading.Timer(1.5, release).start()
    done = run([http("a", effects.url + "/slow", timeout_seconds=0.5, retry={"max_attempts": 8, "backoff_seconds": 0.1})])
    assert ok(done)["status"] == 200
    assert done["steps"][0]["attempts"] > 1
    assert len(effects.by_key("/slow")) == 1


def test_closed_connection_is_a_transport_error(run):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8)
        taken = []

        def hang_up():
            for _ in range(2):
                connection, _ = listener.accept()
                taken.append(connection.recv(65536))
                connection.close()
        thread = threading.Thread(target=hang_up)
        thread.start()
        done = run([http("a", f"http://127.0.0.1:{listener.getsockname()[1]}/", "POST",
                         retry={"max_attempts": 2, "backoff_seconds": 0})])
        thread.join()
    assert done["failure_reason"] == "step_failed" and "no response" in done["error"]
    keys = {line for request in taken for line in request.split(b"\r\n") if line.lower().startswith(b"idempotency-key")}
    assert len(taken) == 2 and len(keys) == 1


def test_step_timeout_fails_the_step(run, effects):
    release = effects.hold("/slow")
    done = run([http("a", effects.url + "/slow", timeout_seconds=0.3)])
    release()
    assert done["failure_reason"] == "step_failed" and "timed out after 0.3 s" in done["error"]


def test_for_each_keeps_order_and_concurrency(run, effects):
    items = list(range(12))
    for i in items:
        effects.answer(f"/i/{i}", body={"i": i}, delay=0.05 * (i % 3))
    done = run([http("a", effects.url + "/i/${/item}", for_each="${/inputs/items}", concurrency=4),
                step("b", "transform", for_each="${/steps/a/result}", value=["${/index}", "${/item/body/i}"]),
                step("c", "transform", for_each="${/inputs/items}", value="${/item}", **{"if": {">": ["${/index}", 9]}})],
               {"items": items}, outputs={"b": "${/steps/b/result}", "c": "${/steps/c/result}"})
    assert ok(done) == {"b": [[i, i] for i in items], "c": [None] * 10 + [10, 11]}
    assert all(effects.count(f"/i/{i}") == 1 for i in items)
    assert len({c["key"] for i in items for c in effects.to(f"/i/{i}")}) == len(items)


def test_for_each_over_empty_and_large_lists(run):
    assert ok(run([step("a", "transform", for_each=[], value=1)])) == []
    many = run([step("a", "transform", for_each="${/inputs/items}", value="${/index}")], {"items": [0] * 10000}, 30)
    assert ok(many) == list(range(10000))
    over = run([step("a", "transform", for_each="${/inputs/items}", value=1)], {"items": [0] * 10001})
    assert over["failure_reason"] == "step_failed" and "10000" in over["error"]


def test_failed_item_fails_its_step(run, effects):
    effects.answer("/i/1", 400)
    done = run([http("a", effects.url + "/i/${/item}", for_each=[0, 1, 2], on_error="continue"),
                step("b", "transform", value=["${/steps/a/status}", "${/steps/a/result/status}", "${/steps/a/error}"])])
    assert ok(done) == ["failed", 400, "item 1: unexpected response status 400"]
    assert [s["status"] for s in done["steps"]] == ["failed", "completed"]
    assert effects.count("/i/2") == 0


def test_fail_if_and_on_error_are_applied(run):
    done = run([step("a", "fail", message="no ${/inputs/what}", on_error="continue"),
                step("b", "transform", value=1, **{"if": {"==": ["${/steps/a/status}", "completed"]}}),
                step("c", "transform", value="${/steps/a/error}"),
                step("d", "fail", message="enough")], {"what": "way"})
    assert (done["failure_reason"], done["error"]) == ("step_failed", "step d: enough")
    assert [s["status"] for s in done["steps"]] == ["failed", "skipped", "completed", "failed"]
    assert done["steps"][0]["error"] == "no way" == done["steps"][2]["result"]


@pytest.mark.serial
def test_delays_hold_no_slot(workspace, client):
    """24 concurrent runs in delays, on two processes of four slots each."""
    workflow = workspace.put_workflow({"steps": [step("a", "delay", seconds=1.5), step("b", "transform", value="x")]})
    began = time.monotonic()
    ids = [client.started(workflow) for _ in range(24)]
    for id in ids:
        execution = client.finished(id)
        assert ok(execution) == "x"
    assert 1.5 <= time.monotonic() - began < 6


def test_delay_longer_than_its_timeout_fails(run):
    done = run([step("a", "delay", seconds=30, timeout_seconds=0.2)])
    assert "timed out after 0.2 s" in done["error"]


def test_run_timeout_fails_the_run(stack, run, effects):
    release = effects.hold("/slow")

    def look(seconds):
        done = run([http("a", effects.url + "/slow")], timeout_seconds=seconds)
        assert (done["status"], done["failure_reason"]) == ("failed", "timeout")
        assert done["steps"][0]["status"] == "failed"  # it was begun within the time limit
        assert events(stack, done) == [1, 2, 3, 5, 13]
    while_it_lasts(1, look)
    release()


def test_child_workflows_return_their_outputs(stack, workspace, client):
    child = workspace.put_workflow({"inputs": {"type": "object", "required": ["n"]},
                                    "steps": [step("a", "transform", value={"n": "${/inputs/n}"})]})
    parent = workspace.put_workflow({"steps": [
        step("one", "workflow", workflow_id=child, inputs={"n": "${/inputs/n}"}),
        step("many", "workflow", workflow_id=child, for_each=[1, 2, 3], concurrency=3, inputs={"n": "${/item}"})]})
    before = workspace.balance()
    done = client.finished(client.started(parent, {"n": 7}))
    result = done["steps"][0]["result"]
    assert result["outputs"] == {"n": 7}
    assert [r["outputs"]["n"] for r in done["steps"][1]["result"]] == [1, 2, 3]
    one = client.execution(result["execution_id"])
    assert (one["parentId"], one["status"], one["detail"]["source"]) == (done["id"], "success", "workflow")
    assert before - workspace.balance() == 5
    assert events(stack, done).count(10) == 4


def test_failed_child_fails_its_step(workspace, client):
    bad = workspace.put_workflow({"inputs": {"type": "object", "required": ["n"]}, "steps": [step("a", "fail", message="oh no")]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=bad, inputs={"n": 1})]})
    done = client.finished(client.started(parent))
    assert done["failure_reason"] == "step_failed" and "oh no" in done["error"]
    wrong = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=bad, inputs={})]})
    assert "the inputs are not valid for the" in client.finished(client.started(wrong))["error"]


def test_large_children_are_compiled_and_validated_apart(workspace, client):
    """A program and inputs of more than 16 KiB: the compute thread has the child until it can be accepted."""
    child = workspace.put_workflow({"inputs": {"properties": {"l": {"items": {"type": "integer"}, "uniqueItems": True}}},
                                    "steps": [step("a", "transform", value={"n": "${/inputs/n}", "text": "x" * 40000})],
                                    "outputs": "${/steps/a/result/n}"})
    parent = workspace.put_workflow({"steps": [
        step("a", "workflow", workflow_id=child, for_each=[1, 2, 3], concurrency=3, inputs={"n": "${/item}", "l": "${/inputs/l}"})]})
    done = client.finished(client.started(parent, {"l": list(range(5000))}))
    assert done["status"] == "success", done["error"]
    assert [r["outputs"] for r in done["steps"][0]["result"]] == [1, 2, 3]
    wrong = client.finished(client.started(parent, {"l": [*range(4999), "x"]}))
    assert wrong["failure_reason"] == "step_failed" and "the inputs are not valid for the workflow: /l/4999" in wrong["error"]


def test_child_without_credits_fails_its_step(stack):
    workspace = stack.workspace(credits=1)
    client = workspace.client()
    child = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)]})
    done = client.finished(client.started(parent))
    assert done["failure_reason"] == "insufficient_credits"
    assert workspace.balance() == 0


def test_waiting_parents_leave_slots_for_their_children(workspace, client):
    child = workspace.put_workflow({"steps": [step("a", "delay", seconds=0.1)]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)]})
    for id in [client.started(parent) for _ in range(30)]:
        ok(client.finished(id, 30))


def copied(stack, id, copy, parent, root):
    """Inserts another queued run below `parent`, as if it had been accepted as `copy`."""
    names = [r[0] for r in stack.sql("SELECT column_name FROM information_schema.columns WHERE table_name = 'executions' "
                                     "AND table_schema = DATABASE() ORDER BY ordinal_position")]
    given = {"id": f"'{copy}'", "parent_id": f"'{parent}'", "root_id": f"'{root}'", "cost": "0"}
    stack.sql(f"INSERT INTO executions ({','.join(names)}) SELECT {','.join(given.get(n, n) for n in names)} "
              f"FROM executions WHERE id = '{id}'")
    stack.sql(f"INSERT INTO execution_children VALUES ('{root}', '{copy}', '{parent}', 0, -1, 1)")


def test_tree_with_a_child_id_below_its_parents_is_stopped(stack, workspace, client):
    """The clock was set back, so that the id of the child is less than that of its parent."""
    stack.stop_server("executor")
    root = client.started(workspace.put_workflow({"steps": [step("a", "transform", value=1)]}))
    below = [root[:-3] + tail for tail in ("003", "002", "001")]
    for parent, id in zip([root] + below, below):
        copied(stack, root, id, parent, root)
    assert client.post(f"/executions/{root}/stop").status_code == 200
    assert stack.sql(f"SELECT state FROM executions WHERE root_id = '{root}'") == [["5"]] * 4
    stack.start_server("executor")


def test_stop_ends_the_whole_tree(stack, workspace, client, effects):
    release = effects.hold("/slow")
    child = workspace.put_workflow({"steps": [http("a", effects.url + "/slow"), http("b", effects.url + "/after")]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child), http("b", effects.url + "/after")]})
    id = client.started(parent)
    effects.wait_for("/slow")
    assert client.post(f"/executions/{id}/stop").json() == {"execution_id": id, "status": "stopped"}
    children = stack.sql(f"SELECT id, state FROM executions WHERE parent_id = '{id}'")
    assert [row[1] for row in children] == ["5"]
    eventually(lambda: stack.log("executor").count(f"run.cancelled execution={id}") == 1
               and f"run.cancelled execution={children[0][0]}" in stack.log("executor"), 10, "both runs cancelled")
    release()
    other = workspace.put_workflow({"steps": [http("a", effects.url + "/fence")]})
    ok(client.finished(client.started(other)))
    assert effects.count("/after") == 0
    assert client.execution(id)["status"] == "stopped"


def test_end_of_a_run_stops_its_children(stack, workspace, client, effects):
    release = effects.hold("/slow")
    child = workspace.put_workflow({"steps": [http("a", effects.url + "/slow")]})

    def look(seconds):
        parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)], "timeout_seconds": seconds})
        done = client.finished(client.started(parent))
        assert done["failure_reason"] == "timeout"
        states = stack.sql(f"SELECT state FROM executions WHERE parent_id = '{done['id']}'")
        assert states in ([["5"]], [["4"]])  # the deadline of the child is that of its parent
    while_it_lasts(1, look)
    release()


def test_results_above_the_limits_fail(run, effects):
    effects.answer("/big", body=b"x" * 300000, headers={"Content-Type": "text/plain"})
    assert "256 KiB" in run([http("a", effects.url + "/big")])["error"]
    assert "262144" in (run([step("a", "transform", value="${/inputs/t}${/inputs/t}")], {"t": "x" * 200000})["error"])
    text = "x" * 250000
    much = run([step(f"s{i}", "transform", value="${/inputs/t}") for i in range(20)], {"t": text}, outputs=1)
    assert (much["failure_reason"], [s["status"] for s in much["steps"]].count("completed")) == ("output_limit", 17)
    late = run([step("a", "transform", value=1)], outputs="${/steps/a/result/nothing}")
    assert late["failure_reason"] == "outputs_invalid"


def test_evaluations_above_the_limit_of_work_fail(run):
    """One search of a long list is fine; 300 in one condition are not. The step may be allowed to fail."""
    numbers = {"l": list(range(60000))}
    search = {"in": ["x", "${/inputs/l}"]}
    assert run([step("a", "transform", value=1, **{"if": search})], numbers)["status"] == "success"
    much = {"or": [search] * 300}
    done = run([step("a", "transform", value=1, **{"if": much})], numbers)
    assert (done["status"], done["failure_reason"]) == ("failed", "limit_exceeded"), done
    assert done["error"] == "step a: the evaluation exceeds the limit of 1000000 units of work"
    done = run([step("a", "transform", value=1, for_each=[1, 2], **{"if": {"and": [much, "${/item}"]}})], numbers)
    assert done["failure_reason"] == "limit_exceeded" and "item 0: " in done["error"], done
    done = run([step("a", "transform", value=1, on_error="continue", **{"if": much}), step("b", "transform", value="${/steps/a/status}")],
               numbers, outputs="${/steps/b/result}")
    assert done["status"] == "success", done
    done = run([step("a", "transform", value=1)], numbers, outputs=[["x${/inputs/l/0}"] * 1000] * 25)
    assert done["failure_reason"] == "limit_exceeded", done


def test_private_addresses_are_rejected(run, effects):
    """127.0.0.0/8 is allowed in this stack. Other private addresses are rejected, after a redirect and in other notations, too."""
    for url in ("http://10.255.255.1/", "http://[::1]/", "http://169.254.169.254/", "http://0x0a000001/",
                "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/"):
        done = run([http("a", url, timeout_seconds=5)])
        assert "not public" in done["error"], (url, done["error"])
    effects.answer("/to", 302, headers={"Location": "http://10.255.255.1/"})
    assert "not public" in run([http("a", effects.url + "/to", timeout_seconds=5)])["error"]


def test_redirects_are_followed_within_limits(run, effects):
    effects.answer("/a", 302, headers={"Location": "/b"})
    effects.answer("/post", 307, headers={"Location": "/b"})
    effects.answer("/loop", 302, headers={"Location": "/loop"})
    effects.answer("/far", 302, headers={"Location": effects.url.replace("127.0.0.1", "127.0.0.2") + "/b"})
    assert ok(run([http("a", effects.url + "/a", request={"headers": {"X-Mine": "1"}})]))["body"]["path"] == "/b"
    assert effects.to("/b")[-1]["headers"]["x-mine"] == "1"
    assert ok(run([http("a", effects.url + "/post", "POST", request={"body": "data"})]))["body"]["path"] == "/b"
    assert (effects.to("/b")[-1]["method"], effects.to("/b")[-1]["body"]) == ("POST", b"data")
    assert "302" in run([http("a", effects.url + "/loop")])["error"]
    assert effects.count("/loop") == 6


def test_a_later_step_does_not_show_the_secret_of_an_earlier_one(stack, workspace, client, effects):
    stack.cli("secret", "set", "--workspace", workspace.id, "LOGIN", text="hunter2-of-the-login")
    effects.answer("/me", body={"password": "hunter2-of-the-login"})
    workflow = workspace.put_workflow({"steps": [
        http("before", effects.url + "/me"),
        http("login", effects.url + "/login", request={"headers": {"A": "${/secrets/LOGIN}"}}),
        http("me", effects.url + "/me")]})
    run = client.started(workflow)
    done = client.finished(run)
    assert ok(done)["body"] == {"password": "[redacted]"} and "hunter2" not in json.dumps(done)
    results = [row[0] for row in stack.sql(f"SELECT result FROM execution_steps WHERE execution_id = '{run}' ORDER BY step")]
    assert "[redacted]" in results[0] and "[redacted]" in results[2] and "hunter2" not in str(results)
    # a secret of another step that does not exist fails that step only
    other = workspace.put_workflow({"steps": [
        http("first", effects.url + "/first"),
        http("second", effects.url + "/second", request={"headers": {"A": "${/secrets/NOPE}"}})]})
    done = client.finished(client.started(other))
    assert done["error"] == "step second: secret NOPE does not exist" and effects.count("/first") == 1


def test_secrets_are_used_and_redacted(stack, workspace, client, effects):
    value = "s3cr3t/&=+value"
    stack.cli("secret", "set", "--workspace", workspace.id, "TOKEN", text=value)
    effects.answer("/echo", body={"echo": value, "list": ["Bearer " + value]}, headers={"X-Echo": value})
    workflow = workspace.put_workflow({"steps": [
        http("a", effects.url + "/echo?t=${/secrets/TOKEN}", "POST",
             request={"headers": {"Authorization": "Bearer ${/secrets/TOKEN}"}, "body": {"t": "${/secrets/TOKEN}"}})]})
    done = client.finished(client.started(workflow))
    call = effects.to("/echo")[0]
    assert call["headers"]["authorization"] == "Bearer " + value and json.loads(call["body"]) == {"t": value}
    assert ok(done)["body"] == {"echo": "[redacted]", "list": ["Bearer [redacted]"]}
    assert ok(done)["headers"]["x-echo"] == "[redacted]"
    stored = stack.sql(f"SELECT result FROM execution_steps WHERE execution_id = '{done['id']}' UNION ALL "
                       f"SELECT output FROM executions WHERE id = '{done['id']}' UNION ALL "
                       f"SELECT data FROM events WHERE execution_id = '{done['id']}'")
    assert value not in str(stored) and value not in stack.log("executor")
    missing = workspace.put_workflow({"steps": [http("a", effects.url + "/x", request={"headers": {"A": "${/secrets/NOPE}"}})]})
    assert "NOPE" in client.finished(client.started(missing))["error"]
    assert effects.count("/x") == 0


def test_active_run_keeps_its_version(workspace, client, effects):
    release = effects.hold("/slow")
    program = {"steps": [http("a", effects.url + "/slow"), step("b", "transform", value="old")]}
    workflow = workspace.put_workflow(program)
    id = client.started(workflow)
    effects.wait_for("/slow")
    program["steps"][1]["value"] = "new"
    assert client.put(f"/workflows/{workflow}", json={"name": "test", "program": program}).status_code == 200
    release()
    assert ok(client.finished(id)) == "old"
    assert ok(client.finished(client.started(workflow))) == "new"


def test_active_count_returns_to_zero(stack, effects):
    workspace = stack.workspace(max_concurrent=2)
    client = workspace.client()
    release = effects.hold("/held")
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/held")]})
    ids = [client.started(workflow) for _ in range(2)]
    assert client.run(workflow).status_code == 429
    release()
    for id in ids:
        client.finished(id)
    ok(client.finished(client.started(workflow)))
    assert stack.sql_one(f"SELECT active FROM accounts WHERE workspace_id = '{workspace.id}'") == "0"


def test_runs_finish_without_redis(stack, workspace, client):
    workflow = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    stack.stop_server("redis")
    try:
        for _ in range(3):
            ok(client.finished(client.started(workflow)))
    finally:
        stack.start_server("redis")
    ok(client.finished(client.started(workflow)))
    key = f"millrace:credits:{workspace.id}"
    eventually(lambda: stack.redis("HGET", key, "balance") == str(int(workspace.balance() * 1000000)), 15, "the corrected balance in Redis")


def test_run_continues_after_an_outage_of_mariadb(stack, workspace, client, effects):
    release = effects.hold("/slow")
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/slow"), http("b", effects.url + "/b")]})
    id = client.started(workflow)
    effects.wait_for("/slow")
    stack.kill_server("mariadb")
    release()
    stack.start_server("mariadb")
    ok(client.finished(id))
    assert (effects.count("/slow"), effects.count("/b")) == (1, 1)


def test_a_tree_grows_to_10000_executions_exactly(stack, workspace, client, effects):
    release = effects.hold("/wait")
    child = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    parent = workspace.put_workflow({"steps": [
        {"name": "first", "type": "workflow", "workflow_id": child},
        http("wait", effects.url + "/wait"),
        {"name": "more", "type": "workflow", "workflow_id": child, "for_each": [1, 2, 3], "on_error": "continue"}]})
    run = client.started(parent)
    eventually(lambda: stack.sql(f"SELECT 1 FROM execution_trees WHERE root_id = '{run}' AND size = 1"), 5)
    # as if the tree had 9,997 descendants: with the root, two more make 10,000
    stack.sql(f"UPDATE execution_trees SET size = 9997 WHERE root_id = '{run}'")
    release()
    client.finished(run)
    assert stack.sql_one(f"SELECT size FROM execution_trees WHERE root_id = '{run}'") == "9999"
    assert stack.sql_one(f"SELECT COUNT(*) FROM execution_children WHERE root_id = '{run}'") == "3"
    text = stack.sql_one(f"SELECT GROUP_CONCAT(error) FROM execution_steps WHERE execution_id = '{run}' AND error IS NOT NULL")
    assert "too deep or too large" in text
