"""Bulk jobs: one action on all runs that a filter matches, each run once."""
import uuid

import pytest
from rows import days_ago, insert
from skills import Space, probe
from stack import Client, eventually

PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
FAILS = {"steps": [{"name": "good", "type": "transform", "value": 7},
                   {"name": "bad", "type": "transform", "value": "${/steps/good/result/missing}"}]}
WAITS = {"steps": [{"name": "wait", "type": "delay", "seconds": 3600}]}
SETTINGS = {"executor.processes": "2", "api.rate_limit_per_minute": "1000000"}


def bulk(client, action, filter=None, key=None, **more):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/executions/bulk", json={"action": action, "filter": filter or {}, **more}, headers=headers)


def ended(client, job, state="completed"):
    eventually(lambda: client.get(f"/bulk-jobs/{job}").json()["state"] == state, 60, f"the job is {state}")
    return client.get(f"/bulk-jobs/{job}").json()


def done(client, *args, **more):
    answer = bulk(client, *args, **more)
    assert answer.status_code == 202, answer.text
    assert answer.json()["state"] == "collecting"
    return ended(client, answer.json()["id"])


def counts(job):
    p = job["progress"]
    return p["matched"], p["done"], p["skipped"], p["failed"], p["pending"]


def items(client, job, **query):
    found, after = [], None
    while True:
        page = client.get(f"/bulk-jobs/{job['id']}/items", params={"limit": 2, **({"after": after} if after else {}), **query}).json()
        found += page["items"]
        after = page["next_cursor"]
        if not page["has_more"]:
            return found


def failed_runs(workspace, client, n, **body):
    workflow = workspace.put_workflow(FAILS)
    runs = [client.started(workflow, **body) for _ in range(n)]
    for run in runs:
        assert client.finished(run)["state"] == "failed"
    return workflow, runs


def audit(stack):
    assert stack.cli("audit")["violations"] == []


def test_stop_ends_what_is_queued_or_running_and_nothing_else(stack, workspace, client):
    workflow, quick = workspace.put_workflow(WAITS), workspace.put_workflow(PROGRAM)
    runs = [client.started(workflow, tags=["night"]) for _ in range(5)]
    other, over = client.started(workflow), client.started(quick, tags=["night"])
    client.finished(over)
    dry = bulk(client, "stop", {"tag": "night"}, dry_run=True)
    assert dry.status_code == 200, dry.text
    assert dry.json() == {"dry_run": True, "action": "stop", "matched": 5, "matched_text": "5", "sample": sorted(runs, reverse=True)}
    job = done(client, "stop", {"tag": "night"})
    assert counts(job) == (5, 5, 0, 0, 0) and job["filter"] == {"tag": "night"} and job["ended_at"]
    assert {client.execution(run)["state"] for run in runs} == {"stopped"}
    assert client.execution(runs[0])["error"] == "stopped by a bulk job"
    assert (client.execution(other)["state"], client.execution(over)["state"]) == ("running", "succeeded")
    assert [(i["execution_id"], i["outcome"], i["reason"], i["new_execution_id"]) for i in items(client, job)] == \
        [(run, "done", None, None) for run in sorted(runs)]
    assert counts(done(client, "stop", {"workflow_id": workflow})) == (1, 1, 0, 0, 0)
    audit(stack)


def test_retry_starts_a_run_for_each_failed_one_and_charges_it(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 5, tags=["t"], metadata={"n": 1})
    client.finished(client.started(workspace.put_workflow(PROGRAM)))
    before = workspace.balance()
    job = done(client, "retry", {"workflow_id": workflow, "created_after": "2020-01-01"})
    assert counts(job) == (5, 5, 0, 0, 0) and job["version"] == "same" and workspace.balance() == before - 5
    found = items(client, job, outcome="done")
    assert [i["execution_id"] for i in found] == sorted(runs)
    for item in found:
        again = client.finished(item["new_execution_id"])
        assert (again["retry_of"], again["tags"], again["metadata"]) == (item["execution_id"], ["t"], {"n": 1})
        assert client.get(f"/executions/{item['execution_id']}").json()["retried_by"] == [again["id"]]
    assert items(client, job, outcome="pending") == items(client, job, outcome="failed") == []
    audit(stack)


