"""Runs bin/millrace-runner with hostile skills. Each test is executed as root (with the uid of a slot) and as an ordinary user.
VARIANT=asan tests the sanitized program; MILLRACE_RUNNER names any other program."""
import hashlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import uuid

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
VARIANT = os.environ.get("VARIANT", "")
BINARY = os.environ.get("MILLRACE_RUNNER") or str(
    ROOT / (f"build/{VARIANT}/bin" if VARIANT else "bin") / "millrace-runner")
PATIENCE_S = 60  # a wait for what must come, and not a statement of how soon: the machine may be busy
# unused uids; no entry in passwd is needed. Each process of a parallel test run has its own, because the kernel counts processes by user
SLOT_UID = 180001 + 2 * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
USER_UID = SLOT_UID + 1


class Box:
    """A private folder with one skill and its runs."""

    def __init__(self, mode):
        self.mode = mode
        self.uid = SLOT_UID if mode == "root" else None
        # not pytest's tmp_path, whose mode is 0700: the user of a slot must reach the folder of its run
        self.base = pathlib.Path(tempfile.mkdtemp(prefix="mr-runner-", dir="/var/tmp"))
        self.base.chmod(0o755)
        self.skill = self.base / "skill"
        self.skill.mkdir()
        self.runs = self.base / "runs"
        self.runs.mkdir()
        if mode == "user" and os.geteuid() == 0:
            os.chown(self.runs, USER_UID, USER_UID)
        self.binary = self.reachable_binary()
        self.mark = "mark" + uuid.uuid4().hex
        self.count = 0

    def reachable_binary(self):
        """The program, or a copy of it if the ordinary user cannot enter the folder of the tree, such as /root. The user of a slot needs
        no copy, because the runner starts itself in the sandbox through an open file descriptor."""
        if self.mode == "root" or os.geteuid() != 0:
            return BINARY
        copy = self.base / "millrace-runner"
        shutil.copyfile(BINARY, copy)
        copy.chmod(0o755)
        return str(copy)

    def python(self, text, name="main.py"):
        path = self.skill / name
        path.write_text("import os, sys, time, json, socket\n" + textwrap.dedent(text))
        return ["python3", "./" + name, self.mark]

    def job(self, argv, **more):
        self.count += 1
        job = {"argv": argv, "skill_dir": str(self.skill), "run_dir": str(self.runs / f"run{self.count}"),
               "stdin": "{}", "timeout_ms": 1000 * PATIENCE_S, "grace_ms": 300, "memory_mb": 128, "disk_mb": 32,
               "processes_max": 32, **more}
        if self.uid:
            job["uid"] = self.uid
        return job

    def identity(self):
        if self.mode == "user" and os.geteuid() == 0:
            return {"user": USER_UID, "group": USER_UID, "extra_groups": []}
        return {}

    def spawn(self, within=()):
        return subprocess.Popen([*within, self.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, cwd="/", **self.identity())

    def start(self, job, within=()):
        p = self.spawn(within)
        p.stdin.write(json.dumps(job) + "\n")
        p.stdin.flush()
        assert json.loads(p.stdout.readline()) == {"type": "accepted"}
        return p

    def finish(self, p):
        """All records; the last one is "ended". The runner's stdin stays open until that record was read."""
        records = []
        for line in p.stdout:
            records.append(json.loads(line))
            if records[-1]["type"] == "ended":
                break
        p.stdin.close()
        errors = p.stderr.read()
        assert p.wait(timeout=PATIENCE_S) == 0, (errors, records)
        assert errors == ""
        assert records[-1]["type"] == "ended"
        return records

    def run(self, argv, **more):
        job = self.job(argv, **more)
        ended = self.finish(self.start(job))[-1]
        ended["stdout"] = self.stdout(job)
        ended["log"] = self.log(job)
        return ended

    def stdout(self, job):
        return (pathlib.Path(job["run_dir"]) / "stdout").read_text()

    def log(self, job):
        return (pathlib.Path(job["run_dir"]) / "log").read_text(errors="replace")

    def alive(self):
        """Process ids, on the whole machine, of processes that have the test's mark."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.mark.encode() in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
            except OSError:
                pass
        return found

    def wait_until(self, condition, what):
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, what
            time.sleep(0.01)

    def wait_nobody(self):
        self.wait_until(lambda: not self.alive(), "processes are left over")

    def close(self):
        left = self.alive()
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []
        for run in self.runs.iterdir():
            subprocess.run([self.binary, "--remove", str(run)], check=True, **self.identity())
        shutil.rmtree(self.base)


def is_gone(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except OSError:
        return True


def children_of(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture(params=["root", "user"])
def box(request):
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("not root: cannot drop to a slot's uid")
    b = Box(request.param)
    yield b
    b.close()


def test_inputs_outputs_progress_and_artifacts(box):
    source = box.base / "letter.txt"
    source.write_text("three words here")
    source.chmod(0o444)
    argv = box.python("""
        inputs = json.load(sys.stdin)
        print("::progress 40 counting", file=sys.stderr, flush=True)
        print("a line", file=sys.stderr, flush=True)
        words = len(open("inputs/materials/" + inputs["file"]).read().split())
        os.makedirs("outputs/deep")
        open("outputs/chart.svg", "w").write('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
        open("outputs/deep/note.txt", "w").write("plain text\\n")
        open("outputs/skipped.bin", "w").write("x")
        json.dump({"words": words}, sys.stdout)
    """)
    job = box.job(argv, stdin='{"file":"brief.txt"}', files=[{"source_path": str(source), "name": "brief.txt"}],
                  artifacts=["*.svg", "outputs/deep/*.txt"])
    records = box.finish(box.start(job))
    ended = records[-1]
    assert (ended["reason"], ended["exit_code"], ended["signal"]) == (None, 0, None)
    assert json.loads(box.stdout(job)) == {"words": 3}
    assert box.log(job) == "a line\n"
    assert {"type": "started"} in records
    assert {"type": "progress", "percent": 40, "message": "counting"} in records
    assert "a line\n" in "".join(r["text"] for r in records if r["type"] == "log")
    by_path = {a["relpath"]: a for a in ended["artifacts"]}
    assert set(by_path) == {"chart.svg", "deep/note.txt"}
    assert by_path["chart.svg"]["media_type"] == "image/svg+xml"
    assert by_path["deep/note.txt"]["media_type"] == "text/plain"
    assert by_path["deep/note.txt"]["size_bytes"] == 11
    assert by_path["deep/note.txt"]["sha256"] == hashlib.sha256(b"plain text\n").hexdigest()
    assert ended["wallclock_ms"] > 0 and ended["peak_memory_bytes"] > 1024 * 1024
    assert source.read_text() == "three words here"


def test_in_a_container_with_few_processes(box):
    """No process of the container has the pid that the command's first process gets in its own namespace."""
    unshare = ["unshare", *(["--user", "--map-current-user"] if box.mode == "user" else []), "--pid", "--fork", "--mount-proc"]
    burn = 'for i in 1 2 3 4; do (:); done; exec "$0"'
    job = box.job(box.python("print(json.dumps({'pid': os.getpid()}))"))
    ended = box.finish(box.start(job, within=[*unshare, "sh", "-c", burn]))[-1]
    assert ended["exit_code"] == 0, (ended, box.log(job))
    assert json.loads(box.stdout(job))["pid"] > 1


def test_never_uid_0_and_no_privileges(box):
    ended = box.run(box.python("""
        status = open("/proc/self/status").read()
        print(json.dumps([os.getuid(), os.geteuid(), os.getgid(), os.getgroups(),
            [l.split()[1] for l in status.splitlines() if l.startswith(("CapEff", "CapPrm", "CapBnd", "CapAmb"))],
            "NoNewPrivs:\\t1" in status, "Seccomp:\\t2" in status]))
    """))
    uid, euid, gid, groups, caps, no_new, seccomp = json.loads(ended["stdout"])
    assert uid == euid == gid == 1000 and 0 not in groups
    assert set(caps) == {"0" * 16} and no_new and seccomp


def test_commands_come_behind_the_services(box):
    """Whatever a command starts: the niceness is inherited, and neither it nor the slices can be changed."""
    ended = box.run(box.python("""
        import ctypes, subprocess
        try: os.nice(-5)
        except OSError: pass
        def may(change):
            try: change(); return True
            except PermissionError: return False
        class Attr(ctypes.Structure):
            _fields_ = [("size", ctypes.c_uint32), ("policy", ctypes.c_uint32), ("flags", ctypes.c_uint64), ("nice", ctypes.c_int32),
                        ("priority", ctypes.c_uint32), ("runtime", ctypes.c_uint64), ("deadline", ctypes.c_uint64), ("period", ctypes.c_uint64)]
        def shorter_slices():
            libc, attr = ctypes.CDLL(None, use_errno=True), Attr(size=48, nice=10, runtime=100000)
            if libc.syscall({"x86_64": 314, "aarch64": 274}[os.uname().machine], 0, ctypes.byref(attr), 0) != 0:
                raise OSError(ctypes.get_errno(), "")
        def slices_ms():
            libc, attr = ctypes.CDLL(None, use_errno=True), Attr()
            libc.syscall({"x86_64": 315, "aarch64": 275}[os.uname().machine], 0, ctypes.byref(attr), 48, 0)
            return attr.runtime / 1e6
        changes = [shorter_slices, lambda: os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0)), lambda: os.sched_setparam(0, os.sched_param(0))]
        print(json.dumps([[may(c) for c in changes], slices_ms(), os.nice(0), int(subprocess.check_output([sys.executable, "-c", "import os; print(os.nice(0))"], start_new_session=True))]))
    """))
    changes, slices_ms, *nice = json.loads(ended["stdout"])
    assert changes == [False, False, False] and nice == [10, 10]
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) >= (6, 12):  # older ones know no slices of threads
        assert slices_ms == 100


def test_outside_uid_is_the_slots(box):
    job = box.job(box.python("time.sleep(100)"))
    p = box.start(job)
    assert json.loads(p.stdout.readline())["type"] == "started"
    expected = box.uid or (USER_UID if os.geteuid() == 0 else os.geteuid())
    pids = [pid for pid in box.alive() if pid != p.pid]
    assert pids
    for pid in pids:
        assert os.stat(f"/proc/{pid}").st_uid in (expected, 0)  # 0: process 1 hides itself (not dumpable)
        fields = pathlib.Path(f"/proc/{pid}/status").read_text().split("Uid:")[1].split()[:4]
        assert fields == [str(expected)] * 4
    p.terminate()
    assert box.finish(p)[-1]["reason"] == "stopped"


def test_root_without_a_slot_is_refused():
    if os.geteuid() != 0:
        pytest.skip("not root: nothing to refuse")
    b = Box("root")
    b.uid = None
    p = b.start(b.job(["true"]))
    ended = json.loads(p.stdout.readline())
    p.communicate()
    assert ended["reason"] == "internal" and "uid 0" in ended["detail"]
    b.close()


def test_forks_and_detaches(box):
    ended = box.run(box.python("""
        for i in range(3):
            if os.fork() == 0:
                os.setsid()
                if os.fork() == 0:
                    os.execvp("sh", ["sh", "-c", "sleep 1000; :", sys.argv[1]])
                os._exit(0)
        print("{}")
    """))
    assert (ended["reason"], ended["exit_code"]) == (None, 0)
    assert box.alive() == []


def test_a_guard_that_is_slow_to_go(box):
    """On a busy machine the guard may end seconds after the command. The run must not fail because of this."""
    job = box.job(box.python("time.sleep(0.5); print('{}')"))
    p = box.start(job)
    assert json.loads(p.stdout.readline())["type"] == "started"
    guard = children_of(p.pid)[0]
    os.kill(guard, signal.SIGSTOP)
    box.wait_until(lambda: not [q for q in box.alive() if q not in (guard, p.pid)], "the command ends")
    # the runner samples twenty times per second: after this time it has taken many samples, and has not ended the run
    assert select.select([p.stdout], [], [], 2.0)[0] == []
    os.kill(guard, signal.SIGCONT)
    ended = box.finish(p)[-1]
    assert (ended["reason"], ended["exit_code"]) == (None, 0), ended


@pytest.mark.parametrize("how", ["one_file", "many_files", "unlinked", "allocated", "inodes", "deep", "rewriting"])
def test_fills_the_disk(box, how):
    ended = box.run(box.python({
        "one_file": """
            with open("outputs/big", "wb") as f:
                while True: f.write(b"x" * 1048576)
        """,
        "many_files": """
            n = 0
            while True:
                n += 1
                open(f"f{n}", "wb").write(b"x" * 1048576)
        """,
        "unlinked": """
            held = []
            while True:
                f = open("f", "wb"); os.unlink("f"); held.append(f)
                f.write(b"x" * 1048576); f.flush()
        """,
        "allocated": """
            import ctypes
            f = open("f", "wb")
            libc = ctypes.CDLL(None, use_errno=True)
            done = libc.fallocate64(f.fileno(), 1, ctypes.c_long(0), ctypes.c_long(1 << 36))
            assert done == -1, "allocated"
            n = 0
            while True:
                n += 1
                open(f"f{n}", "wb").write(b"x" * 1048576)
        """,
        "inodes": """
            n = 0
            while True:
                n += 1
                open(f"f{n}", "wb").close()
        """,
        "deep": """
            while True:
                os.mkdir("d"); os.chdir("d")
        """,
        "rewriting": """
            import mmap
            while True:
                f = open("f", "w+b"); os.unlink("f"); f.truncate(30 << 20)
                m = mmap.mmap(f.fileno(), 30 << 20); f.close()
                for i in range(0, 30 << 20, 4096): m[i] = 1
                m.flush()
                globals().setdefault("held", []).append(m)
        """,
    }[how]), memory_mb=1024, timeout_ms=60000)  # creating 20,000 inodes takes long on a busy disk
    assert ended["reason"] == "disk_limit", ended
    used = int(subprocess.run(["du", "-sm", box.runs], capture_output=True, text=True).stdout.split()[0])
    assert used < 32 + 400, "far past its limit"


def test_fills_tmp_and_shm(box):
    ended = box.run(box.python("""
        full = []
        for folder in ("/tmp", "/dev/shm"):
            try:
                with open(folder + "/f", "wb") as f:
                    for i in range(1000): f.write(b"x" * 1048576)
            except OSError as e:
                full.append(e.errno)
        for folder in ("/", "/etc", "/dev", "/skill", "/usr", "/work/inputs", "/work/inputs/materials"):
            try:
                open(folder + "/f", "wb")
                print(folder)
            except OSError as e:
                full.append(e.errno)
        print(json.dumps(full))
    """), disk_mb=2048)
    import errno
    assert ended["exit_code"] == 0, ended["log"]
    codes = json.loads(ended["stdout"])
    assert set(codes[:2]) <= {errno.ENOSPC, errno.EFBIG} and set(codes[2:]) <= {errno.EROFS, errno.EACCES}


@pytest.mark.parametrize("how", ["one", "children", "shared"])
def test_eats_memory(box, how):
    ended = box.run(box.python({
        "one": """
            held = []
            while True: held.append(bytearray(4 << 20))
        """,
        "children": """
            for i in range(8):
                if os.fork() == 0:
                    held = [bytearray(30 << 20)]
                    time.sleep(1000)
            time.sleep(1000)
        """,
        "shared": """
            import mmap
            held = []
            while True:
                m = mmap.mmap(-1, 8 << 20)
                for i in range(0, 8 << 20, 4096): m[i] = 1
                held.append(m)
        """,
    }[how]), timeout_ms=1000 * PATIENCE_S)
    assert ended["reason"] == "memory_limit", ended
    assert ended["peak_memory_bytes"] > 128 << 20
    assert ended["peak_memory_bytes"] < 1 << 30


def test_forked_children_that_share_pages_are_not_counted_twice(box):
    ended = box.run(box.python("""
        held = bytearray(60 << 20)
        for i in range(6):
            if os.fork() == 0:
                time.sleep(1)
                os._exit(0)
        time.sleep(1)
        print("{}")
    """))
    assert (ended["reason"], ended["exit_code"]) == (None, 0)


def test_memory_of_a_process_whose_first_thread_has_ended_is_counted(box):
    ended = box.run(box.python("""
        import ctypes, threading
        def hold():
            while "(zombie)" not in open(f"/proc/{os.getpid()}/status").read(): time.sleep(0.01)
            held = bytearray(300 << 20)
            time.sleep(20)
        threading.Thread(target=hold).start()
        ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
    """))
    assert ended["reason"] == "memory_limit"


def test_hidden_memory_is_refused(box):
    ended = box.run(box.python("""
        import ctypes
        libc = ctypes.CDLL(None, use_errno=True)
        print(json.dumps([libc.memfd_create(b"x", 0), libc.shmget(0, 4096, 0o1600), libc.msgget(0, 0o1600)]))
    """))
    assert json.loads(ended["stdout"]) == [-1, -1, -1]


def test_floods_stdout(box):
    ended = box.run(box.python("""
        while True: os.write(1, b"x" * 65536)
    """), stdout_max=100000)
    assert ended["reason"] == "output_limit"
    assert ended["stdout_bytes"] == len(ended["stdout"]) == 100000


def test_floods_stderr(box):
    job = box.job(box.python("""
        for i in range(2000): os.write(2, b"y" * 32767 + b"\\n")
        print("{}")
    """), log_max=100000)
    records = box.finish(box.start(job))
    ended = records[-1]
    assert (ended["reason"], ended["exit_code"]) == (None, 0)
    assert ended["log_bytes"] == len(box.log(job)) == 100000 and ended["log_truncated"]
    logs = [r for r in records if r["type"] == "log"]
    assert len(logs) <= 2 + 4 * (ended["wallclock_ms"] / 1000 + 1)
    assert all(len(r["text"]) <= 16 * 1024 for r in logs)


def test_a_reader_that_does_not_read_delays_nothing(box):
    job = box.job(box.python("""
        n = 0
        while True:
            os.write(2, b"z" * 8000 + b"\\n")
            n += 1
            time.sleep(0.01)
    """), timeout_ms=3000, log_max=64 << 20)
    p = box.start(job)
    box.wait_until(box.alive, "never started")
    box.wait_until(lambda: len(box.alive()) <= 1 and not [q for q in box.alive() if q != p.pid],
                   "not ended at its timeout")
    assert box.finish(p)[-1]["reason"] == "timeout"


def test_runs_for_ever(box):
    timeout_ms = 3000  # a command that has not begun by then gets no SIGTERM, but SIGKILL after its grace
    ended = box.run(box.python("while True: pass"), timeout_ms=timeout_ms)
    assert ended["reason"] == "timeout" and ended["signal"] == signal.SIGTERM
    assert ended["wallclock_ms"] >= timeout_ms


def test_ignores_term(box):
    ended = box.run(box.python("""
        import signal
        for i in range(3): os.fork()
        for s in range(1, 32):
            if s not in (9, 19): signal.signal(s, signal.SIG_IGN)
        while True: time.sleep(1)
    """), timeout_ms=3000, grace_ms=500)
    assert ended["reason"] == "timeout"
    assert ended["wallclock_ms"] >= 3500
    assert box.alive() == []


def test_term_reaches_the_whole_tree_and_leaves_time(box):
    job = box.job(box.python("""
        import signal
        def bye(*_):
            os.write(2, b"%d says goodbye\\n" % (os.getpid() != first))
            sys.exit(0)
        first = os.getpid()
        signal.signal(signal.SIGTERM, bye)
        child = os.fork()
        if child: os.write(2, b"::progress 1 ready\\n")
        while True: time.sleep(0.1)  # a signal that arrives just before a sleep is handled before the next one
    """), grace_ms=2000 * PATIENCE_S, timeout_ms=1000 * PATIENCE_S)
    p = box.start(job)
    for line in p.stdout:
        if json.loads(line)["type"] == "progress":
            break
    p.send_signal(signal.SIGTERM)
    ended = box.finish(p)[-1]
    assert (ended["reason"], ended["exit_code"]) == ("stopped", 0)
    assert "0 says goodbye" in box.log(job)
    assert ended["wallclock_ms"] < 1000 * PATIENCE_S, "the grace period did not pass"


def test_a_job_whose_owner_has_gone_is_not_begun(box):
    """The request for the runner may have waited; meanwhile the executor has died, or has given the job to another runner."""
    for keeps_output in (False, True):
        p = box.spawn()
        os.kill(p.pid, signal.SIGSTOP)
        job = box.job(box.python("open('outputs/began', 'w')"))
        p.stdin.write(json.dumps(job) + "\n")
        p.stdin.close()
        if not keeps_output:
            p.stdout.close()
        os.kill(p.pid, signal.SIGCONT)
        assert p.wait(PATIENCE_S) == 1
        assert not pathlib.Path(job["run_dir"]).exists()
        if keeps_output:
            p.stdout.close()
        p.stderr.close()


def test_stop_by_the_lifeline(box):
    p = box.start(box.job(box.python("time.sleep(100)")))
    assert json.loads(p.stdout.readline())["type"] == "started"
    p.stdin.write("stop\n")
    p.stdin.flush()
    assert box.finish(p)[-1]["reason"] == "stopped"


# Sizes around the end of the runner's first read, so that it ends within "stop".
@pytest.mark.parametrize("size", [0, 65533, 65534, 65535, 65536])
def test_stop_that_comes_before_the_job_was_read(box, size):
    p = box.spawn()
    p.stdin.write(json.dumps(box.job(box.python("time.sleep(100)"))).ljust(size - 1) + "\nstop\n")  # one write
    p.stdin.flush()
    assert box.finish(p)[-1]["reason"] == "stopped"


def test_fork_bomb(box):
    ended = box.run(box.python("""
        while True:
            try: os.fork()
            except OSError: pass
    """), processes_max=20)
    assert ended["reason"] == "process_limit", ended
    assert box.alive() == []


def test_reads_etc_shadow_and_configurations(box):
    elsewhere = pathlib.Path(tempfile.mkdtemp(prefix="mr-conf-", dir="/var/tmp"))
    elsewhere.chmod(0o755)
    config = elsewhere / "millrace.ini"
    config.write_text("password = secret\n")
    config.chmod(0o644)
    (box.base / "beside.ini").write_text("secret")
    try:
        ended = box.run(box.python(f"""
            read = []
            for path in ("/etc/shadow", "/etc/gshadow", "{config}", "{box.base}/beside.ini", "/work/../beside.ini",
                         "/proc/1/environ", "/proc/1/root/etc/shadow", "/proc/1/mem", "/etc/hostname", "/root/.bashrc",
                         "/proc/kcore", "/var/log/dpkg.log", "/dev/mem", "/sys/kernel/notes"):
                try:
                    open(path, "rb").read(1)
                    read.append(path)
                except OSError:
                    pass
            print(json.dumps([read, sorted(os.listdir("/")), sorted(os.listdir("/etc"))]))
        """))
        read, top, etc = json.loads(ended["stdout"])
        assert read == []
        assert set(top) <= {"bin", "dev", "etc", "lib", "lib64", "proc", "sbin", "skill", "tmp", "usr", "work"}
        assert set(etc) <= {"alternatives", "group", "ld.so.cache", "localtime", "passwd"}
    finally:
        shutil.rmtree(elsewhere)


@pytest.mark.parametrize("network", [False, True])
def test_reaches_a_unix_socket(box, network):
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(box.skill / "db.sock"))  # visible in the sandbox, read-only; a read-only file system alone does not prevent connect()
    os.chmod(box.skill / "db.sock", 0o777)
    server.listen()
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0" + box.mark)
    abstract.listen()
    ended = box.run(box.python("""
        reached = []
        for address in ("/skill/db.sock", "\\0" + sys.argv[1]):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
                try:
                    socket.socket(socket.AF_UNIX, kind).connect(address)
                    reached.append(address)
                except OSError:
                    pass
        a, b = socket.socketpair()
        a.send(b"x")
        print(json.dumps([reached, b.recv(1).decode(), os.path.exists("/skill/db.sock")]))
    """), network=network)
    server.close()
    abstract.close()
    assert json.loads(ended["stdout"]) == [[], "x", True]


