#!/usr/bin/python3
"""overload.py [--seconds S] [--times N] [--workers W]: offers N times the capacity of a pool in an open loop through nginx. Measures the
latency of accepted requests, how soon the others are rejected, and whether anything is lost. The first two seconds, in which the pool
distinguishes the overload from a burst, are reported separately. Prints one JSON object; exits with 1 if a target is missed.

The pool is small (W workers, 1 by default), because generator and nginx share the machine with it and cannot send and reject ten times
the capacity of 32 workers. With --workers 32 the figures show how the whole machine behaves when it is overloaded.
"""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/api"))
from stack import Stack  # noqa: E402

CONNECTIONS = 4000  # of the generator: more than the queues of nginx and the pool together
BODY = '{"inputs": {"n": 1}}'
TRANSFORM = {"steps": [{"name": "sum", "type": "transform", "value": {"n": "${/inputs/n}"}}]}
REFUSED_P99_MS = 50
ACCEPTED_P99_TIMES = 5  # relative to the latency at capacity


class Overload:
    def __init__(self, workers):
        subprocess.run(["make", "-s", "-j2", "all", "build/plain/bench-flood"], cwd=ROOT, check=True)
        self.workers = workers
        self.stack = Stack({"api.workers": str(workers), "api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", "log.level": "warn"}).start()
        self.stack.stop_server("executor")  # acceptance is measured without runs being executed
        self.accepted = 0

    def request_of(self, **limits):
        """A file with a request that starts a run in a new workspace."""
        workspace = self.stack.workspace(credits=10**9, **limits)
        path = self.stack.dir / f"request-{workspace.id}"
        path.write_text(f"POST /api/v1/workflows/{workspace.put_workflow(TRANSFORM)}/run-async HTTP/1.1\r\nHost: millrace\r\n"
                        f"Authorization: Bearer {workspace.key()['key']}\r\nContent-Type: application/json\r\n"
                        f"Content-Length: {len(BODY)}\r\n\r\n{BODY}")
        return path

    def pace(self, request, rate, seconds, connections=CONNECTIONS):
        command = [str(c) for c in (ROOT / "build/plain/bench-flood", self.stack.port, rate, seconds, connections, request)]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 60)
        found = json.loads(done.stdout)
        statuses = found["statuses"]
        self.accepted += statuses.get("202", {}).get("n", 0)
        found["asked_a_second"] = rate
        found["answered_a_second"] = sum(s["n"] for s in statuses.values()) / seconds
        found["accepted_a_second"] = statuses.get("202", {}).get("n", 0) / seconds
        return found

    def measure(self, seconds, times):
        request, limited = self.request_of(), self.request_of(rate_limit_per_minute=600)
        self.pace(request, 1000, 2)
        # four connections per worker keep the pool busy at any rate
        full = self.pace(request, 10**6, seconds, 4 * self.workers)
        capacity = full["accepted_a_second"]
        return {"capacity_a_second": capacity, "at capacity": full,
                "half of it": self.pace(request, capacity / 2, seconds),
                "times it, its first seconds": self.pace(request, capacity * times, 2),
                "times it": self.pace(request, capacity * times, seconds),
                "times it, above its rate limit": self.pace(limited, capacity * times, seconds),
                "half of it, afterwards": self.pace(request, capacity / 2, seconds)}

    def nothing_lost(self):
        """Checks that there is a row for each response 202, and runs the audit."""
        rows = int(self.stack.sql_one("SELECT COUNT(*) FROM executions"))
        code, _, _ = self.stack.cli("audit", check=False)
        return {"accepted": self.accepted, "rows": rows, "audit": code}


def missed(found):
    def p99_ms(part, status):
        return found[part]["statuses"].get(status, {}).get("us_since_due", {}).get("p99", 0) / 1000
    lost = found["lost"]
    checks = {"something was lost": lost["audit"] != 0 or lost["rows"] != lost["accepted"],
              "refused late (503)": p99_ms("times it", "503") > REFUSED_P99_MS,
              "refused late (429)": p99_ms("times it, above its rate limit", "429") > 2 * REFUSED_P99_MS,
              "accepted late": p99_ms("times it", "202") > ACCEPTED_P99_TIMES * found["at capacity"]["statuses"]["202"]["us_since_sent"]["p99"] / 1000,
              "much less accepted": found["times it"]["accepted_a_second"] < 0.7 * found["capacity_a_second"],
              "slow afterwards": found["half of it, afterwards"]["accepted_a_second"] < 0.99 * found["half of it, afterwards"]["asked_a_second"]}
    return [name for name, bad in checks.items() if bad]


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=12)
    options.add_argument("--times", type=float, default=10)
    options.add_argument("--workers", type=int, default=1)
    o = options.parse_args()
    overload = Overload(o.workers)
    try:
        found = {"times": o.times, "workers": o.workers, **overload.measure(o.seconds, o.times), "lost": overload.nothing_lost()}
    finally:
        overload.stack.close()
    found["missed"] = missed(found)
    print(json.dumps(found, indent=1))
    sys.exit(1 if found["missed"] else 0)


if __name__ == "__main__":
    main()
