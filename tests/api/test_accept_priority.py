"""Accepting has priority: while the API reports that it is slow, executors claim less, and the backlog drains afterwards."""
import threading

import pytest
import requests
from stack import eventually
from test_state_dump import dump, total

pytestmark = pytest.mark.serial
# One worker for many clients: a request waits behind the others, longer than 1 ms.
SETTINGS = {"api.workers": "1", "api.queue_ms": "5000", "api.rate_limit_per_minute": "10000000", "executor.processes": "2",
            "executor.accept_latency_ms": "1", "executor.queue_age_max_s": "3600", "log.level": "warn"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
CLIENTS = 16


@pytest.fixture
def load(stack):
    """Clients that start runs until it is called. Returns the list of the statuses that they received."""
    workspace = stack.workspace(credits=10000000)
    key, url = workspace.key()["key"], f"{stack.url}/api/v1/workflows/{workspace.put_workflow(PROGRAM)}/run-async"
    over, statuses = threading.Event(), []

    def client():
        with requests.Session() as s:
            s.trust_env = False
            while not over.is_set():
                statuses.append(s.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=30).status_code)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]

    def end():
        over.set()
        for t in threads:
            t.join()
        return statuses
    for t in threads:
        t.start()
    yield end
    end()


def limited(stack):
    return total(dump(stack), "state.pace", "limited")


def unfinished(stack):
    return int(stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3"))


def metric(stack):
    text = requests.get(stack.url + "/metrics", timeout=10).text
    return float(next(line for line in text.splitlines() if line.startswith("millrace_accept_latency_seconds ")).split()[1])


def test_executors_claim_less_while_accepting_is_slow(stack, load):
    eventually(lambda: limited(stack) == 2, 60, "both processes are limited")
    eventually(lambda: unfinished(stack) > 100, 60, "a backlog, because runs are accepted faster than they are claimed")
    assert metric(stack) > 0.001
    state = next(iter(dump(stack).values()))["state.pace"][0]
    assert int(state["accept_latency_us"]) > 1000
    statuses = load()
    assert set(statuses) == {202}
    eventually(lambda: unfinished(stack) == 0, 60, "the end of the backlog")
    eventually(lambda: limited(stack) == 0, 20, "no limit without reports")
    assert int(stack.sql_one("SELECT COUNT(*) FROM executions WHERE state = 3")) == len(statuses)
    assert metric(stack) == 0


def test_requests_that_take_turns_are_not_reported(stack):
    """One workspace's large inputs must not make the executors claim less for all others."""
    workspace = stack.workspace()
    url = f"{stack.url}/api/v1/workflows/{workspace.put_workflow(PROGRAM)}/run-async"
    with requests.Session() as s:
        s.trust_env = False
        s.headers["Authorization"] = f"Bearer {workspace.key()['key']}"
        text = {"inputs": {"text": "x" * 100000}}
        assert {s.post(url, json=text, timeout=30).status_code for _ in range(60)} == {202}
        assert metric(stack) == 0
        assert {s.post(url, json={"inputs": {}}, timeout=30).status_code for _ in range(60)} == {202}
    eventually(lambda: unfinished(stack) == 0, 60, "the end of the runs")
