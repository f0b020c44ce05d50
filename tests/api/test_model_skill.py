"""Skills that call a model, against an OpenAI-compatible test server that streams configured answers."""
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from skills import EXAMPLES, Space, install, manifest, package, probe
from stack import eventually

SETTINGS = {"executor.grace_s": 1}
KEY = "sk-model-key-of-the-tests"


class Models:
    """answers: the next responses in order; the last one is repeated. Each is a dict of content, calls, usage, status,
    headers, body, stream=False, cut=True (the response is truncated), hold (an Event to wait for)."""

    def __init__(self):
        self.requests, self.answers, self.lock = [], [], threading.Condition()
        models = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                with models.lock:
                    models.requests.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()},
                                            "body": json.loads(body)})
                    answer = models.answers.pop(0) if len(models.answers) > 1 else models.answers[0]
                    models.lock.notify_all()
                try:
                    models.send(self, answer)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, address):
                pass
        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()

    def send(self, h, a):
        if a.get("hold"):
            a["hold"].wait(60)
        if a.get("status", 200) != 200:
            raw = json.dumps(a.get("body", {"error": {"message": "no"}})).encode()
            h.send_response(a["status"])
            for name, value in a.get("headers", {}).items():
                h.send_header(name, value)
            h.send_header("Content-Length", str(len(raw)))
            h.end_headers()
            h.wfile.write(raw)
            return
        usage = {"prompt_tokens": a.get("input", 100), "completion_tokens": a.get("output", 10)}
        calls = [{"index": i, "id": f"call_{i}", "type": "function", "function": {"name": n, "arguments": args}}
                 for i, (n, args) in enumerate(a.get("calls", []))]
        finish = a.get("finish", "tool_calls" if calls else "stop")
        if a.get("stream") is False:
            message = {"role": "assistant", "content": a.get("content"), **({"tool_calls": calls} if calls else {})}
            raw = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish}], "usage": usage}, indent=1).encode()
            h.send_response(200)
            h.send_header("Content-Type", "application/json")
            h.send_header("Content-Length", str(len(raw)))
            h.end_headers()
            h.wfile.write(raw)
            return
        h.send_response(200)
        h.send_header("Content-Type", "text/event-stream")
        h.end_headers()

        def event(delta, finish_reason=None):
            h.wfile.write(f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish_reason}]})}\n\n".encode())
            h.wfile.flush()
        content = a.get("content") or ""
        event({"role": "assistant", "content": ""})
        for i in range(0, len(content), 7):
            event({"content": content[i:i + 7]})
            time.sleep(a.get("pause", 0))
        if a.get("cut"):
            return
        for c in calls:
            args = c["function"]["arguments"]
            event({"tool_calls": [{**c, "function": {"name": c["function"]["name"], "arguments": ""}}]})
            for i in range(0, len(args), 5):
                event({"tool_calls": [{"index": c["index"], "function": {"arguments": args[i:i + 5]}}]})
        event({}, finish)
        h.wfile.write(f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n".encode())

    def wait_for(self, n, seconds=15):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.requests) >= n, seconds), f"{len(self.requests)} of {n} requests"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def models():
    m = Models()
    yield m
    m.close()


@pytest.fixture
def space(workspace, models, tmp_path):
    key = tmp_path / "key"
    key.write_text(KEY + "\n")
    workspace.stack.cli("model", "put", "--workspace", workspace.id, "--alias", "main", "--url", models.url, "--model", "m-large",
                        "--api-key-file", key, "--input-usd-per-mtok", "2.5", "--output-usd-per-mtok", "10", "--default")
    install(workspace, EXAMPLES / "headline")
    return Space(workspace)


def agent(tmp_path, workspace, tools=(), **more):
    runner = {"type": "model", "prompt": "Do: ${/inputs/task}", "tools": list(tools), "max_iterations": 4, **more}
    return install(workspace, package(tmp_path / "agent", {**manifest("agent", timeout_seconds=60), "runner": runner,
                                                           "outputs": {"type": "object", "required": ["answer"],
                                                                       "properties": {"answer": {"type": "string"}}}}))


