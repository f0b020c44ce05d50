"""The book of a destination of the usage push, which fails now and then. At the end it has got each row of the ledger at least once, with the id,
kind and amount of the row, and nothing else; what was rolled up meanwhile is held against the book of the roll-ups."""
import collections
import json
import random

from stack import Effects, eventually

SETTINGS = {"push.outgoing_allow": "127.0.0.0/8", "push.pause_max_s": "1", "push.timeout_s": "5"}
KINDS = {"1": "grant", "2": "debit", "3": "refund", "4": "expiry", "5": "void", "6": "release"}


class Destination(Effects):
    def __init__(self, seed):
        self.rng = random.Random(f"{seed}/pushes")
        self.events = collections.defaultdict(collections.Counter)  # (workspace, id): {(kind, micro-credits): number}
        super().__init__()

    def handle(self, request):
        batch = json.loads(request.rfile.read(int(request.headers.get("Content-Length") or 0)))
        with self.lock:
            fails = self.rng.random() < 0.2
            # what is refused may have been taken all the same
            for event in batch:
                data = event["data"]
                self.events[event["subject"], event["id"]][data["kind"], round(data["credits"] * 1000000)] += 1
        request.send_response(self.rng.choice((500, 429, 302)) if fails else 204)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Pushes:
    def __init__(self, stack, book, seed, roll_ups):
        self.stack, self.book, self.roll_ups, self.destination = stack, book, roll_ups, Destination(seed)
        stack.cli("push", "add", "fault", "--url", self.destination.url + "/in", "--from-start")

    def finish(self):
        """When all runs have ended: waits until nothing is left to send."""
        left = ("SELECT COUNT(*) FROM credit_ledger l JOIN pushes p ON p.name = 'fault' WHERE l.number IS NULL OR l.number > p.number OR l.number = -9223372036854775808")
        try:
            eventually(lambda: self.stack.sql_one(left) == "0", 180, "the push of all rows")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        # grants still expire: a row that is not among these may be written and sent at any moment
        sent_to = int(self.stack.sql_one("SELECT number FROM pushes WHERE name = 'fault'"))
        with self.destination.lock:
            got = {key: dict(forms) for key, forms in self.destination.events.items()}
        rows, missing = {}, []
        for workspace, id, kind, amount, number in self.stack.sql("SELECT workspace_id, id, kind, amount, IFNULL(number, 0) FROM credit_ledger"):
            rows[workspace, id] = (KINDS[kind], int(amount))
            if 0 < int(number) <= sent_to and (workspace, id) not in got:
                missing.append((workspace, id))
        if missing:
            self.book.complain(f"{len(missing)} rows of the ledger were not sent, such as {missing[:3]}")
        rolled_up = self.roll_ups.check_pushed(got)
        for key, forms in got.items():
            if key[0] not in rolled_up and list(forms) != [rows.get(key)]:
                self.book.complain(f"the row {key} was sent as {forms}, and is {rows.get(key)}")
        self.book.count("rows pushed", len(got)) if got else self.book.complain("nothing was pushed")
        self.book.count("rows pushed again", sum(sum(f.values()) - 1 for f in got.values()))