def test_retry_from_a_step_of_the_current_version(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 2)
    assert client.put(f"/workflows/{workflow}", json={"name": "n", "program": {"steps": [
        {"name": "good", "type": "transform", "value": 1}, {"name": "bad", "type": "transform", "value": "${/steps/good/result}"}]}}).status_code == 200
    job = done(client, "retry", {"workflow_id": workflow, "state": "failed"}, **{"from": "failed", "version": "current"})
    assert (job["from"], job["version"], counts(job)) == ("failed", "current", (2, 2, 0, 0, 0))
    for item in items(client, job):
        again = client.finished(item["new_execution_id"])
        assert again["state"] == "succeeded" and again["detail"]["version"] == 2 and again["steps"][0]["result"] == 7
        assert again["steps"][0]["adopted_from"] == item["execution_id"]
    nowhere = done(client, "retry", {"workflow_id": workflow, "state": "succeeded"}, **{"from": "no-such-step"})
    assert counts(nowhere) == (2, 0, 0, 2, 0) and nowhere["progress"]["reasons"]["failed"] == {"from_not_possible": 2}
    audit(stack)


def test_retry_with_large_inputs_by_the_current_version(stack, workspace, client):
    """The compute thread validates them; the items wait for it."""
    workflow, runs = failed_runs(workspace, client, 5, inputs={"l": list(range(5000))})
    program = {"inputs": {"properties": {"l": {"items": {"type": "integer"}}}},
               "steps": [{"name": "a", "type": "transform", "value": ["word"] * 8000}]}
    assert client.put(f"/workflows/{workflow}", json={"name": "n", "program": program}).status_code == 200
    job = done(client, "retry", {"workflow_id": workflow, "state": "failed"}, version="current")
    assert counts(job) == (5, 5, 0, 0, 0)
    for item in items(client, job):
        assert client.finished(item["new_execution_id"])["state"] == "succeeded"
    program["inputs"]["properties"]["l"]["maxItems"] = 4999
    assert client.put(f"/workflows/{workflow}", json={"name": "n", "program": program}).status_code == 200
    job = done(client, "retry", {"workflow_id": workflow, "state": "failed"}, version="current")
    assert counts(job) == (5, 0, 0, 5, 0) and job["progress"]["reasons"]["failed"] == {"invalid_inputs": 5}
    audit(stack)


def test_retry_of_a_skill_and_of_a_child(stack, workspace, client):
    probe(workspace, "raise SystemExit(3)")
    run = Space(workspace).started("probe")
    assert client.finished(run)["state"] == "failed"
    child = workspace.put_workflow(FAILS)
    parent = client.started(workspace.put_workflow({"steps": [{"name": "c", "type": "workflow", "workflow_id": child}]}))
    client.finished(parent)
    job = done(client, "retry", {"skill": "probe"})
    assert counts(job) == (1, 1, 0, 0, 0)
    assert client.finished(items(client, job)[0]["new_execution_id"])["detail"]["slug"] == "probe"
    named = done(client, "retry", {"skill": "probe"}, **{"from": "failed"})
    assert named["progress"]["reasons"]["failed"] == {"not_for_skills": named["progress"]["matched"]}
    left_out = done(client, "retry", {"workflow_id": child})
    assert counts(left_out) == (1, 0, 1, 0, 0) and left_out["progress"]["reasons"]["skipped"] == {"child": 1}
    assert counts(done(client, "retry", {"parentId": parent})) == (1, 1, 0, 0, 0)
    audit(stack)


