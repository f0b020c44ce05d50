"""Common part of the benchmarks with one stack: build, start, measure, stop. Prints the result and the required bounds as one JSON
object and exits with 1 if a bound is missed."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import ROOT, Stack  # noqa: E402


def cpu_s(pid):
    """Of a process and its children."""
    stat, children = (pathlib.Path(f"/proc/{pid}/{name}").read_text() for name in ("stat", f"task/{pid}/children"))
    fields = stat.rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") + sum(cpu_s(child) for child in children.split())


def run(settings, measure, most=None, least=None):
    """`measure(stack)` returns the result; `most` and `least` map names of its figures to their bounds."""
    most, least = most or {}, least or {}
    subprocess.run(["make", "-s", "-j2", "all", "bench-tools"], cwd=ROOT, check=True)
    stack = Stack({"mariadb.log_mib": "1024", "api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", **settings})
    try:
        stack.start()
        stack.wait_ready()
        result = measure(stack)
    finally:
        stack.stop()
        shutil.rmtree(stack.dir)
    missed = [name for name, bound in most.items() if result[name] > bound] + [name for name, bound in least.items() if result[name] < bound]
    required = {**{name: f"at most {bound}" for name, bound in most.items()}, **{name: f"at least {bound}" for name, bound in least.items()}}
    print(json.dumps({**result, "required": required, "missed": missed}, indent=2))
    sys.exit(1 if missed else 0)
