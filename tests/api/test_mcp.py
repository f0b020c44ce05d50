"""The Model Context Protocol at /mcp (docs/agents.md): messages as bytes, by a client of this file. test_mcp_clients.py has the reference
client and the conformance suite."""
import concurrent.futures
import json
import re
import socket
import uuid

import pytest
import requests
from skills import probe
from stack import eventually, revoked, while_it_lasts

SETTINGS = {"mcp.wait_s": "2", "mcp.progress_wait_s": "60", "api.cors_origins": "https://app.example.com"}
LATEST = "2025-11-25"
ECHO = {"inputs": {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}}, "additionalProperties": False},
        "steps": [{"name": "twice", "type": "transform", "value": {"double": ["${/inputs/a}", "${/inputs/a}"]}}]}
SLOW = {"steps": [{"name": "wait", "type": "delay", "seconds": 3600}]}


def waiting(seconds):
    return {"steps": [{"name": "first", "type": "transform", "value": 1}, {"name": "wait", "type": "delay", "seconds": seconds},
                      {"name": "last", "type": "transform", "value": "done"}]}


def events(answer):
    """The server-sent events of a response, as dictionaries; a block without data has data None."""
    block = {}
    for line in answer.iter_lines(decode_unicode=False):
        line = line.decode()
        if not line:
            if block:
                yield block
            block = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(": ")
            block[name] = block[name] + "\n" + value if name == "data" and name in block else value
    assert not block, "the stream ended within an event"


class Mcp:
    def __init__(self, stack, key, version=LATEST, session=True):
        self.url, self.key, self.version, self.number = stack.url + "/mcp", key, version, 0
        self.headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
        self.initialized = self.call("initialize", {"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
        self.headers["MCP-Protocol-Version"] = version
        if session:
            self.headers["Mcp-Session-Id"] = self.last.headers["Mcp-Session-Id"]

    def send(self, body, headers=None, stream=False):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return requests.post(self.url, data=body.encode() if isinstance(body, str) else body, headers={**self.headers, **(headers or {})},
                             stream=stream, timeout=70)

    def open(self, method, params=None, id=None, headers=None):
        if id is None:
            self.number += 1
            id = self.number
        return self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}, headers, stream=True)

    def response(self, answer, id=None):
        """The JSON-RPC response of an answer of either kind; its notifications are in self.notes, its event ids in self.ids."""
        self.last, self.notes, self.ids = answer, [], []
        kind = answer.headers.get("Content-Type", "")
        if kind.startswith("text/event-stream"):
            for event in events(answer):
                if "id" in event:
                    self.ids.append(event["id"])
                if event.get("data"):
                    message = json.loads(event["data"])
                    if "id" in message:
                        assert event["id"] == self.ids[-1]
                        return message
                    self.notes.append(message)
            return None
        assert kind.startswith("application/json"), (answer.status_code, answer.text)
        return answer.json()

    def call(self, method, params=None, id=None, headers=None):
        message = self.response(self.open(method, params, id, headers))
        assert message["jsonrpc"] == "2.0" and message.get("id") == (self.number if id is None else id), message
        return message

    def tool(self, name, arguments=None, **meta):
        params = {"name": name, **({} if arguments is None else {"arguments": arguments}), **({"_meta": meta} if meta else {})}
        return self.call("tools/call", params)["result"]

    def tools(self):
        found, cursor = {}, None
        while True:
            page = self.call("tools/list", {"cursor": cursor} if cursor else {})["result"]
            assert not set(found) & {t["name"] for t in page["tools"]}
            found.update((t["name"], t) for t in page["tools"])
            cursor = page.get("nextCursor")
            if not cursor:
                return found