def test_streamed_answer_becomes_the_outputs(stack, models, space):
    models.answers = [{"content": '{"headline": "Fox meets dog"}', "input": 1234, "output": 56}]
    x = space.ran("headline", {"text": "The fox met the dog."})
    assert x["state"] == "succeeded", x
    assert x["outputs"] == {"headline": "Fox meets dog"}
    # 1,234 tokens at 2.5 and 56 at 10 dollars per million
    assert x["resource_usage"] == {"input_tokens": 1234, "output_tokens": 56, "cost_usd": "0.003645",
                                   "wallclock_ms": x["resource_usage"]["wallclock_ms"], "iteration_count": 1}
    assert x["resource_usage"]["wallclock_ms"] > 0
    [request] = models.requests
    assert request["path"] == "/v1/chat/completions" and request["headers"]["authorization"] == f"Bearer {KEY}"
    assert request["body"]["model"] == "m-large" and request["body"]["stream"] is True and request["body"]["max_tokens"] == 200
    assert [m["role"] for m in request["body"]["messages"]] == ["system", "user"]
    assert "The fox met the dog." in request["body"]["messages"][1]["content"]
    assert '"headline"' in request["body"]["messages"][0]["content"], "the request must contain the schema of the outputs"
    version, trace, span, flags = request["headers"]["traceparent"].split("-")
    assert (version, flags) == ("00", "01") and len(span) == 16 and trace == x["langfuse_trace_id"] == x["id"].replace("-", "")
    one = space.client.get(f"/executions/{x['id']}").json()
    assert one["isAgentic"] is True
    assert KEY not in stack.log("executor") + json.dumps(x) + json.dumps(one)


@pytest.mark.parametrize("content", ["Fox meets dog", '```json\n{"headline": "Fox meets dog"}\n```', '{"headline":"Fox meets dog"}'])
def test_every_form_of_answer_is_parsed(models, space, content):
    for stream in (True, False):
        models.answers = [{"content": content, "stream": stream}]
        assert space.ran("headline", {"text": "x"})["outputs"] == {"headline": "Fox meets dog"}


def test_answer_is_streamed_as_events(models, space):
    models.answers = [{"content": '{"headline": "' + "word " * 30 + '"}', "pause": 0.05}]
    x = space.ran("headline", {"text": "x"})
    got = space.client.get(f"/executions/{x['id']}/events", timeout=20).text
    texts = [json.loads(line[6:])["data"]["text"] for line in got.splitlines() if line.startswith("data:") and '"log"' in line]
    assert len(texts) > 2 and json.loads("".join(texts)) == x["outputs"]


def test_invalid_outputs_fail_the_run(models, space):
    models.answers = [{"content": '{"title": "x"}'}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["failure_reason"]) == ("failed", "outputs_invalid")
    assert x["resource_usage"]["input_tokens"] == 100, "usage must be recorded for a failed run, too"
    models.answers = [{"content": '{"headline": "unfini', "finish": "length"}]
    cut = space.ran("headline", {"text": "x"})
    assert (cut["state"], cut["failure_reason"]) == ("failed", "outputs_invalid") and "max_tokens" in cut["error"]


def test_request_can_select_another_model(workspace, models, space):
    workspace.stack.cli("model", "put", "--workspace", workspace.id, "--alias", "small", "--url", models.url + "/", "--model", "m-small")
    models.answers = [{"content": '{"headline": "x"}'}]
    x = space.ran("headline", {"text": "x"}, model="small")
    assert models.requests[0]["body"]["model"] == "m-small" and models.requests[0]["path"] == "/v1/chat/completions"
    assert "authorization" not in models.requests[0]["headers"]
    assert x["resource_usage"]["cost_usd"] == "0"


