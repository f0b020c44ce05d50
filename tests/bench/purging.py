#!/usr/bin/python3
"""purging.py [--rows 100000] [--rate 500] [--seconds 10]: measures how retention slows down the acceptance of runs.

A private stack with a working executor. One workspace, which keeps payloads for 20 days, has executions from 40 days ago with every row
that a run leaves behind (tests/api/rows.py). Another workspace starts runs at a steady rate over 16 connections; a request's latency is
counted from the moment it was due. Windows with and without retention alternate, so that both see the same machine, until all executions
are purged. Prints the medians of p50 and p99 of each kind and the number of executions purged per second; exits with 1 if p99 rises by half
or more."""
import argparse
import http.client
import pathlib
import statistics
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import Stack  # noqa: E402

CONNECTIONS = 16
NEVER = 4000000000000


def start_runs(stack, key, workflow, rate, seconds, first, took):
    """The requests of one connection: every CONNECTIONS-th."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    began = time.monotonic()
    for i in range(first, rate * seconds, CONNECTIONS):
        due = began + i / rate
        time.sleep(max(0, due - time.monotonic()))
        connection.request("POST", f"/api/v1/workflows/{workflow}/run-async", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 202, body
        took.append((time.monotonic() - due) * 1000)


def window(stack, key, workflow, o):
    took = []
    threads = [threading.Thread(target=start_runs, args=(stack, key, workflow, o.rate, o.seconds, n, took)) for n in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(took) == o.rate * o.seconds, "a connection failed"
    took.sort()
    return took[len(took) // 2], took[len(took) * 99 // 100]


def purged(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND purged_ms IS NOT NULL"))


def measure(stack, o):
    old, new = stack.workspace(), stack.workspace(credits=10**7)
    program = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
    rows.insert(stack.sql_long, old.id, old.put_workflow(program), o.rows, rows.days_ago(40), tags=("old",), keyed=True)
    workflow, key = new.put_workflow(program), new.key()["key"]
    stack.cli("workspace", "set", "--workspace", old.id, "--keep-payload-days", 20)
    seen, rates = {False: [], True: []}, []
    window(stack, key, workflow, o)  # warm-up
    done = 0
    while done < o.rows:
        for purging in (False, True):
            stack.sql(f"UPDATE retention SET due_ms = {0 if purging else NEVER}")
            before = purged(stack, old)
            seen[purging].append(window(stack, key, workflow, o))
            done = purged(stack, old)
            assert (done > before) == purging, (before, done)
        rates.append((done - before) / o.seconds)
    return seen, rates


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100000)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--seconds", type=int, default=10)
    o = options.parse_args()
    stack = Stack({"api.rate_limit_per_minute": "100000000", "log.level": "warn"})
    try:
        stack.start()
        stack.wait_ready()
        seen, rates = measure(stack, o)
    finally:
        stack.close()
    p99 = {}
    for purging, name in ((False, "without"), (True, "with")):
        p50s, p99s = zip(*seen[purging])
        p99[purging] = statistics.median(p99s)
        print(f"{name:8} retention: p50 {statistics.median(p50s):.2f} ms, p99 {p99[purging]:.2f} ms (windows: {', '.join(f'{p:.1f}' for p in p99s)})")
    ratio = p99[True] / p99[False]
    print(f"purged {o.rows}, {statistics.median(rates):.0f}/s; p99 x {ratio:.2f} (required: below 1.5) {'holds' if ratio < 1.5 else 'FALLS SHORT'}")
    sys.exit(ratio >= 1.5)


if __name__ == "__main__":
    main()
