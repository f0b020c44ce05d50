"""Four senders of one workspace upload at one byte per second while the victim uploads. There are four upload workers."""
import contextlib
import http.client
import itertools
import socket
import threading
import time

from stack import eventually
from victim import Attacker, Times, fenced, judge

SENDERS = 4   # api.uploads_workers
SAMPLES = 40
BODY = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.txt"\r\n\r\nhello\r\n--x--\r\n'
HEADERS = "Host: x\r\nContent-Type: multipart/form-data; boundary=x\r\n"


@contextlib.contextmanager
def slow_uploads(stack, key, statuses):
    """`statuses` gets the answer of each sender's request."""
    sending = threading.Semaphore(0)

    def work(_):
        with socket.create_connection(("127.0.0.1", stack.port), 10, ("127.0.0.2", 0)) as s:
            s.sendall(f"POST /api/v1/files HTTP/1.1\r\nAuthorization: Bearer {key}\r\n{HEADERS}Content-Length: 1000000\r\n\r\n".encode())
            sending.release()
            s.settimeout(1)
            for n in itertools.count():
                with contextlib.suppress(TimeoutError):
                    statuses.append(int(s.recv(1000).split(b" ")[1]))
                    return
                if attacker.over.is_set():
                    return
                s.sendall(BODY[n % 60:][:1] or b"-")
    with Attacker(work, threads=SENDERS) as attacker:
        for _ in range(SENDERS):
            assert sending.acquire(timeout=30)
        eventually(lambda: 429 in statuses, 30, "the refusal of the upload beyond the share")  # the others hold their workers
        yield
    assert not attacker.errors, attacker.errors


def measure(stack, key):
    times = Times([], [], [])
    for _ in range(SAMPLES):
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=5)
        with contextlib.closing(connection):
            try:
                connection.request("POST", "/api/v1/files", BODY, {"Authorization": f"Bearer {key}", "Content-Type": "multipart/form-data; boundary=x"})
                answer = connection.getresponse()
                status, body = answer.status, answer.read()
            except OSError as e:
                times.refused.append(repr(e))
                if len(times.refused) > 2:
                    break
                continue
        if status != 201:
            times.refused.append(f"{status} {body!r}")
            continue
        times.accept_ms.append((time.monotonic() - began) * 1000)
        times.finish_ms.append(times.accept_ms[-1])
    return times


def test_slow_uploads_stall_no_other_upload(stack, victim, attacker):
    measure(stack, victim.key)
    alone, statuses = measure(stack, victim.key), []
    before = len(fenced(stack))
    with slow_uploads(stack, attacker.key()["key"], statuses):
        beside = measure(stack, victim.key)
        eventually(lambda: 408 in statuses, 60, "the end of the uploads that are too slow")
    judge("slow_uploads", alone, beside, fenced(stack)[before:])
    assert set(statuses) == {408, 429}, statuses
