#!/usr/bin/python3
"""credits_operations.py [--operations N] [--seeds A-B] [--seconds S]: makes random operations on the credits of several workspaces, one for each seed,
and compares each answer with the model of docs/billing.md and docs/budgets.md (credits_model.py), to the micro-credit; after each hundred of a
workspace its balance, budgets and what its grants have left; after each 10,000 and at the end all grants and the whole ledger. Then
`millrace audit` must be clean, too.

Each workspace is driven by a process of its own, so that the programs answer several at a time. What is shared is done while all wait: MariaDB's clock,
the only one that decides about grants, budgets, prices and the time of a run, stands still and is moved (init_connect sets the sessions' time, and
the daemons' sessions are ended after each move). The executor works only in `work`, so that a run that is stopped between two of them is
always refunded. There, commands and models run, and the clock moves while models are asked.

The same seeds and operations make the same requests. MariaDB does not flush its log at a commit here: crashes are what tests/fault is for."""
import argparse
import contextlib
import dataclasses
import datetime
import json
import multiprocessing
import os
import pathlib
import random
import re
import socket
import sys
import tempfile
import threading
import time
import traceback

import credits_model as model
import peers
from model_quirks import Models
from openapi import DOCUMENT
from skills import EXAMPLES, install, manifest, package
from stack import BIN, ROOT, Stack, check_json, eventually

