#!/usr/bin/python3
"""drained.py --against COMMIT [--seconds S] [--rounds R]: runs from their acceptance to their end, this tree and another commit in turn.

In each of R (6) rounds each of the two stacks accepts runs of one transform for S (8) seconds over 64 connections while its executors work, and is
measured until all have ended (loaded.py). The order changes from round to round. Prints the ratios of the rounds, this tree / the other one: runs per
second until the last one has ended, runs accepted per second, and CPU of all programs for each run; the medians with their 95 % confidence intervals
by rank. The commit must be one whose stacks start on this machine. Required against f6be096: 1.5 times as many runs.
"""
import argparse
import contextlib
import json
import sys

import against
from paired import median_interval, verdict
from trees import ROOT, TreeStack, built_tree

LEAST = 1.5


def rounds_of(stacks, n):
    found = {name: [] for name in stacks}
    for k in range(n):
        for name in sorted(stacks, reverse=k % 2 == 1):
            found[name].append(stacks[name].round())
            print(name, json.dumps({key: round(v) if isinstance(v, float) else v for key, v in found[name][-1].items()}), file=sys.stderr, flush=True)
    return found


def report(found):
    figures = {"runs": lambda r: r["per_s"], "accepted": lambda r: r["accepted_per_s"], "cpu": lambda r: sum(r["cpu_us"].values())}
    result = {}
    for name, of in figures.items():
        middle, low, high = median_interval([of(a) / of(b) for a, b in zip(found["this"], found["other"])])
        result[name] = {"ratio": round(middle, 3), "interval": [low and round(low, 3), high and round(high, 3)]}
        for tree in found:
            result[name][tree] = [round(of(r)) for r in found[tree]]
    result["required"] = {"runs": f"at least {LEAST}"}
    result["runs_is"] = verdict(*result["runs"]["interval"], least=LEAST)
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT", required=True)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    against.build(ROOT)
    with built_tree(options.against) as tree, contextlib.ExitStack() as ended:
        stacks = {}
        for name, of in (("this", ROOT), ("other", tree)):
            stacks[name] = TreeStack(of, "loaded.py", options.seconds)
            ended.callback(stacks[name].close)
        result = report(rounds_of(stacks, options.rounds))
    print(json.dumps(result, indent=2))
    sys.exit(0 if result["runs_is"] == "met" else 1)


if __name__ == "__main__":
    main()
