"""The mixed load: clients that start, repeat, stop and read runs, and record everything."""
import json
import random
import threading
import time

from book import BROKEN, CUT, Answer, Run
from programs import WEIGHTS, Skill

CONTENTS = [b"shared %d " % n * 1000 for n in range(3)]
UNSURE = (CUT, 502, 504)
ENDS = ("execution.succeeded", "execution.failed", "execution.stopped")


PATIENCE_S = 90


def insist(book, what, attempt, wanted, unsettled=("idempotency_in_flight",), is_excused=lambda answer, waited_s: False):
    """Repeats attempt(n), which sends a request that may be repeated, until its outcome is known: a status of `wanted`, or anything but an Answer.
    An answer whose code is one of `unsettled` is no outcome and no error. is_excused: the error needs no fault. Returns the last answer, also
    one that was complained of."""
    begun, n = time.monotonic(), 0
    while True:
        sent = time.monotonic()
        answer = attempt(n)
        if not isinstance(answer, Answer) or answer.status in wanted:
            return answer
        if answer.status in UNSURE + (503, BROKEN):
            if not is_excused(answer, time.monotonic() - begun):
                book.needs_excuse(what.split("/")[-1], answer, sent, time.monotonic())
        elif answer.code not in unsettled:
            book.complain(f"{what}: {answer}")
            return answer
        if time.monotonic() > begun + PATIENCE_S:
            book.complain(f"{what}: the outcome is unknown after {PATIENCE_S} s: {answer}")
            return answer
        n += 1
        time.sleep(0.2)