def test_opens_the_network_only_when_allowed(box):
    server = socket.create_server(("127.0.0.1", 0))
    argv = box.python(f"""
        try:
            socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 2)
            print("true")
        except OSError:
            print("false")
    """)
    assert json.loads(box.run(argv)["stdout"]) is False
    # without the seccomp filter, the empty network namespace still prevents access
    assert json.loads(box.run(argv, accept_missing=["seccomp"])["stdout"]) is False
    assert json.loads(box.run(argv, network=True)["stdout"]) is True
    server.close()


def test_exotic_calls_are_refused(box):
    ended = box.run(box.python("""
        import ctypes, platform
        libc = ctypes.CDLL(None, use_errno=True)
        new_ns = {"user": 0x10000000, "mount": 0x20000, "net": 0x40000000, "pid": 0x20000000}
        good = [n for n, f in new_ns.items() if libc.unshare(f) == 0]
        if libc.ptrace(16, os.getppid(), 0, 0) == 0: good.append("ptrace")
        if libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0: good.append("mount")
        if libc.umount2(b"/work/inputs", 2) == 0: good.append("umount")
        for name, number in (("keyctl", 250), ("bpf", 321), ("perf", 298), ("userfaultfd", 323), ("io_uring", 425),
                             ("add_key", 248), ("handle", 304), ("clone3", 435)):
            if platform.machine() == "x86_64" and libc.syscall(number, 0, 0, 0, 0, 0) >= 0: good.append(name)
        for family in (16, 17, 38, 40, 44, 29, 9):
            for kind in (2, 3, 5):
                try: socket.socket(family, kind); good.append("family %d" % family)
                except OSError: pass
        print(json.dumps(good))
    """), network=True)
    assert [g for g in json.loads(ended["stdout"]) if g != "family 16"] == []


