"""Runs of one HTTP step to a server that answers after 2 s, on one executor process: they wait for it at the same time.

The long form (HOSTILE_LONG=1) has 5,000 of them, which have to end within 10 s.
"""
import concurrent.futures
import os
import time

from slow_server import SlowServer
from stack import eventually
from victim import COUNTS_ONLY

RUNS = 5000 if os.environ.get("HOSTILE_LONG") == "1" else 500
ANSWER_S = 2
WITHIN_S = 10
SETTINGS = {"executor.processes": "1"}


def test_requests_wait_at_the_same_time(stack):
    server = SlowServer(ANSWER_S)
    workspace = stack.workspace(credits=1000000)
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": server.url + "/"}}]})
    client = workspace.client()

    def start(n):
        return client.started(workflow)
    stack.stop_server("executor")  # so that the figure is the executor's and not that of eight clients
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(start, range(RUNS)))
    began = time.monotonic()
    stack.start_server("executor")
    left = f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state IN (1, 2)"
    eventually(lambda: stack.sql_one(left) == "0", 60, "end of all runs")
    took = time.monotonic() - began
    print(f"{RUNS} runs: ended {took:.1f} s after the start of the executor, {server.most} requests at the same time")
    assert server.answered == RUNS
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state = 3") == str(RUNS)
    assert server.most > 64, "more than the slots"
    assert len(runs) == RUNS and (COUNTS_ONLY or took < WITHIN_S)
