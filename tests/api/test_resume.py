"""Executors that are killed, hang or are stopped in the middle of runs: each run is continued where it was, and no committed step
is executed twice."""
import os
import re
import signal
import subprocess
import time

from skills import Space, probe
from stack import BIN, eventually, kill, suspend, within

GRACE_S = 6
# a delay that is to be in memory is longer than the grace, and shorter than the time after which it would be parked
SETTINGS = {"executor.park_after_ms": str(1000 * (GRACE_S + 3)), "executor.grace_s": str(GRACE_S), "executor.processes": "2", "api.rate_limit_per_minute": "1000000"}


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url, method="GET", **fields):
    return step(name, "http", request={"method": method, "url": url}, **fields)


def holder(stack, id):
    """Process id of the executor that claimed the run last."""
    pids = re.findall(rf"executor\[(\d+)\] run\.claimed execution={id}", stack.log("executor"))
    return int(pids[-1])


def await_processes(stack):
    """Waits until both processes have registered. From then on they have a lease."""
    eventually(lambda: (lambda pids, log: len(pids) == 2 and all(f"executor[{p}] executor.registered" in log for p in pids))(
        stack.children("executor"), stack.log("executor")), 20, "registration of the new processes")


def row(stack, id):
    rows = stack.sql(f"SELECT state, attempt, losses, executor_id FROM executions WHERE id = '{id}'")
    return [int(v) for v in rows[0]]


def check_events(stack, id):
    """Events are numbered without gaps, no succeeded step starts again, and the terminal event is the last."""
    rows = stack.sql(f"SELECT seq, type, IFNULL(JSON_VALUE(data, '$.name'), '') FROM events WHERE execution_id = '{id}' ORDER BY seq")
    assert [int(r[0]) for r in rows] == list(range(1, len(rows) + 1))
    succeeded = set()
    for _, type, name in rows:
        assert not (type == "3" and name in succeeded), f"{name} started again"
        if type == "4":
            assert name not in succeeded, f"{name} succeeded twice"
            succeeded.add(name)
    assert [r[1] for r in rows if r[1] in ("12", "13", "14")] == [rows[-1][1]]


def started(client, workspace, effects, steps, wait_for, **fields):
    workflow = workspace.put_workflow({"steps": steps, **fields})
    id = client.started(workflow)
    effects.wait_for(wait_for)
    return id


def test_run_is_resumed_after_sigkill(stack, workspace, client, effects):
    release = effects.hold("/hold")
    child = workspace.put_workflow({"steps": [step("a", "transform", value="${/inputs/n}")]})
    id = started(client, workspace, effects, [
        http("first", effects.url + "/first", "POST"),
        step("child", "workflow", workflow_id=child, inputs={"n": 3}),
        http("hold", effects.url + "/hold", "POST"),
        http("last", effects.url + "/last", "POST"),
        step("sum", "transform", value=["${/steps/first/result/status}", "${/steps/child/result/outputs}"])], "/hold")
    victim = holder(stack, id)
    os.kill(victim, signal.SIGKILL)
    effects.wait_for("/hold", 2, seconds=40)
    release()
    done = client.finished(id, 30)
    assert done["status"] == "success" and done["detail"]["output"] == [200, 3]
    assert row(stack, id)[:3] == [3, 1, 1]
    assert (effects.count("/first"), effects.count("/last")) == (1, 1)
    assert list(effects.by_key("/hold").values()) == [2], "a repeated attempt must have the same key"
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE parent_id = '{id}'") == "1"
    assert holder(stack, id) != victim
    check_events(stack, id)
    stack.logged("executor", "executor.lost")
    stack.logged("executor", f"run.requeued execution={id}")
    await_processes(stack)


