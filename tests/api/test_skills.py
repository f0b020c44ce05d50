"""Skill executions: input files, outputs, artifacts, isolation, and how they end."""
import json
import os
import re
import signal
import threading
import time
import uuid

import pytest
import requests
from peers import mariadb
from skills import EXAMPLES, Space, install, probe, some_seconds
from stack import children_of, eventually, kill

SETTINGS = {"executor.grace_s": 2}

TEXT = "The quick brown fox.\nThe lazy dog, the end.\n"
HELLO = "import json, sys\njson.dump({'got': json.load(sys.stdin)}, sys.stdout)"


@pytest.fixture
def space(workspace):
    return Space(workspace)


def upload(space, **files):
    answer = space.client.post("/files/", files=[("files", (name.replace("_", "."), body)) for name, body in files.items()])
    assert answer.status_code == 201, answer.text


def run_folders(stack):
    return [p.name for p in (stack.dir / "data/runs").iterdir()]


def events(space, id):
    got = space.client.get(f"/executions/{id}/events", stream=True, timeout=20)
    return re.findall(r"^event: (.*)$", got.text, re.M), [json.loads(d) for d in re.findall(r"^data: (.*)$", got.text, re.M)]


def test_word_count_reads_an_uploaded_file(stack, workspace, space):
    install(workspace, EXAMPLES / "word-count")
    upload(space, story_txt=TEXT.encode())
    x = space.ran("word-count", {"file": "story.txt", "top": 2}, file_source_ids=["story.txt", "missing.txt"])
    assert x["state"] == "succeeded", x
    assert x["outputs"] == {"lines": 2, "words": 9, "characters": 44,
                            "top": [{"word": "the", "count": 3}, {"word": "brown", "count": 1}]}
    assert x["error"] is None and x["failure_reason"] is None
    assert x["started_at"] and x["finished_at"] and x["resource_usage"]["wallclock_ms"] > 0
    assert "story.txt: 2 lines" in space.logs(x["id"])
    missing, = [e["data"] for e in events(space, x["id"])[1] if e["type"] == "files.missing"]
    assert missing == {"count": 1, "names": ["missing.txt"]}
    one = space.client.get(f"/executions/{x['id']}").json()
    assert one["files_missing"] == missing
    found = space.ran("word-count", {"file": "story.txt"}, file_source_ids=["story.txt"])["id"]
    assert space.client.get(f"/executions/{found}").json()["files_missing"] is None
    assert one["status"] == "success" and one["detail"]["output"] == x["outputs"]
    eventually(lambda: run_folders(stack) == [], what="removal of the run folder")


def test_a_file_that_is_named_many_times_is_placed_once(workspace, space):
    install(workspace, EXAMPLES / "word-count")
    upload(space, story_txt=TEXT.encode())
    x = space.ran("word-count", {"file": "story.txt", "top": 2}, file_source_ids=["story.txt"] * 70)
    assert x["state"] == "succeeded", x


def test_csv_summary_stores_a_chart(workspace, space):
    install(workspace, EXAMPLES / "csv-summary")
    upload(space, data_csv=b"city,people,area\nA,10,2.5\nB,30,1.5\nC,x,2\n")
    x = space.ran("csv-summary", {"file": "data.csv"}, file_source_ids=["data.csv"])
    assert x["state"] == "succeeded", x
    assert x["outputs"]["rows"] == 3
    assert x["outputs"]["columns"][0] == {"name": "people", "count": 2, "min": 10, "max": 30, "mean": 20}
    [artifact] = x["artifacts"]
    assert uuid.UUID(artifact["artifact_id"]) and artifact["relpath_in_workspace"] == "outputs/chart.svg"
    assert artifact["document_type"] == "image/svg+xml"
    assert artifact["download_url"].startswith("/api/v1/executions/")
    url = space.client.base[:-len("/api/v1")] + artifact["download_url"]
    got = requests.get(url, headers={"Authorization": f"Bearer {space.client.key}"}, timeout=10)
    assert got.status_code == 200 and got.text.startswith("<svg") and len(got.content) == artifact["size_bytes"]
    assert got.headers["Content-Disposition"].startswith("attachment") and got.headers["Content-Security-Policy"] == "sandbox"
    assert got.headers["X-Content-Type-Options"] == "nosniff" and got.headers["Content-Type"] == "image/svg+xml"
    part = requests.get(url, headers={"X-API-Key": space.client.key, "Range": "bytes=0-3"}, timeout=10)
    assert part.status_code == 206 and part.text == "<svg"
    names, data = events(space, x["id"])
    assert names[0] == "execution.queued" and names[-1] == "execution.succeeded" and "artifact.created" in names


