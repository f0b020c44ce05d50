#!/usr/bin/python3
"""Measures the field's usual test: one workflow of 400 light tasks, here the naive Fibonacci number of 10 by a sandboxed Python skill.

  tests/bench/warm.py [--tasks 400] [--rounds 5] [--executors 2]

Each round runs the workflow (one step with for_each) with a cold and with a warm skill, each with concurrency 1 and 10, in turn. The time
is from the acceptance to the end of the workflow's run, as its row has them. Before the first round each workflow ran once, so that the
executor's caches are filled; its warm processes are those of the round before. Starts a private stack. Prints one JSON object; exits
with 1 if a target is missed.
"""
import argparse
import json
import pathlib
import statistics
import tempfile

import bench_stack
from skills import EXAMPLES, install, package

TARGETS = {"warm_1_median_s": 2.0, "warm_10_median_s": 1.0}

COLD = """import json, sys
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)
print(json.dumps({"result": fibonacci(json.load(sys.stdin)["n"])}))
"""


def cold_skill(folder):
    document = json.loads((EXAMPLES / "fibonacci/skill.json").read_text())
    document.update(slug="fibonacci-cold", runner={"type": "command", "argv": ["python3", "./main.py"]})
    return package(folder, document, main_py=COLD)


def workflow(workspace, slug, tasks, concurrency):
    return workspace.put_workflow({"steps": [{"name": "f", "type": "skill", "slug": slug, "for_each": [10] * tasks,
                                              "concurrency": concurrency, "inputs": {"n": "${/item}"}}], "timeout_seconds": 600})


def seconds(stack, client, id, tasks):
    run = client.started(id)
    client.get(f"/executions/{run}", params={"wait": 60})
    x = client.finished(run, 300)
    assert x["status"] == "success" and [r["outputs"]["result"] for r in x["detail"]["output"]] == [55] * tasks, x["error"]
    row, = stack.sql(f"SELECT ended_ms - CAST(CONV(REPLACE(LEFT(CAST(id AS CHAR), 13), '-', ''), 16, 10) AS SIGNED) FROM executions "
                     f"WHERE id = '{run}'")
    return int(row[0]) / 1000


def measure(stack, args):
    workspace = stack.workspace(credits=10_000_000)
    with tempfile.TemporaryDirectory() as d:
        install(workspace, cold_skill(pathlib.Path(d)))
    install(workspace, EXAMPLES / "fibonacci")
    client = workspace.client()
    cases = {f"{mode}_{n}": workflow(workspace, slug, args.tasks, n)
             for mode, slug in (("cold", "fibonacci-cold"), ("warm", "fibonacci")) for n in (1, 10)}
    times = {name: [] for name in cases}
    for id in cases.values():
        seconds(stack, client, id, args.tasks)
    for _ in range(args.rounds):
        for name, id in cases.items():
            times[name].append(seconds(stack, client, id, args.tasks))
    medians = {f"{name}_median_s": round(statistics.median(t), 2) for name, t in times.items()}
    return {"tasks": args.tasks, "seconds": times, **medians}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--executors", type=int, default=2)
    args = parser.parse_args()
    bench_stack.run({"log.level": "warn", "executor.processes": args.executors}, lambda stack: measure(stack, args), most=TARGETS)


if __name__ == "__main__":
    main()
