"""The proxy of the fault harness, between this test and a server that answers more than it is sent."""
import socket
import threading

import pytest
from proxy import Proxy

FACTOR = 20
MUCH = 200000  # the answer to so much does not fit into the buffers of the sockets


@pytest.fixture
def connect(tmp_path):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "target"))
    listener.listen()

    def answer(connection):
        while data := connection.recv(65536):
            connection.sendall(data * FACTOR)

    def serve():
        while True:
            threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()
    threading.Thread(target=serve, daemon=True).start()
    proxy = Proxy(str(tmp_path / "proxy"), str(tmp_path / "target"))

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(30)
        connection.connect(str(tmp_path / "proxy"))
        return connection
    yield connect
    proxy.close()


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
