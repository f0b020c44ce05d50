"""A real, private Millrace for one test module, started by scripts/stack in a temporary directory.

Stack        starts, stops and kills the servers; settings, logs, SQL and Redis for assertions
Workspace    one workspace, with the operator commands for it
Client       an HTTP client with an API key
Effects      an HTTP server on loopback that records the requests that runs send
"""
import collections
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import requests

import peers
from openapi import DOCUMENT

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / "bin"))
SERVERS = ("mariadb", "redis", "api", "runner", "executor", "stream", "nginx")
TERMINAL = ("success", "failed", "stopped")
ALL_SCOPES = ",".join((
    "workflows:read", "workflows:write", "workflows:execute", "skills:read", "skills:execute", "executions:read",
    "executions:purge", "files:read", "files:write", "credits:read", "schedules:read", "schedules:write",
    "webhooks:read", "webhooks:write", "budgets:read", "budgets:write", "credits:write"))
# what no test may cause: a report of a sanitizer, an answer of 500 without an error line that tells why
DEFECT = re.compile(r"request\.cause_missing|ERROR: (Address|Leak|Thread)Sanitizer|SUMMARY: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer")


PATIENCE_S = 60  # a wait for what must come, and not a statement of how soon: the machine may be busy


def eventually(check, seconds=PATIENCE_S, what="the condition"):
    """Calls check until it returns a true value and returns that value. Fails after `seconds`, and not before PATIENCE_S: a time
    that is part of what is tested is given to within()."""
    return within(check, max(seconds, PATIENCE_S), what)


def within(check, seconds, what="the condition"):
    """As eventually, where the time is what is tested."""
    began = time.monotonic()
    while True:
        value = check()
        if value:
            return value
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"{what} did not come true within {seconds} s (last: {value!r})")
        time.sleep(min(max(0.02, waited / 20), 0.2))  # the interval grows with the time already waited


def revoked(check, what="the end of what was revoked or has expired"):
    """Waits for the effect of a revocation or an expiry, which docs/api.md and docs/console.md promise within a second. Ten of them are for
    a busy machine: a cache that outlives them fails the test."""
    return within(check, 10, what)


def while_it_lasts(seconds, look):
    """look(seconds) starts something that lasts `seconds` and looks at it meanwhile; returns what look returned. A look that failed and
    took longer than `seconds` says nothing, because the machine was too slow for it: it is repeated with a longer time, at most twice. A warning
    in pytest's summary tells what was repeated: a look that contains the end of what lasts always takes longer, and so a fault that shows
    only now and then would pass unseen."""
    while True:
        began = time.monotonic()
        try:
            return look(seconds)
        except AssertionError as fault:
            if time.monotonic() - began < seconds or seconds > 10:
                raise
            warnings.warn(f"a look at what lasts {seconds} s is repeated: {str(fault)[:500]}", stacklevel=2)
        seconds *= 4