def test_another_runs_folder(box):
    victim = box.job(box.python("""
        open("outputs/secret", "w").write("mine")
        os.write(2, b"::progress 1 ready\\n")
        time.sleep(100)
    """, "victim.py"))
    if box.uid:
        victim["uid"] = box.uid + 10
    p = box.start(victim)
    for line in p.stdout:
        if json.loads(line)["type"] == "progress":
            break
    path = victim["run_dir"] + "/work/outputs/secret"
    assert os.path.exists(path)
    ended = box.run(box.python(f"""
        seen = [pid for pid in os.listdir("/proc") if pid.isdigit()]
        found = []
        for root in ["/proc/%s/root" % pid for pid in seen] + ["", "/work/../../.."]:
            try: found.append(open(root + "{path}").read())
            except OSError: pass
        killed = []
        for pid in range(2, 5000):
            if pid != os.getpid():
                try: os.kill(pid, 9); killed.append(pid)
                except OSError: pass
        print(json.dumps([found, len(seen), killed]))
    """))
    found, seen, killed = json.loads(ended["stdout"])
    assert found == [] and seen == 2 and killed == []
    p.send_signal(signal.SIGTERM)
    assert box.finish(p)[-1]["reason"] == "stopped"


def test_artifacts_that_point_elsewhere(box):
    ended = box.run(box.python("""
        open("inside.txt", "w").write("beside outputs")
        open("outputs/good.txt", "w").write("good")
        os.symlink("/etc/passwd", "outputs/absolute")
        os.symlink("../inside.txt", "outputs/relative")
        os.symlink("/", "outputs/folder")
        os.link("inside.txt", "outputs/linked")
        os.mkfifo("outputs/fifo")
        open(b"outputs/\\xff", "w").write("x")
        os.mkdir("outputs/closed"); open("outputs/closed/a", "w").write("closed")
        os.chmod("outputs/closed/a", 0); os.chmod("outputs/closed", 0)
        os.chmod("outputs/good.txt", 0o4777)
    """))
    assert {a["relpath"] for a in ended["artifacts"]} == {"good.txt", "closed/a"}
    assert {a["relpath"] for a in ended["artifacts_refused"]} == {
        "absolute", "relative", "folder", "linked", "fifo", "\ufffd"}
    assert ended["artifacts_refused_reasons"] == {"is a symbolic link": 3, "has more than one hard link": 1, "is a FIFO": 1,
                                                  "name is not valid UTF-8": 1}
    assert os.stat(box.runs / "run1/work/outputs/good.txt").st_mode & 0o7000 == 0


