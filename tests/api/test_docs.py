"""docs/api.md and the README as their readers use them: every command is run as printed, with the environment that scripts/demo
writes, and its response is compared with the one printed beneath it.

A command is a ```sh block. The ```http block after it is the response to the block's last curl: status line, headers, body. What is
compared, and what may differ on another machine, see Response.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import pytest
import requests
from openapi import DOCUMENT
from skills import EXAMPLES, install
from stack import ROOT

DEMO = True
API = (ROOT / "docs/api.md").read_text()
CONSOLE = (ROOT / "docs/console.md").read_text()
README = (ROOT / "README.md").read_text()
SECONDS = 120

# --- what is printed ---------------------------------------------------------------------------------------------------


class Command:
    def __init__(self, section, script, response=None):
        self.section, self.script, self.response = section, script, response

    def __str__(self):
        return f"{self.section}: {self.script}"


def blocks(text):
    """(heading, language, content) of every fenced block."""
    heading, inside, found = "", None, []
    for line in text.splitlines():
        if line.startswith("```"):
            if inside is None:
                inside, content = line[3:].strip(), []
            else:
                found.append((heading, inside, "\n".join(content)))
                inside = None
        elif inside is not None:
            content.append(line)
        elif line.startswith("#"):
            heading = line.strip("# ")
    assert inside is None, "a block without an end"
    return found


def commands(text):
    found = blocks(text)
    for i, (section, language, content) in enumerate(found):
        if language in ("sh", "bash"):
            assert "curl" in content, f"{section}: a command without curl"
            following = found[i + 1] if i + 1 < len(found) else (None, None, None)
            assert following[:2] == (section, "http"), f"{section}: no response beneath {content}"
            yield Command(section, content, following[2])
        else:
            assert language != "http" or found[i - 1][1] in ("sh", "bash"), f"{section}: a response without a command"


def readme_commands():
    """The README's block also has commands for the operator and for a terminal: only those with curl are run."""
    for section, _, content in blocks(README):
        if "curl" in content:
            for line in re.sub(r"\\\n\s*", "", content).splitlines():
                if line.startswith("curl"):
                    yield Command(section, ". run/demo.env\n" + line)


COMMANDS = list(commands(API))
SECTIONS = list(dict.fromkeys(c.section for c in COMMANDS))

# --- running it --------------------------------------------------------------------------------------------------------

# A wrapper, first in PATH: runs the real curl, and records the head and the body of each response.
CURL = """#!/bin/bash
n=$(ls "$DOCS_RECORD" | wc -l)
body="$DOCS_RECORD/$DOCS_COMMAND.$(printf %06d $n).body"
: >"$body"
"$DOCS_CURL" --noproxy '*' -D "${body%.body}.head" "$@" | tee "$body"
exit ${PIPESTATUS[0]}
"""


@pytest.fixture(scope="module")
def reader(stack):
    """Runs commands in one shell, in a directory as scripts/demo leaves the tree: (commands) -> [(head, body)] of each one's last curl."""
    workspace = stack.workspace(credits=1000000)
    key = workspace.key()["key"]
    program = (EXAMPLES.parent / "weather.json").read_text().replace("127.0.0.1:8080", f"127.0.0.1:{stack.port}")
    made = requests.post(stack.url + "/api/v1/workflows", data=program.encode(), timeout=10,
                         headers={"Authorization": key, "Content-Type": "application/json"})
    for skill in ("word-count", "csv-summary"):
        install(workspace, EXAMPLES / skill)
    environment = {"MILLRACE_URL": stack.url, "MILLRACE_API_KEY": key, "MILLRACE_WORKSPACE_ID": workspace.id,
                   "MILLRACE_WORKFLOW_ID": made.json()["id"]}
    with tempfile.TemporaryDirectory(prefix="mr-docs-", dir="/tmp") as directory:
        place = pathlib.Path(directory)
        (place / "run").mkdir()
        (place / "run/demo.env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
        (place / "programs").mkdir()
        (place / "programs/curl").write_text(CURL)
        (place / "programs/curl").chmod(0o755)

        def run(list_of_commands):
            client = workspace.client()
            for budget in client.get("/budgets").json()["budgets"]:  # there is one for each target; another test has made them
                assert client.delete(f"/budgets/{budget['id']}").status_code == 204
            record = place / "record"
            shutil.rmtree(record, ignore_errors=True)
            record.mkdir()
            script = ["set -euo pipefail", ". run/demo.env"]
            for i, command in enumerate(list_of_commands):
                script += [f"export DOCS_COMMAND={i:06}", command.script]
            env = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
            env |= {"PATH": f"{place}/programs:{os.environ['PATH']}", "DOCS_CURL": shutil.which("curl"), "DOCS_RECORD": str(record)}
            done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=place, env=env, stdin=subprocess.DEVNULL, text=True,
                                  capture_output=True, timeout=SECONDS)
            responses = [sorted(record.glob(f"{i:06}.*.head")) for i in range(len(list_of_commands))]
            last = max((i for i, r in enumerate(responses) if r), default=0)
            assert done.returncode == 0, f"exit {done.returncode} of {list_of_commands[last]}\n{done.stderr}"
            for command, heads in zip(list_of_commands, responses):
                assert heads, f"no curl was run by {command}"
                for head in heads[:-1]:
                    assert int(head.read_text().split()[1]) < 400, f"{head.read_text()} in {command}"
            return [(r[-1].read_text(), r[-1].with_suffix(".body").read_text()) for r in responses]
        yield run

