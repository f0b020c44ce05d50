#!/usr/bin/env python3
"""What open event streams cost: resident memory of the daemon, how late events come, what run-async notices of it; and how
long `Prefer: wait` takes for a run of one transform.

  tests/bench/streams.py [--streams 5000] [--rate 200] [--seconds 10]

Starts a stack of its own. Prints one JSON object; exit 1 where a target is missed.
"""
import argparse
import asyncio
import json
import pathlib
import statistics
import subprocess
import sys
import time
from datetime import datetime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import Stack, eventually  # noqa: E402

RUNS = 100  # that hang, for the open streams to be spread over
WAITS = 200
TARGETS = {"kib_per_stream": 20, "late_p99_ms": 50, "run_p99_ratio": 1.5, "wait_median_ms": 6}


def resident_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


class Http:
    def __init__(self, stack, key):
        self.port, self.key = stack.port, key

    async def send(self, method, path, body=b"", more=""):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write((f"{method} /api/v1{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.key}\r\nConnection: close\r\n"
                      f"{more}Content-Length: {len(body)}\r\n\r\n").encode() + body)
        status = int((await reader.readline()).split()[1])
        while (await reader.readline()).strip():
            pass
        return status, reader, writer

    async def run(self, workflow):
        began = time.monotonic()
        status, reader, writer = await self.send("POST", f"/workflows/{workflow}/run-async")
        body = await reader.read()
        writer.close()
        assert status == 202, (status, body)
        return json.loads(body)["execution_id"], (time.monotonic() - began) * 1000

    async def run_and_wait(self, workflow):
        began = time.monotonic()
        status, reader, writer = await self.send("POST", f"/workflows/{workflow}/run-async", more="Prefer: wait=10\r\n")
        await reader.read()
        writer.close()
        assert status == 200, status
        return (time.monotonic() - began) * 1000

    async def stream(self, execution):
        status, reader, writer = await self.send("GET", f"/executions/{execution}/events")
        assert status == 200, status
        return reader, writer


async def open_streams(http, executions, count):
    opened, gate = [], asyncio.Semaphore(16)

    async def one(i):
        async with gate:
            reader, writer = await http.stream(executions[i % len(executions)])
            await reader.readuntil(b"event: step.started")  # the history came
            opened.append((reader, writer))
    await asyncio.gather(*(one(i) for i in range(count)))
    return opened


async def follow(http, execution, late):
    """How many ms after its time an event arrives, of those that are heard live."""
    reader, writer = await http.stream(execution)
    opened = time.time()
    while line := await reader.readline():
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            at = datetime.fromisoformat(event["at"].replace("Z", "+00:00")).timestamp()
            if at > opened:
                late.append((time.time() - at) * 1000)
    writer.close()


async def load(http, workflow, rate, seconds):
    """Runs at a steady rate, each followed; (ms of run-async, ms that events were late)"""
    took, late, tasks = [], [], []

    async def one():
        execution, ms = await http.run(workflow)
        took.append(ms)
        await follow(http, execution, late)
    began = time.monotonic()
    for i in range(int(rate * seconds)):
        await asyncio.sleep(max(0, began + i / rate - time.monotonic()))
        tasks.append(asyncio.create_task(one()))
    await asyncio.gather(*tasks)
    return took, late, len(took) / (time.monotonic() - began)


async def measure(stack, args):
    workspace = stack.workspace(credits=1000000)
    http = Http(stack, workspace.client().key)
    hanging = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 3600}], "timeout_seconds": 7200})
    # long enough that its subscriber is there when it goes on
    quick = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 0.5},
                                              {"name": "b", "type": "transform", "value": 1}]})
    executions = [(await http.run(hanging))[0] for _ in range(RUNS)]
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM events WHERE type = 3") == str(RUNS), 20)
    await load(http, quick, args.rate, 2)  # everything is warm
    transform = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    waits = [await http.run_and_wait(transform) for _ in range(WAITS)]
    alone, _, _ = await load(http, quick, args.rate, args.seconds)
    pid = stack.pid("stream")
    before = resident_kib(pid)
    began = time.monotonic()
    opened = await open_streams(http, executions, args.streams)
    opening = time.monotonic() - began
    after = resident_kib(pid)
    took, late, rate = await load(http, quick, args.rate, args.seconds)
    loaded = resident_kib(pid)
    assert all(not reader.at_eof() for reader, _ in opened), "streams were lost"
    for _, writer in opened:
        writer.close()
    return {
        "streams": len(opened), "opened_per_s": round(len(opened) / opening), "rss_kib": [before, after, loaded],
        "kib_per_stream": round((max(after, loaded) - before) / len(opened), 2), "runs_per_s": round(rate, 1),
        "late_ms": {"n": len(late), "median": round(statistics.median(late), 1), "p99": round(percentile(late, 0.99), 1)},
        "run_ms": {"alone_p99": round(percentile(alone, 0.99), 1), "with_streams_p99": round(percentile(took, 0.99), 1)},
        "wait_median_ms": round(statistics.median(waits), 1),
        "late_p99_ms": round(percentile(late, 0.99), 1),
        "run_p99_ratio": round(percentile(took, 0.99) / percentile(alone, 0.99), 2),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=5000)
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    args = parser.parse_args()
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    stack = Stack({"api.rate_limit_per_minute": "100000000"})
    try:
        stack.start()
        result = asyncio.run(measure(stack, args))
    finally:
        stack.stop()
        subprocess.run(["rm", "-rf", str(stack.dir)], check=True)
    missed = [name for name, most in TARGETS.items() if result[name] > most]
    print(json.dumps({**result, "missed": missed}, indent=2))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