def expose(workspace, program, name, **more):
    body = {"name": name, "program": program, "expose": True, **more}
    answer = workspace.client().post("/workflows", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
def mcp(stack, workspace):
    return Mcp(stack, workspace.key()["key"])


def text(result):
    assert [c["type"] for c in result["content"]] == ["text"]
    return result["content"][0]["text"]


# --- what is exposed ------------------------------------------------------------------------------------------------------


def test_nothing_is_exposed_by_default(stack, workspace, mcp):
    workspace.put_workflow(ECHO, "Echo it")
    probe(workspace, "pass")
    assert set(mcp.tools()) == {"get_execution", "stop_execution"}
    for name in ("echo_it", "run_echo_it", "probe"):
        assert mcp.call("tools/call", {"name": name})["error"]["code"] == -32602


def test_exposed_workflows_and_skills_are_tools(stack, workspace, mcp):
    made = expose(workspace, ECHO, "Echo: it!", description="Says it twice.")
    assert (made["expose"], made["tool"]) == (True, "echo_it")
    probe(workspace, "pass", expose=True, credits=2.5, inputs={"properties": {"x": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}},
          outputs={"type": "object", "properties": {"y": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}})
    tools = mcp.tools()
    assert set(tools) == {"get_execution", "stop_execution", "echo_it", "probe"}
    echo, skill = tools["echo_it"], tools["probe"]
    assert echo["inputSchema"] == ECHO["inputs"] and echo["title"] == "Echo: it!"
    assert echo["description"] == "Says it twice.\n\nPrice: 1 credit a run." and "2.5 credits" in skill["description"]
    assert skill["inputSchema"]["type"] == "object" and skill["inputSchema"]["$defs"]
    assert skill["outputSchema"]["properties"]["output"]["$id"].startswith("urn:millrace:")
    assert echo["annotations"]["readOnlyHint"] is False and tools["get_execution"]["annotations"]["readOnlyHint"] is True
    client = workspace.client()
    assert client.get(f"/workflows/{made['id']}").json()["tool"] == "echo_it"
    answer = client.put(f"/workflows/{made['id']}", json={"name": "Echo: it!", "program": ECHO})
    assert (answer.json()["expose"], answer.json()["tool"]) == (False, None)
    assert "echo_it" not in mcp.tools()


def test_tools_of_another_workspace_and_scope_are_invisible(stack, workspace):
    other = stack.workspace(credits=10)
    made = expose(workspace, ECHO, "Echo it")
    probe(workspace, "pass", expose=True)
    mine = Mcp(stack, workspace.key()["key"])
    run = mine.tool("echo_it", {"a": 1})["structuredContent"]["execution_id"]
    foreign = Mcp(stack, other.key()["key"])
    assert set(foreign.tools()) == {"get_execution", "stop_execution"}
    assert foreign.call("tools/call", {"name": "echo_it", "arguments": {"a": 1}})["error"]["code"] == -32602
    for tool in ("get_execution", "stop_execution"):
        assert foreign.tool(tool, {"execution_id": run})["isError"]
    narrow = Mcp(stack, workspace.key("skills:execute")["key"])
    assert set(narrow.tools()) == {"get_execution", "stop_execution", "probe"}
    assert narrow.call("tools/call", {"name": "echo_it", "arguments": {"a": 1}})["error"]["code"] == -32602
    # a run that another key has started is visible with executions:read only
    assert narrow.tool("get_execution", {"execution_id": run})["isError"]
    reader = Mcp(stack, workspace.key("skills:execute,executions:read")["key"])
    assert reader.tool("get_execution", {"execution_id": run})["structuredContent"]["output"] == {"double": [1, 1]}
    assert reader.tool("stop_execution", {"execution_id": run})["isError"]
    # an archived workflow is no tool, and its name is free
    assert workspace.client().delete(f"/workflows/{made['id']}").status_code == 204
    assert mine.call("tools/call", {"name": "echo_it", "arguments": {"a": 1}})["error"]["code"] == -32602
    assert expose(workspace, ECHO, "Echo it")["tool"] == "echo_it"


def test_two_workflows_cannot_have_one_tool(stack, workspace):
    first = expose(workspace, ECHO, "Echo it")
    client = workspace.client()
    body = {"name": "echo-IT", "program": ECHO, "expose": True}
    answer = client.post("/workflows", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "tool_name_taken")
    made = client.post("/workflows", json={**body, "expose": False}).json()
    assert client.put(f"/workflows/{made['id']}", json=body).json()["code"] == "tool_name_taken"
    assert client.put(f"/workflows/{first['id']}", json={**body, "name": "Echo it"}).json()["version"] == 2
    assert client.post("/workflows", json={**body, "expose": "yes"}).json()["code"] == "invalid_request"


def test_list_is_paged(stack, workspace, mcp):
    names = [f"tool_{i:03}" for i in range(45)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: expose(workspace, ECHO, n), names))
    for i in range(3):
        probe(workspace, "pass", slug=f"skill-{i}", expose=True)
    pages, cursor = [], None
    while True:
        page = mcp.call("tools/list", {"cursor": cursor} if cursor else {})["result"]
        pages.append([t["name"] for t in page["tools"]])
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert len(pages) > 1
    assert sum(pages, []) == ["get_execution", "stop_execution", "skill-0", "skill-1", "skill-2", *names]
    for cursor in ("", "no such!", 7, {}, "x" * 65):
        assert mcp.call("tools/list", {"cursor": cursor})["error"]["code"] == -32602


