"""Random operations on a workspace's credits agree with the model of docs/billing.md and docs/budgets.md (credits_model.py) to the micro-credit.

MariaDB's clock, the only one that decides about grants, budgets, prices and the time of a run, stands still and is moved by the test: init_connect
sets the sessions' time, and the daemons' sessions are ended after each move. The executor works only in `work`, so that a run that is stopped
between two of them is always refunded. There, commands and models run, and the clock moves while models are asked.

By hand, ten times 100,000 operations; with MODEL_SECONDS=N it ends after the operation in which N seconds have passed:
    for seed in $(seq 10); do MODEL_SEED=$seed MODEL_OPERATIONS=100000 /usr/bin/python3 -m pytest -qs -p no:cacheprovider tests/api/test_credits_model.py; done
"""
import dataclasses
import datetime
import os
import random
import re
import threading
import time

import credits_model as model
import pytest
from model_quirks import Models
from skills import EXAMPLES, install, probe
from stack import Client, Stack, eventually

OPERATIONS = int(os.environ.get("MODEL_OPERATIONS", 500))
SECONDS = int(os.environ.get("MODEL_SECONDS", 1 << 30))
SEED = int(os.environ.get("MODEL_SEED", 0)) or random.SystemRandom().randrange(1, 1 << 32)
PRICES = (1, 999999, 1000000, 2500000, 7333333)
ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
LONG = {"steps": [{"name": "a", "type": "transform", "value": "x" * 700}]}
FAILS = {"steps": [{"name": "no", "type": "fail", "message": "no"}]}
PARKED = {"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "wait", "type": "delay", "seconds": 600}]}
# writes an artifact of ARTIFACT octets
COMMAND = "open('outputs/a', 'w').write('x' * 1234); print('{\"done\": true}')"
ARTIFACT = 1234
# lease_s: a process that loses its lease on a busy machine is not found lost while MariaDB's clock stands still
SETTINGS = {"executor.processes": "1", "executor.park_after_ms": "200", "executor.lease_s": "300"}
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")
# unit: (the highest price of PRICED_FOR of it, the greatest amounts)
UNITS = {"input_tokens": (3000000, (1, 500, 200000)), "cached_tokens": (300000, (1, 500, 200000)), "output_tokens": (15000000, (1, 30, 20000)),
         "seconds": (500000, (1, 20)), "bytes": (9000000, (1, 500, 1000000))}


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


@dataclasses.dataclass(frozen=True)
class Responder:
    kind: str       # workflow, command, model
    id: str
    price: int      # without a dated list
    slug: str = None
    model: str = None


class Random:
    """Makes the same operation on the account and on the model, and compares what both say."""

    def __init__(self, stack, seed, models=None):
        self.stack, self.random, self.models = stack, random.Random(seed), models
        self.workspace = stack.workspace(credits=0)
        self.keys = [self.workspace.key() for _ in range(2)]
        self.clients = [Client(stack.url, key["key"]) for key in self.keys]
        self.client = self.clients[0]
        zone = self.random.choice(ZONES)
        stack.set_up("workspace", "set", "--workspace", self.workspace.id, "--timezone", zone)
        self.account = model.Account(zone)
        self.clock = Clock(stack)
        self.runs, self.asked, self.n = {}, [], 0   # run: its responder, of those that have not ended
        self.over = []                              # some that have
        self.flows = [self.priced(ONE, price) for price in PRICES] + [self.priced(program, PRICES[2]) for program in (LONG, FAILS, PARKED)]
        self.skills = self.installed() if models else []

    def priced(self, program, price):
        flow = self.workspace.put_workflow(program)
        self.stack.set_up("workflow", "price", "--workspace", self.workspace.id, flow, "--credits", credits(price))
        return Responder("workflow", flow, price)

    def installed(self):
        of = ("--workspace", self.workspace.id)
        self.stack.set_up("model", "put", *of, "--alias", "main", "--url", self.models.url, "--model", "m")
        install(self.workspace, EXAMPLES / "headline")
        probe(self.workspace, COMMAND)
        id = dict(self.stack.sql(f"SELECT slug, id FROM skills WHERE workspace_id = '{self.workspace.id}'"))
        return [Responder("command", id["probe"], 1000000, "probe"), Responder("model", id["headline"], 1000000, "headline", "main")]

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

    def path(self, responder):
        return f"/spaces/{self.workspace.id}/skills/{responder.slug}" if responder.slug else f"/workflows/{responder.id}"

    def debit(self, responder, key=0, tags=()):
        """What the model says of a run: None, or its refusal."""
        subject = {"key": self.keys[key]["id"], "principal": self.keys[key]["principal_id"], "responder": responder.id, "tags": tags}
        return self.account.debit(self.clock.now, None, self.prices_of(responder), subject)

    def prices_of(self, responder):
        return self.account.prices.of(self.clock.now, responder.id, responder.model, responder.price)

    def accepted(self, run, responder):
        self.account.debits[run] = self.account.debits.pop(None)
        self.runs[run] = responder

    @staticmethod
    def compare_refusal(answer, refused):
        assert answer.status_code == 402 and answer.json()["code"] == refused.code, (answer.text, refused)
        if refused.code == "budget_exceeded":
            shown = answer.json()
            assert shown["budget_id"] in (refused.budgets or {None}), (shown, refused)
            assert shown["reset_at"] == (None if refused.reset in (None, model.NEVER) else moment(refused.reset)), (shown, refused)

    def estimate(self, responder, body):
        answer = self.client.post(self.path(responder) + "/estimate", json=body).json()
        prices = self.prices_of(responder)
        assert (micro(answer["credits"]), micro(answer["held"])) == (prices.debit(), prices.held()), (answer, prices)

    def run(self):
        responder, who = self.some(self.flows), self.random.randrange(2)
        self.n += 1
        key = f"k{self.n}" if self.random.random() < .3 else None
        tags = self.random.sample(("t1", "t2", "t3"), self.random.randrange(4)) if self.random.random() < .3 else []
        if self.random.random() < .05:
            self.estimate(responder, {"inputs": {}})
        answer = self.clients[who].run(responder.id, key=key, **({"tags": tags} if tags else {}))
        refused = self.debit(responder, who, tags)
        if refused:
            return self.compare_refusal(answer, refused)
        assert answer.status_code == 202, answer.text
        run = answer.json()["execution_id"]
        self.accepted(run, responder)
        if key:
            again = self.clients[who].run(responder.id, key=key, **({"tags": tags} if tags else {}))
            assert again.json()["execution_id"] == run

    def run_skill(self, responder):
        self.n += 1
        body = {"inputs": {"text": f"number {self.n}."} if responder.model else {}} | ({"model": responder.model} if responder.model else {})
        self.estimate(responder, body)
        answer = self.client.post(self.path(responder) + "/executions", json=body)
        refused = self.debit(responder)
        if refused:
            return self.compare_refusal(answer, refused)
        assert answer.status_code == 201, answer.text
        self.accepted(answer.json()["data"]["id"], responder)
        self.asked += [(answer.json()["data"]["id"], f"number {self.n}.")] if responder.model else []

    def batch(self):
        responder = self.some(self.flows)
        answer = self.client.post(f"/workflows/{responder.id}/run-batch", json={"items": [{"inputs": {}}] * self.random.randrange(1, 9)})
        for item in answer.json()["results"]:
            refused = self.debit(responder)
            assert item["status"] == (402 if refused else 202), (item, refused)
            if not refused:
                self.accepted(item["execution_id"], responder)

    def new_id(self, expired):
        known = set(self.account.grants)
        return next(id for (id,) in self.stack.sql(f"SELECT id FROM credit_grants WHERE workspace_id = '{self.workspace.id}' AND refund_of = "
                                                   f"'{expired}'") if id not in known)

    def stop(self):
        run = self.some(self.over) if self.random.random() < .05 else self.some(list(self.runs))
        if not run:
            return
        answer = self.client.post(f"/executions/{run}/stop")
        assert answer.status_code == (200 if run in self.runs else 400), answer.text
        if run in self.runs:
            self.account.refund(self.clock.now, run, self.new_id)
            self.end([run])

    def end(self, runs):
        for run in runs:
            del self.runs[run]
        self.over = [*self.over, *runs][-20:]

    def budget(self):
        r, budgets = self.random, self.account.budgets
        limit, soft = r.choice((0, r.randrange(1, 2000000), *(1000000 * r.randrange(1, 400) for _ in range(6)))), r.choice((None, 1, 50, 99))
        chosen = self.some(list(budgets))
        if len(budgets) < 8 and r.random() < .6:
            scope, target = r.choice((("workspace", None), *(("key", k["id"]) for k in self.keys), ("principal", self.keys[0]["principal_id"]),
                                      *(("responder", f.id) for f in self.flows[:3] + self.skills), *(("tag", f"t{i}") for i in (1, 2, 3))))
            made = model.Budget(None, scope, target, r.choice(("day", "month", "total")), limit, self.account.zone, soft)
            answer = self.client.post("/budgets", json={"scope": scope, "period": made.period, "limit": limit / 1000000, "soft_percent": soft}
                                      | ({"target": target} if target else {}))
            made.id = answer.json().get("id")
            wrong = self.account.budget(made)
            assert (answer.json()["code"] if wrong else answer.status_code) == (wrong or 201), (answer.text, wrong)
        elif chosen and r.random() < .5:
            budgets[chosen].limit, budgets[chosen].soft_percent = limit, soft
            answer = self.client.patch(f"/budgets/{chosen}", json={"limit": limit / 1000000, "soft_percent": soft})
            assert answer.status_code == 200, answer.text
            self.compare_budget(answer.json())
        elif chosen:
            assert self.client.delete(f"/budgets/{chosen}").status_code == 204
            del budgets[chosen]

    def price(self):
        self.clock.move(1)  # no second list of one moment
        r, now = self.random, self.clock.now
        responder, alias = r.choice((*((x.id, None) for x in self.flows + self.skills), (None, None), (None, "main"),
                                     *((x.id, x.model) for x in self.skills if x.model)))
        since = r.choice((None, None, now + r.randrange(1, 10 ** 8)))
        words = (["--responder", responder] if responder else []) + (["--model", alias] if alias else []) + (["--from", moment(since)] if since else [])
        prices = None
        if r.random() < .2 and (responder, alias) in self.account.prices.lists:
            words.append("--none")
        else:
            units = {u: (r.randrange(1, UNITS[u][0]), r.choice(UNITS[u][1])) for u in r.sample(list(UNITS), r.randrange(len(UNITS) + 1))}
            prices = model.PriceList(r.choice(PRICES), {u: (price, most * 1000 if u == "seconds" else most) for u, (price, most) in units.items()})
            words += ["--credits", credits(prices.fixed)]
            for unit, (price, most) in units.items():
                words += [f"--{unit.replace('_', '-')}", f"{credits(price)},{most}"]
        self.stack.cli("price", "set", "--workspace", self.workspace.id, *words)
        self.account.prices.set(responder, alias, since or now, prices)

    # --- the executor ---
    def answer_of_model(self, body):
        """Waits for the end of the clock's move. The tokens are those of the number in the text."""
        number = int(re.findall(r"number (\d+)\.", body["messages"][-1]["content"])[-1])
        tokens = random.Random(number)
        input = tokens.choice((0, 1, 700, 300000))
        return {"hold": self.hold, "content": '{"headline": "' + "x" * tokens.randrange(1, 200) + '"}', "input": input, "output": tokens.choice((1, 25, 30000)),
                "cached": tokens.randrange(input + 1)}

    def await_open(self, where, n):
        """Until so many runs have not ended for which the condition is true."""
        def left():
            return self.stack.sql("SELECT e.id, e.responder_id, e.state, e.executor_id, e.attempt, w.reason FROM executions e LEFT JOIN waits w ON w.execution_id = e.id "
                                  f"WHERE e.workspace_id = '{self.workspace.id}' AND e.state IN (1, 2) AND {where}")
        try:
            eventually(lambda: len(left()) == n, 180)
        except AssertionError:
            raise AssertionError(f"{n} runs should be left, and these are: {left()[:20]}; {self.stack.log('executor')[-3000:]}") from None

    def ended(self, runs, time_ms, tokens):
        """The model's account of runs that have ended by themselves. tokens: {run: of its answer}"""
        if not runs:
            return
        ids = ", ".join(f"'{run}'" for run in runs)
        found = {run: (state, int(size)) for run, state, size in self.stack.sql(f"SELECT id, state, COALESCE(LENGTH(output), 0) FROM executions WHERE id IN ({ids})")}
        for run in runs:
            responder, (state, size) = self.runs[run], found[run]
            assert state == ("4" if responder == self.flows[-2] else "3"), (run, responder, state)
            size += ARTIFACT if responder.kind == "command" else 0
            self.account.end(self.clock.now, run, {"seconds": time_ms, "bytes": size} | tokens.get(run, {}), self.new_id)
        for run in self.random.sample(runs, min(3, len(runs))):
            shown = self.client.get(f"/executions/{run}").json()
            assert micro(shown["creditsUsed"]) == self.account.debits[run].prices.debit() - self.account.ended[run], shown
        self.end(runs)

    def stop_started(self, runs, time_ms):
        for run in runs:
            assert self.client.post(f"/executions/{run}/stop").status_code == 200
            self.account.end(self.clock.now, run, {"seconds": time_ms}, self.new_id)
        self.end(runs)

    def work(self):
        """The executor does what is queued. While models are asked, the clock moves; then some of these runs are stopped before their usage is
        reported, and the others get their answers. Parked runs are stopped, because the next move would wake them."""
        for skill in self.random.choices(self.skills, k=self.random.randrange(1, 7)):
            self.run_skill(skill)
        self.hold, before = threading.Event(), len(self.models.requests)
        self.models.answers = [self.answer_of_model]
        self.stack.start_server("executor")
        models, self.asked = dict(self.asked), []
        models = {run: text for run, text in models.items() if run in self.runs}
        self.models.wait_for(before + len(models), 180)
        self.await_open("w.execution_id IS NULL", len(models))
        parked = [run for run in self.runs if self.runs[run] == self.flows[-1]]
        self.ended([run for run in self.runs if run not in models and run not in parked], 0, {})
        half = len(parked) // 2
        self.stop_started(parked[:half], 0)
        moved = self.random.randrange(1, 4000)  # less than the time after which an executor is taken for lost
        self.clock.move(moved)
        self.stop_started(parked[half:], 0)
        stopped = self.random.sample(sorted(models), self.random.randrange(len(models) + 1))
        self.stop_started(stopped, moved)
        self.hold.set()
        self.await_open("TRUE", 0)
        tokens = {run: self.answer_of_model({"messages": [{"content": text}]}) for run, text in models.items()}
        self.ended([run for run in models if run not in stopped], moved,
                   {run: {"input_tokens": t["input"], "cached_tokens": t["cached"], "output_tokens": t["output"]} for run, t in tokens.items()})
        self.stack.stop_server("executor")

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

    def compare_budget(self, shown):
        known, now = self.account.budgets[shown["id"]], self.clock.now
        end = model.period_of(known.period, known.zone, now)[1]
        assert (micro(shown["used"]), micro(shown["limit"]), shown["level"], shown["reset_at"]) == (
            known.used_at(now), known.limit, known.level(now), None if end == model.NEVER else moment(end)), (shown, known)

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
        shown = list(self.pages("/budgets", "budgets"))
        assert {b["id"] for b in shown} == set(self.account.budgets)
        for budget in shown:
            self.compare_budget(budget)

    def compare_ledger(self):
        shown = [(e["kind"], micro(e["amount"]), tuple(sorted((g["grant_id"], micro(g["amount"])) for g in e["grants"])))
                 for e in self.pages("/credits/ledger", "entries")]
        assert sorted(shown) == sorted((kind, amount, tuple(sorted(parts.items()))) for kind, amount, parts in self.account.ledger)


@pytest.fixture(scope="module")
def quiet():
    """A stack of its own, whose clock is moved, and whose executor works only at times."""
    stack = Stack(SETTINGS)
    try:
        stack.start()
        stack.stop_server("executor")
        yield stack
    finally:
        stack.close()


@pytest.fixture
def models():
    m = Models()
    yield m
    m.close()


def test_random_operations_agree_with_the_model(quiet, models):
    print(f"MODEL_SEED={SEED} MODEL_OPERATIONS={OPERATIONS}")
    room = Random(quiet, SEED, models)
    names = {"grant": 20, "correct": 3, "run": 35, "batch": 8, "stop": 20, "void": 3, "move": 9, "budget": 4, "price": 2, "work": .3}
    chosen = room.random.choices(list(names), weights=names.values(), k=OPERATIONS) + ["work"]
    began = time.monotonic()
    for n, name in enumerate(chosen):
        room.n = n
        getattr(room, name)()
        if n % 100 == 99:
            room.compare()
        if time.monotonic() - began > SECONDS:
            break
    print(f"{n + 1} operations, {(n + 1) / (time.monotonic() - began):.1f} a second", flush=True)
    room.compare()
    room.compare_ledger()
    code, out, _ = quiet.cli("audit", check=False)
    assert code == 0, out


def test_credits_outlive_their_time_once(quiet):
    """A refund to an expired grant extends its time; one to the grant that took it does not, or a tenant could keep credits for ever."""
    room = Random(quiet, 1)
    room.grant_until(room.clock.now + 1000, PRICES[-1])
    room.flows = [room.flows[len(PRICES) - 1]]
    for extended in (True, False):
        room.run()
        assert len(room.runs) == 1, "it has credits"
        room.clock.move(2000)
        while room.runs:
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
