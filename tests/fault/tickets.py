"""Tickets for signals under faults: a workspace of its own, whose runs wait for a person. For each run a ticket is made, a link scanner opens
it, and two people answer it at the same moment, each until the outcome is known. At the end each run has the answer of one of them, and that
of the person to whom it was confirmed."""
import json
import random
import threading
import time
import urllib.parse

from load import UNSURE, insist
from stack import eventually

PROGRAM = {"steps": [{"name": "ask", "type": "wait", "signal": "approved", "timeout_seconds": 900}], "outputs": "${/steps/ask/result/data}"}
PEOPLE = ("ada", "bob")
BUSY_S = 5


class Tickets(threading.Thread):
    def __init__(self, stack, book, seed, caller_of):
        super().__init__(daemon=True, name="tickets")
        self.stack, self.book, self.rng = stack, book, random.Random(f"{seed}/tickets")
        self.workspace = stack.workspace(credits=1000000)
        self.caller = caller_of(self.workspace)
        self.ended = threading.Event()
        self.workflow = self.workspace.put_workflow(PROGRAM)
        self.runs = {}     # execution: {person: True if the answer was confirmed, None if it may be stored}
        self.answering = []

    def run(self):
        n = 0
        while not self.ended.wait(self.rng.uniform(0.1, 0.6)):
            n += 1
            started = self.insist("POST", f"/workflows/{self.workflow}/run-async", (202,), {"inputs": {}}, key=f"ticket run {n}")
            if started.status != 202:
                continue
            id = started.json["execution_id"]
            self.runs[id] = {}
            # a repeated request may have made two tickets: the first answer ends both
            ticket = self.insist("POST", f"/executions/{id}/signals/approved/ticket", (201,), {"question": "Go on?"})
            if ticket.status == 201:
                self.book.count("tickets")
                self.answer(id, urllib.parse.urlsplit(ticket.json["url"]).path)

    def answer(self, id, path):
        for _ in range(self.rng.randrange(3)):
            self.caller.send("GET", path, below="")
        later = self.rng.choice((0, 0, 1, 3))  # also while the run is parked, and by a thread that outlives this round
        for person in PEOPLE:
            thread = threading.Thread(target=self.one_answer, args=(id, path, person, later), daemon=True)
            self.answering.append(thread)
            thread.start()

    def one_answer(self, id, path, person, later):
        time.sleep(later)  # when this person reads the mail
        outcome = self.insist_on_answer(id, path, person)
        if outcome.status == 202:
            self.runs[id][person] = True
        self.book.count(f"answers {outcome.status}")

    def insist(self, method, path, wanted, body=None, key=None):
        return insist(self.book, f"{method} {path}", lambda n: self.caller.call(method, path, body, idempotency_key=key), wanted)

    def insist_on_answer(self, id, path, person):
        def attempt(n):
            answer = self.caller.send("POST", path, json.dumps({"person": person}), below="")
            if answer.status in UNSURE:  # it may be stored
                self.runs[id].setdefault(person, None)
            return answer
        # 503 also says that an executor is just taking the run up, which does not take long (docs/api.md, Tickets for signals)
        return insist(self.book, "answer of a ticket", attempt, (202, 410),
                      is_excused=lambda answer, waited_s: answer.status == 503 and waited_s < BUSY_S)

    def finish(self):
        """When all servers are up: every person gets an outcome."""
        self.ended.set()
        self.join(200)
        for thread in self.answering:
            thread.join(120)
        for id in [i for (i,) in self.stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{self.workspace.id}' AND state < 3")]:
            if not self.runs.get(id):  # a run that was accepted without anybody knowing, or without a ticket
                self.insist("POST", f"/executions/{id}/stop", (200, 400))
        try:
            eventually(lambda: self.stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{self.workspace.id}' AND state < 3") == "0",
                       60, "the end of all runs that were answered")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        of = f"workspace_id = '{self.workspace.id}'"
        rows = {id: (state, output) for id, state, output in self.stack.sql(f"SELECT id, state, output FROM executions WHERE {of}")}
        for id, people in self.runs.items():
            confirmed = [p for p in people if people[p]]
            state, output = rows.get(id, (None, None))
            if state is None:
                self.book.complain("lost: acknowledged, but has no row", id)
            elif len(confirmed) > 1:
                self.book.complain("both people were told that their answer counts", id)
            elif people and (state != "3" or output not in [f'{{"person":"{p}"}}' for p in confirmed or people]):
                self.book.complain(f"answered by {people}, but its state is {state} and its output {output}", id)
        for id, n in self.stack.sql(f"SELECT s.execution_id, COUNT(*) FROM signals s JOIN executions e ON e.id = s.execution_id WHERE e.{of} "
                                    "GROUP BY s.execution_id HAVING COUNT(*) > 1"):
            self.book.complain(f"{n} signals are stored of one wait", id)
        extra = set(rows) - set(self.runs)
        if extra:
            self.book.complain(f"{len(extra)} runs that no request was told of, although each has a key", sorted(extra)[0])
