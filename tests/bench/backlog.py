#!/usr/bin/python3
"""backlog.py [RUNS]: RUNS (50,000) queued runs of one workspace, accepted while no executor runs, are drained by two executor processes;
once as they are, and once with Redis emptied in the middle. The rate of each tenth, after the first thousand runs, is compared with the rate
of the first tenth, in the same drain. Required: at least 0.9 from the first to the last."""
import json
import subprocess
import sys

import bench_stack
from runs import CONNECTIONS, request_of
from stack import ROOT, eventually

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 50000
FIRST = 1000   # the start of the processes
PARTS = 10
PURE = {"steps": [{"name": "a", "type": "transform", "value": {"n": "${/inputs/n}"}}]}


def accept(stack, party):
    while (missing := RUNS - queued(stack, party)) > 0:
        rate = 3000
        done = subprocess.run([ROOT / "build/plain/bench-pace", stack.url.rsplit(":", 1)[1], str(rate), str(max(1, missing // rate)),
                               str(CONNECTIONS)], input=request_of(stack, party), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr


def queued(stack, party):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE responder_id = '{party['workflow']}' AND state = 1"))


def drain(stack, empty_redis):
    workspace = stack.workspace(credits=1000000000)
    party = {"workflow": workspace.put_workflow(PURE), "key": workspace.key()["key"]}
    stack.stop_server("executor")
    accept(stack, party)
    total = queued(stack, party)
    stack.start_server("executor")
    if empty_redis:
        eventually(lambda: queued(stack, party) < total / 2, 600, "the middle")
        stack.redis("FLUSHALL")
    eventually(lambda: queued(stack, party) == 0, 900, "the end of the backlog")
    return parts(stack, party)


def parts(stack, party):
    """Rates of the tenths, in runs per second, by the times at which the runs ended."""
    ended = [int(r[0]) for r in stack.sql(f"SELECT ended_ms FROM executions WHERE responder_id = '{party['workflow']}' ORDER BY ended_ms")][FIRST:]
    size = len(ended) // PARTS
    return [size * 1000 / max(1, ended[(i + 1) * size - 1] - ended[i * size]) for i in range(PARTS)]


def measure(stack):
    result = {}
    for name, empty_redis in (("with_hints", False), ("redis_emptied", True)):
        rates = drain(stack, empty_redis)
        result[f"{name}_rates"] = [round(r) for r in rates]
        result[name] = round(min(rates) / rates[0], 3)
        print(json.dumps({name: result[name], "rates": result[f"{name}_rates"]}), file=sys.stderr)
    return result


bench_stack.run({"executor.processes": "2"}, measure, least={"with_hints": 0.9, "redis_emptied": 0.9})
