"""The audit reports nothing in an undamaged system, and reports each kind of damage with the damaged id."""
import json

import pytest
from stack import eventually

NOBODY = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def system(stack):
    """Runs of every outcome: succeeded, failed, stopped before and after their start, with children, for_each and a key."""
    workspace = stack.workspace(credits=100, max_concurrent=50)
    client = workspace.client()
    leaf = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"},
                                             {"name": "b", "type": "transform", "value": {"n": "${/steps/a/result}"}}]})
    parent = workspace.put_workflow({"steps": [{"name": "all", "type": "workflow", "workflow_id": leaf, "for_each": [1, 2, 3],
                                                "concurrency": 2, "inputs": {"n": "${/item}"}}]})
    fail = workspace.put_workflow({"steps": [{"name": "no", "type": "fail", "message": "no"}]})
    slow = workspace.put_workflow({"steps": [{"name": "long", "type": "delay", "seconds": 600}]})
    runs = {"parent": client.started(parent), "fail": client.started(fail), "slow": client.started(slow),
            "leaf": client.started(leaf, {}, key="the-key")}
    for name in ("parent", "fail", "leaf"):
        client.finished(runs[name])
    stack.stop_server("executor")
    runs["never"] = client.started(leaf)
    client.post(f"/executions/{runs['never']}/stop")
    stack.start_server("executor")
    client.post(f"/executions/{runs['slow']}/stop")
    runs["child"] = stack.sql_one(f"SELECT id FROM executions WHERE parent_id = '{runs['parent']}' ORDER BY id LIMIT 1")
    grant = stack.sql_one(f"SELECT head_grant FROM accounts WHERE workspace_id = '{workspace.id}'")
    return {"workspace": workspace.id, "grant": grant, **runs}


def audit(stack, *args):
    """(exit code, violations as {check: [id…]})"""
    code, out, err = stack.cli("audit", *args, check=False)
    answer = json.loads(out)
    found = {}
    for v in answer["violations"]:
        found.setdefault(v["check"], []).append(v["id"])
    assert answer["ok"] is (not found) and code == (1 if found else 0), err
    assert {c["check"]: c["violations"] for c in answer["checks"] if c["violations"]} == {k: len(v) for k, v in found.items()}
    return found


def test_audit_of_an_undamaged_system_finds_nothing(stack, system, tmp_path):
    ids = tmp_path / "ids"
    ids.write_text("".join(f"{system[k]}\n" for k in ("parent", "fail", "slow", "leaf", "never")))
    assert audit(stack, "--at-rest", "--acknowledged", ids) == {}


