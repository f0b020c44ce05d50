"""Steps with a host name that the name server never resolves. Each attempt is cancelled after 50 ms."""
import contextlib
import socket

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
SETTINGS = {"executor.dns_servers": f"127.0.0.1:{server.getsockname()[1]}"}


def step(n):
    # the first item that has failed three times ends the step, and the next one begins
    return {"name": f"s{n}", "type": "http", "request": {"method": "GET", "url": f"http://a{n}.tarpit.example/"},
            "for_each": "${/inputs/items}", "concurrency": 64, "timeout_seconds": 0.05, "on_error": "continue",
            "retry": {"max_attempts": 3, "backoff_seconds": 0.1}}


def test_names_that_nobody_resolves(attacker, beside):
    workflow = attacker.put_workflow({"steps": [step(n) for n in range(200)]})
    client = attacker.client()

    @contextlib.contextmanager
    def silent():
        runs = [client.started(workflow, {"items": list(range(10000))}) for _ in range(4)]
        server.settimeout(20)
        assert server.recv(4096)  # the query for the name arrives here
        try:
            yield
        finally:
            for run in runs:
                client.post(f"/executions/{run}/stop")
    beside(silent())


def test_a_name_that_nobody_resolves_fails_in_time(attacker):
    workflow = attacker.put_workflow(
        {"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": "http://b.tarpit.example/"}}]})
    client = attacker.client()
    ended = client.finished(client.started(workflow), 15)
    assert ended["status"] == "failed" and "host name" in ended["error"], ended
