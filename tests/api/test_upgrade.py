"""Replacing the programs of a running installation: the API and the event daemon become the program that an upgrade has put at their
path, without a request that fails; sockets of systemd keep connections while a program is restarted."""
import concurrent.futures
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import pathlib

import pytest
import requests

from stack import BIN, Stack, alive, children_of, eventually, kill, running, suspend
from upgrade_load import Load, check_all

pytestmark = pytest.mark.serial
SETTINGS = {"api.workers": "4", "api.rate_limit_per_minute": "10000000"}


@pytest.fixture(scope="module")
def bin_dir():
    place = pathlib.Path(tempfile.mkdtemp(prefix="mrbin-", dir="/tmp"))
    for program in BIN.iterdir():
        if program.is_file():
            shutil.copy2(program, place)
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def stack(bin_dir):
    s = Stack(SETTINGS)
    s.env["MILLRACE_BIN"] = str(bin_dir)
    with running(s):
        yield s


@pytest.fixture(scope="module")
def workspace(stack):
    return stack.workspace(credits=1000000)


def install(path, content=None):
    """As dpkg does: another file takes the name."""
    new = path.with_suffix(".dpkg-new")
    if content is None:
        shutil.copy2(BIN / path.name, new)
    else:
        new.write_text(content)
        new.chmod(0o755)
    new.rename(path)


def runs_file(pid, path):
    a, b = os.stat(f"/proc/{pid}/exe"), os.stat(path)
    return (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)


def test_reload_continues_with_the_new_programs_and_no_request_fails(stack, workspace, bin_dir):
    master, stream = stack.pid("api"), stack.pid("stream")
    with Load(stack, workspace) as load:
        for _ in range(2):
            old = set(stack.children("api"))
            install(bin_dir / "millrace-api")
            kill(master, signal.SIGHUP)
            eventually(lambda: runs_file(master, bin_dir / "millrace-api") and not old & set(stack.children("api")), 30, "new workers")
            assert all(runs_file(p, bin_dir / "millrace-api") for p in stack.children("api"))
            load.more(2)
            install(bin_dir / "millrace-stream")
            kill(stream, signal.SIGHUP)
            eventually(lambda: runs_file(stream, bin_dir / "millrace-stream"), 30, "the new event daemon")
            load.more(2)
        install(bin_dir / "millrace-executor")
        stack.restart_server("executor")
        load.more(2)
    assert stack.pid("api") == master and stack.pid("stream") == stream
    check_all(stack, load)


def test_a_program_that_cannot_run_replaces_nothing(stack, workspace, bin_dir):
    client = workspace.client()
    for name in ("api", "stream"):
        program, pid = bin_dir / f"millrace-{name}", stack.pid(name)
        before = set(stack.children(name))
        seen = stack.log(name).count("reexec.check_failed")
        install(program, "#!/bin/sh\nexit 78\n")
        kill(pid, signal.SIGHUP)
        eventually(lambda: stack.log(name).count("reexec.check_failed") > seen, 20, "the refusal")
        assert stack.pid(name) == pid and set(stack.children(name)) == before
        assert client.get("/credits").status_code == 200
        install(program)
    # nor does a setting that is invalid
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    seen = stack.log("stream").count("reexec.check_failed")
    ini.write_text(text + "\n[stream]\nmax_streams = many\n")
    kill(stack.pid("stream"), signal.SIGHUP)
    eventually(lambda: stack.log("stream").count("reexec.check_failed") > seen, 20, "the refusal")
    ini.write_text(text)
    done = client.post(f"/workflows/{workspace.put_workflow({'steps': [{'name': 'a', 'type': 'transform', 'value': 1}]})}/run-async",
                       headers={"Prefer": "wait=30"})
    assert done.status_code == 200


def test_signals_in_the_moment_of_a_replacement_end_nothing(stack):
    pid = stack.pid("stream")

    def signalled(started):
        for _ in range(200):
            kill(pid, signal.SIGUSR1)
        return stack.log("stream").count("stream.started") > started
    for _ in range(3):
        started = stack.log("stream").count("stream.started")
        kill(pid, signal.SIGHUP)
        eventually(lambda: signalled(started), 30, "the new event daemon")
    assert stack.pid("stream") == pid and alive(pid)


