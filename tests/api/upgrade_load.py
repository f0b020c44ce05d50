"""Callers that notice every request that fails while programs are replaced: accepted runs, waited-for runs, reads, event streams."""
import threading

import requests

from events import ENDS, Stream
from stack import TERMINAL, eventually

QUICK = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
PARKED = {"steps": [{"name": "pause", "type": "delay", "seconds": 2}, {"name": "a", "type": "transform", "value": 2}]}


class Load:
    """Threads that send requests until the block ends. `faults` holds what went wrong, `runs` the accepted runs by kind."""

    def __init__(self, stack, workspace, callers=2):
        self.url = stack.url
        self.key = workspace.key("workflows:read,workflows:write,workflows:execute,executions:read")["key"]
        self.quick, self.parked = self.put(QUICK), self.put(PARKED)
        self.over, self.lock = threading.Event(), threading.Lock()
        self.faults, self.runs, self.done = [], set(), {}
        kinds = (self.accept, self.park, self.wait, self.read, self.follow)
        self.threads = [threading.Thread(target=self.repeat, args=(kind,)) for kind in kinds for _ in range(callers)]

    def put(self, program):
        answer = requests.post(f"{self.url}/api/v1/workflows", json={"name": "test", "program": program}, timeout=60,
                               headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def repeat(self, kind):
        with requests.Session() as s:
            s.trust_env = False
            s.headers["Authorization"] = f"Bearer {self.key}"
            while not self.over.is_set():
                try:
                    kind(s)
                except Exception as e:  # noqa: BLE001 whatever a caller would see
                    self.fault(f"{kind.__name__}: {e!r}")
                with self.lock:
                    self.done[kind.__name__] = self.done.get(kind.__name__, 0) + 1

    def fault(self, text):
        with self.lock:
            self.faults.append(text)

    def call(self, s, method, path, *good, **kwargs):
        answer = s.request(method, self.url + path, timeout=60, **kwargs)
        if answer.status_code not in good:
            self.fault(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
            return None
        return answer

    def start(self, s, workflow, *good, **kwargs):
        answer = self.call(s, "POST", f"/api/v1/workflows/{workflow}/run-async", *good, **kwargs)
        if answer is None:
            return None
        with self.lock:
            self.runs.add(answer.json()["execution_id"])
        return answer.json()

    def accept(self, s):
        self.start(s, self.quick, 202)

    def park(self, s):
        run = self.start(s, self.parked, 202)
        while run and not self.over.is_set():
            seen = self.call(s, "GET", f"/api/v1/executions/{run['execution_id']}", 200)
            if seen is None or seen.json()["status"] in TERMINAL:
                return

    def wait(self, s):
        """A stop of the event daemon answers those who wait early, with 202: the run goes on."""
        self.start(s, self.quick, 200, 202, headers={"Prefer": "wait=30"})

    def read(self, s):
        self.call(s, "GET", "/api/v1/executions?limit=20", 200)
        self.call(s, "GET", "/readyz", 200)

    def follow(self, s):
        """A stream that ends is continued after its last event, as browsers do. Each event comes once, in order."""
        run = self.start(s, self.parked, 202)
        last, ended = None, False
        while run and not ended and not self.over.is_set():
            stream = Stream(f"{self.url}/api/v1/executions/{run['execution_id']}/events", self.key, last)
            if stream.answer.status_code != 200:
                self.fault(f"events: {stream.answer.status_code}")
                return
            stream.end(60)
            for event in stream.events:
                if event["id"] != (last or 0) + 1:
                    self.fault(f"event {event['id']} after {last}")
                last, ended = event["id"], event["event"] in ENDS

    def __enter__(self):
        for t in self.threads:
            t.start()
        self.more()
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()

    def more(self, rounds=3):
        """Returns when every kind of caller has done its work several times more."""
        with self.lock:
            before = dict(self.done)
        names = {"accept", "park", "wait", "read", "follow"}
        eventually(lambda: all(self.done.get(n, 0) >= before.get(n, 0) + rounds for n in names), 90, "more of each kind of request")


def check_all(stack, load):
    """After the load: no request failed, each accepted run ended well, and the books agree."""
    assert not load.faults, load.faults[:10]
    ids = ",".join(f"'{i}'" for i in load.runs)
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE id IN ({ids}) AND state IN (1, 2)") == "0", 60, "the end of all runs")
    assert stack.sql(f"SELECT state, COUNT(*) FROM executions WHERE id IN ({ids}) GROUP BY state") == [["3", str(len(load.runs))]]
    assert stack.cli("audit", "--at-rest")["ok"]
