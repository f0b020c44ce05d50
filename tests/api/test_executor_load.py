"""Many runs at once while the database connections of the executors are cut: nothing is lost, nothing is executed twice."""
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


def test_burst_of_runs_is_completed(stack):
    workspace = stack.workspace(credits=100000)
    client = workspace.client()
    workflow = workspace.put_workflow({"steps": [step("a", "transform", value="${/inputs/n}"), step("b", "delay", seconds=0.2)],
                                       "outputs": "${/steps/a/result}"})
    ids = start_all(client, workflow, [{"n": n} for n in range(RUNS)])
    eventually(lambda: unfinished(stack, workflow) == 0, 60, "end of all runs")
    check_all(stack, workflow)
    assert client.execution(ids[17])["detail"]["output"] == 17


def test_cut_database_connections_lose_and_repeat_nothing(stack, effects):
    """KILL at random times: during a claim, a step's commit or the last commit. Some responses to COMMIT are lost."""
    workspace = stack.workspace(credits=100000)
    client = workspace.client()
    child = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    workflow = workspace.put_workflow({"steps": [
        http("a", effects.url + "/a/${/inputs/n}", "POST"), step("b", "workflow", workflow_id=child),
        http("c", effects.url + "/c/${/inputs/n}/${/item}", "POST", for_each=[0, 1], concurrency=2)]})
    release = effects.hold("/a/0")  # one run stays active, however fast the others are
    start_all(client, workflow, [{"n": n} for n in range(RUNS)])
    cuts, rounds, events = 0, 0, -1
    deadline = time.monotonic() + 60
    while rounds < 60 and unfinished(stack, workflow) and time.monotonic() < deadline:
        # cut only after something was written: on a slow machine, the executors would otherwise only reconnect
        now = int(stack.sql_one(f"SELECT SUM(last_seq) FROM executions WHERE responder_id = '{workflow}'"))
        if now == events and cuts > 5:
            continue
        events, before = now, cuts
        for (connection,) in stack.sql("SELECT id FROM information_schema.processlist WHERE user = 'millrace_executor'"):
            try:
                stack.sql(f"KILL {connection}")
                cuts += 1
            except AssertionError:
                pass  # the connection had ended
        rounds += cuts > before
        if cuts > 5:
            release()
    assert cuts > 5
    eventually(lambda: unfinished(stack, workflow) == 0, 60, "end of all runs")
    check_all(stack, workflow)
    calls = [c["path"] for c in effects.calls]
    expected = [f"/a/{n}" for n in range(RUNS)] + [f"/c/{n}/{i}" for n in range(RUNS) for i in (0, 1)]
    assert sorted(calls) == sorted(expected), "no executor died, so each request must come once"
    assert stack.sql_one("SELECT COUNT(*) FROM execution_children") == str(RUNS)
    assert workspace.balance() == 100000 - 2 * RUNS
