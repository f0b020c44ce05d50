"""More than the pool can bear, for longer than a burst: the others are refused before anything is done, and it ends by itself."""
import threading

import pytest
import requests

from stack import eventually

pytestmark = pytest.mark.serial
SETTINGS = {"api.workers": "1", "api.queue_ms": "10", "api.rate_limit_per_minute": "10000000"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
CLIENTS = 32  # each run takes a worker a millisecond at least, so that they always wait for longer than queue_ms


def test_what_the_pool_cannot_bear_is_refused(stack):
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
        """Whoever waits comes by twice; the second time he has paid."""
        answer = requests.post(url, headers={"Authorization": f"Bearer {key}", "Prefer": "wait=5"}, timeout=20)
        answers.append(202 if answer.status_code in (200, 202) else refused)
        return answers[-1] == 202

    before, threads = workspace.balance(), [threading.Thread(target=client) for _ in range(CLIENTS)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: answers.count(refused) > 100, 20, "some are refused")
        assert requests.get(stack.url + "/healthz", timeout=5).status_code == 200, "the pool is well"
        eventually(waited, 60, "one that waits is told of what was accepted")
        accepted = answers.count(202)
        eventually(lambda: answers.count(202) > accepted + 50, 20, "others are served all the while")
    finally:
        over.set()
        for t in threads:
            t.join()
    assert set(answers) == {202, refused}
    assert before - workspace.balance() == answers.count(202) == int(stack.sql_one("SELECT COUNT(*) FROM executions"))
    eventually(lambda: requests.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=5).status_code == 202, 5)
    assert "run-async" not in stack.log("nginx-error"), "a line for each would be the next overload"
