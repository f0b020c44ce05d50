"""Warm skills: one sandbox of bin/millrace-runner takes one job after another. Each test is executed as root and as an ordinary user."""
import json
import os
import pathlib
import select
import shutil
import time

import pytest

from test_runner import PATIENCE_S, ROOT, Box

SERVE = """
def serve(handle):
    for line in sys.stdin:
        _, token, inputs = line.split(" ", 2)
        print("ok", token, json.dumps(handle(json.loads(inputs))), flush=True)
"""


class WarmBox(Box):
    def __init__(self, mode):
        super().__init__(mode)
        self.warm_dir = self.runs / "warm.1"
        self.p = None

    def warm_job(self, main, inputs="{}", **more):
        argv = self.python(SERVE + main) if main else ["python3", "./main.py", self.mark]
        return self.job(argv, warm=True, warm_dir=str(self.warm_dir), stdin=inputs, **more)

    def send(self, job):
        """Gives a job to the process, which is started for the first one. Returns the record of its end, with outputs and log."""
        first = not self.p
        if first:
            self.p = self.spawn()
        self.p.stdin.write(json.dumps(job) + "\n")
        self.p.stdin.flush()
        assert not first or json.loads(self.line(PATIENCE_S)) == {"type": "accepted"}

    def line(self, seconds):
        """One record, which must come within the time. Nothing was read ahead: the pipe is read byte by byte."""
        text, until = b"", time.monotonic() + seconds
        while not text.endswith(b"\n"):
            assert select.select([self.p.stdout], [], [], max(0, until - time.monotonic()))[0], f"no record within {seconds} s"
            text += os.read(self.p.stdout.fileno(), 1)
        return text

    def take(self, job):
        records = []
        while not records or records[-1]["type"] != "ended":
            line = self.p.stdout.readline()
            assert line, self.p.stderr.read()
            records.append(json.loads(line))
        ended = records[-1]
        ended["records"] = records
        ended["stdout"], ended["log"] = self.stdout(job), self.log(job)
        return ended

    def do(self, main, inputs="{}", **more):
        job = self.warm_job(main, inputs, **more)
        self.send(job)
        return self.take(job)

    def leave(self):
        """Closes the lifeline: no process and no folder of the sandbox stays."""
        self.p.stdin.close()
        self.p.wait(timeout=10)
        assert self.p.stderr.read() == ""
        self.p = None
        self.wait_nobody()
        assert not self.warm_dir.exists()

    def close(self):
        if self.p:
            self.p.stdin.close()
            self.p.wait(timeout=10)
        super().close()


@pytest.fixture(params=["root", "user"])
def box(request):
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    box = WarmBox(request.param)
    yield box
    box.close()
    shutil.rmtree(box.base, ignore_errors=True)


def outputs(ended):
    assert ended["reason"] is None and ended["exit_code"] == 0 and "error" not in ended, ended
    return json.loads(ended["stdout"])


def failed(ended, reason, detail=""):
    assert ended["reason"] == reason and not ended["reusable"], ended
    assert detail in (ended["detail"] or ""), ended
    return ended


COUNT = """
seen = []
serve(lambda inputs: [seen.append(inputs), {"pid": os.getpid(), "seen": len(seen), "n": inputs["n"]}][1])
"""


def test_one_process_takes_jobs_one_after_another(box):
    for i in range(5):
        ended = box.do(COUNT if i == 0 else None, json.dumps({"n": i}))
        assert outputs(ended) == {"pid": 2, "seen": i + 1, "n": i} and ended["reusable"]
        assert [r["type"] for r in ended["records"]] == ["started", "ended"]
    box.leave()


def test_inputs_keep_their_bytes_but_the_line_breaks_between_tokens(box):
    ended = box.do("for line in sys.stdin: print('ok', line.split(' ', 2)[1], json.dumps({'got': line.split(' ', 2)[2]}), flush=True)",
                   '{"a":\n\r 1.0e2,"b":"x\\ny\u2028"}')
    assert outputs(ended) == {"got": '{"a":   1.0e2,"b":"x\\ny\u2028"}\n'}
    box.leave()


def test_large_inputs_and_outputs_pass(box):
    text = "x" * 900_000
    for i in range(2):
        ended = box.do("serve(lambda inputs: inputs)" if i == 0 else None, json.dumps({"text": text}))
        assert outputs(ended) == {"text": text} and ended["reusable"]
    box.leave()


