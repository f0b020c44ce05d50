"""The fault harness: scripts/fault. See docs/operations.md."""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import stack as stack_module  # noqa: E402
from book import Book, Caller  # noqa: E402
from budgets import Budgets  # noqa: E402
from check import await_quiet, check_ends, check_erased, check_failures, check_files, check_rows, check_runners, check_side_effects, history, read_rows, run_audit  # noqa: E402
from effects import SideEffects  # noqa: E402
from faults import Faults, crash_points  # noqa: E402
from hostile import Hostile  # noqa: E402
from load import Client  # noqa: E402
from model_quirks import Models  # noqa: E402
from objects import ObjectStore  # noqa: E402
from programs import install  # noqa: E402
from proxy import Proxy  # noqa: E402
import pushes  # noqa: E402
import roll_ups  # noqa: E402
import webhooks  # noqa: E402
from grants import Grants  # noqa: E402
from bulk import Bulk  # noqa: E402
from schedules import Schedules  # noqa: E402
from tickets import Tickets  # noqa: E402
from agents import Agents  # noqa: E402
from stack import eventually  # noqa: E402

SLACK_S = 6          # an error response may come this much later than the end of the fault that caused it
TOGETHER = 0.3       # probability that two faults are injected at the same time
ACCEPTED_WITHIN_S = 8  # a run must be accepted this soon after the end of a fault


def server_of(fault):
    return re.split("[_. ]", fault)[0]


class FaultStack(stack_module.Stack):
    """A stack whose programs reach MariaDB and Redis through proxies. The operator command connects directly."""

    def __init__(self, settings, objects=None):
        super().__init__()
        self.objects = objects
        self.proxies = self.dir / "proxies"
        self.proxies.mkdir(mode=0o750)
        self.crash_dir = self.dir / "crash"
        self.crash_dir.mkdir()
        self.db_proxy = Proxy(self.proxies / "mariadb.sock", self.dir / "sockets/mariadb.sock")
        self.redis_proxy = Proxy(self.proxies / "redis.sock", self.dir / "sockets/redis.sock")
        self.settings.update({"database.socket": str(self.proxies / "mariadb.sock"), "redis.socket": str(self.proxies / "redis.sock"),
                              "api.rate_limit_per_minute": "1000000", "executor.max_losses": "100", "executor.grace_s": "2", "executor.park_after_ms": "300",
                              "api.workers": "6", **(objects.settings if objects else {}), **settings})
        self.env["MILLRACE_CRASH_DIR"] = str(self.crash_dir)

    def start(self):
        if self.objects:
            self.objects.start()
        super().start()
        text = (self.dir / "millrace.ini").read_text().replace(str(self.proxies), str(self.dir / "sockets"))
        (self.dir / "straight.ini").write_text(text)
        return self

    def cli(self, *args, **kwargs):
        through = self.env
        self.env = {**through, "MILLRACE_CONFIG": str(self.dir / "straight.ini"), "MILLRACE_CRASH_DIR": "/nonexistent"}
        try:
            return super().cli(*args, **kwargs)
        finally:
            self.env = through

    def end(self, keep):
        """Stops everything. Returns the processes left over and the reports of sanitizers."""
        self.stop()
        self.db_proxy.close()
        self.redis_proxy.close()
        if self.objects:
            self.objects.close()
        found = [f"process left over: {line}" for line in self.leftovers()]
        for line in found:
            stack_module.kill(int(line.split()[3].rstrip(":")), 9)
        found += self.defects()
        if not keep and not found:
            shutil.rmtree(self.dir)
        return found


