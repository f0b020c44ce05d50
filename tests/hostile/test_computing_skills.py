"""16 skills that keep the processors busy from four processes each, with sessions of their own: some compute, which is what a skill is for, and
some sleep and wake up all the time. Their niceness lets the threads of the executor go first."""
import contextlib

import pytest
import skills
from sandboxes import commands
from stack import eventually

RUNS, FORKS = 16, 4
WAYS = {"compute": "pass", "wake_up": "time.sleep(0.0005)"}
# each run ends when it is stopped
SKILL = f"""
import os, time
for _ in range({FORKS}):
    if os.fork() == 0:
        os.setsid()
        while True: @WAY@
time.sleep(300)
"""


@pytest.mark.parametrize("way", WAYS)
def test_skills_that_only(way, stack, attacker, beside):
    skills.probe(attacker, SKILL.replace("@WAY@", WAYS[way]), runner={"type": "command", "argv": ["python3", "./main.py"]}, timeout_seconds=300)
    space = skills.Space(attacker)

    @contextlib.contextmanager
    def attacking():
        ids = [space.started("probe") for _ in range(RUNS)]
        eventually(lambda: len(commands(stack)) >= RUNS * (FORKS + 1), 60, "all processes")
        yield
        for id in ids:
            assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
        assert {space.finished(id)["state"] for id in ids} == {"stopped"}
    beside(attacking())
