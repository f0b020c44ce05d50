"""`millrace log` filters lines and follows rotated files without losing or repeating a line."""
import json
import signal
import subprocess

import pytest

from stack import BIN, eventually

W, E = "0190a5d4-7c3a-7000-8000-00000000000a", "0190a5d4-7c3a-7000-8000-00000000000b"
OTHER = "0190a5d4-7c3a-7000-8000-00000000000c"


def line(n, level="info", workspace=W, execution=E):
    return f"2026-01-15T10:30:00.{n:03}Z {level} executor[7] run.claimed execution={execution} workspace={workspace} n={n}\n"


class Log:
    def __init__(self, folder):
        self.path = folder / "executor.log"
        self.ini = folder / "millrace.ini"
        self.ini.write_text(f"[executor]\nlog_file = {self.path}\n")

    def add(self, *lines):
        with open(self.path, "a") as f:
            f.write("".join(lines))

    def command(self, *args):
        return [BIN / "millrace", "--config", self.ini, *args]

    def run(self, *args):
        done = subprocess.run(self.command("log", *args), capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


def test_log_filters_lines(log):
    assert log.run()[0] == 1
    lines = [line(1), line(2, "warn"), line(3, workspace=OTHER), line(4, execution=OTHER), line(5, "debug"), line(6, "error")]
    log.add(*lines, "not a line of ours\n", "half a line")
    assert log.run() == (0, "".join(lines), "")
    assert log.run("--level", "warn")[1] == lines[1] + lines[5]
    assert log.run("--workspace", W)[1] == "".join(lines[i] for i in (0, 1, 3, 4, 5))
    assert log.run("--workspace", W, "--execution", E)[1] == "".join(lines[i] for i in (0, 1, 4, 5))
    assert json.loads(log.run("--json", "--level", "error")[1]) == {
        "at": "2026-01-15T10:30:00.006Z", "level": "error", "process": "executor[7]", "event": "run.claimed",
        "text": f"execution={E} workspace={W} n=6"}
    for wrong in (("--level", "loud"), ("--execution", "x"), ("more",)):
        assert log.run(*wrong)[0] == 2


def test_log_shows_lines_of_json_as_lines_of_text(log):
    head = {"at": "2026-01-15T10:30:00.001Z", "level": "warn", "process": "executor[7]", "event": "run.failed"}
    log.add(json.dumps(head | {"execution": E, "workspace": W, "message": f"two words, execution={OTHER}", "n": 1}) + "\n",
            line(2), json.dumps({"level": "warn"}) + "\n", "{not json\n")
    text = f"execution={E} workspace={W} message=\"two words, execution={OTHER}\" n=1"
    assert log.run()[1] == " ".join(head.values()) + f" {text}\n" + line(2)
    assert json.loads(log.run("--json", "--level", "warn")[1]) == head | {"text": text}
    assert log.run("--execution", OTHER)[1] == ""
    log.add(json.dumps(head | {"execution": None, "workspace": [W]}) + "\n")
    assert log.run("--execution", OTHER) == log.run("--workspace", OTHER) == (0, "", "")


def test_log_follows_rotated_files(log, tmp_path):
    log.add(*[line(n) for n in range(500)])
    out = tmp_path / "out"
    with open(out, "w") as f:
        follower = subprocess.Popen(log.command("log", "--follow", "--execution", E), stdout=f,
                                    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # a shell ignores it for what runs in its background
    try:
        eventually(lambda: out.read_text().endswith(line(499)), 5, "the newest lines")
        seen = out.read_text().splitlines(True)
        assert 50 < len(seen) < 500 and seen == [line(n) for n in range(500 - len(seen), 500)]
        whole = line(500)
        log.add(whole[:40])
        log.add(whole[40:], line(501, execution=OTHER), line(502))
        eventually(lambda: out.read_text().endswith(line(500) + line(502)), 5, "appended lines")
        # the file is renamed; one process still writes to the old file after another one has created the new file
        old = open(log.path, "a")
        log.path.rename(tmp_path / "executor.log.1")
        old.write(line(503))
        old.flush()
        log.add(line(504))
        eventually(lambda: line(504) in out.read_text(), 5, "a line of the new file")
        old.write(line(505))
        old.close()
        eventually(lambda: out.read_text().endswith(line(505)), 5, "a late line of the old file")
        # copytruncate: the file is copied and truncated
        log.path.write_text("")
        eventually(lambda: (log.add(line(506, "warn")), "n=506" in out.read_text())[1], 5, "a line after the truncation")
        text = out.read_text()
        for n in (500, 502, 503, 504, 505):
            assert text.count(f"n={n}\n") == 1
        assert "n=501\n" not in text
    finally:
        follower.send_signal(signal.SIGINT)
        follower.wait(5)


def test_log_follows_a_file_that_is_created_later(log, tmp_path):
    out = tmp_path / "out"
    with open(out, "w") as f:
        follower = subprocess.Popen(log.command("log", "--follow"), stdout=f)
    try:
        log.add(line(1))
        eventually(lambda: out.read_text() == line(1), 5, "the first line")
    finally:
        follower.kill()
        follower.wait(5)
