"""Outages of Redis and MariaDB: what still works, which errors are returned, and recovery without intervention."""
import threading
import time

import pytest
import requests

import peers
from stack import eventually

SETTINGS = {"api.rate_limit_per_minute": "100000"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SLOW = {"steps": [{"name": "d", "type": "delay", "seconds": 3600}]}


def ready(stack):
    return requests.get(stack.url + "/readyz", timeout=60)


@pytest.fixture
def without_redis(stack):
    stack.stop_server("redis")
    yield
    stack.start_server("redis")


def test_runs_keys_lists_and_stop_work_without_redis(stack, workspace, client, without_redis):
    workflow = workspace.put_workflow(PROGRAM)
    run = client.started(workflow)
    assert client.finished(run)["status"] == "success"
    first, again = client.run(workflow, key="k"), client.run(workflow, key="k")
    assert first.text == again.text and again.headers["Idempotent-Replayed"] == "true"
    assert client.run(workflow, {"other": 1}, key="k").status_code == 422
    slow = client.started(workspace.put_workflow(SLOW))
    assert slow in [x["id"] for x in client.get("/executions").json()["executions"]]
    assert client.post(f"/executions/{slow}/stop").status_code == 200
    assert client.execution(slow)["status"] == "stopped"
    assert (ready(stack).status_code, ready(stack).json()) == (200, {"status": "degraded"})


def test_credits_are_exact_without_redis(stack, without_redis):
    workspace = stack.workspace(credits=3)
    workflow, client = workspace.put_workflow(PROGRAM), workspace.client()
    assert [client.run(workflow).status_code for _ in range(5)] == [202] * 3 + [402] * 2
    assert workspace.balance() == 0


def test_redis_balance_is_corrected_after_an_outage(stack, workspace, client):
    workflow = workspace.put_workflow(PROGRAM)
    client.started(workflow)
    stack.stop_server("redis")
    for _ in range(3):
        client.started(workflow)
    stack.start_server("redis")
    time.sleep(1.1)  # after an error, Redis is not used for 1 s
    client.started(workflow)
    key = next(k for k in stack.redis("KEYS", "*") if workspace.id in k and "credits" in k)
    eventually(lambda: int(stack.redis("HGET", key, "balance")) == workspace.balance() * 1000000, 5)
    assert workspace.balance() == 995


@pytest.mark.serial
def test_a_redis_that_is_no_longer_the_master_counts_as_unreachable(stack, workspace, client):
    """Sentinel has made another server the master: the connection is closed, so that the next one reaches that server."""
    workflow = workspace.put_workflow(PROGRAM)
    seen = len(stack.log("executor"))
    stack.redis("REPLICAOF", "127.0.0.1", "1")
    try:
        for _ in range(3):
            assert client.finished(client.started(workflow))["status"] == "success"
        eventually(lambda: 'redis.unreachable message="READONLY' in stack.log("executor")[seen:], 10, "the lost master in the log")
    finally:
        stack.redis("REPLICAOF", "NO", "ONE")
    eventually(lambda: "redis.reconnected" in stack.log("executor")[seen:], 20, "a new connection")


def test_requests_are_503_without_mariadb_and_succeed_afterwards(stack, workspace, client):
    workflow = workspace.put_workflow(PROGRAM)
    run = client.started(workflow)
    stack.stop_server("mariadb")
    try:
        for send in (lambda: client.run(workflow), lambda: client.run(workflow, key="k"), lambda: client.get(f"/executions/{run}"),
                     lambda: client.get("/executions"), lambda: client.post(f"/executions/{run}/stop"),
                     lambda: client.get("/credits"), lambda: client.post("/workflows", json={"name": "x", "program": PROGRAM})):
            answer = send()
            assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
            assert answer.headers["Retry-After"] and answer.elapsed.total_seconds() < 3
            assert ready(stack).status_code == 503
    finally:
        stack.start_server("mariadb")
    for _ in range(30):  # every worker reconnects at its first request
        assert client.get(f"/executions/{run}").status_code == 200
        assert client.run(workflow).status_code == 202
    assert client.run(workflow, key="k").status_code == 202


def test_runs_survive_a_killed_mariadb(stack, workspace, client):
    workflow = workspace.put_workflow(PROGRAM)
    first = client.run(workflow, key="before")
    stack.kill_server("mariadb")
    assert client.run(workflow, key="during").status_code in (503, 504)
    stack.start_server("mariadb")
    again = client.run(workflow, key="before")
    assert again.status_code == 202 and again.text == first.text
    assert eventually(lambda: client.run(workflow, key="during").status_code == 202, 5)
    assert workspace.balance() == 998
    eventually(lambda: client.execution(first.json()["execution_id"])["status"] == "success", 20)


def test_statements_that_take_too_long_end_in_the_server(stack, workspace, client):
    run = client.started(workspace.put_workflow(PROGRAM))
    client.finished(run)
    with peers.mariadb(stack.dir, 30) as lock:
        lock("LOCK TABLES executions WRITE")
        answer = client.get(f"/executions/{run}")
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text
        assert int(stack.sql_one("SELECT COUNT(*) FROM information_schema.processlist "
                             "WHERE user = 'millrace_api' AND info LIKE '%FROM executions%'")) == 0
    assert client.get(f"/executions/{run}").status_code == 200


@pytest.mark.serial
def test_a_read_only_mariadb_fails_no_run(stack, workspace):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 0.1}, {"name": "b", "type": "transform", "value": 1}]})
    answers, over = [], threading.Event()

    def load(n):
        client, i = workspace.client(), 0
        while not over.is_set():
            answers.append(client.run(workflow, key=f"{n}-{i}"))
            i += 1
    threads = [threading.Thread(target=load, args=(n,)) for n in range(4)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: sum(a.status_code == 202 for a in answers) > 20, 20)
        stack.sql("SET GLOBAL read_only = 1")
        time.sleep(3)  # the length of a planned failover
        stack.sql("SET GLOBAL read_only = 0")
        before = len(answers)
        eventually(lambda: sum(a.status_code == 202 for a in answers[before:]) > 20, 20)
    finally:
        stack.sql("SET GLOBAL read_only = 0")
        over.set()
        for t in threads:
            t.join(30)
    assert {a.status_code for a in answers} <= {202, 503, 504}, [a.text for a in answers if a.status_code not in (202, 503, 504)][:3]
    assert sum(a.status_code == 503 for a in answers) > 0, "MariaDB was never read-only"
    client = workspace.client()
    for answer in answers:
        if answer.status_code == 202:
            assert client.finished(answer.json()["execution_id"])["status"] == "success"
