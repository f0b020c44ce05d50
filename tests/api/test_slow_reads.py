"""Lists whose statements take longer than api.slow_read_ms start again with a turn of their workspace."""
import rows
from stack import eventually

SETTINGS = {"api.slow_read_ms": "1"}


def counted(stack, client, name):
    lines = client.session.get(stack.url + "/metrics").text.splitlines()
    return next(int(line.split(" ")[1]) for line in lines if line.startswith(f"{name} "))


def test_a_slow_list_is_answered_in_its_turn(stack, workspace, client):
    flow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    rows.insert(stack.sql_long, workspace.id, flow, 30000, rows.days_ago(1), tags=("many",))
    rows.insert(stack.sql_long, workspace.id, flow, 3, rows.days_ago(2), tags=("many",), state="4", seed=1)
    before = counted(stack, client, "millrace_slow_reads_total")
    for _ in range(3):  # cut at first, then in turn at once
        found = client.get("/executions?tag=many&status=failed&limit=100")
        assert found.status_code == 200 and len(found.json()["executions"]) == 3
    assert counted(stack, client, "millrace_slow_reads_total") > before
    eventually(lambda: not stack.sql("SELECT 1 FROM information_schema.processlist WHERE info LIKE '%execution_tags%' AND id <> CONNECTION_ID()"), 10, "no statement is left")
    # Without a limit left behind: a run is accepted and ends, and a list of another workspace is answered.
    assert client.finished(client.started(flow), 30)["status"] == "success"
    assert stack.workspace().client().get("/executions").json()["executions"] == []
    assert "max_statement_time" not in "".join(log.read_text() for log in (stack.dir / "logs").glob("api*.log"))
