#!/usr/bin/python3
"""Measures the cost of open event streams: resident memory of the daemon, delay of events, effect on run-async.

  tests/bench/streams.py [--streams 5000] [--rate 200] [--seconds 10] [--rounds 3]

STREAMS streams stay open on 100 runs that do not end, while RATE runs per second are started and end half a second later, each with one more
subscriber from its acceptance to its end. The same load without the open streams runs in turn, because a p99 over ten seconds varies by
half. The medians of the rounds count. The subscribers are tests/bench/streams.c. Starts a private stack. Prints one JSON object; exits
with 1 if a target is missed.
"""
import argparse
import json
import pathlib
import statistics
import subprocess

import bench_stack
from bench_stack import cpu_s
from stack import ROOT, eventually

RUNS = 100  # runs that do not end; the open streams are spread over them
TARGETS = {"kib_per_stream": 20, "late_p99_ms": 50, "run_p99_ratio": 1.5}


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])


class Subscribers:
    """A process of bench-streams. It prints one line for each phase."""

    def __init__(self, stack, key, workflow, rate, seconds, executions=(), streams=0):
        command = [ROOT / "build/plain/bench-streams", stack.port, key, workflow, rate, seconds, streams, *executions]
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.phase = self.next()

    def next(self):
        line = self.process.stdout.readline()
        assert line, f"bench-streams ended with {self.process.wait()}"
        return json.loads(line)

    def go_on(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def load(self):
        self.go_on()
        return self.next()

    def close(self):
        self.go_on()
        assert self.process.wait(60) == 0, "events or streams were lost"


def loaded(*args, **kwargs):
    subscribers = Subscribers(*args, **kwargs)
    result = subscribers.load()
    subscribers.close()
    return result


def watched(load, executions, args, pid):
    """One round with the open streams: the measurements of the load, and the resources used by the daemon."""
    before = resident_kib(pid)
    subscribers = Subscribers(*load, args.seconds, executions, args.streams)
    opened, after, cpu = subscribers.phase, resident_kib(pid), cpu_s(pid)
    result = subscribers.load()
    highest, cpu = max(after, resident_kib(pid)), cpu_s(pid) - cpu
    subscribers.close()
    return {**result, "opened": opened["opened"], "opened_per_s": round(opened["opened"] / opened["seconds"]), "rss_kib": [before, after, highest],
            "daemon_cpu_ms_per_run": round(cpu * 1000 / result["runs"], 2)}


def measure(stack, args):
    workspace = stack.workspace(credits=1000000)
    client = workspace.client()
    hanging = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 3600}], "timeout_seconds": 7200})
    # long enough for its subscriber to connect before the run continues
    quick = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 0.5},
                                              {"name": "b", "type": "transform", "value": 1}]})
    executions = [client.started(hanging) for _ in range(RUNS)]
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM events WHERE type = 3") == str(RUNS), 20)
    load, pid = (stack, client.key, quick, args.rate), stack.pid("stream")
    loaded(*load, 3)  # warm-up
    alone, beside = [], []
    for _ in range(args.rounds):
        alone.append(loaded(*load, args.seconds))
        beside.append(watched(load, executions, args, pid))
    first = beside[0]  # growth of the first round, before allocated memory is reused

    def p99(rounds, what):
        return statistics.median(r[what]["p99"] for r in rounds)
    return {
        "alone": alone, "with_streams": beside, "streams": first["opened"],
        "kib_per_stream": round((first["rss_kib"][2] - first["rss_kib"][0]) / first["opened"], 2), "late_p99_ms": p99(beside, "late_ms"),
        "run_p99_ratio": round(p99(beside, "run_ms") / p99(alone, "run_ms"), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    bench_stack.run({"api.workers": "32", "quotas.streams": "100000"}, lambda stack: measure(stack, args), most=TARGETS)


if __name__ == "__main__":
    main()
