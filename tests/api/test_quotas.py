"""Quotas: limits of what is free of charge, exact also for requests at the same moment, and what the operator sees of them."""
import json
import threading
import time

import pytest
import requests

from stack import Client, eventually

SETTINGS = {"quotas.workflows": 5, "quotas.workflow_versions": 4, "quotas.files": 3, "quotas.tickets": 2, "quotas.streams": 3, "quotas.program_bytes": 100000,
            "api.uploads_workers": 8, "api.workers": 8}
PROGRAM = {"steps": [{"name": "a", "type": "delay", "seconds": 0}]}
HOLD = {"steps": [{"name": "a", "type": "delay", "seconds": 3600}]}


def create(client, program=PROGRAM):
    return client.post("/workflows", json={"name": "w", "program": program})


def upload(client, *names):
    return client.post("/files", files=[("files", (n, b"x")) for n in names])


def refused(answer, quota, limit):
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (403, "quota_exceeded"), answer.text
    assert f'"{quota}": {limit}' in problem["detail"]


def at_once(count, work):
    statuses = []
    threads = [threading.Thread(target=lambda i=i: statuses.append(work(i).status_code)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return sorted(statuses)


@pytest.fixture
def show(stack, workspace):
    return lambda: stack.cli("workspace", "show", "--workspace", workspace.id)


def test_workflows_are_counted_exactly(stack, client, show):
    assert at_once(12, lambda i: create(Client(stack.url, client.key))) == [201] * 5 + [403] * 7
    refused(create(client), "workflows", 5)
    shown = show()
    assert (shown["workflows_limit"], shown["workflows_used"]) == (5, 5)
    first = client.get("/workflows").json()["workflows"][0]["id"]
    assert client.delete(f"/workflows/{first}").status_code == 204
    assert show()["workflows_used"] == 4
    assert create(client).status_code == 201
    refused(create(client), "workflows", 5)


def test_versions_of_a_workflow_are_limited(client, show):
    workflow = create(client).json()["id"]
    body = {"name": "w", "program": PROGRAM}
    assert [client.put(f"/workflows/{workflow}", json=body).status_code for _ in range(3)] == [200] * 3
    refused(client.put(f"/workflows/{workflow}", json=body), "workflow_versions", 4)
    assert show()["workflow_versions_used"] == 4
    assert client.get(f"/workflows/{workflow}").json()["version"] == 4
    assert client.started(workflow)


def test_bytes_of_programs_are_counted_exactly(stack, client, show):
    program = {"steps": [{"name": "a", "type": "transform", "value": "x" * 29000}]}
    workflow = create(client, program).json()["id"]
    used = show()["program_bytes_used"]
    assert 29000 + 1024 < used < 31000
    path, body = f"/workflows/{workflow}", {"name": "w", "program": program}
    assert at_once(3, lambda i: Client(stack.url, client.key).put(path, json=body)) == [200, 200, 403]
    refused(client.put(path, json=body), "program_bytes", 100000)
    assert show()["program_bytes_used"] == 3 * used
    assert stack.sql_one(f"SELECT used FROM quotas WHERE workspace_id = '{show()['id']}' AND name = 'program_bytes'") == str(3 * used)
    assert create(client).status_code == 201, "a small program still fits"


def test_bytes_that_nobody_counted_yet_are_counted_at_the_next_version(stack, client, show):
    """As after the migration, or after an older program has stored workflows."""
    create(client)
    stack.sql("DELETE FROM quotas")
    create(client)
    shown = show()
    assert stack.sql_one(f"SELECT used FROM quotas WHERE workspace_id = '{shown['id']}'") == str(shown["program_bytes_used"])


def test_files_are_counted_exactly(stack, client, show):
    assert at_once(6, lambda i: upload(Client(stack.url, client.key), f"f{i}")) == [201] * 3 + [403] * 3
    refused(upload(client, "more"), "files", 3)
    name = client.get("/files").json()["files"][0]["name"]
    assert upload(client, name).status_code == 201, "a replacement adds none"
    refused(upload(client, name, "more"), "files", 3)
    assert show()["files_used"] == 3
    assert client.delete(f"/files/{name}").status_code == 204
    assert upload(client, "more").status_code == 201


def test_tickets_are_limited(client, show):
    run = client.started(client.post("/workflows", json={"name": "w", "program": HOLD}).json()["id"])
    assert [client.post(f"/executions/{run}/events/ticket").status_code for _ in range(2)] == [201, 201]
    refused(client.post(f"/executions/{run}/events/ticket"), "tickets", 2)
    assert show()["tickets_used"] == 2
    client.post(f"/executions/{run}/stop")


def test_streams_and_waits_are_limited(stack, workspace, client):
    workflow = client.post("/workflows", json={"name": "w", "program": HOLD}).json()["id"]
    run = client.started(workflow)
    streams = [client.get(f"/executions/{run}/events", stream=True) for _ in range(3)]
    assert [s.status_code for s in streams] == [200] * 3
    answer = requests.get(f"{client.base}/executions/{run}/events", headers={"Authorization": f"Bearer {client.key}"}, timeout=10)
    refused(answer, "streams", 3)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["X-Request-Id"]
    began = time.monotonic()
    waited = client.post(f"/workflows/{workflow}/run-async", headers={"Prefer": "wait=30"})
    assert waited.status_code == 202 and time.monotonic() - began < 10, "the run is accepted, and the answer does not wait"
    other = stack.workspace().client()
    theirs = other.started(other.post("/workflows", json={"name": "w", "program": HOLD}).json()["id"])
    with other.get(f"/executions/{theirs}/events", stream=True) as stream:
        assert stream.status_code == 200, "another workspace is not affected"
    streams.pop().close()
    eventually(lambda: requests.get(f"{client.base}/executions/{run}/events", headers={"Authorization": f"Bearer {client.key}"}, timeout=10, stream=True).status_code == 200, 10)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "streams=0")
    eventually(lambda: requests.get(f"{client.base}/executions/{run}/events", headers={"Authorization": f"Bearer {client.key}"}, timeout=10, stream=True).status_code == 403, 10)
    assert stack.cli("workspace", "show", "--workspace", workspace.id)["streams_limit"] == 0
    for s in streams:
        s.close()
    for execution in (run, waited.json()["execution_id"]):
        client.post(f"/executions/{execution}/stop")
    other.post(f"/executions/{theirs}/stop")


def test_operator_sets_quotas_of_a_workspace(stack, workspace, client, show):
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "workflows=6,files=0,tickets=0")
    assert [create(client).status_code for _ in range(7)] == [201] * 6 + [403]
    refused(upload(client, "a"), "files", 0)
    shown = show()
    assert (shown["workflows_limit"], shown["workflows_used"], shown["files_limit"], shown["tickets_limit"]) == (6, 6, 0, 0)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "files=default")
    assert upload(client, "a").status_code == 201
    assert show()["files_limit"] == 3
    code, _, message = stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "cats=1", check=False)
    assert code == 2 and "cats" in message
    code, _, message = stack.cli("workflow", "put", "--workspace", workspace.id, "-", "--name", "x", check=False, text='{"steps": [{"name": "a", "type": "delay", "seconds": 0}]}')
    assert code == 1 and json.loads(message)["error"].endswith('quota "workflows": 6')


