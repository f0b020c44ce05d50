"""Runs and programs beyond executor.memory_mib wait in the queue; everybody's runs end, and the memory is given back."""
from stack import eventually
from test_state_dump import dump, total

SETTINGS = {"executor.processes": "1", "executor.memory_mib": "64", "api.rate_limit_per_minute": "1000000"}
INPUTS = {"l": [{} for _ in range(60000)]}  # 180 KB of text, 49 MiB of values: more than three quarters of the limit
LARGE = {"steps": [{"name": f"s{n}", "type": "transform", "value": [{"n": i} for i in range(100)]} for n in range(100)]}
MIB = 1 << 20


def memory(stack):
    return total(dump(stack), "state.slots", "memory_bytes")


def test_large_runs_wait_for_memory_and_small_ones_do_not(stack, workspace, client, effects):
    release = effects.hold("/held")
    held = workspace.put_workflow({"steps": [
        {"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/held"}},
        {"name": "b", "type": "transform", "value": "${/inputs/l/59999}"}]})
    small = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    large = [client.started(held, INPUTS) for _ in range(6)]
    assert client.finished(client.started(small), 60)["status"] == "success"
    effects.wait_for("/held", 6, 60)  # each in turn: while they wait, their inputs are text
    eventually(lambda: memory(stack) < 10 * MIB, 20, "waiting runs take little")
    assert total(dump(stack), "state.slots", "memory_max") == 64 * MIB
    release()
    for run in large:
        ended = client.finished(run, 60)
        assert ended["status"] == "success", ended
    eventually(lambda: memory(stack) < MIB, 20, "the memory of the runs is given back")


def test_programs_that_do_not_fit_together_are_compiled_in_turn(stack, workspace, client):
    workflows = [workspace.put_workflow(LARGE) for _ in range(12)]
    runs = [client.started(workflow) for workflow in workflows for _ in range(2)]
    for run in runs:
        assert client.finished(run, 60)["status"] == "success"
    eventually(lambda: memory(stack) <= 64 * MIB, 20, "programs that nobody uses make room")


def test_a_stopped_run_gives_its_memory_back(stack, workspace, client, effects):
    effects.hold("/held")
    held = workspace.put_workflow({"steps": [
        {"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/held"}}]})
    before = memory(stack)
    runs = [client.started(held, INPUTS) for _ in range(3)]
    effects.wait_for("/held", 3, 60)
    for run in runs:
        client.post(f"/executions/{run}/stop")
    eventually(lambda: memory(stack) < before + MIB, 20, "the memory of the runs is given back, that of the program is not")
