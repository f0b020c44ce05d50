"""Processes that die while they wake a parked run, stop a large tree in slices, or debit and settle a run with a price for its use. They die at
crash points, which only programs built with VARIANT=crash have."""
import os
import subprocess

import pytest
from stack import ROOT, eventually
from test_prices import check_books, put, settled
from test_stop_slices import check_stopped, count, number, step, tree  # noqa: F401: `tree` is a fixture

pytestmark = [pytest.mark.serial, pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="builds and runs programs with crash points")]
SETTINGS = {"executor.park_after_ms": "200", "executor.processes": "1", "api.workers": "2"}


@pytest.fixture(scope="module")
def points(stack, tmp_path_factory):
    """The directory of the crash points: a process that reaches the point with the name of a file removes the file and dies."""
    subprocess.run(["make", "-s", "-j2", "VARIANT=crash", "all"], cwd=ROOT, check=True)
    directory = tmp_path_factory.mktemp("points")
    stack.env.update(MILLRACE_BIN=str(ROOT / "build/crash/bin"), MILLRACE_CRASH_DIR=str(directory))
    stack.restart_server("executor")
    stack.restart_server("api")
    stack.wait_ready()
    return directory


def arm(points, name):
    (points / name).touch()
    return lambda: not (points / name).exists()


def parked(stack, workspace, client, seconds):
    id = client.started(workspace.put_workflow({"steps": [step("a", "delay", seconds=seconds)]}))
    eventually(lambda: number(stack, f"SELECT COUNT(*) FROM waits WHERE execution_id = '{id}'") == 1, 30, "the run is parked")
    return id


def make_due(stack, id):
    stack.sql(f"UPDATE execution_steps SET due_ms = 1 WHERE execution_id = '{id}'; UPDATE waits SET wake_ms = 1 WHERE execution_id = '{id}'")


@pytest.mark.parametrize("point, losses", [("waits.before_commit", 0), ("waits.after_commit", 0), ("claim.before_commit", 0), ("batch.before_commit", 0),
                                           ("db.in_commit", None), ("claim.begin", 1)])
def test_process_dies_while_it_wakes_a_run(stack, workspace, client, points, point, losses):
    id = parked(stack, workspace, client, 3600)
    died = arm(points, point)
    make_due(stack, id)
    eventually(died, 30, point)
    assert client.finished(id, 60)["status"] == "success"
    found = number(stack, f"SELECT losses FROM executions WHERE id = '{id}'")
    assert found == losses or losses is None and found <= 1
    assert number(stack, f"SELECT COUNT(*) FROM waits WHERE execution_id = '{id}'") == 0
    assert stack.cli("audit")["violations"] == []


@pytest.mark.parametrize("point", ["park.after_commit", "batch.before_commit"])
def test_process_dies_while_it_parks_a_run(stack, workspace, client, points, point):
    died = arm(points, point)
    id = client.started(workspace.put_workflow({"steps": [step("a", "delay", seconds=2)]}))
    eventually(died, 30, point)
    assert client.finished(id, 60)["status"] == "success"
    assert stack.cli("audit")["violations"] == []


def test_run_that_kills_its_executor_whenever_it_is_woken_ends(stack, workspace, client, points):
    id = parked(stack, workspace, client, 3600)
    make_due(stack, id)

    def ended():
        (points / "claim.begin").touch()
        return number(stack, f"SELECT state FROM executions WHERE id = '{id}'") == 4
    eventually(ended, 90, "end of the run")
    (points / "claim.begin").unlink(missing_ok=True)
    assert stack.sql(f"SELECT failure_reason FROM executions WHERE id = '{id}'") == [["3"]]
    assert stack.cli("audit")["violations"] == []


@pytest.mark.parametrize("point", ["stop.after_commit", "stop.slice_before_commit", "stop.slice_after_commit"])
def test_process_dies_while_it_stops_a_large_tree(stack, tree, points, point):  # noqa: F811
    workspace, id = tree
    died = arm(points, point)
    answer = workspace.client().post(f"/executions/{id}/stop")
    assert answer.status_code in (200, 502)
    eventually(died, 30, point)
    assert count(stack, id, f"id = '{id}' AND state = 5") == 1
    check_stopped(stack, workspace, id)