def test_artifacts_are_private_to_the_workspace(stack, workspace, space):
    probe(workspace, "open('outputs/a.txt', 'w').write('mine')\nprint('{}')")
    x = space.ran("probe")
    path = x["artifacts"][0]["download_url"][len("/api/v1"):]
    assert space.client.get(path).text == "mine"
    assert stack.workspace().client().get(path).status_code == 404
    assert workspace.client("skills:read").get(path).status_code == 403
    assert requests.get(space.client.base + path, timeout=10).status_code == 401


def test_inputs_arrive_as_sent(workspace, space):
    probe(workspace, "import json, sys\ntext = sys.stdin.read()\njson.dump({'text': text}, sys.stdout)")
    raw = '{"b": 1.0, "a": "ü\\u00e4", "n": 123456789012345}'
    id = space.client.post(f"{space.path}/probe/executions", data=('{"inputs": ' + raw + "}").encode(),
                           headers={"Content-Type": "application/json"}).json()["data"]["id"]
    assert space.finished(id)["outputs"] == {"text": raw}


def test_progress_and_log_are_events_and_stored(workspace, space):
    probe(workspace, "import sys, time\n"
                     "for i in (10, 50, 90):\n    print(f'::progress {i} step {i}', file=sys.stderr, flush=True)\n"
                     "    print('line', i, file=sys.stderr, flush=True)\n    time.sleep(0.3)\nprint('{}')")
    x = space.ran("probe")
    assert space.logs(x["id"]) == "line 10\nline 50\nline 90\n"
    assert space.logs(x["id"], offset=8) == "line 50\nline 90\n"
    assert space.logs(x["id"], offset=1000) == ""
    names, data = events(space, x["id"])
    progress = [d["data"] for d in data if d["type"] == "progress"]
    assert progress[-1] == {"percent": 90, "message": "step 90"}
    assert "".join(d["data"]["text"] for d in data if d["type"] == "log") == "line 10\nline 50\nline 90\n"
    assert [d["seq"] for d in data] == list(range(1, len(data) + 1))


def test_events_and_log_are_bounded(workspace, space):
    probe(workspace, "import sys\nfor i in range(200000):\n    print('x' * 60, i, file=sys.stderr)\n"
                     "    print('::progress', i % 100, file=sys.stderr)\nprint('{}')", timeout_seconds=120)
    x = space.ran("probe")
    assert x["state"] == "succeeded"
    assert 900_000 < len(space.logs(x["id"])) <= 1024 * 1024 + 200
    names, data = events(space, x["id"])
    assert sum(n in ("log", "progress") for n in names) <= 1000


def test_log_is_readable_during_the_run(workspace, space):
    probe(workspace, "import sys, time\nprint('begun', file=sys.stderr, flush=True)\ntime.sleep(15)")
    id = space.started("probe")
    eventually(lambda: space.logs(id) == "begun\n", 10, "the log of the active run")
    space.client.post(f"{space.path}/executions/{id}/cancel")


