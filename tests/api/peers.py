"""MariaDB and Redis of a private stack, as its tests look into them. Tests ask all the time, and to start a client takes longer than most
answers do: connections are kept."""
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


class MariaDB:
    """Rows as lists of strings. A single statement goes over a connection that is kept; a script, which may leave something behind in its
    session, over one of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.kept = []  # (the server's pid file, session)

    def server(self):
        path = self.directory / "pids/mariadb"
        return path.read_text() if path.exists() else None

    def run(self, statement, timeout):
        if ";" in statement.rstrip("; \n"):
            return self.script(statement, timeout)
        server, session = self.take()
        try:
            rows = session.run(statement.rstrip("; \n"), timeout)
        except BaseException:
            session.close()
            raise
        self.kept.append((server, session))
        return rows

    def take(self):
        now = self.server()
        while self.kept:
            server, session = self.kept.pop()
            if server == now:
                return server, session
            session.close()
        return now, Session(self.directory)

    def script(self, text, timeout):
        done = subprocess.run(client(self.directory), input=text, text=True, capture_output=True, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return split(done.stdout)

    def close(self):
        while self.kept:
            self.kept.pop()[1].close()


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
