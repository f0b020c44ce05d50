"""Warm skills: a process takes one job after another, and what ends it. The protocol itself: tests/runner/test_warm.py."""
import fcntl
import os
import pathlib
import re
import signal
import sys
import termios

import pytest
from skills import EXAMPLES, Space, install, probe, some_seconds
from stack import children_of, eventually, kill, suspend, while_it_lasts
from test_audit import audit

SETTINGS = {"executor.processes": 1, "executor.warm_idle_per_workspace": 2, "executor.warm_jobs_max": 10, "executor.grace_s": 2}

WARM = {"type": "command", "mode": "warm", "argv": ["python3", "./main.py"]}
SERVE = """
import json, os, signal, subprocess, sys, time
def serve(handle):
    for line in sys.stdin:
        _, token, inputs = line.split(" ", 2)
        print("ok", token, json.dumps(handle(json.loads(inputs))), flush=True)
"""
# What the process has seen, and whatever else the inputs ask for.
MEMORY = SERVE + """
seen = []
def handle(inputs):
    seen.append(inputs.get("name"))
    if "log" in inputs: print(inputs["log"], file=sys.stderr, flush=True)
    if "artifact" in inputs: open("outputs/" + inputs["artifact"], "w").write(inputs["artifact"])
    if "leave" in inputs: subprocess.Popen(["sleep", inputs["leave"]], stdout=2)
    if "garbage" in inputs: print(inputs["garbage"], flush=True)
    if "exit" in inputs: os._exit(inputs["exit"])
    if "memory" in inputs: seen.append(bytearray(os.urandom(1 << 20)) * inputs["memory"])
    time.sleep(inputs.get("sleep", 0))
    return {"seen": [s for s in seen if isinstance(s, str)]}
serve(handle)
"""


@pytest.fixture
def space(workspace):
    probe(workspace, MEMORY, runner=WARM)
    return Space(workspace)


def seen(space, name, **inputs):
    """The names that the process has seen up to this job."""
    x = space.ran("probe", {"name": name, **inputs})
    assert x["state"] == "succeeded", x
    return x["outputs"]["seen"]


def folders(stack):
    return [p.name for p in (stack.dir / "data/runs").iterdir()]


def sleepers(seconds):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if pathlib.Path(f"/proc/{pid}/cmdline").read_bytes() == f"sleep\0{seconds}\0".encode():
                found.append(int(pid))
        except OSError:
            pass
    return found


def test_one_process_takes_one_job_after_another(space):
    assert seen(space, "a") == ["a"]
    assert seen(space, "b") == ["a", "b"]


def test_log_and_artifacts_belong_to_their_run(stack, space):
    ids = [space.started("probe", {"name": n, "log": f"log of {n}", "artifact": n}) for n in "abcd"]
    for id, name in zip(ids, "abcd"):
        x = space.finished(id)
        assert x["state"] == "succeeded" and space.logs(id) == f"log of {name}\n", x
        artifact, = x["artifacts"]
        assert artifact["relpath_in_workspace"] == f"outputs/{name}" and artifact["size_bytes"] == 1
        assert space.client.get(artifact["download_url"].removeprefix("/api/v1")).text == name
        assert x["resource_usage"]["wallclock_ms"] >= 0
    eventually(lambda: all(f.startswith("warm.") for f in folders(stack)), what="removal of the run folders")


def test_an_uploaded_file_is_there_for_its_run_only(workspace):
    probe(workspace, SERVE + "serve(lambda inputs: {f: open('inputs/materials/' + f).read() for f in os.listdir('inputs/materials')})",
          runner=WARM)
    space = Space(workspace)
    for name in ("one.txt", "two.txt"):
        assert space.client.post("/files/", files=[("files", (name, name.encode()))]).status_code == 201
        assert space.ran("probe", {}, file_source_ids=[name])["outputs"] == {name: name}
    assert space.ran("probe", {})["outputs"] == {}


def test_no_process_serves_two_principals_or_workspaces(stack, workspace, space):
    """Two keys are two principals."""
    other = Space(workspace)
    foreign = stack.workspace()
    probe(foreign, MEMORY, runner=WARM)
    foreign = Space(foreign)
    for i in range(3):
        assert seen(space, f"secret{i}") == [f"secret{n}" for n in range(i + 1)]
        assert seen(other, f"other{i}") == [f"other{n}" for n in range(i + 1)]
        assert seen(foreign, f"foreign{i}") == [f"foreign{n}" for n in range(i + 1)]


