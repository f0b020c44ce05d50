"""Every script prints its help, and rejects an argument that it does not know, before it does anything."""
import os
import pathlib
import shutil
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


# --- migrations -----------------------------------------------------------------------------------------------

@pytest.fixture
def sources(tmp_path):
    """A tree with what scripts/embed and the Makefile need for sql.c."""
    for name in ("sql", "lua", "scripts", "Makefile"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, tmp_path / name)
    return tmp_path


def embed(tree):
    done = subprocess.run(["scripts/embed", "sql", "build/gen"], cwd=tree, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


def test_two_migrations_with_one_number_are_rejected(sources):
    assert embed(sources) == (0, "")
    (sources / "sql/migrations/0001_another.sql").write_text("SELECT 1;\n")
    code, err = embed(sources)
    assert code == 1 and "number 0001" in err and "0001_another.sql" in err and "0001_spine.sql" in err


@pytest.mark.parametrize("name", ["1_short.sql", "0999-dash.sql", "name.sql"])
def test_a_migration_with_a_malformed_name_is_rejected(sources, name):
    (sources / "sql/migrations" / name).write_text("SELECT 1;\n")
    code, err = embed(sources)
    assert code == 1 and name in err and "NNNN_name.sql" in err


def test_a_renamed_migration_is_embedded_again(sources):
    def make():
        subprocess.run(["make", "-s", "build/gen/sql.c"], cwd=sources, check=True, capture_output=True, timeout=60)
        made = sources / "build/gen/sql.c"
        return made.read_text(), made.stat().st_mtime_ns

    old = sources / "sql/migrations/0001_spine.sql"
    before = make()
    assert '"0001_spine"' in before[0] and make() == before, "nothing is made again without a change"
    old.rename(old.with_name("0001_renamed.sql"))
    after, _ = make()
    assert '"0001_renamed"' in after and '"0001_spine"' not in after