# --- comparing ---------------------------------------------------------------------------------------------------------

UUID = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
MACHINE = [(re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}(Z|\+00:00)"), r"TIME\1"), (re.compile(r"\d{4}-\d\d-\d\d"), "DATE"),
           (re.compile(r"\b[0-9a-f]{32}\b"), "HEX"), (re.compile(r"(ticket=)[\w-]{43}"), r"\1TICKET"),
           (re.compile(r"^id: \d{16}$", re.M), "id: FEED")]
COUNTS = [(re.compile(r"(?<![\w-])\d+(?![\w-])"), "0")]  # in headers and lines of text
NUMBERS = {"balance", "wallclock_ms", "size_bytes", "runs", "debited", "refunded", "used",
           "responder_count"}  # that depend on what was run before
MORE, ANY = "…more", "…"


def parse(text):
    """JSON in which … stands for further members, further elements, or any value."""
    out, open_brackets, in_string, serial = [], [], False, 0
    for i, c in enumerate(text):
        if in_string:
            in_string = c != '"' or text[i - 1] == "\\"
        elif c == "…":
            serial += 1
            before = "".join(out).rstrip()[-1:]
            c = f'"{ANY}"' if before == ":" else f'"{MORE}"' if open_brackets[-1] == "[" else f'"{MORE}{serial}": 0'
        elif c in "[{":
            open_brackets.append(c)
        elif c in "]}":
            open_brackets.pop()
        elif c == '"':
            in_string = True
        out.append(c)
    return json.loads("".join(out))


class Response:
    """Compares printed responses with real ones. Ids may differ, each consistently: `ids` maps printed to real ones. Times, random
    numbers, and the members that NUMBERS names may differ. All else must be equal, and complete unless a … says otherwise."""

    def __init__(self, ids):
        self.ids = ids

    def compare(self, printed, head, body):
        printed_head, _, printed_body = printed.partition("\n\n")
        status, *headers = printed_head.splitlines()
        real = head.replace("\r", "").strip().split("\n\n")[-1].splitlines()  # the last: 100 Continue comes before
        assert real[0].strip() == status, f"{real[0]}\n{body}"
        fields = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in real[1:])}
        for line in headers:
            name, value = line.split(": ", 1)
            assert name.lower() in fields, f"no {name} in {fields}"
            self.text(value, fields[name.lower()], name, COUNTS)
        if fields.get("content-type", "").split(";")[0].endswith("json") and printed_body.strip():
            self.value(parse(printed_body), json.loads(body), "")
        elif printed_body.strip():
            self.lines(printed_body.strip().splitlines(), body.strip().splitlines())

    def text(self, printed, real, at, more=()):
        if printed == ANY:
            return
        for pattern, name in (*MACHINE, *more):
            printed, real = pattern.sub(name, printed), pattern.sub(name, real)
        ours, theirs = UUID.findall(printed), UUID.findall(real)
        assert UUID.sub("ID", printed) == UUID.sub("ID", real), f"{at}: {real!r} is printed as {printed!r}"
        for p, r in zip(ours, theirs):
            known = self.ids.setdefault(p, r)
            assert known == r, f"{at}: {p} stood for {known}, and now for {r}"
            assert list(self.ids.values()).count(r) == 1, f"{at}: {r} is printed as {[k for k, v in self.ids.items() if v == r]}"

    def value(self, printed, real, at):
        if printed == ANY and isinstance(printed, str):
            return
        if isinstance(printed, dict):
            assert isinstance(real, dict), f"{at}: {real!r}"
            names = [name for name in printed if not name.startswith(MORE)]
            for name in names:
                assert name in real, f"{at}: there is no {name} in {real}"
                if name in NUMBERS and isinstance(printed[name], (int, float)):
                    assert isinstance(real[name], (int, float)), f"{at}/{name}: {real[name]!r}"
                else:
                    self.value(printed[name], real[name], f"{at}/{name}")
            assert len(names) < len(printed) or set(real) <= set(names), f"{at}: {set(real) - set(names)} is not printed"
        elif isinstance(printed, list):
            assert isinstance(real, list), f"{at}: {real!r}"
            more = bool(printed) and printed[-1] == MORE
            printed = printed[:-1] if more else printed
            assert len(printed) <= len(real) if more else len(printed) == len(real), f"{at}: {real} has {len(real)} elements"
            for i, (p, r) in enumerate(zip(printed, real)):
                self.value(p, r, f"{at}/{i}")
        elif isinstance(printed, str):
            assert isinstance(real, str), f"{at}: {real!r}"
            self.text(printed, real, at)
        else:
            assert (type(printed), printed) == (type(real), real), f"{at}: {real!r} is printed as {printed!r}"

    def lines(self, printed, real):
        """An event stream, CSV or text; a line … stands for any number of lines. Empty lines do not count."""
        printed, real = [line for line in printed if line], [line for line in real if line]
        for n, line in enumerate(printed):
            if line == ANY:
                following = printed[n + 1] if n + 1 < len(printed) else None
                while real and not (following and self.fits(following, real[0])):
                    real.pop(0)
            else:
                assert real, f"there is no line {line!r}"
                self.line(line, real.pop(0))
        assert not real, f"{real} is not printed"

    def fits(self, printed, real):
        known = dict(self.ids)
        try:
            self.line(printed, real)
        except AssertionError:
            self.ids = known
            return False
        return True

    def line(self, printed, real):
        if printed.startswith("data: {"):
            assert real.startswith("data: {"), real
            self.value(parse(printed[6:]), json.loads(real[6:]), "data")
        elif printed.startswith(("id: ", "event: ")):
            self.text(printed, real, "line")
        else:
            self.text(printed, real, "line", COUNTS)


