"""Runs of one HTTP step to a server that never answers: 300, in the long form (HOSTILE_LONG=1) 5,000."""
import contextlib
import os

from slow_server import SlowServer
from stack import eventually

RUNS = 5000 if os.environ.get("HOSTILE_LONG") == "1" else 300
WAITING = 128  # requests before the victim is measured
BATCH = 100


def test_requests_to_a_server_that_never_answers(stack, beside):
    server, attacker = SlowServer(None), stack.workspace(credits=1000000)
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": server.url + "/"}}]})
    client = attacker.client()

    @contextlib.contextmanager
    def tarpit():
        runs = []
        for _ in range(RUNS // BATCH):
            answer = client.post(f"/workflows/{workflow}/run-batch", json={"items": [{}] * BATCH})
            assert answer.status_code == 200, answer.text
            runs += [r["execution_id"] for r in answer.json()["results"]]
        assert len(runs) == RUNS
        eventually(lambda: server.now >= WAITING, 60, "the requests")
        try:
            yield
            print(f"{RUNS} runs, {server.most} requests at the same time")
        finally:
            for run in runs:
                client.post(f"/executions/{run}/stop")
            server.release()
    beside(tarpit())
