"""Operators of the installation: their tokens, roles and sessions, what they see of all workspaces, and the rows of the audit log."""
import json
import uuid

import pytest

from stack import ALL_SCOPES, eventually, revoked
from test_sessions import PAGE, Browser, problem, send

SLOW = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}
QUICK = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
READ = {s for s in ALL_SCOPES.split(",") if s.endswith(":read")}
ROLES = {
    "viewer": READ | {"operator:read"},
    "operator": READ | {"workflows:execute", "skills:execute", "schedules:write", "webhooks:write", "operator:read", "operator:write"},
    "billing": {"credits:read", "budgets:read", "workflows:read", "skills:read", "operator:read"},
    "admin": set(ALL_SCOPES.split(",")) | {"operator:read", "operator:write"},
}


def operator(stack, role, *args):
    made = stack.cli("operator", "create", "--name", f"{role} {uuid.uuid4()}", "--role", role, *args)
    return made, Browser(stack, made["token"])


def within(workspace):
    return {"X-Millrace-Workspace": workspace.id}


@pytest.mark.parametrize("role", ROLES)
def test_role_is_a_set_of_scopes(stack, workspace, role):
    made, b = operator(stack, role)
    s = b.session
    assert (s["kind"], s["name"], s["role"], s["workspace"]) == ("operator", made["name"], role, None)
    assert set(s["scopes"]) == ROLES[role]
    assert b.get("/session").json() == s
    flow = workspace.put_workflow(QUICK)
    allowed = {("GET", "/executions"): "executions:read", ("GET", "/credits"): "credits:read", ("POST", f"/workflows/{flow}/run-async"): "workflows:execute",
               ("DELETE", f"/workflows/{uuid.uuid4()}"): "workflows:write", ("GET", "/operator/overview"): "operator:read",
               ("PATCH", f"/operator/workspaces/{workspace.id}"): "operator:write"}
    for (method, path), scope in allowed.items():
        answer = b.request(method, path, within(workspace), json={"max_concurrent": None} if "operator" in path else {}) if method in ("POST", "PATCH") else \
            b.request(method, path, within(workspace))
        if scope in ROLES[role]:
            assert answer.status_code < 300 or answer.status_code == 404, answer.text
        else:
            assert scope in problem(answer, 403, "insufficient_scope")["detail"]


def test_token_is_shown_once_and_only_its_hash_is_stored(stack):
    made, b = operator(stack, "viewer")
    assert made["token"].startswith("op_live_") and len(made["token"]) == 51
    listed = [o for o in stack.cli("operator", "list") if o["id"] == made["id"]]
    assert listed == [{**{k: v for k, v in made.items() if k != "token"}, "last_used_at": listed[0]["last_used_at"]}]
    assert made["token"] not in json.dumps(stack.sql("SELECT name, prefix, HEX(hash) FROM operators"))
    assert made["token"] not in json.dumps(stack.cli("audit-log", "--deed", "operator.create", "--target", made["id"]))


def test_token_is_no_key(stack, workspace):
    made, b = operator(stack, "admin")  # the token was looked up just now, and is cached
    for headers in ({"X-API-Key": made["token"]}, {"Authorization": "Bearer " + made["token"], **within(workspace)}):
        problem(send(stack, "GET", "/executions", headers), 401, "unauthenticated")


def test_operator_needs_a_workspace(stack, workspace):
    _, b = operator(stack, "viewer")
    problem(b.get("/executions"), 400, "invalid_request")
    problem(b.get("/executions", headers={"X-Millrace-Workspace": "x"}), 400, "invalid_request")
    problem(b.get("/executions", headers={"X-Millrace-Workspace": str(uuid.uuid4())}), 404, "not_found")
    run = workspace.client().started(workspace.put_workflow(QUICK))
    assert b.get(f"/executions/{run}", headers=within(workspace)).status_code == 200
    problem(b.get(f"/executions/{run}", headers=within(stack.workspace())), 404, "not_found")


