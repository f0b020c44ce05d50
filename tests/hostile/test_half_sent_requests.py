"""Clients without a key hold connections: half-sent bodies, HTTP/2 streams with half-sent bodies, and slow readers. A client that opens
more connections than its address may have is refused; a client of another address is not. Of large bodies an address may send fewer."""
import contextlib
import socket
import ssl
import struct
import threading

from stack import eventually

TLS = True
CONNECTIONS = 300
ADDRESS = ("127.0.0.2", 0)  # the victim has 127.0.0.1; clients of one address share its rate limit
HEADER = b"POST /api/v1/workflows HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99999\r\n\r\n{"
LARGE = HEADER.replace(b" 99999", b" 1000000")


@contextlib.contextmanager
def half_sent(port):
    sockets, over = [], threading.Event()
    for _ in range(CONNECTIONS):
        s = socket.create_connection(("127.0.0.1", port), 10, ADDRESS)
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


# --- HTTP/2, by hand: one SETTINGS frame, then a HEADERS frame and one byte of DATA a stream ---

def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def hpack(name, value):
    """A header field without indexing, with a literal name (RFC 7541, 6.2.2)."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


HEADERS = b"".join(hpack(n, v) for n, v in (
    (b":method", b"POST"), (b":scheme", b"https"), (b":path", b"/api/v1/workflows"), (b":authority", b"x"),
    (b"content-type", b"application/json"), (b"content-length", b"99999")))
STREAMS = 60  # nginx allows 64 on one connection


@contextlib.contextmanager
def half_sent_streams(port):
    """5 connections with 60 streams each."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    sockets, over = [], threading.Event()
    numbers = range(1, 2 * STREAMS, 2)
    for _ in range(CONNECTIONS // STREAMS):
        s = context.wrap_socket(socket.create_connection(("127.0.0.1", port), 10, ADDRESS))
        assert s.selected_alpn_protocol() == "h2"
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        s.sendall(b"".join(frame(1, 4, n, HEADERS) + frame(0, 0, n, b"{") for n in numbers))
        sockets.append(s)

    def trickle():
        while not over.wait(1):
            for s in sockets:
                with contextlib.suppress(OSError):
                    s.sendall(b"".join(frame(0, 0, n, b" ") for n in numbers))
    thread = threading.Thread(target=trickle, daemon=True)
    thread.start()
    try:
        yield sockets
    finally:
        over.set()
        thread.join(10)
        for s in sockets:
            s.close()


@contextlib.contextmanager
def slow_readers(port):
    """300 connections that ask for the largest open document repeatedly and do not read the responses."""
    sockets = []
    for _ in range(CONNECTIONS):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        s.settimeout(10)
        s.bind(ADDRESS)
        s.connect(("127.0.0.1", port))
        s.sendall(b"GET /api/v1/openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        sockets.append(s)
    try:
        yield sockets
    finally:
        for s in sockets:
            s.close()


def refusals(sockets):
    """How many of the connections have got 429."""
    count = 0
    for s in sockets:
        s.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            count += s.recv(1000, socket.MSG_PEEK).startswith(b"HTTP/1.1 429 ")
    return count


@contextlib.contextmanager
def one_address(port):
    """1,500 half-sent requests from 127.0.0.2, which may have 1,000."""
    sockets = []
    for _ in range(1500):
        s = socket.create_connection(("127.0.0.1", port), 10, ADDRESS)
        s.sendall(HEADER)
        sockets.append(s)
    try:
        yield sockets
    finally:
        assert refusals(sockets) == 500
        for s in sockets:
            s.close()


@contextlib.contextmanager
def large_bodies(port):
    """200 half-sent bodies of a megabyte from 127.0.0.2, which may have 64; 65 wait for the rate of 50 a second before that."""
    sockets = []
    for _ in range(200):
        s = socket.create_connection(("127.0.0.1", port), 10, ADDRESS)
        s.sendall(LARGE)
        sockets.append(s)
    try:
        yield sockets
        eventually(lambda: refusals(sockets) == 136, what="the refusal of all bodies but 64")
    finally:
        for s in sockets:
            s.close()


def test_half_sent_requests_close_no_door(stack, beside):
    beside(half_sent(stack.port))


def test_half_sent_streams_close_no_door(stack, beside):
    beside(half_sent_streams(stack.tls_port))


def test_slow_readers_close_no_door(stack, beside):
    beside(slow_readers(stack.port))


def test_an_address_has_a_limit_of_large_bodies(stack, beside):
    beside(large_bodies(stack.port))


def test_an_address_has_a_limit_of_its_own(stack, beside):
    beside(one_address(stack.port))