def test_a_new_version_gets_a_new_process(workspace, space):
    assert seen(space, "a") == ["a"]
    probe(workspace, MEMORY.replace("seen = []", "seen = ['second']"), version="2.0.0", runner=WARM)
    eventually(lambda: seen(space, "b")[0] == "second", 10, "the second version")  # the executor's cache may be a second old
    assert seen(space, "c")[-2:] == ["b", "c"]


@pytest.mark.parametrize("inputs, error", [
    ({"garbage": "hello"}, "the command broke the protocol of warm skills: a line on stdout is not the answer to the job: \"hello\""),
    ({"exit": 0}, "the command broke the protocol of warm skills: the command ended without an answer"),
    ({"exit": 3}, "the command ended with exit code 3"),
    ({"memory": 400}, "the run exceeded its memory limit"),
])
def test_misbehaviour_fails_its_run_and_ends_the_process(space, inputs, error):
    assert seen(space, "a") == ["a"]
    x = space.ran("probe", {"name": "bad", **inputs, **({"sleep": 20} if "memory" in inputs else {})})
    assert x["state"] == "failed" and x["error"] == error, x
    assert x["failure_reason"] == ("memory_limit" if "memory" in inputs else "step_failed")
    assert seen(space, "b") == ["b"]


def test_an_error_fails_its_run_and_keeps_the_process(workspace):
    install(workspace, EXAMPLES / "fibonacci")
    space = Space(workspace)
    assert space.ran("fibonacci", {"n": 10})["outputs"] == {"result": 55}
    probe(workspace, SERVE + """
for line in sys.stdin:
    print("error", line.split(" ")[1], f"process {os.getpid()} says no", flush=True)
""", runner=WARM)
    for _ in range(2):
        x = space.ran("probe", {})
        assert (x["failure_reason"], x["error"]) == ("step_failed", "the command reported an error: process 2 says no"), x


def test_a_hang_times_out_and_ends_the_process(stack):
    def look(seconds):
        workspace = stack.workspace()
        probe(workspace, MEMORY, runner=WARM, timeout_seconds=seconds)
        space = Space(workspace)
        assert seen(space, "a") == ["a"]
        x = space.ran("probe", {"name": "bad", "sleep": 60})
        assert (x["state"], x["failure_reason"]) == ("failed", "timeout"), x
        assert seen(space, "b") == ["b"]
    while_it_lasts(1, look)


def test_a_process_left_behind_ends_with_the_job(space):
    left = some_seconds()
    assert seen(space, "a", leave=left) == ["a"]
    eventually(lambda: not sleepers(left), what="the end of the process left behind")
    assert seen(space, "b") == ["b"]


def test_a_process_is_replaced_after_its_last_job(space):
    for i in range(10):
        assert len(seen(space, f"job{i}")) == i + 1
    assert seen(space, "next") == ["next"]


def test_a_stop_ends_one_job_and_no_other(stack, space):
    slow = [space.started("probe", {"name": n, "log": f"log of {n}", "sleep": s}) for n, s in (("a", 60), ("b", 2))]
    eventually(lambda: all(space.logs(id) for id in slow), 20, "two running jobs")
    assert space.client.post(f"{space.path}/executions/{slow[0]}/cancel").status_code == 200
    x = space.finished(slow[1])
    assert x["outputs"] == {"seen": ["b"]}, x
    assert space.get(slow[0])["state"] == "stopped"
    eventually(lambda: space.logs(slow[0]) == "log of a\n" and slow[0] not in str(folders(stack)), 15, "log and folder of the stopped run")
    assert seen(space, "c") == ["b", "c"]


def test_idle_processes_of_a_workspace_are_bounded(stack, space):
    before = len(stack.runners())
    ids = [space.started("probe", {"name": n, "sleep": 1}) for n in "abcd"]
    assert [space.finished(id)["state"] for id in ids] == ["succeeded"] * 4
    eventually(lambda: len(stack.runners()) <= before + 2, what="the end of two idle processes")


def test_an_idle_process_that_is_killed_is_replaced(stack, space):
    before = set(stack.runners())
    assert seen(space, "a") == ["a"]
    runner, = set(stack.runners()) - before
    kill(runner, signal.SIGKILL)
    assert seen(space, "b") == ["b"]
    eventually(lambda: len([f for f in folders(stack) if f.startswith("warm.")]) == len(stack.runners()), what="removal of its folder")


