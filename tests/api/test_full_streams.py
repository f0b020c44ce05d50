"""A host that has stream.max_streams open: a stream is refused in the API's shape, a wait is answered at once."""
import time

import requests

from stack import eventually

SETTINGS = {"stream.max_streams": "3"}
HOLD = {"steps": [{"name": "a", "type": "delay", "seconds": 600}]}


def test_a_full_host_refuses_streams_and_skips_waits(stack, workspace, client):
    workflow = workspace.put_workflow(HOLD)
    run = client.started(workflow)
    stream_url, headers = f"{client.base}/executions/{run}/events", {"Authorization": f"Bearer {client.key}"}

    def open_stream():
        return requests.get(stream_url, headers=headers, timeout=20, stream=True)
    streams = [open_stream() for _ in range(3)]
    assert [s.status_code for s in streams] == [200] * 3
    refused = client.get(f"/executions/{run}/events")
    assert (refused.status_code, refused.headers["Content-Type"], refused.headers["Retry-After"]) == (503, "application/problem+json", "5")
    assert refused.json()["code"] == "unavailable" and refused.json()["request_id"] == refused.headers["X-Request-Id"]
    began = time.monotonic()
    started = client.post(f"/workflows/{workflow}/run-async", headers={"Prefer": "wait=60"})
    assert (started.status_code, started.json()["status"]) == (202, "running")
    read = client.get(f"/executions/{run}", params={"wait": 60})
    assert (read.status_code, read.json()["status"]) == (200, "running")
    assert time.monotonic() - began < 60, "neither has waited"
    streams.pop().close()
    eventually(lambda: open_stream().status_code == 200, 20, "a stream in the place of the closed one")
    for s in streams:
        s.close()
    for execution in (run, started.json()["execution_id"]):
        client.post(f"/executions/{execution}/stop")