def replacing(stack, pid):
    """Asks the daemon for a replacement and stops it (SIGSTOP) while it drains: a connection without a request holds the drain for 5 s.
    Returns that connection; None if the replacement was faster than this test."""
    seen = lambda event: stack.log("stream").count(event)
    stopping, started = seen("stream.stopping"), seen("stream.started")
    silent = socket.socket(socket.AF_UNIX)
    silent.connect(str(stack.dir / "sockets/stream.sock"))
    eventually(lambda: connections(stack.dir / "sockets/stream.sock") == 0, 30, "the connection is accepted")
    kill(pid, signal.SIGHUP)
    eventually(lambda: seen("stream.stopping") > stopping, 30, "the drain")
    suspend(pid)
    if seen("stream.started") == started:
        return silent
    kill(pid, signal.SIGCONT)
    silent.close()
    return None


def test_a_stop_during_a_replacement_answers_those_that_wait(stack):
    """A request comes while the daemon drains for the next program, and waits in the backlog. Then a stop comes."""
    pid, path = stack.pid("stream"), stack.dir / "sockets/stream.sock"
    silent = next(filter(None, (replacing(stack, pid) for _ in range(5))))
    started = stack.log("stream").count("stream.started")
    with silent, socket.socket(socket.AF_UNIX) as late:
        late.settimeout(60)
        late.connect(str(path))
        late.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connections(path) == 1
        kill(pid, signal.SIGTERM)
        kill(pid, signal.SIGCONT)
        assert late.recv(9) == b"HTTP/1.1 "
    eventually(lambda: not alive(pid), 30, "the end of the daemon")
    assert stack.log("stream").count("stream.started") == started and not path.exists()
    stack.start_server("stream")


def test_sockets_of_systemd_keep_connections_during_a_restart(stack, workspace, bin_dir):
    """The test holds the socket and starts the program as systemd does (sd_listen_fds(3))."""
    path, url = stack.dir / "sockets/api.sock", stack.url + "/api/v1/credits"
    key = workspace.key()["key"]
    stack.stop_server("api")
    held = socket.socket(socket.AF_UNIX)
    held.bind(str(path))
    held.listen(1024)
    path.chmod(0o660)

    def start():
        def prepare():
            os.dup2(held.fileno(), 3)
            os.environ["LISTEN_PID"] = str(os.getpid())
        env = {**stack.env, "LISTEN_FDS": "1", "LISTEN_FDNAMES": "millrace-api.socket"}
        return subprocess.Popen(["/bin/sh", "-c", 'export LISTEN_PID=$$; exec "$0" --config "$1"', bin_dir / "millrace-api", stack.dir / "millrace.ini"],
                                env=env, preexec_fn=prepare, pass_fds=(3,), stdin=subprocess.DEVNULL)
    program = start()
    get = lambda: requests.get(url, headers={"Authorization": f"Bearer {key}"}, timeout=60).status_code
    try:
        stack.wait_ready()
        assert get() == 200
        program.terminate()
        assert program.wait(30) == 0 and path.exists()

        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            waiting = [pool.submit(get) for _ in range(3)]
            # nginx has connected: the connections stand in the backlog
            eventually(lambda: connections(path) >= 3, 20, "connections that wait")
            assert not any(w.done() for w in waiting)
            program = start()
            assert [w.result() for w in waiting] == [200, 200, 200]
        # and the new program passes it on when it is replaced
        old = set(children_of(program.pid))
        install(bin_dir / "millrace-api")
        kill(program.pid, signal.SIGHUP)
        eventually(lambda: runs_file(program.pid, bin_dir / "millrace-api") and not old & set(children_of(program.pid)), 30)
        assert get() == 200
    finally:
        program.terminate()
        program.wait(30)
        held.close()
    assert path.exists() and not alive(program.pid)
    path.unlink()
    stack.start_server("api")
    stack.wait_ready()


def connections(path):
    """Connections to a listening Unix socket that nobody has accepted. Its owner may have bound it to another name, which ends with a number."""
    lines = subprocess.run(["ss", "-xlH"], capture_output=True, text=True, check=True).stdout.splitlines()
    [waiting] = [int(fields[2]) for fields in map(str.split, lines) if fields[4] == str(path) or fields[4].startswith(f"{path}.")]
    return waiting