@pytest.mark.parametrize("main, more, reason, error", [
    ("print('no json')", {}, "outputs_invalid", "outputs"),
    ("print('[1]')", {}, "outputs_invalid", "object"),
    ("pass", {}, "outputs_invalid", "printed nothing on standard output"),
    ("print('{\"n\": \"x\"}')", {"outputs": {"type": "object", "properties": {"n": {"type": "integer"}}}}, "outputs_invalid", "/n"),
    ("print('{}')\nprint('{}')", {}, "outputs_invalid", "outputs"),
    ("print('{\"l\": [' + '0,' * 300000 + '0]}')", {}, "limit_exceeded", "values"),
    ("print('{\"l\": [' + '{},' * 75000 + '0]}')", {}, "limit_exceeded", "values"),
    ("print('{\"l\": [' + '0,' * 200000 + '0]}')", {"outputs": {"type": "object", "properties": {"l": {"items": {"allOf": [{"type": "integer"}] * 8}}}}},
     "limit_exceeded", "/l"),
    ("import sys; sys.exit(3)", {}, "step_failed", "exit code 3"),
    ("import os; os.kill(os.getpid(), 9)", {}, "step_failed", "signal 9"),
    ("import time; time.sleep(60)", {"timeout_seconds": 1}, "timeout", "time limit"),
    ("import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: time.sleep(1)", {"timeout_seconds": 1}, "timeout", "time limit"),
    ("b = []\nwhile True: b.append(bytearray(4 << 20))", {"memory_mb": 64}, "memory_limit", "memory"),
    ("import sys\nwhile True: sys.stdout.write('x' * 65536)", {}, "output_limit", "outputs"),
    ("while True: open('outputs/big', 'ab').write(b'x' * (1 << 20))", {}, "output_limit", "disk"),
    ("pass", {"argv": ("none-such-command",)}, "step_failed", "127"),
])
def test_failures_are_reported_with_reason_and_error(stack, workspace, space, main, more, reason, error):
    probe(workspace, main, **more)
    x = space.ran("probe")
    assert (x["state"], x["failure_reason"]) == ("failed", reason), x
    assert error in x["error"] and x["outputs"] is None
    eventually(lambda: run_folders(stack) == [], what="removal of the run folder")
    assert space.client.get(f"/executions/{x['id']}").json()["failure_reason"] == reason


def test_failed_run_keeps_its_log_and_artifacts(workspace, space):
    probe(workspace, "import sys\nopen('outputs/partial', 'w').write('half')\nprint('what went wrong', file=sys.stderr)\nsys.exit(1)")
    x = space.ran("probe")
    assert x["state"] == "failed" and [a["relpath_in_workspace"] for a in x["artifacts"]] == ["outputs/partial"]
    assert space.logs(x["id"]) == "what went wrong\n"


def test_skill_is_isolated_from_the_host(stack, workspace, space):
    probe(workspace, """
import json, os, socket, subprocess, sys
paths = json.load(sys.stdin)["paths"]
tried = {}
def attempt(name, what):
    try:
        tried[name] = repr(what())
    except BaseException as e:
        tried[name] = None
for p in paths:
    attempt(p, lambda: os.listdir(p) if os.path.isdir(p) else open(p).read(10))
attempt("unix", lambda: socket.socket(socket.AF_UNIX))
def connect():
    s = socket.socket()
    s.settimeout(2)
    s.connect(("127.0.0.1", %d))
    return "connected"
attempt("net", connect)
attempt("skill", lambda: open("/skill/main.py", "a"))
attempt("materials", lambda: open("inputs/materials/x", "w"))
tried["uid"] = os.getuid()
tried["environment"] = sorted(os.environ)
json.dump(tried, sys.stdout)
""" % stack.port)
    paths = ["/etc/shadow", str(stack.dir), str(stack.dir / "millrace.ini"), str(stack.dir / "secrets"), str(stack.dir / "sockets"),
             str(stack.dir / "data/runs"), "/root", "/proc/1/environ", "/work/../../data"]
    x = space.ran("probe", {"paths": paths})
    assert x["state"] == "succeeded", x
    seen = x["outputs"]
    for name in [p for p in paths if p != "/proc/1/environ"] + ["unix", "net", "skill", "materials"]:
        assert seen[name] is None, (name, seen[name])
    assert seen["uid"] != 0
    assert not [n for n in seen["environment"] if "MILLRACE" in n and n != "MILLRACE_SKILL"]


def sleepers(mark):
    import pathlib
    found = []
    for p in pathlib.Path("/proc").iterdir():
        if p.name.isdigit():
            try:
                if mark in (p / "cmdline").read_bytes().decode(errors="replace"):
                    found.append(int(p.name))
            except OSError:
                pass
    return found


def descendants(pid):
    return {pid}.union(*map(descendants, children_of(pid)))


FORKER = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp("sleep", ["sleep", sys.argv[1]])
    time.sleep(100)
