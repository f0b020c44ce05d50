"""Developing a skill: check finds what would fail when it runs, run executes it in the sandbox without a stack, --development installs each
edit without a new version number."""
import json
import os
import pathlib
import re
import subprocess

import pytest
from skills import EXAMPLES, Space, manifest, package
from stack import BIN

ECHO = "import json, sys\njson.dump({'got': json.load(sys.stdin)}, sys.stdout)\nprint('a line of the log', file=sys.stderr)"


def millrace(*args, **env):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_CONFIG")}
    done = subprocess.run([BIN / "millrace", "--json", *map(str, args)], env={**clean, "MILLRACE_CONFIG": "/none", **env}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def ran(directory, *args, code=0):
    got, out, err = millrace("skill", "run", directory, *args)
    assert got == code, out + err
    return json.loads(out), err


@pytest.mark.parametrize("argv, pointer", [
    (["python3", "main.py"], "/runner/argv/1"), (["python3", "-u", "main.py"], "/runner/argv/2"), (["/usr/bin/python3", "main.py"], "/runner/argv/1"),
    (["main.py"], "/runner/argv/0"), (["./main.py"], "/runner/argv/0"), (["./none.py"], "/runner/argv/0"), (["bin/none"], "/runner/argv/0")])
def test_check_finds_a_command_that_could_not_start(tmp_path, argv, pointer):
    directory = package(tmp_path / "s", manifest(argv=argv), main_py=ECHO)
    (directory / "main.py").chmod(0o644)
    code, out, _ = millrace("skill", "check", directory)
    problem, = json.loads(out)
    assert code == 1 and problem["pointer"] == pointer
    assert "none" in problem["message"] or "./main.py" in problem["message"], problem
    code, _, _ = millrace("skill", "run", directory)
    assert code == 1


@pytest.mark.parametrize("argv, text", [(["python3", "./main.py"], ECHO), (["main.py"], "#!/usr/bin/python3\n" + ECHO), (["./main.py"], "#!/usr/bin/python3\n" + ECHO),
                                        (["python3", "-c", ECHO], ECHO), (["python3", "./main.py", "main.py"], ECHO)])
def test_what_check_accepts_runs(tmp_path, argv, text):
    directory = package(tmp_path / "s", manifest(argv=argv), main_py=text)
    assert millrace("skill", "check", directory)[0] == 0
    assert ran(directory, "--inputs", '{"n": 1}')[0]["outputs"] == {"got": {"n": 1}}


def test_run_stages_files_and_lists_artifacts(tmp_path):
    table = tmp_path / "my table.csv"
    table.write_text("name,n\na,1\nb,3\n")
    result, log = ran(EXAMPLES / "csv-summary", "--inputs", '{"file": "my table.csv"}', "--file", table)
    assert result["state"] == "succeeded" and result["outputs"]["rows"] == 2
    assert [a["relpath"] for a in result["artifacts"]] == ["chart.svg"] and result["wallclock_ms"] > 0
    assert "rows read" in log
    kept, _ = ran(EXAMPLES / "csv-summary", "--inputs", '{"file": "my table.csv"}', f"--file={table}", "--keep")
    folder = pathlib.Path(kept["folder"])
    assert (folder / "work/outputs/chart.svg").stat().st_size > 0
    subprocess.run([BIN / "millrace-runner", "--remove", folder], check=True, timeout=30)
    subprocess.run(["rm", "-rf", folder.parent], check=True, timeout=30)


@pytest.mark.parametrize("skill", ["csv-summary", "word-count"])
def test_a_misspelt_file_is_named_without_a_traceback(skill):
    result, log = ran(EXAMPLES / skill, "--inputs", '{"file": "mispelt.txt"}', code=1)
    assert result["state"] == "failed" and "mispelt.txt" in log and "Traceback" not in log


@pytest.mark.parametrize("text, error", [
    ("import sys; sys.exit(3)", "exit code 3"), ("print('x')", "could not be parsed"), ("print('[]')", "not a single JSON object"),
    ("pass", "printed nothing"), ("import time; time.sleep(60)", "timeout"), ("print('{\"n\": \"x\"}')", "do not match")])
def test_run_reports_failures_as_a_real_run_does(tmp_path, text, error):
    outputs = {"type": "object", "properties": {"n": {"type": "integer"}}}
    directory = package(tmp_path / "s", {**manifest(), "outputs": outputs, "timeout_seconds": 2}, main_py=text)
    assert error in ran(directory, code=1)[0]["error"]


def test_run_checks_inputs_and_arguments(tmp_path):
    schema = {"type": "object", "required": ["n"]}
    directory = package(tmp_path / "s", {**manifest(), "inputs": schema}, main_py=ECHO)
    (tmp_path / "in.json").write_text('{"n": 2}')
    assert ran(directory, "--inputs", f"@{tmp_path}/in.json")[0]["outputs"] == {"got": {"n": 2}}
    assert "do not match" in millrace("skill", "run", directory)[2]
    assert "invalid JSON" in millrace("skill", "run", directory, "--inputs", "{")[2]
    assert millrace("skill", "run", directory, "--file", tmp_path / "none")[0] == 2
    assert millrace("skill", "run", directory, "--file")[0] == 2
    assert "calls a model" in millrace("skill", "run", EXAMPLES / "headline")[2]


def test_run_is_isolated(tmp_path):
    """As a real run: no network, another uid, only /work is writable."""
    code = ("import json, os, socket\nr = {'home': os.path.exists('/root/.bashrc'), 'tmp': os.listdir('/tmp')}\n"
            "try:\n    socket.create_connection(('127.0.0.1', 1), 1)\nexcept OSError as e:\n    r['net'] = e.errno\nprint(json.dumps(r))")
    result = ran(package(tmp_path / "s", manifest(), main_py=code))[0]["outputs"]
    assert result["home"] is False and result["tmp"] == [] and result["net"]


def test_development_installs_need_no_new_version(stack, tmp_path):
    workspace = stack.workspace()
    space = Space(workspace)
    directory = package(tmp_path / "s", manifest(version="1.2.0"), main_py=ECHO)
    install = lambda *more: stack.cli("skill", "install", directory, "--workspace", workspace.id, *more)  # noqa: E731
    first = install("--development")
    assert re.fullmatch(r"1\.2\.0-dev\.h[0-9a-f]{12}", first["version"]) and first["is_new"]
    assert install("--development") == {**first, "is_new": False}
    (directory / "main.py").write_text(ECHO.replace("got", "edited"))
    second = install("--development")
    assert second["version"] != first["version"] and second["is_new"]
    x = space.ran("probe", {"n": 1})
    assert (x["outputs"], x["skill_version"]) == ({"edited": {"n": 1}}, second["version"])
    assert install()["version"] == "1.2.0"
