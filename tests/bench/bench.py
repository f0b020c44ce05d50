#!/usr/bin/python3
"""bench.py [--seconds S] [--rounds R] [--json FILE] [CASE…]: compares Millrace with its baselines on one private stack.

The relevant figures are ratios of two cases measured in the same minute: the cases run one after the other, round after round, and
medians are compared. Prints a table and writes it as JSON.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/api"))
import runs  # noqa: E402
from stack import Stack, alive, eventually  # noqa: E402

LUA = ROOT / "tests/bench/wrk"
TOOLS = ROOT / "build/plain"
WORKERS = 32
TRANSFORM = {"steps": [{"name": "sum", "type": "transform", "value": {"n": "${/inputs/n}"}}]}

BATCH_ITEMS = 1024

# name: (wrk script, connections, additional environment)
CASES = {
    "hello": ("floor_accept.lua", 64, {"BENCH_PATH": "/bench/hello"}),
    "hello+evalsha": ("floor_accept.lua", 64, {"BENCH_PATH": "/bench/hello-redis"}),
    "floor accept": ("floor_accept.lua", 64, {"BENCH_PATH": "/bench/accept"}),
    "floor accept, 1 connection": ("floor_accept.lua", 1, {"BENCH_PATH": "/bench/accept"}),
    "floor get": ("floor_get.lua", 64, {"BENCH_PATH": "/bench/get"}),
    "floor batch": ("floor_batch.lua", 2, {"BENCH_PATH": "/bench/batch", "BENCH_ITEMS": str(BATCH_ITEMS)}),
    "accept": ("accept.lua", 64, {}),
    "accept, 1 connection": ("accept.lua", 1, {}),
    "accept keyed": ("accept_keyed.lua", 64, {}),
    "accept 100 workspaces": ("accept.lua", 64, "many"),
    "accept, 3 grants, 2 budgets": ("accept.lua", 64, "granted"),
    "run-batch": ("run_batch.lua", 2, {"BENCH_ITEMS": str(BATCH_ITEMS)}),
    "402": ("accept.lua", 64, "empty"),
    "replay": ("replay.lua", 64, {}),
    "get": ("get.lua", 64, {}),
    "list": ("list.lua", 64, {}),
}
# (case, measure, compared with, least required ratio (for latencies and CPU: greatest))
TARGETS = [
    ("accept", "rate", "floor accept", 2.0),
    ("accept", "rate", "hello", 0.20),
    ("accept keyed", "rate", "accept", 0.8),
    ("run-batch", "rate", "accept", 2.5),
    ("run-batch", "cpu", "floor batch", 1.5),
    ("402", "rate", "accept", 1.0),
    ("replay", "rate", "hello+evalsha", 0.8),
    ("get", "rate", "floor get", 0.85),
    ("accept 100 workspaces", "rate", "accept", 0.85),
    ("accept, 3 grants, 2 budgets", "rate", "accept", 0.85),
    ("accept, 1 connection", "p50", "floor accept, 1 connection", 1.3),
]
IDLE_RUNS = 300
IDLE, END_TO_END = "idle", "end to end"  # cases that need the executor; see runs.py
EXPECTED = {"402": "402", "get": "200", "list": "200", "floor get": "200", "run-batch": "200", "floor batch": "200"}
RUNS = {"run-batch": BATCH_ITEMS, "floor batch": BATCH_ITEMS}  # runs of one request, where rates and CPU are counted by runs


class Bench:
    def __init__(self, settings=None, with_floors=True):
        subprocess.run(["make", "-s", "-j2", "all", "bench-tools"], cwd=ROOT, check=True)
        self.stack = Stack({"api.workers": str(WORKERS), "api.queue_ms": "100", "api.rate_limit_per_minute": "100000000", "log.level": "warn", "mariadb.log_mib": "1024", **(settings or {})})
        self.floors, self.with_floors = [], with_floors
        self.tools = TOOLS
        self.running = True  # whether the executor runs

    def start(self):
        self.stack.start()
        self.stack.wait_ready()
        self.main = self.populate(10**9)
        self.empty = self.populate(0)
        self.granted = self.populate_granted()
        self.many = [self.populate(10**7) for _ in range(int(os.environ.get("BENCH_WORKSPACES", "100")))]
        client = self.main["workspace"].client()
        self.executions = [client.started(self.main["workflow"], {"n": 1}) for _ in range(200)]
        for run in self.executions:
            client.finished(run)
        client.run(self.main["workflow"], {"n": 1}, key="bench-replay")  # the response that the case "replay" gets
        if self.with_floors:
            self.start_floors()

    def populate(self, credits):
        workspace = self.stack.workspace(credits=credits)
        return {"workspace": workspace, "key": workspace.key()["key"], "workflow": workspace.put_workflow(TRANSFORM)}

    def populate_granted(self):
        """Three grants that none of the runs uses up, and two budgets that allow all of them."""
        made = self.populate(10**7)
        of = ("--workspace", made["workspace"].id)
        for category, expires in (("promotional", "2099-01-01"), ("paid", "2098-01-01")):
            self.stack.set_up("credits", "grant", *of, "--credits", 10**7, "--reason", "bench", "--category", category, "--expires-at", expires)
        for scope, target, period in (("workspace", (), "month"), ("responder", ("--target", made["workflow"]), "day")):
            self.stack.set_up("budget", "set", *of, "--scope", scope, *target, "--period", period, "--limit", 10**9, "--soft-percent", 80)
        return made

    def start_floors(self):
        stack, sockets = self.stack, self.stack.dir / "sockets"
        stack.sql((ROOT / "tests/bench/floor.sql").read_text())
        database = [sockets / "mariadb.sock", "root", "", sockets / "redis.sock", self.main["workspace"].id, self.main["workflow"]]
        programs = {
            "hello": [TOOLS / "bench-hello", sockets / "b-hello", WORKERS],
            "hello-redis": [TOOLS / "bench-hello", sockets / "b-redis", WORKERS, sockets / "redis.sock"],
            "accept": [TOOLS / "bench-floor", "accept", sockets / "b-accept", WORKERS, *database],
            "get": [TOOLS / "bench-floor", "get", sockets / "b-get", WORKERS, *database],
            "batch": [TOOLS / "bench-floor", "batch", sockets / "b-batch", 2, *database],
        }
        locations = ""
        for name, command in programs.items():
            self.floors.append(subprocess.Popen([str(c) for c in command], env=stack.env, start_new_session=True))
            socket = next(c for c in command if "/b-" in str(c))
            eventually(lambda: pathlib.Path(socket).exists(), 10, f"floor {name}")
            locations += (f"location /bench/{name} {{ include {stack.dir}/nginx/bench_params; fastcgi_pass unix:{socket}; }}\n")
        (stack.dir / "nginx/bench_params").write_text(FASTCGI_PARAMS)
        (stack.dir / "nginx/server.d/bench.conf").write_text(locations)
        old = stack.children("nginx")
        os.kill(stack.pid("nginx"), signal.SIGHUP)
        eventually(lambda: not any(alive(p) for p in old), 10, "end of the old nginx workers")
        eventually(lambda: b"execution_id" in subprocess.run(["curl", "-s", f"{stack.url}/bench/hello"], capture_output=True).stdout,
                   10, "the baselines behind nginx")

    def stop_executor(self):
        """Acceptance is measured without runs being executed."""
        self.stack.stop_server("executor")
        self.running = False

    def environment(self, extra):
        parts = {"many": self.many, "empty": [self.empty], "granted": [self.granted]}.get(extra, [self.main]) if isinstance(extra, str) else [self.main]
        return {**os.environ, "BENCH_DIR": str(LUA), "BENCH_KEYS": ",".join(p["key"] for p in parts),
                "BENCH_WORKFLOWS": ",".join(p["workflow"] for p in parts), "BENCH_EXECUTIONS": ",".join(self.executions),
                **(extra if isinstance(extra, dict) else {})}

    def cpu(self):
        """Microseconds of CPU used so far, by program. Ended children count with their parents."""
        used = {}
        for name in ("mariadb", "redis", "nginx", "api", *(["executor"] if self.running else [])):
            used[name] = sum(cpu_us(p) for p in family(self.stack.pid(name)))
        used["floor"] = sum(cpu_us(p) for f in self.floors for p in family(f.pid))
        return used

    def run(self, name, seconds):
        script, connections, extra = CASES[name]
        before = self.cpu()
        done = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s", str(LUA / script), self.stack.url],
                              env=self.environment(extra), capture_output=True, text=True, timeout=seconds + 60)
        line = next((l for l in done.stdout.splitlines() if l.startswith("BENCH ")), None)
        assert line, done.stdout + done.stderr
        r = json.loads(line[6:])
        want = EXPECTED.get(name, "202")
        wrong = {k: v for k, v in r["statuses"].items() if k != want}
        assert not wrong and not r["socket_errors"], f"{name}: expected {want}, saw {r['statuses']}, {r['socket_errors']} socket errors"
        # wrk ends with the time: a machine that is too busy for one response has none
        assert r["requests"], f"{name}: no response within {seconds} s (load average {os.getloadavg()[0]:.0f}); try --seconds {4 * seconds}"
        after = self.cpu()
        n = r["requests"] * RUNS.get(name, 1)
        return {"rate": n / (r["duration_us"] / 1e6), "p50": r["p50_us"], "p99": r["p99_us"],
                "cpu_us": {k: (after[k] - before[k]) / n for k in before}}

    def close(self):
        for p in self.floors:
            os.killpg(p.pid, signal.SIGKILL)
            p.wait()
        self.stack.close()

    def memory(self):
        """PSS in KiB, by program."""
        found = {}
        for name in ("api", "executor", "stream"):
            pid = self.stack.pid(name)
            if pid:
                found[name] = sum(pss(p) for p in family(pid))
        return found


def family(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [p for c in children for p in family(int(c))]


def cpu_us(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000000 // os.sysconf("SC_CLK_TCK")


def pss(pid):
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


FASTCGI_PARAMS = """
fastcgi_param REQUEST_METHOD $request_method;
fastcgi_param REQUEST_URI $request_uri;
fastcgi_param CONTENT_TYPE $content_type;
fastcgi_param CONTENT_LENGTH $content_length;
"""


def spread(values):
    return (max(values) - min(values)) / statistics.median(values) if len(values) > 1 else 0.0


def main():
    options = argparse.ArgumentParser(prog="bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=int, default=5)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--json", default=str(ROOT / "build/bench.json"))
    options.add_argument("cases", nargs="*")
    o = options.parse_args()
    wanted = o.cases or [IDLE, END_TO_END, *CASES]
    if unknown := [name for name in wanted if name not in (IDLE, END_TO_END, *CASES)]:
        options.error(f"unknown case: {unknown[0]} (cases: {', '.join((IDLE, END_TO_END, *CASES))})")
    bench = Bench()
    results, extras = {name: [] for name in wanted if name in CASES}, {}
    try:
        bench.start()
        extras["pss_idle_kib"] = bench.memory()
        if IDLE in wanted:
            extras["idle"] = runs.idle(bench, IDLE_RUNS)
        if END_TO_END in wanted:
            extras["end_to_end"] = runs.end_to_end(bench, o.seconds)
        bench.stop_executor()
        for name in results:
            bench.run(name, o.seconds)  # not counted: each worker compiles each program once
        for _ in range(o.rounds):
            for name in results:
                results[name].append(bench.run(name, o.seconds))
        extras["pss_after_kib"] = bench.memory()
    finally:
        bench.close()
    report(results, extras, o)


def figure(result, measure):
    return sum(result["cpu_us"].values()) if measure == "cpu" else result[measure]


def report(results, extras, o):
    median = {n: {m: statistics.median(r[m] for r in runs) for m in ("rate", "p50", "p99")} for n, runs in results.items()}
    print(f"{'case':32} {'req/s':>9} {'spread':>7} {'p50 ms':>8} {'p99 ms':>8}   CPU µs per request")
    for name, m in median.items():
        cpu = {k: statistics.median(r["cpu_us"][k] for r in results[name]) for k in results[name][0]["cpu_us"]}
        print(f"{name:32} {m['rate']:9.0f} {spread([r['rate'] for r in results[name]]):6.0%} {m['p50'] / 1000:8.2f} {m['p99'] / 1000:8.2f}   "
              + " ".join(f"{k} {v:.0f}" for k, v in cpu.items() if v >= 1) + f", together {sum(cpu.values()):.0f}")
    ratios = []
    for case, measure, against, target in TARGETS:
        if case in median and against in median:
            # ratios within one round, because the speed of the machine changes from minute to minute
            each = [figure(a, measure) / figure(b, measure) for a, b in zip(results[case], results[against])]
            ratio = statistics.median(each)
            holds = ratio <= target if measure in ("p50", "cpu") else ratio >= target
            ratios.append({"case": case, "measure": measure, "against": against, "ratio": ratio, "each": each, "target": target, "holds": holds})
    if "end_to_end" in extras and "floor accept" in median:
        best = extras["end_to_end"]
        ratio = best["rate"] / median["floor accept"]["rate"]
        cpu = " ".join(f"{k} {v:.0f}" for k, v in best["cpu_us"].items() if v >= 1)
        print(f"{'end to end, one transform':32} {best['rate']:9.0f} {'':25}   {cpu}, together {sum(best['cpu_us'].values()):.0f}")
        ratios.append({"case": "end to end", "measure": "rate", "against": "floor accept", "ratio": ratio, "each": [ratio], "target": 1.2,
                       "holds": ratio >= 1.2})
    for r in ratios:
        print(f"{r['case']} {r['measure']} / {r['against']}: {r['ratio']:.2f} ({min(r['each']):.2f} to {max(r['each']):.2f}; required: {r['target']}) "
              f"{'holds' if r['holds'] else 'FALLS SHORT'}")
    if "idle" in extras:
        event, answer = extras["idle"]["from_event_ms"], extras["idle"]["from_answer_ms"]
        print(f"idle, from the event of the acceptance to the last event: p50 {event['p50']:.2f} ms, p90 {event['p90']:.2f} ms; "
              f"from the response: p50 {answer['p50']:.2f} ms, p90 {answer['p90']:.2f} ms")
    for when in ("pss_idle_kib", "pss_after_kib"):
        if when in extras:
            print(f"{when}: {extras[when]}, together {sum(extras[when].values()) / 1024:.1f} MiB")
    pathlib.Path(o.json).write_text(json.dumps({"cases": results, "medians": median, "ratios": ratios, **extras}, indent=1))
    print(f"written: {o.json}")


if __name__ == "__main__":
    main()
