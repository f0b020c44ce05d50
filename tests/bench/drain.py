#!/usr/bin/python3
"""drain.py RUNS: how many runs of one step end in a second. Starts a stack of the tree in which this file lies and prints `ready`; for each line
on stdin it drains RUNS queued runs and prints the rate from the first end to the last; at the end of stdin it stops. ends.py --against copies
this file into the tree of an earlier commit, so that it uses nothing but what the stacks of all commits have."""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import Stack, eventually  # noqa: E402

PURE = {"steps": [{"name": "a", "type": "transform", "value": {"n": 1}}]}
SETTINGS = {"api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", "executor.processes": "2", "executor.outgoing_allow": "127.0.0.0/8"}


def drained_per_s(stack, workspace, workflow, runs, seed):
    """The executors of the stack do not run before, and run afterwards."""
    rows.insert(lambda s: stack.sql(s, timeout=300), workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")
    begun = int(stack.sql_one("SELECT IFNULL(MAX(ended_ms), 0) FROM executions"))
    stack.start_server("executor")
    of = f"FROM executions WHERE responder_id = '{workflow}' AND ended_ms > {begun}"
    eventually(lambda: int(stack.sql_one(f"SELECT COUNT(*) {of}")) >= runs, 300, "the end of the runs")
    ended = [int(r[0]) for r in stack.sql(f"SELECT ended_ms {of} ORDER BY ended_ms")]
    return (runs - 1) * 1000 / max(1, ended[-1] - ended[0])


def main():
    runs = int(sys.argv[1])
    stack = Stack(SETTINGS)
    try:
        stack.start()
        stack.wait_ready()
        workspace = stack.workspace(credits=1)
        workflow = workspace.put_workflow(PURE)
        stack.stop_server("executor")
        print("ready", flush=True)
        for seed, _ in enumerate(sys.stdin):
            rate = drained_per_s(stack, workspace, workflow, runs, seed)
            stack.stop_server("executor")
            print(rate, flush=True)
    finally:
        stack.stop()
        shutil.rmtree(stack.dir)


if __name__ == "__main__":
    main()
