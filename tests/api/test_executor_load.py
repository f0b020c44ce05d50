"""Many runs at once, with the executors' connections cut again and again: nothing is lost, nothing is done twice."""
import concurrent.futures
import time

import pytest

from stack import eventually

pytestmark = pytest.mark.serial
SETTINGS = {"api.rate_limit_per_minute": "1000000", "executor.max_active": "16"}
RUNS = 300


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url, method="GET", **fields):
    return step(name, "http", request={"method": method, "url": url}, **fields)


def start_all(client, workflow, inputs):
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(lambda i: client.started(workflow, i), inputs))


def unfinished(stack, workflow):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE responder_id = '{workflow}' AND state < 3"))


def check_all(stack, workflow, state=3):
    rows = stack.sql(f"SELECT state, COUNT(*) FROM executions WHERE responder_id = '{workflow}' GROUP BY state")
    assert rows == [[str(state), str(RUNS)]]
    gaps = stack.sql(f"""SELECT e.id FROM executions e JOIN events v ON v.execution_id = e.id WHERE e.responder_id = '{workflow}'
        GROUP BY e.id, e.last_seq HAVING COUNT(*) <> e.last_seq OR MAX(v.seq) <> e.last_seq OR SUM(v.type >= 12) <> 1
        OR MAX(IF(v.type >= 12, v.seq, 0)) <> e.last_seq""")
    assert gaps == []


def test_a_burst(stack):
    workspace = stack.workspace(credits=100000)
    client = workspace.client()
    workflow = workspace.put_workflow({"steps": [step("a", "transform", value="${/inputs/n}"), step("b", "delay", seconds=0.2)],
                                       "outputs": "${/steps/a/result}"})
    ids = start_all(client, workflow, [{"n": n} for n in range(RUNS)])
    eventually(lambda: unfinished(stack, workflow) == 0, 60, "all finished")
    check_all(stack, workflow)
    assert client.execution(ids[17])["detail"]["output"] == 17


def test_connections_that_are_cut(stack, effects):
    """KILL wherever it hits: in a claim, in a step's commit, in the last one; some answers to COMMIT are lost."""
    workspace = stack.workspace(credits=100000)
    client = workspace.client()
    child = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    workflow = workspace.put_workflow({"steps": [
        http("a", effects.url + "/a/${/inputs/n}", "POST"), step("b", "workflow", workflow_id=child),
        http("c", effects.url + "/c/${/inputs/n}/${/item}", "POST", for_each=[0, 1], concurrency=2)]})
    release = effects.hold("/a/0")  # one is there to be cut off, however fast the others are
    start_all(client, workflow, [{"n": n} for n in range(RUNS)])
    cuts, rounds, events = 0, 0, -1
    deadline = time.monotonic() + 60
    while rounds < 60 and unfinished(stack, workflow) and time.monotonic() < deadline:
        # something has been written since the last cut: else a slow machine would do nothing but connect
        now = int(stack.sql_one(f"SELECT SUM(last_seq) FROM executions WHERE responder_id = '{workflow}'"))
        if now == events and cuts > 5:
            continue
        events, before = now, cuts
        for (connection,) in stack.sql("SELECT id FROM information_schema.processlist WHERE user = 'millrace_executor'"):
            try:
                stack.sql(f"KILL {connection}")
                cuts += 1
            except AssertionError:
                pass  # it went by itself meanwhile
        rounds += cuts > before
        if cuts > 5:
            release()
    assert cuts > 5
    eventually(lambda: unfinished(stack, workflow) == 0, 60, "all finished")
    check_all(stack, workflow)
    calls = [c["path"] for c in effects.calls]
    expected = [f"/a/{n}" for n in range(RUNS)] + [f"/c/{n}/{i}" for n in range(RUNS) for i in (0, 1)]
    assert sorted(calls) == sorted(expected), "each once: no executor died"
    assert stack.sql_one("SELECT COUNT(*) FROM execution_children") == str(RUNS)
    assert workspace.balance() == 100000 - 2 * RUNS
