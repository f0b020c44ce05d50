"""What children are started with: the row of their workflow or skill, which an executor keeps for a second."""
import math
import time

import pytest
from skills import probe
from stack import eventually

# one process, because each has its own rows
SETTINGS = {"executor.processes": "1"}

VERSION = "print('{{\"version\": {0}}}')"


def step(**more):
    return {"name": "child", **more}


def nested(**more):
    """A program whose result is an input."""
    return {"steps": [{"name": "a", "type": "transform", "value": more}], "outputs": "${/steps/a/result}"}


class Children:
    """Starts children of the same workflow or skill, before and after a change."""

    def __init__(self, stack, workspace, effects, step):
        self.stack, self.workspace, self.client, self.effects, self.step = stack, workspace, workspace.client(), effects, step

    def after(self, change, step=None):
        """The run that starts a child after the change, less than a second after the row was read for another child."""
        release = self.effects.hold("/hold")
        hold = {"name": "hold", "type": "http", "request": {"method": "GET", "url": f"{self.effects.url}/hold"}}
        waiting = self.client.started(self.workspace.put_workflow({"steps": [hold, step or self.step]}))
        first = self.workspace.put_workflow({"steps": [self.step]})
        self.effects.wait_for("/hold")
        first = self.client.started(first)
        eventually(lambda: self.of(first), what="the first child")
        change()
        release()
        run = self.client.finished(waiting)
        assert self.client.finished(first)["status"] == "success"
        return run

    def of(self, parent):
        return self.stack.sql("SELECT e.id, e.version FROM execution_children c JOIN executions e ON e.id = c.child_id "
                              f"WHERE c.parent_id = '{parent}'")

    def charged(self, parent):
        [[child, _]] = self.of(parent)
        return float(self.client.get(f"/executions/{child}").json()["creditsUsed"])


@pytest.fixture
def skill(stack, workspace, effects):
    probe(workspace, VERSION.format(1))
    return Children(stack, workspace, effects, step(type="skill", slug="probe"))


@pytest.fixture
def workflow(stack, workspace, effects):
    children = Children(stack, workspace, effects, None)
    children.id = workspace.put_workflow(nested(version=1))
    children.step = step(type="workflow", workflow_id=children.id)
    return children


def put_version(workflow, program):
    answer = workflow.client.put(f"/workflows/{workflow.id}", json={"name": "test", "program": program})
    assert answer.status_code == 200, answer.text


def test_the_next_child_has_a_skills_new_version(skill):
    run = skill.after(lambda: probe(skill.workspace, VERSION.format(2), version="2.0.0"))
    assert run["status"] == "success" and [version for _, version in skill.of(run["id"])] == ["2"], run


def test_the_next_child_has_a_workflows_new_version(workflow):
    run = workflow.after(lambda: put_version(workflow, nested(version=2)))
    assert run["status"] == "success" and [version for _, version in workflow.of(run["id"])] == ["2"], run


def test_a_removed_skill_starts_no_child(stack, skill):
    run = skill.after(lambda: stack.cli("skill", "remove", "probe", "--workspace", skill.workspace.id))
    assert run["status"] == "failed" and "has no skill probe" in run["error"], run


def test_an_archived_workflow_starts_no_child(workflow):
    def archive():
        assert workflow.client.delete(f"/workflows/{workflow.id}").status_code in (200, 204)
    run = workflow.after(archive)
    assert run["status"] == "failed" and "does not exist" in run["error"], run


def test_inputs_are_refused_by_the_current_version_only(skill, workflow):
    """The former version requires a number, the new one does not."""
    probe(skill.workspace, VERSION.format(2), version="2.0.0", inputs={"type": "object", "required": ["n"]})
    skill.step["inputs"] = {"n": 1}
    run = skill.after(lambda: probe(skill.workspace, VERSION.format(3), version="3.0.0"), step(type="skill", slug="probe"))
    assert run["status"] == "success", run
    put_version(workflow, {"inputs": {"type": "object", "required": ["n"]}, **nested(version=2)})
    workflow.step["inputs"] = {"n": 1}
    run = workflow.after(lambda: put_version(workflow, nested(version=3)), step(type="workflow", workflow_id=workflow.id))
    assert run["status"] == "success", run


def test_the_next_child_is_charged_a_workflows_new_price(stack, workflow):
    price = lambda credits: lambda: stack.cli("workflow", "price", workflow.id, "--workspace", workflow.workspace.id, "--credits", credits)
    for credits, charged in (("5", 5), ("0.25", 0.25), ("default", 1)):
        run = workflow.after(price(credits))
        assert run["status"] == "success" and workflow.charged(run["id"]) == charged, (credits, run)


def test_the_next_child_is_charged_a_skills_new_price(stack, skill):
    change = (f"UPDATE skills SET price = 5000000 WHERE workspace_id = '{skill.workspace.id}'",
              f"UPDATE accounts SET responders = responders + 1 WHERE workspace_id = '{skill.workspace.id}'")
    run = skill.after(lambda: stack.sql("BEGIN; " + "; ".join(change) + "; COMMIT"))
    assert run["status"] == "success" and skill.charged(run["id"]) == 5, run


def test_a_price_that_an_older_program_sets_is_charged_after_a_second(stack, workflow):
    """It does not raise the catalog version."""
    parent = workflow.workspace.put_workflow({"steps": [workflow.step]})

    def charged():
        run = workflow.client.finished(workflow.client.started(parent))
        return workflow.charged(run["id"])
    assert charged() == 1
    stack.sql(f"UPDATE workflows SET price = 5000000 WHERE id = '{workflow.id}'")
    eventually(lambda: charged() == 5, 5, "the new price")


@pytest.fixture
def statements(stack):
    """How many statements with a text MariaDB has executed since then."""
    stack.sql("SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1")

    def count(text):
        rows = stack.sql("SELECT CONVERT(argument USING utf8mb4) FROM mysql.general_log WHERE command_type = 'Execute'")
        return sum(text in row for row, in rows)
    yield count
    stack.sql("SET GLOBAL general_log = 0; TRUNCATE mysql.general_log")


SKILL_READ, SKILL_CHECKED = "s.slug = ", "price FROM skills WHERE id IN"
WORKFLOW_READ, WORKFLOW_CHECKED = "SELECT w.version, w.price, a.responders", "price FROM workflows WHERE id IN"


def test_children_of_one_responder_read_its_row_once_a_second(skill, workflow, statements):
    many = {"for_each": list(range(60)), "concurrency": 4}
    parent = skill.workspace.put_workflow({"steps": [{**skill.step, "name": "skills", **many}, {**workflow.step, "name": "workflows", **many}]})
    began = time.monotonic()
    run = skill.client.finished(skill.client.started(parent))
    most = 1 + math.ceil(time.monotonic() - began)
    assert run["status"] == "success" and len(skill.of(run["id"])) == 120
    assert 1 <= statements(SKILL_READ) <= most and 1 <= statements(WORKFLOW_READ) <= most
    assert statements(SKILL_CHECKED) == statements(WORKFLOW_CHECKED) == 0, "the catalog version is that of the row"


def test_an_outdated_row_is_used_once(workflow, statements):
    """Then it is read anew, and the child is accepted."""
    many = step(type="workflow", workflow_id=workflow.id, for_each=list(range(10)), concurrency=10)
    run = workflow.after(lambda: put_version(workflow, nested(version=2)), many)
    assert run["status"] == "success" and [version for _, version in workflow.of(run["id"])] == ["2"] * 10
    assert statements(WORKFLOW_CHECKED) <= 2 and statements(WORKFLOW_READ) <= 3