# --- failures ----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", [{"status": 429, "headers": {"Retry-After": "2"}}, {"status": 500}, {"status": 503}, {"cut": True, "content": "{"}])
def test_transient_errors_are_retried(models, space, first):
    models.answers = [first, {"content": '{"headline": "x"}'}]
    began = time.monotonic()
    x = space.ran("headline", {"text": "x"})
    assert x["state"] == "succeeded" and len(models.requests) == 2 and x["resource_usage"]["iteration_count"] == 1
    if "headers" in first:
        assert time.monotonic() - began >= 2, "Retry-After"
    assert models.requests[0]["body"] == models.requests[1]["body"]


def test_client_errors_are_not_retried(models, space):
    models.answers = [{"status": 401, "body": {"error": {"message": f"bad key {KEY}"}}}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["failure_reason"]) == ("failed", "model_error") and len(models.requests) == 1
    assert "401" in x["error"] and "bad key" in x["error"] and KEY not in x["error"]


def test_run_fails_after_four_attempts(models, space):
    models.answers = [{"status": 503}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["failure_reason"]) == ("failed", "model_error") and len(models.requests) == 4


def test_cancel_aborts_the_model_call(models, space):
    hold = threading.Event()
    models.answers = [{"hold": hold, "content": "x"}]
    id = space.started("headline", {"text": "x"})
    models.wait_for(1)
    assert space.client.post(f"{space.path}/executions/{id}/cancel").json()["data"]["state"] == "stopped"
    hold.set()
    time.sleep(0.3)
    assert space.get(id)["state"] == "stopped"


# --- tools ---------------------------------------------------------------------------------------------------------

ADD = "import json, sys\ni = json.load(sys.stdin)\njson.dump({'sum': i['a'] + i['b']}, sys.stdout)"
ADD_INPUTS = {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}


def test_tool_calls_are_child_executions(tmp_path, workspace, models, space):
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["add", "not-there"])
    models.answers = [{"calls": [("add", '{"a": 1, "b": 2}'), ("add", '{"a": 10, "b": 20}')], "input": 50},
                      {"content": '{"answer": "3 and 30"}', "input": 80}]
    x = space.ran("agent", {"task": "add"})
    assert x["state"] == "succeeded", x
    assert x["outputs"] == {"answer": "3 and 30"}
    assert x["resource_usage"]["iteration_count"] == 2 and x["resource_usage"]["input_tokens"] == 130
    assert [(c["skill_slug"], c["source"], c["state"], c["parent_execution_id"]) for c in x["sub_executions"]] == \
        [("add", "skill", "succeeded", x["id"])] * 2
    first, second = models.requests
    assert [t["function"]["name"] for t in first["body"]["tools"]] == ["add"], "only installed skills may be offered"
    assert first["body"]["tools"][0]["function"]["parameters"] == ADD_INPUTS
    told = second["body"]["messages"]
    assert told[2]["role"] == "assistant" and len(told[2]["tool_calls"]) == 2
    assert [(m["role"], m["tool_call_id"], json.loads(m["content"])) for m in told[3:]] == \
        [("tool", "call_0", {"sum": 3}), ("tool", "call_1", {"sum": 30})]
    assert workspace.balance() == 997
    assert first["headers"]["traceparent"].split("-")[1] == second["headers"]["traceparent"].split("-")[1]
    assert first["headers"]["traceparent"] != second["headers"]["traceparent"]


def test_invalid_tool_calls_are_reported_to_the_model(tmp_path, workspace, models, space):
    probe(workspace, "import sys; sys.exit(7)", slug="broken", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["broken"])
    models.answers = [{"calls": [("rm", "{}"), ("broken", "no json"), ("broken", '{"a": "x"}'), ("broken", '{"a": 1, "b": 2}')]},
                      {"content": '{"answer": "none"}'}]
    x = space.ran("agent", {"task": "try"})
    assert x["state"] == "succeeded", x
    told = [m["content"] for m in models.requests[1]["body"]["messages"] if m["role"] == "tool"]
    assert len(told) == 4 and all(t.startswith("error:") for t in told)
    assert "unknown tool" in told[0] and "JSON" in told[1] and "inputs" in told[2] and "exit code 7" in told[3]
    assert len(x["sub_executions"]) == 1


