#!/usr/bin/env python3
"""Open consoles: consoles.py [--consoles 100] [--seconds 6] [--rounds 4] [--only PAGE]. How many runs are accepted in a second (wrk, 16 connections)
while consoles are open on the live screens, and without them in turn, as a ratio of the medians. The consoles are HTTP clients with sessions
of their own that make the requests of console/src, in a process of their own: half show the list of runs (the summaries of the feed, and the
first page again after an end, with the pauses of hooks.ts), a quarter one run (its event stream), a quarter the operator's overview or the executor
log. Consoles are on other machines, so that what their process uses of this one's processors is taken off: `ratio` is with / (without x what it
left of them), `ratio_all` with / without. Starts a private stack. Prints one JSON object; exits with 1 if a bound is missed."""
import argparse
import http.client
import json
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import threading
import time

import bench_stack
from bench_stack import cpu_s
from stack import eventually

WAITS = {"steps": [{"name": "w", "type": "wait", "signal": "go", "timeout_seconds": 3600}]}
ECHO = {"inputs": {"type": "object"}, "steps": [{"name": "a", "type": "transform", "value": 1}]}
PAGE = {"X-Millrace-Console": "1", "Sec-Fetch-Site": "same-origin"}
WRK = bench_stack.ROOT / "tests/bench/wrk"
MIN_POLL_S = 2
SERVERS = ("nginx", "api", "mariadb", "redis", "executor", "stream")


def pause_after(every, took):
    """As pauseAfter of hooks.ts."""
    return max(MIN_POLL_S, every, min(60, 20 * took)) * random.uniform(1, 1.25)


