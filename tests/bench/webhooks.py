"""webhooks.py [--endpoints N] [--dead N] [--waiting N] [--runs-per-second N] [--seconds N]: how long it takes from the end of a run to the
delivery of its webhooks while some endpoints are dead: two thirds of these accept a connection and never answer, one third refuses it. The
endpoints are those of workspaces with 50 each; each run is reported to all endpoints of its workspace. --waiting N: one more workspace with a
dead endpoint has N messages without deliveries at the beginning. Prints percentiles in milliseconds."""
import argparse
import asyncio
import collections
import datetime
import json
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import Stack, eventually  # noqa: E402

PER_WORKSPACE = 50
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
REFUSED = "http://127.0.0.1:9/"


class Receivers:
    """Two servers on threads of their own: one answers 204 and notes how late a message came, the other never answers."""

    def __init__(self):
        self.late_ms, self.runs = [], collections.Counter()
        self.loop = asyncio.new_event_loop()
        self.live, self.hanging = self.loop.run_until_complete(self.open())
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    async def open(self):
        servers = [await asyncio.start_server(f, "127.0.0.1", 0, backlog=1024) for f in (self.answer, self.hang)]
        return [f"http://127.0.0.1:{s.sockets[0].getsockname()[1]}/" for s in servers]

    async def answer(self, reader, writer):
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
                data = json.loads(await reader.readexactly(size))["data"]
                now = time.time()
                self.late_ms.append((now - datetime.datetime.fromisoformat(data["ended_at"]).timestamp()) * 1000)
                self.runs[data["execution_id"]] += 1
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            writer.close()

    async def hang(self, reader, writer):
        try:
            await reader.read()
        except OSError:
            pass
        writer.close()


def wait_messages(stack, n):
    workspace = stack.workspace()
    answer = workspace.client().post("/webhooks", json={"url": REFUSED, "events": ["webhook.disabled"]})
    assert answer.status_code == 201
    for first in range(1, n + 1, 100000):
        stack.sql("INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, body) "
                  f"SELECT CONCAT('00000000-0000-7000-8000-', LPAD(HEX(seq), 12, '0')), '{workspace.id}', 5, 1, '{{}}' "
                  f"FROM seq_{first}_to_{min(n, first + 99999)}")


def count_waiting(stack):
    return int(stack.sql_one("SELECT COUNT(*) FROM webhook_outbox WHERE fanned = 0"))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoints", type=int, default=1000)
    parser.add_argument("--dead", type=int, default=300)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--runs-per-second", type=float, default=4)
    parser.add_argument("--seconds", type=int, default=60)
    o = parser.parse_args()
    receivers, stack = Receivers(), Stack()
    stack.start()
    try:
        workspaces = [stack.workspace(credits=100000) for _ in range(o.endpoints // PER_WORKSPACE)]
        callers = [(w.client(), w.put_workflow(PROGRAM)) for w in workspaces]
        alive = collections.Counter()
        for n in range(o.endpoints):
            is_dead = n * o.dead // o.endpoints != (n + 1) * o.dead // o.endpoints
            alive[n % len(callers)] += not is_dead
            url = receivers.live if not is_dead else receivers.hanging if n % 3 else REFUSED
            assert callers[n % len(callers)][0].post("/webhooks", json={"url": url}).status_code == 201
        if o.waiting:
            wait_messages(stack, o.waiting)
        time.sleep(1.2)  # runs that are accepted from now on are reported
        wanted, began = 0, time.monotonic()
        for n in range(int(o.seconds * o.runs_per_second)):
            time.sleep(max(0, began + n / o.runs_per_second - time.monotonic()))
            client, workflow = callers[n % len(callers)]
            client.started(workflow)
            wanted += alive[n % len(callers)]
        eventually(lambda: len(receivers.late_ms) >= wanted, 120, f"{wanted} deliveries")
        late = sorted(receivers.late_ms)
        print(json.dumps({"endpoints": o.endpoints, "dead": o.dead, "runs": n + 1, "deliveries": len(late),
                          "waiting": [o.waiting, count_waiting(stack)], **{f"p{p}_ms": round(late[int(len(late) * p / 100)]) for p in (50, 90, 99)}, "max_ms": round(late[-1])}))
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
