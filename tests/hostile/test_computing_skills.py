"""Skills that compute: as many at the same time as the executors take, in four processes each, with sessions of their own. It is what a skill is
for, and their niceness lets the threads of the services go first."""
import contextlib

import skills
from sandboxes import commands
from stack import eventually

# each run ends when it is stopped
RUNS, FORKS = 16, 4
COMPUTE = f"""
import os, time
for _ in range({FORKS}):
    if os.fork() == 0:
        os.setsid()
        while True: pass
time.sleep(300)
"""


def test_skills_that_compute(stack, attacker, beside):
    skills.probe(attacker, COMPUTE, runner={"type": "command", "argv": ["python3", "./main.py"]}, timeout_seconds=300)
    space = skills.Space(attacker)

    @contextlib.contextmanager
    def attacking():
        ids = [space.started("probe") for _ in range(RUNS)]
        eventually(lambda: commands(stack).count("R") >= RUNS * FORKS, 60, "all compute")
        yield
        for id in ids:
            assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
        assert {space.finished(id)["state"] for id in ids} == {"stopped"}
    beside(attacking())