class Console(threading.Thread):
    """One page: its first requests, then its streams and refreshes until `end`."""

    def __init__(self, stack, token, end):
        super().__init__(daemon=True)
        self.stack, self.end, self.requests, self.octets, self.refused, self.fresh = stack, end, 0, 0, 0, threading.Event()
        self.ready, self.failure = threading.Event(), None
        self.connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
        answer = self.send("POST", "/session", json.dumps({"token": token}), {**PAGE, "Content-Type": "application/json"})
        self.headers = {**PAGE, "Accept": "application/json", "Cookie": answer.headers["Set-Cookie"].split(";")[0]}

    def send(self, method, path, body=None, headers=None, may_fail=False):
        """As `get` of api.ts: what is refused for the moment is sent again, three times in all."""
        for turn in range(3):
            self.connection.request(method, "/api/v1" + path, body, headers or self.headers)
            answer = self.connection.getresponse()
            answer.text = text = answer.read()
            self.octets += len(text)
            self.requests += 1
            if answer.status not in (429, 503):
                break
            self.refused += 1
            time.sleep(float(answer.headers["Retry-After"]) * random.uniform(1, 1.5))
        assert answer.status == 200 or may_fail, (path, answer.status, text[:500])
        return answer

    def run(self):
        try:
            self.screen()
        except Exception as e:  # noqa: BLE001 - reported at the end
            self.failure = self.failure or repr(e)

    def poll(self, every, *paths):
        """As useLoad: the pause grows with the time of the answer. The first turn makes the page ready."""
        while not self.end.is_set():
            began = time.monotonic()
            for path in paths:
                self.send("GET", path)
            self.ready.set()
            self.end.wait(pause_after(every, time.monotonic() - began))

    def follow(self, path):
        """Reads a stream in a thread of its own. What arrives makes the page `fresh`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=60)
        while True:
            connection.request("GET", "/api/v1" + path, headers={**self.headers, "Accept": "text/event-stream", "Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            if answer.status == 200:
                break
            assert answer.status in (429, 503), (path, answer.status, answer.read()[:500])
            answer.read()
            self.refused += 1
            time.sleep(float(answer.headers["Retry-After"]))

        def read():
            try:
                while not self.end.is_set() and (piece := answer.read1(1 << 16)):
                    self.octets += len(piece)
                    self.fresh.set()
            except (OSError, http.client.HTTPException) as e:
                self.failure = self.failure or (None if self.end.is_set() else repr(e))
        threading.Thread(target=read, daemon=True).start()


class RunsPage(Console):
    def screen(self):
        for path in ("/openapi.json", "/workflows?limit=1000", f"/spaces/{self.workspace}/skills", "/schedules?limit=1000", "/executions?limit=100"):
            self.send("GET", path)
        self.follow("/events?summary=true")
        self.ready.set()
        pause, known = MIN_POLL_S, set()
        while not self.end.wait(pause):
            self.fresh.wait(5 - MIN_POLL_S)
            self.fresh.clear()
            began = time.monotonic()
            answer = self.send("GET", "/executions?limit=100", may_fail=True)
            rows = {row["id"] for row in json.loads(answer.text)["executions"]} if answer.status == 200 else known
            pause = pause_after(MIN_POLL_S if rows & known else 5, time.monotonic() - began)
            known = rows


class RunPage(Console):
    def screen(self):
        at = f"/executions/{self.execution}"
        self.send("GET", f"{at}?include_step_results=true")
        self.follow(f"{at}/events")
        self.ready.set()
        while not self.end.wait(MIN_POLL_S):
            if self.fresh.is_set():
                self.fresh.clear()
                self.send("GET", f"{at}?include_step_results=true")


class OverviewPage(Console):
    def screen(self):
        self.poll(5, "/operator/workspaces?limit=50&sort=load", "/operator/overview")


class LogPage(Console):
    def screen(self):
        self.follow("/operator/executor-log")
        self.ready.set()
        self.end.wait()


class Consoles(multiprocessing.Process):
    """`ready` is set when each page shows what it is to show. `figures`: requests, octets, refused and failed ones so far."""

    def __init__(self, stack, n, key, execution, workspace):
        super().__init__(daemon=True)
        self.stack, self.n, self.key, self.execution, self.workspace = stack, n, key, execution, workspace
        self.token = stack.cli("operator", "create", "--name", f"bench {time.time()}", "--role", "viewer")["token"]
        self.figures, self.ready, self.ended = multiprocessing.Array("l", 4), multiprocessing.Event(), multiprocessing.Event()

    def run(self):
        end, made = threading.Event(), []
        for i in range(self.n):  # as people open them: not all in one moment
            kind = (RunsPage, RunPage, RunsPage, LogPage if i % 8 == 3 else OverviewPage)[i % 4]
            if options.only not in kind.__name__:
                continue
            made.append(kind(self.stack, self.token if kind in (OverviewPage, LogPage) else self.key, end))
            made[-1].execution, made[-1].workspace = self.execution, self.workspace
            made[-1].start()
            time.sleep(0.05)
        while not self.ended.wait(0.05):
            for console in made:
                if console.failure and not self.figures[3]:
                    print(console.failure, file=sys.stderr, flush=True)
            self.figures[:] = [sum(getattr(c, name) for c in made) for name in ("requests", "octets", "refused")] + [sum(c.failure is not None for c in made)]
            if all(c.ready.is_set() for c in made):
                self.ready.set()
        end.set()


def accepted(stack, key, flow, seconds):
    """Accepted runs in a second."""
    env = {**os.environ, "BENCH_DIR": str(WRK), "BENCH_KEYS": key, "BENCH_WORKFLOWS": flow}
    done = subprocess.run(["wrk", "-t1", "-c16", f"-d{seconds}s", "--timeout", "10s", "-s", str(WRK / "accept.lua"), stack.url], env=env, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout.split("BENCH ")[1])
    print(result, file=sys.stderr, flush=True)
    assert set(result["statuses"]) <= {"202", "503"}, result
    return result["statuses"]["202"] * 1e6 / result["duration_us"]


def measured(stack, key, flow):
    """(accepted runs in a second, microseconds of each server for one of them)"""
    pids = {name: stack.pid(name) for name in SERVERS}
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    rate = accepted(stack, key, flow, options.seconds)
    return rate, {name: round((cpu_s(pid) - before[name]) * 1e6 / rate / options.seconds) for name, pid in pids.items()}


def drain(stack):
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state = 1") == "0", 120, "an empty queue")


def measure(stack):
    workspace = stack.workspace(credits=10000000)
    client = workspace.client()
    flow, execution = workspace.put_workflow(ECHO), client.started(workspace.put_workflow(WAITS))
    accepted(stack, client.key, flow, 2)
    drain(stack)
    rates, us, corrected, used, each = {"without": [], "with": []}, {}, [], [], []
    for _ in range(options.rounds):
        rate, us["without"] = measured(stack, client.key, flow)
        rates["without"].append(rate)
        drain(stack)
        consoles = Consoles(stack, options.consoles, client.key, execution, workspace.id)
        consoles.start()
        eventually(lambda: consoles.ready.is_set() or consoles.figures[3], 120, "pages that show what they are to show")
        before, cpu, began = consoles.figures[:], cpu_s(consoles.pid), time.monotonic()
        rate, us["with"] = measured(stack, client.key, flow)
        rates["with"].append(rate)
        took = time.monotonic() - began
        used.append((cpu_s(consoles.pid) - cpu) / took)
        each.append([(b - a) / took for a, b in zip(before, consoles.figures[:])])
        assert consoles.figures[3] == 0, "pages have failed"
        consoles.ended.set()
        consoles.join()
        corrected.append(rates["with"][-1] / (rates["without"][-1] * (1 - used[-1] / os.cpu_count())))
        drain(stack)
    medians = {name: statistics.median(list_) for name, list_ in rates.items()}
    return {"consoles": options.consoles, "accepted_per_s": {name: [round(r) for r in list_] for name, list_ in rates.items()},
            "console_requests_per_s": round(statistics.median(e[0] for e in each), 1), "console_kib_per_s": round(statistics.median(e[1] for e in each) / 1024),
            "cpu_us_a_run_last_round": us, "refused_per_s": [round(e[2], 1) for e in each], "processors_of_consoles": [round(u, 2) for u in used],
            "ratio_all": round(medians["with"] / medians["without"], 3), "ratios": [round(c, 3) for c in corrected], "ratio": round(statistics.median(corrected), 3)}


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--consoles", type=int, default=100)
parser.add_argument("--seconds", type=int, default=6)
parser.add_argument("--rounds", type=int, default=4)
parser.add_argument("--only", default="", help="open only these: RunsPage, RunPage, OverviewPage, LogPage")
options = parser.parse_args()
bench_stack.run({"quotas.streams": "1000"}, measure, least={"ratio": 0.9})