print("up", file=sys.stderr, flush=True)
time.sleep(100)
"""


def test_cancel_kills_the_whole_process_tree(stack, workspace, space):
    mark = some_seconds()
    probe(workspace, FORKER, argv=("python3", "./main.py", mark))
    id = space.started("probe")
    eventually(lambda: sleepers(mark) and space.logs(id) == "up\n", what="a running command")
    answer = space.client.post(f"{space.path}/executions/{id}/cancel")
    assert answer.status_code == 200 and answer.json()["data"]["state"] == "stopped"
    eventually(lambda: not sleepers(mark), 10, "end of the process tree")
    eventually(lambda: run_folders(stack) == [], 10, "removal of the run folder")
    assert space.get(id)["state"] == "stopped"
    assert workspace.balance() == 999, "a started run is not refunded"
    eventually(lambda: space.logs(id) == "up\n" and space.get(id)["resource_usage"]["wallclock_ms"], what="the stored log and the wall-clock time")
    assert space.get(id)["resource_usage"]["wallclock_ms"] > 0


def stopped_before_its_last_commit(stack, space, mark):
    """A run whose command has ended and whose log is stored, but whose stop gets the row lock before its last commit: the commit waits
    first, is killed, and queues again behind the stop. Returns None if the stop's wait timed out (2 s) before the row was released."""
    id = space.started("probe", {"mark": mark})
    eventually(lambda: space.logs(id) == "up\n" and sleepers(mark), what="a running command")
    answers = []

    def waiting():
        time.sleep(0.15)  # InnoDB refreshes the table only if nobody has read it for 100 ms
        return [row[0] for row in stack.sql("SELECT trx_mysql_thread_id FROM information_schema.innodb_trx "
                                            "WHERE trx_state = 'LOCK WAIT' ORDER BY trx_wait_started")]
    stop = threading.Thread(target=lambda: answers.append(space.client.post(f"{space.path}/executions/{id}/cancel")))
    with mariadb(stack.dir) as session:
        session(f"BEGIN; SELECT id FROM executions WHERE id = '{id}' FOR UPDATE")
        for pid in sleepers(mark):
            kill(pid, signal.SIGKILL)
        commit = eventually(waiting, 20, "the waiting commit")[0]
        stop.start()
        eventually(lambda: not stop.is_alive() or len(waiting()) == 2, 20, "the waiting stop")
        stopper = [connection for connection in waiting() if connection != commit][:1]
        stack.sql(f"KILL QUERY {commit}")
        behind = eventually(lambda: not stop.is_alive() or len(w := waiting()) == 2 and w[:1] == stopper, 20, "the commit behind the stop")
        session("ROLLBACK")
        stop.join()
    return id if behind and answers[0].status_code == 200 else None


@pytest.mark.serial
def test_stop_before_the_last_commit_keeps_log_and_artifacts(stack, workspace, space):
    probe(workspace, """
import json, subprocess, sys
print("up", file=sys.stderr, flush=True)
subprocess.run(["sleep", json.load(sys.stdin)["mark"]])
open("outputs/a.txt", "w").write("kept")
print("{}")
""")
    id = eventually(lambda: stopped_before_its_last_commit(stack, space, some_seconds()), 60, "a stop before the commit")
    assert space.get(id)["state"] == "stopped"
    eventually(lambda: space.logs(id) == "up\n" and space.get(id)["resource_usage"]["wallclock_ms"], 10, "log and wall-clock time")
    assert [a["relpath_in_workspace"] for a in space.get(id)["artifacts"]] == ["outputs/a.txt"]
    eventually(lambda: run_folders(stack) == [], 10, "removal of the run folder")


def test_stopping_executor_stores_the_log_of_a_stopped_run(stack, workspace, space):
    probe(workspace, """
import signal, sys, time
def bye(*_):
    time.sleep(0.5)
    print("bye", file=sys.stderr, flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, bye)
print("up", file=sys.stderr, flush=True)
while True: time.sleep(0.1)
""")
    id = space.started("probe")
    eventually(lambda: space.logs(id) == "up\n", what="a running command")
    assert space.client.post(f"{space.path}/executions/{id}/cancel").status_code == 200
    stack.logged("executor", f"run.cancelled execution={id}")
    stack.restart_server("executor")
    assert space.logs(id) == "up\nbye\n"
    eventually(lambda: run_folders(stack) == [], 10, "removal of the run folder")


