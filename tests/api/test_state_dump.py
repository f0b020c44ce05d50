"""SIGUSR2: a process writes its state to its log, at any log level, and continues."""
import collections
import os
import re
import signal

import pytest
from stack import ROOT, eventually, kill

SETTINGS = {"executor.processes": "2", "executor.max_active": "4", "executor.park_after_ms": "86400000", "log.level": "warn"}
LINE = re.compile(r"^\S+ info executor\[(\d+)\] (state\.\w+) (.*)$", re.M)


def dump(stack):
    """{process id: {event: [fields]}} of the dumps that one SIGUSR2 to the master causes."""
    before = len(stack.log("executor"))
    processes = stack.children("executor")
    kill(stack.pid("executor"), signal.SIGUSR2)
    text = []

    def complete():
        text[:] = [stack.log("executor")[before:]]
        ended = {int(pid) for pid, event, _ in LINE.findall(text[0]) if event == "state.end"}
        return set(processes) <= ended
    eventually(complete, 10, "a dump of each process")
    states = collections.defaultdict(lambda: collections.defaultdict(list))
    for pid, event, fields in LINE.findall(text[0]):
        states[int(pid)][event].append(dict(field.split("=", 1) for field in fields.split()))
    return {pid: states[pid] for pid in processes}


def total(states, event, field, **where):
    return sum(int(line[field]) for state in states.values() for line in state[event]
               if all(line[name] == value for name, value in where.items()))


@pytest.fixture
def running(workspace, client, effects):
    """Three runs that wait for a delay and two whose HTTP request is in flight. Stopped at the end."""
    effects.hold("/hold")
    slow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 300}]})
    http = workspace.put_workflow({"steps": [{"name": "a", "type": "http",
                                              "request": {"method": "POST", "url": effects.url + "/hold"}}]})
    ids = [client.started(slow) for _ in range(3)] + [client.started(http) for _ in range(2)]
    effects.wait_for("/hold", 2)
    yield ids
    for id in ids:
        client.post(f"/executions/{id}/stop")


def test_dump_shows_runs_slots_and_requests(stack, running):
    def shows_all():
        states = dump(stack)
        return (total(states, "state.runs", "without_slot", kind="workflow") == 5 and total(states, "state.queues", "unwritten_commits") == 0
                and total(states, "state.effects", "http_requests") == 2) and states
    processes = stack.children("executor")
    states = eventually(shows_all, 10, "neither delays nor requests in flight hold a slot, and all is written")
    assert total(states, "state.runs", "in_memory", kind="workflow") == 5
    assert total(states, "state.runs", "with_slot", kind="workflow") == 0
    assert total(states, "state.runs", "in_memory", kind="skill") == total(states, "state.runs", "in_memory", kind="model") == 0
    assert (total(states, "state.slots", "slots"), total(states, "state.slots", "used")) == (8, 0)
    assert total(states, "state.effects", "http_requests") == 2
    assert total(states, "state.queues", "unwritten_commits") == 0
    assert 1 <= total(states, "state.cache", "entries", cache="programs") <= 4
    for state in states.values():
        lease = state["state.lease"][0]
        assert (lease["holds_lease"], lease["fenced"], lease["stopping"]) == ("1", "0", "0")
        assert 0 <= int(lease["lease_age_ms"]) < 10000 and int(lease["executor"]) > 0
        assert int(state["state.process"][0]["rss_bytes"]) > 1000000 and int(state["state.process"][0]["open_files"]) > 5
    assert stack.children("executor") == processes, "no process ended"


def test_each_field_is_documented(stack):
    page = (ROOT / "docs/operations.md").read_text()
    for state in dump(stack).values():
        for event, lines in state.items():
            missing = [name for line in lines for name in line if f"`{name}`" not in page]
            assert f"`{event}`" in page and not missing, (event, missing)


def test_dump_of_a_process_by_its_own_id(stack):
    pid = stack.children("executor")[0]
    before = stack.log("executor").count(f"executor[{pid}] state.end")
    os.kill(pid, signal.SIGUSR2)
    eventually(lambda: stack.log("executor").count(f"executor[{pid}] state.end") == before + 1, 10, "its dump")


def dump_of(stack, service, pids):
    """{process id: {event: [fields]}}: the dumps of these processes of a service after one SIGUSR2 to its first process."""
    before = len(stack.log(service))
    line = re.compile(rf"^\S+ info {service}\[(\d+)\] (state\.\w+) (.*)$", re.M)
    kill(stack.pid(service), signal.SIGUSR2)

    def complete():
        lines = line.findall(stack.log(service)[before:])
        return {int(pid) for pid, event, _ in lines if event == "state.end"} >= set(pids) and lines
    states = collections.defaultdict(lambda: collections.defaultdict(list))
    for pid, event, fields in eventually(complete, 10, "a dump of each process"):
        states[int(pid)][event].append(dict(field.split("=", 1) for field in fields.split()))
    return states


def undocumented(states):
    page = (ROOT / "docs/operations.md").read_text()
    return {(event, name) for state in states.values() for event, lines in state.items() for line in lines
            for name in line if f"`{event}`" not in page or f"`{name}`" not in page}


def test_api_dump_shows_workers_caches_and_overload_control(stack, client):
    assert client.get("/credits").status_code == 200
    master, workers = stack.pid("api"), stack.children("api")
    states = dump_of(stack, "api", [master, *workers])
    groups = states[master]["state.children"]
    assert [g["child"] for g in groups] == ["worker", "worker"]
    assert sum(int(g["running"]) for g in groups) == sum(int(g["wanted"]) for g in groups) == len(workers)
    caches = {c["cache"]: c for c in states[master]["state.cache"]}
    assert int(caches["api_keys"]["entries"]) >= 1 and set(caches) == {"api_keys", "unknown_api_keys", "workflows"}
    assert int(states[master]["state.admission"][0]["started"]) >= 1
    assert states[master]["state.admission"][0]["overload_left_ms"] == "0"
    assert states[master]["state.accept_group"][0]["leader_pid"] == "0"
    assert sum(int(states[pid]["state.worker"][0]["served"]) for pid in workers) >= 1
    assert undocumented(states) == set()
    assert stack.children("api") == workers, "no process ended"


def test_stream_dump_shows_connections_and_subscriptions(stack, workspace, client, effects):
    effects.hold("/hold")
    flow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    run = client.started(flow)
    stream = stack.pid("stream")
    with client.get(f"/executions/{run}/events", stream=True):
        def at_rest():
            state = dump_of(stack, "stream", [stream])
            return state[stream]["state.subscriptions"][0]["subscribed"] == "1" and state[stream]["state.queues"][0]["db_thread_jobs"] == "0" and state
        state = eventually(at_rest, what="a confirmed subscription, and no work for the database")
        assert state[stream]["state.connections"][0]["streams"] == "1"
        assert state[stream]["state.subscriptions"][0]["runs"] == "1"
        assert state[stream]["state.subscriptions"][0]["redis_connected"] == "1"
        assert state[stream]["state.queues"][0]["db_thread_jobs"] == "0"
        assert undocumented(state) == set()
    client.post(f"/executions/{run}/stop")


def test_executor_master_dump_shows_processes(stack):
    master, processes = stack.pid("executor"), stack.children("executor")
    states = dump_of(stack, "executor", [master, *processes])
    assert [(g["child"], g["running"]) for g in states[master]["state.children"]] == [("process", "1")] * 2
    assert undocumented(states) == set()