class Harness:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed
        self.book = Book()
        self.book.last_accepted = 0
        self.began = time.monotonic()
        self.done = []

    def say(self, text):
        print(f"{time.monotonic() - self.began:7.2f}  {text}", flush=True)

    def run(self):
        self.stack = FaultStack({**webhooks.SETTINGS, **pushes.SETTINGS, **roll_ups.SETTINGS}, ObjectStore() if self.options.objects else None)
        self.effects = SideEffects()
        self.models = Models()
        self.say(f"seed {self.seed}, {self.options.minutes} min, stack in {self.stack.dir}")
        try:
            self.stack.start()
            self.set_up()
            self.harm()
            self.settle()
        except BaseException as e:
            self.book.complain(f"the harness ended early: {e!r}")
            if not isinstance(e, Exception):
                raise
            import traceback
            traceback.print_exc()
        finally:
            self.report()

    def set_up(self):
        rich = self.stack.workspace(credits=10000000)
        poor = self.stack.workspace(credits=300)
        narrow = self.stack.workspace(credits=1000000, max_concurrent=4)
        self.clients = []
        for n in range(self.options.clients):
            workspace = narrow if n == 1 else poor if n == 2 else rich
            allowed = {id(narrow): (429,), id(poor): (402,)}.get(id(workspace), ())
            programs = self.programs_of(workspace)
            caller = Caller(self.stack.port, workspace.key()["key"])
            self.clients.append(Client(n, self.seed, self.book, caller, programs, self.options.pace, allowed))
        if self.options.clients > 2:
            self.poor = poor
        self.budgets = Budgets(self.stack, self.book, rich, poor, lambda w: Caller(self.stack.port, w.key()["key"]))
        self.schedules = Schedules(self.stack, self.book, self.seed, lambda w: Caller(self.stack.port, w.key()["key"]))
        self.grants = Grants(self.stack, self.book, self.seed, lambda w: Caller(self.stack.port, w.key()["key"]))
        self.bulk = Bulk(self.stack, self.book, self.seed, lambda w: Caller(self.stack.port, w.key()["key"]))
        self.tickets = Tickets(self.stack, self.book, self.seed, lambda w: Caller(self.stack.port, w.key()["key"]))
        self.agents = Agents(self.stack, self.book, self.seed)
        self.webhooks = webhooks.Webhooks(self.stack, self.book, self.seed, rich, Caller(self.stack.port, rich.key()["key"]))
        self.roll_ups = roll_ups.RollUps(self.stack, self.book, 4 + int(self.options.minutes))
        self.pushes = pushes.Pushes(self.stack, self.book, self.seed, self.roll_ups)
        self.hostile = Hostile(self.stack, self.book, self.seed) if self.options.hostile else None

    def programs_of(self, workspace):
        if not hasattr(workspace, "programs"):
            workspace.programs = install(workspace, self.effects.url, self.models)
            if not hasattr(self, "programs"):
                self.programs = {}
            self.programs.update({(workspace.id, n): p for n, p in workspace.programs.items()})
        return workspace.programs

    def harm(self):
        rng = random.Random(self.seed)
        points = crash_points() if stack_module.BIN.parent.name == "crash" else []
        faults = self.faults = Faults(self.stack, self.book, rng, self.say, self.roll_ups)
        for client in self.clients:
            client.start()
        self.schedules.start()
        self.grants.start()
        self.bulk.start()
        self.tickets.start()
        self.agents.start()
        if self.hostile:
            self.hostile.start()
        eventually(lambda: self.book.last_accepted, 30, "the first accepted run")
        until = time.monotonic() + self.options.minutes * 60
        only = re.compile(self.options.only or "")
        deck = []
        while time.monotonic() < until:
            if not deck:
                deck = [c for c in faults.deck(points) if only.search(c[0])]
            pair = [deck.pop()]
            if deck and rng.random() < TOGETHER and server_of(deck[-1][0]) != server_of(pair[0][0]):
                pair.append(deck.pop())
            self.inflict(pair)
            time.sleep(rng.uniform(0, 2 * self.options.pause))
        faults.finish()
        if self.hostile:
            self.hostile.finish()
        for client in self.clients:
            client.ended.set()
        for client in self.clients:
            client.join(120)
            if client.is_alive():
                self.book.complain(f"{client.name} hangs")

    def inflict(self, pair):
        """Injects one fault, or two at the same time."""
        name = " + ".join(name for name, _ in pair)
        self.say(name)
        begun = time.monotonic()
        threads = [threading.Thread(target=self.guarded, args=card, daemon=True) for card in pair[1:]]
        for thread in threads:
            thread.start()
        self.guarded(*pair[0])
        for thread in threads:
            thread.join()
        self.done += [name for name, _ in pair]
        self.await_acceptance(name, begun)

    def guarded(self, name, do):
        try:
            do()
        except AssertionError as e:
            self.say(f"{name}: {e}")
            self.book.complain(f"{name}: {e}")

    def await_acceptance(self, name, begun):
        """A run must be accepted soon after the fault."""
        over = time.monotonic()
        while self.book.last_accepted < over:
            if time.monotonic() > over + ACCEPTED_WITHIN_S:
                self.book.complain(f"no run was accepted within {ACCEPTED_WITHIN_S} s after {name}")
                return
            time.sleep(0.01)
        self.book.first_after.append((name, round(over - begun, 2), round(self.book.last_accepted - over, 2)))

    def settle(self):
        self.say("waiting for the end of all runs")
        for server in stack_module.SERVERS:
            self.stack.start_server(server)
        if self.hostile:
            self.hostile.stop_runs()
        self.schedules.finish()
        self.bulk.finish()
        self.grants.finish()
        self.tickets.finish()
        self.agents.finish()
        await_quiet(self.stack, self.book)
        self.webhooks.finish()
        self.pushes.finish()
        self.roll_ups.finish()
        self.say("checks")
        rows = read_rows(self.stack, self.book, [w for w in (self.schedules, self.bulk, self.grants, self.tickets, self.agents, self.hostile) if w])
        check_files(self.book, self.clients)
        check_erased(self.stack, self.book, self.faults.dead_blobs, self.faults.dead_objects)
        check_failures(self.stack, self.book)
        check_rows(self.book, rows)
        check_ends(self.book, lambda run: run.caller.call("GET", f"/executions/{run.id}?include_step_results=true"))
        check_runners(self.book)
        self.schedules.check()
        self.grants.check()
        self.bulk.check()
        self.tickets.check()
        self.agents.check()
        self.webhooks.check()
        self.pushes.check()
        self.roll_ups.check()
        self.budgets.check()
        check_side_effects(self.book, rows, self.effects, self.programs)
        self.book.judge(SLACK_S)
        self.audit = run_audit(self.stack, self.book)
        self.rows = rows

    def report(self):
        wrong = self.book.wrong
        for sentence, id in wrong[:40]:
            print("WRONG:", sentence, id or "")
        for id in list(dict.fromkeys(id for _, id in wrong if id))[:self.options.histories]:
            print(history(self.stack, self.effects, id))
        left = self.stack.end(keep=bool(wrong) or self.options.keep)
        for line in left:
            print("WRONG:", line)
        self.effects.close()
        self.models.close()
        if hasattr(self, "webhooks"):
            self.webhooks.close()
        if hasattr(self, "pushes"):
            self.pushes.destination.close()
        waits = sorted(self.book.first_after, key=lambda f: -f[2])[:3]
        summary = {"seed": self.seed, "faults": len(self.done), "kinds": len(set(self.done)), "unmet": getattr(self, "faults", None) and self.faults.unmet,
                   "acknowledged": len(self.book.acknowledged()), "executions": len(getattr(self, "rows", {})), "hostile": bool(self.options.hostile),
                   "requeued": sum(int(r.losses) for r in getattr(self, "rows", {}).values()),
                   "attempts": sum(r.attempts for r in getattr(self, "rows", {}).values()),
                   "side_effects": len(self.effects.calls), "longest_until_accepted": waits,
                   "counts": dict(sorted(self.book.counts.items())), "wrong": len(wrong) + len(left)}
        print(json.dumps(summary))
        if wrong or left:
            print(f"FAILED with seed {self.seed}: scripts/fault --minutes {self.options.minutes} --seed {self.seed}{' --objects' if self.options.objects else ''}"
                  f"   (logs: {self.stack.dir}/logs)")
        else:
            print(f"fault: {len(self.done)} faults of {len(set(self.done))} kinds, {summary['executions']} executions, nothing lost, "
                  f"nothing executed twice, audit clean (seed {self.seed})")
        self.failed = bool(wrong or left)