# Inserted rows of the ledger have a number: an executor would add rows without one (NULL) to the sums before the test removes them.
# (check, SQL that does the damage, reported id, SQL that repairs it); {x} is an id of the system
DAMAGE = [
    ("occurrence", f"INSERT INTO schedule_occurrences VALUES ('{{leaf}}', 1, '{{workspace}}', 1, 1, 0, '{NOBODY}', 1, 1)", "leaf",
     "DELETE FROM schedule_occurrences"),
    ("occurrence", "INSERT INTO schedule_occurrences VALUES ('{leaf}', 1, '{workspace}', 1, 5, 3, '{fail}', NULL, 1)", "leaf",
     "DELETE FROM schedule_occurrences"),
    ("occurrence_missing", "UPDATE executions SET extra = '{{\"scheduled_for\":\"2027-01-01T00:00:00.000+00:00\"}}' WHERE id = '{leaf}'", "leaf",
     "UPDATE executions SET extra = NULL WHERE id = '{leaf}'"),
    ("schedule", f"INSERT INTO schedules SET id = '{{leaf}}', workspace_id = '{{workspace}}', principal_id = '{NOBODY}', key_id = '{NOBODY}', "
     f"responder_id = '{NOBODY}', kind = 1, timing = 2, timezone = 'UTC', anchor_ms = 0, jitter_s = 0, overlap = 1, catch_up_s = 0, paused = 0, "
     "next_ms = 4000000000000, note = '', created_ms = 0, updated_ms = 0", "leaf", "DELETE FROM schedules"),
    ("balance", "UPDATE accounts SET balance = balance + 1 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET balance = balance - 1 WHERE workspace_id = '{workspace}'"),
    ("grants", "UPDATE accounts SET head_remaining = head_remaining - 1 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET head_remaining = head_remaining + 1 WHERE workspace_id = '{workspace}'"),
    ("grants", "UPDATE credit_grants SET expires_ms = 4000000000000 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE credit_grants SET expires_ms = NULL WHERE workspace_id = '{workspace}'"),
    ("grants", "INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms) VALUES"
     " ('{workspace}', '{leaf}', 1, 2, 50, 5, 5, 1, 1)", "workspace", "DELETE FROM credit_grants WHERE id = '{leaf}'"),
    ("grant", "INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms) VALUES"
     " ('{workspace}', '{leaf}', 3, 2, 50, 5, 5, 1, 1)", "leaf", "DELETE FROM credit_grants WHERE id = '{leaf}'"),
    ("grant", "UPDATE credit_ledger SET grant_id = '{fail}' WHERE id = '{leaf}'", "grant",
     "UPDATE credit_ledger SET grant_id = '{grant}' WHERE id = '{leaf}'"),
    ("parts", "UPDATE credit_ledger SET grant_id = '{fail}' WHERE id = '{leaf}'", "leaf",
     "UPDATE credit_ledger SET grant_id = '{grant}' WHERE id = '{leaf}'"),
    ("parts", "UPDATE credit_ledger SET grant_id = NULL WHERE id = '{leaf}'", "leaf",
     "UPDATE credit_ledger SET grant_id = '{grant}' WHERE id = '{leaf}'"),
    ("parts", "UPDATE credit_ledger SET grant_id = '00000000-0000-0000-0000-000000000000' WHERE id = '{leaf}'", "leaf",
     "UPDATE credit_ledger SET grant_id = '{grant}' WHERE id = '{leaf}'"),
    ("parts", "INSERT INTO credit_parts VALUES ('{workspace}', '{never}', '{grant}', 5), ('{workspace}', '{workspace}', '{grant}', -5)", "workspace",
     "DELETE FROM credit_parts"),
    ("ledger_stray", f"INSERT INTO credit_ledger (workspace_id, id, kind, amount, number) VALUES ('{NOBODY}', '{NOBODY}', 1, 5, 0)", NOBODY,
     f"DELETE FROM credit_ledger WHERE workspace_id = '{NOBODY}'"),
    ("ledger_sums", "UPDATE credit_sums SET n = n + 1 WHERE workspace_id = '{workspace}' AND kind = 2 LIMIT 1", "workspace",
     "UPDATE credit_sums SET n = n - 1 WHERE workspace_id = '{workspace}' AND kind = 2 LIMIT 1"),
    ("ledger_sums", "UPDATE credit_months SET amount = amount + 1 WHERE workspace_id = '{workspace}' AND kind = 3", "workspace",
     "UPDATE credit_months SET amount = amount - 1 WHERE workspace_id = '{workspace}' AND kind = 3"),
    ("ledger_sums", "UPDATE credit_ledger SET number = 1000000000 WHERE id = '{leaf}'", "ledger_numbers",
     "UPDATE credit_ledger SET number = -9223372036854775808 WHERE id = '{leaf}'"),
    ("reference", f"INSERT INTO credit_references (workspace_id, reference, ledger_id) VALUES ('{{workspace}}', 'r', '{NOBODY}')", "workspace",
     "DELETE FROM credit_references WHERE reference = 'r'"),
    ("budget", "UPDATE accounts SET budgets = 1 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET budgets = 0 WHERE workspace_id = '{workspace}'"),
    ("alert", "UPDATE accounts SET alert_below = 5 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET alert_below = -1 WHERE workspace_id = '{workspace}'"),
    ("alert", "INSERT INTO credit_alerts (workspace_id, kind, value, line, told) VALUES ('{workspace}', 1, 0, 0, 1)", "workspace",
     "DELETE FROM credit_alerts WHERE workspace_id = '{workspace}'"),
    ("charge", "UPDATE accounts SET prices = 1 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET prices = 0 WHERE workspace_id = '{workspace}'"),
    ("charge", "UPDATE executions SET held = 1 WHERE id = '{leaf}'", "leaf", "UPDATE executions SET held = 0 WHERE id = '{leaf}'"),
    ("charge", "INSERT INTO execution_charges SELECT id, id, cost - 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, NULL, 0, 0, 0, 0, 0, NULL "
     "FROM executions WHERE id = '{leaf}'", "leaf", "DELETE FROM execution_charges"),
    ("frozen", "UPDATE accounts SET frozen = 1 WHERE workspace_id = '{workspace}'; UPDATE executions SET state = 2 WHERE id = '{leaf}'", "workspace",
     "UPDATE executions SET state = 3 WHERE id = '{leaf}'; UPDATE accounts SET frozen = 0 WHERE workspace_id = '{workspace}'"),
    ("active", "UPDATE accounts SET active = 1 WHERE workspace_id = '{workspace}'", "workspace",
     "UPDATE accounts SET active = 0 WHERE workspace_id = '{workspace}'"),
    ("debit", "UPDATE executions SET cost = cost + 1 WHERE id = '{leaf}'", "leaf",
     "UPDATE executions SET cost = cost - 1 WHERE id = '{leaf}'"),
    ("debit_stray", "INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, number) VALUES"
     f" ('{{workspace}}', '{NOBODY}', 2, 0, '{{leaf}}', 0)", NOBODY, f"DELETE FROM credit_ledger WHERE id = '{NOBODY}'"),
    ("debit_stray", "INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, number) VALUES"
     f" ('{{workspace}}', '{NOBODY}', 2, 0, '{NOBODY}', 0)", NOBODY, f"DELETE FROM credit_ledger WHERE id = '{NOBODY}'"),
    # as many debits as executions
    ("debit_stray", f"UPDATE credit_ledger SET id = '{NOBODY}', execution_id = '{NOBODY}' WHERE id = '{{leaf}}'", NOBODY,
     f"UPDATE credit_ledger SET id = '{{leaf}}', execution_id = '{{leaf}}' WHERE id = '{NOBODY}'"),
    ("refund", "INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, number) VALUES"
     f" ('{{workspace}}', '{NOBODY}', 3, 0, '{{never}}', 0)", "never", f"DELETE FROM credit_ledger WHERE id = '{NOBODY}'"),
    ("refund_due", "UPDATE executions SET effects = 0 WHERE id = '{fail}'", "fail",
     "UPDATE executions SET effects = 1 WHERE id = '{fail}'"),
    ("failures", "UPDATE execution_failures SET reason = reason + 1 WHERE execution_id = '{fail}'", "fail",
     "UPDATE execution_failures SET reason = reason - 1 WHERE execution_id = '{fail}'"),
    ("key_wrong", "UPDATE idempotency_keys SET idempotency_key = 'The-key' WHERE idempotency_key = 'the-key'", "workspace",
     "UPDATE idempotency_keys SET idempotency_key = 'the-key' WHERE idempotency_key = 'The-key'"),
    ("key_stray", f"UPDATE idempotency_keys SET execution_id = '{NOBODY}' WHERE idempotency_key = 'the-key'", NOBODY,
     "UPDATE idempotency_keys SET execution_id = '{leaf}' WHERE idempotency_key = 'the-key'"),
    ("batch", "INSERT INTO batches VALUES ('{leaf}', '{workspace}', '{leaf}', 2, '{leaf}', '{leaf}', 2, '{{}}', 4000000000000)", "leaf",
     "DELETE FROM batches"),
    ("batch", f"INSERT INTO batches VALUES ('{{leaf}}', '{{workspace}}', '{{leaf}}', 2, '{NOBODY}', '{NOBODY}', 1, '{{{{}}}}', 4000000000000)", "leaf",
     "DELETE FROM batches"),
    ("terminal", "UPDATE executions SET ended_ms = NULL WHERE id = '{leaf}'", "leaf",
     "UPDATE executions SET ended_ms = updated_ms WHERE id = '{leaf}'"),
    ("events", "UPDATE events SET seq = seq + 1 WHERE execution_id = '{leaf}' ORDER BY seq DESC LIMIT 1", "leaf",
     "UPDATE events SET seq = seq - 1 WHERE execution_id = '{leaf}' ORDER BY seq DESC LIMIT 1"),
    ("events", "UPDATE events SET type = 13 WHERE execution_id = '{leaf}' AND type = 12", "leaf",
     "UPDATE events SET type = 12 WHERE execution_id = '{leaf}' AND type = 13"),
    ("events", "UPDATE events SET type = 12 WHERE execution_id = '{leaf}' AND seq = 2", "leaf",
     "UPDATE events SET type = 2 WHERE execution_id = '{leaf}' AND seq = 2"),
    ("events_stray", f"INSERT INTO events VALUES ('{NOBODY}', 1, 1, 0, '{{{{}}}}')", NOBODY,
     f"DELETE FROM events WHERE execution_id = '{NOBODY}'"),
    ("result", "UPDATE executions SET output = NULL WHERE id = '{leaf}'", "leaf",
     "UPDATE executions SET output = 'null' WHERE id = '{leaf}'"),
    ("step_again", "UPDATE events SET data = JSON_SET(data, '$.index', 0) WHERE execution_id = '{leaf}' AND type = 3", "leaf",
     "UPDATE events SET data = JSON_SET(data, '$.index', 1) WHERE execution_id = '{leaf}' AND type = 3 AND seq > 4"),
    ("step_rows", "UPDATE execution_steps SET status = 1 WHERE execution_id = '{leaf}' AND step = 1", "leaf",
     "UPDATE execution_steps SET status = 2 WHERE execution_id = '{leaf}' AND step = 1"),
    ("child_wrong", f"UPDATE execution_children SET parent_id = '{NOBODY}' WHERE child_id = '{{child}}'", "child",
     "UPDATE execution_children SET parent_id = '{parent}' WHERE child_id = '{child}'"),
    ("child_wrong", "UPDATE executions SET has_children = 0 WHERE id = '{parent}'", "child",
     "UPDATE executions SET has_children = 1 WHERE id = '{parent}'"),
    ("child_stray", "DELETE FROM execution_children WHERE child_id = '{child}'", "child",
     "INSERT INTO execution_children VALUES ('{parent}', '{child}', '{parent}', 0, 99, 1)"),
]


