"""Runs of one HTTP step to a server that answers after 2 s, on one executor process: they wait for it at the same time.

HOSTILE_RUNS: how many (500; the long form is 5000, which has to end within 10 s).
"""
import asyncio
import concurrent.futures
import os
import resource
import threading
import time

from stack import eventually
from victim import COUNTS_ONLY

RUNS = int(os.environ.get("HOSTILE_RUNS", "500"))
ANSWER_S = 2
WITHIN_S = 10
SETTINGS = {"executor.processes": "1"}


class SlowServer:
    """Answers each request ANSWER_S later."""

    def __init__(self):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.loop = asyncio.new_event_loop()
        self.now = self.most = self.answered = 0
        ready = threading.Event()
        threading.Thread(target=self.run, args=(ready,), daemon=True).start()
        ready.wait(10)

    def run(self, ready):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        self.loop.run_forever()

    async def serve(self, reader, writer):
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.now += 1
                self.most = max(self.most, self.now)
                await asyncio.sleep(ANSWER_S)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                self.now -= 1
                self.answered += 1
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        writer.close()


def test_requests_wait_at_the_same_time(stack):
    server = SlowServer()
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