def test_page_of_large_programs_is_short(stack, workspace, mcp):
    big = {"steps": [{"name": "a", "type": "transform", "value": ["x" * 60000] * 6}]}
    names = [f"large_{i}" for i in range(7)]
    for name in names:
        expose(workspace, big, name)
    first = mcp.call("tools/list")["result"]
    assert [t["name"] for t in first["tools"]] == ["get_execution", "stop_execution", *names[:3]] and first["nextCursor"] == names[2]
    assert set(mcp.tools()) == {"get_execution", "stop_execution", *names}


# --- calls ------------------------------------------------------------------------------------------------------------------


def test_call_runs_and_is_charged(stack, workspace, mcp):
    expose(workspace, ECHO, "Echo it")
    before = workspace.balance()
    result = mcp.tool("echo_it", {"a": 7})
    assert result["isError"] is False and json.loads(text(result)) == {"double": [7, 7]}
    content = result["structuredContent"]
    assert content == {"execution_id": content["execution_id"], "status": "success", "credits_used": 1, "output": {"double": [7, 7]}}
    assert before - workspace.balance() == 1
    run = workspace.client().get(f"/executions/{content['execution_id']}").json()
    assert run["detail"]["input"] == {"a": 7}
    assert mcp.last.headers["X-RateLimit-Limit"] and mcp.last.headers["X-Accel-Buffering"] == "no"
    # a string is the text itself
    expose(workspace, {"steps": [{"name": "a", "type": "transform", "value": "Grüße\n"}]}, "Say hello")
    assert text(mcp.tool("say_hello")) == "Grüße\n"


def test_failures_are_results_with_code_and_message(stack, workspace, mcp):
    expose(workspace, ECHO, "Echo it")
    expose(workspace, {"steps": [{"name": "a", "type": "fail", "message": "no luck"}]}, "Fail it")
    failed = mcp.tool("fail_it")
    assert failed["isError"] and "step_failed" in text(failed) and "no luck" in text(failed)
    assert failed["structuredContent"]["error"]["code"] == "step_failed"
    wrong = mcp.tool("echo_it", {"a": "x"})
    assert wrong["isError"] and "invalid_inputs" in text(wrong) and "/inputs/a" in text(wrong)
    poor = stack.workspace(credits=0)
    expose(poor, ECHO, "Echo it")
    assert "insufficient_credits" in text(Mcp(stack, poor.key()["key"]).tool("echo_it", {"a": 1}))
    for params, code in (({}, -32602), ({"name": 7}, -32602), ({"name": "echo_it", "arguments": [1]}, -32602), ({"name": "a b"}, -32602)):
        assert mcp.call("tools/call", params)["error"]["code"] == code
    assert mcp.call("resources/list")["error"]["code"] == -32601


def test_progress_is_reported(stack, workspace, mcp):
    expose(workspace, waiting(1), "Wait a bit")
    for token in ("a token", 7):
        result = mcp.tool("wait_a_bit", {}, progressToken=token)
        assert text(result) == "done"
        values = [n["params"]["progress"] for n in mcp.notes]
        assert values == sorted(set(values)) and len(values) >= 3
        assert {n["method"] for n in mcp.notes} == {"notifications/progress"} and {json.dumps(n["params"]["progressToken"]) for n in mcp.notes} == {json.dumps(token)}
        assert any("wait" in n["params"]["message"] for n in mcp.notes)
    mcp.tool("wait_a_bit", {})
    assert mcp.notes == []


def test_long_call_returns_the_id_of_its_run(stack, workspace, mcp):
    expose(workspace, waiting(4), "Wait long")
    result = mcp.tool("wait_long")
    run = result["structuredContent"]["execution_id"]
    assert result["isError"] is False and result["structuredContent"] == {"execution_id": run, "status": "running"} and run in text(result)
    result = eventually(lambda: (lambda x: x if x["structuredContent"]["status"] != "running" else None)(mcp.tool("get_execution", {"execution_id": run})),
                        30, "the end of the run")
    assert text(result) == "done"


def test_get_execution_leaves_out_the_history(stack, workspace, mcp):
    expose(workspace, {"steps": [{"name": f"step_{i}", "type": "transform", "value": i} for i in range(60)]}, "Many steps")
    started = mcp.tool("many_steps", {}, progressToken="t")
    assert len(mcp.notes) > 100  # more than a page of events
    for token in ({}, {"progressToken": "t"}):
        ended = mcp.tool("get_execution", {"execution_id": started["structuredContent"]["execution_id"]}, **token)
        assert ended == started and mcp.notes == []
        # every event of the stream names the last event of the run
        assert len({i.split(".")[1] for i in mcp.ids}) == 1 and int(mcp.ids[0].split(".")[1]) > 100