PRICES = (1, 999999, 1000000, 2500000, 7333333)
ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
LONG = {"steps": [{"name": "a", "type": "transform", "value": "x" * 700}]}
FAILS = {"steps": [{"name": "no", "type": "fail", "message": "no"}]}
PARKED = {"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "wait", "type": "delay", "seconds": 600}]}
# writes an artifact of ARTIFACT octets
ARTIFACT = 1234
COMMAND = f"printf '%{ARTIFACT}s' x >outputs/a; echo '{{\"done\": true}}'\n"
# lease_s: a process that loses its lease on a busy machine is not found lost while MariaDB's clock stands still
# api.workers: each prepares its statements again after each move of the clock
SETTINGS = {"api.workers": "2", "executor.processes": "1", "executor.park_after_ms": "200", "executor.lease_s": "300"}
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Chatham")
# unit: (the highest price of PRICED_FOR of it, the greatest amounts)
UNITS = {"input_tokens": (3000000, (1, 500, 200000)), "cached_tokens": (300000, (1, 500, 200000)), "output_tokens": (15000000, (1, 30, 20000)),
         "seconds": (500000, (1, 20)), "bytes": (9000000, (1, 500, 1000000))}
# how often each is made: by a workspace for itself, and by all together
OWN = {"grant": 20, "correct": 3, "run": 35, "batch": 8, "stop": 20, "void": 3, "budget": 4, "price": 2, "zone": .5}
SHARED = {"move": 9, "work": .3}
# what differs in answers of one shape
VARIES = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\d+")
COMPARED_AFTER = 100
PROVED_AFTER = 10000
WAIT_S = 600


def credits(micro):
    sign, micro = ("-" if micro < 0 else ""), abs(micro)
    return f"{sign}{micro // 1000000}.{micro % 1000000:06d}"


def micro(number):
    return round(number * 1000000)


def moment(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat(timespec="milliseconds")


def answer_of_model(text, hold=None):
    """The tokens are those of the number in the text, so that they are known before and after the answer."""
    tokens = random.Random(int(re.findall(r"number (\d+)\.", text)[-1]))
    input = tokens.choice((0, 1, 700, 300000))
    return {"hold": hold, "content": '{"headline": "' + "x" * tokens.randrange(1, 200) + '"}', "input": input, "output": tokens.choice((1, 25, 30000)),
            "cached": tokens.randrange(input + 1)}


class Clock:
    def __init__(self, stack, sql):
        self.sql, self.now = sql, int(time.time() * 1000)
        self.move(0)

    def move(self, ms):
        self.now += ms
        for (session,) in self.sql(f"SET GLOBAL init_connect = 'SET timestamp = {self.now // 1000}.{self.now % 1000:03d}'; "
                                   "SELECT id FROM information_schema.processlist WHERE user LIKE 'millrace%'"):
            try:
                self.sql(f"KILL CONNECTION {session}")
            except AssertionError as e:
                if "(1094, " not in str(e):  # it has ended by itself
                    raise


class Answer:
    """As of requests, as far as it is used."""

    def __init__(self, request, status, kind, content):
        self.request, self.status_code, self.headers, self.content = request, status, {"Content-Type": kind}, content
        self.value = json.loads(content) if content else None

    def json(self):
        return self.value

    @property
    def text(self):
        return f"{self.status_code} {self.content.decode()}"


class Client:
    """What Client of stack.py does, at a tenth of its price: one connection, no more of HTTP than nginx sends, and an answer is checked against the
    document if none of its shape was."""
    IDLE_S = 20  # nginx closes what is idle for longer than 65 s

    def __init__(self, url, key):
        self.address, self.key = ("127.0.0.1", int(url.rsplit(":", 1)[1])), key
        self.file, self.used_at, self.seen = None, 0, set()
        self.method = None  # of the last request

    def connect(self):
        if self.file and time.monotonic() - self.used_at < self.IDLE_S:
            return
        if self.file:
            self.file.close()
        with socket.create_connection(self.address, timeout=70) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.file = s.makefile("rwb")

    def request(self, method, path, json_body=None, key=None):
        self.connect()
        self.method = method
        body = b"" if json_body is None else json.dumps(json_body).encode()
        self.file.write((f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.key}\r\n"
                         + (f"Idempotency-Key: {key}\r\n" if key else "") + ("Content-Type: application/json\r\n" if body else "")
                         + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
        self.file.flush()
        answer = self.read()
        self.used_at = time.monotonic()
        path = path.partition("?")[0]
        shape = method, VARIES.sub(b"0", path.encode()), answer.status_code, VARIES.sub(b"0", answer.content)
        if shape not in self.seen:
            check_json(answer)
            DOCUMENT.check(method, path, answer)
            self.seen.add(shape)
        return answer

    def read(self):
        status, size, kind, chunked, ends = int(self.file.readline().split()[1]), 0, "", False, False
        while line := self.file.readline().strip():
            name, _, value = line.decode().partition(": ")
            name = name.lower()
            if name == "content-length":
                size = int(value)
            elif name == "content-type":
                kind = value
            chunked, ends = chunked or name == "transfer-encoding", ends or (name, value) == ("connection", "close")
        content = b"".join(self.chunks()) if chunked else self.file.read(size)
        if ends:
            self.used_at = self.file = None
        return Answer(self, status, kind, content)

    def chunks(self):
        while size := int(self.file.readline(), 16):
            yield self.file.read(size)
            self.file.readline()
        self.file.readline()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, json=None, key=None):
        return self.request("POST", path, json, key)

    def patch(self, path, json):
        return self.request("PATCH", path, json)

    def delete(self, path):
        return self.request("DELETE", path)

    def run(self, workflow, key=None, **body):
        return self.post(f"/workflows/{workflow}/run-async", body or None, key)


@dataclasses.dataclass(frozen=True)
class Responder:
    kind: str       # workflow, command, model
    id: str
    price: int      # without a dated list
    slug: str = None
    model: str = None


class Account:
    """Makes the same operations on the account of one workspace and on its model, and compares what both say. `now` is set by whoever moves the clock."""

    def __init__(self, stack, seed, now, models_url=None):
        self.stack, self.seed, self.now, self.random, self.ends = stack, seed, now, random.Random(seed), contextlib.ExitStack()
        self.sql = self.ends.enter_context(peers.mariadb(stack.dir, WAIT_S))
        self.ends.callback(setattr, stack, "operator", stack.operator)
        stack.operator = self.kept_operator(ROOT / "bin/millrace")  # not the one of another process
        self.operator = self.kept_operator(BIN / "millrace")
        self.workspace = stack.workspace(credits=0)
        self.keys = [self.workspace.key() for _ in range(2)]
        self.clients = [Client(stack.url, key["key"]) for key in self.keys]
        self.client = self.clients[0]
        self.account = model.Account()
        self.runs, self.asked, self.n = {}, [], 0   # run: its responder, of those that have not ended
        self.over = []                              # some that have
        self.of = ("--workspace", self.workspace.id)
        self.zone()
        self.flows = [self.priced(ONE, price) for price in PRICES] + [self.priced(program, PRICES[2]) for program in (LONG, FAILS, PARKED)]
        self.skills = self.installed(models_url) if models_url else []

    def kept_operator(self, program):
        log = self.ends.enter_context(open(self.stack.dir / f"logs/operator-{self.seed}.out", "a"))  # a move of the clock costs it its connection
        operator = peers.Operator(self.stack.dir, program, self.stack.env, log)
        self.ends.callback(operator.close)
        return operator

    def close(self):
        self.ends.close()

    def priced(self, program, price):
        flow = self.workspace.put_workflow(program)
        self.stack.set_up("workflow", "price", *self.of, flow, "--credits", credits(price))
        return Responder("workflow", flow, price)

    def installed(self, models_url):
        self.stack.set_up("model", "put", *self.of, "--alias", "main", "--url", models_url, "--model", "m")
        install(self.workspace, EXAMPLES / "headline")
        with tempfile.TemporaryDirectory() as d:
            install(self.workspace, package(pathlib.Path(d), manifest(argv=("/bin/sh", "./main.sh")), main_sh=COMMAND))
        id = dict(self.sql(f"SELECT slug, id FROM skills WHERE workspace_id = '{self.workspace.id}'"))
        return [Responder("command", id["probe"], 1000000, "probe"), Responder("model", id["headline"], 1000000, "headline", "main")]

    def some(self, list_of, default=None):
        return self.random.choice(list_of) if list_of else default

    def some_amount(self):
        return self.random.choice((1, 999999, 1000000, self.random.randrange(1, 40000000), 5000000))

    def operate(self, n):
        for name in self.random.choices(list(OWN), weights=OWN.values(), k=n):
            self.n += 1
            getattr(self, name)()

    # --- operations ---
    def zone(self):
        zone = self.random.choice(ZONES)
        self.operator.run("workspace", "set", *self.of, "--timezone", zone)
        self.account.set_zone(self.now, zone)

    def grant(self):
        now, r = self.now, self.random
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
        self.account.grant(self.now, made)
        self.compare_grant(answer.json())
        if reference and r.random() < .5:  # the same again, and another one
            again = self.client.post("/credits/grants", json=body)
            assert again.status_code == 200 and again.json() == answer.json(), again.text
            other = body | r.choice(({"credits": (amount + 1000000) / 1000000}, {"priority": (priority + 1) % 101}))
            assert self.client.post("/credits/grants", json=other).json()["code"] == "reference_used"

    def correct(self):
        amount = self.some_amount()
        fits = self.account.correct(self.now, amount)
        answer = self.operator.answer("credits", "grant", *self.of, "--credits", credits(-amount), "--reason", "less")
        assert ("error" not in answer) == fits, answer

    def path(self, responder):
        return f"/spaces/{self.workspace.id}/skills/{responder.slug}" if responder.slug else f"/workflows/{responder.id}"

    def debit(self, responder, key=0, tags=()):
        """What the model says of a run: None, or its refusal."""
        subject = {"key": self.keys[key]["id"], "principal": self.keys[key]["principal_id"], "responder": responder.id, "tags": tags}
        return self.account.debit(self.now, None, self.prices_of(responder), subject)

    def prices_of(self, responder):
        return self.account.prices.of(self.now, responder.id, responder.model, responder.price)

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
        return next(id for (id,) in self.sql(f"SELECT id FROM credit_grants WHERE workspace_id = '{self.workspace.id}' AND refund_of = '{expired}'")
                    if id not in self.account.grants)

    def stop(self):
        run = self.some(self.over) if self.random.random() < .05 else self.some(list(self.runs))
        if not run:
            return
        answer = self.client.post(f"/executions/{run}/stop")
        assert answer.status_code == (200 if run in self.runs else 400), answer.text
        if run in self.runs:
            self.account.refund(self.now, run, self.new_id)
            self.end([run])

    def end(self, runs):
        for run in runs:
            del self.runs[run], self.account.debits[run], self.account.ended[run]
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
        r, now, lists = self.random, self.now, self.account.prices.lists
        responder, alias = r.choice((*((x.id, None) for x in self.flows + self.skills), (None, None), (None, "main"),
                                     *((x.id, x.model) for x in self.skills if x.model)))
        since = r.choice((None, None, now + r.randrange(1, 10 ** 8)))
        if now in lists.get((responder, alias), {}):  # what is in force stays as it is
            return
        words = (["--responder", responder] if responder else []) + (["--model", alias] if alias else []) + (["--from", moment(since)] if since else [])
        prices = None
        if r.random() < .2 and (responder, alias) in lists:
            words.append("--none")
        else:
            units = {u: (r.randrange(1, UNITS[u][0]), r.choice(UNITS[u][1])) for u in r.sample(list(UNITS), r.randrange(len(UNITS) + 1))}
            prices = model.PriceList(r.choice(PRICES), {u: (price, most * 1000 if u == "seconds" else most) for u, (price, most) in units.items()})
            words += ["--credits", credits(prices.fixed)]
            for unit, (price, most) in units.items():
                words += [f"--{unit.replace('_', '-')}", f"{credits(price)},{most}"]
        self.operator.run("price", "set", *self.of, *words)
        self.account.prices.set(responder, alias, since or now, prices)

    def void(self):
        grant = self.some(list(self.account.grants))
        if not grant:
            return
        voided = self.account.void(self.now, grant)
        answer = self.operator.answer("credits", "void", *self.of, grant, "--reason", "x")
        assert ("error" not in answer) == voided, answer

    def grant_until(self, expires, amount):
        answer = self.client.post("/credits/grants", json={"credits": amount / 1000000, "expires_at": moment(expires)})
        assert answer.status_code == 201, answer.text
        self.account.grant(self.now, model.Grant(answer.json()["id"], amount, "paid", 50, self.now, expires))

    # --- the executor: the parts of Accounts.work ---
    def ask(self):
        """Runs that the executor finds. The number of those that will ask a model."""
        for skill in self.random.choices(self.skills, k=self.random.randrange(1, 7)):
            self.run_skill(skill)
        self.models, self.asked = {run: text for run, text in self.asked if run in self.runs}, []
        return len(self.models)

    def executed(self):
        """All have ended but those that wait for a model and those that are parked. The clock has not moved."""
        self.parked = [run for run in self.runs if self.runs[run] == self.flows[-1]]
        self.ended([run for run in self.runs if run not in self.models and run not in self.parked], 0, {})
        half = len(self.parked) // 2
        self.stop_started(self.parked[:half], 0)
        self.parked = self.parked[half:]

    def moved(self, ms):
        """While models are asked, the clock has moved. Parked runs are stopped, because the next move would wake them, and some of the others before
        their usage is reported."""
        self.stop_started(self.parked, 0)
        stopped = self.random.sample(sorted(self.models), self.random.randrange(len(self.models) + 1))
        self.stop_started(stopped, ms)
        self.models = {run: text for run, text in self.models.items() if run not in stopped}

    def answered(self, ms):
        """Models have answered."""
        tokens = {run: answer_of_model(text) for run, text in self.models.items()}
        self.ended(list(self.models), ms, {run: {"input_tokens": t["input"], "cached_tokens": t["cached"], "output_tokens": t["output"]}
                                           for run, t in tokens.items()})

    def ended(self, runs, time_ms, tokens):
        """The model's account of runs that have ended by themselves. tokens: {run: of its answer}"""
        if not runs:
            return
        ids = ", ".join(f"'{run}'" for run in runs)
        found = {run: (state, int(size)) for run, state, size in self.sql(f"SELECT id, state, COALESCE(LENGTH(output), 0) FROM executions WHERE id IN ({ids})")}
        for run in runs:
            responder, (state, size) = self.runs[run], found[run]
            assert state == ("4" if responder == self.flows[-2] else "3"), (run, responder, state)
            size += ARTIFACT if responder.kind == "command" else 0
            self.account.end(self.now, run, {"seconds": time_ms, "bytes": size} | tokens.get(run, {}), self.new_id)
        for run in self.random.sample(runs, min(3, len(runs))):
            shown = self.client.get(f"/executions/{run}").json()
            assert micro(shown["creditsUsed"]) == self.account.debits[run].prices.debit() - self.account.ended[run], shown
        self.end(runs)

    def stop_started(self, runs, time_ms):
        for run in runs:
            assert self.client.post(f"/executions/{run}/stop").status_code == 200
            self.account.end(self.now, run, {"seconds": time_ms}, self.new_id)
        self.end(runs)

    # --- comparison ---
    def compare_grant(self, shown):
        known = self.account.grants[shown["id"]]
        remaining = known.amount if known.state == "scheduled" else known.remaining
        assert (shown["status"], micro(shown["credits"]), micro(shown["remaining"]), shown["refund_of"], shown["category"], shown["priority"]) == (
            known.status(), known.amount, remaining, known.refund_of, known.category, known.priority), (shown, known)
        assert (shown["expires_at"] or "never") == ("never" if known.expires == model.NEVER else moment(known.expires)), (shown, known)

    def compare_budget(self, shown):
        known, now = self.account.budgets[shown["id"]], self.now
        start, end = known.period_at(now)
        assert (micro(shown["used"]), micro(shown["limit"]), shown["level"], shown["reset_at"]) == (
            known.used_at(now), known.limit, known.level(now), None if end == model.NEVER else moment(end)), (shown, known)
        assert known.period == "total" or shown["started_at"] == moment(start), (shown, known)

    def pages(self, path, name):
        page = {"next_cursor": None, "has_more": True}
        while page["has_more"]:
            page = self.client.get(f"{path}?limit=100" + (f"&after={page['next_cursor']}" if page["next_cursor"] else "")).json()
            yield from page[name]

    def compare(self):
        """The balance, the budgets, the newest grants, and the rows of all that are scheduled or have something left."""
        made = self.client.post("/credits/grants", json={"credits": 0.000001}).json()  # makes what is due
        self.account.grant(self.now, model.Grant(made["id"], 1, "paid", 50, self.now))
        assert micro(self.client.get("/credits").json()["balance"]) == self.account.balance()
        for grant in self.client.get("/credits/grants?limit=100").json()["grants"]:
            self.compare_grant(grant)
        left = self.sql("SELECT g.id, g.amount, IF(g.id = a.head_grant, a.head_remaining, g.remaining) AS left_over FROM credit_grants g "
                        "JOIN accounts a ON a.workspace_id = g.workspace_id "
                        f"WHERE g.workspace_id = '{self.workspace.id}' AND g.state IN (1, 2) AND (g.remaining > 0 OR g.id = a.head_grant) HAVING left_over > 0")
        known = [[g.id, str(g.amount), str(g.amount if g.state == "scheduled" else g.remaining)] for g in self.account.open.values()]
        assert sorted(left) == sorted(known), (left, known)
        shown = list(self.pages("/budgets", "budgets"))
        assert {b["id"] for b in shown} == set(self.account.budgets)
        for budget in shown:
            self.compare_budget(budget)

    def compare_all(self):
        """All grants, and the whole ledger."""
        self.compare()
        shown = list(self.pages("/credits/grants", "grants"))
        assert {g["id"] for g in shown} == set(self.account.grants)
        for grant in shown:
            self.compare_grant(grant)
        shown = [(e["kind"], micro(e["amount"]), tuple(sorted((g["grant_id"], micro(g["amount"])) for g in e["grants"])))
                 for e in self.pages("/credits/ledger", "entries")]
        assert sorted(shown) == sorted((kind, amount, tuple(sorted(parts))) for kind, amount, parts in self.account.ledger)
        assert sum(amount for _, amount, _ in shown) == self.account.balance()


def drive(stack, seed, now, models_url, pipe):
    """A process: does with one account what it is told."""
    account = None
    try:
        account = Account(stack, seed, now, models_url)
        pipe.send((True, account.workspace.id))
        while told := pipe.recv():
            account.now, name, *arguments = told
            pipe.send((True, getattr(account, name)(*arguments)))
    except (EOFError, KeyboardInterrupt):
        pass
    except BaseException:
        pipe.send((False, f"seed {seed}, operation {account.n if account else 0}: {traceback.format_exc()}"))
    finally:
        if account:
            account.close()


class Accounts:
    """The accounts of several seeds in one stack, whose executor does not run. The operations of all are as many of each kind as OWN and SHARED say."""

    def __init__(self, stack, models, seeds):
        self.stack, self.models, self.seeds = stack, models, list(seeds)
        self.random, self.processes, self.pipes, self.ends = random.Random(f"{self.seeds}"), [], [], contextlib.ExitStack()

    def __enter__(self):
        with self.ends:
            self.sql = self.ends.enter_context(peers.mariadb(self.stack.dir, WAIT_S))
            self.clock = Clock(self.stack, self.sql)
            self.stack.sql("SET GLOBAL innodb_flush_log_at_trx_commit = 0")
            for seed in self.seeds:
                self.start(seed)
            self.workspaces = ", ".join(f"'{id}'" for id in self.results())
            self.ends = self.ends.pop_all()
        return self

    def start(self, seed):
        fork = multiprocessing.get_context("fork")
        pipe, other = fork.Pipe()
        process = fork.Process(target=drive, args=(self.stack, seed, self.clock.now, self.models.url, other), daemon=True)
        process.start()
        other.close()
        self.pipes.append(pipe)
        self.ends.callback(self.end, process, pipe)

    @staticmethod
    def end(process, pipe):
        with contextlib.suppress(OSError):
            pipe.send(None)
        process.join(10)
        if process.is_alive():
            process.kill()
            process.join()

    def __exit__(self, *error):
        self.ends.close()

    def results(self):
        results = []
        for seed, pipe in zip(self.seeds, self.pipes):
            assert pipe.poll(WAIT_S), f"seed {seed} has not answered for {WAIT_S} s"
            good, result = pipe.recv()
            assert good, f"--seeds {self.seeds[0]}-{self.seeds[-1]}: {result}"
            results.append(result)
        return results

    def all(self, name, *arguments):
        for pipe in self.pipes:
            pipe.send((self.clock.now, name, *arguments))
        return self.results()

    # --- what is done for all ---
    def move(self):
        self.clock.move(self.random.choice((1, self.random.randrange(10 ** 4), self.random.randrange(10 ** 8))))

    def await_open(self, where, n):
        """Until so many runs have not ended for which the condition is true."""
        of = f"FROM executions e LEFT JOIN waits w ON w.execution_id = e.id WHERE e.workspace_id IN ({self.workspaces}) AND e.state IN (1, 2) AND {where}"
        try:
            eventually(lambda: self.sql(f"SELECT COUNT(*) {of}") == [[str(n)]], 180)
        except AssertionError:
            left = self.sql(f"SELECT e.id, e.responder_id, e.state, e.executor_id, e.attempt, w.reason {of} LIMIT 20")
            raise AssertionError(f"{n} runs should be left, and these are: {left}; {self.stack.log('executor')[-3000:]}") from None

    def work(self):
        """The executor does what is queued."""
        hold = threading.Event()
        self.models.answers = [lambda body: answer_of_model(body["messages"][-1]["content"], hold)]
        self.models.requests.clear()
        asked = sum(self.all("ask"))
        self.stack.start_server("executor")
        self.models.wait_for(asked, 180)
        self.await_open("w.execution_id IS NULL AND e.responder_id NOT IN (SELECT id FROM skills WHERE slug = 'headline')", 0)
        self.await_open("w.execution_id IS NULL", asked)
        self.all("executed")
        ms = self.random.randrange(1, 4000)  # less than the time after which an executor is taken for lost
        self.clock.move(ms)
        self.all("moved", ms)
        hold.set()
        self.await_open("TRUE", 0)
        self.all("answered", ms)
        self.stack.stop_server("executor")
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self.stack.dir / "logs/nginx-access.log", 0)

    def prove(self):
        self.all("compare_all")
        code, out, error = self.stack.cli("audit", check=False)
        assert code == 0, out + error

    def parts(self, operations):
        """What is done one after the other: ("own", how many), ("move", 1) and ("work", 1); of each account, so many in all."""
        own = 0
        for name in self.random.choices(["own", *SHARED], weights=[sum(OWN.values()), *SHARED.values()], k=operations):
            if name == "own" and own < COMPARED_AFTER:
                own += 1
                continue
            yield from [("own", own)] if own else []
            own = int(name == "own")
            yield from [(name, 1)] if name != "own" else []
        yield from [("own", own)] if own else []

    def operate(self, operations, seconds=None):
        """Returns how many each account made."""
        began, done = time.monotonic(), 0
        for name, n in self.parts(operations):
            if name == "own":
                self.all("operate", n)
            else:
                getattr(self, name)()
            before, done = done, done + n
            if before // COMPARED_AFTER != done // COMPARED_AFTER:
                self.all("compare")
            if before // PROVED_AFTER != done // PROVED_AFTER:
                self.prove()
                rate = done * len(self.seeds) / (time.monotonic() - began)
                print(f"{done} operations of each of {len(self.seeds)} accounts agree, {rate:.0f} a second together; the audit is clean", flush=True)
            if seconds and time.monotonic() - began > seconds:
                break
        self.work()
        self.prove()
        return done


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--operations", type=int, default=100000, help="of each account")
    options.add_argument("--seeds", default="1-10", help="A or A-B")
    options.add_argument("--seconds", type=int, help="end after so many")
    o = options.parse_args()
    first, _, last = o.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    stack, models = Stack({**SETTINGS, "log.level": "warn"}), Models()
    try:
        stack.start()
        stack.stop_server("executor")
        with Accounts(stack, models, seeds) as accounts:
            done = accounts.operate(o.operations, o.seconds)
        print(f"seeds {o.seeds}: {done * len(seeds)} operations agree with the model, and the audit is clean")
    finally:
        models.close()
        stack.stop()
    stack.close()


if __name__ == "__main__":
    sys.exit(main())