class Client(threading.Thread):
    """One client. It has its own random generator, so that the seed determines its requests."""

    def __init__(self, number, seed, book, caller, programs, pace, allowed):
        super().__init__(daemon=True, name=f"client {number}")
        self.number, self.book, self.caller, self.programs, self.pace = number, book, caller, programs, pace
        self.allowed = allowed  # statuses with which requests of this workspace may be rejected
        self.rng = random.Random(f"{seed}/{number}")
        self.ended = threading.Event()
        self.mine = []
        self.files = {}  # {name: what it may hold; None: it does not exist}
        self.n = 0

    def run(self):
        while not self.ended.is_set():
            try:
                self.act()
            except Exception as e:  # an error of the harness must be reported
                self.book.complain(f"{self.name}: {e!r}")
                raise
            self.ended.wait(self.rng.expovariate(1 / self.pace))

    def act(self):
        chance = self.rng.random()
        if chance < 0.58 or not self.mine:
            self.start_one()
        elif chance < 0.62:
            self.start_batch()
        elif chance < 0.72:
            self.repeat_one()
        elif chance < 0.78:
            self.stop_one()
        elif chance < 0.80:
            self.list_some()
        elif chance < 0.82:
            self.follow_one()
        elif chance < 0.84:
            self.purge_one()
        elif chance < 0.88:
            self.change_a_file()
        else:
            self.read_one()

    # --- starting ---
    def start_one(self):
        self.n += 1
        r = f"r{self.number}-{self.n}"
        program = self.programs[self.rng.choices(list(WEIGHTS), WEIGHTS.values())[0]]
        # a run without a key may be accepted without anybody knowing its id, and nobody would signal it
        key = f"key {r}" if self.rng.random() < 0.6 or program.name == "waits" else None
        run = Run(r, self.caller, program, program.inputs(self.rng, r), key)
        run.poor = 402 in self.allowed
        twin = key and self.rng.random() < 0.1
        self.book.add(run)
        if twin:  # the same request twice at the same time: one execution
            other = threading.Thread(target=self.settle, args=(run,), daemon=True)
            other.start()
        self.settle(run)
        if twin:
            other.join()
        if run.id:
            self.mine.append(run)
        if run.id and program.name == "waits":
            threading.Thread(target=signal, args=(self.book, self.caller, run, self.rng.random()), daemon=True).start()

    def ask(self, run):
        path, _ = run.program.start()
        sent = time.monotonic()
        answer = self.caller.call("POST", path, run.program.body(run), run.key)
        return answer, sent, time.monotonic()

    def settle(self, run):
        """With a key: repeats the request until the outcome is known. Without a key: sends it once."""
        begun = time.monotonic()
        while True:
            answer, sent, received = self.ask(run)
            if answer.status == run.program.start()[1]:
                self.accepted(run, answer, received - sent)
                return
            if answer.status in self.allowed:
                self.book.count(f"run {answer.status}")
                run.refused = True
                return
            if answer.status == 409 and run.key and answer.code == "idempotency_in_flight":
                self.book.count("run 409")
            elif answer.status in UNSURE + (503,):
                self.book.needs_excuse("run-async", answer, sent, received)
                run.unknown = run.unknown or answer.status != 503
                if not run.key:
                    return
            else:
                self.book.complain(f"run-async {run.r}: {answer}")
                return
            if received - begun > 90:
                self.book.complain(f"run-async {run.r}: the outcome is unknown after 90 s of repetitions: {answer}")
                return
            time.sleep(self.rng.uniform(0.1, 0.5))

    def accepted(self, run, answer, seconds):
        id = run.program.id_of(answer)
        self.book.count("accepted" if "idempotent-replayed" not in answer.headers else "replayed")
        with self.book.lock:
            before = run.id
            run.id = id
            self.book.last_accepted = time.monotonic()
        if before and before != id:
            self.book.complain(f"the key of {run.r} has two executions: {before} and {id}", id)
        if not run.key and "idempotent-replayed" in answer.headers:
            self.book.complain(f"{run.r} has no key, but got a replay", id)

    def start_batch(self):
        """Some runs of one workflow by one request, which is repeated until it is complete; now and then twice at the same time, or given
        up after its first response."""
        self.n += 1
        workflows = {n: w for n, w in WEIGHTS.items() if not isinstance(self.programs[n], Skill) and n != "waits"}  # start_one signals these
        program = self.programs[self.rng.choices(list(workflows), workflows.values())[0]]
        names = [f"r{self.number}-{self.n}-{i}" for i in range(self.rng.randint(2, 12))]
        runs = [Run(r, self.caller, program, program.inputs(self.rng, r), None) for r in names]
        for run in runs:
            run.poor = 402 in self.allowed
            self.book.add(run)
        once, twin = self.rng.random() < 0.1, self.rng.random() < 0.1
        other = threading.Thread(target=self.settle_batch, args=(runs, once, twin), daemon=True)
        if twin:
            other.start()
        self.settle_batch(runs, once, twin)
        if twin:
            other.join()
        self.mine += [run for run in runs if run.id]

    def settle_batch(self, runs, once, twin):
        """Of two requests at the same time one may have rejected (429, 402) what the other one accepted, or find the batch finished in the
        middle of it. It gets 503 then, without any fault, and learns the results by its repetition (docs/correctness.md)."""
        begun = time.monotonic()
        path, body = f"/workflows/{runs[0].program.id}/run-batch", {"items": [run.program.body(run) for run in runs]}
        while True:
            sent = time.monotonic()
            answer = self.caller.call("POST", path, body, f"batch {runs[0].r}")
            received = time.monotonic()
            if answer.status == 200:
                self.take_results(runs, answer)
                return
            if answer.status in self.allowed and not any(run.unknown for run in runs):
                self.book.count(f"batch {answer.status}")
                return
            if answer.status == 503 and twin:
                self.book.count("run-batch 503 beside its twin")
            elif answer.status in UNSURE + (503,):
                self.book.needs_excuse("run-batch", answer, sent, received)
            if answer.status in UNSURE + (503,):
                for run in runs:  # also after 503: the items that were accepted stand
                    run.unknown = True
                if once:
                    return
            elif answer.status not in self.allowed:
                self.book.complain(f"run-batch {runs[0].r}: {answer}")
                return
            if received - begun > 90:
                self.book.complain(f"run-batch {runs[0].r}: incomplete after 90 s of repetitions: {answer}")
                return
            time.sleep(self.rng.uniform(0.1, 0.5))

    def take_results(self, runs, answer):
        results = answer.json["results"]
        self.book.count("batches" if "idempotent-replayed" not in answer.headers else "batches replayed")
        if len(results) != len(runs) or answer.json["accepted"] != sum(r["status"] == 202 for r in results):
            self.book.complain(f"run-batch {runs[0].r} has the wrong number of results: {answer}")
        for run, result in zip(runs, results):
            if result["status"] == 202:
                self.accepted_item(run, result["execution_id"])
            elif result["status"] in self.allowed:
                self.book.count(f"item {result['status']}")
                run.refused, run.unknown = True, False  # the batch is finished: a run of it is none that somebody asked for
            else:
                self.book.complain(f"run-batch {run.r}: {result}")

    def accepted_item(self, run, id):
        self.book.count("items accepted")
        with self.book.lock:
            before, run.id = run.id, id
            self.book.last_accepted = time.monotonic()
        if before and before != id:
            self.book.complain(f"the item {run.r} has two executions: {before} and {id}", id)

    def repeat_one(self):
        run = self.rng.choice(self.mine)
        if run.key and run.purged is None:  # the response to a purged run is another one
            self.settle(run)

    # --- stopping ---
    def stop_one(self):
        run = self.rng.choice(self.mine[-10:])
        key = f"stop {run.r}" if self.rng.random() < 0.5 else None
        begun = time.monotonic()
        while True:
            sent = time.monotonic()
            answer = self.caller.call("POST", f"/executions/{run.id}/stop", idempotency_key=key)
            received = time.monotonic()
            if answer.status == 200:
                run.stopped = run.stopped or time.time()
                self.book.count("stopped")
                return
            if answer.status == 400 and answer.code == "execution_terminal":
                self.book.count("stop 400")
                return
            if answer.status == 409 and key:
                pass
            elif answer.status in UNSURE + (503,):
                self.book.needs_excuse("stop", answer, sent, received)
                run.maybe_stopped = run.maybe_stopped or answer.status != 503
                if not key:
                    return
            else:
                self.book.complain(f"stop of {run.id}: {answer}", run.id)
                return
            if received - begun > 90:
                self.book.complain(f"stop {run.r}: the outcome is unknown after 90 s of repetitions: {answer}", run.id)
                return
            time.sleep(self.rng.uniform(0.1, 0.5))

    # --- erasing ---
    def purge_one(self):
        """Purges a run that has been read as ended. Its children keep what they hold."""
        ended = [r for r in self.mine[-60:] if r.seen_end and r.purged is None]
        if not ended:
            return
        run = self.rng.choice(ended)
        run.purged = False
        sent = time.monotonic()
        answer = self.caller.call("DELETE", f"/executions/{run.id}")
        if answer.status == 204:
            run.purged = True
            self.book.count("purged")
        elif answer.status in UNSURE + (503,):
            self.book.needs_excuse("purge", answer, sent, time.monotonic())
        else:
            self.book.complain(f"purge of {run.id}: {answer}", run.id)

    def change_a_file(self):
        """Uploads or deletes one of a few files. All clients store the same few contents, so that they share blobs."""
        name = f"{self.number}-{self.rng.randrange(4)}.txt"
        content = self.rng.choice(CONTENTS) if name not in self.files or self.rng.random() < 0.6 else None
        sent = time.monotonic()
        answer = self.caller.upload(name, content) if content is not None else self.caller.call("DELETE", f"/files/{name}")
        if answer.status in (201, 204):
            self.files[name] = {content}
            self.book.count("file stored" if content is not None else "file deleted")
        elif answer.status == 404 and content is None and None in self.files[name]:
            self.files[name] = {None}
        elif answer.status in UNSURE + (503,):
            self.book.needs_excuse("file", answer, sent, time.monotonic())
            if answer.status != 503:
                self.files[name] = self.files.get(name, {None}) | {content}
        else:
            self.book.complain(f"file {name}: {answer}")

    # --- reading ---
    def get(self, path):
        sent = time.monotonic()
        answer = self.caller.call("GET", path)
        if answer.status in UNSURE + (503,):
            self.book.needs_excuse("GET", answer, sent, time.monotonic())
        return answer

    def read_one(self):
        run = self.rng.choice(self.mine[-40:])
        answer = self.get(f"/executions/{run.id}?include_step_results=true")
        if answer.status == 200:
            self.book.count("read")
            read_end(self.book, run, answer.json)
        elif answer.status not in UNSURE + (503,):
            self.book.complain(f"GET of an acknowledged execution: {answer}", run.id)

    def follow_one(self):
        """Reads the events of an active run and reconnects with Last-Event-ID after each broken stream."""
        run = self.rng.choice(self.mine[-10:])
        threading.Thread(target=follow, args=(self.book, self.caller, run), daemon=True).start()

    def list_some(self):
        answer = self.get("/executions?limit=20")
        if answer.status == 200:
            self.book.count("listed")
        elif answer.status not in UNSURE + (503,):
            self.book.complain(f"GET /executions: {answer}")


