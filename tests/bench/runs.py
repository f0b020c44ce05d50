"""Measurements of the executor: the highest rate of runs that it sustains, and the latency of a run on an idle executor."""
import json
import multiprocessing
import re
import socket
import statistics
import subprocess
import time

from stack import eventually

CONNECTIONS = 64
BACKLOG_S = 0.25      # the executor fell behind if more than the runs of this time are unfinished at the end
SENT = 0.98           # acceptance fell behind if less than this share of the runs could be offered
PRECISION = 0.03
STEP = 1.3
OPEN = "SELECT COUNT(*) FROM executions FORCE INDEX (by_turn) WHERE state IN (1, 2)"
EVENT = re.compile(rb'\{"execution_id":"([0-9a-f-]+)","seq":\d+,"type":"execution\.(queued|succeeded|failed|stopped)"')


def request_of(stack, party):
    body = '{"inputs": {"n": 1}}'
    return (f"POST /api/v1/workflows/{party['workflow']}/run-async HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {party['key']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def offer(bench, rate, seconds):
    """Offers `rate` runs per second. Returns the result, and whether both acceptance and execution kept up."""
    before = bench.cpu()
    done = subprocess.run([bench.tools / "bench-pace", bench.stack.url.rsplit(":", 1)[1], str(rate), str(seconds), str(CONNECTIONS)],
                          input=request_of(bench.stack, bench.main), capture_output=True, text=True, timeout=seconds + 60)
    assert done.returncode == 0, done.stderr
    backlog = int(bench.stack.sql_one(OPEN))
    r = json.loads(done.stdout)
    assert r["others"] == 0 and r["accepted"] == r["sent"], r
    assert r["sent"], f"no run could be offered within {seconds} s"
    eventually(lambda: bench.stack.sql_one(OPEN) == "0", 300, "end of all runs")
    after = bench.cpu()
    return {"rate": rate, "sent": r["sent"], "backlog": backlog,
            "holds": r["sent"] >= SENT * rate * seconds and backlog <= BACKLOG_S * rate,
            "cpu_us": {k: (after[k] - before[k]) / r["sent"] for k in before}}


def end_to_end(bench, seconds, guess=1000.0):
    """The highest rate at which the queue does not grow, by bisection."""
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
    """Body of a process: sends (id, time of the first event, time of the last event) at the end of each run, forever."""
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
    """Milliseconds for one run at a time, from the event of the acceptance and from the response to the last event, which is
    published after the last commit. There are no polling requests: the watcher process reports when the next run may start."""
    ready, (ours, theirs) = multiprocessing.Event(), multiprocessing.Pipe()
    watcher = multiprocessing.Process(target=watch_events, args=(bench.stack.dir / "sockets/redis.sock", ready, theirs), daemon=True)
    watcher.start()
    assert ready.wait(10)
    client, queued, told = bench.main["workspace"].client(), [], []
    for _ in range(runs):
        started = client.started(bench.main["workflow"], {"n": 1})
        answered = time.monotonic_ns()
        assert ours.poll(10), "the last event was not published"
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
