#!/usr/bin/python3
"""growth.py [--requests N] [--warm N]: whether the programs grow while they serve: PSS of each after the WARM first requests (starts,
gets, lists, replays, refusals, in turn; the executor at work), and again after N more. Workers are not recycled meanwhile. Prints one
JSON object; exit 1 where they have grown by more than a twentieth."""
import argparse
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import Bench  # noqa: E402
from runs import OPEN, eventually  # noqa: E402

MIX = ("accept", "accept keyed", "get", "list", "replay", "402", "accept 100 workspaces")
SECONDS = 4  # of each before the next
MOST = 1.05


def serve(bench, requests):
    """Goes through the mix until so many were answered; waits until what they started has ended."""
    served = 0
    while served < requests:
        for name in MIX:
            served += bench.run(name, SECONDS)["rate"] * SECONDS
    eventually(lambda: bench.stack.sql_one(OPEN) == "0", 600, "all runs ended")
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