def test_slot_of_a_stopped_run_is_free_after_its_command_ended(stack, workspace, space):
    """With one slot there is one uid: the next run starts late and does not fail."""
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    try:
        ini.write_text(text.replace("[executor]\n", "[executor]\nprocesses = 1\nmax_active = 1\n"))
        stack.restart_server("executor")
        probe(workspace, "import signal, sys, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
                         "print('up', file=sys.stderr, flush=True)\nwhile True: time.sleep(1)", slug="deaf")
        probe(workspace, HELLO)
        deaf = space.started("deaf")
        eventually(lambda: space.logs(deaf) == "up\n", what="a running command")
        assert space.client.post(f"{space.path}/executions/{deaf}/cancel").status_code == 200
        next_one = space.started("probe")
        assert space.finished(next_one)["state"] == "succeeded"
        waited = int(stack.sql_one(f"SELECT b.started_ms - a.ended_ms FROM executions a, executions b WHERE a.id = '{deaf}' AND b.id = '{next_one}'"))
        assert waited > 1500, "the command that ignores SIGTERM has 2 s of grace"
    finally:
        ini.write_text(text)
        stack.restart_server("executor")


def test_run_of_a_lost_executor_is_repeated_by_another(stack, workspace, space):
    mark = some_seconds()
    probe(workspace, FORKER, argv=("python3", "./main.py", mark), timeout_seconds=120)
    id = space.started("probe")
    eventually(lambda: sleepers(mark) and space.logs(id) == "up\n", what="a running command")
    before = set(sleepers(mark))
    attempt = int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'"))
    pid = int(re.findall(rf"executor\[(\d+)\] run\.claimed execution={id}", stack.log("executor"))[-1])
    kill(pid, 9)
    eventually(lambda: not before & set(sleepers(mark)), 10, "end of the old process tree")
    eventually(lambda: int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'")) == attempt + 1, 40, "the next attempt")
    eventually(lambda: sleepers(mark), 20, "the repeated command")
    space.client.post(f"{space.path}/executions/{id}/cancel")
    eventually(lambda: not sleepers(mark) and run_folders(stack) == [], 20, "removal of processes and folders")


def test_killed_runner_fails_its_run(stack, workspace, space):
    mark = some_seconds()
    probe(workspace, FORKER, argv=("python3", "./main.py", mark))
    id = space.started("probe")
    eventually(lambda: sleepers(mark) and space.logs(id) == "up\n", what="a running command")
    runner, = [p for p in stack.runners() if descendants(p) & set(sleepers(mark))]
    kill(runner, 9)
    x = space.finished(id)
    assert (x["state"], x["failure_reason"]) == ("failed", "internal")
    eventually(lambda: run_folders(stack) == [], 15, "removal of the run folder")


def test_sigterm_releases_long_runs(stack, workspace, space):
    mark = some_seconds()
    probe(workspace, FORKER, argv=("python3", "./main.py", mark), timeout_seconds=120)
    id = space.started("probe")
    eventually(lambda: sleepers(mark), what="a running command")
    stack.stop_server("executor")
    assert not sleepers(mark)
    assert space.get(id)["state"] == "queued"
    stack.start_server("executor")
    eventually(lambda: space.get(id)["state"] == "running" and sleepers(mark), 20, "the repeated command")
    space.client.post(f"{space.path}/executions/{id}/cancel")
    eventually(lambda: not sleepers(mark) and run_folders(stack) == [], 20, "removal of processes and folders")


@pytest.mark.serial
def test_prefer_wait_returns_the_finished_execution(workspace, space):
    probe(workspace, HELLO)
    done = space.start("probe", {"a": 1}, headers={"Prefer": "wait=20"})
    assert done.status_code == 200 and done.headers["Preference-Applied"] == "wait"
    assert done.json()["data"]["state"] == "succeeded" and done.json()["data"]["outputs"] == {"got": {"a": 1}}
    probe(workspace, "import time; time.sleep(3); print('{}')", slug="slow")
    late = space.start("slow", headers={"Prefer": "wait=1"})
    assert late.status_code == 201 and late.json()["data"]["state"] == "running"
    space.finished(late.json()["data"]["id"])


def test_run_uses_the_version_at_acceptance(stack, workspace, space):
    probe(workspace, "print('{\"v\": 1}')")
    stack.stop_server("executor")
    id = space.started("probe")
    probe(workspace, "print('{\"v\": 2}')", version="2.0.0")
    stack.start_server("executor")
    x = space.finished(id)
    assert x["outputs"] == {"v": 1} and x["skill_version"] == "1.0.0"
    assert space.ran("probe")["outputs"] == {"v": 2}


@pytest.mark.serial
def test_hundred_short_runs_all_succeed(stack, workspace, space):
    """Two idle cores execute at least 100 runs per second. This test requires only that all succeed, even if they wait for a slot longer
    than the timeout of a run."""
    import concurrent.futures
    # a sanitized runner may take more than 10 s for one of many concurrent runs
    sanitized = "MILLRACE_BIN" in os.environ
    probe(workspace, "", slug="quick", argv=("sh", "-c", "echo {}"), timeout_seconds=60 if sanitized else 10)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda i: Space(workspace, space.client).started("quick"), range(30 if sanitized else 100)))
    began = time.monotonic()
    for id in ids:
        x = space.finished(id, 90)
        assert x["state"] == "succeeded", (x["failure_reason"], x["error"])
    print(f"{len(ids)} runs drained in {time.monotonic() - began:.2f} s")
    eventually(lambda: run_folders(stack) == [], 10, "removal of the run folders")