def free_port():
    """A port that stays this process' own, also while nothing listens at it: it is below those that the kernel gives to connections,
    and a name in the abstract namespace of Unix sockets keeps it from the other processes of the tests."""
    first_of_connections = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in random.sample(range(min(20000, first_of_connections // 2), first_of_connections), 200):
        name = socket.socket(socket.AF_UNIX)
        try:
            name.bind(f"\0millrace-test-port-{port}")
            with socket.socket() as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("127.0.0.1", port))
        except OSError:
            name.close()
            continue
        own_ports.append(name)
        return port
    raise AssertionError("no free port found in 200 tries")


own_ports = []  # sockets that keep the names of free_port until this process ends


def unique_members(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names)), f"a name stands twice in one object: {names}"
    return dict(pairs)


def reject_constant(word):
    raise AssertionError(f"{word} is not JSON")


def check_json(answer):
    """A JSON response is strict JSON in UTF-8: no byte order mark, no half of a surrogate pair, no name twice, no NaN. An error has a
    problem document, whoever answers."""
    kind = answer.headers.get("Content-Type", "").partition(";")[0]
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert kind == "application/problem+json", (answer.status_code, kind, answer.content[:500])
    if kind not in ("application/json", "application/problem+json") or not answer.content:
        return
    text = answer.content.decode("utf-8", "strict")
    value = json.loads(text, object_pairs_hook=unique_members, parse_constant=reject_constant)
    json.dumps(value, ensure_ascii=False).encode("utf-8", "strict")


class Stack:
    def __init__(self, settings=None, tls=False, demo=False):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="mr-", dir="/tmp"))
        self.port = free_port()
        self.tls_port = free_port() if tls else None
        self.demo = demo  # nginx also serves the documents that the example workflow fetches
        self.url = f"http://127.0.0.1:{self.port}"
        # queue_ms: on a slow machine, a test that sends many requests at once must not be rejected as overload
        # nginx.: all clients of a test share one address
        self.settings = {"api.workers": "4", "api.queue_ms": "5000", "executor.outgoing_allow": "127.0.0.0/8", "executor.models_allow": "127.0.0.0/8",
                         "nginx.address_connections": "10000", "nginx.address_requests": "1000000", "nginx.address_burst": "10000", "nginx.address_bodies": "10000",
                         "nginx.address_body_rate": "1000000", "api.unknown_keys_per_s": "1000000",
                         **(settings or {})}
        # MILLRACE_STACK: leftovers() finds processes that outlive the stack by it
        self.env = {**os.environ, "MILLRACE_CONFIG": str(self.dir / "millrace.ini"), "MILLRACE_BIN": str(BIN),
                    "MILLRACE_STACK": str(self.dir)}
        self.prefix = []  # the beginning of the commands that start and stop servers
        self.operator_lock = threading.Lock()
        self.operator = peers.Operator(self.dir, ROOT / "bin/millrace", self.env)

    # --- start and stop ---------------------------------------------------------------------------------------------
    def _run(self, command, *args):
        done = subprocess.run([*self.prefix, ROOT / "scripts/stack", command, self.dir, *args], env=self.env, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == 0, f"scripts/stack {command}: {done.stdout}"
        return done.stdout

    def start(self):
        options = ["--port", str(self.port)]
        if self.tls_port:
            options += ["--tls-port", str(self.tls_port)]
        if self.demo:
            options += ["--demo"]
        for name, value in self.settings.items():
            options += ["--set", f"{name}={value}"]
        self._run("start", *options)
        return self

    def stop(self):
        self.operator.close()
        self._run("stop")

    def start_server(self, name):
        """Starts a server and waits until it answers."""
        self._run("start", name)

    def stop_server(self, name):
        """Stops a server gracefully and waits until it has ended."""
        self._run("stop", name)

    def restart_server(self, name):
        self.stop_server(name)
        self.start_server(name)

    def pid(self, name):
        """The process id of the server (or of its master process), or None if it does not run."""
        try:  # scripts/stack writes the process id and its start time
            pid, since = (self.dir / "pids" / name).read_text().split()
            stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        except (OSError, ValueError, IndexError):
            return None
        return int(pid) if stat[0] != "Z" and stat[19] == since else None

    def children(self, name):
        """Process ids of the server's direct children: the workers of the API pool, the executor processes."""
        return children_of(self.pid(name))

    def runners(self):
        """Of the commands that run now, and of warm ones that wait: children of the server that starts them, or of executors."""
        starter = self.pid("runner")
        parents = self.children("executor") + ([starter] if starter else [])
        return [p for parent in parents for p in children_of(parent) if b"millrace-runner" in command_of(p)]

    def kill_server(self, name, with_children=False):
        """Sends SIGKILL and returns when the process has ended."""
        pid = self.pid(name)
        if with_children:
            suspend(pid)  # it starts no other child, and they learn of its death too late to end in good order
        family = (children_of(pid) if with_children else []) + [pid]
        for p in family:
            kill(p, signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in family), 10, f"end of {name}")

    def wait_ready(self, seconds=PATIENCE_S):
        def ready():
            try:
                return requests.get(self.url + "/readyz", timeout=2).status_code == 200
            except requests.RequestException:
                return False
        eventually(ready, seconds, "/readyz 200")

    # --- inspection -----------------------------------------------------------------------------------------
    def sql_long(self, statement):
        return self.sql(statement, timeout=1200)

    def sql(self, statement, timeout=30):
        """The rows as lists of strings, queried as the root of this private database."""
        with peers.mariadb(self.dir, timeout) as run:
            return run(statement)

    def sql_one(self, statement):
        rows = self.sql(statement)
        assert len(rows) == 1 and len(rows[0]) == 1, rows
        return rows[0][0]

    def redis(self, *args):
        return peers.redis_command(self.dir, *args)

    def log(self, name):
        """Everything the server wrote: its standard output and standard error, and last, since it is what grows, its log file."""
        return "".join(p.read_text(errors="replace") for p in sorted((self.dir / "logs").glob(f"{name}*"), reverse=True))

    def logged(self, name, *texts, since=0):
        """Waits for a line of the server's log that has all the texts, after the first `since` characters of the log, and returns the last
        such line. A server may write a line after what it reports can be seen elsewhere."""
        return eventually(lambda: [x for x in self.log(name)[since:].splitlines() if all(t in x for t in texts)], what=f"{texts} in the log of {name}")[-1]

    def cli(self, *args, check=True, text=None, timeout=60):
        """Runs `millrace --json` and returns its parsed output. With check=False: (exit code, stdout, stderr)."""
        # no leak check: it takes four times as long as most commands, and matters for long-running processes only
        env = {**self.env, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        done = subprocess.run([BIN / "millrace", "--json", *map(str, args)], env=env, input=text or "", text=True,
                              capture_output=True, timeout=timeout)
        if not check:
            return done.returncode, done.stdout, done.stderr
        assert done.returncode == 0, f"millrace {args}: exit {done.returncode}: {done.stderr}{done.stdout}"
        return json.loads(done.stdout) if done.stdout.strip() else None

    def set_up(self, *args):
        """Runs a command that prepares a test but is not tested, with the plain program even if the others are sanitized."""
        with self.operator_lock:
            return self.operator.run(*args)

    # --- operator -------------------------------------------------------------------------
    def until_upkeep(self, task, check, seconds, what):
        """Lets the executors' maintenance do `task` until check() is true. Each look makes it due again: a task that runs at this moment
        writes its next time when it ends."""
        assert self.sql(f"SELECT 1 FROM upkeep_tasks WHERE name = '{task}'"), f"no task {task}"

        def due_and_done():
            self.sql(f"UPDATE upkeep_tasks SET due_ms = 0 WHERE name = '{task}'")
            return check()
        return eventually(due_and_done, seconds, what)

    def workspace(self, credits=1000, **limits):
        """limits: rate_limit_per_minute (default: 1,000,000, practically none), max_concurrent, price_credits"""
        limits.setdefault("rate_limit_per_minute", 1000000)
        args = []
        for name, value in limits.items():
            args += ["--" + name.replace("_", "-"), value]
        made = self.set_up("workspace", "create", "--name", "test", *args)
        workspace = Workspace(self, made["id"])
        if credits:
            workspace.grant(credits)
        return workspace

    # --- clean-up --------------------------------------------------------------------------------------------
    def leftovers(self):
        """Processes of this stack that still run, found by their command line or by MILLRACE_STACK in their environment."""
        mark, found = str(self.dir), []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) == os.getpid():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
                state = (entry / "stat").read_text().rsplit(")", 1)[1].split()[0]
            except (OSError, IndexError):
                continue
            if state != "Z" and (mark in command or f"MILLRACE_STACK={mark}" in environment):
                found.append(f"{entry.name}: {command}")
        return found

    def defects(self):
        found = []
        for path in (self.dir / "logs").iterdir():
            text = path.read_text(errors="replace")
            match = DEFECT.search(text)
            if match:
                found.append(f"{path.name}: {text[max(0, match.start() - 200):match.start() + 4000]}")
        return found

    def close(self):
        """Stops everything. Fails if a process is left over or a log reports a defect; the directory with the logs then stays."""
        self.stop()
        left = self.leftovers()
        for line in left:
            kill(int(line.split(":")[0]), signal.SIGKILL)
        reports = self.defects()
        assert not left, f"processes left over: {left}"
        assert not reports, "\n".join(reports)
        shutil.rmtree(self.dir)


