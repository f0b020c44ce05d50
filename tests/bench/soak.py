#!/usr/bin/python3
"""soak.py [--minutes 60] [--rate 300] [--json FILE]: a long run on a private stack, to see what drifts.

A victim starts runs at a steady rate over 16 connections; a request's latency is counted from the moment it was due. Beside it a noisy
neighbour starts runs as fast as it is answered on 8 connections, every third minute another workspace queues 20,000 runs at once, every
fourth minute a process is killed (an executor and an API worker in turn), and each window adds old runs, with all their rows, which
retention has to remove. A line a window of 10 s goes to the JSON file: what was started, finished and is open, p50 and p99, the size of
every table, Redis' memory, the PSS of every program, and MariaDB's writes and syncs of its log.

After the last run has ended the first sixth of the windows after two minutes is compared with the last sixth. It exits with 1 if fewer
runs were finished than 0.95 times of the first, if a program has grown by more than a tenth and 8 MiB, if old runs are left, if a run is
lost, or if the audit reports something."""
import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from bench import LUA, ROOT, Bench  # noqa: E402
from purging import start_runs, CONNECTIONS  # noqa: E402
from runs import OPEN  # noqa: E402
from stack import eventually  # noqa: E402

WINDOW_S, WARM_S = 10, 120
AUDIT_S = 1800          # of some millions of runs
OLD_RUNS = 500          # of each window
BURST, BURST_EVERY_S, KILL_EVERY_S = 20000, 180, 240
LEAST_RATE, MOST_GROWTH, GROWTH_KIB = 0.95, 1.1, 8192
MAINTAINED = "SELECT COUNT(*) FROM executions WHERE workspace_id = '{}' AND purged_ms IS NULL"


class Neighbour:
    """Starts runs without a pause, until it is stopped."""

    def __init__(self, bench, party, seconds):
        env = {**os.environ, "BENCH_DIR": str(LUA), "BENCH_KEYS": party["key"], "BENCH_WORKFLOWS": party["workflow"]}
        self.process = subprocess.Popen(["wrk", "-t1", "-c8", f"-d{round(seconds)}s", "--timeout", "30s", "-s", str(LUA / "accept.lua"), bench.stack.url],
                                        env=env, stdout=subprocess.DEVNULL, start_new_session=True)

    def stop(self):
        assert self.process.poll() is None, "the neighbour has ended"
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)


