"""The programs as the users of the documented installation: the users and groups of etc/sysusers.d, the directories of etc/tmpfiles.d, the
umasks of the units and nginx as www-data. Needs root. The users are numbers: nothing is added to the system's users."""
import contextlib
import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest
from skills import Space, probe, some_seconds
from stack import BIN, ROOT, alive, children_of, eventually, kill

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="programs are started as other users")
SETTINGS = {"executor.processes": "1", "executor.sandbox_accept_missing": ""}
MARK = some_seconds()  # the argument by which the command of a skill is found
FIRST = 61000  # numbers that no user of the system has


class System:
    """Users, groups and directories of etc/, below a directory of the stack."""

    def __init__(self, stack):
        self.stack, self.root = stack, stack.dir / "system"
        self.users, self.groups, self.members = {"root": 0}, {"root": 0}, {}
        for line in self.lines("sysusers.d"):
            kind, name, second = line[0], line[1], line[2]
            if kind in "ug" and name not in self.groups:
                self.groups[name] = FIRST + len(self.groups)
                if kind == "u":
                    self.users[name] = self.groups[name]
        for line in self.lines("sysusers.d"):
            if line[0] == "m":
                for table, name in ((self.users, line[1]), (self.groups, line[1]), (self.groups, line[2])):
                    table.setdefault(name, FIRST + len(self.groups))
                self.groups[line[1]] = self.users[line[1]]
                self.members.setdefault(line[1], []).append(line[2])
        self.processes = {}

    @staticmethod
    def lines(folder):
        text = (ROOT / "etc" / folder / "millrace.conf").read_text()
        return [line.split() for line in text.splitlines() if line and not line.startswith("#")]

    def path(self, name):
        return self.root / name.lstrip("/")

    def own(self, path, user, group, mode):
        os.chown(path, self.users[user], self.groups[group])
        path.chmod(mode)

    def lay_out(self):
        self.stack.dir.chmod(0o711)
        self.root.mkdir(mode=0o755)
        for path, mode, user, group in (line[1:5] for line in self.lines("tmpfiles.d")):
            self.path(path).mkdir(parents=True)
            self.own(self.path(path), user, group, int(mode, 8))
        for path in self.root.rglob("*"):  # var, var/lib ..., which the system has
            if path.stat().st_gid == 0 and path.stat().st_mode & 0o077 == 0:
                path.chmod(0o755)
        shutil.copytree(BIN, self.root / "bin")
        os.chmod(self.root / "bin", 0o755)
        etc = self.root / "etc"
        etc.mkdir(mode=0o755)
        for name, user in (("millrace_api", "millrace"), ("millrace_stream", "millrace"), ("millrace_executor", "millrace-executor"), ("millrace_admin", "root"), ("key", "millrace-executor")):
            shutil.copy(self.stack.dir / "secrets" / name, etc / name)
            self.own(etc / name, user, user, 0o400)
        sockets = self.stack.dir / "sockets"
        sockets.chmod(0o711)
        (sockets / "mariadb.sock").chmod(0o777)  # as Debian's
        self.own(sockets / "redis.sock", "root", "redis", 0o770)
        (etc / "millrace.ini").write_text(self.translated((self.stack.dir / "millrace.ini").read_text()))
        (etc / "nginx.conf").write_text(self.translated((self.stack.dir / "nginx/nginx.conf").read_text()))
        for path in etc.glob("*.*"):
            path.chmod(0o644)
        for path in ("pids", "logs", "tmp"):
            (self.root / path).mkdir()
            self.own(self.root / path, "www-data", "www-data", 0o700)

    def translated(self, text):
        """Paths of the private stack as those of the installation."""
        for old, new in (("secrets/", "system/etc/"), ("data/files", "system/var/lib/millrace/files"), ("data/runs", "system/var/lib/millrace/runs"),
                         *((f"sockets/{s}.sock", f"system/run/millrace/{s}.sock") for s in ("api", "uploads", "stream")),
                         *((f"logs/{s}.log", f"system/var/log/millrace/{s}.log") for s in ("api", "executor", "stream")),
                         *((f"{d}/nginx", f"system/{d}/nginx") for d in ("pids", "logs", "tmp"))):
            text = text.replace(f"{self.stack.dir}/{old}", f"{self.stack.dir}/{new}")
        return re.sub(r"^user root;$", "", text, flags=re.M)

    def start(self, name, user, umask, *command):
        groups = ",".join(str(self.groups[g]) for g in [user, *self.members.get(user, [])])
        out = open(self.stack.dir / f"logs/{name}.out", "a")
        self.processes[name] = subprocess.Popen(
            ["setpriv", f"--reuid={self.users[user]}", f"--regid={self.groups[user]}", f"--groups={groups}", "--no-new-privs",
             "sh", "-c", f'umask {umask}; exec "$@"', name, *command], env={"PATH": os.environ["PATH"], "MILLRACE_STACK": str(self.stack.dir)},
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/", start_new_session=True)
        out.close()

    def start_unit(self, name):
        unit = dict(line.split("=", 1) for line in (ROOT / f"etc/systemd/millrace-{name}.service").read_text().splitlines() if "=" in line)
        self.start(name, unit["User"], unit["UMask"], self.root / f"bin/millrace-{name}", "--config", self.root / "etc/millrace.ini")

    def start_all(self, first):
        for name in (first, *({"api", "executor", "stream"} - {first})):
            self.start_unit(name)
            log = self.path(f"/var/log/millrace/{name}.log")
            eventually(lambda log=log: log.exists() and log.stat().st_size, 20, f"the log of {name}")
        for name in ("api", "uploads", "stream"):
            eventually(lambda name=name: self.path(f"/run/millrace/{name}.sock").exists(), 20, f"the socket {name}")
        self.start("nginx", "www-data", "0022", "nginx", "-c", self.root / "etc/nginx.conf")
        self.stack.wait_ready()

    def stop_all(self):
        for name in ("nginx", "api", "executor", "stream"):
            if name in self.processes:
                process = self.processes.pop(name)
                children = children_of(process.pid)
                process.send_signal(signal.SIGTERM)
                process.wait(60)
                eventually(lambda children=children: not any(map(alive, children)), 30, f"end of the processes of {name}")


@pytest.fixture(params=["api", "executor"])
def system(request, stack):
    """Whichever program starts first creates what is missing."""
    for name in ("nginx", "stream", "executor", "api"):
        stack.stop_server(name)
    s = System(stack)
    config, programs = stack.env["MILLRACE_CONFIG"], stack.env["MILLRACE_BIN"]
    try:
        s.lay_out()
        s.start_all(request.param)
        stack.operator.close()
        stack.env["MILLRACE_CONFIG"] = str(s.root / "etc/millrace.ini")
        yield s
    finally:
        s.stop_all()
        stack.operator.close()
        stack.env.update(MILLRACE_CONFIG=config, MILLRACE_BIN=programs)
        shutil.move(s.root, stack.dir / f"system-{request.param}")




def sleepers(mark):
    """The processes `sleep MARK`."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", mark.encode()]:
                found.append(int(path.parent.name))
    return found


def test_files_logs_and_sockets_work_for_the_users_of_an_installation(stack, system):
    workspace = stack.workspace()
    client = workspace.client()
    run = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}))
    assert client.finished(run)["status"] == "success"
    # an upload, and a download that nginx sends
    assert client.post("/files", files={"files": ("a.txt", b"uploaded")}).status_code == 201
    answer = client.get("/files/a.txt")
    assert (answer.status_code, answer.content) == (200, b"uploaded")
    # a skill: the log while it runs, then its artifact and the stored log
    probe(workspace, f"import subprocess, sys\nprint('up', file=sys.stderr, flush=True)\nsubprocess.run(['sleep', '{MARK}'])\n"
                     "open('outputs/b.txt', 'w').write('left by the run')\nprint('{}')")
    space = Space(workspace, client)
    skill = space.started("probe")
    eventually(lambda: space.logs(skill) == "up\n", 30, "the log of the active run")
    assert space.get(skill)["state"] == "running"
    for pid in eventually(lambda: sleepers(MARK), 30, "the command"):
        kill(pid, signal.SIGKILL)
    done = space.finished(skill, 60)
    assert done["state"] == "succeeded", done
    artifact = done["artifacts"][0]
    answer = client.get(f"/executions/{skill}/artifacts/{artifact['artifact_id']}")
    assert (answer.status_code, answer.content) == (200, b"left by the run")
    assert space.logs(skill) == "up\n"
    # equal bytes from both users; the executor removes what the API has written
    assert client.post("/files", files={"files": ("b.txt", b"left by the run")}).status_code == 201
    assert client.get("/files/b.txt").content == b"left by the run"
    assert client.delete("/files/a.txt").status_code == 204
    blobs = system.path("/var/lib/millrace/files/blobs")
    gone = [p for p in blobs.glob("*/*") if p.read_bytes() == b"uploaded"]
    for path in gone:
        os.utime(path, (1, 1))
    stack.sql("UPDATE blobs SET touched_ms = 1")
    stack.until_upkeep("remove_blobs", lambda: len(gone) == 1 and not gone[0].exists(), 30, "removal of the deleted file's bytes")
    code, out, err = stack.cli("audit", check=False)
    assert code == 0, out + err
    # an event stream through nginx and the event daemon
    answer = client.get(f"/executions/{run}/events", stream=True)
    assert answer.status_code == 200 and any(line.startswith(b"event:") for line in answer.iter_lines())
    answer.close()


def test_strangers_see_nothing(system):
    """Another user of the host reaches neither the sockets nor the files, and nginx does not write files."""
    def allowed(user, groups, *command):
        return subprocess.run(["setpriv", f"--reuid={user}", f"--regid={user}", *(["--groups=" + ",".join(map(str, groups))] if groups else ["--clear-groups"]),
                               *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=20).returncode == 0
    files, sockets = system.path("/var/lib/millrace/files"), system.path("/run/millrace")
    www = system.users["www-data"], [system.groups[g] for g in system.members["www-data"]]
    assert not allowed(FIRST + 999, [], "ls", files) and not allowed(FIRST + 999, [], "ls", sockets)
    assert allowed(*www, "ls", files / "blobs")
    assert not allowed(*www, "touch", files / "blobs/x") and not allowed(*www, "ls", files / "tmp")
    assert not allowed(*www, "ls", system.path("/var/lib/millrace/runs")) and not allowed(*www, "ls", system.path("/var/log/millrace"))
    executor = system.users["millrace-executor"], [system.groups[g] for g in system.members["millrace-executor"]]
    assert not allowed(*executor, "ls", sockets)