@contextlib.contextmanager
def running(stack):
    """The stack, started. It is stopped at the end, and also if one of its servers does not start."""
    try:
        stack.start()
    except BaseException:
        stack.stop()
        raise
    yield stack
    stack.close()


class Workspace:
    def __init__(self, stack, id):
        self.stack = stack
        self.id = id

    def grant(self, credits, reason="test"):
        return self.stack.set_up("credits", "grant", "--workspace", self.id, "--credits", credits, "--reason", reason)

    def balance(self):
        """The balance in MariaDB, by the operator command."""
        return self.stack.set_up("credits", "balance", "--workspace", self.id)["balance"]

    def key(self, scopes=ALL_SCOPES, *args):
        return self.stack.set_up("key", "create", "--workspace", self.id, "--scopes", scopes, *args)

    def client(self, scopes=ALL_SCOPES):
        return Client(self.stack.url, self.key(scopes)["key"])

    def put_workflow(self, program, name="test"):
        """Stores a workflow by the API and returns its id."""
        answer = self.client("workflows:write").post("/workflows", json={"name": name, "program": program})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]


class Client:
    """Requests below /api/v1 with a key. Never retries; validates every response against docs/openapi.yaml."""

    def __init__(self, url, key=None, prefix="/api/v1"):
        self.base = url + prefix
        self.key = key
        self.session = requests.Session()
        self.session.trust_env = False
        if key:
            self.session.headers["Authorization"] = f"Bearer {key}"

    def request(self, method, path, **kwargs):
        kwargs.setdefault("timeout", 70)
        answer = self.session.request(method, self.base + path, **kwargs)
        if not kwargs.get("stream"):
            check_json(answer)
        DOCUMENT.check(method, path.split("?")[0], answer, body_is_here=not kwargs.get("stream"))
        return answer

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.request("POST", path, **kwargs)

    def put(self, path, **kwargs):
        return self.request("PUT", path, **kwargs)

    def patch(self, path, **kwargs):
        return self.request("PATCH", path, **kwargs)

    def delete(self, path, **kwargs):
        return self.request("DELETE", path, **kwargs)

    def run(self, workflow_id, inputs=None, key=None, **body):
        """Calls run-async and returns the response, whatever its status."""
        if inputs is not None:
            body["inputs"] = inputs
        headers = {"Idempotency-Key": key} if key else {}
        return self.post(f"/workflows/{workflow_id}/run-async", json=body or None, headers=headers)

    def started(self, *args, **kwargs):
        """Calls run-async, which must be accepted, and returns the execution id."""
        answer = self.run(*args, **kwargs)
        assert answer.status_code == 202, answer.text
        return answer.json()["execution_id"]

    def execution(self, id, steps=True):
        answer = self.get(f"/executions/{id}", params={"include_step_results": "true"} if steps else None)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def finished(self, id, seconds=PATIENCE_S):
        """Waits until the execution is terminal and returns it."""
        return eventually(lambda: (lambda e: e if e["status"] in TERMINAL else None)(self.execution(id)), seconds,
                          f"execution {id} terminal")


