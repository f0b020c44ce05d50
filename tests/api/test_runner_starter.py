"""The process that starts the runners of commands (millrace-runner --listen): where commands run, and what its end costs."""
import array
import contextlib
import os
import resource
import signal
import socket

import pytest
from skills import Space, probe
from stack import children_of, eventually, kill
from test_audit import audit

SETTINGS = {"executor.processes": 1}
COUNTER = """
import json, os, pathlib, sys, time
inputs = json.load(sys.stdin)
print("up", file=sys.stderr, flush=True)
time.sleep(inputs.get("sleep", 0))
print(json.dumps({"n": 1}))
"""


@pytest.fixture
def space(stack, workspace):
    probe(workspace, COUNTER)
    yield Space(workspace)
    if not stack.pid("runner"):
        stack.start_server("runner")
    assert Space(workspace).ran("probe", {})["state"] == "succeeded"
    assert audit(stack, "--at-rest") == {}


def logged(stack, event):
    return stack.log("executor").count(f" {event} ")


@contextlib.contextmanager
def another_listener(stack):
    """Instead of the process that starts runners: a function that takes the next request with its descriptors."""
    stack.stop_server("runner")
    path = stack.dir / "sockets/runner.sock"
    path.unlink(missing_ok=True)
    held = []
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(8)
        listener.settimeout(60)

        def take():
            connection, _ = listener.accept()
            with connection:
                _, control, _, _ = connection.recvmsg(8192, socket.CMSG_SPACE(16))
            fds = array.array("i")
            for _, _, data in control:
                fds.frombytes(data[:len(data) // fds.itemsize * fds.itemsize])
            held.extend(fds)

        def let_go():
            while held:
                os.close(held.pop())
        take.held = held
        try:
            yield take, let_go
        finally:
            let_go()
            path.unlink()


def test_commands_are_its_children(stack, workspace, space):
    id = space.started("probe", {"sleep": 30})
    eventually(lambda: space.logs(id) == "up\n", what="a running command")
    assert children_of(stack.pid("runner")) == stack.runners() != [] and not any(map(children_of, stack.children("executor")))
    assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
    assert space.finished(id)["state"] == "stopped"
    assert logged(stack, "runner.socket_failed") == 0


def test_its_end_ends_no_command(stack, workspace, space):
    id = space.started("probe", {"sleep": 4})
    eventually(lambda: space.logs(id) == "up\n", what="a running command")
    failed, works = logged(stack, "runner.socket_failed"), logged(stack, "runner.socket_answers")
    kill(stack.pid("runner"), signal.SIGKILL)
    for _ in range(2):
        assert space.ran("probe", {})["state"] == "succeeded", "the executor starts it"
    assert logged(stack, "runner.socket_failed") == failed + 1, "once, not for each command"
    assert space.finished(id)["state"] == "succeeded"
    stack.start_server("runner")
    assert space.ran("probe", {})["state"] == "succeeded"
    assert logged(stack, "runner.socket_answers") == works + 1


def test_a_job_that_no_runner_has_read_is_given_to_another(stack, workspace, space):
    again = logged(stack, "runner.started_again")
    with another_listener(stack) as (take, let_go):
        id = space.started("probe", {})
        take()
        assert space.get(id)["state"] == "running"
        let_go()
        x = space.finished(id)
    assert (x["state"], x["outputs"]) == ("succeeded", {"n": 1})
    assert logged(stack, "runner.started_again") == again + 1
    assert int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'")) == 0


def test_it_can_be_stopped_before_a_runner_has_read_it(stack, workspace, space):
    with another_listener(stack) as (take, let_go):
        id = space.started("probe", {"sleep": 60})
        take()
        assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
        eventually(lambda: space.get(id)["state"] == "stopped", what="the stop")
        let_go()
        eventually(lambda: not stack.runners(), what="the end of the runner")
    assert space.finished(id)["state"] == "stopped"


def test_one_that_hangs_costs_a_command_some_seconds(stack, workspace, space):
    with another_listener(stack) as (take, let_go):
        id = space.started("probe", {})
        x = space.finished(id)
        assert (x["state"], x["outputs"]) == ("succeeded", {"n": 1})
        take()
        job = b""
        pipe = take.held[0]
        while part := os.read(pipe, 65536):
            job += part
        assert job.count(b"\n") == 1, "and the end: whoever reads the job now finds that its owner has gone"


def test_a_runner_that_cannot_be_started_either_ends_the_run(stack, workspace, space):
    again, executor = logged(stack, "runner.started_again"), stack.children("executor")[0]
    files = resource.prlimit(executor, resource.RLIMIT_NOFILE)
    with another_listener(stack) as (take, _):
        id = space.started("probe", {})
        take()
        resource.prlimit(executor, resource.RLIMIT_NOFILE, (3, files[1]))
        try:
            eventually(lambda: logged(stack, "runner.started_again") > again, what="the other runner")
            x = space.finished(id)
        finally:
            resource.prlimit(executor, resource.RLIMIT_NOFILE, files)
    assert (x["state"], x["failure_reason"]) == ("failed", "internal")


def test_a_listener_that_answers_nothing_delays_no_step_of_others(stack, workspace, space):
    flow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    with another_listener(stack) as (take, let_go):
        id = space.started("probe", {})
        take()
        client = workspace.client()
        assert client.finished(client.started(flow))["status"] == "success"
        let_go()
        assert space.finished(id)["state"] == "succeeded"