def test_loop_delay_and_child_are_resumed_after_sigkill(stack, workspace, client, effects):
    """One SIGKILL for three runs: deadlines are kept, completed items are not repeated, and the child stays the same."""
    release = effects.hold("/i/7")
    loop = started(client, workspace, effects,
                   [http("loop", effects.url + "/i/${/item}", "POST", for_each=list(range(9)), concurrency=2)], "/i/7")
    slow = workspace.put_workflow({"steps": [step("a", "delay", seconds=14), step("b", "transform", value="late")]})
    parent = workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=slow)]})
    began = time.monotonic()
    delay, tree = client.started(slow), client.started(parent)
    eventually(lambda: effects.count("/i/8") == 1 and
               stack.sql(f"SELECT 1 FROM events WHERE execution_id = '{tree}' AND type = 10") and
               stack.sql(f"SELECT 1 FROM execution_steps WHERE execution_id = '{delay}'"), 10, "the wait of all three runs")
    eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM execution_steps WHERE execution_id = '{loop}' AND status = 2") == "8",
               10, "the commit of eight items")
    for pid in stack.children("executor"):
        os.kill(pid, signal.SIGKILL)
    release()
    for id in (delay, tree):
        assert client.finished(id, 60)["status"] == "success"
    assert time.monotonic() - began > 14
    done = client.finished(loop, 60)
    assert [r["body"]["path"] for r in done["detail"]["output"]] == [f"/i/{i}" for i in range(9)]
    counts = [effects.count(f"/i/{i}") for i in range(9)]
    assert counts[:7] + counts[8:] == [1] * 8 and counts[7] == 2
    assert list(effects.by_key("/i/7").values()) == [2]
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE parent_id = '{tree}'") == "1"
    for id in (loop, delay, tree):
        check_events(stack, id)


def test_sigterm_finishes_steps_and_releases_runs(stack, workspace, client, effects):
    release = effects.hold("/finish")
    effects.hold("/hang")
    finishing = started(client, workspace, effects,
                        [http("a", effects.url + "/finish", "POST"), http("b", effects.url + "/next", "POST")], "/finish")
    hanging = started(client, workspace, effects, [http("a", effects.url + "/hang", "POST")], "/hang")
    waiting = client.started(workspace.put_workflow({"steps": [step("a", "delay", seconds=GRACE_S + 2)]}))
    eventually(lambda: stack.sql(f"SELECT 1 FROM execution_steps WHERE execution_id = '{waiting}'"), 10, "the delay")
    os.kill(stack.pid("executor"), signal.SIGTERM)
    # both come before the grace ends
    within(lambda: row(stack, waiting)[0] == 1, GRACE_S / 2, "the immediate release of a run that only waits")
    release()
    within(lambda: row(stack, finishing)[0] == 1, GRACE_S / 3, "the release after the current step")
    assert row(stack, hanging)[0] == 2 and effects.count("/next") == 0
    within(lambda: stack.pid("executor") is None, GRACE_S + 10, "end of the executor")
    assert row(stack, hanging) == [1, 1, 0, 0], "expected: queued, one more attempt, no loss"
    assert stack.sql("SELECT id FROM executors WHERE lost_ms IS NULL") == []
    effects.holds["/hang"].set()
    del effects.holds["/hang"]
    stack.start_server("executor")
    for id in (finishing, hanging, waiting):
        assert client.finished(id)["status"] == "success"
        check_events(stack, id)
    assert (effects.count("/finish"), effects.count("/next")) == (1, 1)
    assert list(effects.by_key("/hang").values()) == [2]


def test_executor_processes_end_with_a_killed_master(stack, workspace, client, effects):
    release = effects.hold("/hold")
    id = started(client, workspace, effects, [http("a", effects.url + "/hold", "POST")], "/hold")
    processes = stack.children("executor")
    stack.kill_server("executor")
    eventually(lambda: not any(os.path.exists(f"/proc/{p}") for p in processes), 10, "end of the executor processes")
    assert row(stack, id) == [1, 1, 0, 0]
    release()
    stack.start_server("executor")
    assert client.finished(id)["status"] == "success"
    check_events(stack, id)


def test_process_that_hung_past_its_lease_is_fenced(stack, workspace, client, effects):
    """SIGSTOP until another process has its run. After SIGCONT it must not act any more and must end."""
    release = effects.hold("/hold")
    id = started(client, workspace, effects, [http("a", effects.url + "/hold", "POST"), http("b", effects.url + "/b", "POST")], "/hold")
    victim = holder(stack, id)
    suspend(victim)
    try:
        effects.wait_for("/hold", 2, seconds=40)
    finally:
        release()
        done = client.finished(id, 30)
        os.kill(victim, signal.SIGCONT)
    assert done["status"] == "success"
    eventually(lambda: not os.path.exists(f"/proc/{victim}"), 15, "end of the fenced process")
    log = stack.log("executor")  # complete: the process has ended
    assert re.search(rf"executor\[{victim}\] executor\.fenced", log)
    assert not re.search(rf"executor\[{victim}\] run\.succeeded execution={id}", log)
    assert effects.count("/b") == 1 and list(effects.by_key("/hold").values()) == [2]
    assert row(stack, id)[:3] == [3, 1, 1]
    check_events(stack, id)
    await_processes(stack)