def test_outputs_replaced_by_a_link(box):
    ended = box.run(box.python("""
        os.rmdir("outputs")
        os.symlink("/usr/share/doc", "outputs")
    """))
    assert ended["reason"] is None and ended["artifacts"] == []


def test_too_many_artifacts(box):
    ended = box.run(box.python("""
        for i in range(50): open(f"outputs/{i}", "w").write("x")
    """), artifacts_max=7)
    assert [a["relpath"] for a in ended["artifacts"]] == sorted(str(i) for i in range(50))[:7]
    assert len(ended["artifacts_refused"]) == 20 and ended["artifacts_refused_reasons"] == {"too many artifacts": 43}


def test_a_long_path_is_refused_and_ends_nothing(box):
    ended = box.run(box.python("""
        os.chdir("outputs")
        for i in range(16):
            os.mkdir("d" * 254)
            os.chdir("d" * 254)
        open("x", "w").write("x")
    """))
    assert (ended["reason"], ended["exit_code"]) == (None, 0), ended
    assert ended["artifacts_refused_reasons"] == {"path is longer than 4000 bytes": 1}


def test_too_many_entries_are_named(box):
    ended = box.run(box.python("""
        for i in range(20100): os.mkdir(f"outputs/{i}")
        time.sleep(9)
    """), disk_mb=1024)
    assert (ended["reason"], ended["detail"]) == ("disk_limit", "more than 20000 files and folders")


