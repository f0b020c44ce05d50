"""More than the pool can bear, for longer than a burst: the others are refused before anything is done, and it ends by itself."""
import collections
import threading

import requests

from stack import eventually

SETTINGS = {"api.workers": "1", "api.queue_ms": "10", "api.rate_limit_per_minute": "10000000"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
CLIENTS = 64  # each run takes a worker a millisecond at least, so that they always wait for longer than queue_ms


def test_what_the_pool_cannot_bear_is_refused(stack):
    refused = 503, ("unavailable", "1")
    workspace = stack.workspace(credits=100000)
    key, url = workspace.key()["key"], f"{stack.url}/api/v1/workflows/{workspace.put_workflow(PROGRAM)}/run-async"
    answers, over = collections.Counter(), threading.Event()

    def client():
        with requests.Session() as s:
            s.trust_env = False
            while not over.is_set():
                answer = s.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=10)
                answers[answer.status_code, answer.status_code == 202 or (answer.json()["code"], answer.headers["Retry-After"])] += 1

    before, threads = workspace.balance(), [threading.Thread(target=client) for _ in range(CLIENTS)]
    for t in threads:
        t.start()
    try:
        eventually(lambda: answers[refused] > 1000, 20, "some are refused")
        assert requests.get(stack.url + "/healthz", timeout=5).status_code == 200, "the pool is well"
        accepted = answers[202, True]
        eventually(lambda: answers[202, True] > accepted + 50, 20, "others are served all the while")
    finally:
        over.set()
        for t in threads:
            t.join()
    assert set(answers) == {(202, True), refused}
    assert before - workspace.balance() == answers[202, True] == int(stack.sql_one("SELECT COUNT(*) FROM executions"))
    eventually(lambda: requests.post(url, headers={"Authorization": f"Bearer {key}"}, timeout=5).status_code == 202, 5)
    assert "run-async" not in stack.log("nginx-error"), "a line for each would be the next overload"