def test_a_replay_is_answered_also_at_the_quota(client):
    body, headers = {"name": "w", "program": PROGRAM}, {"Idempotency-Key": "k1"}
    first = client.post("/workflows", json=body, headers=headers)
    assert first.status_code == 201
    assert [create(client).status_code for _ in range(4)] == [201] * 4
    again = client.post("/workflows", json=body, headers=headers)
    assert (again.status_code, again.json()) == (201, first.json())



def test_audit_compares_the_counted_bytes(stack, client):
    create(client)
    assert stack.cli("audit", check=False)[0] == 0
    stack.sql("UPDATE quotas SET used = used + 1 WHERE name = 'program_bytes'")
    code, out, _ = stack.cli("audit", check=False)
    assert code == 1 and "program_bytes" in out


def test_units_of_shared_pools_can_be_limited(stack, workspace, show):
    """What the limits do: the unit tests of http_queue, sandbox_share, slow_share and upload_share."""
    names = ("http_requests", "sandboxes", "slow_requests", "uploads")
    assert [show()[f"{name}_limit"] for name in names] == [4096, 4096, 256, 256]
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", ",".join(f"{name}=3" for name in names))
    assert [show()[f"{name}_limit"] for name in names] == [3, 3, 3, 3]
    assert [show().get(f"{name}_used") for name in names] == [0, 0, None, None], "workers of the API do not tell"
    assert stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "uploads=0", check=False)[0] == 2
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "http_requests=default")
    assert [show()[f"{name}_limit"] for name in names] == [4096, 3, 3, 3]


def test_minima_of_shared_pools_can_be_raised(stack, workspace, show):
    """What a minimum does: the same unit tests."""
    names = ("http_requests", "sandboxes", "uploads")
    assert [show()[f"{name}_guaranteed_limit"] for name in names] == [64, 1, 1]
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas",
              "http_requests_guaranteed=500,sandboxes_guaranteed=10,uploads_guaranteed=2")
    assert [show()[f"{name}_guaranteed_limit"] for name in names] == [500, 10, 2]
    for more_than_the_pool in ("http_requests_guaranteed=4097", "sandboxes_guaranteed=65", "uploads_guaranteed=9"):
        code, _, error = stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", more_than_the_pool, check=False)
        assert code == 2 and "--quotas" in error
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "sandboxes_guaranteed=default")
    assert show()["sandboxes_guaranteed_limit"] == 1


def test_what_a_workspace_holds_of_shared_pools_is_shown(workspace, client, show, effects):
    release = effects.hold("/hold")
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}}]})
    runs = [client.started(workflow) for _ in range(3)]
    eventually(lambda: show()["http_requests_used"] == 3, 30, "three requests in flight")
    assert show()["streams_used"] == 0 and "used_is_incomplete" not in show()
    release()
    for run in runs:
        client.finished(run)
    assert show()["http_requests_used"] == 0