def test_key_session_is_bound_to_its_workspace(stack, workspace):
    b = Browser(stack, workspace.key()["key"])
    other = stack.workspace(credits=5)
    assert b.get("/credits", headers=within(other)).json() == {"balance": 1000}
    for path in ("/operator/overview", "/operator/workspaces"):
        assert "operator:read" in problem(b.get(path), 403, "insufficient_scope")["detail"]
    problem(b.request("PATCH", f"/operator/workspaces/{workspace.id}", json={"max_concurrent": None}), 403, "insufficient_scope")


def test_revoked_operator_is_out(stack, workspace):
    made, b = operator(stack, "admin")
    assert b.get("/operator/overview").status_code == 200
    stack.cli("operator", "revoke", made["name"])
    revoked(lambda: b.get("/operator/overview").status_code == 401)
    problem(b.post(f"/workflows/{uuid.uuid4()}/run-async", headers=within(workspace), json={}), 401, "unauthenticated")
    revoked(lambda: send(stack, "POST", "/session", PAGE, json={"token": made["token"]}).status_code == 401)
    again = stack.cli("operator", "create", "--name", made["name"], "--role", "viewer")  # the name is free again
    assert again["id"] != made["id"]


def test_expired_operator_is_out(stack):
    made, b = operator(stack, "viewer", "--expires-in-days", 1)
    stack.sql(f"UPDATE operators SET expires_ms = 1 WHERE id = '{made['id']}'")
    revoked(lambda: b.get("/operator/overview").status_code == 401)


BAD = [("--name", "", "--role", "viewer"), ("--name", "a\nb", "--role", "viewer"), ("--name", "x" * 65, "--role", "viewer"), ("--name", "a", "--role", "root"),
       ("--name", "a"), ("--role", "viewer")]


@pytest.mark.parametrize("args", BAD, ids=lambda a: " ".join(a)[:30].replace("\n", " "))
def test_invalid_operator_is_rejected(stack, args):
    code, out, err = stack.cli("operator", "create", *args, check=False)
    assert code == 2 and not out, (code, out, err)


def test_names_of_operators_are_unique(stack):
    made, _ = operator(stack, "viewer")
    code, _, err = stack.cli("operator", "create", "--name", made["name"], "--role", "admin", check=False)
    assert code == 1 and "this name" in err
    assert stack.cli("operator", "revoke", str(uuid.uuid4()), check=False)[0] == 1


# --- the audit log --------------------------------------------------------------------------------------------------

def test_each_write_names_the_operator(stack, workspace):
    made, b = operator(stack, "admin")
    flow = workspace.put_workflow(SLOW)
    run = b.post(f"/workflows/{flow}/run-async", headers=within(workspace), json={}).json()["execution_id"]
    assert b.post(f"/executions/{run}/stop", headers=within(workspace), json={}).status_code == 200
    assert b.request("PATCH", f"/operator/workspaces/{workspace.id}", json={"rate_limit_per_minute": 70}).status_code == 200
    b.get("/executions", headers=within(workspace))
    rows = stack.cli("audit-log", "--actor", made["name"], "--limit", 100)
    assert {r["actor_kind"] for r in rows} == {"operator"}
    assert [(r["deed"], r["target"]) for r in reversed(rows) if r["deed"] == "operator.request"] == [
        ("operator.request", f"POST /workflows/{flow}/run-async"), ("operator.request", f"POST /executions/{run}/stop"),
        ("operator.request", f"PATCH /operator/workspaces/{workspace.id}")]
    assert {r["workspace_id"] for r in rows if r["target"].startswith("POST")} == {workspace.id}
    assert [r["target"] for r in rows if r["deed"] == "execution.stop"] == [run]
    assert [(r["target"], r["detail"]) for r in rows if r["deed"] == "workspace.set"] == [(workspace.id, {"rate_limit_per_minute": "70"})]
    assert stack.sql_one(f"SELECT key_id FROM executions WHERE id = '{run}'") == made["id"]


def test_write_that_is_not_allowed_changes_nothing_and_has_no_row(stack, workspace):
    made, b = operator(stack, "viewer")
    flow = workspace.put_workflow(SLOW)
    problem(b.post(f"/workflows/{flow}/run-async", headers=within(workspace), json={}), 403, "insufficient_scope")
    problem(b.post(f"/workflows/{flow}/run-async", headers={**within(workspace), "Sec-Fetch-Site": "cross-site"}, json={}), 403, "cross_site")
    assert [r["deed"] for r in stack.cli("audit-log", "--actor", made["name"])] == ["session.create"]
    assert workspace.client().get("/executions").json()["executions"] == []