def test_logs_and_progress_are_those_of_their_job(box):
    main = """
def handle(inputs):
    print("log of", inputs["n"], file=sys.stderr, flush=True)
    if inputs["n"] == 1:
        os.write(2, b"::progress 40 half\\nwithout an end")
    return {}
serve(handle)
"""
    logs = [box.do(main if i == 0 else None, json.dumps({"n": i})) for i in range(3)]
    assert [e["log"] for e in logs] == ["log of 0\n", "log of 1\nwithout an end", "log of 2\n"]
    assert ["progress" in [r["type"] for r in e["records"]] for e in logs] == [False, True, False]
    assert [e["log_bytes"] for e in logs] == [9, 23, 9]
    box.leave()


def test_a_log_that_never_pauses_holds_up_no_job(box):
    """The pipe has bytes at the moment when the processes are stopped: they are read once."""
    main = """
import threading
def flood():
    while True: os.write(2, b"x" * 999 + b"\\n")
threading.Thread(target=flood, daemon=True).start()
serve(lambda inputs: {})
"""
    for i in range(30):
        job = box.warm_job(main if i == 0 else None)
        box.send(job)
        while json.loads(box.line(PATIENCE_S))["type"] != "ended":
            pass
    box.leave()


def test_files_are_those_of_their_job(box):
    main = """
def handle(inputs):
    found = sorted(os.listdir("inputs/materials")) + sorted(os.listdir("outputs")) + sorted(os.listdir("."))
    os.makedirs("mine/deep/er", exist_ok=True)
    open("mine/deep/er/file", "w").write("x")
    open("outputs/" + inputs["name"], "w").write(inputs["name"])
    os.chmod("mine/deep", 0)
    return {"found": found}
serve(handle)
"""
    source = box.base / "material"
    source.write_text("m")
    source.chmod(0o644)
    for i, name in enumerate(["a", "b"]):
        ended = box.do(main if i == 0 else None, json.dumps({"name": name}), files=[{"source_path": str(source), "name": f"in-{name}"}])
        assert outputs(ended) == {"found": [f"in-{name}", "inputs", "outputs"]}, ended
        assert [a["relpath"] for a in ended["artifacts"]] == [name]
        assert (box.warm_dir / "work/outputs" / name).read_text() == name
        assert ended["reusable"]
    box.leave()


def test_files_of_a_job_without_artifacts_are_removed_before_the_next_job_comes(box):
    main = """
def handle(inputs):
    found = sorted(os.listdir("inputs/materials")) + sorted(os.listdir("outputs")) + sorted(os.listdir("."))
    open("mine", "w").write("x")
    open("outputs/kept", "w").write("x")
    return {"found": found}
serve(handle)
"""
    source = box.base / "material"
    source.write_text("m")
    source.chmod(0o644)
    material = [{"source_path": str(source), "name": "in"}]
    for i, artifacts in enumerate([[], None, []]):  # the last two: after files that were removed, and after files that were not
        found = ["in", "inputs", "outputs"]
        ended = box.do(None if i else main, files=material, **({} if artifacts is None else {"artifacts": artifacts}))
        assert outputs(ended) == {"found": found} and ended["reusable"]
        work = box.warm_dir / "work"
        if ended["artifacts"]:
            assert (work / "outputs/kept").exists()
        else:
            eventually_empty(work)
    box.leave()


def eventually_empty(work):
    until = time.monotonic() + PATIENCE_S
    while (work / "mine").exists() or os.listdir(work / "inputs/materials") or not (work / "outputs").exists() or os.listdir(work / "outputs"):
        assert time.monotonic() < until, sorted(str(p) for p in work.rglob("*"))
        time.sleep(0.01)


def test_an_error_fails_its_job_only(box):
    main = """
for line in sys.stdin:
    _, token, inputs = line.split(" ", 2)
    print("error" if json.loads(inputs)["bad"] else "ok", token, "{}", flush=True)
"""
    first = box.do(main, '{"bad": true}')
    assert first["error"] == "{}" and first["reusable"] and first["stdout"] == ""
    assert outputs(box.do(None, '{"bad": false}')) == {}
    box.leave()


@pytest.mark.parametrize("line", ["hello", "ok 0123456789abcdef {}", "ok", "", "OK {token} {}", "ok {token}", " ok {token} {}"])
def test_garbage_on_the_protocol_ends_the_process(box, line):
    main = f"""
for line in sys.stdin:
    print({line!r}.replace("{{token}}", line.split(" ")[1]), flush=True)
"""
    failed(box.do(main), "protocol", "is not the answer")
    box.leave()


def test_the_answer_to_an_earlier_job_is_none(box):
    main = """
first = None
for line in sys.stdin:
    first = first or line.split(" ")[1]
    print("ok", first, "{}", flush=True)
"""
    assert outputs(box.do(main)) == {}
    failed(box.do(None), "protocol", "is not the answer")
    box.leave()


