#!/usr/bin/python3
"""loaded.py SECONDS: starts a stack of the tree in which this file lies and prints `ready`; for each line on stdin it accepts runs of one
transform for SECONDS over 64 connections while the executor works, waits until all have ended, and prints the figures as JSON; at the end of
stdin it stops. drained.py copies this file into the tree of an earlier commit, so that it uses nothing but what the stacks of all commits have."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from runs import OPEN  # noqa: E402
from stack import Stack, eventually  # noqa: E402

PURE = {"steps": [{"name": "a", "type": "transform", "value": {"n": 1}}]}
SETTINGS = {"api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", "executor.processes": "2", "api.workers": "32", "log.level": "warn"}
CONNECTIONS = 64
PROGRAMS = {"nginx", "mariadbd", "redis-server"}
LUA = """
wrk.method, wrk.body = "POST", '{"inputs": {"n": 1}}'
wrk.headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer %s"}
function setup(thread) threads = threads or {}; table.insert(threads, thread) end
accepted = 0
function response(status) if status == 202 then accepted = accepted + 1 end end
function done(summary, latency)
  local n = 0
  for _, t in ipairs(threads) do n = n + t:get("accepted") end
  io.write(string.format('\\n{"accepted": %%d, "p50_ms": %%f, "p99_ms": %%f}\\n', n, latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


def cpu_us(stack):
    """By program, of the processes of the stack that run."""
    used, nginx = {}, str(stack.pid("nginx"))
    for process in pathlib.Path("/proc").iterdir():
        try:
            head, rest = (process / "stat").read_text().rsplit(")", 1)
            name, fields = head.split("(", 1)[1], rest.split()
            # nginx's workers overwrite their environment with their title: they are found by their parent
            of_stack = str(stack.dir).encode() in (process / "cmdline").read_bytes() + (process / "environ").read_bytes() \
                or nginx in (process.name, fields[1])
        except (OSError, ValueError):
            continue
        if of_stack and (name in PROGRAMS or name.startswith("millrace")):
            used[name] = used.get(name, 0) + (int(fields[11]) + int(fields[12])) * 1e6 / os.sysconf("SC_CLK_TCK")
    return used


def load(stack, workspace, workflow, seconds):
    before, begun = cpu_us(stack), time.monotonic()
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA % workspace.client().key)
        script.flush()
        done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", script.name,
                               f"{stack.url}/api/v1/workflows/{workflow}/run-async"], capture_output=True, text=True, timeout=seconds + 60)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.rsplit("\n", 2)[1])
    loaded_s = time.monotonic() - begun
    left = int(stack.sql_one(OPEN))
    eventually(lambda: stack.sql_one(OPEN) == "0", 600, "the end of all runs")
    took_s = time.monotonic() - begun
    after = cpu_us(stack)
    return {"per_s": told["accepted"] / took_s, "accepted_per_s": told["accepted"] / loaded_s, "left": left, "p50_ms": told["p50_ms"], "p99_ms": told["p99_ms"],
            "cpu_us": {name: round((after[name] - before.get(name, 0)) / told["accepted"], 1) for name in sorted(after)}}


def main():
    seconds = int(sys.argv[1])
    stack = Stack(SETTINGS)
    try:
        stack.start()
        stack.wait_ready()
        stack.sql("SET GLOBAL innodb_log_file_size = 1073741824")  # as docs/operations.md advises; MariaDB writes pages all the time otherwise
        workspace = stack.workspace(credits=100000000)
        workflow = workspace.put_workflow(PURE)
        load(stack, workspace, workflow, 3)  # each worker compiles its program
        print("ready", flush=True)
        for _ in sys.stdin:
            print(json.dumps(load(stack, workspace, workflow, seconds)), flush=True)
    finally:
        stack.stop()
        shutil.rmtree(stack.dir)


if __name__ == "__main__":
    main()
