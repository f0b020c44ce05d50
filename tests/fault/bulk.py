"""Bulk jobs under faults: a workspace of its own, in which runs fail, are retried, stopped and purged by jobs. At the end each acknowledged job
has ended, each run that was in a job has one outcome, a retry is one run, and it was charged once."""
import random
import threading
import time

from load import insist
from stack import eventually

FAILS = {"steps": [{"name": "good", "type": "transform", "value": 7},
                   {"name": "bad", "type": "transform", "value": "${/steps/good/result/missing}"}]}
WAITS = {"steps": [{"name": "wait", "type": "delay", "seconds": 3600}]}
ITEMS = 25
DONE, SKIPPED = "1", "2"


class Bulk(threading.Thread):
    def __init__(self, stack, book, seed, caller_of):
        super().__init__(daemon=True, name="bulk")
        self.stack, self.book, self.rng = stack, book, random.Random(f"{seed}/bulk")
        self.workspace = stack.workspace(credits=1000000)
        self.caller = caller_of(self.workspace)
        self.ended = threading.Event()
        self.fails, self.waits = self.workspace.put_workflow(FAILS), self.workspace.put_workflow(WAITS)
        self.jobs = {}  # id: (action, ids of the batch that its filter names)

    def run(self):
        n = 0
        while not self.ended.wait(self.rng.uniform(1, 3)):
            n += 1
            self.one_round(n, self.rng.choice(("stop", "retry", "retry", "purge")))

    def insist(self, path, body, wanted, key):
        """None: it was complained of."""
        answer = insist(self.book, f"POST {path}", lambda n: self.caller.call("POST", path, body, idempotency_key=key), (wanted,),
                        unsettled=("idempotency_in_flight", "quota_exceeded"))
        return answer if answer.status == wanted else None

    def one_round(self, n, action):
        """Starts a batch and a job on it. Of a retry or a purge, those runs are items that have ended when they are collected."""
        workflow = self.waits if action == "stop" else self.fails
        batch = self.insist(f"/workflows/{workflow}/run-batch", {"items": [{} for _ in range(ITEMS)]}, 200, f"batch {n}")
        if not batch:
            return
        runs = {r["execution_id"] for r in batch.json["results"] if r["status"] == 202}
        job = self.insist("/executions/bulk", {"action": action, "filter": {"batch_id": batch.json["batch_id"]}}, 202, f"job {n}")
        if job:
            self.jobs[job.json["id"]] = (action, runs)
            self.book.count("bulk jobs")

    def finish(self):
        """When all servers are up: every job comes to its end."""
        self.ended.set()
        self.join(200)
        left = f"SELECT COUNT(*) FROM bulk_jobs WHERE workspace_id = '{self.workspace.id}' AND ended_ms IS NULL"
        undecided = (f"SELECT COUNT(*) FROM bulk_items i JOIN bulk_jobs j ON j.id = i.job_id WHERE j.workspace_id = '{self.workspace.id}' AND i.outcome = 0")
        try:
            while (before := self.stack.sql_one(left)) != "0":  # as long as there is progress
                items = self.stack.sql_one(undecided)
                eventually(lambda: (self.stack.sql_one(left), self.stack.sql_one(undecided)) != (before, items), 120, "the end of all bulk jobs")
        except AssertionError as e:
            self.book.complain(str(e))
        # what the jobs did not stop
        last = self.insist("/executions/bulk", {"action": "stop", "filter": {"workflow_id": self.waits}}, 202, "the last job")
        if last:
            self.jobs[last.json["id"]] = ("stop", None)
        eventually(lambda: self.stack.sql_one(left) == "0", 120, "the end of the last bulk job")

    def check(self):
        rows = self.stack.sql(f"SELECT i.job_id, i.execution_id, i.outcome, i.result_id FROM bulk_items i JOIN bulk_jobs j ON j.id = i.job_id "
                              f"WHERE j.workspace_id = '{self.workspace.id}'")
        stored = {id for (id,) in self.stack.sql(f"SELECT id FROM bulk_jobs WHERE workspace_id = '{self.workspace.id}'")}
        if set(self.jobs) != stored:
            self.book.complain(f"bulk jobs: acknowledged and missing {sorted(set(self.jobs) - stored)[:5]}, "
                               f"not acknowledged {sorted(stored - set(self.jobs))[:5]}")
        state = dict(self.stack.sql(f"SELECT id, IF(purged_ms IS NULL, state, 'purged') FROM executions WHERE workspace_id = '{self.workspace.id}'"))
        results = []
        for job, execution, outcome, result in rows:
            action, runs = self.jobs.get(job, (None, None))
            if runs is not None and execution not in runs:
                self.book.complain(f"bulk job {job}: {execution} is no run of its batch", execution)
            if outcome not in (DONE, SKIPPED):
                self.book.complain(f"bulk job {job}: the outcome of {execution} is {outcome}", execution)
            if outcome == DONE and action in ("stop", "purge") and state.get(execution) != {"stop": "5", "purge": "purged"}[action]:
                self.book.complain(f"bulk job {job}: {execution} is done by {action}, but {state.get(execution)}", execution)
            if result != "NULL":
                results.append(result)
        retries = {id for (id,) in self.stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{self.workspace.id}' AND retry_of IS NOT NULL")}
        if len(results) != len(set(results)) or set(results) != retries:
            self.book.complain(f"retries without an item: {sorted(retries - set(results))[:5]}; items without their run: {sorted(set(results) - retries)[:5]}")
        left = [run for run, s in state.items() if s in ("1", "2")]
        if left:
            self.book.complain(f"{len(left)} runs were not stopped by the last bulk job", left[0])
        self.book.count("bulk items", len(rows))
        self.book.count("bulk retries", len(retries))