def test_stop_execution(stack, workspace, mcp):
    expose(workspace, SLOW, "Wait long")
    run = mcp.tool("wait_long")["structuredContent"]["execution_id"]
    assert mcp.tool("stop_execution", {"execution_id": run})["structuredContent"]["status"] == "stopped"
    assert mcp.tool("stop_execution", {"execution_id": run})["structuredContent"]["status"] == "stopped"
    stopped = mcp.tool("get_execution", {"execution_id": run})
    assert stopped["isError"] and "stopped" in text(stopped)
    for arguments in ({}, {"execution_id": 7}, {"execution_id": "x"}, {"execution_id": run, "more": 1}, {"execution_id": str(uuid.uuid4())}):
        assert mcp.tool("stop_execution", arguments)["isError"] and mcp.tool("get_execution", arguments)["isError"]


def test_cancelled_call_stops_its_run(stack, workspace, mcp):
    expose(workspace, SLOW, "Wait long")
    client = workspace.client()
    for id in (99, "a \"string\" é"):
        answer = mcp.open("tools/call", {"name": "wait_long", "_meta": {"progressToken": "t"}}, id=id)
        stream = events(answer)
        run = next(e for e in stream if "id" in e)["id"].split(".")[0]
        cancel = {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id, "reason": "enough"}}
        # another session and another key cannot stop it
        other = Mcp(stack, mcp.key)
        assert other.send(cancel).status_code == 202
        stranger = Mcp(stack, workspace.key()["key"])
        assert stranger.send(cancel, {"Mcp-Session-Id": mcp.headers["Mcp-Session-Id"]}).status_code == 202
        assert client.get(f"/executions/{run}").json()["status"] == "running"
        done = mcp.send(cancel)
        assert (done.status_code, done.content) == (202, b"")
        assert eventually(lambda: client.get(f"/executions/{run}").json()["status"] == "stopped", 10)
        last = [json.loads(e["data"]) for e in stream if e.get("data")][-1]
        assert last["id"] == id and last["result"]["isError"]
    for params in ({}, {"requestId": None}, {"requestId": {}}, {"requestId": 12345}, None):
        assert mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).status_code == 202


def test_call_that_is_sent_twice_starts_one_run(stack, workspace, mcp):
    expose(workspace, ECHO, "Echo it")
    before = workspace.balance()
    params = {"name": "echo_it", "arguments": {"a": 1}}
    first = mcp.call("tools/call", params, id=1000)
    assert mcp.call("tools/call", params, id=1000) == first
    assert before - workspace.balance() == 1
    changed = mcp.call("tools/call", {**params, "arguments": {"a": 2}}, id=1000)
    assert "idempotency_key_reused" in text(changed["result"])
    assert mcp.call("tools/call", params, id=1001)["result"]["structuredContent"] != first["result"]["structuredContent"]
    alone = Mcp(stack, mcp.key, session=False)  # without a session each call is a new one
    assert alone.call("tools/call", params, id=1) != alone.call("tools/call", params, id=1)
    keyed = [alone.call("tools/call", params, id=1, headers={"Idempotency-Key": "k"})["result"]["structuredContent"]["execution_id"] for _ in range(2)]
    assert keyed[0] == keyed[1]


# --- streams that break -------------------------------------------------------------------------------------------------------


def resume(mcp, id, headers=None):
    return requests.get(mcp.url, headers={**mcp.headers, "Last-Event-ID": id, **(headers or {})}, stream=True, timeout=70)


def test_cut_stream_resumes(stack, workspace, mcp):
    expose(workspace, waiting(3), "Wait a bit")
    answer = mcp.open("tools/call", {"name": "wait_a_bit", "_meta": {"progressToken": "t"}}, id="one")
    seen = []
    for event in events(answer):
        if "id" in event:
            seen.append(event)
        if len(seen) == 3:
            break
    answer.close()
    assert seen[0]["data"] == "" and json.loads(seen[1]["data"])["params"]["progress"] == 1
    mcp.response(resume(mcp, seen[-1]["id"]))
    notes = mcp.notes
    assert [n["params"]["progress"] for n in notes] == list(range(3, 3 + len(notes)))
    final = mcp.response(resume(mcp, seen[0]["id"]))  # once more, from the beginning
    assert final["id"] == "one" and text(final["result"]) == "done"
    assert [n["params"]["progress"] for n in mcp.notes][0] == 1
    again = mcp.response(resume(mcp, mcp.ids[-1]))
    assert again == final and mcp.notes == []
    other = Mcp(stack, stack.workspace(credits=1).key()["key"])
    assert resume(other, seen[0]["id"]).status_code == 404
    for id in ("7", "x", seen[0]["id"] + "0", seen[0]["id"].replace(".", "-"), "a" * 5000, seen[0]["id"].rsplit(".", 2)[0] + ".7b7d."):
        assert resume(mcp, id).status_code == 400, id


