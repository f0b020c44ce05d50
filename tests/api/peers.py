"""Clients of a private stack's MariaDB and Redis, and a kept operator command line, for the tests' assertions."""
import contextlib
import getpass
import json
import subprocess

import pymysql
import redis


@contextlib.contextmanager
def mariadb(directory, timeout=30):
    """A session as the database's root. Yields a function that runs one or more statements and returns their rows as lists of
    strings ("NULL" for a null). A failed statement is an AssertionError, so that a test reports it as a failure."""
    with contextlib.closing(pymysql.connect(
            unix_socket=f"{directory}/sockets/mariadb.sock", user=getpass.getuser(), database="millrace", charset="utf8mb4", autocommit=True,
            conv={}, read_timeout=timeout, client_flag=pymysql.constants.CLIENT.MULTI_STATEMENTS)) as connection:
        yield lambda statements: rows(connection, statements)


def rows(connection, statements):
    found = []
    try:
        with connection.cursor() as cursor:
            cursor.execute(statements)
            found += cursor.fetchall()
            while cursor.nextset():
                found += cursor.fetchall()
    except pymysql.Error as error:
        raise AssertionError(f"{error}: {statements[:500]}") from error
    return [[text(value) for value in row] for row in found]


def text(value):
    return "NULL" if value is None else value.decode() if isinstance(value, bytes) else value


def redis_command(directory, *words):
    """One command; its reply as the protocol has it: strings, integers, lists, None."""
    with redis.Redis(unix_socket_path=f"{directory}/sockets/redis.sock", decode_responses=True, socket_timeout=30) as client:
        client.response_callbacks.clear()
        return client.execute_command(*words)


class Operator:
    """`millrace batch`: runs many commands in one process, because starting a process takes longer than most commands do.
    The process is replaced after a restart of MariaDB, which would have cut its connection."""

    def __init__(self, directory, program, env, log=None):
        self.server = directory / "pids/mariadb"
        self.start = lambda: subprocess.Popen([program, "batch"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        self.process = self.started_for = None

    def run(self, *words):
        answer = self.answer(*words)
        assert "error" not in answer, f"millrace {words}: {answer}"
        return answer

    def answer(self, *words):
        """What the command prints; {"error": …} where it fails."""
        server = self.server.read_text() if self.server.exists() else None
        if self.process is None or server != self.started_for:
            self.close()
            self.process, self.started_for = self.start(), server
        print(json.dumps([str(w) for w in words]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"millrace batch ended at {words}"
        return json.loads(line)

    def close(self):
        if self.process:
            self.process.kill()
            self.process.communicate()
        self.process = None
