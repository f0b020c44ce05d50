#!/usr/bin/python3
"""Measures how fast runs that wait for a signal are signalled and ended.

  tests/bench/signals.py [--waiting 100000] [--rate 500] [--seconds 20]

1. A run of one `wait` step is parked; copies of it are inserted by SQL until `waiting` runs wait, with everything that belongs to a run.
2. Each of rate * seconds of them gets one signal through the API, at that rate, over 32 connections.
3. All of them end, each with the data that was sent to it; the others wait on, and the audit is clean.

Starts a private stack. Prints one JSON object; exits with 1 if a bound is missed.
"""
import argparse
import concurrent.futures
import http.client
import json
import threading
import time

import bench_stack
import parked
from stack import eventually

MOST = {"refused": 0, "wrong": 0, "violations": 0, "executor_memory_growth_mib": 64}
SENDERS = 32
WAIT = {"timeout_seconds": 60, "steps": [{"name": "a", "type": "wait", "signal": "go", "timeout_seconds": 86400}], "outputs": "${/steps/a/result/data}"}
COPY_WAITS = """
  UPDATE waits w JOIN waits m ON m.execution_id = '{model}' SET w.until_ms = m.until_ms;
  INSERT INTO signal_waits (execution_id, step, item, name, due_ms, message)
    SELECT w.execution_id, s.step, s.item, s.name, s.due_ms, s.message FROM waits w JOIN signal_waits s ON s.execution_id = '{model}'
    WHERE w.execution_id <> '{model}';
  ANALYZE TABLE waits, signal_waits"""


def send_all(stack, workspace, ids, rate):
    """Sends one signal to each, at most `rate` a second. Returns the seconds, the times of the requests in ms, and the other answers."""
    key, began, lock, due = workspace.key()["key"], time.monotonic(), threading.Lock(), iter(enumerate(ids))
    times, refused = [], []

    def some(_):
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
        while True:
            with lock:
                n, id = next(due, (None, None))
            if id is None:
                return
            time.sleep(max(0, began + n / rate - time.monotonic()))  # the pace of the load
            sent = time.monotonic()
            connection.request("POST", f"/api/v1/executions/{id}/signals/go", body=json.dumps(n),
                               headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"})
            answer = connection.getresponse()
            body = answer.read()
            times.append((time.monotonic() - sent) * 1000)
            if answer.status != 202 or b"delivered" not in body:
                refused.append(body[:200].decode())
    with concurrent.futures.ThreadPoolExecutor(SENDERS) as pool:
        list(pool.map(some, range(SENDERS)))
    return time.monotonic() - began, sorted(times), refused


def measure(stack, args):
    workspace = stack.workspace(credits=100)
    client = workspace.client()
    workflow = workspace.put_workflow(WAIT)
    model = client.started(workflow)
    eventually(lambda: parked.number(stack, "SELECT COUNT(*) FROM waits WHERE reason = 4") == 1, 30, "the run waits")
    memory = parked.memory_mib(stack)
    parked.insert_copies(stack, workspace, args.waiting - 1)
    stack.sql(COPY_WAITS.format(model=model), timeout=1200)
    count = args.rate * args.seconds
    ids = [r[0] for r in stack.sql(f"SELECT execution_id FROM waits WHERE execution_id <> '{model}' LIMIT {count}", timeout=300)]
    sent_s, times, refused = send_all(stack, workspace, ids, args.rate)
    began = time.monotonic()
    eventually(lambda: parked.ended(stack, workspace) >= count - len(refused), 300, "all signalled runs have ended")
    tail_s = time.monotonic() - began
    outputs = dict(stack.sql(f"SELECT id, output FROM executions FORCE INDEX (by_state) WHERE workspace_id = '{workspace.id}' AND state = 3", timeout=300))
    lags = sorted(int(v) for (v,) in stack.sql(f"SELECT e.ended_ms - s.at_ms FROM signals s JOIN executions e ON e.id = s.execution_id WHERE e.state = 3", timeout=300))
    violations, audit_s = parked.audit(stack)
    return {"waiting": args.waiting, "signals": count, "sent_per_s": round(count / sent_s), "refused": len(refused), "first_refused": refused[:3],
            "request_ms": {"p50": round(times[len(times) // 2], 1), "p99": round(times[len(times) * 99 // 100], 1)},
            "signal_to_end_ms": {"p50": lags[len(lags) // 2], "p99": lags[len(lags) * 99 // 100]}, "ended_after_the_last_s": round(tail_s, 1),
            "wrong": sum(outputs.get(id) != str(n) for n, id in enumerate(ids)), "executor_memory_growth_mib": round(parked.memory_mib(stack) - memory, 1),
            "still_waiting": parked.number(stack, "SELECT COUNT(*) FROM waits WHERE reason = 4"),
            "violations": len(violations), "first_violations": violations[:5], "audit_s": round(audit_s)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--waiting", type=int, default=100000)
    parser.add_argument("--rate", type=int, default=500)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    bench_stack.run({"api.queue_ms": "5000", "api.workers": "8"}, lambda stack: measure(stack, args), most=MOST)


if __name__ == "__main__":
    main()