def test_schedule_of_an_operator_ends_with_the_operator(stack, workspace):
    made, b = operator(stack, "operator")
    answer = b.post("/schedules", headers=within(workspace), json={"workflow_id": workspace.put_workflow(QUICK), "every_seconds": 86400})
    assert answer.status_code == 201, answer.text
    trigger = f"/schedules/{answer.json()['id']}/trigger"
    client = workspace.client()
    assert client.post(trigger).status_code == 202
    stack.cli("operator", "revoke", made["id"])
    problem(client.post(trigger), 409, "schedule_key_revoked")


def completed(b, workspace, action, run, **filter):
    answer = b.post("/executions/bulk", headers=within(workspace), json={"action": action, "filter": filter})
    assert answer.status_code == 202, answer.text
    path = f"/bulk-jobs/{answer.json()['id']}"
    job = eventually(lambda: (lambda j: j if j["state"] == "completed" else None)(b.get(path, headers=within(workspace)).json()), 60)
    assert (job["progress"]["matched"], job["progress"]["done"]) == (1, 1), job
    assert job in b.get("/bulk-jobs", headers=within(workspace)).json()["bulk_jobs"]
    items = b.get(path + "/items", headers=within(workspace)).json()["items"]
    assert [i["execution_id"] for i in items] == [run]


def test_bulk_jobs_of_an_operator_run_to_their_end(stack, workspace):
    _, b = operator(stack, "operator")
    client, flow = workspace.client(), workspace.put_workflow(SLOW)
    run = client.started(flow)
    completed(b, workspace, "stop", run)
    assert client.execution(run)["state"] == "stopped"
    completed(b, workspace, "retry", run, state="stopped")
    for again in client.get("/executions?state=queued").json()["executions"] + client.get("/executions?state=running").json()["executions"]:
        client.post(f"/executions/{again['id']}/stop")
    problem(b.post("/executions/bulk", headers=within(workspace), json={"action": "purge", "filter": {}}), 403, "insufficient_scope")


def test_bulk_job_of_a_revoked_operator_is_paused(stack, workspace):
    made, b = operator(stack, "operator")
    client = workspace.client()
    run = client.started(workspace.put_workflow(SLOW))
    stack.stop_server("executor")
    try:
        job = b.post("/executions/bulk", headers=within(workspace), json={"action": "stop", "filter": {}}).json()["id"]
        stack.cli("operator", "revoke", made["name"])
    finally:
        stack.start_server("executor")
    eventually(lambda: client.get(f"/bulk-jobs/{job}").json()["state"] == "paused", 60)
    assert client.get(f"/bulk-jobs/{job}").json()["reason"] == "key_revoked"
    assert client.execution(run)["state"] in ("queued", "running")
    assert client.post(f"/executions/{run}/stop").status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_reading_the_secret_of_webhooks_is_a_write(stack, workspace, method):
    made, b = operator(stack, "operator")
    assert b.get("/webhooks", headers=within(workspace)).status_code == 200
    assert b.request(method, "/webhooks/secret", within(workspace)).status_code == 200
    rows = [r for r in stack.cli("audit-log", "--actor", made["name"]) if r["deed"] == "operator.request"]
    assert [(r["target"], r["workspace_id"]) for r in rows] == [(f"{method} /webhooks/secret", workspace.id)]


def test_operator_gets_no_ticket_but_streams(stack, workspace):
    _, b = operator(stack, "viewer")
    run = workspace.client().started(workspace.put_workflow(SLOW))
    problem(b.post(f"/executions/{run}/events/ticket", headers=within(workspace)), 403, "insufficient_scope")
    answer = b.get(f"/executions/{run}/events", headers=within(workspace), stream=True)
    assert answer.status_code == 200 and b"retry" in next(answer.iter_content(None))
    answer.close()


# --- the overview ---------------------------------------------------------------------------------------------------

