"""The record of the harness: every request with its response, and which fault excused which error statuses at what time."""
import http.client
import json
import threading
import time

CUT = 0      # pseudo status: the connection was closed without a response
BROKEN = -1  # pseudo status: a stream ended before its last event
PSEUDO = {CUT: "cut", BROKEN: "broken"}


class Answer:
    def __init__(self, status, headers=None, body=b"", why=""):
        self.status, self.headers, self.raw, self.why = status, headers or {}, body, why

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def code(self):
        try:
            body = self.json
        except ValueError:
            return None
        if "jsonrpc" in body:  # its code is the first word of the message
            return body.get("error", {}).get("message", "").split(":")[0]
        return body.get("code")

    def __str__(self):
        return f"{self.status} {self.why}{self.raw[:300].decode(errors='replace')}"


class Caller:
    """Sends requests, below /api/v1 unless told otherwise, each on a new connection. Never retries."""

    def __init__(self, port, key, address=None):
        self.port, self.key, self.address = port, key, address

    def call(self, method, path, body=None, idempotency_key=None, timeout=90):
        return self.send(method, path, None if body is None else json.dumps(body), idempotency_key, timeout=timeout)

    def upload(self, name, content):
        head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        return self.send("POST", "/files", head + content + b"\r\n--x--\r\n", type="multipart/form-data; boundary=x")

    def send(self, method, path, body=None, idempotency_key=None, type="application/json", timeout=90, below="/api/v1"):
        return self.exchange("127.0.0.1", method, below + path, body, idempotency_key, type, timeout)

    def exchange(self, host, method, path, body, idempotency_key, type, timeout):
        connection = http.client.HTTPConnection(host, self.port, timeout=timeout, source_address=self.address)
        headers = {"Authorization": "Bearer " + self.key}
        if body is not None:
            headers["Content-Type"] = type
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        try:
            connection.request(method, path, body=body, headers=headers)
            r = connection.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        except (OSError, http.client.HTTPException) as e:
            return Answer(CUT, why=repr(e))
        finally:
            connection.close()

    def events(self, id, last):
        """Yields (number, type) of the events of a run after event `last`, until the stream breaks or ends."""
        return self.follow("127.0.0.1", id, last, 40)

    def follow(self, host, id, last, timeout):
        connection = http.client.HTTPConnection(host, self.port, timeout=timeout)
        try:
            connection.request("GET", f"/api/v1/executions/{id}/events",
                               headers={"Authorization": "Bearer " + self.key, "Last-Event-ID": str(last)})
            yield from self.read_events(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError):
            return
        finally:
            connection.close()

    @staticmethod
    def read_events(stream):
        number = None
        while stream.status == 200:
            line = stream.readline().decode()
            if not line:
                return
            if line.startswith("id:"):
                number = int(line[3:])
            elif line.startswith("event:"):
                yield number, line[6:].strip()


class Run:
    """One run that a client wants to start. `r` is part of its inputs, so that its row is found whatever the response was."""

    def __init__(self, r, caller, program, inputs, key):
        self.r, self.caller, self.program, self.inputs, self.key = r, caller, program, inputs, key
        self.id = None           # the acknowledged id
        self.unknown = False     # requested, and the outcome is unknown
        self.refused = False
        self.poor = False        # its children may be rejected for lack of credits
        self.stopped = None      # wall-clock time of the acknowledged stop
        self.maybe_stopped = False
        self.seen_end = None     # (status, output) when first read as terminal
        self.purged = None       # True: acknowledged; False: requested, and the outcome is unknown


class Book:
    def __init__(self):
        self.lock = threading.Lock()
        self.runs = {}
        self.wrong = []       # (message, execution id or None) of each failure
        self.excuses = []     # [from, to, set of statuses]
        self.judged = []      # error responses, compared with the excuses at the end
        self.counts = {}
        self.first_after = []  # [fault, seconds until the next acceptance]

    def complain(self, sentence, id=None):
        with self.lock:
            self.wrong.append((sentence, id))

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + n

    def add(self, run):
        with self.lock:
            self.runs[run.r] = run

    def acknowledged(self):
        with self.lock:
            return [r for r in self.runs.values() if r.id]

    def needs_excuse(self, what, answer, sent, received):
        self.count(f"{what} {PSEUDO.get(answer.status, answer.status)}")
        if answer.status == 503 and "retry-after" not in answer.headers:
            self.complain(f"{what}: 503 without Retry-After: {answer}")
        if answer.status in (502, 504) and answer.code != "outcome_unknown":
            self.complain(f"{what}: {answer}")
        if answer.status == 503 and answer.code != "unavailable":
            self.complain(f"{what}: {answer}")
        with self.lock:
            self.judged.append((what, answer, sent, received))

    def excuse(self, name, statuses):
        """A fault begins that excuses these statuses. The caller sets the second element of the entry to its end."""
        entry = [time.monotonic(), None, set(statuses), name]
        with self.lock:
            self.excuses.append(entry)
        return entry

    def judge(self, slack):
        for what, answer, sent, received in self.judged:
            if not any(f <= received and sent <= (t or received) + slack and answer.status in s
                       for f, t, s, _ in self.excuses):
                self.complain(f"{what} failed without a fault that excuses it: {answer} (sent {sent:.2f}, received {received:.2f})")
