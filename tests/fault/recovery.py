"""Measures the time until the system works normally after a loss (scripts/fault --recovery). Prints one JSON object; exits with 1 if
a target is missed."""
import json
import os
import pathlib
import shutil
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import Effects, Stack, eventually  # noqa: E402
from book import Caller  # noqa: E402
from faults import roll_api  # noqa: E402

IN_FLIGHT = 200  # over two processes


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url):
    return step(name, "http", request={"method": "POST", "url": url, "body": {}})


class Asker(threading.Thread):
    """Starts one run after the other and records every response with its times."""

    def __init__(self, caller, workflow, pause=0.01):
        super().__init__(daemon=True)
        self.caller, self.workflow, self.pause = caller, workflow, pause
        self.answers, self.ids, self.over = [], [], threading.Event()
        self.start()

    def run(self):
        while not self.over.is_set():
            sent = time.monotonic()
            answer = self.caller.call("POST", f"/workflows/{self.workflow}/run-async", {})
            self.answers.append((sent, time.monotonic(), answer.status))
            if answer.status == 202:
                self.ids.append(answer.json["execution_id"])
            time.sleep(self.pause)

    def end(self):
        self.over.set()
        self.join(90)
        return self

    def first_accepted_after(self, moment):
        return min((received for sent, received, status in self.answers if status == 202 and sent >= moment), default=None)

    def failed(self):
        return [status for _, _, status in self.answers if status != 202]

    def longest(self):
        return max(received - sent for sent, received, _ in self.answers)


def executor_killed(stack, workspace, caller, effects):
    release = effects.hold("/hold")
    held = workspace.put_workflow({"steps": [http("a", effects.url + "/hold")]})
    for _ in range(IN_FLIGHT):
        assert caller.call("POST", f"/workflows/{held}/run-async", {}).status == 202
    effects.wait_for("/hold", IN_FLIGHT, 60)
    of_process = {}
    for host_pid, in stack.sql("SELECT x.pid FROM executions e JOIN executors x ON x.id = e.executor_id WHERE e.state = 2"):
        of_process[int(host_pid)] = of_process.get(int(host_pid), 0) + 1
    victim, n = max(of_process.items(), key=lambda p: p[1])
    os.kill(victim, signal.SIGKILL)
    begun = time.monotonic()
    effects.wait_for("/hold", IN_FLIGHT + n, 60)
    seconds = time.monotonic() - begun
    release()
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 60, "end of all runs")
    failed = stack.sql_one("SELECT COUNT(*) FROM executions WHERE state <> 3")
    keys = effects.by_key("/hold")
    return {"runs_in_flight_of_the_killed": n, "all_running_again_s": round(seconds, 2), "failed_runs": int(failed),
            "side_effects_repeated_with_the_same_key": sum(c - 1 for c in keys.values()),
            "kept": seconds < 20 and failed == "0" and len(keys) == IN_FLIGHT}


def redis_lost(stack, workspace, caller, effects):
    plain = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    asker = Asker(caller, plain)
    time.sleep(0.5)
    stack.kill_server("redis")
    gone = time.monotonic()
    time.sleep(1)
    shutil.rmtree(stack.dir / "data/redis")
    (stack.dir / "data/redis").mkdir()
    stack.start_server("redis")
    back = time.monotonic()
    time.sleep(1)
    asker.end()
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 30, "end of all runs")
    return {"first_accepted_after_the_loss_s": round(asker.first_accepted_after(gone) - gone, 3),
            "first_accepted_after_the_return_s": round(asker.first_accepted_after(back) - back, 3),
            "refused": len(asker.failed()), "longest_answer_s": round(asker.longest(), 3),
            "kept": not asker.failed()}


def mariadb_returns(stack, workspace, caller, effects):
    plain = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    asker = Asker(caller, plain)
    time.sleep(0.5)
    stack.kill_server("mariadb")
    time.sleep(3)
    stack.start_server("mariadb")
    back = time.monotonic()
    time.sleep(3)
    asker.end()
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 60, "end of all runs")
    seconds = max(0, asker.first_accepted_after(back - 1) - back)
    return {"first_accepted_after_the_return_s": round(seconds, 3), "statuses_meanwhile": sorted(set(asker.failed())),
            "longest_answer_s": round(asker.longest(), 3), "kept": seconds < 2 and set(asker.failed()) <= {502, 503, 504}}


def rolling_restart(stack, workspace, caller, effects):
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/roll"), step("b", "delay", seconds=0.3),
                                                 http("c", effects.url + "/roll")]})
    before = int(stack.sql_one("SELECT COUNT(*) FROM executions WHERE state IN (4, 5)"))
    askers = [Asker(caller, workflow, 0.05) for _ in range(4)]
    time.sleep(1)
    for _ in range(2):
        roll_api(stack)
        time.sleep(0.5)
        stack.restart_server("executor")
        time.sleep(0.5)
        os.kill(stack.pid("nginx"), signal.SIGHUP)
        time.sleep(0.5)
        if stack.pid("stream"):
            stack.restart_server("stream")
    requests = sum(len(a.end().answers) for a in askers)
    failed = [s for a in askers for s in a.failed()]
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", 60, "end of all runs")
    runs = int(stack.sql_one("SELECT COUNT(*) FROM executions WHERE state IN (4, 5)")) - before
    again = stack.sql_one("SELECT COUNT(*) FROM (SELECT execution_id, JSON_VALUE(data, '$.index') i, COUNT(*) n FROM events "
                          "WHERE type = 4 GROUP BY execution_id, i HAVING n > 1) x")
    return {"requests": requests, "failed_requests": failed, "failed_runs": runs, "committed_steps_repeated": int(again),
            "runs": sum(len(a.ids) for a in askers), "longest_answer_s": round(max(a.longest() for a in askers), 3),
            "kept": not failed and runs == 0 and again == "0"}


def main():
    stack = Stack({"executor.max_active": "150", "executor.processes": "2", "api.rate_limit_per_minute": "1000000"})
    effects = Effects()
    found = {}
    try:
        stack.start()
        workspace = stack.workspace(credits=1000000)
        caller = Caller(stack.port, workspace.key()["key"])
        for measure in (executor_killed, redis_lost, mariadb_returns, rolling_restart):
            found[measure.__name__] = measure(stack, workspace, caller, effects)
            print(measure.__name__, json.dumps(found[measure.__name__]), flush=True)
        code, out, _ = stack.cli("audit", "--at-rest", check=False)
        found["audit"] = {"kept": code == 0}
    finally:
        effects.close()
        stack.close()
    print(json.dumps(found))
    sys.exit(0 if all(f["kept"] for f in found.values()) else 1)


if __name__ == "__main__":
    main()
