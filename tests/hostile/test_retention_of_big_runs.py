"""Retention purges 100 runs with 10,000 step rows each, beside a victim that starts runs."""
import contextlib
import os
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import eventually  # noqa: E402

RUNS = int(os.environ.get("HOSTILE_BIG_RUNS", "100"))
STEPS = 10000
TRANSACTION_ROWS_MAX = 500
PURGED_WITHIN_S = 240


def insert_big_runs(stack, workspace):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    rows.insert(stack.sql_long, workspace.id, workflow, RUNS, rows.days_ago(40))
    # one statement a run, so that no single transaction fills the log
    for run in (r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}'")):
        stack.sql_long(f"INSERT INTO execution_steps (execution_id, step, item, status, tries, started_ms, completed_ms, result) "
                       f"SELECT '{run}', 1, seq, 2, 1, 1, 1, '\"secret step\"' FROM seq_0_to_{STEPS - 1}")


def rows_left(stack, workspace):
    return int(stack.sql_one("SELECT COUNT(*) FROM execution_steps s JOIN executions e ON e.id = s.execution_id "
                             f"WHERE e.workspace_id = '{workspace.id}' AND s.result IS NOT NULL"))


class LargestTransaction:
    """The most rows that any open transaction of the executors had changed, by samples of information_schema.innodb_trx."""

    def __init__(self, stack):
        self.stack, self.rows, self.samples, self.over = stack, 0, 0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.over.wait(0.15):  # InnoDB refreshes the table only if nobody has read it for 100 ms
            found = self.stack.sql_one("SELECT COALESCE(MAX(t.trx_rows_modified), 0) FROM information_schema.innodb_trx t "
                                       "JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id WHERE p.user = 'millrace_executor'")
            self.rows = max(self.rows, int(found))
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(30)


def test_retention_of_big_runs(stack, attacker, beside):
    insert_big_runs(stack, attacker)

    @contextlib.contextmanager
    def retention():
        stack.cli("workspace", "set", "--workspace", attacker.id, "--keep-payload-days", 20)
        with LargestTransaction(stack) as largest:
            yield largest
            try:
                eventually(lambda: rows_left(stack, attacker) == 0, PURGED_WITHIN_S, "purge of all step rows")
            finally:
                print(f"rows left {rows_left(stack, attacker)}, largest transaction {largest.rows} rows in {largest.samples} samples")
    largest = beside(retention())
    assert 0 < largest.rows <= TRANSACTION_ROWS_MAX, largest.rows
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{attacker.id}' AND purged_ms IS NULL") == "0"
