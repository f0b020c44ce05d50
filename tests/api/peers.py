"""MariaDB and Redis of a private stack, as its tests look into them. Tests ask all the time, and to start a client takes longer than most
answers do: connections are kept."""
import json
import os
import select
import socket
import subprocess
import time

MARK = "end of the answer"


class Session:
    """A connection to MariaDB as its root, by Debian's client."""

    def __init__(self, directory):
        self.client = subprocess.Popen(client(directory, "--unbuffered"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.read = b""

    def send(self, statement):
        self.client.stdin.write(f"{statement};\nSELECT '{MARK}';\n".encode())
        self.client.stdin.flush()

    def rows(self, timeout=30):
        """What the last send brought."""
        end, deadline = f"{MARK}\n".encode(), time.monotonic() + timeout
        while not (self.read == end or self.read.endswith(b"\n" + end)):
            ready = select.select([self.client.stdout], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, f"MariaDB did not answer within {timeout} s"
            more = os.read(self.client.stdout.fileno(), 65536)
            assert more, self.client.communicate()[1].decode()
            self.read += more
        lines, self.read = self.read[:-len(end)], b""
        return split(lines.decode())

    def run(self, statement, timeout=30):
        self.send(statement)
        return self.rows(timeout)

    def close(self):
        self.client.kill()
        self.client.communicate()


class Operator:
    """bin/millrace, as an operator who has many commands."""

    def __init__(self, program, env):
        self.process = subprocess.Popen([program, "batch"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, *words):
        print(json.dumps([str(w) for w in words]), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, f"millrace batch ended at {words}"
        answer = json.loads(line)
        assert "error" not in answer, f"millrace {words}: {answer}"
        return answer

    def close(self):
        self.process.kill()
        self.process.communicate()


class Kept:
    """Sessions that are kept as long as the server lives that they talk to; each has one user at a time."""

    def __init__(self, directory, make):
        self.pid_file = directory / "pids/mariadb"
        self.make = make
        self.kept = []  # (the server's pid file, session)

    def run(self, *args):
        server = self.pid_file.read_text() if self.pid_file.exists() else None
        session = self.take(server) or self.make()
        try:
            answer = session.run(*args)
        except BaseException:
            session.close()
            raise
        self.kept.append((server, session))
        return answer

    def take(self, server):
        while self.kept:
            known, session = self.kept.pop()
            if known == server:
                return session
            session.close()
        return None

    def close(self):
        self.take(object())


class MariaDB:
    """Rows as lists of strings. A single statement goes over a connection that is kept; a script, which may leave something behind in its
    session, over one of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.sessions = Kept(directory, lambda: Session(directory))

    def run(self, statement, timeout):
        if ";" in statement.rstrip("; \n"):
            return self.script(statement, timeout)
        return self.sessions.run(statement.rstrip("; \n"), timeout)

    def script(self, text, timeout):
        done = subprocess.run(client(self.directory), input=text, text=True, capture_output=True, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return split(done.stdout)

    def close(self):
        self.sessions.close()


def client(directory, *options):
    return ["mariadb", "--no-defaults", f"--socket={directory}/sockets/mariadb.sock", "--batch", "--raw", "--skip-column-names", *options, "millrace"]


def split(text):
    return [line.split("\t") for line in text.splitlines()]


def redis(directory, *args):
    """One command; the answer as redis-cli prints it: lists line by line, nothing for nil."""
    parts = [a if isinstance(a, bytes) else str(a).encode() for a in args]
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(30)
        connection.connect(f"{directory}/sockets/redis.sock")
        connection.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts))
        with connection.makefile("rb") as answer:
            return read_answer(answer)


def read_answer(answer):
    line = answer.readline()
    assert line, "Redis went away"
    kind, rest = line[:1], line[1:-2].decode()
    assert kind != b"-", rest
    if kind in b"+:":
        return rest
    if int(rest) < 0:
        return ""
    if kind == b"$":
        return answer.read(int(rest) + 2)[:-2].decode().rstrip("\n")
    return "\n".join(read_answer(answer) for _ in range(int(rest)))
