"""Load above the capacity of the pool for longer than a burst: excess requests are rejected before they have an effect, and the pool
recovers without intervention."""
import threading

import pytest
import requests

from stack import eventually

pytestmark = pytest.mark.serial
SETTINGS = {"api.workers": "1", "api.queue_ms": "10", "api.rate_limit_per_minute": "10000000"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
CLIENTS = 32  # a run takes a worker at least 1 ms, so that requests wait longer than queue_ms


def test_requests_above_capacity_are_rejected_with_503(stack):
    refused = 503, "unavailable", "1"
    workspace = stack.workspace(credits=100000)
    key, url = workspace.key()["key"], f"{stack.url}/api/v1/workflows/{workspace.put_workflow(PROGRAM)}/run-async"
    answers, over = [], threading.Event()

    def client():
        with requests.Session() as s:
            s.trust_env = False
            while not over.is_set():
                answer = s.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
                answers.append(answer.status_code if answer.status_code == 202 else (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]))

    def waited():
        """A request with a wait reaches the pool twice. The second time, its run was accepted and must not be shed."""
        answer = requests.post(url, headers={"Authorization": f"Bearer {key}", "Prefer": "wait=5"}, timeout=20)
        answers.append(202 if answer.status_code in (200, 202) else refused)
        return answers[-1] == 202

    before, threads = workspace.balance(), [threading.Thread(target=client) for _ in range(CLIENTS)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: answers.count(refused) > 100, 20, "rejected requests")
        assert requests.get(stack.url + "/healthz", timeout=5).status_code == 200, "the health check must not be shed"
        eventually(waited, 60, "a response to a request that waited")
        accepted = answers.count(202)
        eventually(lambda: answers.count(202) > accepted + 50, 20, "accepted requests during the overload")
    finally:
        over.set()
        for t in threads:
            t.join()
    assert set(answers) == {202, refused}
    assert before - workspace.balance() == answers.count(202) == int(stack.sql_one("SELECT COUNT(*) FROM executions"))
    eventually(lambda: requests.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=5).status_code == 202, 5)
    assert "run-async" not in stack.log("nginx-error"), "nginx must not log a line for each rejected request"
