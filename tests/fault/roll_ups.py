"""Roll-ups under faults: a workspace of its own with old months of the ledger, whose executions are gone. Executors roll them up while they are killed.
At the end every row is gone, and the sums are those of the rows."""
import sys
import pathlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import eventually  # noqa: E402

SETTINGS = {"billing.rollup_after_months": "1", "billing.rollup_wait_days": "0"}
ROWS = 6000
# the rows of one grant and of debits of it, 12 to 14 months ago
MAKE = """
  INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms)
    VALUES ('{w}', '{grant}', 2, 2, 50, {n} * 1000001, 0, {at}, {at});
  INSERT INTO credit_ledger (workspace_id, id, kind, amount, grant_id) VALUES ('{w}', '{grant}', 1, {n} * 1000001, '{grant}');
  INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, grant_id)
    SELECT '{w}', id, 2, -1000001, id, '{grant}'
    FROM (SELECT CAST(CONCAT(LEFT(hex, 8), '-', RIGHT(hex, 4), '-7000-8000-', LPAD(HEX(seq), 12, '0')) AS UUID) AS id
          FROM (SELECT seq, LPAD(HEX({at} + seq * 900000), 12, '0') AS hex FROM seq_1_to_{n}) AS a) AS b;
  INSERT INTO retention (workspace_id, removed_to, due_ms) VALUES ('{w}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 9000000000000000)"""


class RollUps:
    def __init__(self, stack, book):
        self.stack, self.book, self.workspace = stack, book, stack.workspace(credits=0)
        at = rows.days_ago(420)
        hex = f"{at:012x}"
        stack.sql_long(MAKE.format(w=self.workspace.id, grant=f"{hex[:8]}-{hex[8:]}-7000-8000-0000000000aa", n=ROWS, at=at))

    def finish(self):
        """When all servers are up. What was not rolled up by then is rolled up now."""
        self.of = f"workspace_id = '{self.workspace.id}'"
        count = f"SELECT COUNT(*) FROM credit_ledger WHERE {self.of}"
        self.book.count("rows rolled up by executors", ROWS + 1 - int(self.stack.sql_one(count)))
        try:
            eventually(lambda: self.stack.sql_one(f"{count} AND number IS NULL") == "0", 60, "the sums of old months")
            self.stack.cli("billing", "roll-up", "--before", "2199-01", "--workspace", self.workspace.id)
            eventually(lambda: self.stack.sql_one(count) == "0", 60, "the roll-up of old months")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        found = [tuple(map(int, r)) for r in self.stack.sql(f"SELECT kind, SUM(n), SUM(amount) FROM ledger_rollup_sums WHERE {self.of} GROUP BY kind ORDER BY kind")]
        if found != [(1, 1, ROWS * 1000001), (2, ROWS, -ROWS * 1000001)]:
            self.book.complain(f"rolled up: {found}")