@pytest.mark.parametrize("check,damage,where,mend", DAMAGE, ids=[f"{d[0]}-{i}" for i, d in enumerate(DAMAGE)])
def test_each_damage_is_reported_by_its_check(stack, system, check, damage, where, mend):
    stack.sql(damage.format(**system))
    try:
        found = audit(stack)
        assert system.get(where, where) in found.get(check, []), found
    finally:
        stack.sql(mend.format(**system))
    assert audit(stack) == {}


def test_acknowledged_id_without_row_is_reported(stack, system, tmp_path):
    ids = tmp_path / "ids"
    ids.write_text(f"{system['leaf']}\n\n{NOBODY}\n{system['fail']}\n")
    assert audit(stack, "--acknowledged", ids) == {"acknowledged": [NOBODY]}
    ids.write_text("not an id\n")
    code, _, err = stack.cli("audit", "--acknowledged", ids, check=False)
    assert code == 1 and "not an id" in err


def test_missed_deadline_is_reported(stack, system):
    """No executor runs, so that nobody claims the run."""
    workspace = stack.workspace()
    client = workspace.client()
    slow = workspace.put_workflow({"steps": [{"name": "long", "type": "delay", "seconds": 600}]})
    stack.stop_server("executor")
    run = client.started(slow)
    stack.sql(f"UPDATE executions SET deadline_ms = (UNIX_TIMESTAMP() - 20) * 1000 WHERE id = '{run}'")
    assert audit(stack) == {}
    assert audit(stack, "--grace-seconds", 10) == {"deadline": [run]}
    client.post(f"/executions/{run}/stop")
    stack.start_server("executor")


