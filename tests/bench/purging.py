#!/usr/bin/python3
"""purging.py [--rows 100000] [--rate 500] [--seconds 10] [--keys N]: measures how retention slows down the acceptance of runs.

A private stack with a working executor. One workspace, which keeps payloads for 20 days, has executions from 40 days ago with every row
that a run leaves behind (tests/api/rows.py). Another workspace starts runs at a steady rate over 16 connections; a request's latency is
counted from the moment it was due. Windows with and without retention alternate, so that both see the same machine, until all executions
are purged. Prints the medians of p50 and p99 of each kind and the number of executions purged per second; exits with 1 if p99 rises by half
or more.

With --keys N: measures whether the expiry of idempotency keys keeps up. The table has N expired keys (made by SQL). 16 connections start
keyed runs as fast as they are answered for --seconds; exits with 1 if fewer than 1.5 times as many keys are removed as runs accepted."""
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


def start_keyed_runs(stack, key, workflow, until, name, accepted):
    """As many runs as one connection is answered, each with a new key."""
    connection, n = http.client.HTTPConnection("127.0.0.1", stack.port), 0
    while time.monotonic() < until:
        connection.request("POST", f"/api/v1/workflows/{workflow}/run-async",
                           headers={"Authorization": f"Bearer {key}", "Idempotency-Key": f"{name}-{n}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 202, body
        n += 1
    accepted.append(n)


def insert_expired_keys(stack, workspace, n, at_once=100000):
    for first in range(0, n, at_once):
        stack.sql_long(f"INSERT INTO idempotency_keys SELECT UNHEX(SHA2(CONCAT('expired', seq), 256)), '{workspace.id}', CONCAT('expired', seq), "
                       f"REPEAT('f', 32), NULL, 202, '{{\"execution_id\":\"x\"}}', 4000000000000 FROM seq_{first}_to_{min(n, first + at_once) - 1}")


def expired_keys(stack):
    return int(stack.sql_long("SELECT COUNT(*) FROM idempotency_keys FORCE INDEX (expires_ms) WHERE expires_ms < 1000000000000")[0][0])


def keys(stack, o):
    workspace = stack.workspace(credits=10**8)
    workflow, key = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}), workspace.key()["key"]
    insert_expired_keys(stack, workspace, o.keys)
    for first in range(0, o.keys, 100000):  # expired from here on, in pieces as for the inserts
        stack.sql_long("UPDATE idempotency_keys SET expires_ms = 1 WHERE expires_ms = 4000000000000 LIMIT 100000")
    left, began, accepted = expired_keys(stack), time.monotonic(), []
    threads = [threading.Thread(target=start_keyed_runs, args=(stack, key, workflow, began + o.seconds, n, accepted)) for n in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(accepted) == CONNECTIONS, "a connection failed"
    seconds = time.monotonic() - began
    removed = left - expired_keys(stack)
    all_gone = removed == left
    print(f"accepted {sum(accepted) / seconds:.0f}/s, keys removed {removed / seconds:.0f}/s ({removed / sum(accepted):.2f} times)"
          + (", all of them" if all_gone else ""))
    return 0 if removed >= 1.5 * sum(accepted) or all_gone else 1


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", type=int, default=100000)
    options.add_argument("--rate", type=int, default=500)
    options.add_argument("--seconds", type=int, default=10)
    options.add_argument("--keys", type=int, default=0)
    o = options.parse_args()
    stack = Stack({"api.rate_limit_per_minute": "100000000", "log.level": "warn"})
    try:
        stack.start()
        stack.wait_ready()
        if o.keys:
            sys.exit(keys(stack, o))
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
