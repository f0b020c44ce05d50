"""Grants under faults: a workspace of its own, whose grants start, expire and are voided within seconds while runs are paid from them and
refunded. At the end each acknowledged grant and void was made exactly once, and nothing that has expired is left in a balance."""
import datetime
import random
import threading
import time

from load import insist
from stack import eventually

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SLOW = {"steps": [{"name": "wait", "type": "delay", "seconds": 2}]}


def moment(seconds):
    return datetime.datetime.fromtimestamp(time.time() + seconds, datetime.timezone.utc).isoformat(timespec="milliseconds")


class Grants(threading.Thread):
    def __init__(self, stack, book, seed, caller_of):
        super().__init__(daemon=True, name="grants")
        self.stack, self.book, self.rng = stack, book, random.Random(f"{seed}/grants")
        self.workspace = stack.workspace(credits=0)
        self.caller = caller_of(self.workspace)
        self.ended = threading.Event()
        self.made = {}     # reference: (id or None, micro-credits)
        self.voided = set()
        self.runs = []
        self.flows = [self.workspace.put_workflow(p) for p in (PROGRAM, SLOW)]

    def run(self):
        n = 0
        while not self.ended.wait(self.rng.uniform(0.05, 0.4)):
            n += 1
            chance = self.rng.random()
            if chance < 0.25:
                self.grant(f"grant {n}")
            elif chance < 0.32 and self.made:
                self.void()
            elif chance < 0.85 or not self.runs:
                self.start_run(f"run {n}")
            else:
                self.insist("POST", f"/executions/{self.rng.choice(self.runs)}/stop", (200, 400, 404))

    def insist(self, method, path, wanted, body=None, key=None):
        return insist(self.book, f"{method} {path}", lambda n: self.caller.call(method, path, body, idempotency_key=key), wanted)

    def grant(self, reference):
        start = self.rng.choice((None, None, 1, 4))
        micro = self.rng.choice((250000, 1000000, 3000001, 20000000))
        body = {"credits": micro / 1000000, "reference": reference, "category": self.rng.choice(("paid", "promotional")), "priority": self.rng.choice((10, 50))}
        body |= {"effective_from": moment(start)} if start else {}
        # an expiry that has passed when the grant is made at last would be refused
        body |= self.rng.choice(({}, {"expires_at": moment(120)}, {"expires_at": moment((start or 0) + 8)}))
        self.made[reference] = (None, micro)
        answer = self.insist("POST", "/credits/grants", (200, 201, 400), body)
        if answer.status in (200, 201):
            self.made[reference] = (answer.json["id"], micro)
            self.book.count("grants")

    def void(self):
        id, _ = self.rng.choice(list(self.made.values()))
        if id and self.stack.cli("credits", "void", "--workspace", self.workspace.id, id, "--reason", "fault", check=False)[0] == 0:
            self.voided.add(id)
            self.book.count("voids")

    def start_run(self, key):
        answer = self.insist("POST", f"/workflows/{self.rng.choice(self.flows)}/run-async", (202, 402), {"inputs": {}}, key)
        if answer.status == 202:
            self.runs.append(answer.json["execution_id"])
            self.book.count("runs paid from grants")

    def finish(self):
        """When all servers are up: what is due is made, then nothing more happens, because no grant is due later than this."""
        self.ended.set()
        self.join(120)
        due = (f"SELECT COUNT(*) FROM accounts WHERE workspace_id = '{self.workspace.id}' AND next_change_ms < UNIX_TIMESTAMP(NOW(3)) * 1000 - 5000")
        try:
            eventually(lambda: self.stack.sql_one(due) == "0", 60, "starts and expiries of grants that are due")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        of = f"workspace_id = '{self.workspace.id}'"
        grants = {id: (int(state), int(amount)) for id, state, amount in self.stack.sql(
            f"SELECT id, state, amount FROM credit_grants WHERE {of} AND refund_of IS NULL")}
        for reference, (id, micro) in self.made.items():
            if id and grants.get(id, (0, 0))[1] != micro:
                self.book.complain(f"{reference} of {micro} was acknowledged as {id}, but is {grants.get(id)}")
        if len(grants) > len(self.made):
            self.book.complain(f"{len(grants)} grants, but {len(self.made)} requests")
        for id in self.voided:
            if grants.get(id, (0, 0))[0] != 4:
                self.book.complain(f"the void of {id} was acknowledged, but its state is {grants.get(id)}")
        for grant, kind, n in self.stack.sql(f"SELECT grant_id, kind, COUNT(*) FROM credit_ledger WHERE {of} AND (kind IN (1, 4) OR (kind = 5 AND reason = 'fault')) "
                                             "GROUP BY grant_id, kind HAVING COUNT(*) > 1"):
            self.book.complain(f"the grant {grant} has {n} ledger rows of kind {kind}")
        started = dict(self.stack.sql(f"SELECT grant_id, amount FROM credit_ledger WHERE {of} AND kind = 1"))
        for id, (state, amount) in grants.items():
            if state in (2, 3) and started.get(id) != str(amount):
                self.book.complain(f"the grant {id} of {amount} entered the ledger with {started.get(id)}")
        runs = {id for (id,) in self.stack.sql(f"SELECT id FROM executions WHERE {of}")}
        if set(self.runs) - runs:
            self.book.complain(f"acknowledged runs without a row: {sorted(set(self.runs) - runs)[:5]}")
