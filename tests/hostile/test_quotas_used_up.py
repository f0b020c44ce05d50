"""A workspace that creates everything that is free, beyond its quotas, while the victim starts runs."""
import itertools
import json

from victim import Attacker

SETTINGS = {"quotas.workflows": 20, "quotas.workflow_versions": 20, "quotas.tickets": 20, "quotas.program_bytes": 2000000}
HOLD = {"steps": [{"name": "a", "type": "delay", "seconds": 600}]}


def test_everything_free_up_to_the_quota(attacker, beside):
    workflow = attacker.put_workflow(HOLD)
    client = attacker.client()
    run = client.started(workflow)
    numbers, answers = itertools.count(), []
    filled = {"steps": [{"name": "a", "type": "transform", "value": "x" * 200000}]}
    requests = [
        lambda n: ("POST", "/workflows", {"name": f"w{n}", "program": HOLD}),
        lambda n: ("PUT", f"/workflows/{workflow}", {"name": "w", "program": HOLD}),
        lambda n: ("POST", "/workflows", {"name": f"b{n}", "program": filled}),
        lambda n: ("POST", f"/executions/{run}/events/ticket", None),
    ]

    def work(thread):
        method, path, body = requests[thread](next(numbers))
        answer = client.session.request(method, client.base + path, data=json.dumps(body) if body else None, timeout=70,
                                        headers={"Content-Type": "application/json"})
        answers.append((thread, answer.status_code, answer.json().get("code")))
    four = beside(Attacker(work, threads=len(requests)))
    client.post(f"/executions/{run}/stop")
    assert not four.errors, four.errors
    for thread in range(len(requests)):
        seen = {(status, code) for t, status, code in answers if t == thread}
        assert (403, "quota_exceeded") in seen, (thread, seen)
        assert {status for status, _ in seen} <= {200, 201, 403, 429}, (thread, seen)  # 429: the rate limit, or large programs that take turns
