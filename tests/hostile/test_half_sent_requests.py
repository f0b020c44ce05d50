"""300 connections without any key send a header and one byte of the body, and then a byte now and then."""
import contextlib
import socket
import threading

CONNECTIONS = 300
HEADER = b"POST /api/v1/workflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n{"


@contextlib.contextmanager
def half_sent(port):
    sockets, over = [], threading.Event()
    for _ in range(CONNECTIONS):
        s = socket.create_connection(("127.0.0.1", port), timeout=10)
        s.sendall(HEADER)
        sockets.append(s)

    def trickle():
        while not over.wait(1):
            for s in sockets:
                with contextlib.suppress(OSError):
                    s.sendall(b" ")
    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield sockets
    finally:
        over.set()
        thread.join(10)
        for s in sockets:
            s.close()


def test_half_sent_requests_close_no_door(stack, beside):
    beside(half_sent(stack.port))
