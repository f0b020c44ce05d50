"""Commands of one workspace with hundreds of processes that compute, which is within the limits of each; another workspace starts a command now and
then. The processors are shared among workspaces and not among processes: it must not wait for its turn behind each of these, but behind one."""
import contextlib
import datetime
import os

import pytest
import skills
from groups import parent
from sandboxes import commands
from stack import eventually
from victim import Times, judge

RUNS, FORKS = 10, 40
SLICE_MS = 100  # of a command (lib/base/sched.h)
SAMPLES = max(20, int(os.environ.get("HOSTILE_SAMPLES", "100")) // 5)
SKILL = f"""
import os, time
for _ in range({FORKS}):
    if os.fork() == 0:
        while True: pass
time.sleep(300)
"""


def moment(text):
    return datetime.datetime.fromisoformat(text)


def measured(space):
    """Runs of the victim's command, one after the other: none may fail."""
    times = Times([], [], [])
    for _ in range(SAMPLES):
        x = space.ran("probe", {})
        if x["state"] != "succeeded":
            times.refused.append(f"{x['id']} {x['state']}: {x.get('failure_reason')}")
            break
        times.accept_ms.append(0)
        times.finish_ms.append((moment(x["finished_at"]) - moment(x["created_at"])).total_seconds() * 1000)
    return times


def test_many_processes(stack, attacker, beside):
    if not parent("cpu", "cpu.weight"):
        pytest.skip("needs control groups of the processor, of version 2")
    victim = stack.workspace(credits=1000000, rate_limit_per_minute=60000)
    skills.probe(attacker, SKILL, runner={"type": "command", "argv": ["python3", "./main.py"]}, timeout_seconds=300)
    skills.probe(victim, 'print("{}")', runner={"type": "command", "argv": ["python3", "./main.py"]})
    space, its = skills.Space(attacker), skills.Space(victim)
    alone = measured(its)

    @contextlib.contextmanager
    def attacking():
        ids = [space.started("probe") for _ in range(RUNS)]
        eventually(lambda: len(commands(stack)) >= RUNS * (FORKS + 1), 120, "all processes")
        during = measured(its)
        yield
        for id in ids:
            assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
        assert {space.finished(id)["state"] for id in ids} == {"stopped"}
        judge("commands_beside_them", alone, during, [], more_ms=20 + SLICE_MS)
    beside(attacking())
    assert stack.log("executor").count(" runner.started_again ") == 0
