"""The requests that the page of the workflow contract prints, and those of its published Python client, over TLS."""
import re
import uuid

import pytest
import requests

TLS = True
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": "..."}, {"name": "b", "type": "transform", "value": 2}]}
SLOW = {"steps": [{"name": "d", "type": "delay", "seconds": 3600}]}


@pytest.fixture
def https(stack, workspace):
    session = requests.Session()
    session.trust_env = False
    session.verify = str(stack.dir / "secrets/tls.crt")
    session.headers["Authorization"] = "Bearer " + workspace.key()["key"]
    base = f"https://localhost:{stack.tls_port}"
    yield lambda method, path, **kw: session.request(method, base + path, timeout=30, **kw)
    session.close()


def test_requests_of_the_page_work_as_printed(workspace, client, https):
    workflow = workspace.put_workflow(PROGRAM, name="Welcome Email Workflow")
    # the curl command has neither body nor content type
    run = https("POST", f"/api/v1/workflows/{workflow}/run-async", headers={"Idempotency-Key": "unique-request-id-123"})
    assert run.status_code == 202
    assert set(run.json()) == {"execution_id", "workflow_id", "status", "created_at"}
    assert (run.json()["workflow_id"], run.json()["status"]) == (workflow, "running")
    id = run.json()["execution_id"]
    client.finished(id)

    listed = https("GET", f"/api/v1/executions?workflow_id={workflow}&limit=10")
    assert listed.status_code == 200
    item = listed.json()["executions"][0]
    assert (item["execution_id"], item["workflow_id"], item["workflow_name"], item["status"]) == \
        (id, workflow, "Welcome Email Workflow", "success")
    for name in ("started_at", "completed_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", item[name])

    got = https("GET", f"/api/v1/executions/{id}").json()
    assert {"execution_id", "workflow_id", "status", "started_at", "completed_at", "error"} <= set(got)
    assert got["error"] is None and "steps" not in got
    steps = https("GET", f"/api/v1/executions/{id}?include_step_results=true").json()["steps"]
    assert [(s["index"], s["status"], s["result"]) for s in steps] == [(0, "completed", "..."), (1, "completed", 2)]

    slow = https("POST", f"/api/v1/workflows/{workspace.put_workflow(SLOW)}/run-async").json()["execution_id"]
    running = https("GET", f"/api/v1/executions/{slow}").json()
    assert (running["status"], running["completed_at"], running["error"]) == ("running", None, None)
    stop = https("POST", f"/api/v1/executions/{slow}/stop")
    assert (stop.status_code, stop.json()) == (200, {"execution_id": slow, "status": "stopped"})
    assert https("POST", f"/api/v1/executions/{slow}/stop").status_code == 400


def test_requests_of_the_published_client_work(workspace, client, https):
    """It sends a JSON content type with an empty body and an idempotency key for run and stop, and reads `error` and X-Request-Id of errors."""
    json_type = {"Content-Type": "application/json", "Accept": "application/json"}
    workflow = workspace.put_workflow(SLOW)
    assert [w["id"] for w in https("GET", "/api/v1/workflows", headers=json_type).json()["workflows"]] == [workflow]
    key = {"Idempotency-Key": str(uuid.uuid4()), **json_type}
    run = https("POST", f"/api/v1/workflows/{workflow}/run-async", headers=key, data=b"")
    assert run.status_code == 202
    assert https("POST", f"/api/v1/workflows/{workflow}/run-async", headers=key, data=b"").text == run.text
    id = run.json()["execution_id"]
    assert isinstance(https("GET", f"/api/v1/executions/{id}?include_step_results=true").json()["steps"], list)
    key = {"Idempotency-Key": str(uuid.uuid4()), **json_type}
    for _ in range(2):  # retried
        stop = https("POST", f"/api/v1/executions/{id}/stop", headers=key, data=b"")
        assert (stop.status_code, stop.json()["status"]) == (200, "stopped")
    gone = https("GET", f"/api/v1/executions/{uuid.uuid4()}", headers=json_type)
    assert gone.status_code == 404 and gone.json()["error"] and gone.headers["X-Request-Id"] == gone.json()["request_id"]


def test_missing_credits_are_402(stack):
    workspace = stack.workspace(credits=0)
    answer = workspace.client().run(workspace.put_workflow(PROGRAM))
    assert (answer.status_code, answer.json()["title"], answer.json()["code"]) == (402, "Payment Required", "insufficient_credits")