def new_runner(stack, space):
    """The runner that is idle after a first job."""
    before = set(stack.runners())
    assert seen(space, "a") == ["a"]
    runner, = set(stack.runners()) - before
    return runner


def below(pid):
    return [p for child in children_of(pid) for p in (child, *below(child))]


def is_stopped(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def test_a_stopped_command_that_is_killed_is_replaced(stack, space):
    """Its runner lives on, and gives the next job back."""
    runner = new_runner(stack, space)
    stopped = eventually(lambda: [p for p in below(runner) if is_stopped(p)], what="the stop of the idle process")
    for pid in stopped:
        kill(pid, signal.SIGKILL)
    eventually(lambda: not children_of(runner), 20, "the end of the sandbox")
    assert seen(space, "b") == ["b"]
    assert seen(space, "c") == ["b", "c"]


def unread_input(pid):
    """Bytes in the pipe that is the process's stdin."""
    fd = os.open(f"/proc/{pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(fd, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(fd)


def test_a_runner_that_is_killed_before_it_starts_its_next_job_is_replaced(stack, space):
    """It had made the run's folder with the files in it; here it is stopped, and the test makes them."""
    runner = new_runner(stack, space)
    suspend(runner)
    id = space.started("probe", {"name": "b"})
    eventually(lambda: unread_input(runner) > 0, 20, "the next job")
    attempt = stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'")
    folder = stack.dir / f"data/runs/{id}.{attempt}"
    folder.mkdir()
    for name in ("log", "stdout"):
        (folder / name).touch()
    kill(runner, signal.SIGKILL)
    x = space.finished(id)
    assert x["state"] == "succeeded" and x["outputs"]["seen"] == ["b"], x
    assert stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'") == attempt, "another executor took the run"


def test_a_workflow_runs_a_warm_skill_for_each_item(workspace):
    install(workspace, EXAMPLES / "fibonacci")
    id = workspace.put_workflow({"steps": [{"name": "f", "type": "skill", "slug": "fibonacci", "for_each": [1, 2, 10], "concurrency": 1,
                                            "inputs": {"n": "${/item}"}}]})
    client = workspace.client()
    x = client.finished(client.started(id))
    assert x["status"] == "success" and [r["outputs"]["result"] for r in x["detail"]["output"]] == [1, 1, 55], x


def test_waiting_processes_are_no_leftovers_for_the_audit(stack, space):
    assert seen(space, "a") == ["a"]
    eventually(lambda: all(f.startswith("warm.") for f in folders(stack)), what="removal of the run folders")
    assert audit(stack, "--at-rest") == {}
    left = stack.dir / "data/runs/warm.left"
    left.mkdir()
    try:
        assert audit(stack, "--at-rest") == {"folders": ["warm.left"]}
        os.utime(left, (1, 1))
        eventually(lambda: not left.exists(), 20, "the sweep of a folder that no runner has locked")
    finally:
        if left.exists():
            left.rmdir()


def test_a_killed_executor_leaves_no_process_and_no_folder(stack, space):
    assert seen(space, "a") == ["a"]
    id = space.started("probe", {"name": "b", "log": "up", "sleep": 60})
    eventually(lambda: space.logs(id) == "up\n", 20, "a running job")
    executor, = stack.children("executor")
    old, attempt = stack.runners(), int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'"))
    kill(executor, signal.SIGKILL)
    eventually(lambda: not any(pathlib.Path(f"/proc/{p}").exists() for p in old), 15, "the end of the runners")
    eventually(lambda: int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'")) > attempt, 60, "the next attempt")
    assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
    assert seen(space, "c") == ["c"]
    eventually(lambda: all(f.startswith("warm.") for f in folders(stack)) and len(folders(stack)) == len(stack.runners()), 20,
               "removal of the folders")


def test_a_stopping_executor_ends_the_waiting_processes(stack, space):
    assert seen(space, "a") == ["a"]
    old = stack.runners()
    stack.restart_server("executor")
    assert old and not any(pathlib.Path(f"/proc/{p}").exists() for p in old)
    assert not re.search(r"warm\.died", stack.log("executor").rpartition("executor.stopping")[2])
    assert seen(space, "b") == ["b"]


def test_skill_run_serves_one_job(stack):
    assert stack.cli("skill", "run", EXAMPLES / "fibonacci", "--inputs", '{"n": 10}')["outputs"] == {"result": 55}
