"""The book of the receiver of webhooks: an endpoint of a workspace of the load, which fails now and then. At the end each run of the workspace
that has ended was reported at least once, and each message always with one id, one body and a right signature."""
import base64
import collections
import hashlib
import hmac
import json
import random

from stack import Effects, eventually

ENDS = {"3": "execution.succeeded", "4": "execution.failed", "5": "execution.stopped"}
WAITING = "execution.waiting"
# of the stack: so that no delivery is given up, and the last one comes soon after the last fault
SETTINGS = {"webhooks.retry_seconds": ",".join(["1"] * 32), "webhooks.pause_max_seconds": "1"}


class Receiver(Effects):
    """Answers each fifth request or so with 500, and keeps of each message what was received."""

    def __init__(self, seed):
        self.rng = random.Random(f"{seed}/webhooks")
        self.messages = collections.defaultdict(collections.Counter)  # (execution, event): {(id, body): number of requests}
        self.wrong, self.secret = [], None
        super().__init__()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        id, sent = request.headers.get("webhook-id", ""), request.headers.get("webhook-timestamp", "")
        mac = hmac.new(base64.b64decode(self.secret.removeprefix("whsec_")), f"{id}.{sent}.".encode() + body, hashlib.sha256).digest()
        message = json.loads(body)
        with self.lock:
            fails = self.rng.random() < 0.2
            event = message["type"] if message["type"] != WAITING else f"{WAITING} {id}"  # a run may wait more than once
            self.messages[message["data"].get("execution_id"), event][id, body] += 1
            if request.headers.get("webhook-signature") != "v1," + base64.b64encode(mac).decode():
                self.wrong.append(id)
        request.send_response(500 if fails else 204)
        request.send_header("Content-Length", "0")
        request.end_headers()


class Webhooks:
    def __init__(self, stack, book, seed, workspace, caller):
        self.stack, self.book, self.workspace, self.receiver = stack, book, workspace, Receiver(seed)
        answer = caller.call("POST", "/webhooks", {"url": self.receiver.url + "/hook", "events": [*ENDS.values(), WAITING]})
        assert answer.status == 201, str(answer)
        self.id, self.receiver.secret = answer.json["id"], answer.json["secret"]
        # runs that are accepted later than this are reported
        created = f"SELECT created_ms + 1000 < UNIX_TIMESTAMP(NOW(3)) * 1000 FROM webhooks WHERE id = '{self.id}'"
        eventually(lambda: stack.sql_one(created) == "1", 10, "a second since the endpoint was created")

    def finish(self):
        """When all runs have ended: waits until nothing is pending."""
        pending = ("SELECT (SELECT COUNT(*) FROM webhook_outbox WHERE fanned <> 1) + "
                   f"(SELECT COUNT(*) FROM webhook_deliveries WHERE webhook_id = '{self.id}' AND state = 1)")
        try:
            eventually(lambda: self.stack.sql_one(pending) == "0", 180, "delivery of all messages")
        except AssertionError as e:
            self.book.complain(str(e))

    def check(self):
        with self.receiver.lock:
            messages = {key: dict(found) for key, found in self.receiver.messages.items()}
        for id in self.receiver.wrong[:10]:
            self.book.complain(f"message {id} came with a wrong signature")
        for (execution, event), found in messages.items():
            if len(found) != 1:
                self.book.complain(f"{event} came with {len(found)} different ids or bodies", execution)
        ended = self.stack.sql(f"SELECT id, state, purged_ms IS NOT NULL FROM executions WHERE workspace_id = '{self.workspace.id}' AND state IN (3, 4, 5)")
        states = {id: ENDS[state] for id, state, _ in ended}
        for id, state, purged in ended:
            if purged == "0" and (id, ENDS[state]) not in messages:
                self.book.complain(f"{ENDS[state]} was not delivered", id)
        has_waited = {id for id, in self.stack.sql("SELECT DISTINCT execution_id FROM events WHERE type = 20")}  # step.waiting
        has_events = {id for id, _, purged in ended if purged == "0"}
        for execution, event in messages:
            if event.startswith(WAITING) and execution in has_events - has_waited:
                self.book.complain(f"{event} was delivered of a run that did not wait", execution)
            if execution in states and event in ENDS.values() and states[execution] != event:
                self.book.complain(f"{event} was delivered of a run that ended otherwise", execution)
        self.book.count("webhooks", len(messages))
        self.book.count("webhooks sent again", sum(n - 1 for found in messages.values() for n in found.values()))

    def close(self):
        self.receiver.close()
