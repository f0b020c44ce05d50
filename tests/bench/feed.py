#!/usr/bin/env python3
"""The feed with many subscribers: feed.py [SUBSCRIBERS] [RUNS_PER_SECOND] [SECONDS] [--rounds 3] [--plain]. Accepts runs at a fixed rate without and
with subscribers in turn, and compares the latency of accepting, as a ratio of the medians of the rounds. Each subscriber must get each end
once. The subscribers accept gzip, as browsers do, unless --plain is given. They are one process that runs only when the machine
has nothing else to do (SCHED_IDLE), because real subscribers are other machines; what they receive is unpacked and counted after the
measurement. Beside the latencies stands how much of a processor the event daemon and nginx have used. Starts a private stack. Prints one JSON object; exits with 1 if a bound is missed."""
import argparse
import concurrent.futures
import contextlib
import http.client
import multiprocessing
import os
import re
import selectors
import socket
import statistics
import sys
import time
import zlib

import bench_stack
from bench_stack import cpu_s
from stack import eventually

ECHO = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
EVENT = b"event: execution."
CLIENTS = 16


class Subscriber:
    """One stream, over a socket. Counts the ends of what it was given."""

    def __init__(self, stack, key):
        self.rest, self.text, self.pieces, self.count, self.size = b"", b"", [], 0, 0
        self.unpack = None if options.plain else zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.socket = socket.create_connection(("127.0.0.1", stack.port))
        encoding = "" if options.plain else "Accept-Encoding: gzip\r\n"
        self.socket.sendall(f"GET /api/v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\n{encoding}\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.socket.recv(4096)
        head, _, self.rest = head.partition(b"\r\n\r\n")
        assert b" 200 " in head and (b"Content-Encoding: gzip" in head) != options.plain, head
        self.ids = 0
        self.parse()
        while not self.ids:  # from then on it gets all
            self.rest += self.socket.recv(4096)
            self.parse()
        self.socket.setblocking(False)

    def read(self):
        piece = self.socket.recv(1 << 20)
        assert piece, "the stream has ended"
        self.size += len(piece)
        if options.plain:  # as much as it is, it cannot be kept
            data = self.rest + piece
            end = data.rfind(b"\n") + 1
            self.count += data.count(EVENT, 0, end)
            self.rest = data[end:]
        else:
            self.pieces.append(piece)

    def parse(self):
        """Takes complete chunks of HTTP from `rest`."""
        at = 0
        while (head := re.compile(rb"([0-9a-f]+)\r\n").match(self.rest, at)) and head.end() + (n := int(head[1], 16)) + 2 <= len(self.rest):
            piece = self.rest[head.end():head.end() + n]
            self.text += self.unpack.decompress(piece) if self.unpack else piece
            at = head.end() + n + 2
        self.rest = self.rest[at:]
        end = self.text.rfind(b"\n") + 1
        self.count += self.text.count(EVENT, 0, end)
        self.ids += self.text.count(b"id: ", 0, end)
        self.text = self.text[end:]

    def ends(self):
        if not options.plain:
            self.rest += b"".join(self.pieces)
            self.pieces = []
            self.parse()
        return self.count


class Crowd(multiprocessing.Process):
    """Holds the streams. `counts` has their numbers of ends whenever `asked` was set."""

    def __init__(self, stack, key, n):
        super().__init__(daemon=True)
        self.counts, self.octets = multiprocessing.RawArray("l", n), multiprocessing.Value("l", 0)
        self.asked, self.ended = multiprocessing.Event(), multiprocessing.Event()
        self.subscribers = [Subscriber(stack, key) for _ in range(n)]

    def run(self):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        selector = selectors.DefaultSelector()
        for each in self.subscribers:
            selector.register(each.socket, selectors.EVENT_READ, each)
        while not self.ended.is_set():
            for key, _ in selector.select(0.2):
                key.data.read()
            if self.asked.is_set():
                with contextlib.suppress(PermissionError):  # nothing is measured any more
                    os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
                self.counts[:] = [each.ends() for each in self.subscribers]
                self.octets.value = sum(each.size for each in self.subscribers)


def accept(stack, key, flow):
    """Latencies in ms of accepted runs, at a fixed rate."""
    connections = [http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60) for _ in range(CLIENTS)]
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    began, took = time.monotonic(), []

    def send(first):
        connection = connections[first]
        for n in range(first, int(options.rate * options.seconds), CLIENTS):
            time.sleep(max(0, began + n / options.rate - time.monotonic()))
            at = time.monotonic()
            connection.request("POST", f"/api/v1/workflows/{flow}/run-async", "{}", headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 202, (answer.status, text)
            took.append((time.monotonic() - at) * 1000)
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, range(CLIENTS)))
    for connection in connections:
        connection.close()
    took.sort()
    return took


def percentiles(took):
    return {"p50": round(took[len(took) // 2], 1), "p99": round(took[len(took) * 99 // 100], 1)}


def load(stack, key, flow, n):
    """One round with n subscribers."""
    crowd = Crowd(stack, key, n)
    crowd.start()
    pids = {name: stack.pid(name) for name in ("stream", "nginx")}
    began = {name: cpu_s(pid) for name, pid in pids.items()}
    took = accept(stack, key, flow)
    used = {f"{name}_cpu": round((cpu_s(pid) - began[name]) / options.seconds, 3) for name, pid in pids.items()}
    crowd.asked.set()
    until = time.monotonic() + 120
    while n and min(crowd.counts) < len(took) and time.monotonic() < until:
        time.sleep(0.1)
    counts = crowd.counts[:]
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state = 1") == "0", 120, "the end of all runs")
    crowd.ended.set()
    crowd.join()
    result = {**percentiles(took), **used}
    if n:
        result["mib_per_s"] = round(crowd.octets.value / options.seconds / 2 ** 20, 1)
        result["missed_or_twice"] = sum(c != len(took) for c in counts)
    print(n, "subscribers:", result, file=sys.stderr, flush=True)
    return result


def measure(stack):
    workspace = stack.workspace(credits=10000000)
    key, flow = workspace.client().key, workspace.put_workflow(ECHO)
    accept(stack, key, flow)
    rounds = {"without": [], "with": []}
    for _ in range(options.rounds):
        rounds["without"].append(load(stack, key, flow, 0))
        rounds["with"].append(load(stack, key, flow, options.subscribers))
    p99 = {name: statistics.median(r["p99"] for r in list_) for name, list_ in rounds.items()}
    return {"subscribers": options.subscribers, "runs_per_s": options.rate, "accept_ms": rounds, "accept_p99_ratio": round(p99["with"] / p99["without"], 3),
            "missed_or_twice": sum(r["missed_or_twice"] for r in rounds["with"])}


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("subscribers", type=int, nargs="?", default=1000)
parser.add_argument("rate", type=float, nargs="?", default=500)
parser.add_argument("seconds", type=float, nargs="?", default=10)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--plain", action="store_true")
options = parser.parse_args()
bench_stack.run({"quotas.streams": "100000"}, measure, most={"accept_p99_ratio": 1.2, "missed_or_twice": 0})
