"""Every script prints its help, and rejects an argument that it does not know, before it does anything."""
import os
import pathlib
import subprocess

import pytest
from stack import ROOT

pytestmark = pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="needs no programs")
SCRIPTS = sorted(p.name for p in (ROOT / "scripts").iterdir() if os.access(p, os.X_OK) and p.is_file())


def call(name, *args, **env):
    done = subprocess.run([ROOT / "scripts" / name, *args], env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **env}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_help_is_printed(name):
    code, out, err = call(name, "--help")
    assert code == 0 and name in out and len(out.splitlines()) > 1 and not err, (out, err)
    assert not [line for line in out.splitlines() if line.startswith(("#", ". \"$"))]


@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("argument", ["--nonsense", "nonsense"])
def test_an_unknown_argument_is_rejected(name, argument, tmp_path):
    run = tmp_path / "run"
    code, _, err = call(name, argument, MILLRACE_RUN=str(run))
    assert code == 2 and argument in err, err
    assert not run.exists()


@pytest.mark.parametrize("args", [["demo", "--port"], ["demo", "--port", "x"], ["demo", "--port", "70000"], ["demo", "--port=0"], ["stop", "run"],
                                  ["stack", "start"], ["stack", "start", "--port", "1"], ["stack", "start", "DIR", "--port"],
                                  ["stack", "start", "DIR", "--set"], ["stack", "begin", "DIR"], ["stack", "start", "DIR", "--prot", "1"]])
def test_a_wrong_value_is_rejected(args, tmp_path):
    args = [str(tmp_path / "run") if a == "DIR" else a for a in args]
    code, _, err = call(*args, MILLRACE_RUN=str(tmp_path / "run"))
    assert code == 2 and err
    assert not pathlib.Path(tmp_path / "run/pids").exists()
