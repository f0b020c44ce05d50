#!/usr/bin/python3
"""batches.py [--seconds S] [--rounds R]: runs from their acceptance to their end, started one by one and by run-batch, in turn.

One stack, whose executors work. In each of R (6) rounds runs of one transform are started for S (6) seconds over 64 connections, one a request, and
for S / 2 seconds over 2 connections, ITEMS a request, and each time measured until all have ended. The order changes from round to round. Prints runs per
second until the last one has ended, and CPU of all programs for each run; the medians of the ratios with their 95 % confidence intervals by rank.
Required: in batches 1.5 times as many runs.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import loaded
from bench_stack import ROOT
from paired import median_interval, verdict
from runs import OPEN
from stack import Stack, eventually

ITEMS, LEAST = 1000, 1.5
LUA = pathlib.Path(__file__).resolve().parent / "wrk"


def load_batches(stack, workspace, workflow, seconds):
    before, begun = loaded.cpu_us(stack), time.monotonic()
    env = {**os.environ, "BENCH_DIR": str(LUA), "BENCH_KEYS": workspace.client().key, "BENCH_WORKFLOWS": workflow, "BENCH_ITEMS": str(ITEMS)}
    done = subprocess.run(["wrk", "-t1", "-c2", f"-d{seconds}s", "--timeout", "10s", "-s", str(LUA / "run_batch.lua"), stack.url], env=env, capture_output=True, text=True,
                          timeout=seconds + 60, check=True)
    told = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("BENCH "))[6:])
    assert set(told["statuses"]) == {"200"} and not told["socket_errors"], told
    n, loaded_s = told["requests"] * ITEMS, time.monotonic() - begun
    eventually(lambda: stack.sql_one(OPEN) == "0", 600, "the end of all runs")
    after = loaded.cpu_us(stack)
    return {"per_s": n / (time.monotonic() - begun), "accepted_per_s": n / loaded_s,
            "cpu_us": {name: round((after[name] - before.get(name, 0)) / n, 1) for name in sorted(after)}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    subprocess.run(["make", "-s", "-j2", "all"], cwd=ROOT, check=True)
    stack, found = Stack({**loaded.SETTINGS, "mariadb.log_mib": "1024"}), {"single": [], "batches": []}
    try:
        stack.start()
        stack.wait_ready()
        workspace = stack.workspace(credits=100000000)
        workflow = workspace.put_workflow(loaded.PURE)
        loads = {"single": lambda s: loaded.load(stack, workspace, workflow, s), "batches": lambda s: load_batches(stack, workspace, workflow, max(1, s // 2))}
        for load in loads.values():
            load(2)  # each worker compiles its program
        for k in range(options.rounds):
            for name in sorted(loads, reverse=k % 2 == 1):
                found[name].append(loads[name](options.seconds))
                print(name, json.dumps(found[name][-1]), file=sys.stderr, flush=True)
    finally:
        stack.close()
    result = {}
    for figure, of in {"runs": lambda r: r["per_s"], "cpu": lambda r: sum(r["cpu_us"].values())}.items():
        middle, low, high = median_interval([of(b) / of(a) for a, b in zip(found["single"], found["batches"], strict=True)])
        result[figure] = {"ratio": round(middle, 3), "interval": [low and round(low, 3), high and round(high, 3)], **{name: [round(of(r)) for r in found[name]] for name in found}}
    result["required"] = {"runs": f"at least {LEAST}"}
    result["runs_is"] = verdict(*result["runs"]["interval"], least=LEAST)
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["runs_is"] == "met" else 1)


if __name__ == "__main__":
    main()