def test_purge_erases_and_skips_what_was_purged_before(stack, workspace, client):
    workflow = workspace.put_workflow(PROGRAM)
    runs = [client.started(workflow) for _ in range(3)]
    for run in runs:
        client.finished(run)
    assert client.delete(f"/executions/{runs[0]}").status_code == 204
    job = done(client, "purge", {"workflow_id": workflow})
    assert counts(job) == (3, 2, 1, 0, 0) and job["progress"]["reasons"]["skipped"] == {"purged": 1}
    assert all(client.execution(run)["isPurged"] for run in runs)
    audit(stack)


def test_a_run_that_no_longer_matches_is_skipped(stack, workspace, client):
    workflow, runs = workspace.put_workflow(WAITS), []
    stack.stop_server("executor")
    try:
        runs = [client.started(workflow) for _ in range(3)]
        job = bulk(client, "stop", {"workflow_id": workflow, "state": "queued"}).json()["id"]
        late = client.started(workflow)
        # as the executor writes them down
        stack.sql(f"INSERT INTO bulk_items (job_id, execution_id) VALUES " + ", ".join(f"('{job}', '{run}')" for run in runs))
        stack.sql(f"UPDATE bulk_jobs SET matched = 3, is_collected = 1, state = 2 WHERE id = '{job}'")
        assert client.post(f"/executions/{runs[1]}/stop").status_code == 200
    finally:
        stack.start_server("executor")
    over = ended(client, job)
    states = [i["outcome"] for i in items(client, over)]
    # an executor may claim a run before the job's turn: then it is no longer queued
    assert states[1] == "skipped" and over["progress"]["matched"] == 3
    for run, outcome in zip(runs, states):
        assert client.execution(run)["state"] == ("stopped" if outcome == "done" or run == runs[1] else "running")
    assert client.execution(late)["state"] in ("queued", "running")
    assert counts(done(client, "stop", {"workflow_id": workflow}))[3:] == (0, 0)
    audit(stack)


def test_402_pauses_the_job_until_it_is_resumed(stack):
    workspace = stack.workspace(credits=5)
    client = workspace.client()
    workflow, runs = failed_runs(workspace, client, 4)
    job = ended(client, bulk(client, "retry", {"workflow_id": workflow}).json()["id"], "paused")
    assert job["reason"] == "insufficient_credits" and counts(job) == (4, 1, 0, 0, 3) and workspace.balance() == 0
    workspace.grant(10)
    other = workspace.client()
    answer = other.post(f"/bulk-jobs/{job['id']}/resume")
    assert answer.status_code == 200 and answer.json()["reason"] is None, answer.text
    over = ended(client, job["id"])
    assert counts(over) == (4, 4, 0, 0, 0) and workspace.balance() == 7
    assert len({i["new_execution_id"] for i in items(client, over)}) == 4
    answer = client.post(f"/bulk-jobs/{job['id']}/resume")
    assert (answer.status_code, answer.json()["code"]) == (409, "bulk_job_not_paused")
    audit(stack)


def test_max_concurrent_delays_the_job(stack):
    workspace = stack.workspace()
    client = workspace.client()
    workflow, runs = failed_runs(workspace, client, 6)
    stack.cli("workspace", "set", "--workspace", workspace.id, "--max-concurrent", 2)
    assert counts(done(client, "retry", {"workflow_id": workflow})) == (6, 6, 0, 0, 0)
    audit(stack)


def test_revoked_key_pauses_the_job_and_the_caller_who_resumes_takes_over(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 2)
    key = workspace.key()
    stack.stop_server("executor")
    try:
        job = bulk(Client(stack.url, key["key"]), "retry", {"workflow_id": workflow}).json()["id"]
        stack.cli("key", "revoke", "--workspace", workspace.id, key["id"])
    finally:
        stack.start_server("executor")
    assert ended(client, job, "paused")["reason"] == "key_revoked"
    assert client.post(f"/bulk-jobs/{job}/resume").status_code == 200
    assert counts(ended(client, job)) == (2, 2, 0, 0, 0)


