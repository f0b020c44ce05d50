"""Credits: charges, rejections and refunds; concurrent requests cannot spend the same credit twice."""
import collections
import concurrent.futures

import requests

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SETTINGS = {"api.rate_limit_per_minute": "100000", "api.workers": "16"}


def send_many(stack, key, workflow, n, parallel):
    def send(i):
        return requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", timeout=30,
                             headers={"Authorization": f"Bearer {key}"})
    with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        return list(pool.map(send, range(n)))


def ledger(stack, workspace):
    return int(stack.sql_one(f"SELECT SUM(amount) FROM credit_ledger WHERE workspace_id = '{workspace.id}'"))


def test_two_hundred_concurrent_runs_spend_fifty_credits_exactly(stack):
    workspace = stack.workspace(credits=50)
    workflow, key = workspace.put_workflow(PROGRAM), workspace.key()["key"]
    answers = send_many(stack, key, workflow, 200, 200)
    assert collections.Counter(a.status_code for a in answers) == {202: 50, 402: 150}
    assert {a.json()["code"] for a in answers if a.status_code == 402} == {"insufficient_credits"}
    assert len({a.json()["execution_id"] for a in answers if a.status_code == 202}) == 50
    assert workspace.balance() == 0
    assert ledger(stack, workspace) == 0
    assert workspace.client().get("/credits").json() == {"balance": 0}
    workspace.grant(1)  # takes effect at once, whatever Redis has cached
    assert [a.status_code for a in send_many(stack, key, workflow, 2, 1)] == [202, 402]


def test_wrong_redis_balance_does_not_change_decisions(stack):
    """If Redis has a balance of 0, MariaDB is consulted before a run is rejected; and if it has too much, MariaDB still decides."""
    workspace = stack.workspace(credits=2)
    workflow, key = workspace.put_workflow(PROGRAM), workspace.key()["key"]
    counter = next(k for k in stack.redis("KEYS", "*") if workspace.id in k and "credits" in k)
    stack.redis("HSET", counter, "balance", 0, "version", 999999)
    assert send_many(stack, key, workflow, 1, 1)[0].status_code == 202
    stack.redis("HSET", counter, "balance", 10**12, "version", 999999)
    assert [a.status_code for a in send_many(stack, key, workflow, 2, 1)] == [202, 402]
    assert workspace.balance() == 0


def test_runs_above_max_concurrent_are_rejected(stack):
    workspace = stack.workspace(max_concurrent=3)
    slow = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 3600}]})
    key, client = workspace.key()["key"], workspace.client()
    answers = send_many(stack, key, slow, 10, 10)
    assert collections.Counter(a.status_code for a in answers) == {202: 3, 429: 7}
    refused = next(a for a in answers if a.status_code == 429)
    assert refused.json()["code"] == "concurrency_limited" and refused.headers["Retry-After"]
    assert workspace.balance() == 997
    taken = next(a for a in answers if a.status_code == 202).json()["execution_id"]
    assert client.post(f"/executions/{taken}/stop").status_code == 200
    assert send_many(stack, key, slow, 1, 1)[0].status_code == 202


def test_run_stopped_before_its_start_is_refunded(stack):
    stack.stop_server("executor")
    try:
        workspace = stack.workspace(credits=5)
        client = workspace.client()
        run = client.started(workspace.put_workflow(PROGRAM))
        assert workspace.balance() == 4
        assert client.execution(run)["creditsUsed"] == 1
        assert client.post(f"/executions/{run}/stop").status_code == 200
        assert workspace.balance() == 5
        assert client.execution(run)["creditsUsed"] == 0
        assert ledger(stack, workspace) == 5000000
    finally:
        stack.start_server("executor")