def read_end(book, run, execution):
    """A run that was read as terminal must not change."""
    if execution.get("isPurged") and run.purged is not None and run.seen_end:
        return
    if execution["status"] == "running":
        if run.seen_end:
            book.complain(f"ended as {run.seen_end[0]}, but is running again", run.id)
        return
    end = (execution["status"], json.dumps(execution["detail"].get("output"), sort_keys=True))
    if run.seen_end and run.seen_end != end:
        book.complain(f"was {run.seen_end}, but is now {end}", run.id)
    run.seen_end = end


def signal(book, caller, run, chance):
    """Sends both signals of a run, the second one first now and then, each until it is stored. With a key it is stored once."""
    signals = [("one", run.inputs["n"]), ("two", run.inputs["r"])]
    for name, data in signals if chance < 0.7 else reversed(signals):
        time.sleep(chance * 2)
        begun = time.monotonic()
        while True:
            sent = time.monotonic()
            answer = caller.call("POST", f"/executions/{run.id}/signals/{name}", data, f"{name} {run.r}")
            if answer.status == 202:
                book.count(f"signals {answer.json['state']}")
                break
            if answer.status == 409 and answer.code == "execution_terminal":
                return  # stopped; a run that ended otherwise without its signals shows at the end
            if answer.status in UNSURE + (503,):
                book.needs_excuse("signal", answer, sent, time.monotonic())
            elif answer.status != 409:
                book.complain(f"signal {name} to {run.id}: {answer}", run.id)
                return
            if time.monotonic() - begun > 90:
                book.complain(f"signal {name} to {run.id}: not stored after 90 s of repetitions: {answer}", run.id)
                return
            time.sleep(0.2)


def follow(book, caller, run, seconds=120):
    last, ended, until = 0, False, time.monotonic() + seconds
    while not ended and time.monotonic() < until:
        for number, type in caller.events(run.id, last):
            if number != last + 1:
                book.complain(f"event {number} followed event {last} in the stream", run.id)
            last, ended = number, type in ENDS
        if not ended:
            time.sleep(0.2)
    book.count("streams followed" if ended else "streams given up")