def test_lost_run_is_requeued_though_no_executor_lives_long(stack, workspace, client, effects):
    """Every executor is killed at its second heartbeat, 3 s after its first. Each continues the watch of the one before it."""
    release = effects.hold("/hold")
    id = started(client, workspace, effects, [http("a", effects.url + "/hold", "POST")], "/hold")
    os.kill(holder(stack, id), signal.SIGKILL)
    until = time.monotonic() + 90
    while row(stack, id)[1] == 0 and time.monotonic() < until:
        for (pid,) in stack.sql("SELECT pid FROM executors WHERE beat >= 2"):
            if int(pid) in stack.children("executor"):
                kill(int(pid), signal.SIGKILL)  # it may have ended already
    assert row(stack, id)[1] > 0, "the run must be requeued though no executor lived long"
    stack.stop_server("executor")  # the restart delays of its master have become long
    stack.start_server("executor")
    release()
    assert client.finished(id, 60)["status"] == "success"
    check_events(stack, id)


def test_outage_longer_than_the_lease_releases_runs(stack, workspace, client, effects):
    """All executors fence themselves. Once MariaDB is reachable they release their runs, and the run continues."""
    effects.hold("/hold")
    id = started(client, workspace, effects, [http("first", effects.url + "/first", "POST"), http("a", effects.url + "/hold", "POST")], "/hold")
    await_processes(stack)
    before = stack.log("executor").count("executor.fenced")
    stack.stop_server("mariadb")
    eventually(lambda: stack.log("executor").count("executor.fenced") == before + 2, 25, "both processes fenced")
    effects.holds.pop("/hold").set()
    stack.start_server("mariadb")
    assert client.finished(id, 30)["status"] == "success"
    assert row(stack, id)[:3] == [3, 1, 0], "expected a release, not a loss"
    assert effects.count("/first") == 1 and list(effects.by_key("/hold").values()) == [2]
    check_events(stack, id)
    await_processes(stack)


def test_third_loss_fails_the_run(stack, workspace, client, effects):
    """The third loss fails the run. The first two are set by SQL."""
    release = effects.hold("/hold")
    id = started(client, workspace, effects, [http("a", effects.url + "/hold", "POST")], "/hold")
    before = workspace.balance()
    stack.sql(f"UPDATE executions SET losses = 2 WHERE id = '{id}'")
    os.kill(holder(stack, id), signal.SIGKILL)
    done = client.finished(id, 40)
    release()
    assert (done["status"], done["failure_reason"]) == ("failed", "executor_lost")
    assert workspace.balance() == before, "a step was started, so there is no refund"
    check_events(stack, id)


def test_a_run_that_cannot_be_requeued_does_not_keep_the_others(stack, workspace, client, effects):
    """MariaDB refuses the row of the first of 70 runs of a lost executor. The 69 others are requeued, also those beyond the first page."""
    release = effects.hold("/hold")
    workflow = workspace.put_workflow({"steps": [http("a", effects.url + "/hold", "POST")]})
    runs = sorted(client.started(workflow) for _ in range(70))
    eventually(lambda: effects.count("/hold") == 70, 30, "all requests")
    processes = stack.children("executor")
    suspend(stack.pid("executor"))  # so that it neither replaces them nor tells them to end
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    stack.kill_server("executor")
    stack.sql(f"CREATE TRIGGER poison BEFORE UPDATE ON executions FOR EACH ROW IF OLD.id = '{runs[0]}' THEN "
              "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'poison'; END IF")
    try:
        stack.start_server("executor")
        release()
        for run in runs[1:]:
            assert client.finished(run, 60)["status"] == "success"
        eventually(lambda: f"run.requeue_failed execution={runs[0]}" in stack.log("executor"), 30, "the report of the refused run")
        assert row(stack, runs[0])[:3] == [2, 0, 0]
    finally:
        stack.sql("DROP TRIGGER poison")
    assert client.finished(runs[0], 60)["status"] == "success"
    await_processes(stack)