def check(list_of_commands, responses):
    judge = Response({})
    for command, (head, body) in zip(list_of_commands, responses, strict=True):
        try:
            judge.compare(command.response, head, body)
        except AssertionError as e:
            raise AssertionError(f"{command}\n{e}") from None


# --- the tests ---------------------------------------------------------------------------------------------------------


def test_every_command_of_the_api_page_in_one_shell(reader):
    assert len(COMMANDS) > 40
    check(COMMANDS, reader(COMMANDS))


def test_every_command_of_the_console_page_in_one_shell(reader):
    printed = list(commands(CONSOLE))
    assert len(printed) >= 3
    check(printed, reader(printed))


@pytest.mark.parametrize("section", SECTIONS)
def test_each_section_by_itself(reader, section):
    own = [c for c in COMMANDS if c.section == section]
    check(own, reader(own))


def test_every_section_has_a_command():
    assert re.findall("^## (.*)$", API, re.M) == SECTIONS
    assert re.findall(r"\[([^]]+)\]\(#[\w-]+\)", API.split("## ")[0]) == SECTIONS


def test_the_readmes_commands(reader):
    """The first run, and every member of the answer that is printed beneath it."""
    (head, body), = reader(list(readme_commands()))
    assert head.split()[1] == "200", head
    printed = json.loads(next(content for _, language, content in blocks(README) if language == "json"))
    answer = json.loads(body)
    assert printed.keys() <= answer.keys() and printed["detail"]["output"].items() <= answer["detail"]["output"].items()
    assert {name: answer[name] for name in ("status", "workflow_name", "creditsUsed")} == \
        {name: printed[name] for name in ("status", "workflow_name", "creditsUsed")}


def test_links_lead_somewhere():
    anchors = {re.sub(r"[^\w-]", "", h.lower().replace(" ", "-")) for h in re.findall("^#+ (.*)$", API, re.M)}
    for target in re.findall(r"\]\(([^)]+)\)", API):
        path, _, anchor = target.partition("#")
        if path:
            assert (ROOT / "docs" / path).exists(), target
            anchors_there = {h.lower().replace(" ", "-") for h in re.findall("^#+ (.*)$", (ROOT / "docs" / path).read_text(), re.M)}
            assert not anchor or anchor in anchors_there, target
        else:
            assert anchor in anchors, target


def table(heading, first):
    """The rows of the table below a heading whose first column is called so, as lists of cells."""
    section = re.split(r"^## ", API, flags=re.M)[1 + re.findall("^## (.*)$", API, re.M).index(heading)]
    lines = section.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(f"| {first} |"))
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip() for cell in line.strip("|").split("|")]


def words(cell):
    return re.findall("`([^`]+)`", cell)


def test_the_endpoints_are_the_documents():
    printed = {(method, words(path)[0]): scope for method, path, scope, _ in table("Endpoints", "method")}
    document = {(method, path): operation for method, path, item, operation in DOCUMENT.operations() if "servers" not in item}
    assert set(printed) == set(document)
    for endpoint, operation in document.items():
        scopes = operation.get("x-required-scopes", [])
        assert printed[endpoint] == ("…:execute" if len(scopes) > 1 else scopes[0] if scopes else "none"), endpoint


def test_the_codes_reasons_and_events_are_the_documents():
    schemas = DOCUMENT.content["components"]["schemas"]
    assert [w for row in table("Errors", "code") for w in words(row[0])] == list(dict.fromkeys(
        w for row in table("Errors", "code") for w in words(row[0])))
    assert {w for row in table("Errors", "code") for w in words(row[0])} == set(schemas["Problem"]["properties"]["code"]["enum"])
    assert {w for row in table("Reading an execution", "`failure_reason`") for w in words(row[0])} == \
        set(schemas["FailureReason"]["enum"]) - {None}
    assert {w for row in table("The event stream", "event") for w in words(row[0])} == set(schemas["Event"]["properties"]["type"]["enum"])
