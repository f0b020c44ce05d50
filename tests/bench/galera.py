#!/usr/bin/python3
"""galera.py [--seconds S] [--rounds R]: what Galera costs one node: the rates of acceptance and of whole runs with it on and off, in turn.

Two stacks, whose servers of MariaDB differ in nothing but wsrep_on with its provider, and the format of its log (ROW). The node is alone: what
the network and the other nodes add is not in the figures. Prints medians and their ratio (on / off).
"""
import argparse
import json
import os
import statistics
import sys

from bench import Bench
import runs  # bench has set the path


def measure(benches, rounds, what):
    """Rates by mode, measured off, on, on, off, …"""
    found = {mode: [] for mode in benches}
    for n in range(rounds):
        for mode in sorted(benches, reverse=n % 2 == 0):
            found[mode].append(what(benches[mode]))
            print(f"{mode:3} {round(found[mode][-1])} a second", file=sys.stderr, flush=True)
    return found


def summary(found):
    median = {mode: statistics.median(rates) for mode, rates in found.items()}
    return {**{mode: [round(r) for r in rates] for mode, rates in found.items()}, "ratio": round(median["on"] / median["off"], 3)}


def main():
    options = argparse.ArgumentParser(prog="galera", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=4)
    options.add_argument("--rounds", type=int, default=2)
    o = options.parse_args()
    os.environ.setdefault("BENCH_WORKSPACES", "1")
    benches = {"off": Bench(), "on": Bench({"mariadb.galera": "1"})}
    try:
        for bench in benches.values():
            bench.start()
        for mode, bench in benches.items():
            [[_, state]] = bench.stack.sql("SHOW STATUS LIKE 'wsrep_ready'")
            assert state == mode.upper(), state
        whole = measure(benches, o.rounds, lambda b: runs.end_to_end(b, o.seconds)["rate"])
        for bench in benches.values():
            bench.stop_executor()
            bench.run("accept", 1)  # each worker compiles each program once
        accept = measure(benches, 2 * o.rounds, lambda b: b.run("accept", o.seconds)["rate"])
    finally:
        for bench in benches.values():
            bench.close()
    print(json.dumps({"accept": summary(accept), "end to end": summary(whole)}))


if __name__ == "__main__":
    main()
