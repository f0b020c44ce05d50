"""A run that is parked in the transaction that ends the child it waits for is woken all the same."""
import os
import signal
import time

from stack import suspend

SETTINGS = {"executor.park_after_ms": "2000", "executor.processes": "1"}
RUNS = 8


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def test_parked_in_the_transaction_that_ends_the_child(stack, workspace, client, effects):
    release = effects.hold("/hold")
    child = workspace.put_workflow({"steps": [step("a", "http", request={"method": "GET", "url": effects.url + "/hold"})]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=child)]})
    began = time.monotonic()
    ids = [client.started(parent) for _ in range(RUNS)]
    effects.wait_for("/hold", RUNS)
    # The commits gather while MariaDB does not answer: first those that park the parents, then the ends of the children. On a slow
    # machine the parents are parked before; then this is the ordinary case.
    time.sleep(max(0, 1.7 - (time.monotonic() - began)))
    mariadb = stack.pid("mariadb")
    suspend(mariadb)
    try:
        time.sleep(max(0, 2.6 - (time.monotonic() - began)))
        release()
        time.sleep(0.3)
    finally:
        os.kill(mariadb, signal.SIGCONT)
    for id in ids:
        assert client.finished(id, 40)["status"] == "success"
    assert stack.cli("audit")["violations"] == []