def test_streams_outlive_the_event_daemon(stack, workspace, mcp):
    def look(seconds):
        expose(workspace, waiting(seconds), f"Wait {seconds} s")
        answers = [mcp.open("tools/call", {"name": f"wait_{seconds}_s", "_meta": {"progressToken": "t"}}),
                   mcp.open("tools/call", {"name": f"wait_{seconds}_s"}, headers={"MCP-Protocol-Version": "2025-06-18"})]
        streams = [events(a) for a in answers]
        primed = next(e for e in streams[0] if "id" in e)
        stack.stop_server("stream")
        try:
            assert not any("result" in (e.get("data") or "") for e in streams[0])
            # a client that cannot resume gets the id of the run
            last = [json.loads(e["data"]) for e in streams[1] if e.get("data")][-1]
            assert last["result"]["structuredContent"]["status"] == "running"
            # without the daemon a call is answered with the id of its run at once
            alone = mcp.tool(f"wait_{seconds}_s")
            assert alone["structuredContent"]["status"] == "running" and mcp.last.headers["Content-Type"] == "application/json"
        finally:
            stack.start_server("stream")
        return primed, alone
    primed, alone = while_it_lasts(3, look)
    assert text(mcp.response(resume(mcp, primed["id"]))["result"]) == "done"
    eventually(lambda: text(mcp.tool("get_execution", {"execution_id": alone["structuredContent"]["execution_id"]})) == "done", what="the end of the other call")


def test_revoked_key_is_rejected(stack, workspace):
    key = workspace.key()
    mcp = Mcp(stack, key["key"])
    stack.cli("key", "revoke", key["id"], "--workspace", workspace.id)
    assert revoked(lambda: mcp.open("ping").status_code == 401)


# --- the transport --------------------------------------------------------------------------------------------------------------


def test_versions_are_negotiated(stack, workspace):
    key = workspace.key()["key"]
    for version in ("2025-11-25", "2025-06-18"):
        assert Mcp(stack, key, version).initialized["result"]["protocolVersion"] == version
    mcp = Mcp(stack, key, LATEST)
    assert mcp.call("initialize", {"protocolVersion": "1999-01-01"})["result"]["protocolVersion"] == LATEST
    assert mcp.initialized["result"]["capabilities"] == {"tools": {}} and mcp.initialized["result"]["serverInfo"]["name"] == "millrace"
    assert mcp.call("initialize", {"protocolVersion": 7})["error"]["code"] == -32602
    bad = mcp.send({"jsonrpc": "2.0", "id": 1, "method": "ping"}, {"MCP-Protocol-Version": "1999-01-01"})
    assert bad.status_code == 400 and LATEST in bad.json()["error"]["data"]["supported"]
    assert mcp.call("ping")["result"] == {}


STATELESS = "2026-07-28"
META = {"io.modelcontextprotocol/protocolVersion": STATELESS, "io.modelcontextprotocol/clientCapabilities": {}}


class Stateless(Mcp):
    """A client of revision 2026-07-28: no session, and headers that repeat members of the body."""

    def __init__(self, stack, key):
        self.url, self.key, self.number = stack.url + "/mcp", key, 0
        self.headers = {"Authorization": f"Bearer {key}", "Accept": "application/json, text/event-stream", "Content-Type": "application/json",
                        "MCP-Protocol-Version": STATELESS}

    def open(self, method, params=None, id=None, headers=None):
        params = {**(params or {})}
        params["_meta"] = {**META, **params.get("_meta", {})}
        more = {"Mcp-Method": method} | ({"Mcp-Name": params["name"]} if "name" in params else {})
        return super().open(method, params, id, more | (headers or {}))


