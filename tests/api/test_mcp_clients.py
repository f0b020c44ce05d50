"""The reference clients of the Model Context Protocol (npm @modelcontextprotocol/sdk and @modelcontextprotocol/client) and its conformance suite
(npm @modelcontextprotocol/conformance) against /mcp."""
import json
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cutting_relay import CuttingRelay
from skills import probe
from stack import ROOT, eventually, free_port
from test_mcp import ECHO, SLOW, expose, waiting

PORT = free_port()  # of the relay: pages of its origin may use the server
SETTINGS = {"mcp.wait_s": "3", "mcp.progress_wait_s": "120", "api.cors_origins": f"http://127.0.0.1:{PORT}"}
pytestmark = pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
HERE = ROOT / "tests/api"


@pytest.fixture(scope="module")
def node():
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=300)


class Client:
    """Runs a scenario of mcp_client.mjs."""

    def __init__(self, url, key, scenario, *arguments):
        self.process = subprocess.Popen(["node", HERE / "mcp_client.mjs", scenario, url + "/mcp", key, *arguments],
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def result(self):
        out, err = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, err
        return json.loads(out)


def test_reference_client_lists_and_calls(stack, workspace, node):
    expose(workspace, ECHO, "Echo it")
    expose(workspace, {"steps": [{"name": "a", "type": "fail", "message": "no luck"}]}, "Fail it")
    schema = {"type": "object", "required": ["words"], "properties": {"words": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "integer"}}}
    probe(workspace, "print('{\"words\": 3}')", expose=True, outputs=schema)
    for i in range(45):
        expose(workspace, ECHO, f"tool {i:02}")
    done = Client(stack.url, workspace.key()["key"], "call", "echo_it", '{"a": 4}', "probe", "{}", "fail_it", "{}").result()
    assert {"echo_it", "probe", "fail_it", "get_execution", "tool_44"} <= set(done["tools"]) and len(done["tools"]) == 50
    echo, skill, fail = done["results"]
    assert echo["structuredContent"]["output"] == {"double": [4, 4]} and json.loads(echo["content"][0]["text"]) == {"double": [4, 4]}
    # the client validates structuredContent by outputSchema
    assert skill["structuredContent"]["output"] == {"words": 3}
    assert fail["isError"] is True and "no luck" in fail["content"][0]["text"]
    assert (done["version"], done["server"]["name"]) == ("2025-11-25", "millrace")


