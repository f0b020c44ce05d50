#!/usr/bin/python3
"""Measures what parked runs cost the others, and how fast they are started and woken.

  tests/bench/parked.py [--parked 100000] [--accepted 3000] [--woken 3000] [--samples 200]

1. `accepted` runs of `delay 3600` are started through the API, as fast as they are accepted; all of them are parked.
2. Copies of one of them are inserted by SQL until `parked` runs are parked, with everything that belongs to a run: event, step and
   debit rows. The audit then checks them.
3. A victim's one-transform runs are measured without and with these parked runs, and so is the memory of the executors.
4. `woken` of the parked runs become due at one time, and every executor process is killed in the middle of waking them.
5. `woken` more become due, undisturbed: their rate.

Starts a private stack. Prints one JSON object; exits with 1 if a bound is missed.
"""
import argparse
import concurrent.futures
import http.client
import json
import os
import pathlib
import signal
import statistics
import sys
import time

import bench_stack
from stack import eventually

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "hostile"))
from victim import Victim  # noqa: E402

CHUNK = 20000  # rows inserted by one statement
MOST = {"executor_memory_growth_mib": 64, "accept_ratio": 1.2, "finish_ratio": 1.2, "lost": 0, "violations": 0}
LEAST = {"started_per_s": 500, "woken_per_s": 500}
DELAY = {"timeout_seconds": 86400, "steps": [{"name": "a", "type": "delay", "seconds": 3600}]}

COPY = """
  SET SESSION sql_mode = '';
  DROP TEMPORARY TABLE IF EXISTS made;
  CREATE TEMPORARY TABLE made (id UUID PRIMARY KEY) AS
    SELECT CAST(CONCAT(LEFT(hex, 8), '-', RIGHT(hex, 4), '-7', '000', '-8000-', LPAD(HEX(seq), 12, '0')) AS UUID) AS id
    FROM (SELECT seq, LPAD(HEX({at_ms} + seq DIV 10), 12, '0') AS hex FROM seq_{first}_to_{last}) AS s;
  INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, effects, attempt, last_seq,
      executor_id, cost, started_ms, updated_ms, deadline_ms, input)
    SELECT m.id, e.workspace_id, e.responder_id, e.principal_id, m.id, e.kind, e.source, e.version, e.state, e.effects, e.attempt,
      e.last_seq, 0, e.cost, e.started_ms, e.updated_ms, e.deadline_ms, e.input FROM executions e, made m WHERE e.id = '{model}';
  INSERT INTO execution_steps (execution_id, step, item, status, tries, answers, due_ms, started_ms)
    SELECT m.id, s.step, s.item, s.status, s.tries, s.answers, s.due_ms, s.started_ms FROM execution_steps s, made m
    WHERE s.execution_id = '{model}';
  INSERT INTO events SELECT m.id, v.seq, v.type, v.at_ms, v.data FROM events v, made m WHERE v.execution_id = '{model}';
  SET @grant = UUID();
  INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms)
    SELECT e.workspace_id, @grant, 2, 2, 50, e.cost * (SELECT COUNT(*) FROM made), 0, {at_ms}, {at_ms} FROM executions e WHERE e.id = '{model}';
  INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, grant_id)
    SELECT e.workspace_id, m.id, 2, -e.cost, m.id, e.responder_id, @grant FROM executions e, made m WHERE e.id = '{model}';
  INSERT INTO credit_ledger (workspace_id, id, kind, amount, reason, grant_id)
    SELECT e.workspace_id, @grant, 1, e.cost * (SELECT COUNT(*) FROM made), 'parked.py', @grant FROM executions e WHERE e.id = '{model}';
  INSERT INTO waits (execution_id, workspace_id, reason, wake_ms)
    SELECT m.id, w.workspace_id, w.reason, w.wake_ms FROM waits w, made m WHERE w.execution_id = '{model}';
  DROP TEMPORARY TABLE made"""


def number(stack, statement):
    return int(stack.sql(statement, timeout=1200)[0][0])


