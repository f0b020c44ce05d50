"""Heartbeats do not depend on the executor's loop: a loop that stalls is reported and keeps the lease, and its process ends only when it takes
no step for executor.stall_abort_s. ptrace stops the loop's thread alone; SIGSTOP would stop the liveness thread as well."""
import contextlib
import ctypes
import os
import time

import pytest
from stack import eventually, within

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 17, 0x4206, 0x4207, 0x40000000
LEASE_S, STALL_ABORT_S = 10, 16
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
SETTINGS = {"executor.processes": "1", "executor.stall_abort_s": str(STALL_ABORT_S)}
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
pytestmark = pytest.mark.serial


def ptrace(request, pid):
    if libc.ptrace(request, pid, None, None) != 0:
        pytest.skip(f"ptrace is not permitted: {os.strerror(ctypes.get_errno())}")


@contextlib.contextmanager
def stopped_loop(pid):
    ptrace(PTRACE_SEIZE, pid)
    ptrace(PTRACE_INTERRUPT, pid)
    os.waitpid(pid, WALL)
    yield
    libc.ptrace(PTRACE_DETACH, pid, None, None)


def test_a_stalled_loop_keeps_the_lease(stack, workspace):
    client, workflow = workspace.client(), workspace.put_workflow(PURE)
    executor, beat = map(int, eventually(lambda: stack.sql("SELECT id, beat FROM executors WHERE lost_ms IS NULL"), what="the registration")[0])
    with stopped_loop(stack.children("executor")[0]):
        until = time.monotonic() + LEASE_S + 1

        def lives_on():
            now = stack.sql(f"SELECT beat FROM executors WHERE id = {executor} AND lost_ms IS NULL")
            return time.monotonic() > until and now and int(now[0][0]) >= beat + 3
        within(lives_on, STALL_ABORT_S - 1, "heartbeats for longer than the lease")
        stack.logged("executor", "executor.thread_stalled thread=loop")
    eventually(lambda: "executor.thread_resumed thread=loop" in stack.log("executor"), 10, "end of the stall")
    assert client.finished(client.started(workflow, {}))["status"] == "success"
    assert stack.sql_one("SELECT MAX(id) FROM executors") == str(executor) and "executor.fenced" not in stack.log("executor")


def test_a_dead_loop_ends_its_process(stack, workspace):
    client, workflow = workspace.client(), workspace.put_workflow(PURE)
    executor, pid = int(stack.sql_one("SELECT MAX(id) FROM executors")), stack.children("executor")[0]
    with stopped_loop(pid):
        eventually(lambda: os.waitpid(pid, WALL | os.WNOHANG)[0] == pid, 30, "end of the process")
    assert "executor.thread_dead thread=loop" in stack.log("executor")
    eventually(lambda: int(stack.sql_one("SELECT MAX(id) FROM executors")) > executor, 15, "another process")
    assert client.finished(client.started(workflow, {}), 60)["status"] == "success"