def test_executor_stops_while_mariadb_is_down(stack, workspace, client, effects):
    """It does not wait for MariaDB forever: it ends when its lease expires, whatever it executes. The runs are found lost and
    continued."""
    effects.hold("/hold")
    id = started(client, workspace, effects, [http("a", effects.url + "/hold", "POST")], "/hold")
    delay = workspace.put_workflow({"steps": [step("a", "delay", seconds=1), step("b", "delay", seconds=5)]})
    parent = client.started(workspace.put_workflow({"steps": [step("a", "workflow", workflow_id=delay)]}))
    probe(workspace, "import sys, time; print('up', file=sys.stderr, flush=True); time.sleep(100)", timeout_seconds=200)
    space = Space(workspace, client)
    skill = space.started("probe")
    eventually(lambda: space.logs(skill) == "up\n" and stack.sql(f"SELECT 1 FROM events WHERE execution_id = '{parent}' AND type = 10"),
               15, "all three runs in progress")
    stack.kill_server("mariadb")
    os.kill(stack.pid("executor"), signal.SIGTERM)
    eventually(lambda: stack.pid("executor") is None, 20, "end of the executor")
    effects.holds.pop("/hold").set()
    stack.start_server("mariadb")
    stack.start_server("executor")
    assert client.finished(id, 40)["status"] == "success"
    assert row(stack, id)[:3] == [3, 1, 1]
    assert list(effects.by_key("/hold").values()) == [2]
    assert client.finished(parent, 40)["status"] == "success"
    eventually(lambda: space.logs(skill) == "up\n", 20, "the repeated skill")
    assert client.post(f"/executions/{skill}/stop").status_code == 200
    for one in (id, parent, skill):
        check_events(stack, one)


def test_failed_start_is_repeated_until_sigterm(stack, tmp_path):
    """The password file is missing. Each process logs that and ends; the master starts others until it receives SIGTERM."""
    log = tmp_path / "executor.log"
    settings = (stack.dir / "millrace.ini").read_text()
    broken = settings.replace(f"{stack.dir}/secrets/millrace_executor", f"{tmp_path}/none").replace(
        f"{stack.dir}/logs/executor.log", str(log))
    (tmp_path / "millrace.ini").write_text(broken)
    master = subprocess.Popen([BIN / "millrace-executor", "--config", tmp_path / "millrace.ini"], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=stack.env)
    try:
        eventually(lambda: log.exists() and log.read_text().count("executor.start_failed") >= 3, 20, "three attempts")
    finally:
        master.terminate()
        said, _ = master.communicate(timeout=20)
    assert master.returncode == 0 and said == "", said


def test_a_claim_that_is_under_way_at_the_stop_leaves_no_run_behind(proxied):
    """Its run comes to the loop after SIGTERM. The process waits for it, and releases it before it ends. Under ASan, a run that the
    process leaves in memory is a leak."""
    stack, proxy = proxied
    workspace = stack.workspace()
    client = workspace.client()
    eventually(lambda: "executor.registered" in stack.log("executor"), 20, "a lease")
    workflow = workspace.put_workflow({"steps": [step("a", "delay", seconds=2)]})
    proxy.tell(do="commit", when="delay", seconds=0.7, count=1, contains=workflow, pids=stack.children("executor"))
    id = client.started(workflow, {"text": "x" * 100000})  # a run with a large input begins after its claim
    eventually(lambda: proxy.tell(do="count")["delays"], 20, "the claim")
    stack.stop_server("executor")
    assert row(stack, id) == [1, 1, 0, 0], "queued again by the process that had claimed it"
    stack.start_server("executor")
    client.finished(id, 30)


def test_a_run_whose_program_is_of_a_later_version_is_left_to_other_executors(stack, workspace, client):
    """For a minute; then it fails. Programs that compile are executed meanwhile."""
    flows = [workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": n}]}, name=f"later-{n}") for n in range(3)]
    stack.stop_server("executor")
    left, failing, other = (client.started(flow) for flow in flows)
    later = "UPDATE workflow_versions SET program = REPLACE(program, 'transform', 'telepathy') WHERE workflow_id = '{}'"
    for flow in flows[:2]:
        stack.sql(later.format(flow))
    stack.start_server("executor")
    assert client.finished(other)["status"] == "success"
    for flow in flows[:2]:
        stack.logged("executor", "workflow.compile_failed", flow)
    assert [client.execution(run)["state"] for run in (left, failing)] == ["queued"] * 2
    stack.sql(f"UPDATE executions SET updated_ms = updated_ms - 60000 WHERE id = '{failing}'")
    ended = client.finished(failing)
    assert (ended["state"], ended["failure_reason"]) == ("failed", "internal")
    assert client.execution(left)["state"] == "queued"
    stack.sql(later.replace("'transform', 'telepathy'", "'telepathy', 'transform'").format(flows[0]))
    stack.restart_server("executor")  # as if the next one were of that version
    assert client.finished(left)["status"] == "success"
