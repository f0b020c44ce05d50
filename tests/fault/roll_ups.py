"""Roll-ups under faults: workspaces of their own with old months of the ledger, whose executions are gone. Executors roll them up while they are killed.
The book has each row. At the end all rows are gone, the sums of each day are those of the book, and the statements are what they were.
A large workspace is there from the start. A small one is added whenever a process is to die in a roll-up: the large one may be rolled up by then."""
import collections
import datetime
import pathlib
import random
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import eventually  # noqa: E402

SETTINGS = {"billing.rollup_after_months": "1", "billing.rollup_wait_days": "0"}
ROWS = 6000
SMALL_ROWS = 40
APART_MS = 900000
KINDS = {1: "grant", 2: "debit", 3: "refund", 6: "release"}
NONE = "00000000-0000-0000-0000-000000000000"


def id_at(ms, n):
    hex = f"{ms:012x}"
    return f"{hex[:8]}-{hex[8:]}-7000-8000-{n:012x}"


def month_of(day):
    return datetime.date.fromordinal(datetime.date(1970, 1, 1).toordinal() + day).strftime("%Y-%m")


class OldMonths:
    """A workspace. Its rows are in the ledger after put()."""

    def __init__(self, stack, book, rows_n, seed):
        self.stack, self.book, self.workspace = stack, book, stack.workspace(credits=0)
        self.rows = {}   # id: (kind, responder, key, {grant: micro-credits})
        self.of = f"workspace_id = '{self.workspace.id}'"
        self.make_rows(random.Random(seed), rows_n)
        self.months = sorted({month_of(self.day_of(id)) for id in self.rows})
        self.is_put, self.statements = False, None

    def make_rows(self, chance, rows_n):
        """14 to 12 months ago: debits of two grants, some of both of them, some refunded or released in part later."""
        self.at = rows.days_ago(420)
        self.grants = dict.fromkeys((id_at(self.at, n) for n in (1, 2)), 0)
        some = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(6)]
        for n in range(rows_n):
            id, responder, key = id_at(self.at + (n + 1) * APART_MS, 0), chance.choice(some[:3]), chance.choice([NONE, *some[3:]])
            paid = chance.sample(list(self.grants), chance.choice((1, 1, 1, 2)))
            parts = {grant: -1000001 - chance.randrange(7) for grant in paid}
            self.rows[id] = (2, responder, key, parts)
            if n % 9 == 0:  # a refund, or a release of all but one micro-credit of the part that was used last
                back = {g: -amount for g, amount in parts.items()} if n % 2 else {paid[-1]: -parts[paid[-1]] - 1}
                self.rows[id_at(self.at + (n + 1) * APART_MS + 3600000 * chance.randrange(72), n + 1)] = (3 if n % 2 else 6, responder, key, back)
        for _, _, _, parts in self.rows.values():
            for grant, amount in parts.items():
                self.grants[grant] -= amount
        for grant, total in self.grants.items():
            self.rows[grant] = (1, NONE, NONE, {grant: total})

    def inserts(self):
        def text(id):
            return "NULL" if id == NONE else f"'{id}'"
        ledger, parts = [], []
        for id, (kind, responder, key, amounts) in self.rows.items():
            grant = next(iter(amounts)) if len(amounts) == 1 else NONE
            run = id if kind == 2 else NONE if kind == 1 else id_at(int(id.replace("-", "")[:12], 16), 0)
            ledger.append(f"('{self.workspace.id}', '{id}', {kind}, {sum(amounts.values())}, {text(run)}, {text(responder)}, {text(key)}, {text(grant)})")
            parts += [f"('{self.workspace.id}', '{id}', '{g}', {amount})" for g, amount in amounts.items() if len(amounts) > 1]
        grants = [f"('{self.workspace.id}', '{grant}', 2, 2, 50, {total}, 0, {self.at}, {self.at})" for grant, total in self.grants.items()]
        inserts = [f"INSERT INTO {into} VALUES {', '.join(values[at:at + 1000])}" for into, values in (
            ("credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms)", grants),
            ("credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, key_id, grant_id)", ledger),
            ("credit_parts (workspace_id, ledger_id, grant_id, amount)", parts),
            ("retention (workspace_id, removed_to, due_ms)", [f"('{self.workspace.id}', 'ffffffff-ffff-ffff-ffff-ffffffffffff', 9000000000000000)"]))
            for at in range(0, len(values), 1000)]
        # one transaction: executors roll up a month as soon as all of its rows are in the sums
        return "; ".join(["BEGIN", *inserts, "COMMIT"])

    def put(self, sql):
        """May be called until it succeeds: an attempt whose answer was lost is found by its grants, which are never removed."""
        if not self.is_put and self.stack.sql_one(f"SELECT COUNT(*) FROM credit_grants WHERE {self.of}") == "0":
            sql(self.inserts())
        self.is_put = True

    def count(self):
        return int(self.stack.sql_one(f"SELECT COUNT(*) FROM credit_ledger WHERE {self.of}"))

    @staticmethod
    def day_of(id):
        return int(id.replace("-", "")[:12], 16) // rows.DAY_MS

    def read_statements(self):
        return [self.stack.cli("billing", "statement", "--month", month, "--workspace", self.workspace.id) for month in self.months]

    def finish(self):
        """When all servers are up. What was not rolled up by then is rolled up now."""
        self.book.count("rows rolled up by executors", len(self.rows) - self.count())
        unsummed = f"SELECT COUNT(*) FROM credit_ledger WHERE {self.of} AND number IS NULL"
        try:
            eventually(lambda: self.stack.sql_one(unsummed) == "0", 60, "the sums of old months")
            self.stack.cli("billing", "roll-up", "--before", "2199-01", "--workspace", self.workspace.id)
            eventually(lambda: self.count() == 0, 60, "the roll-up of old months")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        wanted, months = collections.Counter(), collections.Counter()
        number = collections.Counter()
        for id, (kind, responder, key, parts) in self.rows.items():
            for i, grant in enumerate(sorted(parts)):
                of = (self.day_of(id), kind, responder, key, grant)
                wanted[of] += parts[grant]
                number[of] += i == 0
                months[month_of(self.day_of(id))] += parts[grant]
        found = {(int(day), int(kind), *ids): (int(n), int(amount)) for day, kind, *ids, n, amount in self.stack.sql(
            f"SELECT day, kind, responder_id, key_id, grant_id, n, amount FROM ledger_rollup_sums WHERE {self.of}")}
        wrong = {of for of in wanted.keys() | found.keys() if found.get(of) != (number[of], wanted[of])}
        if wrong:
            self.book.complain(f"{len(wrong)} sums of what was rolled up are wrong, such as {[(of, found.get(of), number[of], wanted[of]) for of in sorted(wrong)[:3]]}")
        done = {r["month"]: (r["state"], round(r["credits"] * 1000000)) for r in self.stack.cli("billing", "rolled-up", "--workspace", self.workspace.id)}
        if done != {month: ("done", amount) for month, amount in months.items()}:
            self.book.complain(f"rolled up are {done}, and the months are {dict(months)}")
        if self.statements and self.read_statements() != self.statements:
            self.book.complain("the statements have changed with the roll-up")

    def check_pushed(self, got):
        """got: {id: Counter of (kind, micro-credits)} of what a destination of the push was sent of this workspace."""
        for id, forms in got.items():
            row = self.rows.get(id)
            if not row or list(forms) != [(KINDS[row[0]], sum(row[3].values()))]:
                self.book.complain(f"the row {id}, which was rolled up, was sent as {dict(forms)}, and was {row}")
        sent = {r["month"] for r in self.stack.cli("billing", "rolled-up", "--workspace", self.workspace.id) if r["pushed"]}
        missing = [id for id in self.rows if id not in got and month_of(self.day_of(id)) in sent]
        if missing:
            self.book.complain(f"{len(missing)} rows of months that are marked as pushed were not sent, such as {missing[:3]}")


