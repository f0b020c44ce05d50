#!/usr/bin/python3
"""bench --peers [--seconds S] [--rounds R] [--only PEER]: Millrace beside what people would make by hand, on the same MariaDB and Redis, in turn.

Each round loads each side for S seconds at 64 connections while its workers execute, then waits until its last run has ended. The order
changes from round to round; only figures of one round are compared. Prints a table for each peer and writes build/peers.json.

What favours whom: the peers check no limits, keep no idempotency keys and fewer rows; Fastify is called directly, Millrace and PHP-FPM
through nginx. All commit durably before they answer, and again at the end of a run. Fastify and BullMQ run two processes a role, one a
core, with 64 runs at a time each. PHP is synchronous: 32 processes accept, as many as Millrace's, and 16 execute, so that commits share
their flushes; it has no memory between requests, so each looks its key up. Ids, rows, keys and the body are the same. Redis is the same
server with an append-only file; the peers have a database of their own in it and in MariaDB.
"""
import argparse
import hashlib
import json
import os
import pathlib
import signal
import shutil
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
NAMES = ["BullMQ", "PHP-FPM"]
PHP_ACCEPTORS, PHP_WORKERS = 32, 16
FIGURES = ["accepted", "p50", "p99", "end to end", "left", "CPU us"]
REQUIRED = {"BullMQ": [("accepted", 1.5), ("end to end", 3.0)], "PHP-FPM": []}


class Ours:
    def __init__(self, bench):
        self.bench, self.stack, self.url = bench, bench.stack, bench.stack.url

    def pids(self):
        return {n: self.stack.pid(n) for n in ("nginx", "api", "executor")}

    def open(self):
        return int(self.stack.sql_one(OPEN))


class Peer:
    """A service of its own programs, whose tables are those of schema.sql."""

    def __init__(self, bench):
        self.stack, self.port, self.programs = bench.stack, free_port(), {}
        self.url = f"http://127.0.0.1:{self.port}"
        sockets = self.stack.dir / "sockets"
        self.env = {**self.stack.env, "PEER_DB": str(sockets / "mariadb.sock"), "PEER_DB_USER": "root", "PEER_REDIS": str(sockets / "redis.sock"),
                    "PEER_PORT": str(self.port), "NODE_ENV": "production"}

    def start(self, name, command):
        log = open(self.stack.dir / f"logs/peer-{name}", "w")
        self.programs[name] = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def wait_ready(self):
        eventually(lambda: subprocess.run(["curl", "-s", "-o", "/dev/null", self.url]).returncode == 0, 60, "the peer's port")

    def pids(self):
        return {role: p.pid for role, p in self.programs.items()}

    def open(self):
        return int(self.stack.sql_one("SELECT COUNT(*) FROM peer.executions WHERE state = 1"))

    def close(self):
        for p in self.programs.values():
            p.send_signal(signal.SIGTERM)
        for p in self.programs.values():
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()


class Node(Peer):
    """Fastify, BullMQ and MariaDB."""

    def begin(self):
        subprocess.run(["npm", "ci", "--silent", "--ignore-scripts"], cwd=HERE, check=True, stdin=subprocess.DEVNULL)
        for role in ("api", "worker"):
            self.start(role, ["node", HERE / "peer.mjs", role, str(PROCESSES)])
        self.wait_ready()


class Php(Peer):
    """nginx, PHP-FPM, a list of Redis and MariaDB."""

    def begin(self):
        root, socket, is_root = self.stack.dir, self.stack.dir / "sockets/php-fpm.sock", os.geteuid() == 0
        places = {"DIR": root, "LOGS": root / "logs", "SOCKET": socket, "PORT": self.port, "SCRIPT": HERE / "peer.php", "CHILDREN": PHP_ACCEPTORS,
                  "USER": "user = root\ngroup = root" if is_root else "", "NGINX_USER": "user root;" if is_root else ""}
        for name in ("fpm.conf", "nginx.conf"):
            text = (HERE / name).read_text()
            for place, value in places.items():
                text = text.replace(f"@{place}@", str(value))
            (root / f"peer-{name}").write_text(text)
        fpm = shutil.which("php-fpm") or next(pathlib.Path("/usr/sbin").glob("php-fpm*"))
        self.start("fpm", [fpm, *(["--allow-to-run-as-root"] if is_root else []), "--nodaemonize", "--fpm-config", root / "peer-fpm.conf"])
        eventually(socket.exists, 60, "the socket of PHP-FPM")
        self.start("nginx", ["nginx", "-c", root / "peer-nginx.conf"])
        self.start("worker", ["php", HERE / "peer.php", str(PHP_WORKERS)])
        self.wait_ready()


