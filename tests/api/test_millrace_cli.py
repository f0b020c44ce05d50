"""millrace-cli, the command of callers, against a real stack and through what happens to callers."""
import http.server
import json
import os
import re
import shutil
import subprocess
import threading

import pytest
import requests
from cutting_relay import CuttingRelay
from skills import probe
from stack import BIN, eventually

ECHO = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
FAIL = {"steps": [{"name": "no", "type": "fail", "message": "the message"}]}
SLOW = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}
NOBODY = "01890000-0000-7000-8000-000000000000"
UUID = re.compile("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class Shell:
    def __init__(self, url, key, home):
        self.env = {"PATH": os.environ["PATH"], "HOME": str(home), "MILLRACE_URL": url, "MILLRACE_API_KEY": key,
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}

    def run(self, *words, code=0, text="", **env):
        done = subprocess.run([BIN / "millrace-cli", *map(str, words)], env={**self.env, **env}, input=text, text=True, capture_output=True,
                              timeout=120)
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert self.env["MILLRACE_API_KEY"] not in done.stdout + done.stderr
        return done

    def out(self, *words, **options):
        return self.run(*words, **options).stdout.strip()


@pytest.fixture
def shell(stack, workspace, tmp_path):
    return Shell(stack.url, workspace.key()["key"], tmp_path)


def test_a_run_from_start_to_end(shell, workspace):
    flow = workspace.put_workflow(ECHO)
    run = shell.out("run", flow, "--inputs", '{"n": 9007199254740993, "x": 0.10}', "--tag", "a", "--tag", "b")
    assert UUID.fullmatch(run)
    shown = json.loads(shell.out("--json", "show", run, "--wait", "--steps"))
    assert shown["tags"] == ["a", "b"] and shown["steps"][0]["status"] == "completed"
    assert shell.out("run", flow, "--inputs", '{"n": 9007199254740993, "x": 0.10}', "--wait") == '{"n":9007199254740993,"x":0.10}'
    assert shell.out("run", flow, "--inputs", "@-", "--wait", text='{"from": "input"}') == '{"from":"input"}'
    again = json.loads(shell.out("--json", "retry", run, "--wait"))
    assert again["retry_of"] == run and again["state"] == "succeeded"
    table = shell.out("list", "--workflow", flow, "--tag", "a")
    assert run in table and "succeeded" in table
    page = json.loads(shell.out("--json", "list", "--limit", "1"))
    assert len(page["executions"]) == 1 and page["has_more"]
    following = json.loads(shell.out("--json", "list", "--limit", "1", "--after", page["next_cursor"]))
    assert following["executions"][0]["id"] != page["executions"][0]["id"]
    assert run in shell.out("show", run) and "steps" not in shell.out("show", run)


def test_signals_and_tickets(shell, workspace):
    flow = workspace.put_workflow({"steps": [{"name": n, "type": "wait", "signal": n, "timeout_seconds": 600} for n in "abc"],
                                   "outputs": ["${/steps/a/result/data}", "${/steps/b/result/data}", "${/steps/c/result/data}"]})
    run = shell.out("run", flow)
    assert shell.out("signal", run, "a", "--data", '{"n": 0.10}') in ("delivered", "kept")
    url = shell.out("signal", run, "b", "--ticket", "--question", "Why?", "--choice", "x", "--choice", "é", "--recipient", "ada", "--expires", "600")
    page = requests.get(url, timeout=60).text
    assert "Why?" in page and page.count("<button") == 2
    assert requests.post(url, data={"choice": "1"}, timeout=60).status_code == 200
    assert json.loads(shell.out("--json", "signal", run, "c", "--idempotency-key", "k"))["state"] in ("delivered", "kept")
    assert json.loads(shell.out("show", run, "--wait"))["detail"]["output"] == [{"n": 0.1}, "é", None]
    shell.run("signal", run, "a", code=3)  # it has ended
    shell.run("signal", run, "a", "--ticket", code=3)
    for words in (("--question", "x"), ("--ticket", "--data", "1"), ("--data", "{"), ("--ticket", "--expires", "x")):
        shell.run("signal", run, "a", *words, code=2)
    shell.run("signal", run, code=2)


def test_exit_codes(shell, workspace, stack):
    fail = workspace.put_workflow(FAIL)
    done = shell.run("run", fail, "--wait", code=1)
    assert done.stdout == "" and "failed" in done.stderr and "the message" in done.stderr
    assert json.loads(shell.run("--json", "run", fail, "--wait", code=1).stdout)["state"] == "failed"
    slow = shell.out("run", workspace.put_workflow(SLOW))
    assert "it continues" in shell.run("show", slow, "--wait", "--timeout", "1", code=5).stderr
    assert shell.out("stop", slow) == "stopped"
    assert json.loads(shell.run("--json", "show", slow).stdout)["state"] == "stopped"
    shell.run("show", slow, "--wait", code=1)
    assert "not_found" in shell.run("show", NOBODY, code=3).stderr
    assert json.loads(shell.run("--json", "show", NOBODY, code=3).stderr)["code"] == "not_found"
    assert "unauthenticated" in shell.run("list", code=3, MILLRACE_API_KEY="sk_live_" + "x" * 43).stderr
    problems = shell.run("run", workspace.put_workflow({**ECHO, "inputs": {"type": "object", "required": ["n"]}}), code=3).stderr
    assert "invalid_inputs" in problems and "\n  " in problems
    shell.run("--retry-seconds", "0", "list", code=4, MILLRACE_URL="http://127.0.0.1:1")
    for words in ([], ["nonsense"], ["show"], ["show", "a", "b"], ["list", "--nonsense"], ["run", "x", "--inputs", "{"], ["list", "--limit"],
                  ["run", "x", "--inputs", "@/nowhere"], ["upload", "/nowhere"], ["--retry-seconds", "x", "list"], ["show", "x", "--timeout", "0"],
                  ["run", "x", "--model", "m"], ["run", "x", "--idempotency-key", "a\nX-Other: b"]):
        shell.run(*words, code=2)


def test_settings_file_must_be_private(shell, workspace, tmp_path, stack):
    workspace.put_workflow(ECHO)
    key = shell.env.pop("MILLRACE_API_KEY")
    url = shell.env.pop("MILLRACE_URL")
    shell.env["MILLRACE_API_KEY"] = ""
    assert "MILLRACE_URL" in subprocess.run([BIN / "millrace-cli", "list"], env=shell.env, capture_output=True, text=True).stderr
    path = tmp_path / ".config/millrace/cli.ini"
    path.parent.mkdir(parents=True)
    path.write_text(f"url = {url}/\napi_key = {key}\n")

    def call(*words):
        done = subprocess.run([BIN / "millrace-cli", *words, "list"], env=shell.env, capture_output=True, text=True, timeout=60)
        assert key not in done.stdout + done.stderr
        return done.returncode, done.stderr
    path.chmod(0o640)
    code, err = call()
    assert code == 2 and "chmod 600" in err
    path.chmod(0o600)
    assert call() == (0, "")
    other = tmp_path / "other.ini"
    other.write_text(f"url = {url}\nkey = {key}\n")
    other.chmod(0o600)
    assert call("--config", str(other))[0] == 2
    assert call("--config", str(path)) == (0, "")


def test_upload_and_logs(shell, workspace, tmp_path):
    (tmp_path / "read me.txt").write_text("bytes")
    (tmp_path / "b.bin").write_bytes(b"\0\1")
    assert shell.out("upload", tmp_path / "read me.txt", tmp_path / "b.bin").splitlines() == ["read me.txt", "b.bin"]
    probe(workspace, "import sys\nprint('first', file=sys.stderr, flush=True)\nprint('last', file=sys.stderr)", slug="writer")
    run = shell.out("run", "writer", "--space", workspace.id)
    assert shell.out("logs", run, "-f").splitlines() == ["first", "last"]
    assert shell.out("logs", run).splitlines() == ["first", "last"]


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with the next of `script`, and records keys; then as a healthy server."""
    script, seen = [], []

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append(self.headers["Idempotency-Key"])
        status, headers, body = self.script.pop(0) if self.script else (202, {}, {"execution_id": NOBODY})
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass


@pytest.fixture
def answers():
    kind = type("Script", (Answers,), {"script": [], "seen": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), kind)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield kind, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_request_is_repeated_with_the_same_key(answers, tmp_path):
    kind, url = answers
    shell = Shell(url, "sk_live_" + "x" * 43, tmp_path)
    busy = {"code": "unavailable", "detail": "d"}
    kind.script += [(503, {"Retry-After": "1"}, busy), (429, {"Retry-After": "0"}, busy), (409, {}, {"code": "idempotency_in_flight"}), (502, {}, {})]
    assert shell.out("run", "w") == NOBODY
    assert len(kind.seen) == 5 and len(set(kind.seen)) == 1 and UUID.fullmatch(kind.seen[0])
    assert shell.out("run", "w", "--idempotency-key", "mine") == NOBODY and kind.seen[-1] == "mine"
    # a delay beyond --retry-seconds ends the command at once, and what cannot pass is not repeated
    kind.seen.clear()
    kind.script += [(503, {"Retry-After": "3600"}, busy)]
    assert "503" in shell.run("run", "w", code=4).stderr and len(kind.seen) == 1
    kind.script += [(500, {}, busy), (409, {}, {"code": "idempotency_key_reused", "detail": "d"})]
    shell.run("run", "w", code=4)
    shell.run("run", "w", code=3)
    assert len(kind.seen) == 3


def test_a_stream_that_is_cut_is_resumed(stack, shell, workspace):
    flow = workspace.put_workflow({"steps": [{"name": f"s{n}", "type": "delay", "seconds": 0.1} for n in range(4)]})
    relay = CuttingRelay(stack.port, cuts=[700, 500, 900])
    try:
        run = shell.out("run", flow)
        lines = shell.out("--json", "events", run, MILLRACE_URL=relay.url).splitlines()
        assert relay.connections == 4
    finally:
        relay.close()
    events = [json.loads(line) for line in lines]
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1)) and events[-1]["type"] == "execution.succeeded"
    assert shell.out("events", run, "--since", events[-2]["seq"]).split()[2] == "execution.succeeded"
    assert shell.out("events", run, "--since", events[-1]["seq"]) == ""


def test_completion_and_manual_page(shell, tmp_path):
    table = json.loads(shell.out("help", "--table"))
    assert {"run", "logs", "list", "show", "stop", "retry", "upload"} <= {c["noun"] for c in table}
    assert "--idempotency-key" in next(c["options"] for c in table if c["noun"] == "run")
    man = shell.out("man")
    assert man.startswith(".TH MILLRACE-CLI 1") and all(f".B millrace-cli {c['noun']}" in man for c in table)
    (tmp_path / "completion").write_text(shell.out("completion", "bash"))

    def completed(*words):
        script = f'. {tmp_path}/completion; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; _millrace_cli; printf "%s\\n" "${{COMPREPLY[@]}}"'
        return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()
    assert completed("millrace-cli", "ru") == ["run"]
    assert completed("millrace-cli", "run", "x", "--wa") == ["--wait"]
    assert completed("millrace-cli", "list", "--st") == ["--state"] and completed("millrace-cli", "list", "--retry") == ["--retry-seconds"]
    assert completed("millrace-cli", "upload", "compl") == ["completion"]
    zsh = shell.out("completion", "zsh")
    assert zsh.startswith("#compdef millrace-cli")
    if shutil.which("zsh"):
        (tmp_path / "completion.zsh").write_text(zsh)
        subprocess.run(["zsh", "-fc", f"autoload -U compinit && compinit -D && . {tmp_path}/completion.zsh"], check=True, timeout=60)


def test_the_operators_completion_tells_nouns_with_a_common_beginning_apart(stack, tmp_path):
    done = subprocess.run([BIN / "millrace", "completion", "bash"], capture_output=True, text=True, check=True, env=stack.env)
    (tmp_path / "c").write_text(done.stdout)
    script = f'. {tmp_path}/c; COMP_WORDS=(millrace audit-log --remove); COMP_CWORD=2; _millrace; printf "%s\\n" "${{COMPREPLY[@]}}"'
    assert subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split() == ["--remove-expired"]


def test_nothing_is_lost_while_the_server_restarts(stack, shell, workspace):
    """A command that is started while the API is down waits, and its run is charged once."""
    flow = workspace.put_workflow(ECHO)
    stack.stop_server("api")
    balance = workspace.balance()
    waiting = subprocess.Popen([BIN / "millrace-cli", "run", flow, "--wait"], env=shell.env, stdout=subprocess.PIPE, text=True)
    try:
        eventually(lambda: "502" in stack.log("nginx") or "connect() to unix" in stack.log("nginx"), 30, "a request that failed")
    finally:
        stack.start_server("api")
        out, _ = waiting.communicate(timeout=90)
    assert waiting.returncode == 0 and out.strip() == "{}"
    assert workspace.balance() == balance - 1