def main():
    p = argparse.ArgumentParser(prog="fault", description="Injects faults into a Millrace under load, then compares the record of all responses and side effects with its data.")
    p.add_argument("--minutes", type=float, default=2, help="how long to inject faults (default 2)")
    p.add_argument("--seed", type=int, default=int(time.time()) % 100000, help="determines the requests and the order of the faults")
    p.add_argument("--clients", type=int, default=6)
    p.add_argument("--pace", type=float, default=0.12, help="mean seconds between two requests of a client")
    p.add_argument("--pause", type=float, default=0.6, help="mean seconds between two faults")
    p.add_argument("--hostile", action=argparse.BooleanOptionalAction, default=None,
                   help="a hostile tenant as a further load (default: if --minutes is more than 1)")
    p.add_argument("--objects", action="store_true", help="keep files in an object store (npm's s3rver), which fails as well")
    p.add_argument("--only", help="inject only the faults that match this regular expression")
    p.add_argument("--keep", action="store_true", help="keep the directory of the stack")
    p.add_argument("--histories", type=int, default=3, help="number of execution histories that a failure prints")
    options = p.parse_args()
    if options.hostile is None:
        options.hostile = options.minutes > 1
    harness = Harness(options)
    harness.run()
    sys.exit(1 if harness.failed else 0)


if __name__ == "__main__":
    if os.environ.get("MILLRACE_BIN") is None:
        sys.exit("start it with scripts/fault")
    main()
