"""A hostile tenant beside the load: the attacks of tests/hostile in short, each within the documented limits and bounded in number.

Its requests may be refused, and its runs may fail with the documented errors; only an internal error (500) is a fault of Millrace. That the
other workspaces do not notice it is what the checks of the harness show: whatever their clients get that no fault excuses is reported.
"""
import collections
import contextlib
import json
import random
import secrets
import socket
import threading
import time
import uuid

from book import CUT, Caller

IN_FLIGHT = 150     # its runs that have not ended
HELD = 40           # half-sent requests
HEADER_LINES = 6500
NUMBERS = list(range(20000))
TARPIT_S = 4        # how long a step waits for the server that does not answer


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def get(name, url, **fields):
    return step(name, "http", request={"method": "GET", "url": url}, timeout_seconds=TARPIT_S, **fields)


class Server:
    """Accepts connections. /headers is answered with thousands of header lines, everything else is not answered."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.connections = collections.deque()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n" + b"a:b\r\n" * HEADER_LINES + b"\r\n"
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            with contextlib.suppress(OSError):
                connection.settimeout(1)
                if connection.recv(65536).startswith(b"GET /headers"):
                    connection.sendall(answer)
            while len(self.connections) > 2 * IN_FLIGHT:
                self.connections.popleft().close()

    def close(self):
        self.socket.close()
        while self.connections:
            self.connections.popleft().close()


def workflows(url):
    """{name: (program, inputs)}"""
    question = {"or": [{"in": ["x", "${/inputs/l}"]}] * 300}
    schema = {"$defs": {"c": {"const": NUMBERS}}, "properties": {"l": {"allOf": [{"$ref": "#/$defs/c"}] * 2000}}}
    return {
        "conditions": ({"steps": [step(f"s{n}", "transform", value=n, **{"if": question}) for n in range(20)]}, {"l": NUMBERS}),
        "schema": ({"inputs": schema, "steps": [step("a", "transform", value=1)]}, {"l": NUMBERS}),
        "unique": ({"inputs": {"properties": {"l": {"uniqueItems": True}}}, "steps": [step("a", "transform", value=1)]},
                   {"l": [{"a": n} for n in range(20000)]}),
        "error": ({"steps": [step("a", "fail", message="${/inputs/m}")]}, {"m": "\u00e9\u0001" * 35000}),
        "tarpit": ({"timeout_seconds": 60, "steps": [get("a", url + "/tarpit", for_each=list(range(16)), concurrency=16)]}, {}),
        "headers": ({"timeout_seconds": 60, "steps": [get("a", url + "/headers", for_each=list(range(16)), concurrency=16)]}, {}),
        "waiting": ({"timeout_seconds": 60, "steps": [step("a", "delay", seconds=20), step("b", "transform", value="${/inputs/l/0}")]},
                    {"l": [{} for _ in range(20000)]}),
        "loop": ({"steps": [step("a", "delay", seconds=0, for_each=list(range(500)), concurrency=64)]}, {}),
    }


class Hostile:
    def __init__(self, stack, book, seed):
        self.stack, self.book, self.rng = stack, book, random.Random(f"{seed}/hostile")
        self.workspace = stack.workspace(credits=1000000, rate_limit_per_minute=600)
        self.caller = Caller(stack.port, self.workspace.key()["key"])
        self.server = Server()
        self.programs = {name: (self.workspace.put_workflow(program, name), json.dumps({"inputs": inputs}))
                         for name, (program, inputs) in workflows(self.server.url).items()}
        self.over = threading.Event()
        self.held = []
        self.runs = collections.deque()
        self.threads = [threading.Thread(target=self.attack, args=(work,), daemon=True, name=f"hostile {work.__name__}")
                        for work in (self.start_runs, self.start_runs, self.hold_requests, self.try_keys, self.make_tickets)]

    def start(self):
        for thread in self.threads:
            thread.start()

    def attack(self, work):
        while not self.over.is_set():
            try:
                work()
            except OSError:
                pass  # nginx is down, or has cut the connection
            except Exception as e:  # an error of the harness must be reported
                self.book.complain(f"{threading.current_thread().name}: {e!r}")
                raise

    def note(self, what, answer):
        self.book.count(f"hostile {what} {answer.status or 'cut'}")
        if answer.status == 500:
            self.book.complain(f"hostile {what}: {answer}")

    def start_runs(self):
        name = self.rng.choice(list(self.programs))
        workflow, body = self.programs[name]
        answer = self.caller.send("POST", f"/workflows/{workflow}/run-async", body)
        self.note("run", answer)
        if answer.status == 202:
            self.runs.append(answer.json["execution_id"])
        if len(self.runs) > IN_FLIGHT:
            self.note("stop", self.caller.call("POST", f"/executions/{self.runs.popleft()}/stop"))
        self.over.wait(0.3 if answer.status in (CUT, 429, 502, 503, 504) else 0.05)

    def hold_requests(self):
        """Half-sent requests, a byte a second each; the oldest is given up."""
        s = socket.create_connection(("127.0.0.1", self.stack.port), 10, ("127.0.0.2", 0))
        self.held.append(s)
        s.sendall(b"POST /api/v1/workflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{")
        if len(self.held) > HELD:
            self.held.pop(0).close()
        for held in self.held:
            with contextlib.suppress(OSError):
                held.sendall(b" ")
        self.over.wait(0.2)

    def try_keys(self):
        stranger = Caller(self.stack.port, f"sk_live_{secrets.token_urlsafe(32)}", ("127.0.0.2", 0))
        for path in ("/credits", f"/executions/{uuid.uuid4()}/events?ticket={secrets.token_urlsafe(32)}"):
            self.note("unknown key", stranger.call("GET", path))
        self.over.wait(0.02)

    def make_tickets(self):
        if self.runs:
            self.note("ticket", self.caller.call("POST", f"/executions/{self.runs[-1]}/events/ticket"))
        self.over.wait(0.1)

    def finish(self):
        """Ends the attacks and stops the runs that have not ended."""
        self.over.set()
        for thread in self.threads:
            thread.join(60)
            if thread.is_alive():
                self.book.complain(f"{thread.name} hangs")
        self.server.close()
        for s in self.held:
            s.close()

    def stop_runs(self):
        """When no fault is in progress any more."""
        until = time.monotonic() + 60
        while self.runs and time.monotonic() < until:
            answer = self.caller.call("POST", f"/executions/{self.runs[0]}/stop")
            if answer.status in (200, 400):
                self.runs.popleft()
            else:
                time.sleep(0.2)  # its own rate limit