def test_cancelled_job_leaves_the_rest(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 3)
    stack.stop_server("executor")
    try:
        job = bulk(client, "retry", {"workflow_id": workflow}).json()["id"]
        answer = client.post(f"/bulk-jobs/{job}/cancel")
        assert answer.status_code == 200 and answer.json()["state"] == "cancelled", answer.text
        answer = client.post(f"/bulk-jobs/{job}/cancel")
        assert (answer.status_code, answer.json()["code"]) == (409, "bulk_job_ended")
    finally:
        stack.start_server("executor")
    assert counts(done(client, "retry", {"workflow_id": workflow}))[1] == 3
    assert counts(client.get(f"/bulk-jobs/{job}").json())[1] == 0
    listed = client.get("/bulk-jobs", params={"limit": 1}).json()
    assert len(listed["bulk_jobs"]) == 1 and listed["has_more"]
    older = client.get("/bulk-jobs", params={"after": listed["next_cursor"]}).json()["bulk_jobs"]
    assert [j["id"] for j in older] == [job]
    shown = stack.cli("batch-job", "list", "--workspace", workspace.id)
    assert [j["id"] for j in shown] == [listed["bulk_jobs"][0]["id"], job]
    assert stack.cli("batch-job", "show", job, "--workspace", workspace.id)["state"] == "cancelled"


def test_repeated_key_starts_one_job(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 2)
    first = bulk(client, "retry", {"workflow_id": workflow}, key="k")
    again = bulk(client, "retry", {"workflow_id": workflow}, key="k")
    assert first.status_code == 202 and again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
    assert bulk(client, "retry", {}, key="k").json()["code"] == "idempotency_key_reused"
    ended(client, first.json()["id"])
    assert stack.sql_one(f"SELECT COUNT(*) FROM bulk_jobs WHERE workspace_id = '{workspace.id}'") == "1"
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE retry_of IS NOT NULL AND workspace_id = '{workspace.id}'") == "2"


def test_failed_runs_are_found_by_their_errors(stack, workspace, client):
    """By a text, or by the group of errors: only those are retried, and those of a purge erased."""
    tide = workspace.put_workflow({"inputs": {"type": "object"}, "steps": [{"name": "no", "type": "fail", "message": "tide ${/inputs/n} is out"}]})
    other, others = failed_runs(workspace, client, 2)
    runs = [client.started(tide, inputs={"n": n}) for n in range(3)]
    for run in runs:
        assert client.finished(run)["state"] == "failed"
    [group] = [g for g in client.get("/executions/errors").json()["groups"] if "tide" in g["error"]]
    assert group["count"] == 3
    for filter, expected in [({"error_hash": group["hash"]}, runs), ({"error": "TIDE 1 is"}, [runs[1]]), ({"error": "tide", "workflow_id": other}, []),
                             ({"error": "tide", "state": "failed"}, runs)]:
        dry = bulk(client, "retry", filter, dry_run=True).json()
        assert (dry["matched"], set(dry["sample"])) == (len(expected), set(expected)), filter
    job = done(client, "retry", {"error_hash": group["hash"]})
    assert (job["progress"]["matched"], job["progress"]["done"], job["filter"]) == (3, 3, {"error_hash": group["hash"]})
    assert {i["execution_id"] for i in items(client, job)} == set(runs)
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE retry_of IS NOT NULL AND workspace_id = '{workspace.id}'") == "3"
    job = done(client, "purge", {"error": "tide 2"})
    assert {i["execution_id"] for i in items(client, job)} >= {runs[2]}
    assert not any(client.execution(run).get("isPurged") for run in others)
    audit(stack)


