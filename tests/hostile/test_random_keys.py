"""A client without a key sends random keys and random tickets as fast as it can. Each unknown key or ticket could cost a query and evict a
key in use from the cache."""
import contextlib
import http.client
import secrets
import uuid

from stack import eventually
from victim import Attacker

LOOK_UPS_PER_S = 100  # api.unknown_keys_per_s
THREADS = 4


@contextlib.contextmanager
def random_credentials(stack):
    def work(n):
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10, source_address=("127.0.0.2", 0))
        with contextlib.closing(connection):
            for i in range(100):
                if n == 0:  # one thread sends tickets
                    connection.request("GET", f"/api/v1/executions/{uuid.uuid4()}/events?ticket={secrets.token_urlsafe(32)}")
                else:
                    connection.request("GET", "/api/v1/credits", headers={"Authorization": f"Bearer sk_live_{secrets.token_urlsafe(32)}"})
                answer = connection.getresponse()
                answer.read()
                assert answer.status in (401, 429), answer.status
    with Attacker(work, threads=THREADS) as attacker:
        yield attacker
    assert not attacker.errors, attacker.errors[:1]


def requests_of_the_attacker(stack):
    """From the API's log, for each second: the requests that ended with 401 or 429, and how many of them queried MariaDB."""
    asked, all_of_them = {}, 0
    for line in stack.log("api").splitlines():
        if " request " in line and (" status=401 " in line or " status=429 " in line):
            all_of_them += 1
            if " db=0 " not in line:
                second = line.split(".")[0]
                asked[second] = asked.get(second, 0) + 1
    return all_of_them, asked


def test_random_keys_cost_few_queries(stack, beside):
    beside(random_credentials(stack))
    sent, asked = requests_of_the_attacker(stack)
    print(f"{sent} requests with unknown keys, {sum(asked.values())} queries, at most {max(asked.values())} in one second")
    assert sent > 500
    assert max(asked.values()) <= 2 * LOOK_UPS_PER_S  # one second of the log may overlap with two seconds of the limit


def test_a_key_in_use_works_from_the_attackers_address(stack, attacker):
    key = attacker.key()["key"]

    def status():
        connection = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10, source_address=("127.0.0.2", 0))
        with contextlib.closing(connection):
            connection.request("GET", "/api/v1/credits", headers={"Authorization": f"Bearer {key}"})
            return connection.getresponse().status
    eventually(lambda: status() == 200, 5)  # fails while the address has used up its look-ups of the current second
    with random_credentials(stack):
        assert {status() for _ in range(100)} == {200}
