#!/usr/bin/python3
"""bench --against COMMIT [--seconds S] [--rounds R] [CASE…]: builds another commit in a worktree and measures both trees in turn.

Each round runs both trees, the one that was second before being first, each on a stack of its own with the benchmark of its own commit.
The speed of the machine changes from minute to minute, so that only figures of one round are compared: the table shows the geometric mean
of the rounds' ratios, this tree / the other one, and its 95 % confidence interval (Student's t of the logarithms). A difference whose
interval contains 1 is none. Writes build/against.json.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEFAULT_CASES = ["accept", "accept keyed", "run-batch", "get"]
# 97.5 % quantile of Student's t by degrees of freedom; from 31 on that of the normal distribution is within 2 %
T = [12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23, 2.20, 2.18, 2.16, 2.14, 2.13, 2.12, 2.11, 2.10, 2.09, 2.09, 2.08, 2.07, 2.07,
     2.06, 2.06, 2.06, 2.05, 2.05, 2.05, 2.04]


def git(*args):
    return subprocess.run(["git", "-C", str(ROOT), *args], check=True, capture_output=True, text=True).stdout.strip()


def build(tree):
    subprocess.run(["make", "-s", "-j2", "all", "bench-tools"], cwd=tree, check=True)


def measure(tree, cases, seconds):
    """One round of the benchmark of this tree: {case: figures}."""
    out = tree / "build/against-round.json"
    out.unlink(missing_ok=True)
    # it exits with 1 if a target is missed, which is not asked here
    done = subprocess.run(["/usr/bin/python3", "tests/bench/bench.py", "--seconds", str(seconds), "--rounds", "1", "--json", str(out), *cases],
                          cwd=tree, capture_output=True, text=True)
    if not out.exists():
        sys.exit(f"{tree}: the benchmark failed\n{done.stdout}{done.stderr}")
    found = json.loads(out.read_text())
    best = found.get("end_to_end")
    latencies = {"p50": 0, "p99": 0}  # not measured; report() leaves such figures out
    return {**{name: each[0] for name, each in found["cases"].items()}, **({"end to end": {**latencies, **best}} if best else {})}


def interval(ratios):
    """(geometric mean, lower, upper); without bounds for one round."""
    logs = [math.log(r) for r in ratios]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), None, None
    half = (T[len(logs) - 2] if len(logs) - 2 < len(T) else 1.96) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def figures(run):
    return {"rate": run["rate"], "p50": run["p50"], "p99": run["p99"], "CPU": sum(run["cpu_us"].values())}


def report(rounds, cases):
    rows = []
    print(f"{'case':28} {'figure':6} {'this / other':>13}   95 % confidence")
    for case in cases:
        for figure in ("rate", "p50", "p99", "CPU"):
            pairs = [(figures(this[case])[figure], figures(other[case])[figure]) for this, other in rounds]
            if not any(a and b for a, b in pairs):
                continue
            mean, low, high = interval([a / b for a, b in pairs if a and b] or [1.0])
            rows.append({"case": case, "figure": figure, "ratio": mean, "low": low, "high": high, "pairs": pairs})
            verdict = "" if low is None else f"{low:.3f} to {high:.3f}{'' if low <= 1 <= high else '  differs'}"
            print(f"{case:28} {figure:6} {mean:13.3f}   {verdict}")
    return rows


def main():
    options = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--against", required=True, metavar="COMMIT")
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("cases", nargs="*")
    o = options.parse_args()
    cases, commit = o.cases or list(DEFAULT_CASES), git("rev-parse", "--verify", o.against + "^{commit}")
    other = ROOT / "build/against" / commit[:12]
    if not other.exists():
        git("worktree", "add", "--detach", str(other), commit)
    try:
        for tree in (ROOT, other):
            build(tree)
        rounds = []
        for n in range(o.rounds):
            order = (ROOT, other) if n % 2 == 0 else (other, ROOT)
            found = {tree: measure(tree, cases, o.seconds) for tree in order}
            rounds.append((found[ROOT], found[other]))
            for name in [c for c in cases if not all(c in each for each in rounds[-1])]:
                cases.remove(name)
                print(f"{name}: left out, because not both trees have this case", flush=True)
            print(f"round {n + 1} of {o.rounds}: " + ", ".join(f"{c} {rounds[-1][0][c]['rate']:.0f} / {rounds[-1][1][c]['rate']:.0f}" for c in cases),
                  flush=True)
        rows = report(rounds, cases)
        (ROOT / "build/against.json").write_text(json.dumps({"this": git("describe", "--always", "--dirty"), "other": commit, "rows": rows}, indent=2))
    finally:
        git("worktree", "remove", "--force", str(other))


if __name__ == "__main__":
    main()
