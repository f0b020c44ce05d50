#!/usr/bin/python3
"""ends.py [--against COMMIT] [RUNS] [ROUNDS]: how much webhooks slow down the ends of runs. In each of ROUNDS (5) rounds RUNS (10,000) queued runs
are drained of three workspaces, in changing order: one without an endpoint; one with an endpoint that wants other runs, so that each end writes
its message and nothing is sent; one with an endpoint whose receiver answers at once, beside the drain and on the same processors. Ends per
second from the first end to the last, the medians of their ratios to those without, and the 95 % confidence intervals of these (by rank; from six
rounds on). Required: `written` at least 0.85.

--against COMMIT builds that commit in a worktree and drains as many runs of a stack of it in each round. `before` is then the ratio of the ends
without an endpoint to its ends. The last commit before webhooks is 4d956800^; required of it: at least 0.98.
"""
import argparse
import asyncio
import json
import sys
import threading

import bench_stack
from drain import PURE, SETTINGS, drained_per_s
from paired import median_interval, verdict
from stack import eventually
from trees import TreeStack, built_tree


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


def parties_of(stack, receiver):
    parties = {}
    events = ["execution.succeeded", "execution.failed", "execution.stopped"]
    for name in ("without", "written", "delivered"):
        workspace = stack.workspace(credits=1)
        parties[name] = (workspace, workspace.put_workflow(PURE))
    for name, filter in (("written", {"workflow_id": parties["without"][1]}), ("delivered", {})):
        made = parties[name][0].client().post("/webhooks", json={"url": receiver.url, "events": events, "filter": filter})
        assert made.status_code == 201, made.text
    return parties


def rounds_of(stack, earlier, options):
    """{party: rates}"""
    receiver = Receiver()
    parties = parties_of(stack, receiver)
    names = list(parties) + (["earlier"] if earlier else [])
    rates = {name: [] for name in names}
    stack.stop_server("executor")
    for n in range(options.rounds):
        for name in names[n % len(names):] + names[:n % len(names)]:
            if name == "earlier":
                rates[name].append(earlier.round())
                continue
            rates[name].append(drained_per_s(stack, *parties[name], options.runs, len(names) * n + names.index(name)))
            if name == "delivered":  # the deliveries of this round are no work of the next one
                eventually(lambda: receiver.count >= (n + 1) * options.runs, 600, "the deliveries")
            stack.stop_server("executor")
        print(json.dumps({name: round(rates[name][-1]) for name in rates}), file=sys.stderr)
    return rates


def report(rates):
    pairs = {"written": ("written", "without"), "delivered": ("delivered", "without")}
    if "earlier" in rates:
        pairs["before"] = ("without", "earlier")
    ratios = {name: [a / b for a, b in zip(rates[one], rates[other])] for name, (one, other) in pairs.items()}
    found = {name: median_interval(of) for name, of in ratios.items()}
    result = {**{f"{name}_per_s": [round(r) for r in of] for name, of in rates.items()}, **{name: round(middle, 3) for name, (middle, _, _) in found.items()},
              "spread": {name: [round(min(of), 3), round(max(of), 3)] for name, of in ratios.items()},
              "interval": {name: [low and round(low, 3), high and round(high, 3)] for name, (_, low, high) in found.items()}}
    if "before" in found:
        result["before_is"] = verdict(*found["before"][1:], least=LEAST_BEFORE)
    return result


LEAST_WRITTEN, LEAST_BEFORE = 0.85, 0.98


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="COMMIT")
    parser.add_argument("runs", nargs="?", type=int, default=10000)
    parser.add_argument("rounds", nargs="?", type=int, default=5)
    options = parser.parse_args()
    with built_tree(options.against) as tree:
        earlier = TreeStack(tree, "drain.py", options.runs) if tree else None
        try:
            least = {"written": LEAST_WRITTEN, **({"before": LEAST_BEFORE} if earlier else {})}
            bench_stack.run(SETTINGS, lambda stack: report(rounds_of(stack, earlier, options)), least=least)
        finally:
            if earlier:
                earlier.close()


if __name__ == "__main__":
    main()
