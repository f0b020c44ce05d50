#!/usr/bin/python3
"""profile.py [--seconds S]: what one run costs MariaDB, by the server's own counters, in four phases.

Runs are accepted one by one (64 connections) and by run-batch while no executor runs; then the executor drains each backlog. For each phase
it prints, per run: statements, commits, rows, keys read, pages asked for, flushes of the log and bytes of it, and the CPU time of each
program. Counts do not depend on what else the machine does; the CPU times depend on it a little.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from bench import Bench  # noqa: E402
from runs import OPEN  # noqa: E402
from stack import eventually  # noqa: E402

COUNTERS = {
    "statements": ["Com_stmt_execute", "Com_select", "Com_insert", "Com_update", "Com_delete", "Com_insert_select", "Com_update_multi"],
    "round trips": ["Questions"],
    "commits": ["Com_commit"],
    "rows inserted": ["Handler_write"],
    "rows updated": ["Handler_update"],
    "rows deleted": ["Handler_delete"],
    "index look-ups": ["Handler_read_key"],
    "pages asked for": ["Innodb_buffer_pool_read_requests"],
    "log flushes": ["Innodb_os_log_fsyncs", "Innodb_log_writes"],
    "log bytes": ["Innodb_os_log_written"],
}
# Of information_schema.innodb_metrics, which MariaDB counts only if told to.
METRICS = {
    "pages split": ["index_page_splits"],
    "pages reorganized": ["index_page_reorg_successful"],
    "pages merged": ["index_page_merge_successful", "index_page_discards"],
    "rows purged": ["purge_del_mark_records", "purge_upd_exist_or_extern_records"],
}


class Profile:
    def __init__(self, bench):
        self.bench, self.phases = bench, {}

    def status(self):
        rows = dict(self.bench.stack.sql("SELECT LOWER(variable_name), variable_value FROM information_schema.global_status"))
        rows.update(self.bench.stack.sql("SELECT name, count FROM information_schema.innodb_metrics"))
        return {name: sum(int(rows.get(v.lower(), 0)) for v in variables) for name, variables in {**COUNTERS, **METRICS}.items()}

    def runs(self):
        return int(self.bench.stack.sql_one("SELECT COUNT(*) FROM executions"))

    def phase(self, name, work, runs=None):
        """Measures `work`; per run that was added, or per one of `runs`."""
        had, before, cpu = self.runs(), self.status(), self.bench.cpu()
        work()
        after, used = self.status(), self.bench.cpu()
        n = runs or self.runs() - had
        assert n, f"{name}: no run was added"
        # a program that was started by the work has used nothing before it
        self.phases[name] = {**{k: (after[k] - before[k]) / n for k in after}, **{f"CPU {k}, µs": (v - cpu.get(k, 0)) / n for k, v in used.items()}}
        return n

    def drain(self):
        stack = self.bench.stack
        stack.start_server("executor")
        self.bench.running = True
        eventually(lambda: stack.sql_one(OPEN) == "0", 600, "end of all runs")


def main():
    options = argparse.ArgumentParser(prog="profile.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=5)
    o = options.parse_args()
    bench = Bench()
    try:
        bench.start()
        bench.stack.sql("; ".join(f"SET GLOBAL innodb_monitor_enable = '{m}'" for names in METRICS.values() for m in names))
        profile = Profile(bench)
        for case in ("accept", "run-batch"):
            bench.run(case, 4)  # not counted: each worker compiles its program
            profile_case(bench, profile, case, o.seconds)
    finally:
        bench.close()
    names = list(profile.phases)
    print(f"{'per run':18}" + "".join(f"{n:>22}" for n in names))
    for figure in profile.phases[names[1]]:
        print(f"{figure:18}" + "".join(f"{profile.phases[n].get(figure, 0):22.2f}" for n in names))


def profile_case(bench, profile, case, seconds):
    eventually(lambda: bench.stack.sql_one(OPEN) == "0", 600, "end of all runs")
    bench.stop_executor()
    n = profile.phase(case, lambda: bench.run(case, seconds))
    profile.phase(f"execute, {case}", profile.drain, n)


if __name__ == "__main__":
    main()