def test_workspace_that_floods_the_queue_is_found_and_limited(stack):
    quiet, loud = stack.workspace(credits=10), stack.workspace(credits=1000)
    _, b = operator(stack, "operator")
    flow = loud.put_workflow(SLOW)
    stack.stop_server("executor")
    try:
        runs = [loud.client().started(flow) for _ in range(5)]
        quiet.client().started(quiet.put_workflow(QUICK))
        first = b.get("/operator/workspaces?sort=load&limit=2").json()["workspaces"]
        assert first[0]["id"] == loud.id and first[0]["queued"] == 5 and first[0]["accepted_per_minute"] == 5
        assert first[0]["oldest_queued_seconds"] >= 0 and first[0]["limits"] == {"rate_limit_per_minute": 1000000, "max_concurrent": None}
        answer = b.request("PATCH", f"/operator/workspaces/{loud.id}", json={"max_concurrent": 5})
        assert answer.status_code == 200 and answer.json()["limits"] == {"rate_limit_per_minute": 1000000, "max_concurrent": 5}
        problem(loud.client().run(flow), 429, "concurrency_limited")
    finally:
        stack.start_server("executor")
    for run in runs:
        loud.client().post(f"/executions/{run}/stop")


def test_workspaces_are_paged_and_found_by_name(stack):
    _, b = operator(stack, "viewer")
    made = [stack.cli("workspace", "create", "--name", f"Überlauf {n}")["id"] for n in range(3)]
    found, after = [], ""
    while after is not None:
        page = b.get(f"/operator/workspaces?limit=2&q=%C3%BCBERLAUF&after={after}" if after else "/operator/workspaces?limit=2&q=%C3%BCBERLAUF").json()
        found += [w["id"] for w in page["workspaces"]]
        after = page["next"]
    assert found == sorted(made)
    assert [w["id"] for w in b.get(f"/operator/workspaces?q={made[1]}").json()["workspaces"]] == [made[1]]
    every, page = set(), b.get("/operator/workspaces?sort=load&limit=200").json()
    every = {w["id"] for w in page["workspaces"]}
    assert set(made) <= every and page["next"] is None
    for query in ("sort=x", "limit=0", "limit=201", "q=", "sort=load&q=a", "after=x", "colour=red"):
        assert b.get(f"/operator/workspaces?{query}").status_code == 400, query


@pytest.mark.parametrize("body", [{}, {"max_concurrent": 0}, {"max_concurrent": "5"}, {"max_concurrent": 1.5}, {"price": 1}, {"rate_limit_per_minute": 10 ** 10}], ids=str)
def test_invalid_limit_is_rejected(stack, workspace, body):
    _, b = operator(stack, "operator")
    problem(b.request("PATCH", f"/operator/workspaces/{workspace.id}", json=body), 400, "invalid_request")


def test_limit_of_a_missing_workspace_is_404(stack):
    _, b = operator(stack, "operator")
    problem(b.request("PATCH", f"/operator/workspaces/{uuid.uuid4()}", json={"max_concurrent": 5}), 404, "not_found")


def test_overview_shows_fast_runs(stack, workspace):
    _, b = operator(stack, "viewer")
    before = b.get("/operator/overview").json()
    client = workspace.client()
    for _ in range(3):
        client.finished(client.started(workspace.put_workflow(QUICK)))

    def read():
        seen = b.get("/operator/overview").json()
        return seen["last_minute"]["accepted"] >= 3 and seen["last_minute"]["succeeded"] >= 3 and seen
    seen = eventually(read, what="the three runs")  # a reading that took long is used again
    eventually(lambda: b.get("/operator/overview").json()["ended_total"]["succeeded"] >= before["ended_total"]["succeeded"] + 3, 20)
    assert [e for e in seen["executors"] if e["alive"] and e["lease_seconds"] > 0 and e["beat_at"]]
    assert seen["host"]["workers"] >= 1 and seen["host"]["requests_in_progress"] >= 1
    problem(b.get("/workflows", headers={"X-Millrace-Workspace": "x"}), 400, "invalid_request")
    send(stack, "GET", "/executions")
    # a request is counted after its answer
    eventually(lambda: b.get("/operator/overview").json()["host"]["refusals"]["401"] > before["host"]["refusals"]["401"], what="the refusal")