def test_process_dies_while_it_adds_rows_of_an_older_program_to_the_sums(stack, workspace, client, points):
    flow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    for _ in range(3):
        client.finished(client.started(flow), 60)
    died = arm(points, "ledger_sums.before_commit")
    # as a program leaves them that knows no sums
    of = f"WHERE workspace_id = '{workspace.id}'"
    stack.sql(f"START TRANSACTION; UPDATE credit_ledger SET number = NULL {of}; DELETE FROM credit_sums {of}; DELETE FROM credit_months {of}; COMMIT")
    eventually(died, 30, "ledger_sums.before_commit")
    client.finished(client.started(flow), 60)
    eventually(lambda: number(stack, "SELECT COUNT(*) FROM credit_ledger WHERE number IS NULL") == 0, 30, "the sums of the ledger")
    assert number(stack, f"SELECT SUM(n) FROM credit_sums {of} AND kind = 2") == 4
    assert stack.cli("audit")["violations"] == []


# --- runs with a price for what they use ---

@pytest.fixture
def priced(stack):
    """(workspace, client): 100 credits, a budget, and prices of which 12 credits are held."""
    workspace = stack.workspace(credits=100)
    put(workspace, "--credits", "1", "--seconds", "0.5,20", "--bytes", "2,1000000")
    client = workspace.client()
    assert client.post("/budgets", json={"scope": "workspace", "period": "total", "limit": 100}).status_code == 201
    return workspace, client


def check_settled(stack, workspace, run):
    debit, released, ms, size = settled(stack, run)
    assert debit == 13000000 and released == max(0, 12000000 - (min(ms, 20000) * 500 + size * 2))
    check_books(stack, workspace, 100)


@pytest.fixture
def no_executor(stack):
    """So that only the API reaches the points."""
    stack.stop_server("executor")
    yield
    stack.start_server("executor") if not stack.pid("executor") else None


@pytest.mark.parametrize("point", ["accept.before_commit", "db.in_commit", "accept.after_commit"])
def test_process_dies_while_it_accepts_a_priced_run(stack, priced, points, no_executor, point):
    workspace, client = priced
    flow = workspace.put_workflow({"steps": [step("a", "transform", value=1)]})
    died = arm(points, point)
    answer = client.run(flow, key="once")
    assert answer.status_code in (202, 502, 503), answer.text
    eventually(died, 30, point)
    stack.wait_ready(30)
    again = eventually(lambda: (lambda a: a if a.status_code == 202 else None)(client.run(flow, key="once")), 30, "the repetition")
    assert count(stack, again.json()["execution_id"], f"workspace_id = '{workspace.id}'") == 1 and workspace.balance() == 87
    check_books(stack, workspace, 100)
    stack.start_server("executor")
    assert client.finished(again.json()["execution_id"], 60)["status"] == "success"
    check_settled(stack, workspace, again.json()["execution_id"])


@pytest.mark.parametrize("point", ["run_tx.before_commit", "batch.before_commit", "db.in_commit", "run_tx.after_commit"])
def test_process_dies_while_it_settles_a_run_that_ends(stack, priced, points, point):
    workspace, client = priced
    run = parked(stack, workspace, client, 3600)
    died = arm(points, point)
    make_due(stack, run)
    eventually(died, 30, point)
    assert client.finished(run, 60)["status"] == "success"
    check_settled(stack, workspace, run)


@pytest.mark.parametrize("point", ["run_tx.before_commit", "db.in_commit", "run_tx.after_commit", "stop.after_commit"])
def test_process_dies_while_it_stops_a_priced_run(stack, priced, points, no_executor, point):
    workspace, client = priced
    stack.start_server("executor")
    run = parked(stack, workspace, client, 3600)
    stack.stop_server("executor")
    died = arm(points, point)
    assert client.post(f"/executions/{run}/stop").status_code in (200, 502, 503)
    eventually(died, 30, point)
    stack.wait_ready(30)
    assert eventually(lambda: client.post(f"/executions/{run}/stop").status_code in (200, 400), 30, "the repetition")
    assert client.finished(run, 60)["status"] == "stopped"
    check_settled(stack, workspace, run)