class RollUps:
    def __init__(self, stack, book, small_n):
        self.stack = stack
        large = OldMonths(stack, book, ROWS, 1)
        large.put(stack.sql_long)
        large.statements = large.read_statements()
        self.put, self.spare = [large], [OldMonths(stack, book, SMALL_ROWS, 2 + n) for n in range(small_n)]

    def provoke(self, was_there):
        """Adds a small workspace. Returns what makes its roll-up due, again and again: its rows must be in the sums first.
        was_there(do): does it, and returns whether MariaDB was there."""
        added = [self.spare.pop()] if self.spare else []
        self.put += added

        def again():
            for months in added:
                months.put(self.stack.sql)
            self.stack.sql("UPDATE upkeep_tasks SET due_ms = 0 WHERE name = 'roll_up'")
        return lambda: was_there(again)

    def finish(self):
        for months in self.put:
            months.put(self.stack.sql_long)
            months.finish()

    def check(self):
        for months in self.put:
            months.check()

    def check_pushed(self, got):
        """got: {(workspace, id): Counter of (kind, micro-credits)} of what a destination of the push was sent. Returns the ids of the workspaces."""
        for months in self.put:
            months.check_pushed({id: forms for (workspace, id), forms in got.items() if workspace == months.workspace.id})
        return {months.workspace.id for months in self.put}