def test_staged_files_cannot_be_changed(box):
    source = box.base / "blob"
    source.write_text("precious")
    os.chown(source, *(2 * [USER_UID if box.mode == "user" and os.geteuid() == 0 else -1]))
    source.chmod(0o644)
    ended = box.run(box.python("""
        tried = 0
        for act in (lambda: open("inputs/materials/b", "w"), lambda: os.chmod("inputs/materials/b", 0o777),
                    lambda: os.unlink("inputs/materials/b"), lambda: os.link("inputs/materials/b", "outputs/b"),
                    lambda: os.rename("inputs", "moved"), lambda: open("/skill/x", "w")):
            try: act()
            except OSError: tried += 1
        print(tried)
    """), files=[{"source_path": str(source), "name": "b"}])
    assert json.loads(ended["stdout"]) == 6
    assert source.read_text() == "precious" and source.stat().st_mode & 0o777 == 0o644


def test_a_command_that_is_not_there(box):
    ended = box.run(["./nothing.sh"])
    assert (ended["reason"], ended["exit_code"], ended["started"]) == (None, 127, False)
    assert ended["detail"] == "No such file or directory"


def test_a_folder_that_is_not_there(box):
    job = box.job(["true"], skill_dir=str(box.base / "nowhere"))
    ended = box.finish(box.start(job))[-1]
    assert ended["reason"] == "internal" and "nowhere" in ended["detail"]


