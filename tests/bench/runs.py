"""What the executor is measured by: the highest rate of runs that it keeps up with, and how soon an idle one has done a run."""
import json
import multiprocessing
import re
import socket
import statistics
import subprocess
import time

from stack import eventually

CONNECTIONS = 64
BACKLOG_S = 0.25      # more than the runs of so long still open when the offer ends: it did not keep up
SENT = 0.98           # of what was to be offered: less, and it was accepting that did not keep up
PRECISION = 0.03
STEP = 1.3
OPEN = "SELECT COUNT(*) FROM executions FORCE INDEX (by_work) WHERE state IN (1, 2)"
EVENT = re.compile(rb'\{"execution_id":"([0-9a-f-]+)","seq":\d+,"type":"execution\.(queued|succeeded|failed|stopped)"')


def request_of(stack, party):
    body = '{"inputs": {"n": 1}}'
    return (f"POST /api/v1/workflows/{party['workflow']}/run-async HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {party['key']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def offer(bench, rate, seconds):
    """Offers `rate` runs a second for so long; what came of it, and whether both accepting and running kept up."""
    before = bench.cpu()
    done = subprocess.run([bench.tools / "bench-pace", bench.stack.url.rsplit(":", 1)[1], str(rate), str(seconds), str(CONNECTIONS)],
                          input=request_of(bench.stack, bench.main), capture_output=True, text=True, timeout=seconds + 60)
    assert done.returncode == 0, done.stderr
    backlog = int(bench.stack.sql_one(OPEN))
    r = json.loads(done.stdout)
    assert r["others"] == 0 and r["accepted"] == r["sent"], r
    eventually(lambda: bench.stack.sql_one(OPEN) == "0", 300, "all runs ended")
    after = bench.cpu()
    return {"rate": rate, "sent": r["sent"], "backlog": backlog,
            "holds": r["sent"] >= SENT * rate * seconds and backlog <= BACKLOG_S * rate,
            "cpu_us": {k: (after[k] - before[k]) / r["sent"] for k in before}}


def end_to_end(bench, seconds, guess=1000.0):
    """The highest rate of runs offered at which the queue does not grow, by bisection."""
    tries = []

    def holds(rate):
        tries.append(offer(bench, round(rate), seconds))
        return tries[-1]["holds"]

    low, high = (guess, guess * STEP) if holds(guess) else (guess / STEP, guess)
    while high > guess and holds(high):
        low, high = high, high * STEP
    while low < guess and not holds(low):
        low, high = low / STEP, low
    while high / low > 1 + PRECISION:
        middle = (low * high) ** 0.5
        low, high = (middle, high) if holds(middle) else (low, middle)
    best = max((t for t in tries if t["holds"]), key=lambda t: t["rate"])
    return {"rate": best["rate"], "cpu_us": best["cpu_us"], "tries": tries}


def watch_events(path, ready, out):
    """In a process of its own: sends (id, when its first event was published, when its last) as each run ends, for ever."""
    redis = socket.socket(socket.AF_UNIX)
    redis.connect(str(path))
    redis.sendall(b"PSUBSCRIBE *events:*\r\n")
    redis.recv(4096)
    ready.set()
    queued, rest = {}, b""
    while data := redis.recv(65536):
        at = time.monotonic_ns()
        whole, _, rest = (rest + data).rpartition(b"\r\n")
        for id, kind in EVENT.findall(whole):
            if kind == b"queued":
                queued[id] = at
            else:
                out.send((id.decode(), queued.get(id), at))


def idle(bench, runs):
    """Milliseconds, one run at a time: from the event that tells of the acceptance, and from the answer, to the last event, which is
    published when the last commit is written. Meanwhile nobody asks for anything: the watcher says when the next may begin."""
    ready, (ours, theirs) = multiprocessing.Event(), multiprocessing.Pipe()
    watcher = multiprocessing.Process(target=watch_events, args=(bench.stack.dir / "sockets/redis.sock", ready, theirs), daemon=True)
    watcher.start()
    assert ready.wait(10)
    client, queued, told = bench.main["workspace"].client(), [], []
    for _ in range(runs):
        started = client.started(bench.main["workflow"], {"n": 1})
        answered = time.monotonic_ns()
        assert ours.poll(10), "its end was not published"
        id, began, ended = ours.recv()
        assert id == started and began
        queued.append((ended - began) / 1e6)
        told.append((ended - answered) / 1e6)
    watcher.kill()
    watcher.join()
    return {"from_event_ms": spread_of(queued), "from_answer_ms": spread_of(told), "runs": runs}


def spread_of(values):
    values = sorted(values)
    return {"p50": statistics.median(values), "p90": values[len(values) * 9 // 10]}
