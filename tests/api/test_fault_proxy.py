"""The proxy of the fault harness, between this test and a server that answers more than it is sent."""
import contextlib
import fcntl
import socket
import struct
import termios
import threading

import pytest
from proxy import CUT_S, Proxy
from stack import eventually

FACTOR = 20
MUCH = 200000  # the answer to so much does not fit into the buffers of the sockets


@pytest.fixture
def proxy(tmp_path):
    proxy = Proxy(str(tmp_path / "proxy"), str(tmp_path / "target"))
    yield proxy
    proxy.close()


@pytest.fixture
def connect(tmp_path, proxy):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "target"))
    listener.listen()

    def answer(connection):
        with contextlib.suppress(OSError):  # cut
            while data := connection.recv(65536):
                connection.sendall(data * FACTOR)

    def serve():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(tmp_path / "proxy"))
        return connection
    return connect


def test_a_client_that_reads_nothing_holds_up_no_other(connect):
    stopped, other = connect(), connect()
    stopped.sendall(b"x" * MUCH)
    for _ in range(20):  # each is an answer; after some of them the proxy has met the full buffer
        other.sendall(b"y")
        assert other.recv(FACTOR, socket.MSG_WAITALL) == b"y" * FACTOR
    left = MUCH * FACTOR
    while left:
        data = stopped.recv(min(left, 1 << 20))
        assert data, f"{left} bytes are missing"
        left -= len(data)


def cut_off(connect, proxy):
    """A client that has not read yet when its connection is cut, and how many bytes were passed on to it."""
    stopped, count = connect(), struct.pack("i", 0)
    stopped.sendall(b"x" * MUCH)
    queued = eventually(lambda: proxy.tell(do="count")["queued"], 60, "the buffer of the socket is full")
    taken = struct.unpack("i", fcntl.ioctl(stopped, termios.FIONREAD, count))[0]
    assert proxy.tell(do="reset")["cut"] == 1
    return stopped, taken + queued


def read_all(connection):
    size = 0
    try:
        while data := connection.recv(1 << 20):
            size += len(data)
    except ConnectionResetError:
        pass
    return size


def test_what_is_queued_reaches_a_client_that_reads_before_its_connection_is_cut(connect, proxy):
    (stopped, passed), other = cut_off(connect, proxy), connect()
    other.sendall(b"y")
    assert other.recv(FACTOR, socket.MSG_WAITALL) == b"y" * FACTOR
    assert read_all(stopped) == passed


def test_a_client_that_reads_nothing_is_cut_off_all_the_same(connect, proxy):
    stopped, passed = cut_off(connect, proxy)

    def is_cut():
        try:
            stopped.send(b"x", socket.MSG_DONTWAIT)
        except (BrokenPipeError, ConnectionResetError):
            return True
        except BlockingIOError:
            pass
    eventually(is_cut, 60, f"the end, {CUT_S} s later")
    assert read_all(stopped) < passed
