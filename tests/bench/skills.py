#!/usr/bin/python3
"""Measures how many sandboxed command runs per second are started by the API, executed, and ended in MariaDB.

  tests/bench/skills.py [--runs 200] [--rounds 5] [--clients 8]

Each round starts RUNS runs of a skill whose command is `echo {}` (like `true`, but with the outputs of a successful run) as fast as
CLIENTS connections can. The time is from the first acceptance (the time in the id) to the last end (the time in the row). In turn, a loop
runs the same command as often with bubblewrap alone, in the same namespaces and mounts: the best that the machine can reach. Starts a
private stack. Prints one JSON object; exits with 1 if the target is missed.
"""
import argparse
import concurrent.futures
import http.client
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import bench_stack
from stack import ROOT
from skills import install, manifest, package

TARGETS = {"median_per_s": 100}
ENDED = "SELECT COUNT(*), SUM(state = 3), MIN(CAST(CONV(REPLACE(LEFT(CAST(id AS CHAR), 13), '-', ''), 16, 10) AS SIGNED)), " \
        "MAX(ended_ms) FROM executions WHERE workspace_id = '{}' AND state IN (3, 4, 5)"

FAILED = "SELECT id, failure_reason, error FROM executions " \
         "WHERE workspace_id = '{}' AND state <> 3 LIMIT 5"


def post(stack, key, path, count):
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    for _ in range(count):
        connection.request("POST", path, b'{"inputs": {}}', {"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert answer.status == 201, (answer.status, answer.read())
        answer.read()
    connection.close()


def one_round(stack, skill, runs, clients):
    """Runs per second of one round in a new workspace, and the CPU utilization of the machine."""
    workspace = stack.workspace(credits=1000000)
    install(workspace, skill)
    key, path = workspace.key()["key"], f"/api/v1/spaces/{workspace.id}/skills/nothing/executions"
    idle, began = idle_s(), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(post, stack, key, path, runs // clients) for _ in range(clients)]:
            done.result()
    asked, deadline = runs // clients * clients, time.monotonic() + 120
    while (row := stack.sql(ENDED.format(workspace.id))[0])[0] != str(asked):
        assert time.monotonic() < deadline, row
        time.sleep(0.2)  # each query costs CPU, too
    ended, good, began_ms, ended_ms = map(int, row)
    assert good == ended, stack.sql(FAILED.format(workspace.id))
    return ended * 1000 / (ended_ms - began_ms), 1 - (idle_s() - idle) / (time.monotonic() - began) / os.cpu_count()


def idle_s():
    """Idle seconds of all cores together."""
    fields = pathlib.Path("/proc/stat").read_text().split("\n")[0].split()
    return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")


def bubblewrap_per_s(folder, runs):
    """The command line of bubblewrap, as in runner/sandbox.c."""
    links = [word for name in ("lib", "lib64", "bin", "sbin") for word in ("--symlink", f"usr/{name}", f"/{name}")]
    etc = [word for name in ("ld.so.cache", "alternatives", "localtime") for word in ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")]
    (folder / "work/inputs").mkdir(parents=True, exist_ok=True)
    command = ["bwrap", "--unshare-all", "--as-pid-1", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--die-with-parent",
               "--new-session", "--cap-drop", "ALL", "--ro-bind", "/usr", "/usr", *links, "--proc", "/proc", "--dev", "/dev",
               "--tmpfs", "/dev/shm", "--remount-ro", "/dev", "--tmpfs", "/tmp", *etc, "--ro-bind", folder, "/skill",
               "--bind", folder / "work", "/work", "--ro-bind", folder / "work/inputs", "/work/inputs", "--remount-ro", "/", "--chdir", "/work",
               "--", "echo", "{}"]
    spawn = [ROOT / "build/plain/bench-spawn", str(runs), str(os.cpu_count()), "/usr/bin/bwrap", *command[1:]]
    return float(subprocess.run(spawn, check=True, capture_output=True, text=True).stdout.split()[-1])


def measure(stack, args):
    with tempfile.TemporaryDirectory() as d:
        skill = package(pathlib.Path(d), manifest("nothing", argv=("echo", "{}")))
        one_round(stack, skill, args.runs, args.clients)  # warm-up
        rounds, alone = [], []
        for _ in range(args.rounds):
            rounds.append(one_round(stack, skill, args.runs, args.clients))
            alone.append(bubblewrap_per_s(pathlib.Path(d), args.runs))
    median = statistics.median(rate for rate, _ in rounds)
    return {"runs": args.runs, "runs_per_s": [round(rate, 1) for rate, _ in rounds], "machine_busy": [round(busy, 2) for _, busy in rounds],
            "bubblewrap_alone_per_s": alone, "of_bubblewrap_alone": round(median / statistics.median(alone), 2), "median_per_s": round(median, 1)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    args = parser.parse_args()
    bench_stack.run({"log.level": "warn"}, lambda stack: measure(stack, args), least=TARGETS)


if __name__ == "__main__":
    main()
