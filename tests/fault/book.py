"""What the harness knows by itself: every request it made, what it was answered, and when what fault excused which answer."""
import http.client
import json
import threading
import time

CUT = 0  # the connection broke: no answer at all


class Answer:
    def __init__(self, status, headers=None, body=b"", why=""):
        self.status, self.headers, self.raw, self.why = status, headers or {}, body, why

    @property
    def json(self):
        return json.loads(self.raw)

    @property
    def code(self):
        try:
            return self.json.get("code")
        except ValueError:
            return None

    def __str__(self):
        return f"{self.status} {self.why}{self.raw[:300].decode(errors='replace')}"


class Caller:
    """Requests below /api/v1, each on a connection of its own, never repeated by itself."""

    def __init__(self, port, key):
        self.port, self.key = port, key

    def call(self, method, path, body=None, idempotency_key=None, timeout=90):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Authorization": "Bearer " + self.key}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if idempotency_key:
            headers["Idempotency-Key"] = idempotency_key
        try:
            connection.request(method, "/api/v1" + path, body=None if body is None else json.dumps(body), headers=headers)
            r = connection.getresponse()
            return Answer(r.status, {k.lower(): v for k, v in r.getheaders()}, r.read())
        except (OSError, http.client.HTTPException) as e:
            return Answer(CUT, why=repr(e))
        finally:
            connection.close()

    def events(self, id, last):
        """Yields (number, type) of a run's stream behind event `last`, until it breaks or ends."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        try:
            connection.request("GET", f"/api/v1/executions/{id}/events",
                               headers={"Authorization": "Bearer " + self.key, "Last-Event-ID": str(last)})
            stream = connection.getresponse()
            number = None
            while stream.status == 200:
                line = stream.readline().decode()
                if not line:
                    return
                if line.startswith("id:"):
                    number = int(line[3:])
                elif line.startswith("event:"):
                    yield number, line[6:].strip()
        except (OSError, http.client.HTTPException, ValueError):
            return
        finally:
            connection.close()


class Run:
    """One intention to start a run: `r` stands in its inputs, so that its row is found whatever was answered."""

    def __init__(self, r, caller, program, inputs, key):
        self.r, self.caller, self.program, self.inputs, self.key = r, caller, program, inputs, key
        self.id = None           # acknowledged
        self.unknown = False     # asked, and never told
        self.refused = False
        self.poor = False        # its children may find the balance empty
        self.stopped = None      # wall time of the acknowledged stop
        self.maybe_stopped = False
        self.seen_end = None     # (status, output) once read as terminal


class Book:
    def __init__(self):
        self.lock = threading.Lock()
        self.runs = {}
        self.wrong = []       # sentences, each with the id it is about or None
        self.excuses = []     # [from, to, set of statuses]
        self.judged = []      # answers that need an excuse, judged at the end
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
        self.count(f"{what} {answer.status or 'cut'}")
        if answer.status == 503 and "retry-after" not in answer.headers:
            self.complain(f"{what}: 503 without Retry-After: {answer}")
        if answer.status in (502, 504) and answer.code != "outcome_unknown":
            self.complain(f"{what}: {answer}")
        if answer.status == 503 and answer.code != "unavailable":
            self.complain(f"{what}: {answer}")
        with self.lock:
            self.judged.append((what, answer, sent, received))

    def excuse(self, name, statuses):
        """A fault begins; `end()` of what is returned when its consequences are over."""
        entry = [time.monotonic(), None, set(statuses), name]
        with self.lock:
            self.excuses.append(entry)
        return entry

    def judge(self, slack):
        for what, answer, sent, received in self.judged:
            if not any(f <= received and sent <= (t or received) + slack and answer.status in s
                       for f, t, s, _ in self.excuses):
                self.complain(f"{what} was answered without a fault that excuses it: {answer} (sent {sent:.2f}, received {received:.2f})")
