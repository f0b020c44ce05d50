"""Warm skills that misuse what a process gets between two jobs: they would compute while they have no job, leave processes behind, answer
twice, answer other jobs, flood the protocol and the log, keep memory, and stop or kill themselves. Nobody else may notice, and nothing stays."""
import contextlib
import threading

import skills
from sandboxes import commands
from stack import eventually

SETTINGS = {"executor.warm_idle_s": 600}

WARM = {"type": "command", "mode": "warm", "argv": ["python3", "./main.py"]}
# spins in four threads and two processes from its first moment on
SPINNER = """
import os, sys, threading, time
def spin():
    while True: pass
for _ in range(4): threading.Thread(target=spin, daemon=True).start()
for line in sys.stdin:
    os.write(1, b"ok " + line.split(" ")[1].encode() + b" {}\\n")
"""
MISUSE = """
import json, os, signal, subprocess, sys, threading, time
kept, tokens = [], []
def flood(fd):
    while True: os.write(fd, b"x" * 65536)
def bomb():
    try:
        while True: os.fork()
    except OSError:
        pass
WAYS = {
    "children": lambda: [subprocess.Popen(["sh", "-c", "trap '' TERM CONT STOP; while :; do :; done"], stdout=2) for _ in range(8)],
    "bomb": lambda: os.fork() or bomb(),
    "log": lambda: threading.Thread(target=flood, args=(2,), daemon=True).start(),
    "twice": lambda: None,
    "old token": lambda: None,
    "flood": lambda: flood(1),
    "no line": lambda: os.write(1, b"ok " + b"x" * 3_000_000),
    "memory": lambda: kept.append(bytearray(os.urandom(1 << 20)) * 40),
    "stop": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "exit": lambda: os._exit(0),
    "files": lambda: [os.makedirs("outputs/" + "d/" * 30 + str(i)) for i in range(300)],
    "outputs": lambda: (os.rename("outputs", "moved"), os.symlink("/etc", "outputs")),
    "away": lambda: (os.chdir("/tmp"), os.chmod("/work", 0)),
}
for line in sys.stdin:
    _, token, inputs = line.split(" ", 2)
    tokens.append(token)
    way = json.loads(inputs)["way"]
    WAYS[way]()
    answer = f"ok {tokens[0] if way == 'old token' else token} {{}}\\n".encode()
    os.write(1, answer * (2 if way == "twice" else 1))
"""
WAYS = ["children", "bomb", "log", "twice", "old token", "flood", "no line", "memory", "stop", "exit", "files", "outputs", "away"]


def install(workspace, main, **more):
    skills.probe(workspace, main, runner=WARM, timeout_seconds=2, memory_mb=128, **more)
    return skills.Space(workspace)


def test_warm_skills_that_spin_while_they_have_no_job(stack, attacker, beside):
    space = install(attacker, SPINNER)
    ids = [space.started("probe") for _ in range(16)]
    assert {space.finished(id)["state"] for id in ids} == {"succeeded"}
    idle = commands(stack)
    assert idle and set(idle) == {"T"}, idle
    beside(contextlib.nullcontext())
    assert set(commands(stack)) == {"T"}


def test_warm_skills_that_misbehave_in_every_way(stack, attacker, beside):
    space = install(attacker, MISUSE, slug="misuse")
    over, states = threading.Event(), {}

    def attack():
        while not over.is_set():
            for id, way in [(space.started("misuse", {"way": way}), way) for way in WAYS]:
                states.setdefault(way, set()).add(space.finished(id, 60)["state"])

    @contextlib.contextmanager
    def attacking():
        thread = threading.Thread(target=attack)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
    beside(attacking())
    assert set(states) == set(WAYS)
    for way in ("flood", "no line", "stop", "exit"):
        assert states[way] == {"failed"}, states
    eventually(lambda: set(commands(stack)) <= {"T"}, 30, "the end of all that was left behind")
    found = [p.name for p in (stack.dir / "data/runs").iterdir()]
    eventually(lambda: all(p.name.startswith("warm.") for p in (stack.dir / "data/runs").iterdir()), 30, f"removal of {found}")