def make_tables(bench):
    main = bench.main
    bench.stack.sql((HERE / "schema.sql").read_text())
    bench.stack.sql(f"INSERT INTO peer.accounts VALUES ('{main['workspace'].id}', 1000000000)")
    bench.stack.sql(f"INSERT INTO peer.api_keys VALUES (UNHEX('{hashlib.sha256(main['key'].encode()).hexdigest()}'), '{main['workspace'].id}')")
    bench.stack.sql(f"INSERT INTO peer.workflows VALUES ('{main['workflow']}', '{main['workspace'].id}', '{json.dumps(TRANSFORM)}')")


def cpu_of(side):
    programs = {"mariadb": side.stack.pid("mariadb"), "redis": side.stack.pid("redis"), **side.pids()}
    return {name: sum(cpu_us(p) for p in family(root)) for name, root in programs.items()}


def measure(side, seconds, keys):
    bench_env = {**os.environ, "BENCH_DIR": str(LUA), **keys}
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


def in_turn(sides, n):
    """The order of a round: each side comes first in its turn."""
    names = list(sides)
    return names[n % len(names):] + names[:n % len(names)]


def main():
    options = argparse.ArgumentParser(prog="bench --peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--peers", action="store_true", help="chosen by scripts/bench")
    options.add_argument("--seconds", type=int, default=8)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--only", choices=NAMES, help="the peer to compare with; default: all")
    o = options.parse_args()
    names = [o.only] if o.only else NAMES
    bench = Bench(with_floors=False)  # their connections to MariaDB are for the peers
    peers = {}
    try:
        bench.start()
        make_tables(bench)
        keys = {"BENCH_KEYS": bench.main["key"], "BENCH_WORKFLOWS": bench.main["workflow"]}
        for name in names:
            peers[name] = {"BullMQ": Node, "PHP-FPM": Php}[name](bench)
            peers[name].begin()
        sides = {"Millrace": Ours(bench), **peers}
        rounds = []
        for side in sides.values():
            measure(side, min(WARM_S, o.seconds), keys)  # not counted: connections are made, JavaScript is compiled
        for n in range(o.rounds):
            found = {name: measure(sides[name], o.seconds, keys) for name in in_turn(sides, n)}
            rounds.append(found)
            print(f"round {n + 1} of {o.rounds}: " + ", ".join(f"{f} " + " / ".join(f"{found[name][f]:.0f}" for name in sides) for f in FIGURES), flush=True)
    finally:
        for peer in peers.values():
            peer.close()
        bench.close()
    for name in names:
        report(rounds, name)
    (ROOT / "build/peers.json").write_text(json.dumps(rounds, indent=1))


def report(rounds, peer):
    print(f"{'figure':12} {'Millrace':>10} {peer:>10} {'ratio':>7}  least and greatest")
    for figure in FIGURES:
        ours, theirs = ([r[side][figure] for r in rounds] for side in ("Millrace", peer))
        ratios = [a / b for a, b in zip(ours, theirs) if b]
        ratio = f"{statistics.median(ratios):7.2f}  {min(ratios):.2f} to {max(ratios):.2f}" if ratios else ""
        print(f"{figure:12} {statistics.median(ours):10.1f} {statistics.median(theirs):10.1f} {ratio}")
    for side in ("Millrace", peer):
        print(f"CPU of {side}, us a run: "
              + ", ".join(f"{k} {statistics.median(r[side]['CPU'][k] for r in rounds):.0f}" for k in rounds[0][side]["CPU"]))
    for figure, least in REQUIRED[peer]:
        ratio = statistics.median(r["Millrace"][figure] / r[peer][figure] for r in rounds)
        print(f"{figure} / {peer}: {ratio:.2f} (required: {least}) {'holds' if ratio >= least else 'FALLS SHORT'}")


if __name__ == "__main__":
    main()
