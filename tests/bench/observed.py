#!/usr/bin/python3
"""observed.py [--seconds 400] [--runs 2000]: what metrics and traces cost. Two stacks get the same runs in turn, request by request, so that whatever
else slows the machine down slows down both: one exports one run in a hundred to a collector (`traces`), the other exports nothing (`bare`). Of
each round of so many runs: the CPU time of the API for a request and of the executor for a run, by the kernel's clocks of all processes of that
program, to the nanosecond.
After four rounds both start again in each other's part, because two stacks may differ by more than what is measured (once, the executor of the
one that exported took 28 % less, for four minutes). A figure is the geometric mean of two blocks that follow each other, one of each order.
Printed: the median of these figures and its 95 % confidence interval (by rank). A scrape of the metrics is measured by itself and charged at one
in 15 s, as Prometheus does, at the rate of the rounds. Counting for the metrics cannot be switched off, so that both stacks do it. Required: less
than 5 % for both programs; exits with 1 unless the whole interval shows it.
"""
import argparse
import concurrent.futures
import http.client
import json
import math
import pathlib
import statistics
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/api"), str(ROOT / "tests/fault")]
from paired import median_interval, verdict  # noqa: E402
from stack import Stack, children_of, eventually  # noqa: E402

PROGRAM = {"steps": [{"name": f"s{i}", "type": "transform", "value": i} for i in range(3)]}
PROGRAMS = ("api", "executor")
CONNECTIONS = 16
ROUNDS = 4  # of a block
EXPORT_S = 1.1  # spans are sent at the latest after a second
SCRAPES, SCRAPE_EVERY_S = 40, 15
MOST = 0.05


class Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self):
        collector = self
        self.requests = 0

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                collector.requests += 1
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def cpu_of(pid):
    """Nanoseconds of all threads that the process has or had: clock_getcpuclockid(3). The ticks of /proc/PID/stat are too coarse."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def cpu(stack, name):
    """{pid: nanoseconds} of the program's processes."""
    return {pid: cpu_of(pid) for pid in [stack.pid(name), *children_of(stack.pid(name))]}


class Party:
    """A stack and how it is driven."""

    def __init__(self):
        self.stack = Stack({"mariadb.log_mib": "1024", "api.workers": "4", "api.rate_limit_per_minute": "10000000", "executor.processes": "1"})
        self.path = None

    def start(self, endpoint):
        """Starts it, or starts it again. endpoint: where spans are sent; empty: nowhere."""
        if self.stack.pid("api"):
            self.stack.stop()
        self.stack.settings |= {"otlp.endpoint": endpoint, "otlp.sample_ratio": "0.01"}
        self.stack.start()
        if not self.path:
            self.set_up()

    def set_up(self):
        workspace = self.stack.workspace(credits=10000000)
        self.path = f"/api/v1/workflows/{workspace.put_workflow(PROGRAM)}/run-async"
        self.headers = {"Authorization": f"Bearer {workspace.key()['key']}", "Content-Length": "0"}

    def connect(self):
        """A function that starts a run."""
        connection = http.client.HTTPConnection("127.0.0.1", self.stack.port, timeout=60)

        def send():
            connection.request("POST", self.path, headers=self.headers)
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status == 202, text
        return send

    def cpu(self):
        return {name: cpu(self.stack, name) for name in PROGRAMS}

    def await_ends(self):
        eventually(lambda: self.stack.sql_one("SELECT COUNT(*) FROM executions WHERE state IN (1, 2)") == "0", 120, "the end of the runs")

    def scrape(self):
        """CPU by program of one scrape of the metrics, in microseconds."""
        def scrapes():
            for _ in range(SCRAPES):
                assert requests.get(self.stack.url + "/metrics", timeout=30).status_code == 200
        scrapes()  # fills the caches
        before = self.cpu()
        scrapes()
        used = used_us(before, self.cpu())
        return {name: us / SCRAPES for name, us in (used or dict.fromkeys(PROGRAMS, 0)).items()}


