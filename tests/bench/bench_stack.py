"""What the benches of one stack have in common: it is built, started, measured and stopped; the result is told as one JSON object with
what is asked, and the program ends with 1 where a target is missed."""
import json
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import ROOT, Stack  # noqa: E402


def run(settings, measure, most=None, least=None):
    """`measure(stack)` gives the result; `most` and `least` name figures of it and their bounds."""
    most, least = most or {}, least or {}
    subprocess.run(["make", "-s", "-j2", "all", "bench-tools"], cwd=ROOT, check=True)
    stack = Stack({"api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", **settings})
    try:
        stack.start()
        stack.wait_ready()
        result = measure(stack)
    finally:
        stack.stop()
        shutil.rmtree(stack.dir)
    missed = [name for name, bound in most.items() if result[name] > bound] + [name for name, bound in least.items() if result[name] < bound]
    asked = {**{name: f"at most {bound}" for name, bound in most.items()}, **{name: f"at least {bound}" for name, bound in least.items()}}
    print(json.dumps({**result, "asked": asked, "missed": missed}, indent=2))
    sys.exit(1 if missed else 0)
