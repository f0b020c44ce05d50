#!/usr/bin/python3
"""Measures how long `Prefer: wait` takes for a run of one transform on an idle system, and how a thousand waiting requests slow down
the API.

  tests/bench/waiting.py [--waits 300] [--waiters 1000]

The waiting requests wait for runs that do not end, at an API with two workers. Meanwhile one client after the other reads a run.
Starts a private stack. Prints one JSON object; exits with 1 if a target is missed.
"""
import argparse
import http.client
import json
import resource
import socket
import statistics
import time

import bench_stack
from stack import eventually

TARGETS = {"wait_median_ms": 6, "reads_ratio": 3}
GROUP = 100
READS = 300


class Connection:
    """Milliseconds of each request over one kept-alive connection."""

    def __init__(self, stack, key):
        self.http = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=90)
        self.headers = {"Authorization": f"Bearer {key}"}

    def send(self, method, path, **headers):
        self.http.request(method, "/api/v1" + path, headers={**self.headers, **headers})

    def take(self, status):
        answer = self.http.getresponse()
        body = answer.read()
        assert answer.status == status, (answer.status, body)
        return json.loads(body)

    def ask(self, status, method, path, **headers):
        began = time.monotonic()
        self.send(method, path, **headers)
        answer = self.take(status)
        return answer, (time.monotonic() - began) * 1000


def summary(values):
    values = sorted(values)
    return {"median": round(statistics.median(values), 2), "p99": round(values[len(values) * 99 // 100], 2)}


def short_waits(stack, key, workflow, count):
    """Uses a plain socket, because http.client takes a twentieth of the measured time for each response."""
    request = (f"POST /api/v1/workflows/{workflow}/run-async HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nPrefer: wait=10\r\n"
               "Content-Length: 0\r\n\r\n").encode()
    with socket.create_connection(("127.0.0.1", stack.port)) as connection:
        def one():
            began = time.monotonic()
            connection.sendall(request)
            answer = connection.recv(65536)
            while not answer.endswith((b"}", b"}\r\n0\r\n\r\n")):
                answer += connection.recv(65536)
            took = (time.monotonic() - began) * 1000
            assert answer.startswith(b"HTTP/1.1 200 "), answer
            return took
        for _ in range(50):
            one()
        return summary(one() for _ in range(count))


def hops(stack, count):
    """Median milliseconds of the three parts of the last waits in the log of nginx: accept, wait in the daemon (with the run), respond."""
    def lines():
        return [line for line in stack.log("nginx-access").splitlines() if "/run-async" in line]
    eventually(lambda: len(lines()) >= count, 10, "the log lines of nginx")
    took = [line.split("upstream_seconds=")[1].split(" upstream_status")[0].split(" : ") for line in lines()]
    return [round(statistics.median(float(t[i]) * 1000 for t in took[-count:] if len(t) == 3), 1) for i in range(3)]


def reads(connection, execution):
    return summary(connection.ask(200, "GET", f"/executions/{execution}")[1] for _ in range(READS))


def open_waiters(stack, key, workflow, count):
    """Waits until the stream daemon holds all waiting requests, each for its own run. They come in groups: nginx answers 503 to those for which two
    workers have no connection left."""
    waiting = []
    while len(waiting) < count:
        group = [Connection(stack, key) for _ in range(min(GROUP, count - len(waiting)))]
        for w in group:
            w.send("POST", f"/workflows/{workflow}/run-async", Prefer="wait=60")
        waiting += group
        eventually(lambda: int(stack.redis("EVAL", "return #redis.call('PUBSUB', 'CHANNELS', 'millrace:events:*')", 0)) == len(waiting), 50,
                   f"{len(waiting)} waiting requests")
    return waiting


def measure(stack, args):
    workspace = stack.workspace(credits=1000000)
    key = workspace.key()["key"]
    transform = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    hanging = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 600}]})
    connection = Connection(stack, key)
    wait = short_waits(stack, key, transform, args.waits)
    by_hop = hops(stack, args.waits)
    execution = connection.ask(200, "POST", f"/workflows/{transform}/run-async", Prefer="wait=10")[0]["id"]
    alone = reads(connection, execution)
    waiting = open_waiters(stack, key, hanging, args.waiters)
    beside = reads(connection, execution)
    began = time.monotonic()
    stopped = [connection.ask(200, "POST", f"/executions/{run[0]}/stop")[1] for run in
               stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' AND state IN (1, 2)")]
    for w in waiting:
        assert w.take(200)["status"] == "stopped"
    return {"wait_ms": wait, "hops_ms": by_hop, "wait_median_ms": wait["median"], "waiters": len(waiting), "workers": 2,
            "reads_ms": {"alone": alone, "beside_waiters": beside}, "reads_ratio": round(beside["median"] / alone["median"], 2),
            "stopped": len(stopped), "stopped_and_told_s": round(time.monotonic() - began, 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waits", type=int, default=300)
    parser.add_argument("--waiters", type=int, default=1000)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    bench_stack.run({"api.workers": "2", "api.queue_ms": "5000"}, lambda stack: measure(stack, args), most=TARGETS)


if __name__ == "__main__":
    main()
