"""Host names of http steps: /etc/hosts, then the name servers of executor.dns_servers; addresses are judged before a connection."""
import socket
import struct
import threading

import pytest
from stack import Effects, Stack, running

ADDRESSES = {"allowed.example": "127.0.0.1", "denied.example": "10.0.0.1", "mixed.example": "10.0.0.1 127.0.0.1"}


class NameServer:
    """Answers A questions from ADDRESSES; other names do not exist; no name has an IPv6 address."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.questions = []
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, sender = self.socket.recvfrom(4096)
            except OSError:
                return
            labels, at = [], 12
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            name, kind = ".".join(labels).lower(), struct.unpack(">H", question[at + 1:at + 3])[0]
            self.questions.append((name, kind))
            addresses = ADDRESSES.get(name, "").split() if kind == 1 else []
            answer = question[:2] + struct.pack(">HHHHH", 0x8180 if name in ADDRESSES else 0x8183, 1, len(addresses), 0, 0)
            answer += question[12:at + 5]
            for a in addresses:
                answer += struct.pack(">HHHIH", 0xC00C, 1, 1, 60, 4) + socket.inet_aton(a)
            self.socket.sendto(answer, sender)


@pytest.fixture(scope="module")
def names():
    server = NameServer()
    yield server
    server.socket.close()


@pytest.fixture(scope="module")
def stack(names):
    with running(Stack({"executor.dns_servers": names.address})) as s:
        yield s


@pytest.fixture(scope="module")
def effects():
    e = Effects()
    yield e
    e.close()


def ended(stack, url, **request):
    workspace = stack.workspace(credits=1000)
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": url, **request}}]})
    client = workspace.client()
    return client.finished(client.started(workflow))


@pytest.mark.parametrize("host", ["allowed.example", "ALLOWED.example", "localhost", "127.0.0.1", "mixed.example"])
def test_a_name_reaches_its_allowed_address(stack, effects, host):
    done = ended(stack, effects.url.replace("127.0.0.1", host) + "/reached")
    assert done["status"] == "success", done
    assert effects.calls[-1]["headers"]["host"].lower() == effects.url.replace("http://127.0.0.1", host).lower()


@pytest.mark.parametrize("host", ["denied.example", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_denied_address_is_not_connected(stack, effects, host):
    done = ended(stack, effects.url.replace("127.0.0.1", host) + "/denied")
    assert done["status"] == "failed" and "the address is not public" in done["error"], done
    assert effects.count("/denied") == 0


def test_a_name_that_does_not_exist(stack, effects):
    done = ended(stack, effects.url.replace("127.0.0.1", "missing.example") + "/")
    assert done["status"] == "failed" and "the host name could not be resolved" in done["error"], done


def test_a_redirect_is_resolved_and_judged(stack, effects):
    effects.answer("/to-denied", 302, headers={"Location": effects.url.replace("127.0.0.1", "denied.example") + "/denied"})
    effects.answer("/to-allowed", 302, headers={"Location": effects.url.replace("127.0.0.1", "allowed.example") + "/arrived"})
    assert "the address is not public" in ended(stack, effects.url + "/to-denied")["error"]
    assert ended(stack, effects.url + "/to-allowed")["status"] == "success"
    assert effects.count("/arrived") == 1


def test_addresses_are_kept_for_a_while(stack, effects, names):
    asked = len([q for q in names.questions if q == ("allowed.example", 1)])
    for _ in range(5):
        assert ended(stack, effects.url.replace("127.0.0.1", "allowed.example") + "/kept")["status"] == "success"
    assert len([q for q in names.questions if q == ("allowed.example", 1)]) - asked <= 2  # one for each executor process
