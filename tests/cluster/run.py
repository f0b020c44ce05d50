#!/usr/bin/python3
"""run.py [--only CASE] [--hours N] [--short]: faults of a cluster, with the book of tests/fault.

Clients start runs on all application hosts all the time, each with the record of tests/fault/book.py. A case makes one fault, waits until
runs are accepted again, repairs, waits until everything has ended, and then compares the record with all three nodes:
every acknowledged run has its row and its debit on every node, a key has one execution, what was refused left nothing, there was no 500,
the audit is clean on every node and the nodes' tables are equal. --short: the cases that scripts/test runs. --hours: repeats all cases.

Needs root; exits with 3 where network namespaces are refused.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/fault"), str(ROOT / "tests/api")]
from book import CUT, Answer, Book, Caller, Run  # noqa: E402
from check import check_rows, read_rows  # noqa: E402

CLUSTER = ROOT / "scripts/cluster"
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / "bin"))
DATABASES = ("db1", "db2", "db3")
UNSURE = (CUT, 502, 504)
CLIENTS = 12
WORKING_S = 2        # the load before a fault
RECOVERY_S = 90      # far more than it takes; the figure is printed
# rows of these tables change while nobody does anything
RESTLESS = {"executors", "upkeep_tasks", "cluster_writer"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "b", "type": "delay", "seconds": 0.05}]}


class Failed(Exception):
    pass


def cluster(*args, timeout=300):
    done = subprocess.run([CLUSTER, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failed(f"scripts/cluster {' '.join(args)}: {done.stderr or done.stdout}")
    return done.stdout


def await_true(check, seconds, what):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if check():
            return
        time.sleep(0.1)
    raise Failed(f"{what}: not within {seconds} s")


class Laboratory:
    """The cluster, as the checks of tests/fault know a stack."""

    def __init__(self, directory):
        self.dir = directory

    def status(self):
        return json.loads(cluster("status", "--json"))

    def node(self, name):
        return next(n for n in self.status()["nodes"] if n["name"] == name)

    def writer(self):
        """The only node that says that it is the writer, or None."""
        return self.status()["writer"]

    def sql(self, statement, node="db1"):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.dir}/{node}/sockets/mysqld.sock", "--user=root", "--batch",
                               "--skip-column-names", "--raw", "millrace"], input="SET SESSION wsrep_sync_wait=1; " + statement, capture_output=True,
                              text=True, timeout=120)
        if done.returncode != 0:
            raise Failed(f"{node}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def cli(self, node, *args):
        done = subprocess.run([BIN / "millrace", "--json", "--config", self.dir / node / "millrace.ini", *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def log(self, name):
        return "".join(p.read_text(errors="replace") for p in self.dir.glob(f"app*/logs/{name}.log"))


class HostCaller(Caller):
    """Calls application hosts at random, as a load balancer does that does not know of the fault yet."""

    def __init__(self, key, addresses, seed):
        super().__init__(8080, key)
        self.addresses, self.rng = addresses, random.Random(seed)

    def send(self, method, path, body=None, idempotency_key=None, type="application/json", timeout=60):
        connection = http.client.HTTPConnection(self.rng.choice(self.addresses), self.port, timeout=timeout)
        headers = {"Authorization": "Bearer " + self.key, **({"Content-Type": type} if body is not None else {}),
                   **({"Idempotency-Key": idempotency_key} if idempotency_key else {})}
        try:
            connection.request(method, "/api/v1" + path, body=body, headers=headers)
            r = connection.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        except (OSError, http.client.HTTPException) as e:
            return Answer(CUT, why=repr(e))
        finally:
            connection.close()


class Load:
    """Clients that start runs; those with a key ask again where the outcome is unknown."""

    def __init__(self, caller_of, workflow, seed):
        self.book, self.workflow, self.seed = Book(), workflow, seed
        self.accepted = []   # times
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(n, caller_of(n)), daemon=True) for n in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def work(self, number, caller):
        rng = random.Random(f"{self.seed}/{number}")
        n = 0
        while not self.ended.is_set():
            n += 1
            r = f"{self.seed}-{number}-{n}"
            run = Run(r, caller, None, {"r": r}, f"key {r}" if rng.random() < 0.5 else None)
            self.book.add(run)
            self.start(run)
            self.ended.wait(0.02)

    def start(self, run):
        for _ in range(200):
            sent = time.monotonic()
            answer = run.caller.call("POST", f"/workflows/{self.workflow}/run-async", {"inputs": run.inputs}, run.key, timeout=60)
            if answer.status == 202:
                run.id = answer.json["execution_id"]
                self.accepted.append(time.monotonic())
                return
            if answer.status == 409 and answer.code == "idempotency_in_progress":
                time.sleep(0.1)
                continue
            if answer.status not in (503, *UNSURE):
                self.book.complain(f"starting: {answer}")
                run.unknown = True
                return
            self.book.needs_excuse("start", answer, sent, time.monotonic())
            run.unknown = run.unknown or answer.status in UNSURE
            if not run.key:
                return  # a run without a key is never sent twice
            if self.ended.wait(0.2):
                return

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(90)

    def gap(self, since):
        """The longest time without an acceptance after `since`."""
        times = [since, *(t for t in self.accepted if t > since)]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))


# --- faults: each returns what is to be printed -------------------------------------------------------------

def accepts_again(load, since):
    await_true(lambda: load.accepted and load.accepted[-1] > since + 1, RECOVERY_S, "an acceptance after the fault")


def others(node):
    return [n for n in DATABASES if n != node]


def writer_killed(lab, load):
    old = lab.writer()
    since = time.monotonic()
    cluster("kill", old)
    await_true(lambda: lab.writer() not in (None, old), RECOVERY_S, "another writer")
    accepts_again(load, time.monotonic())
    cluster("start", old)
    return since


def writer_paused(lab, load):
    old = lab.writer()
    since = time.monotonic()
    cluster("pause", old)
    await_true(lambda: lab.writer() not in (None, old), RECOVERY_S, "another writer")
    accepts_again(load, time.monotonic())
    cluster("resume", old)
    return since


def writer_deaf(lab, load):
    """It sends, and hears nothing: commits that it cannot confirm stand on the others."""
    old = lab.writer()
    since = time.monotonic()
    for node in others(old):
        cluster("cut", old, node, "--one-way")
    await_true(lambda: lab.writer() not in (None, old), RECOVERY_S, "another writer")
    accepts_again(load, time.monotonic())
    cluster("heal", old)
    return since


def application_host_cut_off(lab, load):
    """It must not find a writer of its own."""
    old = lab.writer()
    since = time.monotonic()
    cluster("cut", "app1", old)
    await_true(lambda: subprocess.run(["curl", "-s", "-o", "/dev/null", "-m", "5", "-w", "%{http_code}", "http://10.77.0.11:8080/readyz"],
                                      capture_output=True, text=True).stdout == "503", RECOVERY_S, "app1 not ready")
    accepts_again(load, time.monotonic())
    if lab.writer() != old:
        raise Failed("the writer changed because one application host did not reach it")
    cluster("heal", "app1")
    return since


def redis_master_killed(lab, load):
    def masters():
        found = {}
        for n in lab.status()["nodes"]:
            if n["role"] == "database" and n["pids"]["redis"]:
                done = subprocess.run(["redis-cli", "-h", n["address"], "ROLE"], capture_output=True, text=True, timeout=10)
                if done.stdout.startswith("master"):
                    found[n["name"]] = n["pids"]["redis"]
        return found
    before = masters()
    since = time.monotonic()
    for pid in before.values():
        os.kill(pid, 9)
    await_true(lambda: set(masters()) - set(before), RECOVERY_S, "another master of Redis")
    accepts_again(load, time.monotonic())
    cluster("start", *before)
    return since


def all_killed(lab, load):
    since = time.monotonic()
    cluster("kill", *DATABASES)
    cluster("start", *DATABASES)
    await_true(lambda: lab.writer(), RECOVERY_S, "a writer")
    accepts_again(load, time.monotonic())
    return since


def planned_switch(lab, load):
    old = lab.writer()
    since = time.monotonic()
    code, out = lab.cli("app2", "cluster", "switch", lab.node(others(old)[0])["address"] + ":3306")
    if code != 0:
        raise Failed(out)
    await_true(lambda: lab.writer() == others(old)[0], RECOVERY_S, "the new writer")
    accepts_again(load, time.monotonic())
    code, out = lab.cli("app2", "audit-log", "--deed", "cluster.switch")
    if code != 0 or others(old)[0] and "cluster.switch" not in out:
        raise Failed(f"the switch is not in the audit log: {out}")
    return since


CASES = {f.__name__: f for f in (writer_killed, writer_paused, writer_deaf, application_host_cut_off, redis_master_killed, planned_switch, all_killed)}
SHORT = ("writer_killed", "application_host_cut_off", "redis_master_killed", "writer_deaf", "all_killed")


# --- checks -------------------------------------------------------------------------------------------------

def await_whole(lab):
    def whole():
        try:
            return all(lab.sql("SHOW STATUS LIKE 'wsrep_cluster_size'", n) == [["wsrep_cluster_size", "3"]] and
                       lab.sql("SHOW STATUS LIKE 'wsrep_local_state'", n) == [["wsrep_local_state", "4"]] for n in DATABASES)
        except (Failed, subprocess.TimeoutExpired):
            return False
    await_true(whole, RECOVERY_S, "three synced nodes")
    await_true(lambda: lab.writer(), RECOVERY_S, "one writer")


def check_node(lab, book, node):
    """The acknowledged runs that lack their row or their debit."""
    have = {id: int(debits) for id, debits in lab.sql(
        "SELECT e.id, COUNT(l.id) FROM executions e LEFT JOIN credit_ledger l ON l.execution_id = e.id AND l.kind = 2 GROUP BY e.id", node)}
    for run in book.acknowledged():
        if have.get(run.id) != 1:
            book.complain(f"{node}: an acknowledged run has {'no row' if run.id not in have else str(have[run.id]) + ' debits'}", run.id)
    # what Redis holds is compared, too: its copies are corrected within seconds, and it may have a new master just now
    until = time.monotonic() + 30
    while (violations := audit(lab, node)) and time.monotonic() < until and all(v["check"] in ("counters", "claims") for v in violations):
        time.sleep(1)
    for violation in violations:
        book.complain(f"{node}: audit: {violation}")


def audit(lab, node):
    """The violations that `millrace audit` finds in the database of this node."""
    code, out = lab.cli(node, "audit", "--at-rest")
    try:
        return json.loads(out[out.index("{"):out.rindex("}") + 1])["violations"]
    except (ValueError, KeyError):
        raise Failed(f"{node}: audit: exit {code}: {out[:500]}") from None


def table_sums(lab, node):
    tables = [t for t, in lab.sql("SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = 'millrace' AND TABLE_TYPE = 'BASE TABLE'", node)
              if t not in RESTLESS]
    return dict(lab.sql("CHECKSUM TABLE " + ", ".join(sorted(tables)), node))


def check_all(lab, book):
    await_whole(lab)
    await_true(lambda: lab.sql("SELECT COUNT(*) FROM executions WHERE state < 3") == [["0"]], RECOVERY_S, "the end of all runs")
    check_rows(book, read_rows(lab, book, ()))
    for node in DATABASES:
        check_node(lab, book, node)
    until = time.monotonic() + 30  # maintenance may change rows between two looks
    while True:
        sums = [table_sums(lab, node) for node in DATABASES]
        if sums[0] == sums[1] == sums[2]:
            return
        if time.monotonic() > until:
            unequal = sorted(t for t in sums[0] if len({s.get(t) for s in sums}) > 1)
            book.complain(f"the nodes differ in {', '.join(unequal)}")
            return


def run_case(lab, name, key, addresses, workflow, everything):
    begun = time.monotonic()
    settled_before, errors_before = lab.log("api").count("errno=1180"), lab.log("executor").count("executor.fenced")
    load = Load(lambda n: HostCaller(key, addresses, f"{name}/{n}"), workflow, f"{name}-{int(begun * 1000)}")
    load.book.runs.update(everything.runs)
    try:
        await_true(lambda: len(load.accepted) > 20, RECOVERY_S, "the load")
        time.sleep(WORKING_S)
        since = CASES[name](lab, load)
    finally:
        load.stop()
        cluster("heal")
    gap = load.gap(since)
    check_all(lab, load.book)
    everything.runs.update(load.book.runs)
    for run in everything.runs.values():
        run.seen_end = None
    counts = " ".join(f"{k.removeprefix('start ')}:{n}" for k, n in sorted(load.book.counts.items()))
    print(f"{name:26} {'FAILED' if load.book.wrong else 'ok':6} {time.monotonic() - begun:4.0f} s  {len(load.accepted):5} accepted; longest pause {gap:4.1f} s; "
          f"COMMITs answered 1180: {lab.log('api').count('errno=1180') - settled_before}; fenced executors: "
          f"{lab.log('executor').count('executor.fenced') - errors_before}; {counts}", flush=True)
    for sentence, id in load.book.wrong[:20]:
        print(f"    {sentence} {id or ''}", flush=True)
    return not load.book.wrong


def run_cases(a):
    """In the client's namespace, on a cluster that runs."""
    lab = Laboratory(pathlib.Path(os.environ["MILLRACE_CLUSTER"]))
    env = dict(line.split("=", 1) for line in (lab.dir / "demo.env").read_text().splitlines() if not line.startswith("#"))
    addresses = [n["address"] for n in lab.status()["nodes"] if n["role"] == "application"]
    key = env["MILLRACE_API_KEY"]
    workflow = HostCaller(key, addresses, 0).call("POST", "/workflows", {"name": "load", "program": PROGRAM}).json["id"]
    names = [a.only] if a.only else SHORT if a.short else list(CASES)
    until = time.monotonic() + a.hours * 3600
    everything, failed = Book(), 0
    while True:
        for name in names:
            try:
                failed += not run_case(lab, name, key, addresses, workflow, everything)
            except (Failed, subprocess.TimeoutExpired) as e:
                print(f"{name:26} FAILED {e}", flush=True)
                return 1
        if time.monotonic() >= until or failed:
            break
    print(f"cluster: {len(names)} cases, {len(everything.acknowledged())} acknowledged runs, {failed} failed")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(CASES))
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.inside:
        sys.exit(run_cases(a))
    directory = tempfile.mkdtemp(prefix="mrc-", dir="/tmp")
    os.rmdir(directory)
    os.environ["MILLRACE_CLUSTER"] = directory
    started = subprocess.run([CLUSTER, "start"], stdin=subprocess.DEVNULL)
    code = started.returncode
    try:
        if code == 0:
            namespace = f"mr{pathlib.Path(directory, 'id').read_text().strip()}-client"
            code = subprocess.run(["nsenter", f"--net=/run/netns/{namespace}", sys.executable, __file__, "--inside", *sys.argv[1:]]).returncode
    finally:
        if code not in (0, 3) and os.environ.get("MILLRACE_CLUSTER_KEEP"):
            print(f"the cluster is kept: MILLRACE_CLUSTER={directory} scripts/cluster stop")
        else:
            subprocess.run([CLUSTER, "stop"], stdin=subprocess.DEVNULL)
    sys.exit(code)


if __name__ == "__main__":
    main()
