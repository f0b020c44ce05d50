#!/usr/bin/python3
"""schedules.py [--schedules 10000] [--workspaces 10] [--rate 20] [--seconds 20]: measures how fast schedules that are due at the same moment are
started, and what that does to the requests of others.

A private stack with a working executor. The schedules are made by SQL, equally many in each workspace, with one common time. Another workspace starts runs
at a steady rate over 4 connections, first alone, then from the common time on until all schedules have started; a request's latency is counted
from the moment it was due. Prints how long the starts took, the delay of the median and of the last one, and both latencies. Exits with 1 if a
schedule was started later than a minute after its time, or not exactly once, or if p99 of the others' requests exceeds the larger of 250 ms and
five times that of the quiet time."""
import argparse
import http.client
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import bench_stack  # noqa: E402

CONNECTIONS = 4
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": "${/execution/scheduled_for}"}]}


def start_runs(stack, key, workflow, rate, goes_on, took):
    """One connection: a run every CONNECTIONS / rate seconds while goes_on()."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    due = time.monotonic()
    while goes_on():
        due += CONNECTIONS / rate
        time.sleep(max(0, due - time.monotonic()))
        connection.request("POST", f"/api/v1/workflows/{workflow}/run-async", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 202, body
        took.append((time.monotonic() - due) * 1000)


def latencies(stack, key, workflow, rate, goes_on):
    took = []
    threads = [threading.Thread(target=start_runs, args=(stack, key, workflow, rate, goes_on, took)) for _ in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took.sort()
    return {"runs": len(took), "p50_ms": round(took[len(took) // 2], 2), "p99_ms": round(took[len(took) * 99 // 100], 2)}


def number(stack, query):
    return int(stack.sql_one(query))


def now_ms(stack):
    return number(stack, "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")


def add_schedules(stack, workspace, n, at):
    workflow = workspace.put_workflow(PROGRAM)
    key = workspace.key()["id"]
    stack.sql_long(f"""INSERT INTO schedules (id, workspace_id, principal_id, key_id, responder_id, kind, timing, timezone, every_s, anchor_ms, jitter_s,
        overlap, catch_up_s, next_ms, due_ms, note, created_ms, updated_ms)
      SELECT UUID(), '{workspace.id}', '{workspace.id}', '{key}', '{workflow}', 1, 1, 'UTC', 86400, {at}, 0, 1, 3600, {at}, {at}, '', {at}, {at}
      FROM seq_1_to_{n}""")


def measure(stack, o):
    other = stack.workspace(credits=10**7)
    workflow, key = other.put_workflow(PROGRAM), other.key()["key"]
    spaces = [stack.workspace(credits=10**6) for _ in range(o.workspaces)]
    until = time.monotonic() + o.seconds
    quiet = latencies(stack, key, workflow, o.rate, lambda: time.monotonic() < until)
    at = now_ms(stack) + 5000 + 500 * o.workspaces
    for space in spaces:
        add_schedules(stack, space, o.schedules // o.workspaces, at)
    assert now_ms(stack) < at, "the schedules were made too late"
    time.sleep((at - now_ms(stack)) / 1000)
    left, limit = [o.schedules], time.monotonic() + 300

    def watch():
        while left[0] > 0 and time.monotonic() < limit:
            left[0] = number(stack, f"SELECT COUNT(*) FROM schedules WHERE due_ms = {at}")
            time.sleep(0.2)
    watcher = threading.Thread(target=watch)
    watcher.start()
    busy = latencies(stack, key, workflow, o.rate, watcher.is_alive)
    rows = f"FROM schedule_occurrences WHERE nominal_ms = {at}"
    return {
        "schedules": o.schedules,
        "started": number(stack, f"SELECT COUNT(DISTINCT execution_id) {rows} AND state = 1"),
        "started_twice": number(stack, f"SELECT COUNT(*) - COUNT(DISTINCT schedule_id) {rows}"),
        "last_s": round(number(stack, f"SELECT MAX(decided_ms) - {at} {rows}") / 1000, 1),
        "mean_s": round(number(stack, f"SELECT CAST(AVG(decided_ms) - {at} AS SIGNED) {rows}") / 1000, 1),
        "quiet": quiet, "busy": busy,
        "p99_times": round(busy["p99_ms"] / max(quiet["p99_ms"], 50), 2),
    }


p = argparse.ArgumentParser()
p.add_argument("--schedules", type=int, default=10000)
p.add_argument("--workspaces", type=int, default=10)
p.add_argument("--rate", type=int, default=20)
p.add_argument("--seconds", type=int, default=20)
options = p.parse_args()
bench_stack.run({"executor.processes": "2"}, lambda stack: measure(stack, options), most={"last_s": 60, "started_twice": 0, "p99_times": 5},
                least={"started": options.schedules // options.workspaces * options.workspaces})
