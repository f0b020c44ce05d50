"""Schedules under faults: a workspace of its own, whose schedules are due every 10 seconds, and a client that triggers, pauses and resumes
some. At the end no time is lost, none was started twice, and an acknowledged trigger has its one run."""
import random
import threading
import time

from load import insist
from stack import eventually

EVERY_S = 10
STARTED, WAITING, SKIPPED, MISSED, REFUSED = "1", "2", "3", "4", "5"
PROGRAM = {"steps": [{"name": "when", "type": "transform", "value": "${/execution/scheduled_for}"}]}
LONG = {"steps": [{"name": "wait", "type": "delay", "seconds": 12}]}  # longer than the interval, so that runs overlap


class Schedules(threading.Thread):
    def __init__(self, stack, book, seed, caller_of):
        super().__init__(daemon=True, name="schedules")
        self.stack, self.book, self.rng = stack, book, random.Random(f"{seed}/schedules")
        self.workspace = stack.workspace(credits=1000000)
        self.caller = caller_of(self.workspace)
        self.ended = threading.Event()
        self.triggers = {}  # key: [schedule, id or None]
        quick, long = self.workspace.put_workflow(PROGRAM), self.workspace.put_workflow(LONG)
        # untouched: each of their times must have its row. "fickle" ones are paused, resumed and triggered
        self.steady = {overlap: [self.create(w, overlap) for w in (quick, long)] for overlap in ("allow", "skip", "queue_one", "stop_previous")}
        self.fickle = [self.create(quick, "allow") for _ in range(3)]

    def create(self, workflow, overlap):
        answer = self.caller.call("POST", "/schedules", {"workflow_id": workflow, "every_seconds": EVERY_S, "overlap": overlap, "catch_up_seconds": 3600})
        assert answer.status == 201, str(answer)
        return answer.json["id"]

    def run(self):
        n = 0
        while not self.ended.wait(self.rng.uniform(0.5, 1.5)):
            schedule = self.rng.choice(self.fickle)
            if self.rng.random() < 0.6:
                n += 1
                self.trigger(schedule, f"trigger {n}")
            else:
                self.insist("POST", f"/schedules/{schedule}/{self.rng.choice(('pause', 'resume'))}", 200)

    def insist(self, method, path, wanted, key=None):
        # without a key the scheduler may decide the same schedule again and again: 503 needs no fault then
        return insist(self.book, f"{method} {path}", lambda n: self.caller.call(method, path, idempotency_key=key), (wanted,),
                      is_excused=lambda answer, waited_s: answer.status == 503 and not key)

    def trigger(self, schedule, key):
        self.triggers[key] = [schedule, None]
        answer = self.insist("POST", f"/schedules/{schedule}/trigger", 202, key)
        if answer.status == 202:
            self.triggers[key][1] = answer.json["execution_id"]
            self.book.count("triggered")

    def finish(self):
        """When all servers are up: what is due is decided, then nothing more."""
        self.ended.set()
        self.join(120)
        due = f"SELECT COUNT(*) FROM schedules WHERE workspace_id = '{self.workspace.id}' AND due_ms < UNIX_TIMESTAMP(NOW(3)) * 1000 - 3000"
        try:
            eventually(lambda: self.stack.sql_one(due) == "0", 90, "decision of all occurrences that are due")
        except AssertionError as e:
            self.book.complain(str(e))
        # each schedule ends between these two times: pausing all of them takes a while
        self.pausing_ms = self.now_ms()
        for (schedule,) in self.stack.sql(f"SELECT id FROM schedules WHERE workspace_id = '{self.workspace.id}'"):
            self.stack.cli("schedule", "pause", schedule, "--workspace", self.workspace.id)
        # what waits may start yet, and is left waiting if its schedule is paused
        self.ended_ms = self.now_ms()

    def now_ms(self):
        return int(self.stack.sql_one("SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)"))

    def check(self):
        rows = {}
        for schedule, nominal, origin, state, execution in self.stack.sql(
                f"SELECT schedule_id, nominal_ms, origin, state, IFNULL(execution_id, '') FROM schedule_occurrences "
                f"WHERE workspace_id = '{self.workspace.id}' ORDER BY schedule_id, nominal_ms"):
            rows.setdefault(schedule, []).append((int(nominal), origin, state, execution))
        for overlap, schedules in self.steady.items():
            for schedule in schedules:
                self.check_times(overlap, schedule, rows.get(schedule, []))
        self.check_runs(rows)
        self.check_triggers(rows)
        self.book.count("occurrences", sum(len(r) for r in rows.values()))

    def check_times(self, overlap, schedule, rows):
        anchor = int(self.stack.sql_one(f"SELECT anchor_ms FROM schedules WHERE id = '{schedule}'"))
        step = EVERY_S * 1000
        wanted = list(range(anchor, self.pausing_ms - 5000, step))
        got = [row[0] for row in rows]
        if len(got) < len(wanted) or got != list(range(anchor, self.ended_ms, step))[:len(got)]:
            self.book.complain(f"schedule {schedule} ({overlap}) has {len(got)} occurrences of {len(wanted)}: "
                               f"lacks {sorted(set(wanted) - set(got))[:5]}, has {sorted(set(got) - set(wanted))[:5]} too much")
        allowed = {"allow": {STARTED}, "skip": {STARTED, SKIPPED}, "queue_one": {STARTED, SKIPPED, WAITING}, "stop_previous": {STARTED}}[overlap]
        if not {row[2] for row in rows} <= allowed:
            self.book.complain(f"schedule {schedule} ({overlap}) has occurrences of the states {sorted({row[2] for row in rows} - allowed)}")

    def check_runs(self, rows):
        """A run for each occurrence that was started, and no other."""
        named = [row[3] for r in rows.values() for row in r if row[2] == STARTED]
        runs = {id for (id,) in self.stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{self.workspace.id}'")}
        if len(named) != len(set(named)):
            self.book.complain("a run has two occurrences")
        if set(named) != runs:
            self.book.complain(f"runs without occurrence: {sorted(runs - set(named))[:5]}; occurrences without run: {sorted(set(named) - runs)[:5]}")

    def check_triggers(self, rows):
        of_schedule = {s: [row[3] for row in r if row[1] == "2"] for s, r in rows.items()}
        for key, (schedule, id) in self.triggers.items():
            if id and of_schedule.get(schedule, []).count(id) != 1:
                self.book.complain(f"{key} was acknowledged, but has {of_schedule.get(schedule, []).count(id)} occurrences", id)
        if sum(map(len, of_schedule.values())) > len(self.triggers):
            self.book.complain(f"{sum(map(len, of_schedule.values()))} triggered occurrences, but {len(self.triggers)} triggers")
