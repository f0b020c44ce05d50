#!/usr/bin/python3
"""bench --peers [--seconds S] [--rounds R]: Millrace beside what people would make by hand, on the same MariaDB and Redis, in turn.

Each round loads each side for S seconds at 64 connections while its workers execute, then waits until its last run has ended. The order
changes from round to round; only figures of one round are compared. Prints a table and writes build/peers.json.

What favours whom: the peer is called directly, Millrace through nginx; the peer checks no limits, keeps no idempotency keys and fewer rows;
both commit durably before they answer, and again at the end of a run. The peer runs two processes a role, one a core. Ids, keys and the
body are the same. Redis is the same server with an append-only file; the peer has a database of its own in it and in MariaDB.
"""
import argparse
import hashlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tests/bench"))
sys.path.insert(0, str(ROOT / "tests/api"))
from bench import Bench, LUA, TRANSFORM, cpu_us, family  # noqa: E402
from runs import OPEN  # noqa: E402
from stack import eventually, free_port  # noqa: E402

CONNECTIONS, PROCESSES, DRAIN_S, WARM_S = 64, 2, 600, 10
NODE = "BullMQ"
FIGURES = ["accepted", "p50", "p99", "end to end", "left", "CPU us"]
REQUIRED = [("accepted", 1.5), ("end to end", 3.0)]


class Ours:
    def __init__(self, bench):
        self.bench, self.stack, self.url = bench, bench.stack, bench.stack.url

    def pids(self):
        return {n: self.stack.pid(n) for n in ("nginx", "api", "executor")}

    def open(self):
        return int(self.stack.sql_one(OPEN))


class Node:
    """Fastify, BullMQ and MariaDB."""

    def __init__(self, bench):
        self.stack, self.port, self.programs = bench.stack, free_port(), {}
        self.url = f"http://127.0.0.1:{self.port}"
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=HERE, check=True, stdin=subprocess.DEVNULL)
        sockets = self.stack.dir / "sockets"
        env = {**self.stack.env, "PEER_DB": str(sockets / "mariadb.sock"), "PEER_DB_USER": "root", "PEER_REDIS": str(sockets / "redis.sock"),
               "PEER_PORT": str(self.port), "NODE_ENV": "production"}
        main = bench.main
        self.stack.sql((HERE / "schema.sql").read_text())
        self.stack.sql(f"INSERT INTO peer.accounts VALUES ('{main['workspace'].id}', 1000000000)")
        self.stack.sql(f"INSERT INTO peer.api_keys VALUES (UNHEX('{hashlib.sha256(main['key'].encode()).hexdigest()}'), '{main['workspace'].id}')")
        self.stack.sql(f"INSERT INTO peer.workflows VALUES ('{main['workflow']}', '{main['workspace'].id}', '{json.dumps(TRANSFORM)}')")
        for role in ("api", "worker"):
            log = open(self.stack.dir / f"logs/peer-{role}", "w")
            self.programs[role] = subprocess.Popen(["node", HERE / "peer.mjs", role, str(PROCESSES)], env=env, stdout=log, stderr=log)
        eventually(lambda: subprocess.run(["curl", "-s", "-o", "/dev/null", self.url]).returncode == 0, 20, "the peer's port")

    def pids(self):
        return {role: p.pid for role, p in self.programs.items()}

    def open(self):
        return int(self.stack.sql_one("SELECT COUNT(*) FROM peer.executions WHERE state = 1"))

    def close(self):
        for p in self.programs.values():
            p.send_signal(signal.SIGTERM)
            p.wait(20)


def cpu_of(side):
    programs = {"mariadb": side.stack.pid("mariadb"), "redis": side.stack.pid("redis"), **side.pids()}
    return {name: sum(cpu_us(p) for p in family(root)) for name, root in programs.items()}


def measure(side, seconds):
    bench_env = {**os.environ, "BENCH_DIR": str(LUA), **side.keys}
    before, began = cpu_of(side), time.monotonic()
    done = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(LUA / "accept.lua"), side.url],
                          env=bench_env, capture_output=True, text=True, timeout=seconds + 60)
    line = next((l for l in done.stdout.splitlines() if l.startswith("BENCH ")), None)
    assert line, done.stdout + done.stderr
    r = json.loads(line[6:])
    assert set(r["statuses"]) == {"202"} and not r["socket_errors"], r
    left = side.open()
    eventually(lambda: side.open() == 0, DRAIN_S, "end of all runs")
    took = time.monotonic() - began
    after, n = cpu_of(side), r["requests"]
    return {"accepted": n / (r["duration_us"] / 1e6), "p50": r["p50_us"] / 1000, "p99": r["p99_us"] / 1000, "end to end": n / took,
            "left": left, "CPU us": (sum(after.values()) - sum(before.values())) / n, "CPU": {k: round((after[k] - before[k]) / n) for k in after}}


def main():
    options = argparse.ArgumentParser(prog="bench --peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peers", action="store_true", help="chosen by scripts/bench")
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    o = options.parse_args()
    bench = Bench()
    peer = None
    try:
        bench.start()
        keys = {"BENCH_KEYS": bench.main["key"], "BENCH_WORKFLOWS": bench.main["workflow"]}
        ours, peer = Ours(bench), Node(bench)
        ours.keys = peer.keys = keys
        rounds = []
        for side in (ours, peer):
            measure(side, WARM_S)  # not counted: connections are made, JavaScript is compiled
        for n in range(o.rounds):
            order = (ours, peer) if n % 2 == 0 else (peer, ours)
            found = {side: measure(side, o.seconds) for side in order}
            rounds.append((found[ours], found[peer]))
            print(f"round {n + 1} of {o.rounds}: " + ", ".join(f"{f} {found[ours][f]:.0f} / {found[peer][f]:.0f}" for f in FIGURES), flush=True)
    finally:
        if peer:
            peer.close()
        bench.close()
    report(rounds)


def report(rounds):
    print(f"{'figure':12} {'Millrace':>10} {NODE:>10} {'ratio':>7}  least and greatest")
    for figure in FIGURES:
        ours, theirs = [a[figure] for a, _ in rounds], [b[figure] for _, b in rounds]
        ratios = [a / b for a, b in zip(ours, theirs) if b]
        ratio = f"{statistics.median(ratios):7.2f}  {min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
        print(f"{figure:12} {statistics.median(ours):10.1f} {statistics.median(theirs):10.1f} {ratio}")
    for name, side in (("Millrace", 0), (NODE, 1)):
        print(f"CPU of {name}, us a run: " + ", ".join(f"{k} {statistics.median(r[side]['CPU'][k] for r in rounds):.0f}" for k in rounds[0][side]["CPU"]))
    for figure, least in REQUIRED:
        ratio = statistics.median(a[figure] / b[figure] for a, b in rounds)
        print(f"{figure} / {NODE}: {ratio:.2f} (required: {least}) {'holds' if ratio >= least else 'FALLS SHORT'}")
    (ROOT / "build/peers.json").write_text(json.dumps(rounds, indent=1))


if __name__ == "__main__":
    main()
