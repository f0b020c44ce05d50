"""`millrace dbcheck` on a server without Galera: it is the writer unless it is read-only. Several nodes: tests/cluster."""
import os
import signal
import socket
import subprocess
import time

import pytest
import requests

from stack import BIN, ROOT, eventually, free_port, suspend


@pytest.fixture(scope="module")
def check(stack):
    stack.sql("CREATE USER 'millrace_dbcheck'@'localhost' IDENTIFIED BY 'secret'; USE millrace; " + (ROOT / "sql/grants-dbcheck.sql").read_text())
    port = free_port()
    (stack.dir / "secrets/dbcheck").write_text("secret\n")
    config = stack.dir / "dbcheck.ini"
    config.write_text(f"[database]\nsocket = {stack.dir}/sockets/mariadb.sock\n[dbcheck]\nlisten = 127.0.0.1:{port}\n"
                      f"db_password_file = {stack.dir}/secrets/dbcheck\nlog_file = {stack.dir}/logs/dbcheck.log\n")
    process = subprocess.Popen([BIN / "millrace", "--config", config, "dbcheck"], env=stack.env)

    def status(role):
        try:
            return requests.get(f"http://127.0.0.1:{port}/{role}", timeout=60).status_code
        except requests.ConnectionError:
            return None
    status.port, status.process = port, process
    eventually(lambda: status("writer") == 200, 20, "the writer")
    yield status
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_a_server_that_can_write_is_the_writer(check):
    assert (check("writer"), check("reader"), check("other")) == (200, 200, 404)


def test_a_read_only_server_answers_reads(stack, check):
    stack.sql("SET GLOBAL read_only = 1")
    eventually(lambda: check("writer") == 503, 10, "no writer")
    assert check("reader") == 200
    stack.sql("SET GLOBAL read_only = 0")
    eventually(lambda: check("writer") == 200, 10, "the writer")


def test_a_client_that_says_nothing_keeps_nobody_waiting(check):
    silent = [socket.create_connection(("127.0.0.1", check.port)) for _ in range(100)]
    eventually(lambda: check("writer") == 200, 20, "an answer")
    for s in silent:
        s.settimeout(20)
        assert s.recv(1) == b""  # closed, without an answer
        s.close()
    with socket.create_connection(("127.0.0.1", check.port)) as s:
        s.settimeout(20)
        s.sendall(b"x" * 5000)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass  # closed with bytes unread


def test_a_server_that_does_not_answer_is_neither(stack, check):
    stack.stop_server("mariadb")
    eventually(lambda: (check("writer"), check("reader")) == (503, 503), 20, "no answer of MariaDB")
    stack.start_server("mariadb")
    eventually(lambda: (check("writer"), check("reader")) == (200, 200), 30, "MariaDB again")


def test_a_hung_server_is_no_writer(stack, check):
    stack.sql("SELECT 1")
    pid = stack.pid("mariadb")
    suspend(pid)
    try:
        eventually(lambda: (check("writer"), check("reader")) == (503, 503), 20, "no answer of MariaDB")
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: check("writer") == 200, 20, "MariaDB again")


def test_a_look_of_before_a_pause_says_nothing(stack, check):
    """A host that hung goes on: until the daemon has looked again, it must not say that its node is the writer."""
    mariadb = stack.pid("mariadb")
    eventually(lambda: check("writer") == 200, 20, "the writer")
    suspend(check.process.pid)
    try:
        time.sleep(2.5)  # more than the 2 s for which an answer holds
        suspend(mariadb)  # no look ends meanwhile
        os.kill(check.process.pid, signal.SIGCONT)
        assert (check("writer"), check("reader")) == (503, 503)
    finally:
        os.kill(check.process.pid, signal.SIGCONT)
        os.kill(mariadb, signal.SIGCONT)
    eventually(lambda: check("writer") == 200, 60, "MariaDB again")


def test_the_operators_command_says_that_there_is_no_cluster(stack):
    code, out, err = stack.cli("cluster", "show", check=False)
    assert code == 1 and "is not a node of a Galera cluster" in out + err
