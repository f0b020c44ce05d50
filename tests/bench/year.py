#!/usr/bin/python3
"""year.py [--runs 5000000] [--pool 4096] [--times 5] [--through CMD]: measures a bill and the audit after a year of history.

A private stack gets a year of ended runs of five workspaces, inserted directly with every row that a run leaves behind
(tests/api/rows.py), and the sums of their ledger. Then, on the command line: the statement of one workspace's month with its lines, those
of all workspaces, and `millrace audit`, of which the slowest checks and the rows that it reads are listed. Required: 1 s and 60 s.
--pool: MiB of buffer pool. --through: a command that starts the measurement, for example one that waits until the machine is idle.
5,000,000 runs take about ten minutes and 12 GB."""
import argparse
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import BIN, Stack  # noqa: E402

PARTS = 100
WORKSPACES = 5
LOADING = "SET GLOBAL innodb_flush_log_at_trx_commit = 0; SET GLOBAL innodb_log_file_size = 2147483648"
LOADED = "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL innodb_log_file_size = 50331648"

# The rows of a part get one number for each minute, and the sums are those of the days in UTC.
NUMBERS = ("UPDATE credit_ledger SET number = {first} + CONV(LEFT(REPLACE(CAST(id AS CHAR), '-', ''), 12), 16, 10) DIV 60000 MOD 1000000 "
           "WHERE number IS NULL")
SUMS = """
  DELETE FROM credit_sums;
  DELETE FROM credit_months;
  INSERT INTO credit_sums
    SELECT workspace_id, CONV(LEFT(REPLACE(CAST(id AS CHAR), '-', ''), 12), 16, 10) DIV 86400000 AS d, kind,
      COALESCE(responder_id, '00000000-0000-0000-0000-000000000000') AS r, COALESCE(key_id, '00000000-0000-0000-0000-000000000000') AS k,
      COALESCE(grant_id, '00000000-0000-0000-0000-000000000000') AS g, COUNT(*), SUM(amount)
    FROM credit_ledger GROUP BY workspace_id, d, kind, r, k, g;
  INSERT INTO credit_months
    SELECT workspace_id, 12 * YEAR(d) + MONTH(d) - 1 AS m, kind, SUM(n), SUM(amount)
    FROM (SELECT workspace_id, DATE('1970-01-01') + INTERVAL day DAY AS d, kind, n, amount FROM credit_sums) AS s
    GROUP BY workspace_id, m, kind;
  UPDATE ledger_numbers SET last = (SELECT MAX(number) FROM credit_ledger)"""


def start(pool):
    stack = Stack({"api.rate_limit_per_minute": "100000000", "executor.processes": "1"})
    stack.start()
    stack.stop_server("executor")  # it would number the ledger, and purge what is old
    stack.sql(f"{LOADING}; SET GLOBAL innodb_buffer_pool_size = {pool * 1048576}")
    workspaces = [stack.workspace() for _ in range(WORKSPACES)]
    return stack, [(w, w.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})) for w in workspaces]


def load_part(stack, workspaces, part, n):
    apart = 365 * rows.DAY_MS // (n * PARTS)
    workspace, workflow = workspaces[part % WORKSPACES]
    rows.insert(stack.sql_long, workspace.id, workflow, n, rows.days_ago(366) + part * n * apart, apart_ms=apart, seed=part, plain=True)
    stack.sql_long(NUMBERS.format(first=1000000 * (part + 1)))


def finish(stack):
    # what was granted to the workspaces when they were made is numbered, too
    stack.sql_long(f"{SUMS}; UPDATE accounts SET balance = (SELECT SUM(amount) FROM credit_ledger l WHERE l.workspace_id = accounts.workspace_id); "
                   f"{LOADED}; ANALYZE TABLE executions, credit_ledger, credit_sums, events, execution_steps")


def timed(stack, times, *command):
    took = []
    for _ in range(times):
        begin = time.monotonic()
        done = subprocess.run([BIN / "millrace", "--json", *command], env=stack.env, capture_output=True, text=True, timeout=400)
        took.append(time.monotonic() - begin)
        assert done.stdout.strip(), done.stderr
    print(f"millrace {' '.join(command)}: median {statistics.median(took):.2f} s of {times}, longest {max(took):.2f} s", flush=True)
    return json.loads(done.stdout)


def rows_read(stack):
    """Reads of rows and index entries by all sessions: of one that is looked up, and of the next one of a range or a scan."""
    status = {name: int(value) for name, value in stack.sql("SHOW GLOBAL STATUS LIKE 'Handler_read%'")}
    return status["Handler_read_key"], status["Handler_read_next"] + status["Handler_read_rnd_next"]


def measure(stack, workspace, times):
    month = stack.sql_one("SELECT DATE_FORMAT(NOW() - INTERVAL 3 MONTH, '%Y-%m')")
    timed(stack, times, "billing", "statement", "--month", month, "--workspace", workspace.id)
    timed(stack, times, "billing", "statement", "--month", month)
    timed(stack, times, "billing", "export", "--month", month)
    before = rows_read(stack)
    answer = timed(stack, 1, "audit")
    looked_up, next_ones = (after - b for after, b in zip(rows_read(stack), before))
    print(f"audit: {looked_up} rows looked up, {next_ones} read one after the other", flush=True)
    slowest = sorted(answer["checks"], key=lambda c: -c["took_ms"])[:12]
    print("audit: " + ("clean" if answer["ok"] else f"NOT CLEAN: {json.dumps(answer['violations'][:5])}") + "; slowest checks, ms: "
          + ", ".join(f"{c['check']} {c['took_ms']}" for c in slowest), flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--runs", type=int, default=5000000)
    options.add_argument("--pool", type=int, default=4096)
    options.add_argument("--times", type=int, default=5)
    options.add_argument("--through", default="true")
    o = options.parse_args()
    stack, workspaces = start(o.pool)
    try:
        for part in range(PARTS):
            load_part(stack, workspaces, part, o.runs // PARTS)
        finish(stack)
        print(f"{o.runs} runs; ledger {stack.sql_one('SELECT COUNT(*) FROM credit_ledger')} rows, sums "
              f"{stack.sql_one('SELECT COUNT(*) FROM credit_sums')} rows", flush=True)
        subprocess.run(shlex.split(o.through), check=True)
        measure(stack, workspaces[0][0], o.times)
    finally:
        stack.close()


if __name__ == "__main__":
    main()
