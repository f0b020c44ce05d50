#!/usr/bin/python3
"""overload.py [--seconds S] [--times N]: N times the load that the pool can bear, in an open loop through nginx: what becomes of
those that are accepted, how soon the others are refused, and whether anything is lost. Prints one JSON object."""
import argparse
import json
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/api"))
from stack import Stack  # noqa: E402

WORKERS = 32
CONNECTIONS = 4000  # of the generator: more than nginx's and the pool's queues together
BODY = '{"inputs": {"n": 1}}'
TRANSFORM = {"steps": [{"name": "sum", "type": "transform", "value": {"n": "${/inputs/n}"}}]}


class Overload:
    def __init__(self):
        subprocess.run(["make", "-s", "-j2", "all", "build/plain/bench-flood"], cwd=ROOT, check=True)
        self.stack = Stack({"api.workers": str(WORKERS), "api.rate_limit_per_minute": "100000000", "log.level": "warn"}).start()
        self.stack.stop_server("executor")  # accepting is measured by itself
        self.accepted = 0

    def request_of(self, **limits):
        """A file with a request that starts a run in a workspace of its own."""
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
        found["offered_a_second"] = sum(s["n"] for s in statuses.values()) / seconds
        found["accepted_a_second"] = statuses.get("202", {}).get("n", 0) / seconds
        return found

    def nothing_lost(self):
        """As many rows as answers 202, and the audit."""
        rows = int(self.stack.sql_one("SELECT COUNT(*) FROM executions"))
        code, _, _ = self.stack.cli("audit", check=False)
        return {"accepted": self.accepted, "rows": rows, "audit": code}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--times", type=float, default=10)
    o = options.parse_args()
    overload = Overload()
    found = {}
    try:
        request, limited = overload.request_of(), overload.request_of(rate_limit_per_minute=600)
        overload.pace(request, 1000, 2)
        # as many connections as twice the workers keep the pool busy, whatever the rate that is asked for
        capacity = overload.pace(request, 10**6, o.seconds, 2 * WORKERS)["accepted_a_second"]
        found["capacity_a_second"] = capacity
        found["half of it"] = overload.pace(request, capacity / 2, o.seconds)
        found[f"{o.times:g} times"] = overload.pace(request, capacity * o.times, o.seconds)
        found[f"{o.times:g} times, above its rate limit"] = overload.pace(limited, capacity * o.times, o.seconds)
        found["half of it, afterwards"] = overload.pace(request, capacity / 2, o.seconds)
        found["lost"] = overload.nothing_lost()
    finally:
        overload.stack.close()
    print(json.dumps(found, indent=1))
    lost = found["lost"]
    sys.exit(0 if lost["audit"] == 0 and lost["rows"] == lost["accepted"] else 1)


if __name__ == "__main__":
    main()