# --- as a step of a workflow ------------------------------------------------------------------------------------

def test_workflow_step_runs_a_skill(workspace, space):
    install(workspace, EXAMPLES / "word-count")
    upload(space, story_txt=TEXT.encode())
    workflow = workspace.put_workflow({
        "inputs": {"type": "object", "required": ["file"]},
        "steps": [{"name": "count", "type": "skill", "slug": "word-count", "inputs": {"file": "${/inputs/file}", "top": 0},
                   "file_source_ids": ["${/inputs/file}"]}],
        "outputs": {"words": "${/steps/count/result/outputs/words}", "child": "${/steps/count/result/execution_id}"}})
    run = space.client.finished(space.client.started(workflow, {"file": "story.txt"}))
    assert run["status"] == "success", run
    assert run["detail"]["output"]["words"] == 9
    child = space.get(run["detail"]["output"]["child"])
    assert child["source"] == "workflow" and child["parent_execution_id"] == run["id"] and child["state"] == "succeeded"
    assert workspace.balance() == 998, "workflow and skill are both charged"


def test_a_large_manifest_is_compiled_before_its_runs_are_claimed(workspace, space):
    """More than a claim compiles: the first run of it, and its first child."""
    for slug, start in (("run", lambda: space.started("run")), ("child", lambda: space.client.started(workspace.put_workflow(
            {"steps": [{"name": "a", "type": "skill", "slug": "child"}], "outputs": "${/steps/a/result/outputs/n}"})))):
        probe(workspace, "print('{\"n\": 1}')", slug=slug, inputs={"type": "object", "description": "x" * 40000})
        id = start()
        if slug == "run":
            assert space.finished(id)["outputs"] == {"n": 1}
        else:
            assert space.client.finished(id)["detail"]["output"] == 1


def test_step_with_an_unusable_skill_fails(stack, workspace, space):
    probe(workspace, "import sys; sys.exit(1)", inputs={"type": "object", "required": ["n"]})
    answer = space.client.post("/workflows", json={"name": "x", "program": {"steps": [{"name": "a", "type": "skill", "slug": "nothing"}]}})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"].endswith("/steps/0/slug")
    steps = {"bad inputs": ({"inputs": {}}, "lacks a required member"), "fails": ({"inputs": {"n": 1}}, "exit code 1"),
             "no model": ({"inputs": {"n": 1}, "model": "none"}, "model"),
             "files": ({"inputs": {"n": 1}, "file_source_ids": "${/inputs}"}, "file_source_ids"),
             "a NUL in a file's name": ({"inputs": {"n": 1}, "file_source_ids": ["a\0b"]}, "without NULs"),
             "a NUL in an alias": ({"inputs": {"n": 1}, "model": "a${/inputs/nul}b"}, "contains a NUL")}
    for name, (step, sentence) in steps.items():
        workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "skill", "slug": "probe", **step}]})
        run = space.client.finished(space.client.started(workflow, {"nul": "\0"}))
        assert run["status"] == "failed" and run["failure_reason"] == "step_failed", (name, run)
        assert sentence in run["error"], (name, run["error"])


