"""Workers that die in the middle of a batch: its repetition completes it. They die at crash points, which only programs built with
VARIANT=crash have."""
import os

import pytest
import requests
from stack import eventually
from test_parked_crash import arm, points  # noqa: F401: `points` is a fixture
from test_run_batch import PROGRAM, batch, results, runs

pytestmark = [pytest.mark.serial, pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="builds and runs programs with crash points")]
SETTINGS = {"api.workers": "2", "api.rate_limit_per_minute": "1000000"}
POINTS = ("batch.after_begin", "accept.before_commit", "accept.after_commit", "accept.after_push", "batch.after_chunk", "batch.before_finish")


@pytest.mark.parametrize("point", POINTS)
def test_a_repetition_completes_what_a_crash_left(stack, workspace, client, points, point):  # noqa: F811
    workflow = workspace.put_workflow(PROGRAM)
    items = [{"inputs": {"n": n}, "idempotency_key": f"{n}"} if n % 2 else {"inputs": {"n": n}} for n in range(300)]
    died = arm(points, point)
    answer = requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-batch", json={"items": items}, timeout=60,
                           headers={"Authorization": f"Bearer {client.key}", "Idempotency-Key": "k"})
    assert answer.status_code == 502 and died(), answer.text
    before = runs(stack, workspace)
    assert before < 300 or point == "batch.before_finish"

    def completed():
        again = batch(client, workflow, items, "k")
        assert again.status_code in (200, 503), again.text
        return again.status_code == 200 and again
    last = eventually(completed, 60, "the repetition completes the batch")
    assert len({r["execution_id"] for r in results(last)}) == 300 == last.json()["accepted"]
    assert runs(stack, workspace) == 300 == 1000 - workspace.balance()
    assert batch(client, workflow, items, "k").content == last.content
    client.finished(results(last)[-1]["execution_id"], 60)
