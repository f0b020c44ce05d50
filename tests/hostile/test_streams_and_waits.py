"""A workspace that keeps as many event streams open as it may, and asks for more streams and for waits."""
import contextlib

from victim import Attacker

STREAMS = 200
SETTINGS = {"quotas.streams": STREAMS}
HOLD = {"steps": [{"name": "a", "type": "delay", "seconds": 600}]}


def test_streams_and_waits_up_to_the_quota(stack, beside):
    attacker = stack.workspace(credits=1000000)  # practically no rate limit: the quota is attacked
    workflow = attacker.put_workflow(HOLD)
    client = attacker.client()
    run = client.started(workflow)
    path, answers = f"{client.base}/executions/{run}/events", []

    def work(thread):
        if thread == 0:
            answer = client.session.get(path, timeout=70)
            answers.append(("stream", answer.status_code, answer.headers["Content-Type"]))
        elif thread == 1:
            answer = client.session.get(f"{client.base}/executions/{run}", params={"wait": 60}, timeout=70)
            answers.append(("wait", answer.status_code, answer.headers["Content-Type"]))
        else:
            answer = client.session.post(f"{client.base}/workflows/{workflow}/run-async", headers={"Prefer": "wait=60"}, timeout=70)
            answers.append(("start", answer.status_code, answer.headers["Content-Type"]))
            client.session.post(f"{client.base}/executions/{answer.json()['execution_id']}/stop", timeout=70)

    @contextlib.contextmanager
    def full():
        with contextlib.ExitStack() as open_streams:
            for _ in range(STREAMS):
                stream = open_streams.enter_context(client.session.get(path, stream=True, timeout=70))
                assert stream.status_code == 200
            with Attacker(work, threads=3) as attack:
                yield attack
    three = beside(full())
    client.post(f"/executions/{run}/stop")
    assert not three.errors, three.errors
    assert set(answers) == {("stream", 403, "application/problem+json"), ("wait", 200, "application/json"),
                            ("start", 202, "application/json")}, set(answers)
