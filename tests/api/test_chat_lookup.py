"""Looks up the execution that a tool call of a chat started."""
import threading
import uuid

import pytest
from skills import Space, probe
from stack import Client


@pytest.fixture(scope="module", autouse=True)
def no_executor(stack):
    stack.stop_server("executor")


@pytest.fixture
def space(workspace):
    probe(workspace, "pass")
    return Space(workspace)


def by_call(space, call):
    from requests.utils import quote
    return space.client.get(f"{space.path}/executions/by-chat-tool-call/{quote(call, safe='')}")


def test_execution_is_found_once_accepted(space):
    assert by_call(space, "call_1").status_code == 404
    message = str(uuid.uuid4())
    answer = space.start("probe", chat={"thread_id": "t-1", "message_id": message, "tool_call_id": "call_1"})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["source"] == "chat" and data["chat_thread_id"] == "t-1"
    assert data["chat_message_id"] == message and data["chat_tool_call_id"] == "call_1"
    found = by_call(space, "call_1")
    assert found.status_code == 200 and found.json() == {"data": data}


@pytest.mark.parametrize("call", ["a/b", "a b", "ü", "%2F", "call?x=1", "a+b", "x" * 256, "...", "a\\b", '"'])
def test_tool_call_id_may_hold_any_octets(space, call):
    id = space.started("probe", chat={"tool_call_id": call})
    found = by_call(space, call)
    assert found.status_code == 200, found.text
    assert found.json()["data"]["id"] == id


def test_tool_call_ids_are_compared_by_octet(space):
    space.started("probe", chat={"tool_call_id": "Call-1"})
    for other in ("call-1", "Call-1 ", "CALL-1"):
        assert by_call(space, other).status_code == 404
        space.started("probe", chat={"tool_call_id": other})


def test_second_execution_of_a_tool_call_is_rejected_with_the_first_id(stack, workspace, space):
    first = space.started("probe", chat={"tool_call_id": "twice"})
    second = space.start("probe", {"other": 1}, chat={"tool_call_id": "twice"})
    assert second.status_code == 409
    assert second.json()["code"] == "tool_call_exists" and second.json()["execution_id"] == first
    assert workspace.balance() == 999
    keyed = space.start("probe", chat={"tool_call_id": "keyed"}, key="k")
    replay = space.start("probe", chat={"tool_call_id": "keyed"}, key="k")
    assert replay.status_code == 201 and replay.content == keyed.content
    assert space.start("probe", chat={"tool_call_id": "keyed"}, key="k2").status_code == 409
    assert space.start("probe", chat={"tool_call_id": "free"}, key="k2").status_code == 201, "a rejected request does not use up its key"


def test_concurrent_starts_of_a_tool_call_create_one_execution(stack, workspace, space):
    answers = []

    def one():
        mine = Space(workspace, Client(stack.url, space.client.key))
        answers.append(mine.start("probe", chat={"tool_call_id": "race"}))
    threads = [threading.Thread(target=one) for _ in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    codes = sorted(a.status_code for a in answers)
    assert codes == [201] + [409] * 15
    id = next(a for a in answers if a.status_code == 201).json()["data"]["id"]
    assert {a.json()["execution_id"] for a in answers if a.status_code == 409} == {id}
    count = stack.sql_one(f"SELECT COUNT(*) FROM execution_chats WHERE workspace_id = '{workspace.id}' AND tool_call_id = 'race'")
    assert count == "1" and workspace.balance() == 999


def test_tool_call_ids_are_separate_by_space(stack, space):
    other = stack.workspace()
    probe(other, "pass")
    theirs = Space(other)
    space.started("probe", chat={"tool_call_id": "shared"})
    assert by_call(theirs, "shared").status_code == 404
    theirs.started("probe", chat={"tool_call_id": "shared"})
    assert space.client.get(f"{theirs.path}/executions/by-chat-tool-call/shared").status_code == 404


def test_lookup_accepts_every_prefix_and_rejects_other_methods(stack, workspace, space):
    space.started("probe", chat={"tool_call_id": "p"})
    for prefix in ("/api/v1", "/v1", "/api-proxy/v1"):
        client = Client(stack.url, space.client.key, prefix)
        assert client.get(f"{space.path}/executions/by-chat-tool-call/p").status_code == 200
    answer = space.client.post(f"{space.path}/executions/by-chat-tool-call/p")
    assert answer.status_code == 405 and answer.headers["Allow"] == "GET, HEAD"


def test_workflow_run_of_a_chat_is_not_found(workspace, space):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    assert space.client.run(workflow, chat={"tool_call_id": "flow"}).status_code == 202
    assert by_call(space, "flow").status_code == 404
    assert space.start("probe", chat={"tool_call_id": "flow"}).status_code == 409
