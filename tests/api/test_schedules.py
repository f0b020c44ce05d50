"""Occurrences of schedules: each is decided once, whatever dies, and a refused one is a row with its reason."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest
import requests
from skills import probe
from stack import ROOT, eventually, while_it_lasts

SETTINGS = {"executor.processes": "2"}
PROGRAM = {"steps": [{"name": "when", "type": "transform", "value": "${/execution/scheduled_for}"}]}
WAITS = {"steps": [{"name": "wait", "type": "delay", "seconds": 3600}]}
STARTED, WAITING, SKIPPED, MISSED, REFUSED = 1, 2, 3, 4, 5
OVERLAPS = {"skip": 1, "queue_one": 2, "allow": 3, "stop_previous": 4}
AHEAD = f"{datetime.now(timezone.utc) + timedelta(days=30):%Y-%m}-28T00:00:00"  # a midnight of the next months


def number(stack, query):
    return int(stack.sql_one(query))


def now_ms(stack):
    return number(stack, "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)")


def add(stack, workspace, workflow, every_s=3600, ago_s=0, overlap="skip", catch_up_s=3600, key=None, anchor_ago_s=None):
    """A schedule whose next nominal time is `ago_s` seconds ago."""
    key = key or stack.sql_one(f"SELECT id FROM api_keys WHERE workspace_id = '{workspace.id}' LIMIT 1")
    id = stack.sql_one("SELECT UUID()")
    at = now_ms(stack) - ago_s * 1000
    stack.sql(f"""INSERT INTO schedules (id, workspace_id, principal_id, key_id, responder_id, kind, timing, timezone, every_s, anchor_ms, jitter_s,
        overlap, catch_up_s, next_ms, due_ms, note, created_ms, updated_ms)
      VALUES ('{id}', '{workspace.id}', '{workspace.id}', '{key}', '{workflow}', 1, 1, 'UTC', {every_s}, {at}, 0, {OVERLAPS[overlap]},
        {catch_up_s}, {at}, {at}, '', {at}, {at})""")
    return id, at


def occurrences(stack, schedule):
    rows = stack.sql(f"SELECT nominal_ms, state, reason, COALESCE(execution_id, '') FROM schedule_occurrences WHERE schedule_id = '{schedule}' ORDER BY 1")
    return [(int(row[0]), int(row[1]), int(row[2]), row[3]) for row in rows]


def decided(stack, schedule, n=1):
    eventually(lambda: len(occurrences(stack, schedule)) >= n, 30, f"{n} occurrences")
    return occurrences(stack, schedule)


@pytest.fixture
def workspace(stack):
    made = stack.workspace()
    made.client()  # a key
    return made


def test_occurrence_starts_a_run_that_knows_its_nominal_time(stack, workspace):
    client = workspace.client()
    schedule, at = add(stack, workspace, workspace.put_workflow(PROGRAM))
    [(nominal, state, reason, execution)] = decided(stack, schedule)
    assert (nominal, state, reason) == (at, STARTED, 0)
    run = client.finished(execution)
    text = run["steps"][0]["result"]
    assert text.endswith("+00:00") and text[20:23] == f"{at % 1000:03}"
    row = stack.sql_one(f"SELECT CONCAT(next_ms, ' ', due_ms) FROM schedules WHERE id = '{schedule}'")
    assert row == f"{at + 3600000} {at + 3600000}"


def test_refused_occurrence_is_a_row_with_its_reason(stack):
    broke = stack.workspace(credits=0)
    broke.client()
    poor, at = add(stack, broke, broke.put_workflow(PROGRAM))
    assert [row[:3] for row in decided(stack, poor)] == [(at, REFUSED, 3)]
    rich = stack.workspace()
    client = rich.client()
    workflow = rich.put_workflow(PROGRAM)
    assert client.delete(f"/workflows/{workflow}").status_code == 204
    archived, at = add(stack, rich, workflow)
    assert [row[:3] for row in decided(stack, archived)] == [(at, REFUSED, 5)]
    strict = rich.put_workflow({"inputs": {"type": "object", "required": ["day"]}, **PROGRAM})
    invalid, at = add(stack, rich, strict)
    assert [row[:3] for row in decided(stack, invalid)] == [(at, REFUSED, 6)]


def test_late_occurrence_is_missed_and_the_next_one_is_not_late(stack, workspace):
    schedule, at = add(stack, workspace, workspace.put_workflow(PROGRAM), every_s=600, ago_s=86400, catch_up_s=60)
    assert decided(stack, schedule)[0][:3] == (at, MISSED, 2)
    next_ms = number(stack, f"SELECT next_ms FROM schedules WHERE id = '{schedule}'")
    assert next_ms > now_ms(stack) - 120000 and (next_ms - at) % 600000 == 0


def test_overlap(stack, workspace):
    client = workspace.client()
    workflow = workspace.put_workflow(WAITS)
    # two times have come, and the next one comes in minutes
    made = {overlap: add(stack, workspace, workflow, every_s=600, ago_s=605, overlap=overlap)[0] for overlap in OVERLAPS}
    rows = {overlap: decided(stack, schedule, 2)[:2] for overlap, schedule in made.items()}
    assert [row[1] for row in rows["skip"]] == [STARTED, SKIPPED]
    assert [row[1] for row in rows["allow"]] == [STARTED, STARTED]
    assert [row[1] for row in rows["queue_one"]] == [STARTED, WAITING]
    assert [row[1] for row in rows["stop_previous"]] == [STARTED, STARTED]
    assert client.finished(rows["stop_previous"][0][3])["status"] == "stopped"
    # the run ends: the newest occurrence that waits starts, older ones were skipped
    assert client.post(f"/executions/{rows['queue_one'][0][3]}/stop").status_code == 200
    eventually(lambda: [row[1] for row in occurrences(stack, made["queue_one"])].count(STARTED) == 2, 30, "the waiting one starts")
    assert {row[1] for row in occurrences(stack, made["queue_one"])[1:]} <= {STARTED, SKIPPED, WAITING}


def test_schedule_is_paused_when_its_key_is_revoked(stack, workspace):
    key = stack.sql_one(f"SELECT id FROM api_keys WHERE workspace_id = '{workspace.id}' LIMIT 1")
    stack.cli("key", "revoke", "--workspace", workspace.id, key)
    schedule, _ = add(stack, workspace, workspace.put_workflow(PROGRAM), key=key)
    eventually(lambda: number(stack, f"SELECT paused FROM schedules WHERE id = '{schedule}'") == 2, 30, "the schedule is paused")
    assert occurrences(stack, schedule) == []


@pytest.mark.serial
def test_killed_executors_start_each_occurrence_once(stack, workspace):
    workflow = workspace.put_workflow(PROGRAM)
    stack.stop_server("executor")
    # 21 times have come, and no other comes during the test
    made = [add(stack, workspace, workflow, every_s=600, ago_s=12000, catch_up_s=20000, overlap="allow") for _ in range(40)]
    for _ in range(4):
        stack.start_server("executor")
        before = number(stack, "SELECT COUNT(*) FROM schedule_occurrences")
        eventually(lambda: number(stack, "SELECT COUNT(*) FROM schedule_occurrences") > before, 30, "occurrences are decided")
        stack.kill_server("executor", with_children=True)
    stack.start_server("executor")
    eventually(lambda: number(stack, f"SELECT COUNT(*) FROM schedules WHERE workspace_id = '{workspace.id}' AND due_ms <= UNIX_TIMESTAMP(NOW(3)) * 1000") == 0,
               60, "nothing is due")
    for schedule, at in made:
        rows = occurrences(stack, schedule)
        assert [row[0] for row in rows] == [at + 600000 * i for i in range(21)]
        assert {row[1] for row in rows} == {STARTED}
    # a run for each occurrence and no other
    runs = number(stack, f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")
    named = number(stack, f"SELECT COUNT(DISTINCT execution_id) FROM schedule_occurrences o JOIN executions e ON e.id = o.execution_id "
                          f"WHERE o.workspace_id = '{workspace.id}'")
    assert runs == named == number(stack, f"SELECT COUNT(*) FROM schedule_occurrences WHERE workspace_id = '{workspace.id}'")
    assert stack.cli("audit")["violations"] == []


def test_nothing_is_started_twice_when_the_clock_is_set_back(stack, workspace):
    client = workspace.client()
    schedule, at = add(stack, workspace, workspace.put_workflow(PROGRAM), every_s=10, ago_s=95, overlap="allow")
    before = decided(stack, schedule, 9)
    runs = f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'"
    # as after a PATCH or a resume while the clock was an hour slow: the times of the last 95 s come again
    client.post(f"/schedules/{schedule}/pause")
    count = number(stack, runs)
    stack.sql(f"UPDATE schedules SET paused = 0, next_ms = {at}, due_ms = {at}, revision = revision + 1 WHERE id = '{schedule}'")
    eventually(lambda: number(stack, f"SELECT next_ms FROM schedules WHERE id = '{schedule}'") > before[-1][0], 60, "the schedule has caught up")
    client.post(f"/schedules/{schedule}/pause")
    after = occurrences(stack, schedule)
    assert after[:len(before)] == before
    assert number(stack, runs) == len(after) >= count
    assert stack.cli("audit")["violations"] == []


def add_many(stack, workspace, workflow, n):
    """n schedules that are due now."""
    key = stack.sql_one(f"SELECT id FROM api_keys WHERE workspace_id = '{workspace.id}' LIMIT 1")
    at = now_ms(stack)
    stack.sql_long(f"""INSERT INTO schedules (id, workspace_id, principal_id, key_id, responder_id, kind, timing, timezone, every_s, anchor_ms, jitter_s,
        overlap, catch_up_s, next_ms, due_ms, note, created_ms, updated_ms)
      SELECT UUID(), '{workspace.id}', '{workspace.id}', '{key}', '{workflow}', 1, 1, 'UTC', 86400, {at}, 0, 1, 3600, {at}, {at}, '', {at}, {at}
      FROM seq_1_to_{n}""")


@pytest.mark.serial
def test_ten_thousand_schedules_due_in_one_minute(stack):
    workspace = stack.workspace(credits=20000)
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    add_many(stack, workspace, workflow, 10000)
    started = f"SELECT COUNT(*) FROM schedule_occurrences WHERE workspace_id = '{workspace.id}' AND state = 1"
    eventually(lambda: number(stack, started) > 0, 30, "the first is started")
    client.finished(client.started(workflow))  # accepts of others continue
    eventually(lambda: number(stack, started) == 10000, 600, "all are started")
    took = stack.sql_one(f"SELECT (MAX(decided_ms) - MIN(decided_ms)) / 1000 FROM schedule_occurrences WHERE workspace_id = '{workspace.id}'")
    print(f"10,000 occurrences decided in {took} s")
    assert number(stack, f"SELECT COUNT(DISTINCT execution_id) FROM schedule_occurrences WHERE workspace_id = '{workspace.id}'") == 10000


def made(client, workflow, **body):
    target = {} if "skill" in body else {"workflow_id": workflow}
    answer = client.post("/schedules", json={**target, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_schedule_is_created_changed_paused_and_deleted(workspace):
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    schedule = made(client, workflow, cron="30 2 * * *", timezone="Europe/Berlin", inputs={"a": 1}, note="nightly")
    path = f"/schedules/{schedule['id']}"
    assert client.get(path).json() == schedule and schedule["state"] == "active" and schedule["inputs"] == {"a": 1}
    assert client.get("/schedules").json()["schedules"] == [schedule]
    upcoming = client.get(f"{path}/upcoming", params={"count": 2, "after": "2027-03-27T12:00:00Z"})
    assert upcoming.json() == {"upcoming": ["2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"]}
    upcoming = client.get(f"{path}/upcoming", params={"count": 2, "after": "2027-10-30T12:00:00Z"})
    assert upcoming.json() == {"upcoming": ["2027-10-31T00:30:00Z", "2027-11-01T01:30:00Z"]}
    paused = client.post(f"{path}/pause").json()
    assert (paused["state"], paused["pause_reason"], paused["next_at"]) == ("paused", "caller", None)
    assert client.post(f"{path}/resume").json()["next_at"] == schedule["next_at"]
    changed = client.patch(path, json={"every_seconds": 3600, "note": ""}).json()
    assert (changed["cron"], changed["every_seconds"], changed["note"], changed["inputs"]) == (None, 3600, "", {"a": 1})
    assert client.delete(path).status_code == 204
    assert client.get(path).status_code == 404 and client.delete(path).status_code == 404


@pytest.mark.parametrize("query, expected", [
    ({"cron": "30 2 * * *", "timezone": "Europe/Berlin", "start_at": "2099-03-28T12:00:00Z", "count": 2}, ["2099-03-29T01:00:00Z", "2099-03-30T00:30:00Z"]),
    ({"every_seconds": 3600, "start_at": "2099-01-01T00:00:00Z", "end_at": "2099-01-01T01:30:00Z"}, ["2099-01-01T00:00:00Z", "2099-01-01T01:00:00Z"]),
    ({"at": "2099-01-01T02:00:00+02:00"}, ["2099-01-01T00:00:00Z"])])
def test_times_are_computed_before_a_schedule_is_stored(client, query, expected):
    answer = client.get("/schedules/upcoming", params=query)
    assert (answer.status_code, answer.json()) == (200, {"upcoming": expected}), answer.text


@pytest.mark.parametrize("query, status, where", [
    ({}, 400, None), ({"cron": "* * * * *", "every_seconds": 60}, 400, None), ({"every_seconds": 5}, 400, None), ({"every_seconds": "x"}, 400, None),
    ({"at": "tomorrow"}, 400, None), ({"cron": "* * * *"}, 422, "/cron"), ({"cron": "0 0 * * *", "timezone": "Mars/Olympus"}, 422, "/timezone"),
    ({"at": "2001-01-01T00:00:00Z"}, 422, ""), ({"cron": "0 0 * * *", "count": 0}, 400, None), ({"cron": "0 0 * * *", "note": "x"}, 400, None)])
def test_wrong_times_are_rejected_by_the_preview(client, query, status, where):
    answer = client.get("/schedules/upcoming", params=query)
    assert answer.status_code == status, answer.text
    assert where is None or [e["pointer"] for e in answer.json()["errors"]] == [where]


def test_interval_of_the_api_is_started(workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), every_seconds=10, start_at=AHEAD + "Z")
    assert schedule["next_at"].startswith(AHEAD)
    client.patch(f"/schedules/{schedule['id']}", json={"start_at": None})
    occurrences = eventually(lambda: client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"], 40, "an occurrence")
    assert occurrences[-1]["state"] == "started" and client.finished(occurrences[-1]["execution_id"])["status"] == "success"


def test_large_inputs_of_a_large_program_are_started(stack, workspace):
    """The compute thread compiles the program and validates the inputs, while maintenance goes on."""
    client, words = workspace.client(), ["word"] * 8000
    def program(kind):
        return {"inputs": {"properties": {"l": {"items": {"type": kind}}}}, "steps": [{"name": "a", "type": "transform", "value": words}]}
    workflow = workspace.put_workflow(program("integer"))
    schedule = made(client, workflow, every_seconds=10, inputs={"l": list(range(20000))})["id"]
    run = decided(stack, schedule)[0][3]
    assert client.finished(run)["status"] == "success"
    assert client.put(f"/workflows/{workflow}", json={"name": "n", "program": program("string")}).status_code == 200
    rejected = eventually(lambda: [o for o in occurrences(stack, schedule) if o[2] == 6], what="an occurrence whose inputs are invalid")
    assert rejected[0][1::2] == (5, "NULL")


@pytest.mark.parametrize("status, body", [
    (400, {}), (400, {"cron": "* * * * *", "every_seconds": 60}), (422, {"cron": "* * * *"}), (422, {"cron": "0 0 30 2 *"}),
    (422, {"cron": "* * * * *", "timezone": "Mars/Olympus"}), (400, {"every_seconds": 9}), (400, {"every_seconds": 1.5}),
    (422, {"at": "2001-01-01T00:00:00Z"}), (400, {"at": "tomorrow"}), (400, {"cron": "* * * * *", "overlap": "both"}),
    (400, {"cron": "* * * * *", "jitter_seconds": -1}), (400, {"cron": "* * * * *", "tags": "x"}), (422, {"cron": "* * * * *", "inputs": 1}),
    (422, {"cron": "* * * * *", "end_at": "2001-01-01T00:00:00Z"}), (400, {"cron": "* * * * *", "colour": 1}), (400, {"cron": 5}),
    (400, {"cron": "* * * * *", "note": "x" * 1001}), (400, {"cron": "* * * * *", "paused": "no"})])
def test_wrong_schedule_is_rejected(workspace, status, body):
    answer = workspace.client().post("/schedules", json={"workflow_id": workspace.put_workflow(PROGRAM), **body})
    assert answer.status_code == status, answer.text


def test_writing_needs_the_scope_to_execute(workspace):
    workflow = workspace.put_workflow(PROGRAM)
    body = {"workflow_id": workflow, "cron": "0 0 * * *"}
    assert workspace.client("schedules:write").post("/schedules", json=body).status_code == 403
    assert workspace.client("schedules:read,workflows:execute").post("/schedules", json=body).status_code == 403
    writer = workspace.client("schedules:write,workflows:execute")
    first = writer.post("/schedules", json=body, headers={"Idempotency-Key": "k"})
    again = writer.post("/schedules", json=body, headers={"Idempotency-Key": "k"})
    assert first.status_code == again.status_code == 201 and first.json() == again.json()
    path = f"/schedules/{first.json()['id']}"
    assert writer.get(path).status_code == 403
    assert workspace.client("schedules:write").delete(path).status_code == 403
    assert workspace.client("schedules:read").get(path).status_code == 200


def test_schedule_of_another_workspace_is_not_found(stack, workspace):
    schedule = made(workspace.client(), workspace.put_workflow(PROGRAM), cron="0 0 * * *")
    other = stack.workspace().client()
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/resume"), ("GET", "/upcoming"), ("GET", "/occurrences")):
        answer = other.request(method, f"/schedules/{schedule['id']}{path}", **({"json": {"note": ""}} if method == "PATCH" else {}))
        assert answer.status_code == 404, (method, path, answer.text)


def test_quota_of_schedules(stack, workspace):
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "schedules=1")
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    made(client, workflow, cron="0 0 * * *")
    answer = client.post("/schedules", json={"workflow_id": workflow, "cron": "0 0 * * *"})
    assert (answer.status_code, answer.json()["code"]) == (403, "quota_exceeded")


def test_who_writes_the_inputs_or_resumes_owns_the_schedule(stack, workspace):
    scopes = "schedules:read,schedules:write,workflows:execute"
    first, second = workspace.client(scopes), workspace.client(scopes)
    schedule = made(first, workspace.put_workflow(PROGRAM), cron="0 0 * * *")
    path = f"/schedules/{schedule['id']}"
    assert second.patch(path, json={"note": "x"}).json()["principal_id"] == schedule["principal_id"]
    taken = second.patch(path, json={"inputs": {}}).json()["principal_id"]
    assert taken != schedule["principal_id"]
    key = stack.sql_one(f"SELECT key_id FROM schedules WHERE id = '{schedule['id']}'")
    stack.cli("key", "revoke", "--workspace", workspace.id, key)
    stack.sql(f"UPDATE schedules SET due_ms = 1, revision = revision + 1 WHERE id = '{schedule['id']}'")
    eventually(lambda: first.get(path).json()["pause_reason"] == "key_revoked", 30, "the schedule is paused")
    resumed = first.post(f"{path}/resume").json()
    assert (resumed["state"], resumed["principal_id"]) == ("active", schedule["principal_id"])


def test_occurrence_is_not_late_within_a_minute(stack, workspace):
    schedule, at = add(stack, workspace, workspace.put_workflow(PROGRAM), ago_s=5, catch_up_s=0)
    assert decided(stack, schedule)[0][:2] == (at, STARTED)


def test_schedule_of_an_archived_workflow_can_be_changed(workspace):
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    path = f"/schedules/{made(client, workflow, cron='0 0 * * *')['id']}"
    assert client.delete(f"/workflows/{workflow}").status_code == 204
    assert client.patch(path, json={"note": "x", "paused": True}).json()["state"] == "paused"
    assert client.patch(path, json={"inputs": {}}).status_code == 404


def test_finished_schedule_can_be_paused(workspace):
    client = workspace.client()
    path = f"/schedules/{made(client, workspace.put_workflow(PROGRAM), at=AHEAD + 'Z', end_at='2099-01-02T00:00:00Z')['id']}"
    workspace.stack.sql(f"UPDATE schedules SET next_ms = NULL, due_ms = NULL WHERE id = '{path.split('/')[-1]}'")
    assert client.get(path).json()["state"] == "finished"
    assert client.patch(path, json={"paused": True}).json()["state"] == "paused"


def test_deleted_schedule_leaves_no_occurrence_that_waits(stack, workspace):
    client = workspace.client()
    schedule, _ = add(stack, workspace, workspace.put_workflow(WAITS), every_s=600, ago_s=605, overlap="queue_one")
    rows = decided(stack, schedule, 2)
    assert WAITING in [row[1] for row in occurrences(stack, schedule)]
    assert client.delete(f"/schedules/{schedule}").status_code == 204
    assert {row[1] for row in occurrences(stack, schedule)} == {STARTED, SKIPPED}
    assert client.get(f"/executions/{rows[0][3]}").json()["status"] == "running"


@pytest.mark.serial
def test_time_that_has_come_is_decided_before_a_change_applies(stack, workspace):
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    stack.stop_server("executor")
    changed, at = add(stack, workspace, workflow)
    paused, _ = add(stack, workspace, workflow)
    assert client.patch(f"/schedules/{changed}", json={"every_seconds": 7200}).status_code == 200
    assert client.post(f"/schedules/{paused}/pause").status_code == 200
    stack.start_server("executor")
    assert [row[:2] for row in decided(stack, changed)] == [(at, STARTED)]
    next_ms = number(stack, f"SELECT next_ms FROM schedules WHERE id = '{changed}'")
    assert next_ms > at + 7000000 and next_ms == number(stack, f"SELECT anchor_ms FROM schedules WHERE id = '{changed}'")
    assert occurrences(stack, paused) == []


def trigger(client, schedule, **headers):
    return client.post(f"/schedules/{schedule['id']}/trigger", headers=headers)


def test_trigger_starts_a_run_now(stack, workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 0 1 1 *", paused=True, tags=["t"])
    answer = trigger(client, schedule, **{"Idempotency-Key": "once"})
    assert answer.status_code == 202
    run = client.finished(answer.json()["execution_id"])
    assert run["status"] == "success" and run["tags"] == ["t"]
    again = trigger(client, schedule, **{"Idempotency-Key": "once"})
    assert (again.status_code, again.json()) == (202, answer.json())
    [row] = client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"]
    assert (row["origin"], row["state"], row["execution_id"], row["scheduled_for"]) == ("trigger", "started", run["id"], run["steps"][0]["result"])
    assert client.get(f"/schedules/{schedule['id']}").json() == schedule


@pytest.mark.parametrize("overlap, statuses", [("skip", [202, 409]), ("queue_one", [202, 409]), ("allow", [202, 202]), ("stop_previous", [202, 202])])
def test_trigger_follows_overlap(workspace, overlap, statuses):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(WAITS), cron="0 0 1 1 *", overlap=overlap)
    answers = [trigger(client, schedule) for _ in statuses]
    assert [a.status_code for a in answers] == statuses, answers[-1].text
    rows = client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"]
    assert [row["state"] for row in rows] == (["skipped", "started"] if 409 in statuses else ["started", "started"])
    assert 409 not in statuses or answers[1].json()["code"] == "schedule_overlap"
    first = client.get(f"/executions/{answers[0].json()['execution_id']}").json()["status"]
    assert first == ("stopped" if overlap == "stop_previous" else "running")


def test_trigger_is_refused(stack, workspace):
    poor = stack.workspace(credits=0)
    client = poor.client()
    schedule = made(client, poor.put_workflow(PROGRAM), cron="0 0 1 1 *")
    assert trigger(client, schedule).status_code == 402
    [row] = client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"]
    assert (row["state"], row["reason"]) == ("refused", "insufficient_credits")
    stack.cli("workspace", "set", "--workspace", workspace.id, "--max-concurrent", "1")
    client = workspace.client()
    client.started(workspace.put_workflow(WAITS))
    workflow = workspace.put_workflow(PROGRAM)
    schedule = made(client, workflow, cron="0 0 1 1 *")
    assert trigger(client, schedule).status_code == 429
    assert client.delete(f"/workflows/{workflow}").status_code == 204
    assert trigger(client, schedule).status_code == 404
    key = stack.sql_one(f"SELECT key_id FROM schedules WHERE id = '{schedule['id']}'")
    stack.sql(f"UPDATE workflows SET archived_ms = NULL WHERE id = '{workflow}'")
    other = workspace.client()
    stack.cli("key", "revoke", "--workspace", workspace.id, key)
    answer = trigger(other, schedule)
    assert (answer.status_code, answer.json()["code"]) == (409, "schedule_key_revoked")
    assert other.get(f"/schedules/{schedule['id']}").json()["pause_reason"] == "key_revoked"


def test_triggers_at_the_same_time_start_a_run_each(workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 0 1 1 *", overlap="allow")
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: trigger(client, schedule), range(12)))
    started = [a.json()["execution_id"] for a in answers if a.status_code == 202]
    assert {a.status_code for a in answers} <= {202, 503} and len(set(started)) == len(started) > 0
    rows = client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"]
    assert sorted(row["execution_id"] for row in rows) == sorted(started)


def test_schedule_of_a_skill(stack, workspace):
    client = workspace.client()
    slug = "probe"
    probe(workspace, "import json, sys; json.dump(json.load(sys.stdin), sys.stdout)")
    schedule = made(client, None, skill=slug, inputs={"text": "hello"}, cron="0 0 1 1 *")
    assert (schedule["skill"], schedule["workflow_id"]) == (slug, None)
    stack.sql(f"UPDATE schedules SET next_ms = {now_ms(stack)}, due_ms = next_ms WHERE id = '{schedule['id']}'")
    [(_, state, reason, execution)] = decided(stack, schedule["id"])
    assert (state, reason) == (STARTED, 0)
    assert client.finished(execution)["status"] == "success"
    assert client.finished(trigger(client, schedule).json()["execution_id"])["status"] == "success"
    assert workspace.client("schedules:write,workflows:execute").post(f"/schedules/{schedule['id']}/pause").status_code == 403
    wrong = client.post("/schedules", json={"skill": slug, "workflow_id": workspace.put_workflow(PROGRAM), "cron": "* * * * *"})
    assert wrong.status_code == 400
    assert client.post("/schedules", json={"skill": "no-such-skill", "cron": "* * * * *"}).status_code == 404


def backfill(client, schedule, since, until):
    return client.post(f"/schedules/{schedule['id']}/backfill", json={"from": since, "to": until})


def test_backfill_starts_the_times_that_have_no_occurrence(stack, workspace):
    client = workspace.client()
    # its times are those of one day a year, so that none comes during the test
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 * 1 1 *", start_at="2026-01-01T00:00:00Z", end_at="2099-01-01T00:00:00Z")
    first = 1767276000000  # 2026-01-01T14:00:00Z
    for nominal, state in ((first, SKIPPED), (first + 3600000, MISSED)):
        stack.sql(f"INSERT INTO schedule_occurrences (schedule_id, nominal_ms, workspace_id, origin, state, decided_ms) "
                  f"VALUES ('{schedule['id']}', {nominal}, '{workspace.id}', 1, {state}, 1)")
    answer = backfill(client, schedule, "2026-01-01T14:00:00Z", "2026-01-01T18:00:00Z")
    assert (answer.status_code, answer.json()) == (202, {"occurrences": 3, "existing": 1}), answer.text
    wanted = [(first, SKIPPED)] + [(first + 3600000 * i, STARTED) for i in range(1, 4)]
    eventually(lambda: [row[:2] for row in occurrences(stack, schedule["id"])] == wanted, 60, "the backfill is done")
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM schedules WHERE id = '{schedule['id']}' AND backfill_ms IS NULL AND backfill_end_ms IS NULL") == "1",
               30, "the backfill has ended")
    runs = [client.finished(row[3]) for row in occurrences(stack, schedule["id"])[1:]]
    assert [run["steps"][0]["result"][:13] for run in runs] == ["2026-01-01T15", "2026-01-01T16", "2026-01-01T17"]
    assert backfill(client, schedule, "2026-01-01T14:00:00Z", "2026-01-01T18:00:00Z").json() == {"occurrences": 0, "existing": 4}
    assert stack.cli("audit")["violations"] == []


def test_backfill_has_one_run_at_a_time_and_waits_for_capacity(stack, workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(WAITS), cron="0 * 1,2 1 *", overlap="allow")
    busy = client.started(workspace.put_workflow(WAITS))
    stack.cli("workspace", "set", "--workspace", workspace.id, "--max-concurrent", "1")
    assert backfill(client, schedule, "2026-01-01T00:00:00Z", "2026-01-01T03:00:00Z").json()["occurrences"] == 3
    again = backfill(client, schedule, "2026-01-02T00:00:00Z", "2026-01-02T03:00:00Z")
    assert (again.status_code, again.json()["code"]) == (409, "backfill_in_progress")
    assert [row[1] for row in occurrences(stack, schedule["id"])] == [WAITING] * 3
    stack.cli("workspace", "set", "--workspace", workspace.id, "--max-concurrent", "10")
    states = lambda: [row[1] for row in occurrences(stack, schedule["id"])]  # noqa: E731
    eventually(lambda: states() == [STARTED, WAITING, WAITING], 30, "one starts")
    assert trigger(client, schedule).status_code == 202  # a backfill does not count for the overlap
    assert client.post(f"/executions/{occurrences(stack, schedule['id'])[0][3]}/stop").status_code == 200
    eventually(lambda: states()[:3] == [STARTED, STARTED, WAITING], 30, "the next one starts")
    assert client.delete(f"/schedules/{schedule['id']}").status_code == 204
    assert states()[:3] == [STARTED, STARTED, SKIPPED]
    assert client.get(f"/executions/{busy}").json()["status"] == "running"


@pytest.mark.parametrize("status, since, until", [
    (400, None, "2026-01-01T00:00:00Z"), (400, "2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z"), (400, "yesterday", "2026-01-01T00:00:00Z"),
    (422, "2025-01-01T00:00:00Z", "2026-01-01T00:00:00Z")])
def test_wrong_backfill_is_rejected(workspace, status, since, until):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 * * * *")
    assert backfill(client, schedule, since, until).status_code == status


def test_commands_of_operators(stack, workspace):
    client = workspace.client()
    w = ("--workspace", workspace.id)
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 0 1 1 *", timezone="Europe/Berlin")
    assert stack.cli("schedule", "list", *w) == [schedule]
    assert stack.cli("schedule", "pause", schedule["id"], *w)["state"] == "paused"
    assert "paused" in str(stack.cli("schedule", "trigger", schedule["id"], *w, check=False))
    assert stack.cli("schedule", "resume", schedule["id"], *w)["next_at"] == schedule["next_at"]
    assert stack.cli("schedule", "trigger", schedule["id"], *w)["id"] == schedule["id"]
    [(_, state, _, execution)] = eventually(lambda: [row for row in occurrences(stack, schedule["id"]) if row[1] != WAITING], 30, "the run starts")
    shown = stack.cli("schedule", "show", schedule["id"], *w)
    assert state == STARTED and shown["occurrences"][0]["execution_id"] == execution
    assert shown["upcoming"][0].endswith("-12-31T23:00:00.000Z") and len(shown["upcoming"]) == 5
    assert "not found" in str(stack.cli("schedule", "show", execution, *w, check=False))


def metric(stack, name):
    [value] = re.findall(rf"^{re.escape(name)} ([0-9.]+)$", requests.get(stack.url + "/metrics", timeout=10).text, re.M)
    return float(value)


def test_metrics_of_schedules(stack, workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 0 1 1 *", overlap="allow")
    client.finished(trigger(client, schedule).json()["execution_id"])
    assert metric(stack, 'millrace_recent_occurrences{state="started"}') >= 1
    assert metric(stack, "millrace_schedules_due") >= 0 and metric(stack, "millrace_schedule_lag_seconds") >= 0


def test_schedule_ends_with_its_last_time(stack, workspace):
    client = workspace.client()
    workflow = workspace.put_workflow(PROGRAM)
    path = while_it_lasts(2, lambda seconds: f"/schedules/{made(client, workflow, at=datetime.fromtimestamp(now_ms(stack) / 1000 + seconds, timezone.utc).isoformat())['id']}")
    decided(stack, path.split("/")[-1])
    shown = client.get(path).json()
    assert (shown["state"], shown["next_at"]) == ("finished", None)
    assert client.patch(path, json={"note": "x"}).json()["state"] == "finished"
    assert client.patch(path, json={"end_at": "2099-01-01T00:00:00Z"}).status_code == 422  # no time is left
    assert client.patch(path, json={"cron": "0 0 * * *", "end_at": None}).json()["state"] == "active"


def test_pause_is_not_caught_up(stack, workspace):
    client = workspace.client()
    schedule, _ = add(stack, workspace, workspace.put_workflow(PROGRAM), every_s=3600, ago_s=-60, catch_up_s=3600)
    assert client.post(f"/schedules/{schedule}/pause").status_code == 200
    week = 7 * 86400000
    stack.sql(f"UPDATE schedules SET anchor_ms = anchor_ms - {week}, next_ms = next_ms - {week} WHERE id = '{schedule}'")
    shown = client.post(f"/schedules/{schedule}/resume").json()
    next_ms = number(stack, f"SELECT next_ms FROM schedules WHERE id = '{schedule}'")
    assert shown["state"] == "active" and next_ms > now_ms(stack) and occurrences(stack, schedule) == []


def test_jitter_delays_each_occurrence_by_its_own_time(stack, workspace):
    client = workspace.client()
    schedule = made(client, workspace.put_workflow(PROGRAM), cron="0 0 * * *", jitter_seconds=3600)
    delays = set()
    for day in range(8):
        start = datetime.fromisoformat(AHEAD) + timedelta(days=day)
        assert client.patch(f"/schedules/{schedule['id']}", json={"start_at": f"{start.isoformat()}Z"}).status_code == 200
        next_ms, due_ms = map(int, stack.sql(f"SELECT next_ms, due_ms FROM schedules WHERE id = '{schedule['id']}'")[0])
        assert 0 <= due_ms - next_ms <= 3600000
        delays.add(due_ms - next_ms)
    assert len(delays) > 4


def test_nightly_report_of_the_examples(workspace):
    client = workspace.client()
    answer = client.post("/workflows", json=json.loads((ROOT / "examples/nightly-report.json").read_text()))
    assert answer.status_code == 201, answer.text
    schedule = made(client, answer.json()["id"], inputs={"team": "Berlin"}, cron="30 2 * * *", timezone="Europe/Berlin", overlap="queue_one")
    run = client.finished(trigger(client, schedule).json()["execution_id"])
    [row] = client.get(f"/schedules/{schedule['id']}/occurrences").json()["occurrences"]
    assert run["detail"]["output"] == {"title": f"Report for Berlin, due at {row['scheduled_for']}", "due": row["scheduled_for"]}
    # a retry reports on the same day
    again = client.finished(client.post(f"/executions/{run['id']}/retry").json()["execution_id"])
    assert again["detail"]["output"] == run["detail"]["output"]
    assert workspace.stack.cli("audit")["violations"] == []
