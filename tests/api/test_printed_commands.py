"""Every command that the README, the other documents and scripts/demo print is run as printed, in a directory as a reader has it: the
root of the tree after scripts/demo. tests/api/test_docs.py does the same for docs/api.md and compares the responses."""
import collections
import datetime
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
from stack import ROOT, free_port

pytestmark = pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="builds and runs the plain programs")

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(p for p in (ROOT / "docs").glob("*.md") if p.name not in ("api.md", "console.md"))]  # test_docs.py runs these
COMMAND = re.compile(r"(sudo |[A-Z_]+=\S+ )*(\. |bin/|scripts/|millrace (?!millrace)|curl |make\b|tail |mariadb (?!\d)|/usr/bin/|gdb |kill |systemctl |jq |cp |git |npm |node )")
# Commands that are not run here: (pattern, what runs them, or why nothing can)
NOT_RUN = [
    (r"^scripts/demo\b", "the fixture runs it"),
    (r"^scripts/stop\b", "the last test runs it"),
    (r"^scripts/(install|test|lint|fault|hostile|bench)\b", "installs packages, or takes minutes; scripts/test runs them, test_scripts.py checks their arguments"),
    (r"^make\b", "builds; make help is compared below"),
    (r"^apt\b|^millrace setup\b", "changes the system; tests/package runs it on a bare one"),
    (r"^scripts/image\b", "builds from a checkout of git; part image of scripts/test runs it"),
    (r"^scripts/cluster\b", "starts ten hosts, as root; tests/cluster runs it"),
    (r"^(MILLRACE_\w+=\S+ )?/usr/bin/python3 -m pytest", "a test"),
    (r"^millrace budget remove\b", "names a budget of one's own; test_budgets.py runs it"),
    (r"^millrace push\b", "names destinations of one's own; test_push.py runs all of them"),
    (r"^millrace backup\b", "works on the system's folders; test_backup.py runs the same lines with folders of its own"),
    (r"^systemctl (stop|start|enable) |^(mv|touch) /var/lib/|^redis-cli -s /run/", "changes the system's services"),
    (r"^millrace workspace (export|import|reopen|discard)\b", "needs another cell; test_workspace_move.py runs it"),
    (r"--socket=/run/mysqld", "needs the system's MariaDB"),
]
Command = collections.namedtuple("Command", "place text")


def lines_of(block):
    """The commands of a block: a line that ends with a backslash is continued, a comment after two spaces is removed."""
    for line in re.sub(r"\\\n\s*", "", block).splitlines():
        line = re.sub(r"\s{2,}#.*$|^#.*$", "", line).strip()
        if line:
            yield line


def blocks(text):
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.M | re.S)


def printed_commands():
    for path in DOCUMENTS:
        for language, block in blocks(path.read_text()):
            if language in ("", "sh", "bash", "console"):
                for line in lines_of(block):
                    if language or COMMAND.match(line):
                        yield Command(path.relative_to(ROOT), line)


ALL = list(printed_commands())
TO_RUN = [c for c in ALL if not any(re.search(pattern, c.text) for pattern, _ in NOT_RUN)]