@pytest.mark.parametrize("mode", ["auto", "2026-07-28"])
def test_reference_client_of_the_stateless_revision(stack, workspace, node, mode):
    expose(workspace, ECHO, "Echo it")
    expose(workspace, {"steps": [{"name": "a", "type": "fail", "message": "no luck"}]}, "Fail it")
    for i in range(45):
        expose(workspace, ECHO, f"tool {i:02}")
    done = subprocess.run(["node", HERE / "mcp_stateless_client.mjs", stack.url + "/mcp", workspace.key()["key"], mode, "echo_it", '{"a": 4}', "fail_it", "{}",
                           "get_execution", '{"execution_id": 1}'], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    done = json.loads(done.stdout)
    assert done["version"] == "2026-07-28" and done["server"]["name"] == "millrace" and done["session"] is None
    assert {"echo_it", "fail_it", "get_execution", "tool_44"} <= set(done["tools"]) and len(done["tools"]) == 49
    echo, fail, wrong = done["results"]
    assert echo["structuredContent"]["output"] == {"double": [4, 4]} and fail["isError"] is True and "no luck" in fail["content"][0]["text"]
    assert wrong["isError"] is True and any("step.started" in p for p in done["progress"])


def test_reference_client_resumes_after_a_cut(stack, workspace, node):
    expose(workspace, waiting(4), "Wait a bit")
    relay = CuttingRelay(stack.port)
    client = Client(relay.url, workspace.key()["key"], "follow", "wait_a_bit")
    assert client.process.stderr.readline() == "progress\n"
    relay.cut()
    done = client.result()
    relay.close()
    assert done["result"]["content"][0]["text"] == "done" and not done["result"].get("isError")
    assert done["progress"] == list(range(1, len(done["progress"]) + 1)), "each notification arrives once"
    runs = workspace.client().get("/executions").json()
    assert len(runs["executions"]) == 1


def test_reference_client_cancels(stack, workspace, node):
    expose(workspace, SLOW, "Wait long")
    done = Client(stack.url, workspace.key()["key"], "cancel", "wait_long").result()
    assert "enough" in done["error"]
    client = workspace.client()
    run = client.get("/executions").json()["executions"][0]["id"]
    assert eventually(lambda: client.get(f"/executions/{run}").json()["status"] == "stopped", 10)


class Model(BaseHTTPRequestHandler):
    """A stub of a model: calls a quick tool, then a slow one, asks for the slow one's result as often as needed, and tells both."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        results = [m for m in body["messages"] if m["role"] == "tool"]
        names = [t["function"]["name"] for t in body["tools"]]
        if not results:
            message = self.use("echo_it", {"a": 5})
        elif len(results) == 1:
            message = self.use(next(n for n in names if n.startswith("wait")), {})
        elif "get_execution" in results[-1]["content"]:
            message = self.use("get_execution", {"execution_id": results[-1]["content"].split("execution_id ")[1].split()[0]})
        else:
            message = {"role": "assistant", "content": f"{results[0]['content']} and {results[-1]['content']}"}
        text = json.dumps({"choices": [{"message": message}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def use(self, name, arguments):
        return {"role": "assistant", "content": None,
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}]}

    def log_message(self, *_):
        pass


def test_agent_calls_a_quick_and_a_slow_tool(stack, workspace, node):
    """The slow tool takes longer than a call waits (mcp.wait_s): the model gets the id and asks for the result. SLOW_TOOL_SECONDS=120 in the
    environment lets it take two minutes."""
    expose(workspace, ECHO, "Echo it")
    expose(workspace, waiting(int(os.environ.get("SLOW_TOOL_SECONDS", 10))), "Wait long")
    model = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=model.serve_forever, daemon=True).start()
    try:
        done = Client(stack.url, workspace.key("workflows:execute")["key"], "agent", f"http://127.0.0.1:{model.server_port}", "Use both").result()
    finally:
        model.shutdown()
    assert done["messages"][-1]["content"] == '{"double":[5,5]} and done'
    assert [m["is_error"] for m in done["messages"] if m["role"] == "tool"].count(True) == 0
    assert sum("get_execution" in (m["content"] or "") for m in done["messages"] if m["role"] == "tool") >= 1
    assert len(workspace.client().get("/executions").json()["executions"]) == 2


# --- the conformance suite ----------------------------------------------------------------------------------------------------------

# docs/agents.md lists the others with the reasons.
SCENARIOS = ["server-initialize", "ping", "tools-list", "tools-call-simple-text", "tools-call-error", "tools-call-with-progress", "json-schema-2020-12",
             "server-sse-polling", "server-sse-multiple-streams", "dns-rebinding-protection"]
SCHEMA = {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
          "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
          "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}}, "additionalProperties": False}


@pytest.fixture(scope="module")
def relay(stack, node):
    workspace = stack.workspace(credits=1000)
    plain = {"name": "a", "type": "transform", "value": "This is a simple text response for testing."}
    expose(workspace, {"steps": [plain]}, "test_simple_text", description="Returns a text.")
    expose(workspace, {"steps": [{"name": "a", "type": "fail", "message": "This tool intentionally returns an error for testing"}]}, "test_error_handling")
    expose(workspace, {"steps": [plain, {"name": "wait", "type": "delay", "seconds": 0.2}]}, "test_tool_with_progress")
    expose(workspace, waiting(1), "test_reconnection")
    expose(workspace, {"inputs": SCHEMA, "steps": [plain]}, "json_schema_2020_12_tool")
    process = subprocess.Popen(["node", HERE / "mcp_relay.mjs", stack.url, workspace.key()["key"], str(PORT)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == f"{PORT}\n"
    yield f"http://127.0.0.1:{PORT}/mcp"
    process.kill()
    process.wait()


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_conformance(relay, scenario, tmp_path):
    done = subprocess.run(["node", ROOT / "tests/node_modules/.bin/conformance", "server", "--url", relay, "--scenario", scenario, "--verbose"],
                          cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
