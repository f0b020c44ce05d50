"""Fixtures of the hostile suite: one real stack per attack, with the default limits, and a victim on it.

The samples of a measurement: HOSTILE_SAMPLES (100).
HOSTILE_MEMORY_MIB: the memory that each server may take (see groups.py); a module whose attack makes the kernel kill a process fails.
HOSTILE_COUNTS=1: judges refusals, failures, fences and completion only, and no times.
"""
import os
import pathlib
import sys

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent), str(pathlib.Path(__file__).resolve().parents[1] / "api")]
from groups import SERVERS, Groups  # noqa: E402
from stack import Effects, Stack, running  # noqa: E402
from victim import Victim, fenced, judge  # noqa: E402

SAMPLES = int(os.environ.get("HOSTILE_SAMPLES", "100"))


MEMORY_MIB = int(os.environ.get("HOSTILE_MEMORY_MIB", "0"))


class UnitsStack(Stack):
    """A stack whose servers are in the control groups that their units have, also after a restart."""

    def start(self):
        self.groups = Groups(self, MEMORY_MIB)
        super().start()
        for server in SERVERS:
            self.restart_server(server)
        self.wait_ready()
        return self

    def start_server(self, name):
        self.prefix = self.groups.prefix(name) if name in SERVERS else []
        try:
            super().start_server(name)
        finally:
            self.prefix = []

    def close(self):
        used = self.groups.report()
        try:
            super().close()
        finally:
            self.groups.remove()
        if used:
            print("memory: " + ", ".join(f"{server} {mib} MiB, {kills} kills" for server, (mib, kills) in used.items()))
        assert all(kills == 0 for _, kills in used.values()), f"the kernel killed processes at {MEMORY_MIB} MiB: {used}"


@pytest.fixture(scope="module")
def stack(request):
    # queue_ms and the limits per address have their defaults: an attacker who makes the pool reject the victim's requests has succeeded
    s = UnitsStack({"mariadb.log_mib": "1024", "api.queue_ms": "100", "nginx.address_connections": "1000", "nginx.address_requests": "1000", "nginx.address_burst": "2000",
               "nginx.address_bodies": "64", "nginx.address_body_rate": "50",
               "api.unknown_keys_per_s": "100", **getattr(request.module, "SETTINGS", {})}, getattr(request.module, "TLS", False))
    with running(s):
        yield s


@pytest.fixture
def effects():
    e = Effects()
    yield e
    e.close()


@pytest.fixture(scope="module")
def victim(stack):
    v = Victim(stack)
    v.measure(20)  # warm-up: compiling and caching at the first use must not affect the comparison
    return v


@pytest.fixture
def beside(stack, victim, request):
    """beside(attack): measures the victim alone, then inside `with attack:`, and judges."""
    def run(attack):
        os.sync()  # what stacks before this one have removed is given back to the disk now, and holds no commit of the victim
        alone = victim.measure(SAMPLES)
        before = len(fenced(stack))
        with attack as entered:
            during = victim.measure(SAMPLES)
        judge(request.node.name.removeprefix("test_"), alone, during, fenced(stack)[before:])
        return entered
    return run


@pytest.fixture
def attacker(stack):
    """The attacker's workspace: the default rate limit of a new workspace, many credits."""
    return stack.workspace(credits=1000000, rate_limit_per_minute=600)
