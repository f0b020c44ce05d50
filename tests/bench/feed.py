#!/usr/bin/env python3
"""The feed with many subscribers: feed.py [SUBSCRIBERS] [RUNS_PER_SECOND] [SECONDS]. Starts a stack of its own from bin/, accepts runs at a
fixed rate without and with subscribers, and prints the latency of accepting and whether each subscriber got each end once."""
import concurrent.futures
import multiprocessing
import pathlib
import selectors
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "api"), str(HERE.parent / "fault")]
from stack import Stack, eventually  # noqa: E402

ECHO = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
EVENT = b"event: execution."


class Crowd(multiprocessing.Process):
    """Holds the streams and counts their events: a process of its own, so that its work does not hold the threads that accept."""

    def __init__(self, stack, key, n):
        super().__init__(daemon=True)
        self.selector, self.counts = selectors.DefaultSelector(), multiprocessing.RawArray("l", n)
        self.ended = multiprocessing.Event()
        request = f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
        for i in range(n):
            s = socket.create_connection(("127.0.0.1", stack.port))
            s.sendall(request)
            while b"id: " not in s.recv(4096):
                pass
            s.setblocking(False)
            self.selector.register(s, selectors.EVENT_READ, [i, b""])

    def run(self):
        while not self.ended.is_set():
            for key, _ in self.selector.select(0.2):
                i, rest = key.data
                data = rest + key.fileobj.recv(1 << 20)
                self.counts[i] += data.count(EVENT)
                end = data.rfind(b"\n") + 1
                key.data[1] = data[end:]


def accept(clients, flow, rate, seconds):
    """Latencies in ms of accepted runs, at a fixed rate."""
    began, took = time.monotonic(), []

    def one(n):
        due = began + n / rate
        time.sleep(max(0, due - time.monotonic()))
        at = time.monotonic()
        clients[n % len(clients)].started(flow)
        took.append((time.monotonic() - at) * 1000)
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        list(pool.map(one, range(int(rate * seconds))))
    took.sort()
    return took


def main():
    subscribers, rate, seconds = (int(a) for a in (sys.argv[1:] + ["1000", "50", "10"][len(sys.argv) - 1:]))
    stack = Stack({"quotas.streams": "100000"})
    stack.start()
    try:
        workspace = stack.workspace(credits=1000000)
        flow = workspace.put_workflow(ECHO)
        clients = [workspace.client() for _ in range(16)]
        for label, n in (("without subscribers", 0), (f"with {subscribers} subscribers", subscribers)):
            crowd = Crowd(stack, clients[0].key, n)
            crowd.start()
            took = accept(clients, flow, rate, seconds)
            until = time.monotonic() + 60
            while n and min(crowd.counts) < len(took) and time.monotonic() < until:
                time.sleep(0.05)
            print(f"{label}: {len(took)} runs, accept p50 {took[len(took) // 2]:.1f} ms, p99 {took[len(took) * 99 // 100]:.1f} ms"
                  + (f", ends per subscriber {min(crowd.counts)} to {max(crowd.counts)}" if n else ""), flush=True)
            eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state = 1") == "0", 120, "the end of all runs")
            crowd.ended.set()
            crowd.join()
    finally:
        stack.stop()


main()
