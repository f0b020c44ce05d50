"""What clients do while a case makes its fault: they start runs, follow them, upload and download files, and run a skill on them."""
import contextlib
import hashlib
import json
import os
import pathlib
import tempfile
import threading
import time
import uuid

from book import Book, Run
from laboratory import APPLICATIONS, RECOVERY_S, UNSURE, Failed, HostCaller, await_true, json_of
from load import follow
from skills import manifest, package

CLIENTS = 12
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "b", "type": "delay", "seconds": 0.05}]}
SKILL = """import hashlib, json, os, sys, time
inputs = json.load(sys.stdin)
print("begun", file=sys.stderr, flush=True)
time.sleep(inputs.get("seconds", 0))
data = open(os.path.join("inputs/materials", inputs["file"]), "rb").read() if "file" in inputs else b""
open("outputs/copy.bin", "wb").write(data)
print("done", file=sys.stderr, flush=True)
json.dump({"sha256": hashlib.sha256(data).hexdigest(), "r": inputs["r"]}, sys.stdout)
"""


def install_skill(lab, bin):
    """bin: the programs with which the cluster was created."""
    with tempfile.TemporaryDirectory() as d:
        directory = package(pathlib.Path(d) / "lab", manifest("lab", timeout_seconds=90), main_py=SKILL)
        lab.ran("app1", "skill", "install", directory, "--workspace", lab.workspace, bin=bin)


class Load:
    """Clients that start runs; those with a key ask again where the outcome is unknown. One of twenty runs is followed."""

    def __init__(self, lab, hosts, workflow, seed):
        self.book, self.workflow, self.seed = Book(), workflow, seed
        self.accepted = []   # times
        self.patience_s = 60  # a client without an answer for so long goes on without it
        self.ended = threading.Event()
        self.gate, self.is_open, self.waiting = threading.Condition(), True, 0
        self.followers = []
        self.threads = [threading.Thread(target=self.work, args=(n, HostCaller(lab.key, hosts, f"{seed}/{n}")), daemon=True) for n in range(CLIENTS)]
        for t in self.threads:
            t.start()

    def work(self, number, caller):
        n = 0
        while not self.ended.is_set():
            n += 1
            self.pass_gate()
            r = f"{self.seed}-{number}-{n}"
            run = Run(r, caller, None, {"r": r}, f"key {r}" if caller.rng.random() < 0.5 else None)
            self.book.add(run)
            self.start(run)
            if run.id and n % 20 == 0:
                self.followers.append(threading.Thread(target=follow, args=(self.book, caller, run, 90), daemon=True))
                self.followers[-1].start()
            self.ended.wait(0.02)

    def start(self, run):
        for _ in range(200):
            sent = time.monotonic()
            answer = run.caller.call("POST", f"/workflows/{self.workflow}/run-async", {"inputs": run.inputs}, run.key, timeout=self.patience_s)
            if answer.status == 202:
                run.id = answer.json["execution_id"]
                self.accepted.append(time.monotonic())
                return
            if answer.status == 409 and answer.code == "idempotency_in_flight":
                time.sleep(0.1)
                continue
            if answer.status not in (503, *UNSURE):
                self.book.complain(f"starting: {answer}")
                run.unknown = True
                return
            self.book.needs_excuse("start", answer, sent, time.monotonic())
            run.unknown = run.unknown or answer.status in UNSURE
            if not run.key:
                return  # a run without a key is never sent twice
            if self.ended.wait(0.2):
                return

    @contextlib.contextmanager
    def held(self, lab):
        """In the block no client sends anything and no run is left; when it ends, all clients send at once."""
        with self.gate:
            self.is_open = False
            everybody = self.gate.wait_for(lambda: self.waiting == CLIENTS, RECOVERY_S)
        try:
            if not everybody:
                raise Failed(f"a client has waited for an answer for {RECOVERY_S} s")
            await_true(lambda: lab.sql("SELECT COUNT(*) FROM executions WHERE state < 3", lab.writer()) == [["0"]], RECOVERY_S, "the end of all runs")
            yield
        finally:
            with self.gate:
                self.is_open = True
                self.gate.notify_all()

    def pass_gate(self):
        with self.gate:
            self.waiting += 1
            self.gate.notify_all()
            self.gate.wait_for(lambda: self.is_open)
            self.waiting -= 1

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(90)

    def gap(self, since):
        """The longest time without an acceptance after `since`."""
        times = [since, *(t for t in self.accepted if t > since)]
        return max((b - a for a, b in zip(times, times[1:])), default=float("inf"))

    def resumed(self, since):
        """The seconds from `since` to the end of the longest pause that followed it."""
        times = [since, *(t for t in self.accepted if t > since)]
        return max(((b - a, b - since) for a, b in zip(times, times[1:])), default=(0, 0))[1]


