"""millrace backup: the drill of docs/backup.md. A backup is taken under load, proven, and restored elsewhere, to its moment or to a later one by
the binary logs; nothing that was acknowledged is missing, and what is no whole backup is never taken for one."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import threading
import time

import peers
import pytest
from blobs import blobs_of
from stack import BIN, ROOT, Client, Stack, eventually, suspend
from test_files import upload

SETTINGS = {"mariadb.log_bin": "1", "executor.processes": "1"}
STEPS = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}, {"name": "b", "type": "delay", "seconds": 0.2},
                   {"name": "c", "type": "transform", "value": {"n": "${/steps/a/result}"}}]}
DOCUMENT = (ROOT / "docs/backup.md").read_text()
NAME = "2026-01-15T10-30-00Z"  # the backup that the document names


def printed(pattern, **places):
    """The command that docs/backup.md prints, with other folders in the place of its own."""
    line = re.search(rf"^millrace backup {pattern}.*$", DOCUMENT, re.M).group()
    for old, new in places.items():
        old = {"backups": "/var/backups/millrace", "datadir": "/var/lib/mysql", "files": "/var/lib/millrace/files", "name": NAME,
               "binlogs": "/var/lib/mysql-binlog", "old_files": "/var/lib/millrace/files.old", "until": "2026-01-15T17:45:00Z"}[old]
        assert re.search(rf"{re.escape(old)}(?![\w.-])", line), (old, line)
        line = re.sub(rf"{re.escape(old)}(?![\w.-])", str(new), line)
    assert "/var/" not in line, line
    return line.split()[1:]


def run(stack, *args, code=0):
    """Runs a command and returns what it printed, and what it wrote about errors."""
    done = subprocess.run([BIN / "millrace", "--json", *map(str, args)], env=stack.env, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, (done.stdout, done.stderr)
    return json.loads(done.stdout) if done.stdout else None, done.stderr


class Caller(Client):
    """Repeats what was refused with 503, as a caller should. On a busy host commits may wait for a backup for longer than others wait for their locks."""

    def request(self, *args, **kwargs):
        while (answer := super().request(*args, **kwargs)).status_code == 503:
            time.sleep(float(answer.headers["Retry-After"]))
        return answer


class Load:
    """Callers that start runs, upload files and delete some, until end(). What was acknowledged is in `runs` and `files`."""

    def __init__(self, stack, callers=3):
        self.stack, self.ended = stack, threading.Event()
        self.runs, self.files, self.problems = [], {}, []
        self.workspace = stack.workspace(credits=1_000_000, max_concurrent=10_000)
        self.workflow = self.workspace.put_workflow(STEPS)
        self.key = self.workspace.key()["key"]
        self.threads = [threading.Thread(target=self.call, args=(i,)) for i in range(callers)]
        for thread in self.threads:
            thread.start()

    def call(self, caller):
        client, n = Caller(self.stack.url, self.key), 0
        try:
            while not self.ended.is_set():
                n += 1
                self.runs.append(client.started(self.workflow, {"n": n}))
                name, body = f"{caller}-{n}.bin", os.urandom(2000 + n)
                answer = upload(client, (name, body))
                assert answer.status_code == 201, answer.text
                self.files[name] = body
                if n % 4 == 0:
                    gone = f"{caller}-{n - 1}.bin"
                    del self.files[gone]
                    assert client.delete(f"/files/{gone}").status_code == 204
        except Exception as e:  # reported by end()
            self.problems.append(repr(e))

    def wait_for(self, n):
        """Until n more runs were acknowledged."""
        want = len(self.runs) + n
        eventually(lambda: len(self.runs) >= want or self.problems, 120, f"{n} more runs")

    def end(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        assert not self.problems


@pytest.fixture(scope="module")
def work():
    with tempfile.TemporaryDirectory(prefix="mr-b-", dir="/tmp") as folder:
        yield pathlib.Path(folder)


def elsewhere(stack):
    """A stack that has nothing but the key files, with places for the restored data."""
    other = Stack({"executor.processes": "1"})
    (other.dir / "data").mkdir()
    shutil.copytree(stack.dir / "secrets", other.dir / "secrets")
    return other


def ids_file(folder, ids):
    path = folder / "ids"
    path.write_text("".join(f"{i}\n" for i in ids))
    return path


@pytest.fixture(scope="module")
def quiet(stack, work):
    """A whole backup of a workspace with one run and two files."""
    workspace = stack.workspace()
    client = workspace.client()
    client.finished(client.started(workspace.put_workflow(STEPS)))
    assert upload(client, ("a", os.urandom(1000)), ("b", os.urandom(100_000))).status_code == 201
    return pathlib.Path(run(stack, "backup", "create", "--to", work / "quiet")[0]["backup"])


# --- whole or not ---------------------------------------------------------------------------------------------------


def test_a_backup_has_what_the_document_says(stack, quiet):
    assert {p.name for p in quiet.iterdir()} - {"skills"} == {"database", "blobs", "SHA256SUMS", "manifest.json", "mariadb-backup.log"}
    assert quiet.stat().st_mode & 0o777 == 0o700
    manifest = json.loads((quiet / "manifest.json").read_text())
    named = re.search(r"^`manifest.json`: (.*?)\n\n", DOCUMENT, re.M | re.S).group(1)
    assert set(manifest) <= set(re.findall(r"`(\w+)`", named))
    assert manifest["schema"] == int(stack.sql_one("SELECT MAX(number) FROM millrace.schema_migrations"))
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=quiet, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    everything = b"".join(p.read_bytes() for p in quiet.rglob("*") if p.is_file())
    for key in ("key", "webhook_key"):
        assert (stack.dir / "secrets" / key).read_bytes().strip() not in everything
    deeds = stack.cli("audit-log", "--deed", "backup.create", "--target", quiet.name)
    assert len(deeds) == 1 and deeds[0]["detail"]["folder"] == str(quiet.parent)


def test_verify_proves_a_backup_and_changes_nothing(stack, quiet):
    before = {p: p.stat().st_mtime_ns for p in quiet.rglob("*")}
    answer, _ = run(stack, "backup", "verify", quiet)
    assert answer["ok"] and answer["checks"] > 30 and answer["keys"] == {"secrets": "same", "webhooks": "same"}
    assert {p: p.stat().st_mtime_ns for p in quiet.rglob("*")} == before
    assert [p.name for p in quiet.parent.iterdir()] == [quiet.name]


def flip(path, at=None):
    body = bytearray(path.read_bytes())
    body[at or len(body) // 2] ^= 1
    path.write_bytes(body)
    return lambda: flip(path, at)


def move_away(path):
    aside = path.parent.parent.parent / "aside"
    path.rename(aside)
    return lambda: aside.rename(path)


def add(path):
    path.write_text("x")
    return path.unlink


def cut(path):
    text = path.read_bytes()
    path.write_bytes(text[:len(text) // 2])
    return lambda: path.write_bytes(text)


DAMAGE = {
    "a database file was changed": (lambda b: flip(b / "database/ibdata1"), "database/ibdata1 was changed"),
    "a database file is missing": (lambda b: move_away(b / "database/millrace/executions.ibd"), "executions.ibd: No such file"),
    "a blob was changed": (lambda b: flip(next(b.glob("blobs/??/*"))), "was changed"),
    "a blob is missing": (lambda b: move_away(next(b.glob("blobs/??/*"))), "No such file"),
    "a file was added": (lambda b: add(b / "database/millrace/new.ibd"), "and SHA256SUMS lists"),
    "the sums were changed": (lambda b: flip(b / "SHA256SUMS"), "SHA256SUMS was changed"),
    "the sums were cut": (lambda b: cut(b / "SHA256SUMS"), "SHA256SUMS was changed"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_backup_is_refused(stack, quiet, work, damage):
    change, message = DAMAGE[damage]
    undo = change(quiet)
    try:
        answer, _ = run(stack, "backup", "verify", quiet, code=1)
        assert not answer["ok"] and message in answer["problems"][0]["problem"]
        run(stack, "backup", "restore", quiet, "--datadir", work / "db", "--files", work / "files", code=1)
    finally:
        undo()
    assert {p.name for p in work.iterdir()} == {"quiet"}, "nothing is left of the restore"


@pytest.mark.parametrize("change, message", [
    (lambda t: "", "is damaged"), (lambda t: t[:len(t) // 2], "is damaged"), (lambda t: t.replace('"format": 1', '"format": 2'), "format"),
    (lambda t: t.replace('"files"', '"fills"'), "is damaged"), (lambda t: re.sub(r'"schema": \d+', '"schema": 9999', t), "newer"),
    (lambda t: t.replace('"10.11', '"10.6'), "MariaDB 10.6"), (None, "no whole backup")])
def test_a_manifest_that_does_not_fit_is_refused(stack, quiet, work, change, message):
    path = quiet / "manifest.json"
    text = path.read_text()
    if change:
        path.write_text(change(text))
    else:
        path.unlink()
    try:
        answer, errors = run(stack, "backup", "verify", quiet, code=1)
        assert message in json.dumps(answer) + errors
        run(stack, "backup", "restore", quiet, "--datadir", work / "db", "--files", work / "files", code=1)
    finally:
        path.write_text(text)
    assert {p.name for p in work.iterdir()} == {"quiet"}


def test_a_create_that_was_killed_leaves_no_backup(stack, work):
    to = work / "killed"

    def killed():
        """True once a create was killed while it worked."""
        process = subprocess.Popen([BIN / "millrace", "backup", "create", "--to", to], env=stack.env, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        while not list(to.glob("*.partial/database/*")) and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        return process.wait() == -signal.SIGKILL

    eventually(killed, 60, "a create was killed")
    partial = next(to.glob("*.partial"))
    assert "no whole backup" in run(stack, "backup", "verify", partial, code=1)[1]
    whole = {p.name for p in to.iterdir()} - {partial.name}
    # mariadb-backup, which was killed, too, has the folder locked until it has ended
    eventually(lambda: stack.cli("backup", "create", "--to", to, check=False)[0] == 0, 60, "the next create")
    assert len({p.name for p in to.iterdir()} - whole) == 1 and not list(to.glob("*.partial"))
    shutil.rmtree(to)


def test_only_one_create_works_in_a_folder(stack, work):
    to = work / "two"
    first = subprocess.Popen([BIN / "millrace", "backup", "create", "--to", to], env=stack.env, stdout=subprocess.DEVNULL)
    eventually(lambda: list(to.glob("*.partial")), 60, "the first create works")
    suspend(first.pid)
    try:
        assert "another" in run(stack, "backup", "create", "--to", to, code=1)[1]
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(120) == 0
    shutil.rmtree(to)


def test_old_backups_are_removed_and_equal_blobs_are_links(stack, quiet, work):
    to = work / "kept"
    first, _ = run(stack, "backup", "create", "--to", to, "--keep", 2)
    second, _ = run(stack, "backup", "create", "--to", to, "--keep", 2)
    assert first["linked_blobs"] == 0 and second["linked_blobs"] == second["blobs"] == first["blobs"] >= 2
    (to / "notes").mkdir()  # not a backup
    third, _ = run(stack, "backup", "create", "--to", to, "--keep", 2)
    assert third["removed_backups"] == 1 and {p.name for p in to.iterdir()} == {"notes", *(pathlib.Path(b["backup"]).name for b in (second, third))}
    assert run(stack, "backup", "verify", to)[0]["backup"] == third["backup"], "a folder stands for its newest backup"
    assert run(stack, "backup", "verify", third["backup"])[0]["ok"], "its blobs outlive the backup that they were linked to"
    shutil.rmtree(to)


def test_a_blob_that_lost_its_bytes_is_left_out_and_reported(stack, quiet, work):
    to, blob = work / "rotten", next(blobs_of(stack).glob("??/*"))
    undo = flip(blob)
    try:
        answer, errors = run(stack, "backup", "create", "--to", to, code=1)
    finally:
        undo()
    name = f"{blob.parent.name}/{blob.name}"
    assert answer["damaged"] == [{"blob": name}] and "left out" in errors
    found, _ = run(stack, "backup", "verify", answer["backup"], code=1)
    assert not found["problems"] and [(v["check"], v["id"]) for v in found["violations"]] == [("blob_file", name)]
    targets = ("--datadir", work / "db", "--files", work / "files")
    run(stack, "backup", "restore", answer["backup"], *targets, code=1)
    assert not (work / "db").exists() and not (work / "files").exists()
    # the bytes are elsewhere
    run(stack, "backup", "restore", answer["backup"], *targets, "--more-files", stack.dir / "data/files")
    assert (work / "files/blobs" / name).exists()
    shutil.rmtree(work / "db")
    shutil.rmtree(work / "files")
    run(stack, "backup", "restore", answer["backup"], "--datadir", f"{work}/db/", "--files", f"{work}/files//", "--accept-violations")
    assert (work / "db/ibdata1").exists() and (work / "files/blobs").exists()
    for name in ("db", "files", "rotten"):
        shutil.rmtree(work / name)


def test_nothing_is_restored_over_existing_data(stack, quiet, work):
    for full in ("db", "files"):
        (work / full).mkdir()
        (work / full / "x").write_text("x")
        answer = run(stack, "backup", "restore", quiet, "--datadir", work / "db", "--files", work / "files", code=1)
        assert f"{full} is not empty" in answer[1]
        assert {p.name for p in work.iterdir()} == {"quiet", full} and (work / full / "x").read_text() == "x"
        shutil.rmtree(work / full)
    (work / "files").mkdir()
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs none "$4" && exec "$0" backup restore "$1" --datadir "$3" --files "$4"',
                           BIN / "millrace", quiet, "-", work / "db", work / "files"], env=stack.env, capture_output=True, text=True)
    assert done.returncode == 1 and "is a mount point" in done.stderr
    (work / "files").rmdir()


def test_the_audit_of_the_copy_finds_what_is_wrong_with_the_rows(stack, quiet, work):
    """verify reports what the audit finds: a balance that was changed before the backup."""
    stack.sql("UPDATE millrace.accounts SET balance = balance + 1 LIMIT 1")
    try:
        made, _ = run(stack, "backup", "create", "--to", work / "wrong")
    finally:
        stack.sql("UPDATE millrace.accounts SET balance = balance - 1 LIMIT 1")
    found, _ = run(stack, "backup", "verify", made["backup"], code=1)
    assert {v["check"] for v in found["violations"]} == {"balance", "grants"}
    shutil.rmtree(work / "wrong")


def test_a_transaction_that_was_prepared_is_rolled_back(stack, quiet, work):
    """One of a commit in two phases, between them: the server would not start on it."""
    xid = "X'4D7953514C58696401000000000000003412000000000000', '', 1"  # as the server's own transactions are named
    with peers.mariadb(stack.dir, 60) as sql:
        for statement in ("CREATE TABLE millrace.prepared (a INT PRIMARY KEY)", f"XA START {xid}", "INSERT INTO millrace.prepared VALUES (1)",
                          f"XA END {xid}", f"XA PREPARE {xid}"):
            sql(statement)
        made, _ = run(stack, "backup", "create", "--to", work / "prepared")
        sql(f"XA ROLLBACK {xid}")
        sql("DROP TABLE millrace.prepared")
    assert run(stack, "backup", "verify", made["backup"])[0]["ok"]
    shutil.rmtree(work / "prepared")


# --- the drill ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drill(stack, work, quiet):
    """What was acknowledged before the backup, until a later moment, and until all servers were killed: {name: ids}."""
    load = Load(stack)
    load.wait_for(60)
    before = list(load.runs)
    made, _ = run(stack, *printed("create", backups=work / "drill"))
    load.wait_for(30)
    load.end()
    for statement in ("CREATE USER later@localhost IDENTIFIED BY 'x'", "ALTER USER later@localhost IDENTIFIED BY 'y'",
                      "GRANT SELECT ON millrace.executions TO later@localhost"):
        stack.sql(statement)  # as `millrace setup` does
    until = int(time.time()) + 1
    eventually(lambda: time.time() >= until, 10, "the next second")
    middle = list(load.runs)
    client = Client(stack.url, load.key)
    late = [client.started(load.workflow) for _ in range(5)]
    for name in ("nginx", "api", "executor", "mariadb"):
        stack.kill_server(name, with_children=True)
    yield {"backup": pathlib.Path(made["backup"]), "before": before, "until": until, "middle": middle, "late": late, "load": load}
    for name in ("mariadb", "executor", "api", "nginx"):
        stack.start_server(name)


def test_nothing_acknowledged_before_the_backup_is_missing(stack, work, drill):
    ids = ids_file(work, drill["before"])
    answer, _ = run(stack, *printed("verify", backups=work / "drill", name=drill["backup"].name), "--acknowledged", ids)
    assert answer["ok"] and len(drill["before"]) >= 60
    # the same question with an id that was acknowledged later has the other answer
    ids = ids_file(work, [drill["late"][0]])
    found, _ = run(stack, "backup", "verify", drill["backup"], "--acknowledged", ids, code=1)
    assert [v["check"] for v in found["violations"]] == ["acknowledged"]


def test_a_restored_system_works_elsewhere_and_has_everything(stack, work, drill):
    """The binary logs bring the copy to the end; runs go on, files are there, the audit at rest is clean."""
    other, load = elsewhere(stack), drill["load"]
    try:
        args = printed("restore .*--binlogs", backups=work / "drill", name=drill["backup"].name, datadir=other.dir / "data/mariadb",
                       files=other.dir / "data/files", binlogs=stack.dir / "data/binlog", old_files=stack.dir / "data/files")
        at = args.index("--until")
        run(stack, *args[:at], *args[at + 2:])
        other.start()
        assert other.sql_one("SELECT COUNT(*) FROM mysql.tables_priv WHERE User = 'later' AND Table_name = 'executions'") == "1"
        every = drill["middle"] + drill["late"]
        client = Client(other.url, load.key)
        for name, body in load.files.items():
            assert client.get(f"/files/{name}").content == body
        eventually(lambda: other.sql_one("SELECT COUNT(*) FROM millrace.executions WHERE state IN (1, 2)") == "0", 120, "all runs have ended")
        assert {client.execution(i, steps=False)["status"] for i in every} == {"success"}
        code, out, _ = other.cli("audit", "--at-rest", "--acknowledged", ids_file(work, every), check=False)
        assert code == 0, out
        deeds = other.cli("audit-log", "--deed", "backup.restore")
        assert [d["target"] for d in deeds] == [drill["backup"].name]
        assert client.finished(client.started(load.workflow))["status"] == "success"
    finally:
        other.stop()
    other.close()


def test_the_binary_logs_end_at_the_moment_that_is_named(stack, work, drill):
    other = elsewhere(stack)
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(drill["until"]))
    try:
        run(stack, *printed("restore .*--binlogs", backups=work / "drill", name=drill["backup"].name, datadir=other.dir / "data/mariadb",
                            files=other.dir / "data/files", binlogs=stack.dir / "data/binlog", old_files=stack.dir / "data/files", until=moment))
        other.start_server("mariadb")

        def there(ids):
            return sum(int(other.sql_one(f"SELECT COUNT(*) FROM millrace.executions WHERE id = '{i}'")) for i in ids)
        assert there(drill["middle"]) == len(drill["middle"]) and there(drill["late"]) == 0
    finally:
        other.stop()
    other.close()


def test_a_gap_in_the_binary_logs_is_refused(stack, work, drill):
    logs, targets = work / "logs", ("--datadir", work / "db", "--files", work / "files")
    logs.mkdir()
    message = run(stack, "backup", "restore", drill["backup"], *targets, "--binlogs", logs, code=1)[0]["problems"][0]["problem"]
    assert "bin.0" in message and "No such file" in message
    for source in (stack.dir / "data/binlog").glob("bin.0*"):
        shutil.copy(source, logs)
    binlog = json.loads((drill["backup"] / "manifest.json").read_text())["binlog"]
    first = binlog["file"]
    flip(logs / first, (binlog["position"] + (logs / first).stat().st_size) // 2)
    assert "mariadb-binlog failed" in run(stack, "backup", "restore", drill["backup"], *targets, "--binlogs", logs, code=1)[0]["problems"][0]["problem"]
    number = int(first.split(".")[1])
    (logs / f"bin.{number + 2:06}").write_bytes(b"")
    message = run(stack, "backup", "restore", drill["backup"], *targets, "--binlogs", logs, code=1)[0]["problems"][0]["problem"]
    assert f"bin.{number + 1:06}: No such file" in message
    assert "earlier backup" in run(stack, "backup", "restore", drill["backup"], *targets, "--binlogs", logs, "--until", "2026-01-01", code=1)[1]
    assert not (work / "db").exists() and not (work / "files").exists() and not list(work.glob("*.restoring"))