def test_stateless_revision(stack, workspace):
    expose(workspace, ECHO, "Echo it")
    mcp = Stateless(stack, workspace.key()["key"])
    found = mcp.call("server/discover")["result"]
    assert found["resultType"] == "complete" and found["supportedVersions"] == [STATELESS, "2025-11-25", "2025-06-18", "2025-03-26"]
    assert found["capabilities"] == {"tools": {}} and found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "millrace"
    assert "Mcp-Session-Id" not in mcp.last.headers
    listed = mcp.call("tools/list")["result"]
    assert listed["resultType"] == "complete" and (listed["ttlMs"], listed["cacheScope"]) == (0, "private")
    assert {"echo_it", "get_execution"} <= {t["name"] for t in listed["tools"]}
    result = mcp.tool("echo_it", {"a": 2}, progressToken="t")
    assert result["structuredContent"]["output"] == {"double": [2, 2]} and result["resultType"] == "complete" and mcp.notes
    for answer in (mcp.tool("get_execution", {"execution_id": result["structuredContent"]["execution_id"]}), mcp.tool("get_execution", {}),
                   mcp.tool("stop_execution", {"execution_id": result["structuredContent"]["execution_id"]})):
        assert answer["resultType"] == "complete" and "io.modelcontextprotocol/serverInfo" in answer["_meta"]
    for method in ("ping", "initialize", "subscriptions/listen", "nothing"):
        answer = mcp.open(method)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, -32601), method
    assert requests.get(mcp.url, headers={**mcp.headers, "Last-Event-ID": "x"}, timeout=10).status_code == 405
    # two calls with one id are two runs, unless the client sends an Idempotency-Key
    runs = {mcp.response(mcp.open("tools/call", {"name": "echo_it", "arguments": {"a": 1}}, 7, headers))["result"]["structuredContent"]["execution_id"]
            for headers in ({}, {}, {"Idempotency-Key": "k"}, {"Idempotency-Key": "k"})}
    assert len(runs) == 3 and len(workspace.client().get("/executions").json()["executions"]) == 4
    assert mcp.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 7}}).status_code == 202


def test_requests_of_both_revisions_are_counted(stack, workspace, mcp):
    def served():
        return {m: int(n) for m, n in re.findall(r'^millrace_mcp_requests_total\{method="([^"]+)"\} (\d+)$',
                                                 requests.get(stack.url + "/metrics", timeout=30).text, re.M)}
    stateless, before = Stateless(stack, workspace.key()["key"]), served()
    mcp.call("tools/list")
    stateless.call("tools/list")
    stateless.call("server/discover")
    after = served()
    assert (after["tools/list"] - before["tools/list"], after["other"] - before["other"]) == (2, 1)


def test_stateless_revision_checks_headers_and_meta(stack, workspace):
    expose(workspace, ECHO, "Echo it")
    mcp, before = Stateless(stack, workspace.key()["key"]), workspace.balance()
    call = {"name": "echo_it", "arguments": {"a": 1}}

    def refused(code, method="tools/call", params=call, **headers):
        answer = mcp.open(method, params, headers={name.replace("_", "-"): value for name, value in headers.items()})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, code), answer.text
        return answer.json()["error"]
    refused(-32020, Mcp_Method=None)
    refused(-32020, Mcp_Method="tools/list")
    refused(-32020, Mcp_Name=None)
    refused(-32020, Mcp_Name="other")
    for name in ("=?base64?ZWNobw==?=", "=?base64?ZWNob19p?=", "=?base64?%%?=", "=?base64?=", "=?base64??=", "=?base64?ZWNob19pdAA=?=", "=?base64?ZWNob19pdA?="):
        refused(-32020, Mcp_Name=name)
    refused(-32020, MCP_Protocol_Version=None)
    refused(-32020, MCP_Protocol_Version="2025-11-25")
    assert refused(-32022, MCP_Protocol_Version="2027-01-01")["data"]["requested"] == "2027-01-01"
    assert STATELESS in refused(-32022, params={**call, "_meta": {"io.modelcontextprotocol/protocolVersion": "1900-01-01"}})["data"]["supported"]
    for name in META:
        refused(-32602, params={**call, "_meta": {name: None}})
        refused(-32602, params={**call, "_meta": {name: 7}})
    assert workspace.balance() == before
    encoded = mcp.open("tools/call", call, headers={"Mcp-Name": "=?base64?ZWNob19pdA==?="})
    assert mcp.response(encoded)["result"]["structuredContent"]["output"] == {"double": [1, 1]}
    answer = mcp.send({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, {"Mcp-Method": "tools/list"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, -32602)


def test_methods_of_http(stack, workspace, mcp):
    assert requests.get(mcp.url, headers=mcp.headers, timeout=10).status_code == 405
    for method in ("DELETE", "PUT", "PATCH"):
        answer = requests.request(method, mcp.url, headers=mcp.headers, timeout=10)
        assert answer.status_code == 405 and "POST" in answer.headers["Allow"]
    assert requests.head(mcp.url, headers=mcp.headers, timeout=10).status_code == 405
    assert requests.post(mcp.url, json={}, timeout=10).status_code == 401
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    for scope, status in (("executions:read", 403), ("workflows:execute", 200), ("skills:execute", 200)):
        headers = {**mcp.headers, "Authorization": "Bearer " + workspace.key(scope)["key"]}
        assert requests.post(mcp.url, json=ping, headers=headers, timeout=10).status_code == status
    assert mcp.send(ping, {"Accept": "application/json"}).status_code == 406
    assert mcp.send(ping, {"Accept": "application/json, text/event-stream;q=0"}).status_code == 406
    assert mcp.send(ping, {"Accept": "application/json, text/*;q=0.5"}).status_code == 200
    assert mcp.send(ping, {"Content-Type": "text/plain"}).status_code == 415
    assert mcp.send(ping, {"Mcp-Session-Id": "nonsense"}).status_code == 404
    assert mcp.send({"jsonrpc": "2.0", "method": "notifications/initialized"}).status_code == 202
    assert mcp.send({"jsonrpc": "2.0", "id": 1, "result": {}}).status_code == 202
    assert mcp.send({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "x"}}).status_code == 202


def test_foreign_origin_is_rejected(stack, workspace, mcp):
    expose(workspace, ECHO, "Echo it")
    balance = workspace.balance()
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "echo_it", "arguments": {"a": 1}}}
    for origin in ("https://evil.example", "null", stack.url, "https://app.example.com.evil.example", "http://app.example.com", "a b"):
        answer = mcp.send(call, {"Origin": origin, "Host": origin.partition("//")[2] or "x"})
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin"), origin
        assert requests.get(mcp.url, headers={**mcp.headers, "Origin": origin}, timeout=10).status_code == 403
    assert workspace.balance() == balance
    answer = mcp.send(call, {"Origin": "https://app.example.com"})
    assert answer.status_code == 200 and answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    preflight = requests.options(mcp.url, headers={"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST",
                                                   "Access-Control-Request-Headers": "mcp-session-id"}, timeout=10)
    assert preflight.status_code == 204 and "Mcp-Session-Id" in preflight.headers["Access-Control-Allow-Headers"]


