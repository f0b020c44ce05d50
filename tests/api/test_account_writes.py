"""Whoever decides under an account's lock writes the account: of two servers that replicate to each other, the one that comes second
finds the conflict. Also the times that fit a cluster, and `millrace migrate` without a lock of the server."""
import json
import subprocess
import uuid

import pytest

from stack import BIN, eventually

SETTINGS = {"database.timeout_s": 5, "database.settle_s": 8, "executor.lease_s": 15}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
LONG = {"steps": [{"name": "a", "type": "delay", "seconds": 600}]}


class Case:
    def __init__(self, stack, **limits):
        self.stack = stack
        self.workspace = stack.workspace(**limits)
        self.client = self.workspace.client()
        self.workflow = self.workspace.put_workflow(PROGRAM)

    def account(self):
        return self.stack.sql(f"SELECT version, responders, touched FROM accounts WHERE workspace_id = '{self.workspace.id}'")

    def writes(self, status, request):
        """The response of request(), which has written the account."""
        before = self.account()
        answer = request()
        assert answer.status_code == status, answer.text
        assert self.account() != before, "a decision under the account's lock that did not write the account"
        return answer

    def forget(self):
        """Without Redis's copies every decision is MariaDB's."""
        self.stack.redis("FLUSHALL")


@pytest.fixture
def case(stack):
    return Case(stack)


def test_a_replay(case):
    key = str(uuid.uuid4())
    case.client.finished(case.client.run(case.workflow, key=key).json()["execution_id"])
    case.forget()
    case.writes(202, lambda: case.client.run(case.workflow, key=key))


def test_a_key_that_was_used_for_another_request(case):
    key = str(uuid.uuid4())
    case.client.finished(case.client.run(case.workflow, key=key).json()["execution_id"])
    case.forget()
    case.writes(422, lambda: case.client.run(case.workflow, {"other": 1}, key=key))


def test_a_refusal_for_lack_of_capacity(stack):
    case = Case(stack, max_concurrent=1)
    long = case.workspace.put_workflow(LONG)
    execution = case.client.started(long)
    case.forget()
    case.writes(429, lambda: case.client.run(long))
    case.writes(200, lambda: case.client.post(f"/executions/{execution}/stop"))


def test_a_stop_of_a_run_that_has_ended(case):
    execution = case.client.started(case.workflow)
    case.client.finished(execution)
    case.writes(400, lambda: case.client.post(f"/executions/{execution}/stop"))


def test_a_workflow_that_is_stored_again_with_its_key(case):
    body = {"name": "n", "program": PROGRAM}
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    case.writes(201, lambda: case.client.post("/workflows", json=body, headers=headers))
    case.writes(201, lambda: case.client.post("/workflows", json=body, headers=headers))


def test_a_file(case):
    case.writes(201, lambda: case.client.post("/files/", files=[("files", ("a.txt", b"a"))]))
    case.writes(204, lambda: case.client.delete("/files/a.txt"))


def test_many_runs_by_one_request(case):
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    items = {"items": [{"inputs": {}}]}
    first = case.writes(200, lambda: case.client.post(f"/workflows/{case.workflow}/run-batch", json=items, headers=headers))
    case.client.finished(first.json()["results"][0]["execution_id"])
    case.writes(200, lambda: case.client.post(f"/workflows/{case.workflow}/run-batch", json=items, headers=headers))


def test_limits_that_stay_as_they_are(stack):
    case = Case(stack, max_concurrent=5)
    before = case.account()
    stack.cli("workspace", "set", "--workspace", case.workspace.id, "--max-concurrent", 5)
    assert case.account() != before


def test_a_limit_counts_the_runs_that_are_open_and_writes_them(case):
    execution = case.client.started(case.workspace.put_workflow(LONG))
    case.client.finished(case.client.started(case.workflow))
    eventually(lambda: case.client.execution(execution)["status"] == "running", 10, "the run running")
    row = f"SELECT updated_ms FROM executions WHERE id = '{execution}'"
    before = case.stack.sql_one(row)
    case.stack.cli("workspace", "set", "--workspace", case.workspace.id, "--max-concurrent", 5)
    assert case.stack.sql_one(row) != before, "an end of the run on another server would not be in conflict"
    assert case.stack.sql_one(f"SELECT active FROM accounts WHERE workspace_id = '{case.workspace.id}'") == "1"
    assert case.client.post(f"/executions/{execution}/stop").status_code == 200
    assert case.stack.cli("audit")["ok"]


def test_executors_tell_the_others_their_lease(stack):
    assert {lease for lease, in stack.sql("SELECT lease_ms FROM executors WHERE lost_ms IS NULL")} == {"15000"}


# --- migrate -----------------------------------------------------------------------------------------------

def other_database(stack, name):
    stack.sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4; GRANT ALL ON {name}.* TO 'millrace_admin'@'localhost'")
    config = stack.dir / f"{name}.ini"
    config.write_text((stack.dir / "millrace.ini").read_text().replace("name = millrace\n", f"name = {name}\n"))

    def migrate():
        return subprocess.Popen([BIN / "millrace", "--json", "--config", config, "migrate"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return migrate


def test_migrations_at_the_same_time_are_each_executed_once(stack):
    migrate = other_database(stack, "together")
    done = [(p.communicate(timeout=60), p.returncode) for p in [migrate() for _ in range(4)]]
    assert all(code == 0 for _, code in done), done
    lists = [json.loads(out) for (out, _), _ in done]
    for rows in zip(*lists):
        assert [row["new"] for row in rows].count(True) == 1, rows
        assert len({row["applied_at"] for row in rows}) == 1, rows


def test_migrate_waits_for_a_migration_that_another_one_executes(stack):
    migrate = other_database(stack, "waiting")
    assert migrate().wait(60) == 0
    last = stack.sql_one("SELECT MAX(number) FROM waiting.schema_migrations")
    stack.sql(f"UPDATE waiting.schema_migrations SET applied_ms = NULL WHERE number = {last}")
    second = migrate()
    looks = "SELECT COUNT(*) FROM information_schema.processlist WHERE db = 'waiting'"
    eventually(lambda: stack.sql_one(looks) == "1", 20, "the second one, which looks at the rows")
    assert second.poll() is None
    stack.sql(f"UPDATE waiting.schema_migrations SET applied_ms = 5 WHERE number = {last}")
    out, err = second.communicate(timeout=30)
    assert second.returncode == 0, err
    assert not any(row["new"] for row in json.loads(out))
