#!/usr/bin/python3
"""observed.py [--rounds N] [--runs N]: what metrics and traces cost. Two stacks, one that is scraped every 15 s (as Prometheus does) and exports one
run in a hundred to a collector, and one that is neither, get the same runs in turn. Prints the CPU time of the API for each request and of the
executor for each run, by the kernel's accounts (schedstat of the threads), and their ratio.
"""
import argparse
import concurrent.futures
import pathlib
import statistics
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/api"), str(ROOT / "tests/fault")]
from stack import Stack, children_of, eventually  # noqa: E402

PROGRAM = {"steps": [{"name": f"s{i}", "type": "transform", "value": i} for i in range(3)]}


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


def cpu_seconds(stack, name):
    """Of all threads of the program's processes, to the nanosecond: the ticks of /proc/PID/stat are too coarse."""
    total = 0
    for pid in [stack.pid(name), *children_of(stack.pid(name))]:
        total += sum(int(task.read_text().split()[0]) for task in pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return total / 1e9


def drive(stack, workflow, key, runs):
    """Starts the runs and waits for their ends. Returns (CPU of the API a request, CPU of the executor a run), in microseconds."""
    local = threading.local()

    def start(_):
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.trust_env = False
        answer = local.session.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", headers={"Authorization": f"Bearer {key}"}, timeout=60)
        assert answer.status_code == 202, answer.text
    before = {n: cpu_seconds(stack, n) for n in ("api", "executor")}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(runs)))
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state IN (1, 2)") == "0", 120, "the end of the runs")
    return [(cpu_seconds(stack, n) - before[n]) * 1e6 / runs for n in ("api", "executor")]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--runs", type=int, default=1500)
    options = parser.parse_args()
    collector = Collector()
    common = {"api.workers": "4", "api.rate_limit_per_minute": "10000000", "executor.processes": "1"}
    stacks = {"observed": Stack({**common, "otlp.endpoint": f"http://127.0.0.1:{collector.server_port}", "otlp.sample_ratio": "0.01"}), "bare": Stack(common)}
    over = threading.Event()
    results = {name: [] for name in stacks}
    try:
        places = {}
        for name, stack in stacks.items():
            stack.start()
            workspace = stack.workspace(credits=10000000)
            places[name] = (workspace.put_workflow(PROGRAM), workspace.key()["key"])
            drive(stack, *places[name], 300)  # fills the caches

        def scrape():
            while not over.wait(15):
                assert requests.get(stacks["observed"].url + "/metrics", timeout=30).status_code == 200
        scraper = threading.Thread(target=scrape)
        scraper.start()
        for round_ in range(options.rounds):
            for name in sorted(stacks, reverse=round_ % 2 == 1):
                results[name].append(drive(stacks[name], *places[name], options.runs))
    finally:
        over.set()
        for stack in stacks.values():
            stack.close()
    for i, what in enumerate(("API, CPU a request", "executor, CPU a run")):
        middle = {n: statistics.median(r[i] for r in results[n]) for n in results}
        ratios = sorted(a[i] / b[i] for a, b in zip(results["observed"], results["bare"]))
        print(f"{what}: observed {middle['observed']:.0f} us, bare {middle['bare']:.0f} us: {100 * (middle['observed'] / middle['bare'] - 1):+.1f} %"
              f" (rounds from {100 * (ratios[0] - 1):+.1f} to {100 * (ratios[-1] - 1):+.1f} %)")
    print(f"{collector.requests} requests to the collector, {options.rounds} rounds of {options.runs} runs")


if __name__ == "__main__":
    main()