DEEP = b'{"jsonrpc":"2.0","id":1,"method":"ping","params":' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}"
HOSTILE = {
    "empty": (b"", -32700), "no JSON": (b"{", -32700), "two values": (b"{}{}", -32700), "UTF-8": (b'{"jsonrpc":"2.0","id":"\xff","method":"ping"}', -32700),
    "NUL": (b'{"jsonrpc":"2.0","id":1,"method":"ping"}\0', -32700), "name twice": (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}', -32700),
    "surrogate": (b'{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', -32700), "deep": (DEEP, -32700),
    "huge integer": (b'{"jsonrpc":"2.0","id":1e999,"method":"ping"}', -32700),
    "batch": (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600), "number": (b"7", -32600), "null": (b"null", -32600),
    "version": (b'{"jsonrpc":"1.0","id":1,"method":"ping"}', -32600), "no version": (b'{"id":1,"method":"ping"}', -32600),
    "no method": (b'{"jsonrpc":"2.0","id":1}', -32600), "method": (b'{"jsonrpc":"2.0","id":1,"method":7}', -32600),
    "method with NUL": (b'{"jsonrpc":"2.0","id":1,"method":"ping\\u0000"}', -32600),
    "params": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}', -32602),
    "token": (b'{"jsonrpc":"2.0","id":1,"method":"ping","params":{"_meta":{"progressToken":[]}}}', -32602),
    **{f"id {value}": (b'{"jsonrpc":"2.0","id":%s,"method":"ping"}' % value.encode(), -32600) for value in ("null", "true", "1.5", "{}", "[1]")},
    "long id": (b'{"jsonrpc":"2.0","id":"%s","method":"ping"}' % (b"x" * 300), -32600),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_malformed_messages_get_an_error(stack, mcp, what):
    body, code = HOSTILE[what]
    answer = mcp.send(body)
    assert answer.status_code == 400 and answer.json()["error"]["code"] == code, answer.text
    assert answer.json()["error"]["message"] and answer.json()["jsonrpc"] == "2.0"


def test_ids_are_returned_as_they_were(stack, mcp):
    for id in (0, -1, 2 ** 63 - 1, "", "x" * 254, "é\u2028\u0000\"\\", "1"):
        answer = mcp.send({"jsonrpc": "2.0", "id": id, "method": "ping"})
        assert answer.json()["id"] == id and type(answer.json()["id"]) is type(id)