class FileLoad:
    """Uploads to one host, downloads from another, and runs of a skill that copies an upload. Whatever was answered 201 must be there."""

    def __init__(self, lab, hosts, book, seed):
        self.lab, self.book, self.seed, self.skill = lab, book, seed, f"/spaces/{lab.workspace}/skills/lab/executions"
        self.stored, self.refused, self.skills = {}, [], {}
        self.ended = threading.Event()
        self.callers = {node: HostCaller(lab.key, hosts, f"{seed}/{node}", node) for node in APPLICATIONS}
        self.threads = [threading.Thread(target=self.work, args=(node,), daemon=True) for node in APPLICATIONS]
        for t in self.threads:
            t.start()

    def work(self, node):
        n = 0
        while not self.ended.is_set():
            n += 1
            self.upload(node, f"{self.seed}-{node}-{n}")
            self.ended.wait(0.3)

    def upload(self, node, name):
        data = os.urandom(1000 + len(self.stored) % 7 * 10000)
        answer = self.callers[node].upload(name, data)
        if answer.status == 201:
            self.stored[name] = hashlib.sha256(data).hexdigest()
            self.copy(node, name)
        elif answer.status == 503:
            self.refused.append(name)
            self.book.count("upload 503")
        elif answer.status not in UNSURE:
            self.book.complain(f"upload to {node}: {answer}")

    def copy(self, node, name):
        """A run without files, so that any host may execute it; its record is that of the book."""
        run = Run(f"skill {name}", self.callers[node], None, {"r": f"skill {name}", "file": name}, f"key skill {name}")
        self.book.add(run)
        while not self.ended.is_set():
            answer = self.start(node, run.inputs, [name], run.key)
            if answer.status in (200, 201):
                run.id = answer.json["data"]["id"]
                self.skills[run.id] = name
                return
            run.unknown = run.unknown or answer.status in UNSURE
            if answer.status not in (503, 409, *UNSURE):
                self.book.complain(f"starting a skill at {node}: {answer}")
                return
            self.ended.wait(0.2)

    def start(self, node, inputs, files, key):
        return self.callers[node].call("POST", self.skill, {"inputs": inputs, "file_source_ids": list(files)}, key)

    def stop(self):
        self.ended.set()
        for t in self.threads:
            t.join(90)

    def execution(self, id):
        return json_of(self.callers["app1"].insist("GET", f"/spaces/{self.lab.workspace}/skills/executions/{id}"), 200)["data"]

    def check(self):
        """The last uploads are read from each host, the others from one; every skill has copied what it was given."""
        last = sorted(self.stored)[-3:]
        for i, (name, sha256) in enumerate(self.stored.items()):
            for node in APPLICATIONS if name in last else [sorted(APPLICATIONS)[i % 3]]:
                answer = self.callers[node].insist("GET", f"/files/{name}")
                if answer.status != 200 or hashlib.sha256(answer.raw).hexdigest() != sha256:
                    self.book.complain(f"{node}: the uploaded file {name} is not as it was: {answer.status}, {len(answer.raw)} bytes")
        for name in self.refused:
            answer = self.callers["app2"].insist("GET", f"/files/{name}")
            if answer.status != 404:
                self.book.complain(f"an upload that was refused left {name}: {answer.status}")
        for id, name in self.skills.items():
            self.check_skill(id, name)

    def check_skill(self, id, name):
        run = self.execution(id)
        if run["state"] != "succeeded" or run["outputs"]["sha256"] != self.stored[name]:
            self.book.complain(f"a skill ended as {run['state']}: {json.dumps(run)[:400]}", id)
            return
        [artifact] = run["artifacts"]
        answer = self.callers["app3"].insist("GET", artifact["download_url"].removeprefix("/api/v1"))
        if answer.status != 200 or hashlib.sha256(answer.raw).hexdigest() != self.stored[name]:
            self.book.complain(f"an artifact is not as it was: {answer.status}", id)

    def hosts_of_skills(self):
        """The hosts that have unpacked the skill, which the first run on a host does."""
        return {node for node in APPLICATIONS if any((self.lab.dir / node / "files/skills").glob("*"))}

    def live_log(self):
        """The log of a running skill is read at each host, whichever runs it."""
        r = f"skill live {uuid.uuid4()}"
        run = Run(r, self.callers["app1"], None, {"r": r, "seconds": 60}, None)
        self.book.add(run)
        run.id = json_of(self.callers["app1"].insist("POST", self.skill, {"inputs": run.inputs, "file_source_ids": []}), 201)["data"]["id"]
        for node in APPLICATIONS:
            def text(offset=0):
                return self.callers[node].insist("GET", f"/executions/{run.id}/logs?offset={offset}").raw
            await_true(lambda: text() == b"begun\n", 30, f"the live log at {node}")
            if text(3) != b"un\n" or self.execution(run.id)["state"] != "running":
                self.book.complain(f"{node}: the live log from an offset is {text(3)}", run.id)
        [[host]] = self.lab.sql(f"SELECT x.host FROM executions e JOIN executors x ON x.id = e.executor_id WHERE e.id = '{run.id}'")
        json_of(self.callers["app2"].insist("POST", f"/executions/{run.id}/stop"), 200)
        return host