@pytest.mark.parametrize("body", [
    {"action": "stop", "filter": {"error": "x"}}, {"action": "stop", "filter": {"error_hash": "0" * 16}}, {"action": "retry", "filter": {"error": ""}},
    {"action": "retry", "filter": {"error_hash": "xyz"}}, {"action": "retry", "filter": {"error": "x", "state": "stopped"}},
    {}, {"action": "stop"}, {"action": "delete", "filter": {}}, {"action": "stop", "filter": []}, {"action": "stop", "filter": {"x": "y"}},
    {"action": "stop", "filter": {"state": "failed"}}, {"action": "retry", "filter": {"state": "running"}},
    {"action": "purge", "filter": {"status": "running"}}, {"action": "stop", "filter": {"state": 1}}, {"action": "stop", "filter": {}, "from": "a"},
    {"action": "purge", "filter": {}, "version": "same"}, {"action": "retry", "filter": {}, "version": "old"},
    {"action": "retry", "filter": {}, "from": ""}, {"action": "retry", "filter": {"skill": "none"}}, {"action": "stop", "filter": {}, "dry_run": 1},
    {"action": "stop", "filter": {"tag": ""}}, {"action": "stop", "filter": {"responderIds": "x"}}, {"action": "stop", "filter": {}, "limit": 3},
    {"action": "stop", "filter": {"created_after": "yesterday"}}, {"action": "stop", "filter": {"workflow_id": "x"}},
    {"action": "retry", "filter": {"state": "failed", "status": "stopped"}}])