def test_number_of_rounds_is_limited(tmp_path, workspace, models, space):
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["add"])
    models.answers = [{"calls": [("add", '{"a": 1, "b": 2}')]}]
    x = space.ran("agent", {"task": "for ever"})
    assert (x["state"], x["failure_reason"]) == ("failed", "model_error") and "max_iterations" in x["error"]
    assert len(models.requests) == 4 and x["resource_usage"]["iteration_count"] == 4


def test_empty_balance_ends_the_run(tmp_path, stack, models):
    workspace = stack.workspace(credits=1)
    stack.cli("model", "put", "--workspace", workspace.id, "--alias", "main", "--url", models.url, "--model", "m", "--default")
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["add"])
    models.answers = [{"calls": [("add", '{"a": 1, "b": 2}')]}]
    x = Space(workspace).ran("agent", {"task": "x"})
    assert (x["state"], x["failure_reason"]) == ("failed", "insufficient_credits")


def test_cancel_stops_the_children(tmp_path, workspace, models, space):
    probe(workspace, "import time; time.sleep(60)", slug="slow")
    agent(tmp_path, workspace, ["slow"])
    models.answers = [{"calls": [("slow", "{}")]}]
    id = space.started("agent", {"task": "x"})
    child = eventually(lambda: [c for c in space.get(id)["sub_executions"] if c["state"] == "running"], 15, "a running child")[0]
    space.client.post(f"{space.path}/executions/{id}/cancel")
    assert space.get(child["id"])["state"] == "stopped"


def test_conversation_is_resumed_by_another_executor(tmp_path, stack, workspace, models, space):
    probe(workspace, "import time; time.sleep(4); print('{\"done\": true}')", slug="slow")
    agent(tmp_path, workspace, ["slow"])
    models.answers = [{"calls": [("slow", "{}")], "input": 7}, {"content": '{"answer": "ok"}', "input": 9}]
    id = space.started("agent", {"task": "x"})
    eventually(lambda: space.get(id)["sub_executions"], 15, "a child")
    stack.restart_server("executor")  # it releases its runs, so that nothing waits for an expired lease
    x = space.finished(id, 40)
    assert x["state"] == "succeeded", x
    assert len(models.requests) == 2, "the first answer must not be requested again"
    assert len(x["sub_executions"]) == 1, "the tool must not be called again"
    assert x["resource_usage"]["input_tokens"] == 16 and x["resource_usage"]["iteration_count"] == 2


def test_every_stored_answer_is_read_again_after_a_resume(tmp_path, stack, workspace, models, space):
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    probe(workspace, "import time; time.sleep(4); print('{\"done\": true}')", slug="slow")
    agent(tmp_path, workspace, ["add", "slow"])
    models.answers = [{"calls": [("add", '{"a": 1, "b": 2}')], "input": 7}, {"calls": [("slow", "{}")], "input": 8},
                      {"content": '{"answer": "ok"}', "input": 9}]
    id = space.started("agent", {"task": "x"})
    eventually(lambda: len(space.get(id)["sub_executions"]) == 2, 15, "the child of the second round")
    stack.restart_server("executor")
    x = space.finished(id, 40)
    assert x["state"] == "succeeded", x
    assert len(models.requests) == 3, "neither stored answer must be requested again"
    assert len(x["sub_executions"]) == 2, "no tool must be called again"
    assert x["resource_usage"]["input_tokens"] == 24 and x["resource_usage"]["iteration_count"] == 3
    told = [m["content"] for m in models.requests[2]["body"]["messages"] if m["role"] == "tool"]
    assert "3" in told[0] and "done" in told[1]
