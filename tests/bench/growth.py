#!/usr/bin/python3
"""growth.py [--requests N] [--warm N]: measures whether the programs grow while they serve. Compares the PSS of each program after
the first WARM requests (starts, gets, lists, replays and rejections in turn, with a working executor) with that after N more. Workers are
not recycled. Prints one JSON object; exits with 1 if memory has grown by more than a twentieth."""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import Bench  # noqa: E402
from runs import OPEN, eventually  # noqa: E402

MIX = ("accept", "accept keyed", "get", "list", "replay", "402", "accept 100 workspaces")
SECONDS = 4  # of each kind of request before the next kind
MOST = 1.05


def serve(bench, requests):
    """Sends the mix until the given number of requests was answered, then waits for the end of their runs."""
    served = 0
    while served < requests:
        for name in MIX:
            served += bench.run(name, SECONDS)["rate"] * SECONDS
    eventually(lambda: bench.stack.sql_one(OPEN) == "0", 600, "end of all runs")
    return round(served)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--requests", type=int, default=1000000)
    options.add_argument("--warm", type=int, default=1000000)
    o = options.parse_args()
    bench = Bench({"api.recycle_requests": "0"})
    try:
        bench.start()
        warm = serve(bench, o.warm)
        before = bench.memory()
        served = serve(bench, o.requests)
        after = bench.memory()
        restarts = bench.stack.log("api").count("worker.died")
    finally:
        bench.close()
    ratio = sum(after.values()) / sum(before.values())
    print(json.dumps({"warm": warm, "requests": served, "pss_kib": {"before": before, "after": after}, "ratio": round(ratio, 3), "at_most": MOST,
                      "workers_died": restarts}, indent=1))
    sys.exit(0 if ratio <= MOST and restarts == 0 else 1)


if __name__ == "__main__":
    main()
