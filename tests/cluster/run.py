#!/usr/bin/python3
"""run.py [--only CASE[,CASE…]] [--repeat N] [--hours N] [--short]: faults of a cluster, with the book of tests/fault.

Clients start runs on all application hosts all the time, each with the record of tests/fault/book.py. A case (cases.py) makes one fault, waits
until runs are accepted again, repairs, waits until everything has ended, and then compares the record with all three nodes:
every acknowledged run has its row and its debit on every node, a key has one execution, what was refused left nothing, there was no 500,
streams were complete, the audit is clean on every node and the nodes' tables are equal. --short: the cases that scripts/test runs.
--repeat: each case so many times. --hours: repeats all cases.

Needs root; exits with 3 where network namespaces are refused.
"""
import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tests/cluster"), str(ROOT / "tests/fault"), str(ROOT / "tests/api")]
from book import Book, Run  # noqa: E402
from cases import CASES, SHORT, WITH_FILES  # noqa: E402
from check import check_rows, read_rows  # noqa: E402
from laboratory import BIN, CLUSTER, DATABASES, RECOVERY_S, Failed, HostCaller, Hosts, Laboratory, WriterWatch, await_true, cluster, json_of  # noqa: E402
from traffic import PROGRAM, FileLoad, Load, install_skill  # noqa: E402

WORKING_S = 2        # the load before a fault
# rows of these tables change while nobody does anything; run_counts also measures the COMMITs of heartbeats
RESTLESS = {"executors", "upkeep_tasks", "cluster_writer", "run_counts"}


# --- checks -------------------------------------------------------------------------------------------------

def await_whole(lab):
    await_true(lab.is_whole, RECOVERY_S, "three synced nodes")
    await_true(lambda: lab.writer(), RECOVERY_S, "one writer")


def check_node(lab, book, node):
    """The acknowledged runs that lack their row or their debit."""
    have = {id: int(debits) for id, debits in lab.sql(
        "SELECT e.id, COALESCE(l.n, 0) FROM executions e "
        "LEFT JOIN (SELECT execution_id, COUNT(*) AS n FROM credit_ledger WHERE kind = 2 GROUP BY execution_id) l ON l.execution_id = e.id", node)}
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


class CaseLoad(Load):
    """The load of a case, and what the case wants."""

    def __init__(self, lab, name, workflow, everything):
        self.hosts, self.told, self.files = Hosts(), {}, None
        super().__init__(lab, self.hosts, workflow, f"{name}-{int(time.monotonic() * 1000)}")
        self.book.runs.update(everything.runs)
        if name in WITH_FILES:
            self.files = FileLoad(lab, self.hosts, self.book, self.seed)

    def own(self, name):
        """The record of a run that the case starts itself."""
        r = f"{self.seed} {name}"
        run = Run(r, None, None, {"r": r}, None)
        run.unknown = True
        self.book.add(run)
        return r

    def stop(self):
        super().stop()
        if self.files:
            self.files.stop()

    def check(self, lab):
        check_all(lab, self.book)
        for follower in self.followers:
            follower.join(RECOVERY_S)
        if self.book.counts.pop("streams given up", 0):
            self.book.complain("a stream has not come to its end")
        if self.files:
            self.files.check()


def print_complaints(book):
    for sentence, id in book.wrong[:20]:
        print(f"    {sentence} {id or ''}", flush=True)


def run_case(lab, name, workflow, everything):
    begun = time.monotonic()
    before = lab.counts()
    watch, old = WriterWatch(), await_true(lab.writer, RECOVERY_S, "a writer")
    load = CaseLoad(lab, name, workflow, everything)
    try:
        await_true(lambda: len(load.accepted) > 20, RECOVERY_S, "the load")
        time.sleep(WORKING_S)
        since = CASES[name](lab, load)
    except Failed:
        print_complaints(load.book)
        raise
    finally:
        load.stop()
        watch.stop()
        cluster("heal")
    gap, detected = load.gap(since), watch.after(since, old)
    checking = time.monotonic()
    load.check(lab)
    everything.runs.update(load.book.runs)
    for run in everything.runs.values():
        run.seen_end = None
    found = {what: n - before[what] for what, n in lab.counts().items() if n != before[what]}
    found.update({"answers " + what.removeprefix("start "): n for what, n in sorted(load.book.counts.items()) if what != "streams followed"}, **load.told)
    if load.files:
        found.update(uploads=len(load.files.stored), skills=len(load.files.skills))
    writer = f"; another writer after {detected:.1f} s" if detected is not None else ""
    print(f"{name:30} {'FAILED' if load.book.wrong else 'ok':6} {time.monotonic() - begun:4.0f} s ({time.monotonic() - checking:.0f} s of checks)  {len(load.accepted):5} accepted; longest pause {gap:4.1f} s, over after {load.resumed(since):.1f} s{writer}; "
          + "; ".join(f"{what}: {n}" for what, n in found.items()), flush=True)
    print_complaints(load.book)
    return not load.book.wrong


def run_cases(a):
    """In the client's namespace, on a cluster that runs."""
    lab = Laboratory(pathlib.Path(os.environ["MILLRACE_CLUSTER"]))
    before = os.environ.pop("MILLRACE_SOURCE", None)  # from now on the programs of this tree
    workflow = json_of(HostCaller(lab.key, Hosts(), 0).insist("POST", "/workflows", {"name": "load", "program": PROGRAM}), 201)["id"]
    install_skill(lab, pathlib.Path(before) / "bin" if before else BIN)
    names = [n for n in (a.only or (SHORT if a.short else [c for c in CASES if c != "rolling_upgrade"])) for _ in range(a.repeat)]
    until = time.monotonic() + a.hours * 3600
    everything, failed = Book(), 0
    while True:
        for name in names:
            try:
                failed += not run_case(lab, name, workflow, everything)
            except (Failed, subprocess.TimeoutExpired) as e:
                print(f"{name:30} FAILED {e}", flush=True)
                return 1
        if time.monotonic() >= until or failed:
            break
    print(f"cluster: {len(names)} cases, {len(everything.acknowledged())} acknowledged runs, {failed} failed")
    return 1 if failed else 0


def names_of(text):
    unknown = [n for n in text.split(",") if n not in CASES]
    if unknown:
        raise argparse.ArgumentTypeError(f"no such case: {unknown[0]}; there are {', '.join(CASES)}")
    return text.split(",")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names_of, default=[])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--hours", type=float, default=0)
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    a = parser.parse_args()
    if a.inside:
        sys.exit(run_cases(a))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # whoever ends the test too late wants no cluster left
    directory = tempfile.mkdtemp(prefix="mrc-", dir="/tmp")
    os.rmdir(directory)
    os.environ["MILLRACE_CLUSTER"] = directory
    if a.only == ["rolling_upgrade"] and os.environ.get("MILLRACE_BEFORE"):
        os.environ["MILLRACE_SOURCE"] = os.environ["MILLRACE_BEFORE"]
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