@pytest.fixture(scope="module")
def tree():
    """Links to the tree, and a run/ of its own: (run a command -> (exit status, output), what the demo printed)"""
    with tempfile.TemporaryDirectory(prefix="mr-print-", dir="/tmp") as directory:
        place = pathlib.Path(directory)
        for entry in ROOT.iterdir():
            if entry.name not in ("run", ".git"):
                (place / entry.name).symlink_to(entry)
        env = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
        env |= {"PATH": f"{ROOT}/bin:{env['PATH']}", "no_proxy": "127.0.0.1"}
        demo_env = {**env, "MILLRACE_RUN": str(place / "run"), "MILLRACE_PORT": str(free_port())}
        shown = subprocess.run([ROOT / "scripts/demo"], env=demo_env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert shown.returncode == 0, shown.stdout + shown.stderr

        def run(text, cwd=place, **more):
            done = subprocess.run(["bash", "-c", "set -euo pipefail\n. run/demo.env\n" + text], cwd=cwd, env={**env, **more},
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
            return done.returncode, done.stdout
        try:
            yield run, shown.stdout, place
        finally:
            subprocess.run([ROOT / "scripts/stop"], env=demo_env, stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
            assert not (place / "run/pids/nginx").exists()
            shutil.rmtree(place / "run")


@pytest.fixture(scope="module")
def acme(tree):
    """What the documents take for granted: a workspace called acme with a workflow called report, and a run with a log and an artifact."""
    run, _, _ = tree
    code, out = run("""bin/millrace workspace create --name acme >/dev/null
printf '{"steps": [{"name": "a", "type": "transform", "value": 1}]}' | bin/millrace workflow put --workspace acme - --name report >/dev/null
bin/millrace --json execution list --limit 1""")
    assert code == 0, out
    return re.search(r'"id":"([^"]+)"', out).group(1)


def test_every_printed_command_is_run_or_has_a_reason():
    assert len(TO_RUN) >= 15, TO_RUN
    for pattern, reason in NOT_RUN:
        assert reason and any(re.search(pattern, c.text) for c in ALL) or "scripts/stop" in pattern, f"nothing printed matches {pattern}"


@pytest.mark.parametrize("command", TO_RUN, ids=lambda c: f"{c.place}: {c.text}"[:90])
def test_command_works_as_printed(tree, acme, command):
    run, _, place = tree
    text = re.sub(r"\bID\b", acme, re.sub(r"\bWORKSPACE\b", "acme", command.text))
    if re.search(r"\bGRANT\b", text):
        code, out = run("bin/millrace --json credits grant --workspace acme --credits 1 --reason by-mistake")
        assert code == 0, out
        text = re.sub(r"\bGRANT\b", re.search(r'"ledger_id":"([^"]+)"', out).group(1), text)
    if "outputs/chart.svg" in text:  # this run has no such file: the command must say so, and nothing else
        code, out = run(text)
        assert code == 1 and "artifact not found: outputs/chart.svg" in out
        return
    code, out = run(text)
    assert code == 0, out
    assert "HTTP/1.1 4" not in out and '"status":4' not in out and '"code":' not in out, out


def test_no_command_depends_on_the_day_on_which_it_is_read():
    """A moment that is yet to come passes one day: a command computes it, or names one of 2099. Queries of a schedule's times take any moment."""
    api = [Command("api.md", block) for language, block in blocks((ROOT / "docs/api.md").read_text()) if language == "sh"]
    for command in ALL + api:
        for date in re.findall(r"\d{4}-\d\d-\d\d", re.sub(r"/upcoming\?\S*", "", command.text)):
            assert date <= datetime.date.today().isoformat() or date >= "2099", command


def test_every_command_of_the_demo_works_as_printed(tree):
    run, shown, place = tree
    shown = shown.replace(str(place / "run"), "run")  # the demo prints paths of MILLRACE_RUN; here they are relative, as by default
    printed = list(dict.fromkeys(line for line in lines_of(shown.replace(str(place) + "/", "")) if COMMAND.match(line)))
    wanted = ("run-async", "/files/", "word-count/executions", "include_step_results", "execution list", "tail ", "status", "scripts/stop")
    for word in wanted:
        assert any(word in line for line in printed), f"{word}: {printed}"
    for line in printed:
        if not line.startswith("scripts/stop"):
            code, out = run(line)
            assert code == 0, f"{line}\n{out}"
            assert '"code":' not in out, f"{line}\n{out}"
    # the same in one shell that sources the file itself, as the demo advises
    script = "\n".join(line for line in printed if not line.startswith("scripts/stop"))
    done = subprocess.run(["bash", "-ec", script], cwd=place, env={"PATH": f"{os.environ['PATH']}:/usr/sbin", "HOME": "/tmp"}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and '"code":' not in done.stdout, done.stdout + done.stderr


def inline_commands():
    """`millrace NOUN VERB …` inside sentences, tables and blocks of all documents."""
    for path in [*DOCUMENTS, ROOT / "docs/api.md", ROOT / "docs/console.md"]:
        for text in re.findall(r"`(?:bin/)?millrace ([a-z][^`]*)`", path.read_text()):
            yield Command(path.relative_to(ROOT), text)


def test_commands_in_sentences_exist():
    """Noun, verb and options, as millrace --help has them."""
    shown = subprocess.run([ROOT / "bin/millrace", "--help"], capture_output=True, text=True, timeout=30).stdout
    known = {"help": {"--table"}}
    for line in shown.splitlines():
        if line.startswith("millrace "):
            words = re.match(r"millrace ([a-z-]+(?: [a-z-]+(?=[ ]|$))?)", line).group(1)
            known[words] = set(re.findall(r"--[a-z-]+", line)) | {"--json", "--config", "--help", "--version"}
    nouns = {k.split()[0] for k in known}
    count = 0
    for place, text in inline_commands():
        for part in re.split(r"\|(?=[a-z]+ )", text):
            words = re.match(r"[a-z-]+(?: [a-z-]+)?", part).group(0)
            name = words if words in known else words.split()[0]
            assert name in known or name in nouns, f"{place}: millrace {text}"
            options = set(re.findall(r"--[a-z-]+", part))
            allowed = known.get(name) or set().union(*(v for k, v in known.items() if k.split()[0] == name))
            assert options <= allowed, f"{place}: millrace {text}: {options - allowed}"
            count += 1
    assert count > 20