@pytest.mark.parametrize("what", [
    "os.fork() or time.sleep(60)",
    "__import__('subprocess').Popen(['sleep', '60'])",
    "answer += 'more\\n'",
    "answer += answer",
])
def test_what_a_job_leaves_ends_the_process_but_not_the_job(box, what):
    main = f"""
for line in sys.stdin:
    answer = "ok " + line.split(" ")[1] + " {{}}\\n"
    {what}
    sys.stdout.write(answer)
    sys.stdout.flush()
"""
    ended = box.do(main)
    assert outputs(ended) == {} and not ended["reusable"]
    box.leave()


def test_unread_input_ends_the_process_but_not_the_job(box):
    """The next job would begin with the rest of this one."""
    main = """
head = b""
while head.count(b" ") < 2: head += os.read(0, 1)
os.write(1, b"ok " + head.split(b" ")[1] + b" {}\\n")
time.sleep(60)
"""
    ended = box.do(main, json.dumps({"text": "x" * 1000}))
    assert outputs(ended) == {} and not ended["reusable"]
    box.leave()


def test_what_comes_after_the_answer_is_not_seen(box):
    """The command is stopped before it can exit, or it exits first: the answer counts in both cases."""
    ended = box.do("""
for line in sys.stdin:
    print("ok", line.split(" ")[1], "{}", flush=True)
    os._exit(3)
""")
    assert outputs(ended) == {}
    box.leave()


def test_a_process_that_waits_runs_no_instruction(box):
    main = """
import threading, time
count = [0]
def spin():
    while True: count[0] += 1
threading.Thread(target=spin, daemon=True).start()
def job(inputs):
    first = count[0]
    while count[0] == first: time.sleep(0.001)
    return {"count": count[0]}
serve(job)
"""
    ended = box.do(main)
    assert ended["reusable"]

    def ticks():
        fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in box.alive()]
        return [(f[0], f[11], f[12]) for f in fields if f[0] == "T"]
    before = ticks()
    assert before
    time.sleep(0.3)  # what must not happen cannot be awaited
    assert ticks() == before
    assert outputs(box.do(None))["count"] > outputs(ended)["count"]
    box.leave()


def test_a_process_that_stops_itself_is_continued(box):
    main = """
import signal
def handle(inputs):
    if inputs.get("late"):
        os.system("(sleep 0.2; kill -CONT " + str(os.getpid()) + ") & exit 0")
        os.kill(os.getpid(), signal.SIGSTOP)
    return {}
serve(handle)
"""
    assert outputs(box.do(main)) == {}
    assert outputs(box.do(None, '{"late": 1}')) == {}
    box.leave()


def test_a_hang_times_out(box):
    assert outputs(box.do("serve(lambda inputs: time.sleep(inputs.get('s', 0)) or {})")) == {}
    ended = failed(box.do(None, '{"s": 60}', timeout_ms=300), "timeout")
    assert 300 <= ended["wallclock_ms"] < 50000, "shorter than the sleep"
    box.wait_nobody()
    box.leave()


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_before_the_answer_fails_the_job(box, code):
    assert outputs(box.do(f"serve(lambda inputs: os._exit({code}) if inputs.get('exit') else {{}})")) == {}
    ended = box.do(None, '{"exit": 1}')
    assert not ended["reusable"] and ended["started"] and ended["exit_code"] == code, ended
    assert ended["reason"] == ("protocol" if code == 0 else None)
    box.leave()


def test_memory_is_limited_in_a_later_job(box):
    main = "serve(lambda inputs: {'n': len(bytearray(os.urandom(1 << 20)) * inputs.get('mb', 0)) and time.sleep(30)})"
    assert outputs(box.do(main, memory_mb=64))
    assert failed(box.do(None, '{"mb": 200}', memory_mb=64), "memory_limit")["peak_memory_bytes"] > 64 << 20
    box.leave()


def test_memory_that_is_kept_above_the_limit_ends_the_process(box):
    main = "kept = []\nserve(lambda inputs: {'n': len(kept.append(bytearray(os.urandom(40 << 20))) or kept)})"
    jobs = [box.do(main, memory_mb=96)]
    while jobs[-1]["reusable"]:
        jobs.append(box.do(None, memory_mb=96))
        assert len(jobs) < 4
    assert len(jobs) > 1
    box.leave()


def test_bytes_written_are_counted_for_each_job(box):
    main = """
def handle(inputs):
    with open("big", "wb") as f:
        for i in range(20):
            f.write(os.urandom(1 << 20))
            f.flush()
            os.fsync(f.fileno())
    return {}
serve(handle)
"""
    for i in range(8):  # 160 MiB in all, where one job may write four times its limit of 32
        ended = box.do(main if i == 0 else None)
        assert outputs(ended) == {} and ended["reusable"]
    box.leave()


