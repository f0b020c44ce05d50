"""Occurrences of schedules: each is decided once, whatever dies, and a refused one is a row with its reason."""

import pytest
from stack import eventually

SETTINGS = {"executor.processes": "2"}
PROGRAM = {"steps": [{"name": "when", "type": "transform", "value": "${/execution/scheduled_for}"}]}
WAITS = {"steps": [{"name": "wait", "type": "delay", "seconds": 3600}]}
STARTED, WAITING, SKIPPED, MISSED, REFUSED = 1, 2, 3, 4, 5
OVERLAPS = {"skip": 1, "queue_one": 2, "allow": 3, "stop_previous": 4}


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
    made = {overlap: add(stack, workspace, workflow, every_s=10, ago_s=15, overlap=overlap)[0] for overlap in OVERLAPS}
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
    made = [add(stack, workspace, workflow, every_s=10, ago_s=200, overlap="allow") for _ in range(40)]
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
        assert [row[0] for row in rows] == [at + 10000 * i for i in range(len(rows))] and len(rows) >= 20
        assert {row[1] for row in rows} == {STARTED}
    # a run for each occurrence and no other
    runs = number(stack, f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'")
    named = number(stack, f"SELECT COUNT(DISTINCT execution_id) FROM schedule_occurrences o JOIN executions e ON e.id = o.execution_id "
                          f"WHERE o.workspace_id = '{workspace.id}'")
    assert runs == named == number(stack, f"SELECT COUNT(*) FROM schedule_occurrences WHERE workspace_id = '{workspace.id}'")
    assert stack.cli("audit")["violations"] == []
