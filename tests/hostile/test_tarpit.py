"""300 runs of one HTTP step to a server that never answers."""
import contextlib


def test_requests_to_a_server_that_never_answers(attacker, beside, effects):
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/tarpit"}}]})
    client = attacker.client()

    @contextlib.contextmanager
    def tarpit():
        release = effects.hold("/tarpit")
        runs = [client.started(workflow) for _ in range(300)]
        effects.wait_for("/tarpit", 128, 30)
        try:
            yield
        finally:
            for run in runs:
                client.post(f"/executions/{run}/stop")
            release()
    beside(tarpit())