def test_a_stop_ends_the_process(box):
    job = box.warm_job("serve(lambda inputs: time.sleep(60))")
    box.send(job)
    box.wait_until(box.alive, "the command has not started")
    box.p.stdin.write("stop\n")
    box.p.stdin.flush()
    failed(box.take(job), "stopped")
    box.wait_nobody()
    box.leave()


def test_the_last_job_ends_the_process(box):
    assert outputs(box.do("serve(lambda inputs: {})")) == {}
    ended = box.do(None, last=True)
    assert outputs(ended) == {} and not ended["reusable"]
    box.wait_nobody()
    box.leave()


@pytest.mark.parametrize("moment", ["during a job", "between two jobs"])
def test_a_closed_lifeline_leaves_nothing(box, moment):
    if moment == "between two jobs":
        assert outputs(box.do("serve(lambda inputs: {})")) == {}
    else:
        box.send(box.warm_job("serve(lambda inputs: time.sleep(60))"))
    box.wait_until(box.alive, "the command has not started")
    box.leave()


@pytest.mark.parametrize("moment", ["during a job", "between two jobs"])
def test_a_killed_runner_leaves_no_process(box, moment):
    if moment == "between two jobs":
        assert outputs(box.do("serve(lambda inputs: {})")) == {}
    else:
        box.send(box.warm_job("serve(lambda inputs: time.sleep(60))"))
    box.wait_until(box.alive, "the command has not started")
    box.p.kill()
    box.p.wait()
    box.wait_nobody()


def test_a_waiting_process_that_is_killed_ends_the_runner(box):
    assert outputs(box.do("serve(lambda inputs: {})")) == {}
    for pid in box.alive():
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
        if stat.rpartition(")")[2].split()[0] == "T":
            os.kill(pid, 9)
    box.wait_nobody()
    box.p.stdin.close()
    box.p.wait(timeout=10)
    assert not box.warm_dir.exists()


SHOW_TRACE = {
    "py": "import os\nfrom warm import serve\nserve(lambda inputs: {k: os.environ[k] for k in ('TRACEPARENT', 'TRACESTATE') if k in os.environ})\n",
    "js": "require('./warm').serve(() => Object.fromEntries(['TRACEPARENT', 'TRACESTATE'].filter((k) => k in process.env)"
          ".map((k) => [k, process.env[k]])));\n",
}


@pytest.mark.parametrize("example", ["fibonacci", "fibonacci-js"])
def test_the_helpers_show_each_job_its_trace(box, example):
    manifest = json.loads((ROOT / "examples/skills" / example / "skill.json").read_text())
    language = "js" if example.endswith("js") else "py"
    if language == "js" and not pathlib.Path("/usr/bin/node").exists():
        pytest.skip("needs Node")
    shutil.copytree(ROOT / "examples/skills" / example, box.skill, dirs_exist_ok=True)
    (box.skill / f"main.{language}").write_text(SHOW_TRACE[language])
    parent, state = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=x y;%20z, b=1"
    for trace in {"traceparent": parent, "tracestate": state}, {"traceparent": parent}, {}, {"traceparent": parent, "tracestate": "b=2"}:
        job = box.job(manifest["runner"]["argv"], memory_mb=manifest["memory_mb"], warm=True, warm_dir=str(box.warm_dir), **trace)
        box.send(job)
        assert outputs(box.take(job)) == {k.upper(): v for k, v in trace.items()}
    box.leave()


@pytest.mark.parametrize("example", ["fibonacci", "fibonacci-js"])
def test_the_helpers_of_the_examples_work(box, example):
    manifest = json.loads((ROOT / "examples/skills" / example / "skill.json").read_text())
    if example.endswith("js") and not pathlib.Path("/usr/bin/node").exists():
        pytest.skip("needs Node")
    shutil.copytree(ROOT / "examples/skills" / example, box.skill, dirs_exist_ok=True)
    limits = {"memory_mb": manifest["memory_mb"], "warm": True, "warm_dir": str(box.warm_dir)}
    for n, result in ((10, 55), (1, 1), (20, 6765)):
        job = box.job(manifest["runner"]["argv"], stdin=json.dumps({"n": n}), **limits)
        box.send(job)
        ended = box.take(job)
        assert outputs(ended) == {"result": result} and ended["reusable"] and ended["log"] == ""
    job = box.job(manifest["runner"]["argv"], stdin='{"m": 1}', **limits)
    box.send(job)
    ended = box.take(job)
    if example == "fibonacci":
        assert ended["error"] == "KeyError: 'n'" and "Traceback" in ended["log"] and ended["reusable"]
    box.leave()
