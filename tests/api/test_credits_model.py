"""Random operations on a workspace's credits agree with the model of docs/billing.md (credits_model.py) to the micro-credit.

MariaDB's clock, the only one that decides about grants, stands still and is moved by the test: init_connect sets the sessions' time, and
the daemons' sessions are ended after each move. The executor does not run, so that a stopped run is always refunded.

By hand, ten times 100,000 operations:
    for seed in $(seq 10); do MODEL_SEED=$seed MODEL_OPERATIONS=100000 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/api/test_credits_model.py; done
"""
import datetime
import os
import random
import time

import credits_model as model
import pytest
from stack import Stack

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", 600))
SEED = int(os.environ.get("MODEL_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 32)
PRICES = (1, 999999, 1000000, 2500000, 7333333)
ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def credits(micro):
    sign, micro = ("-" if micro < 0 else ""), abs(micro)
    return f"{sign}{micro // 1000000}.{micro % 1000000:06d}"


def micro(number):
    return round(number * 1000000)


def moment(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


class Clock:
    def __init__(self, stack):
        self.stack = stack
        self.now = int(time.time() * 1000)
        self.move(0)

    def move(self, ms):
        self.now += ms
        self.stack.sql(f"SET GLOBAL init_connect = 'SET timestamp = {self.now // 1000}.{self.now % 1000:03d}'")
        for (session,) in self.stack.sql("SELECT id FROM information_schema.processlist WHERE user LIKE 'millrace%'"):
            try:
                self.stack.sql(f"KILL CONNECTION {session}")
            except AssertionError as e:
                if "(1094, " not in str(e):  # it has ended by itself
                    raise


class Random:
    """Makes the same operation on the account and on the model, and compares what both say."""

    def __init__(self, stack, seed):
        self.stack, self.random = stack, random.Random(seed)
        self.workspace = stack.workspace(credits=0)
        self.client = self.workspace.client()
        self.account = model.Account()
        self.clock = Clock(stack)
        self.runs, self.n = [], 0
        self.flows = []
        for price in PRICES:
            flow = self.workspace.put_workflow(ONE)
            stack.set_up("workflow", "price", "--workspace", self.workspace.id, flow, "--credits", credits(price))
            self.flows.append((flow, price))

    def some(self, list_of, default=None):
        return self.random.choice(list_of) if list_of else default

    def some_amount(self):
        return self.random.choice((1, 999999, 1000000, self.random.randrange(1, 40000000), 5000000))

    # --- operations ---
    def grant(self):
        now, r = self.clock.now, self.random
        effective = r.choice((None, None, now - r.randrange(1, 10 ** 8), now, now + r.randrange(1, 10 ** 8)))
        start = now if effective is None else effective
        expires = r.choice((None, max(start, now) + r.randrange(1, 3 * 10 ** 8), max(start, now) + 1, now, now - 1, start))
        amount, category, priority = self.some_amount(), r.choice(("paid", "promotional")), r.choice((50, 50, 0, 100, r.randrange(101)))
        reference = f"r{self.n}" if r.random() < .3 else None
        body = {"credits": amount / 1000000, "category": category, "priority": priority, "reference": reference}
        body |= {"effective_from": moment(effective)} if effective is not None else {}
        body |= {"expires_at": moment(expires)} if expires is not None else {}
        answer = self.client.post("/credits/grants", json=body)
        if expires is not None and (expires <= now or expires <= start):
            assert answer.status_code == 400, answer.text
            return
        assert answer.status_code == 201, answer.text
        made = model.Grant(answer.json()["id"], amount, category, priority, start, expires or model.NEVER, reference=reference)
        self.account.grant(now, made)
        self.compare_grant(answer.json())
        if reference and r.random() < .5:  # the same again, and another one
            again = self.client.post("/credits/grants", json=body)
            assert again.status_code == 200 and again.json() == answer.json(), again.text
            other = body | r.choice(({"credits": (amount + 1000000) / 1000000}, {"priority": (priority + 1) % 101}))
            assert self.client.post("/credits/grants", json=other).json()["code"] == "reference_used"

    def correct(self):
        amount = self.some_amount()
        words = ("credits", "grant", "--workspace", self.workspace.id, "--credits", credits(-amount), "--reason", "less")
        fits = self.account.correct(self.clock.now, amount)
        code, _, error = self.stack.cli(*words, check=False)
        assert code == (0 if fits else 1), error

    def run(self):
        flow, price = self.some(self.flows)
        self.n += 1
        key = f"k{self.n}" if self.random.random() < .3 else None
        answer = self.client.run(flow, key=key)
        pays = self.account.debit(self.clock.now, None, price)
        assert answer.status_code == (202 if pays else 402), (answer.text, price)
        if not pays:
            return
        run = answer.json()["execution_id"]
        self.account.debits[run] = self.account.debits.pop(None)
        self.runs.append(run)
        if key:
            assert self.client.run(flow, key=key).json()["execution_id"] == run

    def batch(self):
        flow, price = self.some(self.flows)
        answer = self.client.post(f"/workflows/{flow}/run-batch", json={"items": [{"inputs": {}}] * self.random.randrange(1, 9)})
        for item in answer.json()["results"]:
            pays = self.account.debit(self.clock.now, None, price)
            assert item["status"] == (202 if pays else 402), item
            if pays:
                self.account.debits[item["execution_id"]] = self.account.debits.pop(None)
                self.runs.append(item["execution_id"])

    def stop(self):
        run = self.some(self.runs)
        if not run:
            return
        answer = self.client.post(f"/executions/{run}/stop")
        assert answer.status_code == (400 if run in self.account.refunded else 200), answer.text

        def new_id(expired):
            known = set(self.account.grants)
            return next(id for (id,) in self.stack.sql(f"SELECT id FROM credit_grants WHERE workspace_id = '{self.workspace.id}' AND refund_of = "
                                                       f"'{expired}'") if id not in known)
        self.account.refund(self.clock.now, run, new_id)

    def void(self):
        grant = self.some(list(self.account.grants))
        if not grant:
            return
        voided = self.account.void(self.clock.now, grant)
        code, _, error = self.stack.cli("credits", "void", "--workspace", self.workspace.id, grant, "--reason", "x", check=False)
        assert code == (0 if voided else 1), error

    def move(self):
        self.clock.move(self.random.choice((1, self.random.randrange(10 ** 4), self.random.randrange(10 ** 8))))

    def grant_until(self, expires, amount):
        answer = self.client.post("/credits/grants", json={"credits": amount / 1000000, "expires_at": moment(expires)})
        assert answer.status_code == 201, answer.text
        self.account.grant(self.clock.now, model.Grant(answer.json()["id"], amount, "paid", 50, self.clock.now, expires))

    # --- comparison ---
    def compare_grant(self, shown):
        known = self.account.grants[shown["id"]]
        remaining = known.amount if known.state == "scheduled" else known.remaining
        assert (shown["status"], micro(shown["credits"]), micro(shown["remaining"]), shown["refund_of"], shown["category"], shown["priority"]) == (
            known.status(), known.amount, remaining, known.refund_of, known.category, known.priority), (shown, known)
        assert (shown["expires_at"] or "never") == ("never" if known.expires == model.NEVER else moment(known.expires)), (shown, known)

    def pages(self, path, name):
        page = {"next_cursor": None, "has_more": True}
        while page["has_more"]:
            page = self.client.get(f"{path}?limit=100" + (f"&after={page['next_cursor']}" if page["next_cursor"] else "")).json()
            yield from page[name]

    def compare(self):
        made = self.client.post("/credits/grants", json={"credits": 0.000001}).json()  # makes what is due
        self.account.grant(self.clock.now, model.Grant(made["id"], 1, "paid", 50, self.clock.now))
        assert micro(self.client.get("/credits").json()["balance"]) == self.account.balance()
        shown = list(self.pages("/credits/grants", "grants"))
        assert {g["id"] for g in shown} == set(self.account.grants)
        for grant in shown:
            self.compare_grant(grant)

    def compare_ledger(self):
        shown = [(e["kind"], micro(e["amount"]), tuple(sorted((g["grant_id"], micro(g["amount"])) for g in e["grants"])))
                 for e in self.pages("/credits/ledger", "entries")]
        assert sorted(shown) == sorted((kind, amount, tuple(sorted(parts.items()))) for kind, amount, parts in self.account.ledger)


@pytest.fixture(scope="module")
def quiet():
    """A stack of its own, whose clock is moved, without an executor."""
    stack = Stack()
    try:
        stack.start()
        stack.stop_server("executor")
        yield stack
    finally:
        stack.close()


def test_random_operations_agree_with_the_model(quiet):
    print(f"MODEL_SEED={SEED} MODEL_OPERATIONS={OPERATIONS}")
    room = Random(quiet, SEED)
    names = ("grant", "correct", "run", "batch", "stop", "void", "move")
    chosen = room.random.choices(names, weights=(20, 3, 35, 8, 25, 3, 9), k=OPERATIONS)
    for n, name in enumerate(chosen):
        room.n = n
        getattr(room, name)()
        if n % 100 == 99:
            room.compare()
    room.compare()
    room.compare_ledger()
    code, out, _ = quiet.cli("audit", check=False)
    assert code == 0, out


def test_credits_outlive_their_time_once(quiet):
    """A refund to an expired grant extends its time; one to the grant that took it does not, or a tenant could keep credits for ever."""
    room = Random(quiet, 1)
    room.grant_until(room.clock.now + 1000, PRICES[-1])
    room.flows = room.flows[-1:]
    for extended in (True, False):
        room.run()
        room.clock.move(2000)
        room.runs = room.runs[-1:]
        room.stop()
        assert (micro(room.client.get("/credits").json()["balance"]) >= PRICES[-1]) == extended
        room.compare()
    room.compare_ledger()
    code, out, _ = quiet.cli("audit", check=False)
    assert code == 0, out


def test_open_grants_are_limited(quiet):
    workspace = quiet.workspace(credits=0)
    client = workspace.client()
    assert client.post("/credits/grants", json={"credits": 1}).status_code == 201
    later = int(time.time() * 1000) + 366 * 86400 * 1000
    quiet.sql(f"INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms) "
              f"WITH RECURSIVE n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < 999) "
              f"SELECT '{workspace.id}', UUID(), 1, 2, 50, 1, 1, {later}, {later} FROM n")
    refused = client.post("/credits/grants", json={"credits": 1})
    assert (refused.status_code, refused.json()["code"]) == (422, "balance_limit")