def test_stop_of_a_workflow_kills_its_skill(stack, workspace, space):
    mark = some_seconds()
    probe(workspace, FORKER, argv=("python3", "./main.py", mark))
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "skill", "slug": "probe"}]})
    run = space.client.started(workflow)
    eventually(lambda: sleepers(mark), what="a running command")
    assert space.client.post(f"/executions/{run}/stop").status_code == 200
    eventually(lambda: not sleepers(mark) and run_folders(stack) == [], 10, "end of the processes and removal of the folder")


def test_live_log_events_are_split_or_tell_what_is_missing(stack, workspace, space):
    """A line of 40,000 bytes: what the events show is its beginning, undivided; what they do not show is counted."""
    probe(workspace, "import sys\nsys.stderr.write('\u20ac' * 13333 + '\\n')\nprint('{}')", slug="long-line")
    x = space.ran("long-line")
    assert x["state"] == "succeeded"
    rows = stack.sql(f"SELECT data FROM events WHERE execution_id = '{x['id']}' AND type = 7 ORDER BY seq")
    logs = [json.loads(row[0]) for row in rows]
    text = "".join(e["text"] for e in logs)
    assert text == ("\u20ac" * 13333 + "\n")[:len(text)] and all(len(e["text"].encode()) <= 10000 for e in logs)
    omitted = sum(e.get("omitted_bytes", 0) for e in logs)
    assert len(text.encode()) >= 16000 and len(text.encode()) + omitted == 40000, (len(text), omitted)
    assert all(e["truncated"] for e in logs if "omitted_bytes" in e)


def test_files_that_are_no_artifacts_are_reported_in_one_event(workspace, space):
    probe(workspace, """import os
for i in range(130): open(f"outputs/{i:03}", "w").write("x")
os.mkfifo("outputs/a-fifo")
os.link("outputs/000", "outputs/b-link")
print("{}")""", slug="many-files")
    x = space.ran("many-files")
    assert x["state"] == "succeeded"
    data = events(space, x["id"])[1]
    assert [e["data"]["relpath_in_workspace"] for e in data if e["type"] == "artifact.created"] == [
        f"outputs/{i:03}" for i in range(1, 101)]
    refused, = [e["data"] for e in data if e["type"] == "artifacts.refused"]
    assert refused["refused"] == 32
    assert refused["reasons"] == {"too many artifacts": 29, "is a FIFO": 1, "has more than one hard link": 2}
    assert len(refused["files"]) == 20
    assert refused["files"][0] == {"relpath_in_workspace": "outputs/000", "why": "has more than one hard link"}


def test_the_execution_lists_artifacts_and_log(stack, workspace, space):
    probe(workspace, "import sys\nopen('outputs/a.txt', 'w').write('abc')\nprint('to the log', file=sys.stderr)\nprint('{}')", slug="leaves")
    x = space.ran("leaves")
    shown = space.client.execution(x["id"])
    assert shown["artifacts"] == x["artifacts"] and shown["artifacts"][0]["size_bytes"] == 3
    assert shown["logs"] == {"url": f"/api/v1/executions/{x['id']}/logs", "size_bytes": len("to the log\n")}
    assert requests.get(stack.url + shown["logs"]["url"], headers=space.client.session.headers).text == "to the log\n"
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    done = space.client.finished(space.client.started(workflow))
    assert "artifacts" not in done and "logs" not in done  # only skills have any


def test_the_log_of_a_running_skill_is_followed(workspace):
    probe(workspace, """
import pathlib, sys, time
print("first \\u00e9", file=sys.stderr, flush=True)
while not pathlib.Path("inputs/never").exists():
    time.sleep(0.05)
    print("more", file=sys.stderr, flush=True)
""")
    space = Space(workspace)
    id = space.started("probe")
    with space.client.get(f"/executions/{id}/logs?follow=true", stream=True, timeout=60) as got:
        assert got.status_code == 200 and got.headers["Content-Type"] == "text/plain; charset=utf-8"
        lines = got.iter_lines()
        assert next(lines).decode() == "first \u00e9" and next(lines) == b"more", "it is sent while the skill runs"
        assert space.client.post(f"/executions/{id}/stop").status_code == 200
        assert {b"more"} >= {line for line in lines}, "the stream ends with the run"
    assert space.client.get(f"/executions/{id}/logs?follow=true&offset=3").status_code == 400
    # of a run that has ended it is the log at once, also while the executor stores it
    for _ in range(100):
        assert space.client.get(f"/executions/{id}/logs?follow=true").text.startswith("first \u00e9\nmore\n")
