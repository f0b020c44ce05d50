"""Fixtures of the API tests: one real stack per module.

A module may set SETTINGS = {"section.key": value}, TLS = True, DEMO = True and OBJECTS = True (blob.store = s3) before its tests.
With ONE_DAY = True, because it sums by days or months, its tests do not begin in the last minute of a day (UTC).
"""
import contextlib
import os
import re
import sys
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "fault")]
from objects import object_store  # noqa: E402
from proxy import Proxy  # noqa: E402
from stack import Effects, Stack, eventually, running  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "serial: measures time or depends on the load; scripts/test runs it while nothing else runs")


def pytest_make_parametrize_id(config, val, argname):
    """Replaces random ids in test names: xdist needs the same names in every process."""
    if isinstance(val, str):
        named = re.sub("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", val)
        return named if named != val else None
    return None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the programs of its stack complained of, and their last lines."""
    report = (yield).get_result()
    stack = getattr(item, "funcargs", {}).get("stack")
    if not report.failed or not isinstance(stack, Stack):
        return
    for name in ("api", "stream", "executor"):
        lines = [line for log in sorted((stack.dir / "logs").glob(f"{name}*.log")) for line in log.read_text(errors="replace").splitlines()]
        faults = [line for line in lines[:-30] if " error " in line or " warn " in line][-60:]
        report.sections.append((f"{name}.log: warnings and errors, and the last lines", "\n".join(faults + ["..."] + lines[-30:])))


def pytest_runtest_setup(item):
    if getattr(item.module, "ONE_DAY", False):
        eventually(lambda: time.time() % 86400 < 86400 - 60, 70, "the next day")


# The longest modules start first; otherwise the run would end with one of them running alone.
LONG = ("test_resume", "test_events", "test_openapi", "test_skills", "test_model_skill", "test_usage", "test_pool", "test_explain",
        "test_first_thread", "test_demo")


def pytest_collection_modifyitems(items):
    place = {name: i for i, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.module.__name__, len(LONG)))


@pytest.fixture(scope="module")
def stack(request):
    objects = object_store() if getattr(request.module, "OBJECTS", False) else None
    settings = {**(getattr(request.module, "SETTINGS", None) or {}), **(objects.settings if objects else {})}
    s = Stack(settings, getattr(request.module, "TLS", False), getattr(request.module, "DEMO", False))
    s.objects = objects
    with contextlib.ExitStack() as ends:
        if objects:
            ends.callback(objects.close)
            objects.start()
        yield ends.enter_context(running(s))


@pytest.fixture(scope="module")
def proxied():
    """(stack, proxy): a stack whose daemons reach MariaDB through a proxy that cuts, holds and answers (tests/fault/proxy.py)."""
    s = Stack()
    proxy = Proxy(s.dir / "proxy.sock", s.dir / "sockets/mariadb.sock")
    s.settings["database.socket"] = str(s.dir / "proxy.sock")
    try:
        s.start()
        yield s, proxy
    finally:
        s.stop()
        proxy.close()
    s.close()


@pytest.fixture
def effects():
    e = Effects()
    yield e
    e.close()


@pytest.fixture
def workspace(stack):
    return stack.workspace()


@pytest.fixture
def client(workspace):
    return workspace.client()