def test_exit_codes_and_signals(box):
    assert box.run(["sh", "-c", "exit 7"])["exit_code"] == 7
    ended = box.run(["sh", "-c", "kill -SEGV $$"])
    assert (ended["exit_code"], ended["signal"], ended["reason"]) == (None, signal.SIGSEGV, None)


def test_bad_jobs_are_refused():
    for text in ("", "{}", "[]", "nonsense", '{"argv":["true"],"skill_dir":"/usr","run_dir":"/nowhere","typo":1}'):
        p = subprocess.run([BINARY], input=text + "\n", capture_output=True, text=True, timeout=20)
        assert p.returncode == 2
        assert json.loads(p.stdout)["reason"] == "internal"


# --- death of the parent processes -------------------------------------------------------------------------------------

DETACHING = """
    for i in range(2):
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0: time.sleep(1000)
            os._exit(0)
    os.write(2, b"::progress 1 ready\\n")
    time.sleep(1000)
"""


def spawn_under_parent(box):
    """A process in the role of the executor: starts a run, prints the runner's pid once the command is ready, and waits."""
    job = box.job(box.python(DETACHING))
    script = """if True:
        import json, subprocess, sys, time
        p = subprocess.Popen([sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        p.stdin.write(sys.stdin.readline()); p.stdin.flush()
        for line in p.stdout:
            if json.loads(line)["type"] == "progress": break
        print(p.pid, flush=True)
        time.sleep(1000)
    """
    parent = subprocess.Popen([sys.executable, "-c", script, box.binary], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True, cwd="/", **box.identity())
    parent.stdin.write(json.dumps(job) + "\n")
    parent.stdin.flush()
    runner = int(parent.stdout.readline())
    box.wait_until(lambda: len(box.alive()) >= 5, "the tree did not grow")
    return parent, runner


