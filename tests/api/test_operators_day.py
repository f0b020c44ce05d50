"""What an operator does every day: a look at the status, names in place of ids, tables on a terminal, completion and manual pages."""
import json
import os
import pty
import re
import select
import struct
import subprocess
import fcntl
import termios

import pytest
import requests
from skills import EXAMPLES, install
from stack import BIN, ROOT, eventually
from test_cli import fails, plain

ONE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
BROKEN = {"steps": [{"name": "a", "type": "fail", "message": "the reason of this failure"}]}


def on_terminal(stack, *args, columns=80):
    """What the command writes to a terminal of so many columns, as lines."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {name: value for name, value in stack.env.items() if name != "COLUMNS"}
    process = subprocess.Popen([BIN / "millrace", *map(str, args)], env=env, stdin=subprocess.DEVNULL, stdout=follower, stderr=follower)
    os.close(follower)
    out = b""
    while True:
        try:
            part = os.read(leader, 65536) if select.select([leader], [], [], 60)[0] else b""
        except OSError:  # EIO: the other side is closed
            part = b""
        if not part:
            break
        out += part
    os.close(leader)
    assert process.wait(60) == 0, out
    return out.decode().replace("\r\n", "\n").splitlines()


# --- tables ---------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("columns", [40, 80, 132, 400])
def test_tables_fit_the_terminal(stack, columns):
    workspace = stack.workspace()
    client = workspace.client()
    run = client.started(workspace.put_workflow(BROKEN, name="a long name " * 10))
    client.finished(run)
    for command in (("execution", "list", "--workspace", workspace.id), ("workspace", "list"), ("key", "list", "--workspace", workspace.id)):
        lines = on_terminal(stack, *command, columns=columns)
        note = [line for line in lines if line.startswith("(not shown:")]
        assert all(len(line) <= columns for line in lines if line not in note), lines
        assert bool(note) == (columns < 400) or columns == 132
    shown = on_terminal(stack, "execution", "list", "--workspace", workspace.id, columns=columns)
    assert shown[1].startswith(run)  # an id is never shortened
    assert "the reason of this failure" in plain(stack, "execution", "list", "--workspace", workspace.id)


def test_wide_characters_count_twice(stack):
    made = stack.cli("workspace", "create", "--name", "東京" * 15)
    lines = on_terminal(stack, "workspace", "list", columns=60)
    line = next(line for line in lines if line.startswith(made["id"]))
    assert sum(2 if ord(c) > 0x1100 and c != "…" else 1 for c in line) <= 60


def test_no_limit_without_a_terminal_and_columns_wins(stack):
    stack.workspace()
    assert max(map(len, plain(stack, "workspace", "list").splitlines())) > 132
    env = {**stack.env, "COLUMNS": "50"}
    out = subprocess.run([BIN / "millrace", "workspace", "list"], env=env, capture_output=True, text=True, timeout=60).stdout
    assert all(len(line) <= 50 for line in out.splitlines() if not line.startswith("(not shown"))


@pytest.mark.parametrize("command", [("workflow", "list"), ("key", "list"), ("skill", "list"), ("model", "list"), ("secret", "list"),
                                     ("execution", "list")])
def test_an_empty_list_prints_none(stack, command):
    workspace = stack.workspace(credits=0)
    assert plain(stack, *command, "--workspace", workspace.id) == "none\n"
    assert stack.cli(*command, "--workspace", workspace.id) == []


def test_control_characters_are_escaped(stack):
    """In tables, objects, lines and error messages: what a name contains must not reach the terminal as a command."""
    workspace = stack.workspace()
    name = "a\x1b[31mred\x07\u202egpj.exe\u2028\u0085z"
    flow = workspace.put_workflow(ONE, name=name)
    client = workspace.client()
    run = client.finished(client.started(flow))["execution_id"]
    escaped = r"a\x1b[31mred\x07\u202egpj.exe\u2028\x85z"
    for command in (("workflow", "list", "--workspace", workspace.id), ("execution", "list", "--workspace", workspace.id),
                    ("execution", "show", run)):
        out = plain(stack, *command)
        assert escaped in out or json.dumps(name)[1:-1] in out, out
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028]", out), command
    error = plain(stack, "workflow", "archive", "--workspace", workspace.id, "x\x1b[2J", code=1)
    assert "\x1b" not in error and r"x\x1b[2J" in error
    assert stack.cli("workflow", "list", "--workspace", workspace.id)[0]["name"] == name


# --- names ----------------------------------------------------------------------------------------------------------

def test_names_stand_for_ids(stack):
    name = f"names {os.urandom(4).hex()}"
    made = stack.cli("workspace", "create", "--name", name)
    workspace = made["id"]
    stack.cli("credits", "grant", "--workspace", name, "--credits", 5, "--reason", "test")
    assert stack.cli("credits", "balance", "--workspace", workspace)["balance"] == 5
    key = stack.cli("key", "create", "--workspace", name, "--scopes", "all")
    flow = stack.cli("workflow", "put", "--workspace", name, "--name", "daily", "-", text=json.dumps(ONE))["id"]
    again = stack.cli("workflow", "put", "--workspace", name, "--id", "daily", "--name", "daily", "-", text=json.dumps(ONE))
    assert (again["id"], again["version"]) == (flow, 2)
    priced = stack.cli("workflow", "price", "--workspace", name, "daily", "--credits", "1.5")
    assert priced == {"id": flow, "price_credits": 1.5}
    stack.cli("key", "revoke", "--workspace", name, key["prefix"])
    assert stack.cli("key", "list", "--workspace", name)[0]["revoked_at"]
    other = stack.cli("key", "create", "--workspace", name, "--scopes", "all")
    stack.cli("key", "revoke", "--workspace", name, other["key"])  # the key itself, which an operator may have at hand
    assert stack.cli("execution", "list", "--workspace", name, "--workflow", "daily") == []
    assert stack.cli("workflow", "archive", "--workspace", name, "daily")["id"] == flow
    assert stack.cli("workspace", "show", "--workspace", name)["id"] == workspace


def test_an_ambiguous_name_is_refused_with_the_ids(stack):
    name = f"twins {os.urandom(4).hex()}"
    ids = {stack.cli("workspace", "create", "--name", name)["id"] for _ in range(2)}
    message = fails(stack, "credits", "grant", "--workspace", name, "--credits", 1, "--reason", "x")
    assert "more than one workspace" in message and all(i in message for i in ids)
    one = stack.workspace()
    flows = {one.put_workflow(ONE, name="same") for _ in range(2)}
    message = fails(stack, "workflow", "price", "--workspace", one.id, "same", "--credits", 1)
    assert all(i in message for i in flows)
    stack.cli("workflow", "archive", "--workspace", one.id, min(flows))
    # an archived workflow does not make the name ambiguous
    assert stack.cli("workflow", "price", "--workspace", one.id, "same", "--credits", 1)["id"] == max(flows)
    assert "not found" in fails(stack, "key", "revoke", "--workspace", one.id, "sk_live_zzzz")


def test_the_variable_is_the_default_workspace(stack):
    workspace = stack.workspace(credits=7)
    env = {**stack.env, "MILLRACE_WORKSPACE_ID": workspace.id}

    def run(*args, env=env):
        return subprocess.run([BIN / "millrace", "--json", *args], env=env, capture_output=True, text=True, timeout=60)
    assert json.loads(run("credits", "balance").stdout)["balance"] == 7
    other = stack.workspace(credits=1)
    assert json.loads(run("credits", "balance", "--workspace", other.id).stdout)["balance"] == 1
    without = run("credits", "balance", env={k: v for k, v in env.items() if k != "MILLRACE_WORKSPACE_ID"})
    assert without.returncode == 2 and "MILLRACE_WORKSPACE_ID" in without.stderr
    # a list of all workspaces stays one: a filter is never taken from the environment
    listed = json.loads(run("billing", "export", "--month", "2026-11", "--format", "json").stdout)
    assert "rows" in listed


def test_new_values_are_printed_after_a_set(stack):
    workspace = stack.workspace(credits=0)
    out = plain(stack, "workspace", "set", "--workspace", workspace.id, "--max-concurrent", 7, "--price-credits", "0.5")
    assert re.search(r"^max_concurrent +7$", out, re.M) and re.search(r"^price_credits +0\.5$", out, re.M)
    out = plain(stack, "model", "put", "--workspace", workspace.id, "--alias", "a", "--url", "http://127.0.0.1:1/v1", "--model", "m")
    assert re.search(r"^url +http://127.0.0.1:1/v1$", out, re.M)


# --- status ---------------------------------------------------------------------------------------------------------

def test_status_shows_queue_executors_redis_and_schema(stack):
    status = eventually(lambda: (s := json.loads(stack.cli("status", check=False)[1])) and not s["problems"] and s, 20, "no problem")
    newest = max(p.name for p in (ROOT / "sql/migrations").glob("*.sql"))
    assert status["redis"] == "ok" and status["schema"] == status["schema_of_this_build"] == newest[:-4]
    executors = stack.cli("executor", "list")
    assert len(executors) == 2 and {e["state"] for e in executors} == {"alive"}
    pids = set(stack.children("executor"))
    assert {e["pid"] for e in executors} <= pids and all(e["host"] and e["heartbeat_age_seconds"] < 15 for e in executors)
    text = plain(stack, "status")
    assert re.search(r"^queued +0$", text, re.M) and "heartbeat_age_seconds" in text


def test_status_and_readyz_report_missing_executors(stack, effects):
    workspace = stack.workspace()
    client = workspace.client()
    flow = workspace.put_workflow({"steps": [{"name": "wait", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    release = effects.hold("/hold")
    running = client.started(flow)
    effects.wait_for("/hold")
    assert sum(e["runs"] for e in stack.cli("executor", "list")) == 1
    release()
    client.finished(running)
    stack.kill_server("executor", with_children=True)
    queued = client.started(flow)
    code, out, _ = eventually(lambda: (a := stack.cli("status", check=False)) and "no executor" in a[1] and a, 40, "the executors' silence")
    status = json.loads(out)
    assert code == 1 and status["queued"] == 1 and status["queue_age_seconds"] > 0
    assert {e["state"] for e in status["executors"]} == {"lost"}  # although no executor is left to mark them
    ready = requests.get(stack.url + "/readyz", timeout=60)
    assert (ready.status_code, ready.json()) == (200, {"status": "degraded"})
    assert 'millrace_executors{state="alive"} 0' in requests.get(stack.url + "/metrics", timeout=60).text
    stack.start_server("executor")
    assert client.finished(queued)["status"] == "success"
    eventually(lambda: requests.get(stack.url + "/readyz", timeout=60).json() == {"status": "ok"}, 20, "ready")


def test_status_reports_a_missing_redis(stack):
    stack.stop_server("redis")
    code, out, _ = stack.cli("status", check=False)
    assert code == 1 and json.loads(out)["redis"] == "unreachable"
    stack.start_server("redis")


def test_a_program_of_a_newer_build_is_named(stack):
    """The answer tells what this build cannot read, and an error line the cause."""
    workspace = stack.workspace()
    flow = workspace.put_workflow(ONE)
    stack.sql("UPDATE workflow_versions SET program = REPLACE(program, 'transform', 'teleport') "
              f"WHERE workflow_id = '{flow}'")
    answer = workspace.client().run(flow)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    detail = answer.json()["detail"]
    assert flow in detail and "version 1" in detail and "/steps/0/type" in detail
    line = eventually(lambda: [x for x in stack.log("api").splitlines() if "workflow.compile_failed" in x and flow in x], 5)[0]
    assert " error " in line and "/steps/0/type" in line and answer.headers["X-Request-Id"] in line


def test_a_manifest_of_a_newer_build_is_named(stack):
    workspace = stack.workspace()
    client = workspace.client()
    install(workspace, EXAMPLES / "word-count")
    stack.sql("UPDATE skill_versions SET manifest = REPLACE(manifest, '\"inputs\"', '\"impulses\"') "
              f"WHERE skill_id = (SELECT id FROM skills WHERE workspace_id = '{workspace.id}')")
    answer = client.post(f"/spaces/{workspace.id}/skills/word-count/executions", json={"inputs": {}})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal"), answer.text
    assert "word-count: the manifest lacks a required member" in answer.json()["detail"]
    line = eventually(lambda: [x for x in stack.log("api").splitlines() if "skill.compile_failed" in x], 5)[0]
    assert " error " in line and "inputs" in line and answer.headers["X-Request-Id"] in line


# --- logs and artifacts -----------------------------------------------------------------------------------------------

def test_logs_and_artifacts_of_a_run(stack, tmp_path):
    workspace = stack.workspace()
    client = workspace.client()
    install(workspace, EXAMPLES / "csv-summary")
    up = client.post("/files/", files={"files": ("t.csv", "name,n\na,1\nb,2\n")})
    assert up.status_code == 201, up.text
    started = client.post(f"/spaces/{workspace.id}/skills/csv-summary/executions",
                          json={"inputs": {"file": "t.csv"}, "file_source_ids": ["t.csv"]}).json()
    run = started["data"]["id"]
    ended = eventually(lambda: (d := client.get(f"/spaces/{workspace.id}/skills/executions/{run}").json()["data"])["finished_at"] and d, 30)
    assert ended["state"] == "succeeded", ended
    log = plain(stack, "execution", "logs", run, "--follow")
    assert log == client.get(f"/executions/{run}/logs").text
    listed = stack.cli("execution", "artifacts", run)
    assert listed and {a["id"] for a in listed} == {a["artifact_id"] for a in ended["artifacts"]}
    copy = tmp_path / "copy"
    stack.cli("execution", "artifact", run, listed[0]["path"], "--output", copy)
    assert copy.stat().st_size == listed[0]["size_bytes"]
    assert copy.read_bytes().decode() == plain(stack, "execution", "artifact", run, listed[0]["path"].removeprefix("outputs/"))
    assert "artifact not found" in fails(stack, "execution", "artifact", run, "none")


# --- the command itself -----------------------------------------------------------------------------------------------

def test_every_program_prints_its_version(stack):
    version = re.search(r'^  version: "(.*)"$', (ROOT / "docs/openapi.yaml").read_text(), re.M).group(1)
    assert plain(stack, "--version") == f"millrace {version}\n"
    assert stack.cli("--version") == {"version": version}
    for name in ("millrace-api", "millrace-executor", "millrace-stream"):
        done = subprocess.run([BIN / name, "--version"], capture_output=True, text=True, timeout=30)
        assert (done.returncode, done.stdout) == (0, f"{name} {version}\n")


def commands_of_help(stack):
    return [line.split(" ")[1:3] for line in plain(stack, "--help").splitlines() if re.match("millrace [a-z]", line)]


def complete(stack, *words):
    script = plain(stack, "completion", "bash")
    quoted = " ".join(f"'{w}'" for w in ("millrace", *words))
    done = subprocess.run(["bash", "-c", f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words)}; _millrace; printf '%s\\n' \"${{COMPREPLY[@]}}\""],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_completion_knows_every_command_and_option(stack):
    commands = commands_of_help(stack)
    assert set(complete(stack, "")) == {noun for noun, *_ in commands}
    assert {"list", "create", "set", "show"} <= set(complete(stack, "workspace", ""))
    assert complete(stack, "execution", "li") == ["list"]
    assert {"--max-concurrent", "--workspace", "--json"} <= set(complete(stack, "workspace", "set", "--"))
    assert complete(stack, "execution", "list", "--wor") == ["--workspace", "--workflow"] or \
        set(complete(stack, "execution", "list", "--wor")) == {"--workspace", "--workflow"}
    for shell in ("zsh", "fish"):
        assert "executor" in plain(stack, "completion", shell)
    assert "must be bash" in plain(stack, "completion", "csh", code=2)


def test_manual_pages_have_every_command(stack):
    page = plain(stack, "man")
    for noun, verb in commands_of_help(stack):
        assert f".B millrace {noun}" in page
    assert ".B millrace key revoke" in plain(stack, "man", "key") and "billing" not in plain(stack, "man", "key").split(".SH NOTES")[0]
    assert "there is no command" in plain(stack, "man", "nonsense", code=2)
    for line in page.splitlines():
        assert not re.match(r"\.(?!TH|SH|TP|B |br)", line), line