class Effects:
    """An HTTP server that records every request. Its responses are set by path.

    effects.answer("/x", 503, times=2)          two 503, then the default 200 {"ok": true, "path": "/x"}
    effects.answer("/x", body={"a": 1}, delay=0.5)
    release = effects.hold("/x")                requests hang until release()
    """

    def __init__(self):
        self.lock = threading.Condition()
        self.calls = []
        self.rules = collections.defaultdict(list)
        self.holds = {}
        effects = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self):
                effects.handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address):
                pass  # the client was killed

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path = request.path.split("?")[0]
        with self.lock:
            self.calls.append({"method": request.command, "path": path, "target": request.path,
                               "headers": {k.lower(): v for k, v in request.headers.items()}, "body": body,
                               "key": request.headers.get("Idempotency-Key"), "at": time.monotonic()})
            self.lock.notify_all()
            held = self.holds.get(path)
            rules = self.rules[path]
            rule = rules[0] if rules else {}
            if rule.get("times") is not None:
                rule["times"] -= 1
                if rule["times"] <= 0:
                    rules.pop(0)
        if held:
            held.wait(600)
        if rule.get("delay"):
            time.sleep(rule["delay"])
        content = rule.get("body", {"ok": True, "path": path})
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        request.send_response(rule.get("status", 200))
        headers = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **rule.get("headers", {})}
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(raw)

    def answer(self, path, status=200, body=None, headers=None, delay=0, times=None):
        rule = {"status": status, "headers": headers or {}, "delay": delay, "times": times}
        if body is not None:
            rule["body"] = body
        with self.lock:
            self.rules[path].append(rule)

    def hold(self, path):
        event = threading.Event()
        self.holds[path] = event

        def release():
            self.holds.pop(path, None)
            event.set()
        return release

    def to(self, path):
        with self.lock:
            return [c for c in self.calls if c["path"] == path]

    def count(self, path):
        return len(self.to(path))

    def by_key(self, path):
        """{Idempotency-Key: number of requests}. More than one request with a key is a repeated attempt."""
        return collections.Counter(c["key"] for c in self.to(path))

    def wait_for(self, path, count=1, seconds=PATIENCE_S):
        """Returns when the path has been requested `count` times."""
        seconds = max(seconds, PATIENCE_S)
        with self.lock:
            done = self.lock.wait_for(lambda: sum(c["path"] == path for c in self.calls) >= count, seconds)
        assert done, f"{path}: {self.count(path)} of {count} requests within {seconds} s"

    def close(self):
        for event in list(self.holds.values()):
            event.set()
        self.server.shutdown()
        self.server.server_close()


def children_of(pid):
    try:
        return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def command_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (OSError, IndexError):
        return False


def kill(pid, sig):
    try:
        os.kill(pid, sig)
    except ProcessLookupError:
        pass


def suspend(pid):
    """Sends SIGSTOP and returns when all threads of the process are stopped. The signal stops a thread only when it is next scheduled,
    so that on a busy machine the process could still answer."""
    kill(pid, signal.SIGSTOP)
    eventually(lambda: not alive(pid) or all(map(is_stopped, pathlib.Path(f"/proc/{pid}/task").glob("*"))), what=f"stop of {pid}")


@contextlib.contextmanager
def suspended(pids):
    """The processes do nothing meanwhile."""
    for pid in pids:
        suspend(pid)
    try:
        yield
    finally:
        for pid in pids:
            kill(pid, signal.SIGCONT)


def is_stopped(task):
    try:
        return (task / "stat").read_text().rsplit(")", 1)[1].split()[0] in "TtZX"
    except OSError:
        return True  # it has ended