def test_killed_executor_leaves_nobody(box):
    parent, runner = spawn_under_parent(box)
    parent.kill()
    parent.wait()
    box.wait_nobody()
    box.wait_until(lambda: is_gone(runner), "the runner is left over")


def test_killed_runner_leaves_nobody(box):
    parent, runner = spawn_under_parent(box)
    os.kill(runner, signal.SIGKILL)
    box.wait_nobody()
    parent.kill()
    parent.wait()


@pytest.mark.parametrize("depth", [1, 2, 3], ids=["guard", "bubblewrap", "init"])
def test_killed_in_between_is_reported_and_leaves_nobody(box, depth):
    p = box.start(box.job(box.python(DETACHING)))
    for line in p.stdout:
        if json.loads(line)["type"] == "progress":
            break
    victim = p.pid
    for _ in range(depth):
        children = pathlib.Path(f"/proc/{victim}/task/{victim}/children").read_text().split()
        assert len(children) == 1
        victim = int(children[0])
    os.kill(victim, signal.SIGKILL)
    ended = box.finish(p)[-1]
    assert (ended["reason"], ended["signal"]) == ("internal", signal.SIGKILL)
    box.wait_nobody()


def test_runner_killed_while_starting_leaves_nobody(box):
    for i in range(40):
        p = box.start(box.job(box.python("time.sleep(1000)")))
        time.sleep(i * 0.001)  # selects the moment of the start-up at which the runner dies; it is not a wait for a condition
        p.kill()
        p.communicate()
        box.wait_nobody()


