"""The cluster as the cases see it: its nodes, who the writer is, and callers of its application hosts. Runs in the client's namespace."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import random
import re
import subprocess
import threading
import time

from book import CUT, Caller

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CLUSTER = ROOT / "scripts/cluster"
BIN = pathlib.Path(os.environ.get("MILLRACE_BIN", ROOT / "bin"))
DATABASES = {f"db{n}": f"10.77.0.{n}" for n in (1, 2, 3)}
APPLICATIONS = {f"app{n}": f"10.77.0.{10 + n}" for n in (1, 2, 3)}
UNSURE = (CUT, 502, 504)
RECOVERY_S = 90      # far more than it takes; the figure is printed


class Failed(Exception):
    pass


def cluster(*args, timeout=300):
    done = subprocess.run([CLUSTER, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
    if done.returncode != 0:
        raise Failed(f"scripts/cluster {' '.join(args)}: {done.stderr or done.stdout}")
    return done.stdout


def await_true(check, seconds, what):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        result = check()
        if result:
            return result
        time.sleep(0.1)
    raise Failed(f"{what}: not within {seconds} s")


def ask(address, port, path, timeout=1):
    """The status of the answer, or None."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


class WriterWatch:
    """Asks all nodes all the time who the writer is, as the proxies do, and records when that changed."""

    def __init__(self):
        self.changes = []   # [time, node that has become the writer]
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.watch, args=item, daemon=True) for item in DATABASES.items()]
        for t in self.threads:
            t.start()

    def watch(self, node, address):
        was = False
        while not self.ended.wait(0.1):
            now = ask(address, 9200, "/writer") == 200
            if now and not was:
                self.changes.append((time.monotonic(), node))
            was = now

    def after(self, since, old):
        """The seconds from `since` until another node was the writer, or None."""
        return next((t - since for t, node in self.changes if t > since and node != old), None)

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join()


class Laboratory:
    """The cluster, as the checks of tests/fault know a stack."""

    def __init__(self, directory):
        self.dir = directory
        self.env = dict(line.split("=", 1) for line in (directory / "demo.env").read_text().splitlines() if not line.startswith("#"))
        self.key, self.workspace = self.env["MILLRACE_API_KEY"], self.env["MILLRACE_WORKSPACE_ID"]

    def pid(self, node, server):
        return int((self.dir / node / "pids" / server).read_text().split()[0])

    def writer(self):
        """The only node that says that it is the writer, or None."""
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            said = dict(zip(DATABASES, pool.map(lambda a: ask(a, 9200, "/writer"), DATABASES.values())))
        writers = [node for node, status in said.items() if status == 200]
        return writers[0] if len(writers) == 1 else None

    def is_whole(self):
        """Three nodes in one component, all of them synced."""
        try:
            return all(self.sql("SHOW STATUS LIKE 'wsrep_cluster_size'", n) == [["wsrep_cluster_size", "3"]] and
                       self.sql("SHOW STATUS LIKE 'wsrep_local_state'", n) == [["wsrep_local_state", "4"]] for n in DATABASES)
        except (Failed, subprocess.TimeoutExpired):
            return False

    def is_ready(self, app):
        return ask(APPLICATIONS[app], 8080, "/readyz", 5) == 200

    def sql(self, statement, node="db1"):
        done = subprocess.run(["mariadb", "--no-defaults", f"--socket={self.dir}/{node}/sockets/mysqld.sock", "--user=root", "--batch",
                               "--skip-column-names", "--raw", "millrace"], input="SET SESSION wsrep_sync_wait=1; " + statement, capture_output=True,
                              text=True, timeout=120)
        if done.returncode != 0:
            raise Failed(f"{node}: {done.stderr.strip()}")
        return [line.split("\t") for line in done.stdout.splitlines()]

    def cli(self, node, *args, bin=BIN):
        done = subprocess.run([bin / "millrace", "--json", "--config", self.dir / node / "millrace.ini", *map(str, args)], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout + done.stderr

    def ran(self, node, *args, **kwargs):
        code, out = self.cli(node, *args, **kwargs)
        if code != 0:
            raise Failed(f"millrace {' '.join(map(str, args))}: {out}")
        return out

    def log(self, name):
        return "".join(p.read_text(errors="replace") for p in self.dir.glob(f"app*/logs/{name}.log"))

    def redis_masters(self):
        found = set()
        for node, address in DATABASES.items():
            done = subprocess.run(["timeout", "3", "redis-cli", "-h", address, "ROLE"], capture_output=True, text=True)
            if done.stdout.startswith("master"):
                found.add(node)
        return found

    def counts(self):
        """What the logs of the application hosts have told so far."""
        api, executor = self.log("api"), self.log("executor")
        settled = [(int(a), int(b)) for a, b in re.findall(r"accept\.settled runs=(\d+) committed=(\d+)", api)]
        return {"COMMITs answered 1180": (api + executor).count("db.commit_unanswered errno=1180"), "runs settled": sum(a for a, _ in settled),
                "of which stood": sum(b for _, b in settled), "fenced executors": executor.count("executor.fenced")}


class Hosts:
    """The application hosts that a load balancer would use."""

    def __init__(self):
        self.changed = threading.Condition()
        self.used = dict(APPLICATIONS)
        self.active = dict.fromkeys(APPLICATIONS, 0)

    @contextlib.contextmanager
    def one(self, rng, node=None):
        with self.changed:
            node = node or rng.choice(sorted(self.used))
            self.active[node] += 1
        try:
            yield APPLICATIONS[node]
        finally:
            with self.changed:
                self.active[node] -= 1
                self.changed.notify_all()

    def leave_out(self, node):
        with self.changed:
            del self.used[node]

    def drain(self, node):
        with self.changed:
            del self.used[node]
            if not self.changed.wait_for(lambda: self.active[node] == 0, RECOVERY_S):
                raise Failed(f"{node}: requests have not ended")

    def use(self, node):
        with self.changed:
            self.used[node] = APPLICATIONS[node]


class HostCaller(Caller):
    """Calls application hosts at random, as a load balancer does that does not know of the fault yet; or only `node`."""

    def __init__(self, key, hosts, seed, node=None):
        super().__init__(8080, key)
        self.hosts, self.rng, self.node = hosts, random.Random(seed), node

    def send(self, method, path, body=None, idempotency_key=None, type="application/json", timeout=60):
        with self.hosts.one(self.rng, self.node) as address:
            return self.exchange(address, method, "/api/v1" + path, body, idempotency_key, type, timeout)

    def insist(self, method, path, body=None, key=None):
        """The first answer that is not that of a busy moment. A request that may have been done is only sent again if that does no harm."""
        until = time.monotonic() + RECOVERY_S
        again = (503, *UNSURE) if method == "GET" or key else (503,)
        while True:
            answer = self.call(method, path, body, key)
            if answer.status not in again and answer.code != "idempotency_in_flight" or time.monotonic() > until:
                return answer
            time.sleep(0.2)

    def events(self, id, last):
        """As Caller.events, from one of the hosts."""
        with self.hosts.one(self.rng, self.node) as address:
            yield from self.follow(address, id, last, 10)


def json_of(answer, status):
    if answer.status != status:
        raise Failed(f"expected {status}: {answer}")
    return json.loads(answer.raw)