def test_wrong_form_is_rejected(client, body):
    answer = client.post("/executions/bulk", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request"), answer.text


def test_the_scope_of_the_action_is_required(stack, workspace, client):
    probe(workspace, "raise SystemExit(3)")
    workflow, runs = failed_runs(workspace, client, 1)
    assert client.finished(Space(workspace).started("probe"))["state"] == "failed"
    for scopes, allowed in (("workflows:execute", {"stop", "retry"}), ("skills:execute", {"stop", "retry"}), ("executions:purge", {"purge"}),
                            ("executions:read", set())):
        caller = workspace.client(scopes)
        for action in ("stop", "retry", "purge"):
            assert bulk(caller, action, dry_run=True).status_code == (200 if action in allowed else 403), (scopes, action)
    job = bulk(workspace.client("workflows:execute"), "retry", {"status": "failed"}).json()
    over = ended(client, job["id"])
    assert over["progress"]["reasons"]["skipped"] == {"scope": 1} and over["progress"]["done"] == 1
    assert workspace.client("executions:purge").post(f"/bulk-jobs/{job['id']}/cancel").status_code == 403
    stranger = stack.workspace().client()
    for method, path in (("GET", ""), ("GET", "/items"), ("POST", "/cancel"), ("POST", "/resume")):
        assert stranger.request(method, f"/bulk-jobs/{job['id']}{path}").status_code == 404
    assert stranger.get(f"/bulk-jobs/{uuid.uuid4()}").status_code == 404


def test_cancel_and_resume_need_every_scope_of_the_job(stack, workspace, client):
    workflow, runs = failed_runs(workspace, client, 2)
    both, one = workspace.key("executions:read,workflows:execute,skills:execute"), workspace.client("executions:read,workflows:execute")
    stack.stop_server("executor")
    try:
        job = bulk(Client(stack.url, both["key"]), "retry", {"workflow_id": workflow}).json()["id"]
        stack.cli("key", "revoke", "--workspace", workspace.id, both["id"])
    finally:
        stack.start_server("executor")
    ended(client, job, "paused")
    for deed in ("cancel", "resume"):
        answer = one.post(f"/bulk-jobs/{job}/{deed}")
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope") and "skills:execute" in answer.json()["detail"], answer.text
    kinds = stack.sql_one(f"SELECT kinds FROM bulk_jobs WHERE id = '{job}' AND state = 3")
    assert client.post(f"/bulk-jobs/{job}/resume").status_code == 200
    assert counts(ended(client, job)) == (2, 2, 0, 0, 0)
    assert stack.sql_one(f"SELECT kinds FROM bulk_jobs WHERE id = '{job}'") == kinds


def test_filter_is_limited_as_sent_and_kept_without_blanks(stack, workspace, client):
    def sent(blanks):
        body = '{"action": "stop", "filter": {' + " " * blanks + '"tag": "a\\u002fb"}}'
        return client.post("/executions/bulk", data=body, headers={"Content-Type": "application/json"})

    answer = sent(16384)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request") and "16,384" in answer.json()["detail"], answer.text
    answer = sent(16000)
    assert answer.status_code == 202, answer.text
    assert ended(client, answer.json()["id"])["filter"] == {"tag": "a/b"}
    assert stack.sql_one(f"SELECT filter FROM bulk_jobs WHERE id = '{answer.json()['id']}'") == '{"tag":"a/b"}'
    # as it was kept before it was compact
    stack.sql(f"UPDATE bulk_jobs SET filter = CONCAT('{{', SPACE(1000000), '\"tag\": \"x y\"}}') WHERE id = '{answer.json()['id']}'")
    assert client.get("/bulk-jobs").json()["bulk_jobs"][0]["filter"] == {"tag": "x y"}


def test_filter_is_read_in_windows(stack):
    """More executions than a window has, of which the filters match some."""
    workspace = stack.workspace()
    client = workspace.client()
    workflows = [workspace.put_workflow(PROGRAM) for _ in range(3)]
    for n, workflow in enumerate(workflows):
        insert(stack.sql, workspace.id, workflow, 1500, days_ago(0.5) + n, apart_ms=3, seed=n, tags=("t",), state="3 + (seq DIV 40) % 3")
    two, state = workflows[:2], {"state": "failed"}

    def expected(filter):
        where = [f"workspace_id = '{workspace.id}'"]
        if "state" in filter:
            where.append("state = 4")
        if named := filter.get("responderIds", [filter["workflow_id"]] if "workflow_id" in filter else []):
            where.append("responder_id IN (" + ", ".join(f"'{w}'" for w in named) + ")")
        if "parentId" in filter or filter.get("tag") == "none":
            where.append("FALSE")
        return [row[0] for row in stack.sql(f"SELECT id FROM executions WHERE {' AND '.join(where)} ORDER BY id DESC")]

    for filter in ({}, {"workflow_id": two[0]}, {"responderIds": two}, state, {**state, "responderIds": two}, {**state, "tag": "t"}, {"tag": "t"},
                   {"tag": "t", "responderIds": two, **state}, {"tag": "t", "parentId": str(uuid.uuid4())}, {"tag": "none"}):
        dry, found = bulk(client, "purge", filter, dry_run=True).json(), expected(filter)
        assert (dry["matched"], dry["matched_text"], dry["sample"]) == (len(found), str(len(found)), found[:20]), filter
    # a purge deletes tags, so that the job which goes by them is the first
    for filter in ({"tag": "t", "responderIds": two, **state}, {**state, "responderIds": two}):
        job = bulk(client, "purge", filter).json()["id"]
        eventually(lambda: client.get(f"/bulk-jobs/{job}").json()["state"] != "collecting", 60, "the job is collected")
        assert client.post(f"/bulk-jobs/{job}/cancel").status_code == 200
        assert [r[0] for r in stack.sql(f"SELECT execution_id FROM bulk_items WHERE job_id = '{job}' ORDER BY execution_id DESC")] == expected(filter)


def test_dry_run_says_that_it_has_not_looked_at_all(stack):
    workspace = stack.workspace()
    workflow = workspace.put_workflow(PROGRAM)
    insert(stack.sql, workspace.id, workflow, 20500, days_ago(0.5), state="IF(seq <= 5 OR seq >= 20497, 4, 3)")
    filter = {"workflow_id": workflow, "state": "failed"}
    dry = bulk(workspace.client(), "retry", filter, dry_run=True).json()
    assert (dry["matched"], dry["matched_text"], len(dry["sample"])) == (4, "4+", 4)


def test_what_is_kept_of_jobs_is_limited(stack):
    workspace = stack.workspace()
    client = workspace.client()
    job = done(client, "stop")["id"]
    for most, detail in ((2999999, None), (3000000, "executions of bulk jobs kept")):
        stack.sql(f"UPDATE bulk_jobs SET matched = {most} WHERE id = '{job}'")
        answer = bulk(client, "stop")
        assert answer.status_code == (403 if detail else 202), answer.text
        assert not detail or (answer.json()["code"] == "quota_exceeded" and detail in answer.json()["detail"]), answer.text
    stack.sql(f"UPDATE bulk_jobs SET matched = 0 WHERE id = '{job}'")
    columns = "workspace_id, principal_id, key_id, action, state, kinds, filter, selection, below_id, created_ms, updated_ms, ended_ms"
    stack.sql(f"INSERT INTO bulk_jobs (id, {columns}) SELECT UUID(), {columns} FROM bulk_jobs, seq_1_to_9997 WHERE id = '{job}'")
    ended(client, bulk(client, "stop").json()["id"])
    assert stack.sql_one(f"SELECT COUNT(*) FROM bulk_jobs WHERE workspace_id = '{workspace.id}'") == "10000"
    answer = bulk(client, "stop")
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded") and "bulk jobs kept" in answer.json()["detail"], answer.text


def test_quota_of_jobs(stack, workspace, client):
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "bulk_jobs=0")
    answer = bulk(client, "stop")
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded")
    assert bulk(client, "stop", dry_run=True).status_code == 200


