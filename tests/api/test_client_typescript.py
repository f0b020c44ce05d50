"""clients/typescript against a real stack, as a package that npm made: its types are those of the document, a program that uses it
compiles under strict, and it gets through a 503, a 409 of a request in progress, a cut stream, a large integer and an expired key."""
import json
import os
import shutil
import signal
import subprocess
import tarfile
import threading
import time

import peers
import pytest
from cutting_relay import CuttingRelay
from stack import ROOT, eventually, kill

pytestmark = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
ECHO = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
LARGE = 2 ** 53 + 1
TOOLS = ROOT / "tests/node_modules/.bin"


def run(*command, cwd, **env):
    done = subprocess.run(command, cwd=cwd, env={**os.environ, "NO_PROXY": "127.0.0.1", **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """The folder with the compiled scenarios, in which the package is installed."""
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=600)
    place = tmp_path_factory.mktemp("typescript")
    source = place / "source"
    shutil.copytree(ROOT / "clients/typescript", source, ignore=shutil.ignore_patterns("dist", "node_modules"))
    run(TOOLS / "tsc", "-p", ".", cwd=source)
    name = run("npm", "pack", "--silent", "--pack-destination", str(place), cwd=source).split()[-1]
    with tarfile.open(place / name) as archive:
        archive.extractall(place / "unpacked")
    (place / "node_modules/@types").mkdir(parents=True)
    (place / "unpacked/package").rename(place / "node_modules/millrace-client")
    for module in ("@types/node", "undici-types"):
        (place / "node_modules" / module).symlink_to(ROOT / "tests/node_modules" / module)
    shutil.copy(ROOT / "tests/api/client_scenarios.ts", place / "client_scenarios.ts")
    (place / "package.json").write_text('{"type": "module"}')
    (place / "tsconfig.json").write_text(json.dumps({"compilerOptions": {
        "strict": True, "noUncheckedIndexedAccess": True, "exactOptionalPropertyTypes": True, "target": "ES2022", "module": "NodeNext",
        "moduleResolution": "NodeNext", "lib": ["ES2022", "DOM", "DOM.Iterable"], "types": ["node"]}, "files": ["client_scenarios.ts"]}))
    run(TOOLS / "tsc", "-p", ".", cwd=place)
    return place


class Caller:
    """Runs scenarios with a key of the workspace."""

    def __init__(self, program, stack, workspace):
        self.program, self.url, self.key = program, stack.url, workspace.key()

    def environment(self, workflow, **more):
        return {"URL": self.url, "KEY": self.key["key"], "WORKFLOW": workflow, **more}

    def run(self, scenario, workflow="", **more):
        return [json.loads(line) for line in run("node", "client_scenarios.js", scenario, cwd=self.program, **self.environment(workflow, **more)).splitlines()]

    def start(self, scenario, workflow, **more):
        return subprocess.Popen(["node", "client_scenarios.js", scenario], cwd=self.program, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                env={**os.environ, "NO_PROXY": "127.0.0.1", **self.environment(workflow, **more)})


@pytest.fixture
def caller(program, stack, workspace):
    return Caller(program, stack, workspace)


def test_types_are_those_of_the_document():
    done = subprocess.run([ROOT / "scripts/clients", "--check", "typescript"], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr


def test_a_wrong_use_does_not_compile(program):
    (program / "wrong.ts").write_text('import { Client } from "millrace-client";\nconst c = new Client({ url: "", key: "" });\n'
                                      'void c.run("id", { at: new Date() });\nvoid c.executions({ status: "done" });\n')
    done = subprocess.run([TOOLS / "tsc", "--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--types", "node", "wrong.ts"], cwd=program,
                          capture_output=True, text=True, timeout=300)
    assert "wrong.ts(3," in done.stdout and "wrong.ts(4," in done.stdout, done.stdout


def test_the_example(program, stack, workspace):
    """It imports ../dist, as in the tree."""
    flow = workspace.put_workflow(ECHO)
    out = run("node", "source/examples/run.mjs", cwd=program, MILLRACE_URL=stack.url, MILLRACE_API_KEY=workspace.key()["key"], MILLRACE_WORKFLOW_ID=flow)
    assert "1 execution.queued" in out and out.splitlines()[-1] == 'succeeded {"reader":"Ada"}'


def test_a_run_and_large_integers(caller, workspace):
    first, second, third = caller.run("run", workspace.put_workflow(ECHO))
    assert first["state"] == "succeeded" and first["types"] == ["bigint", "number"] and first["tags"] == ["x"]
    assert first["output"] == {"n": 1, "large": LARGE, "negative": -2 ** 63, "half": 0.5, "text": str(LARGE), "deep": [{"n": LARGE}]}
    assert second == {"step": "completed", "again": True, "runs": 2, "balance": workspace.balance()} and third == {"purged": True}


def test_json(caller):
    *texts, kinds = caller.run("json")
    assert [json.loads(t["same"]) for t in texts] == [
        {"a": LARGE, "b": str(LARGE), 'c"1': [-LARGE, 1, 1.5, 1000, "x\\"], "d": 12345678901234567890}, 2 ** 53, [], "A", 0, -0.0005]
    assert kinds == {"kinds": ["bigint", "number"]}


def test_pages(caller, workspace):
    flow = workspace.put_workflow(ECHO)
    workspace.put_workflow(ECHO)
    assert caller.run("pages", flow) == [{"same": True, "debits": 7, "workflows": 2}]


def test_errors_by_code(caller, workspace):
    missing, program, reused, narrowed = caller.run("errors", workspace.put_workflow(ECHO))
    assert missing == {"status": 404, "code": "not_found", "request": "string"}
    assert program["code"] == "invalid_program" and program["pointer"] and reused["code"] == "idempotency_key_reused"
    assert narrowed == {"narrowed": "not_found", "other": False, "connection": False}


def test_expired_key(stack, workspace, caller):
    flow, client = workspace.put_workflow(ECHO), workspace.client()
    run = client.started(flow)
    stack.sql(f"UPDATE api_keys SET expires_ms = {int(time.time() * 1000) - 1} WHERE id = '{caller.key['id']}'")
    lines = caller.run("refused", flow, RUN=run)
    assert lines == [{"status": 401, "code": "unauthenticated", "request": "string"}] * 4, "each is refused at once and not repeated"


def test_through_a_503(stack, workspace, caller):
    flow, before = workspace.put_workflow(ECHO), workspace.balance()
    stack.stop_server("api")
    try:
        process = caller.start("wait", flow, RETRY_SECONDS="120")
        first = json.loads(process.stdout.readline())
    finally:
        stack.start_server("api")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0 and first == {"retry": "unavailable", "after": 1}
    assert json.loads(out.splitlines()[-1]) == {"state": "succeeded", "output": {"n": 1}}
    assert before - workspace.balance() == 1
    stack.wait_ready()


def test_409_in_flight(stack, workspace, caller):
    """As in test_client_python.py: the first request waits for a lock of the test, the second is told to come again."""
    flow, seen = workspace.put_workflow(ECHO), threading.Event()
    lines = [[], []]

    def read(process, mine):
        for line in process.stdout:
            mine.append(json.loads(line))
            if mine[-1].get("retry") == "idempotency_in_flight":
                seen.set()
    with peers.mariadb(stack.dir) as session:
        session(f"BEGIN; SELECT workspace_id FROM accounts WHERE workspace_id = '{workspace.id}' FOR UPDATE")
        processes = [caller.start("key", flow, RETRY_SECONDS="120") for _ in lines]
        readers = [threading.Thread(target=read, args=pair) for pair in zip(processes, lines)]
        for reader in readers:
            reader.start()
        assert seen.wait(60)
        session("COMMIT")
    for process, reader in zip(processes, readers):
        assert process.wait(120) == 0
        reader.join()
    assert lines[0][-1]["id"] == lines[1][-1]["id"]
    assert int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")) == 1


@pytest.mark.parametrize("cuts", [[10], [700, 1, 900], [1500]])
def test_cut_stream(stack, workspace, caller, cuts):
    relay = CuttingRelay(stack.port, [])
    try:
        flow = workspace.put_workflow({"steps": [{"name": f"s{i}", "type": "transform", "value": "x" * 50} for i in range(10)]})
        relay.cuts[:] = cuts  # node keeps a connection for several requests: any of them is cut
        caller.url = relay.url
        lines = caller.run("events", flow)
        retries, (first, second) = [line for line in lines if "retry" in line], [line for line in lines if "seqs" in line]
        count = len(first["seqs"])
        assert first == {"seqs": list(range(1, count + 1)), "last": "execution.succeeded"}
        assert second == {"seqs": list(range(4, count + 1)), "none": 0}
        assert retries and all(line["retry"] == "connection" for line in retries)
        assert int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")) == 1
    finally:
        relay.close()


def test_feed(stack, workspace, caller):
    """As in test_client_python.py."""
    relay = CuttingRelay(stack.port, [10, 1000, 500, 2200])
    flow, client, direct = workspace.put_workflow(ECHO), workspace.client(), caller.url

    def started(count):
        client.started(flow)
        return sorted(client.started(flow, tags=["fed", "\u2028"]) for _ in range(count))
    try:
        caller.url = relay.url
        process = caller.start("feed", flow, COUNT="10")
        lines = (line for line in map(json.loads, process.stdout) if "retry" not in line)
        assert next(lines)["begun"]

        def ids(count):
            return sorted(next(lines)["id"] for _ in range(count))
        runs = started(6)
        assert ids(6) == runs
        kill(stack.pid("stream"), signal.SIGKILL)
        eventually(lambda: not stack.pid("stream"), 20, "the end of the daemon")
        runs = started(3)
        stack.start_server("stream")
        assert ids(3) == runs
        stack.sql(f"DELETE FROM feed_events WHERE execution_id = '{runs[0]}'")
        stack.sql(f"INSERT INTO feed_events (execution_id, workspace_id, at_ms) VALUES ('{runs[0]}', '{workspace.id}', {int(time.time() * 1000)})")
        [mark] = started(1)
        last = next(lines)
        assert last["id"] == mark and next(lines) == {"done": True} and process.wait(60) == 0
        caller.url, runs = direct, started(2)
        begun, *events, done = caller.run("feed", COUNT="2", AFTER=last["last"])
        assert begun == {"begun": last["last"]} and sorted(e["id"] for e in events) == runs
        assert caller.run("closed") == [{"done": True}]
    finally:
        relay.close()


def test_timeout_of_a_wait(caller, workspace):
    flow = workspace.put_workflow({"steps": [{"name": "d", "type": "delay", "seconds": 600}]})
    assert caller.run("timeout", flow) == [{"stopped": "stopped", "state": "stopped"}]


def test_files(caller):
    stored, gone = caller.run("files")
    assert stored == {"same": True, "files": 2} and gone["code"] == "not_found"


def test_webhooks(caller):
    assert caller.run("webhooks") == ["invalid"] * 9