def burst(party):
    client = party["workspace"].client()
    for _ in range(BURST // 1000):
        answer = client.post(f"/workflows/{party['workflow']}/run-batch", json={"items": [{"inputs": {"n": 1}}] * 1000})
        assert answer.status_code == 200, answer.text


def kill_one(stack, n):
    victim = random.choice(stack.children("executor" if n % 2 == 0 else "api"))
    os.kill(victim, signal.SIGKILL)
    return f"killed {'an executor' if n % 2 == 0 else 'an API worker'}"


def state(stack, old):
    tables = {name: int(size) for name, size in stack.sql(
        "SELECT table_name, data_length + index_length FROM information_schema.tables WHERE table_schema = 'millrace' AND table_type = 'BASE TABLE'")}
    status = dict(stack.sql("SHOW GLOBAL STATUS WHERE Variable_name IN ('Innodb_os_log_written', 'Innodb_data_fsyncs')"))
    memory = next(line for line in stack.redis("INFO", "memory").splitlines() if line.startswith("used_memory:"))
    return {"open": int(stack.sql_one(OPEN)), "finished": int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE state > 2 AND workspace_id <> '{old}'")), "tables": tables,
            "redis": int(memory.split(":")[1]), "log_bytes": int(status["Innodb_os_log_written"]), "fsyncs": int(status["Innodb_data_fsyncs"])}


def window(bench, victim, rate):
    took, failed = [], []

    def work(n):
        try:
            start_runs(bench.stack, victim["key"], victim["workflow"], rate, WINDOW_S, n, took)
        except Exception as e:  # a worker that was killed with this request: the client repeats it
            failed.append(repr(e))
    threads = [threading.Thread(target=work, args=(n,)) for n in range(CONNECTIONS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    took.sort()
    return {"started": len(took), "failed": failed, "p50_ms": round(took[len(took) // 2], 2), "p99_ms": round(took[len(took) * 99 // 100], 2)}


def measure(bench, o, out):
    stack, victim = bench.stack, bench.main
    noisy, bursty, old = bench.populate(10**9), bench.populate(10**9), bench.populate(10**9)
    stack.cli("workspace", "set", "--workspace", old["workspace"].id, "--keep-payload-days", 20)
    neighbour = Neighbour(bench, noisy, o.minutes * 60 + 600)
    began, lines, kills, bursts, before = time.monotonic(), [], 0, 0, state(stack, old["workspace"].id)
    try:
        while (past := time.monotonic() - began) < o.minutes * 60:
            did = []
            rows.insert(stack.sql_long, old["workspace"].id, old["workflow"], OLD_RUNS, rows.days_ago(40 - past / 86400), seed=len(lines) % 4096, keyed=True)
            stack.sql("UPDATE retention SET due_ms = 0")
            if past > BURST_EVERY_S * (bursts + 1):
                burst(bursty)
                bursts += 1
                did.append(f"queued {BURST} runs")
            if past > KILL_EVERY_S * (kills + 1):
                did.append(kill_one(stack, kills))
                kills += 1
            at = time.monotonic()
            line = window(bench, victim, o.rate)
            after = state(stack, old["workspace"].id)
            line.update(at_s=round(past), did=did, finished_per_s=round((after["finished"] - before["finished"]) / (time.monotonic() - at)),
                        old=int(stack.sql_one(MAINTAINED.format(old["workspace"].id))), pss_kib=bench.memory(), **after)
            before = after
            lines.append(line)
            out.write(json.dumps(line) + "\n")
            out.flush()
            print(f"{line['at_s']:6} s  p50 {line['p50_ms']:7.2f}  p99 {line['p99_ms']:8.2f} ms  finished {line['finished_per_s']:6}/s  open {line['open']:6}"
                  f"  old {line['old']:6}  {sum(line['pss_kib'].values()) / 1024:6.1f} MiB  {', '.join(did)}", flush=True)
    finally:
        neighbour.stop()
    eventually(lambda: stack.sql_one(OPEN) == "0", 900, "end of all runs")
    stack.sql("UPDATE retention SET due_ms = 0")
    eventually(lambda: stack.sql_one(MAINTAINED.format(old["workspace"].id)) == "0", 300, "retention of the old runs")
    return lines


def judge(lines, audit):
    lines = [line for line in lines if line["at_s"] >= WARM_S] or lines
    n = max(1, len(lines) // 6)
    first, last = lines[:n], lines[-n:]
    wrong = []

    def median(part, value):
        return statistics.median(value(line) for line in part)
    rate = median(last, lambda l: l["finished_per_s"]) / median(first, lambda l: l["finished_per_s"])
    p99 = median(first, lambda l: l["p99_ms"]), median(last, lambda l: l["p99_ms"])
    if rate < LEAST_RATE:
        wrong.append(f"finished {rate:.2f} of the runs of the beginning")
    memory = {}
    for name in first[0]["pss_kib"]:
        a, b = (median(part, lambda l: l["pss_kib"].get(name, 0)) for part in (first, last))
        memory[name] = (round(a), round(b))
        if b > a * MOST_GROWTH and b - a > GROWTH_KIB:
            wrong.append(f"{name} has grown from {a:.0f} to {b:.0f} KiB")
    if audit[0] != 0:
        wrong.append(f"audit: {audit[1]}{audit[2]}")
    return {"windows": len(lines), "finished_ratio": round(rate, 3), "p99_ms": p99, "pss_kib": memory, "wrong": wrong}


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=60)
    options.add_argument("--rate", type=int, default=300)
    options.add_argument("--json", default=str(ROOT / "build/soak.jsonl"))
    o = options.parse_args()
    bench = Bench({"executor.processes": "2"})
    try:
        bench.start()
        with open(o.json, "w") as out:
            lines = measure(bench, o, out)
        result = judge(lines, bench.stack.cli("audit", check=False, timeout=AUDIT_S))
    finally:
        bench.close()
    print(json.dumps(result, indent=1))
    sys.exit(1 if result["wrong"] else 0)


if __name__ == "__main__":
    main()