@pytest.mark.serial
def test_killed_executors_do_each_item_once(stack, workspace, client):
    workflow = workspace.put_workflow(FAILS)
    body = {"items": [{} for _ in range(300)]}
    assert client.post(f"/workflows/{workflow}/run-batch", json=body).json()["accepted"] == 300
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state = 4") == "300", 60, "all have failed")
    job = bulk(client, "retry", {"workflow_id": workflow}).json()["id"]

    def decided():
        return int(stack.sql_one(f"SELECT COUNT(*) FROM bulk_items WHERE job_id = '{job}' AND outcome > 0"))

    for _ in range(4):
        before = decided()
        if before == 300:
            break
        eventually(lambda: decided() > before, 60, "items are decided")
        stack.kill_server("executor", with_children=True)
        stack.start_server("executor")
    over = ended(client, job)
    assert counts(over) == (300, 300, 0, 0, 0)
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND retry_of IS NOT NULL") == "300"
    assert stack.sql_one(f"SELECT COUNT(DISTINCT retry_of) FROM executions WHERE workspace_id = '{workspace.id}'") == "300"
    assert workspace.balance() == 400
    audit(stack)


@pytest.mark.parametrize("change, back", [("selection = JSON_SET(selection, '$.colour', 'red')", "selection = JSON_REMOVE(selection, '$.colour')"),
                                          ("action = 9", "action = 1"), ("selection = '[]'", None)])
def test_a_job_of_a_later_version_is_left_to_it(stack, workspace, client, change, back):
    """An executor that does not know all of its filter would take too many runs."""
    run = client.started(workspace.put_workflow(WAITS))
    eventually(lambda: client.execution(run)["state"] == "running", what="the run is executed")
    stack.stop_server("executor")
    job = bulk(client, "stop").json()["id"]
    stack.sql(f"UPDATE bulk_jobs SET {change} WHERE id = '{job}'")
    stack.start_server("executor")
    others = [stack.workspace() for _ in range(2)]
    for other in others:  # jobs of workspaces before and after it are carried out
        there = other.client()
        waits = there.started(other.put_workflow(WAITS))
        assert counts(done(there, "stop"))[1] == 1 and there.execution(waits)["state"] == "stopped"
    assert stack.sql(f"SELECT state, matched FROM bulk_jobs WHERE id = '{job}'") == [["1", "0"]] and client.execution(run)["state"] != "stopped"
    if back:
        stack.sql(f"UPDATE bulk_jobs SET {back} WHERE id = '{job}'")
        assert counts(ended(client, job)) == (1, 1, 0, 0, 0) and client.execution(run)["state"] == "stopped"
    else:
        stack.sql(f"DELETE FROM bulk_jobs WHERE id = '{job}'")