def test_large_bodies_are_refused_as_elsewhere(stack, workspace, mcp):
    expose(workspace, {"steps": [{"name": "a", "type": "transform", "value": 1}]}, "Take it")
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "take_it", "arguments": {"a": "x" * (1024 * 1024)}}}
    assert mcp.send(call).status_code == 413
    assert mcp.send(b" " * (3 * 1024 * 1024)).status_code == 413
    call["params"]["arguments"]["a"] = "x" * (900 * 1024)
    assert mcp.response(mcp.send(call))["result"]["isError"] is False
    many = mcp.send(json.dumps({**call, "id": 2, "params": {"name": "take_it", "arguments": {"a": [0] * 400000}}}, separators=(",", ":")))
    assert many.status_code == 400 and "values" in many.json()["error"]["message"]


def test_large_outputs_arrive(stack, workspace, mcp):
    big = "x" * 200000
    expose(workspace, {"steps": [{"name": "a", "type": "transform", "value": {"big": big}}]}, "Big one")
    result = mcp.tool("big_one")
    assert result["structuredContent"]["output"] == {"big": big} and "structuredContent" in text(result)


def open_internal_call(stack, workspace, run):
    """A call at the event daemon, as nginx sends it. Its unread response stays in the daemon."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(str(stack.dir / "sockets/stream.sock"))
    connection.sendall(f"GET /internal/stream/call?execution={run}&workspace={workspace.id}&key={workspace.key_id}&after=0&progress=0&rpc=31"
                       "&token=&prime=0&seconds=60&streams=1000 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return connection


def read_until(connection, *ends):
    data = b""
    while not any(end in data for end in ends):
        part = connection.recv(1024)
        assert part, data[-200:]
        data += part
    return data


def test_responses_that_nobody_takes_are_limited(stack, workspace):
    """32 MiB of a workspace wait at most: then a call gets the id of its run. A response of 250 kB does not fit into the buffer of a socket."""
    key = workspace.key()
    workspace.key_id = key["id"]
    mcp = Mcp(stack, key["key"])
    expose(workspace, {"steps": [{"name": "a", "type": "transform", "value": "x" * 250000}]}, "Big one")
    expose(workspace, ECHO, "Echo it")
    big, small = (mcp.tool(name, arguments)["structuredContent"]["execution_id"] for name, arguments in (("big_one", {}), ("echo_it", {"a": 1})))
    held = []
    while len(held) < 140:
        held.append(open_internal_call(stack, workspace, big))
        if b'"running"' in read_until(held[-1], b"xxxx", b'"running"'):
            break
    assert 128 <= len(held) <= 135
    assert mcp.tool("get_execution", {"execution_id": big})["structuredContent"] == {"execution_id": big, "status": "running"}
    assert mcp.tool("get_execution", {"execution_id": small})["structuredContent"]["output"] == {"double": [1, 1]}
    other = stack.workspace(credits=10)
    expose(other, {"steps": [{"name": "a", "type": "transform", "value": "x" * 250000}]}, "Big one")
    assert len(Mcp(stack, other.key()["key"]).tool("big_one")["structuredContent"]["output"]) == 250000
    for connection in held:
        connection.close()
    eventually(lambda: mcp.tool("get_execution", {"execution_id": big})["structuredContent"]["status"] == "success", 30)


# --- many sessions ----------------------------------------------------------------------------------------------------------------


def test_five_hundred_sessions_hold_no_worker(stack):
    """Four workers, 500 open calls: other requests are served, and each call is answered."""
    workspace = stack.workspace(credits=600, max_concurrent=1000)
    expose(workspace, SLOW, "Wait long")
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "streams=600")
    key = workspace.key()["key"]

    def begin(i):
        mcp = Mcp(stack, key)
        answer = mcp.open("tools/call", {"name": "wait_long", "_meta": {"progressToken": i}})
        stream = events(answer)
        return mcp, next(e for e in stream if "id" in e), stream

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        calls = list(pool.map(begin, range(500)))
        mcp = Mcp(stack, key)
        assert mcp.call("ping")["result"] == {} and len(mcp.tools()) == 3
        client = workspace.client()
        quick = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
        assert client.finished(client.started(quick))["status"] == "success"
        list(pool.map(lambda c: mcp.tool("stop_execution", {"execution_id": c[1]["id"].split(".")[0]}), calls[:1]))
        messages = [json.loads(e["data"]) for e in calls[0][2] if e.get("data")]
        assert messages[-1]["result"]["isError"]
    for _, _, stream in calls:
        stream.close()


def test_endless_sessions_leave_nothing(stack, workspace, mcp):
    tables = stack.sql("SELECT COUNT(*) FROM idempotency_keys")
    for _ in range(50):
        Mcp(stack, mcp.key)
    assert stack.sql("SELECT COUNT(*) FROM idempotency_keys") == tables