# --- the rest --------------------------------------------------------------------------------------------------

def test_check_says_what_is_there(box):
    args = [box.binary, "--check"] + ([str(box.uid)] if box.uid else [])
    p = subprocess.run(args, capture_output=True, text=True, timeout=30, **box.identity())
    said = json.loads(p.stdout)
    assert p.returncode == 0 and said["missing"] == [] and said["fatal"] == []
    assert said["pieces"]["seccomp"] and said["pieces"]["user_ns"] and said["pieces"]["run"]
    assert said["causes"] == [] and p.stderr == ""


def test_check_names_causes_and_remedies(box):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for args in ([box.binary, "--check"], ["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin", box.binary, "--check", "65534"]):
        p = subprocess.run(args, capture_output=True, text=True, timeout=60)
        said = json.loads(p.stdout)
        assert p.returncode == 4 and "run" in said["fatal"], p.stdout
        assert {c["piece"] for c in said["causes"]} == set(said["fatal"] + said["missing"])
        for cause in said["causes"]:
            assert cause["message"] and cause["remedy"]
            assert f"millrace-runner: {cause['piece']}: {cause['message']}\n  remedy: {cause['remedy']}\n" in p.stderr
    # what cannot be tried without the uid is not reported as missing: the remedies of those would be wrong
    p = subprocess.run(["setpriv", "--bounding-set", "-setuid", "--inh-caps", "-setuid", box.binary, "--check", "65534"], capture_output=True, text=True)
    [cause] = json.loads(p.stdout)["causes"]
    assert p.returncode == 4 and cause["piece"] == "slot_uid" and "CAP_SETUID" in cause["remedy"], p.stdout
    quiet = subprocess.run([*p.args[:-2], "--report", "65534"], capture_output=True, text=True)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (4, p.stdout, "")


def test_remove_takes_what_was_built_to_resist(box):
    box.run(box.python("""
        for i in range(29):
            os.mkdir("d"); os.chdir("d")
        open("f", "w").write("x")
        os.chmod("f", 0)
        os.chmod(".", 0)
        os.symlink("/usr", "/work/outputs/usr")
    """))
    run = box.runs / "run1"
    subprocess.run([box.binary, "--remove", str(run)], check=True, **box.identity())
    assert not run.exists() and os.path.exists("/usr/bin")
