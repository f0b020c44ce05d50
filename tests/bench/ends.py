#!/usr/bin/python3
"""ends.py [RUNS] [ROUNDS]: how much an endpoint of webhooks slows down the ends of runs. In each of ROUNDS (5) rounds RUNS (10,000) queued runs
are drained of three workspaces, in changing order: one without an endpoint; one with an endpoint that wants other runs, so that each end writes
its message and nothing is sent; one with an endpoint whose receiver answers at once, beside the drain and on the same processors. Ends per
second from the first end to the last, and their ratios to those without. Required: `written` at least 0.85."""
import asyncio
import json
import statistics
import sys
import threading

import bench_stack
from stack import eventually
import rows

RUNS = int(sys.argv[1]) if len(sys.argv) > 1 else 10000
ROUNDS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
PURE = {"steps": [{"name": "a", "type": "transform", "value": {"n": 1}}]}


class Receiver:
    """Answers 204 to everything, on a thread of its own."""

    def __init__(self):
        self.count = 0
        self.loop = asyncio.new_event_loop()
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def serve(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(size)
                self.count += 1
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


def drained_per_s(stack, party, seed):
    stack.stop_server("executor")
    rows.insert(lambda s: stack.sql(s, timeout=300), party["workspace"].id, party["workflow"], RUNS, rows.days_ago(0), seed=seed, state="1")
    begun = int(stack.sql_one("SELECT IFNULL(MAX(ended_ms), 0) FROM executions"))
    stack.start_server("executor")
    of = f"FROM executions WHERE responder_id = '{party['workflow']}' AND ended_ms > {begun}"
    eventually(lambda: int(stack.sql_one(f"SELECT COUNT(*) {of}")) >= RUNS, 300, "the end of the runs")
    ended = [int(r[0]) for r in stack.sql(f"SELECT ended_ms {of} ORDER BY ended_ms")]
    return (RUNS - 1) * 1000 / max(1, ended[-1] - ended[0])


def measure(stack):
    receiver = Receiver()
    parties = {name: {"workspace": w, "workflow": w.put_workflow(PURE)} for name in ("without", "written", "delivered") for w in [stack.workspace(credits=1)]}
    events = ["execution.succeeded", "execution.failed", "execution.stopped"]
    for name, filter in (("written", {"workflow_id": parties["without"]["workflow"]}), ("delivered", {})):
        made = parties[name]["workspace"].client().post("/webhooks", json={"url": receiver.url, "events": events, "filter": filter})
        assert made.status_code == 201, made.text
    rates = {name: [] for name in parties}
    for n in range(ROUNDS):
        for name in list(parties)[n % 3:] + list(parties)[:n % 3]:
            rates[name].append(drained_per_s(stack, parties[name], 3 * n + list(parties).index(name)))
            if name == "delivered":  # the deliveries of this round are no work of the next one
                eventually(lambda: receiver.count >= (n + 1) * RUNS, 600, "the deliveries")
        print(json.dumps({name: round(rates[name][-1]) for name in rates}), file=sys.stderr)
    ratios = {name: sorted(a / b for a, b in zip(rates[name], rates["without"])) for name in ("written", "delivered")}
    return {**{f"{name}_per_s": [round(r) for r in of] for name, of in rates.items()}, **{name: round(statistics.median(of), 3) for name, of in ratios.items()},
            "spread": {name: [round(of[0], 3), round(of[-1], 3)] for name, of in ratios.items()}}


bench_stack.run({"executor.processes": "2", "executor.outgoing_allow": "127.0.0.0/8"}, measure, least={"written": 0.85})