def test_leftovers_of_an_idle_system_are_reported(stack, system):
    counter = f"millrace:credits:{system['workspace']}"
    balance = stack.redis("HGET", counter, "balance")
    stack.redis("HSET", counter, "balance", 7)
    assert audit(stack, "--at-rest") == {"counters": [system["workspace"]]}
    stack.redis("HSET", counter, "balance", balance)
    claim = f"millrace:replay:{system['workspace']}:x"
    stack.redis("SET", claim, "claim token")
    assert audit(stack, "--at-rest") == {"claims": [claim]}
    stack.redis("SET", claim, "claim token", "PX", 300)
    assert audit(stack, "--at-rest") == {}
    stack.stop_server("redis")
    assert set(audit(stack, "--at-rest")) == {"counters", "claims"}
    stack.start_server("redis")


def test_leftover_run_folder_is_reported(stack, system):
    runs = stack.dir / "data/runs"
    runs.mkdir(exist_ok=True)
    (runs / "left").mkdir()
    ini = stack.dir / "millrace.ini"
    assert f"run_dir = {runs}" in ini.read_text()
    assert audit(stack, "--at-rest") == {"folders": ["left"]}
    (runs / "left").rmdir()
    assert audit(stack, "--at-rest") == {}


def test_active_child_of_ended_run_is_reported(stack, system):
    stack.stop_server("executor")
    ended = stack.sql_one(f"SELECT ended_ms FROM executions WHERE id = '{system['child']}'")
    stack.sql(f"UPDATE executions SET state = 1, ended_ms = NULL WHERE id = '{system['child']}'")
    found = audit(stack, "--at-rest")
    stack.sql(f"UPDATE executions SET state = 3, ended_ms = {ended} WHERE id = '{system['child']}'")
    stack.start_server("executor")
    assert system["child"] in found["child_open"]
    assert audit(stack, "--at-rest") == {}