def used_us(before, after):
    """Microseconds by program; None if a process was replaced meanwhile, whose time is lost."""
    if any(before[name].keys() != after[name].keys() for name in PROGRAMS):
        return None
    return {name: (sum(after[name].values()) - sum(before[name].values())) / 1000 for name in PROGRAMS}


def send_in_turn(parties, n):
    senders = [party.connect() for party in parties]
    for _ in range(n):
        for send in senders:
            send()


def round_of(parties, runs):
    """Starts so many runs in each, and waits for their ends and the export of their spans. ({party: CPU by program for one of them, in microseconds}, or
    None; requests a second of each)"""
    before, begun = {name: party.cpu() for name, party in parties.items()}, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        # every other connection begins with the other stack
        orders = [list(parties.values())[::1 if i % 2 else -1] for i in range(CONNECTIONS)]
        list(pool.map(send_in_turn, orders, [runs // CONNECTIONS] * CONNECTIONS))
    rate = runs / (time.monotonic() - begun)
    for party in parties.values():
        party.await_ends()
    time.sleep(EXPORT_S)
    used = {name: used_us(before[name], party.cpu()) for name, party in parties.items()}
    return {name: {program: us / runs for program, us in by.items()} for name, by in used.items()} if all(used.values()) else None, rate


def block_of(parties, runs):
    """[{party: CPU by program}] of the rounds, and their requests a second."""
    round_of(parties, runs // 4)  # fills the caches
    found, rates, lost = [], [], 0
    while len(found) < ROUNDS:
        used, rate = round_of(parties, runs)
        rates.append(rate)
        if used:
            found.append(used)
        else:
            lost += 1
            assert lost < 20, "processes are replaced all the time"
    return found, rates


def blocks_of(stacks, endpoint, seconds, runs):
    """Pairs of blocks, of each order one, for so many seconds, at least six: [([round of the one], [round of the other])], and the median of requests a
    second."""
    found, rates, until = [], [], time.monotonic() + seconds
    while len(found) < 6 or time.monotonic() < until:
        both = []
        for bare, traces in (stacks, stacks[::-1]):
            bare.start("")
            traces.start(endpoint)
            rounds, some = block_of({"bare": bare, "traces": traces}, runs)
            both.append(rounds)
            rates += some
        found.append(both)
    return found, statistics.median(rates)


def ratio(rounds, name):
    return statistics.median(r["traces"][name] / r["bare"][name] for r in rounds)


def report(blocks, scrape, rate):
    result, rounds = {}, [r for both in blocks for block in both for r in block]
    for name in PROGRAMS:
        bare = statistics.median(r["bare"][name] for r in rounds)
        share = scrape[name] / (SCRAPE_EVERY_S * rate) / bare
        middle, low, high = median_interval([math.sqrt(ratio(one, name) * ratio(other, name)) - 1 + share for one, other in blocks])
        result[name] = {"bare_us": round(bare, 1), "traces_us": round(statistics.median(r["traces"][name] for r in rounds), 1),
                        "scrape_us": round(scrape[name]), "of_it_scrapes": round(share, 4), "cost": round(middle, 4),
                        "interval": [round(low, 4), round(high, 4)], "verdict": verdict(low, high, most=MOST)}
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=400)
    parser.add_argument("--runs", type=int, default=2000)
    options = parser.parse_args()
    runs = max(CONNECTIONS, options.runs // CONNECTIONS * CONNECTIONS)
    collector = Collector()
    stacks = [Party(), Party()]
    try:
        blocks, rate = blocks_of(stacks, f"http://127.0.0.1:{collector.server_port}", options.seconds, runs)
        scrape = stacks[0].scrape()  # which had the traces last
    finally:
        for party in stacks:
            party.stack.close()
    result = report(blocks, scrape, rate)
    assert collector.requests > 0, "nothing was exported"
    print(json.dumps({"pairs of blocks": len(blocks), "runs_in_a_round": runs, "requests_per_s": round(rate), "requests_to_the_collector": collector.requests,
                      **result, "required": f"less than {MOST:.0%}"}, indent=2))
    sys.exit(0 if all(result[name]["verdict"] == "met" for name in PROGRAMS) else 1)


if __name__ == "__main__":
    main()
