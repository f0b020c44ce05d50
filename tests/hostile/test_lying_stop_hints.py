"""Redis repeats a false message that a running run was stopped."""
import contextlib
import threading


def test_a_lying_redis_costs_no_run(stack, attacker, beside, effects):
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/slow"}}]})
    client = attacker.client()
    release = effects.hold("/slow")
    run = client.started(workflow)
    effects.wait_for("/slow")
    over = threading.Event()

    def lie():
        while not over.wait(0.5):
            stack.redis("PUBLISH", "millrace:stops", run)

    @contextlib.contextmanager
    def lying():
        thread = threading.Thread(target=lie, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(10)
    beside(lying())
    release()
    ended = client.finished(run)
    assert ended["status"] == "success", ended
    assert effects.count("/slow") == 1
