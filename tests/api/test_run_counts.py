"""The counters of begun and ended runs in GET /metrics."""
import re

import requests

from stack import eventually

SETTINGS = {"executor.processes": "2"}


def ended(stack):
    text = requests.get(stack.url + "/metrics", timeout=10).text
    return {m[1]: int(m[2]) for m in re.finditer(r"^millrace_runs_ended_total\{(.*)\} (\d+)$", text, re.M)}, text


def test_short_runs_are_counted_by_outcome(stack, workspace, client):
    """Runs of a millisecond, which a gauge of running ones never shows."""
    good = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    bad = workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "no"}]})
    slow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 600}]})
    before, _ = ended(stack)
    for _ in range(20):
        client.finished(client.started(good))
    for _ in range(3):
        client.finished(client.started(bad))
    id = client.started(slow)
    eventually(lambda: client.execution(id)["state"] == "running")
    assert client.post(f"/executions/{id}/stop").status_code == 200
    wanted = {'kind="workflow",state="succeeded",reason=""': 20, 'kind="workflow",state="failed",reason="step_failed"': 3,
              'kind="workflow",state="stopped",reason="stopped"': 1}
    eventually(lambda: {k: ended(stack)[0].get(k, 0) - before.get(k, 0) for k in wanted} == wanted, 15, "the counters")

    def buckets(name, text):
        return [int(n) for n in re.findall(rf'^{name}_bucket\{{kind="workflow",le="[^"]+"\}} (\d+)$', text, re.M)]
    for name in ("millrace_run_queued_seconds", "millrace_run_seconds"):
        # the process that began a run need not be the one that ended it, and each adds its own counts
        text = eventually(lambda: (t := ended(stack)[1]) and buckets(name, t)[-1] >= 24 and t, 15, name)
        found = buckets(name, text)
        assert len(found) == 16 and found == sorted(found)
        assert f'{name}_count{{kind="workflow"}} {found[-1]}\n' in text
        assert re.search(rf'^{name}_sum\{{kind="workflow"\}} \d+\.\d\d\d$', text, re.M)


def test_counters_survive_a_restart_of_the_executors(stack, workspace, client):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    key = 'kind="workflow",state="succeeded",reason=""'
    before = ended(stack)[0].get(key, 0)
    client.finished(client.started(workflow))
    stack.stop_server("executor")
    assert ended(stack)[0][key] == before + 1, "added before the process has ended"
    stack.start_server("executor")
    assert ended(stack)[0][key] == before + 1