def accept(stack, workspace, workflow, count):
    """Starts the runs over eight connections. Returns the ids and the seconds."""
    key = workspace.key()["key"]

    def some(n):
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=60)
        for _ in range(n):
            connection.request("POST", f"/api/v1/workflows/{workflow}/run-async", headers={"Authorization": f"Bearer {key}", "Content-Length": "0"})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 202, body
        connection.close()
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(some, [count // 8] * 8))
    eventually(lambda: number(stack, f"SELECT COUNT(*) FROM waits WHERE workspace_id = '{workspace.id}'") == count // 8 * 8, 120, "all runs parked")
    return time.monotonic() - began


def insert_copies(stack, workspace, count):
    model = stack.sql_one(f"SELECT execution_id FROM waits WHERE workspace_id = '{workspace.id}' LIMIT 1")
    at_ms = int(time.time() * 1000) - 86400000
    for first in range(1, count + 1, CHUNK):
        stack.sql(COPY.format(at_ms=at_ms, first=first, last=min(first + CHUNK - 1, count), model=model), timeout=1200)
    stack.sql("ANALYZE TABLE executions, waits, execution_steps, events, credit_ledger", timeout=1200)


def memory_mib(stack):
    """Of all executor processes: resident memory that belongs to them alone."""
    total = 0
    for pid in stack.children("executor"):
        lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        total += sum(int(line.split()[1]) for line in lines if line.startswith(("Private_Clean", "Private_Dirty")))
    return round(total / 1024, 1)


def make_due(stack, workspace, count):
    """Lets so many parked runs become due now. Returns their number."""
    stack.sql(f"CREATE TEMPORARY TABLE some (id UUID PRIMARY KEY) AS SELECT execution_id AS id FROM waits WHERE workspace_id = '{workspace.id}' "
              f"LIMIT {count}; SET @now = ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000); "
              "UPDATE execution_steps s JOIN some ON some.id = s.execution_id SET s.due_ms = @now; "
              "UPDATE waits w JOIN some ON some.id = w.execution_id SET w.wake_ms = @now", timeout=300)


def ended(stack, workspace):
    return number(stack, f"SELECT COUNT(*) FROM executions FORCE INDEX (by_state) WHERE workspace_id = '{workspace.id}' AND state = 3")


def wake(stack, workspace, count, kill):
    """Seconds until `count` runs that become due have ended."""
    before = ended(stack, workspace)
    make_due(stack, workspace, count)
    began = time.monotonic()
    if kill:
        eventually(lambda: ended(stack, workspace) - before >= min(100, count // 2), 60, "the first runs are woken")
        for pid in stack.children("executor"):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: ended(stack, workspace) - before >= count, 120, "all woken runs have ended")
    return time.monotonic() - began


def audit(stack):
    began = time.monotonic()
    _, out, _ = stack.cli("audit", check=False, timeout=1200)
    return json.loads(out)["violations"], time.monotonic() - began


def victim_times(victim, samples):
    """The median of accept, and the mean of the quicker nine tenths of finish (whose times are whole milliseconds): of four rounds the
    quickest, because other work on the machine only makes them slower."""
    rounds = [victim.measure(samples // 4) for _ in range(4)]
    assert not any(r.refused for r in rounds), [r.refused[:3] for r in rounds]
    return min(statistics.median(r.accept_ms) for r in rounds), min(statistics.fmean(sorted(r.finish_ms)[:len(r.finish_ms) * 9 // 10]) for r in rounds)


def measure(stack, args):
    workspace = stack.workspace(credits=10 * args.accepted)
    workflow = workspace.put_workflow(DELAY)
    victim = Victim(stack)
    victim.measure(100)
    memory = memory_mib(stack)
    started_s = accept(stack, workspace, workflow, args.accepted)
    accept_alone, finish_alone = victim_times(victim, args.samples)
    copies = max(0, args.parked - args.accepted)
    insert_copies(stack, workspace, copies)
    victim.measure(50)
    accept_beside, finish_beside = victim_times(victim, args.samples)
    memory_parked = memory_mib(stack)
    began = time.monotonic()
    metrics_ms = (victim.client.session.get(f"{stack.url}/metrics", timeout=60).status_code, (time.monotonic() - began) * 1000)[1]
    killed_s = wake(stack, workspace, args.woken, kill=True)
    woken_s = wake(stack, workspace, args.woken, kill=False)
    growth = round(max(memory_parked, memory_mib(stack)) - memory, 1)
    violations, audit_s = audit(stack)
    total = number(stack, f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")
    kept = number(stack, f"SELECT COUNT(*) FROM executions e LEFT JOIN waits w ON w.execution_id = e.id WHERE e.workspace_id = '{workspace.id}' "
                         "AND (e.state = 3 OR (e.state = 2 AND w.execution_id IS NOT NULL))")
    return {"parked": number(stack, "SELECT COUNT(*) FROM waits"), "started_per_s": round(args.accepted / started_s),
            "executor_memory_mib": memory, "executor_memory_growth_mib": growth,
            "accept_ms": [round(accept_alone, 2), round(accept_beside, 2)], "accept_ratio": round(accept_beside / accept_alone, 2),
            "finish_ms": [round(finish_alone, 2), round(finish_beside, 2)], "finish_ratio": round(finish_beside / finish_alone, 2),
            "metrics_ms": round(metrics_ms), "woken_with_kill_s": round(killed_s, 1), "woken_per_s": round(args.woken / woken_s),
            "lost": total - kept, "violations": len(violations), "first_violations": violations[:5], "audit_s": round(audit_s)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parked", type=int, default=100000)
    parser.add_argument("--accepted", type=int, default=3000)
    parser.add_argument("--woken", type=int, default=3000)
    parser.add_argument("--samples", type=int, default=200)
    args = parser.parse_args()
    bench_stack.run({"api.queue_ms": "5000", "api.workers": "8"}, lambda stack: measure(stack, args), most=MOST, least=LEAST)


if __name__ == "__main__":
    main()
