"""Skills that call a model, against an OpenAI-compatible test server that streams configured answers."""
import json
import threading
import time

import pytest
from model_quirks import ERRORS, FAILURES, QUIRKS, TEXTS, Models, chunk, event
from skills import EXAMPLES, Space, install, manifest, package, probe
from stack import eventually

SETTINGS = {"executor.grace_s": 1}
KEY = "sk-model-key-of-the-tests"


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
    assert (cut["state"], cut["failure_reason"]) == ("failed", "model_error") and "max_tokens" in cut["error"]


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


# --- what servers really send: model_quirks.py ---------------------------------------------------------------------

@pytest.mark.parametrize("quirk", QUIRKS)
def test_answer_is_read_in_every_shape(models, space, quirk):
    models.answers = [{"quirk": quirk, "content": '{"headline": "F\u00f6x \U0001f98a"}', "input": 1234, "output": 56}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["outputs"]) == ("succeeded", {"headline": "F\u00f6x \U0001f98a"}), x
    usage = x["resource_usage"]
    assert (usage["input_tokens"], usage["output_tokens"], len(models.requests)) == (1234, 56, 1)


@pytest.mark.parametrize("form", TEXTS)
def test_object_is_found_in_every_form_of_text(models, space, form):
    models.answers = [{"content": TEXTS[form]('{"headline": "x {y}"}')}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["outputs"]) == ("succeeded", {"headline": "x {y}"}), x


@pytest.mark.parametrize("kind", FAILURES)
def test_response_without_a_whole_answer_fails_the_run(models, space, kind):
    raw, reason, requests = FAILURES[kind]
    models.answers = [{"raw": raw}]
    x = space.ran("headline", {"text": "x"})
    assert (x["state"], x["failure_reason"]) == ("failed", "model_error"), x
    assert reason in x["error"] and len(models.requests) == requests
    assert x["resource_usage"]["input_tokens"] == (100 if b"prompt_tokens" in raw else 0), "the tokens must be kept"
    assert not x["sub_executions"]


@pytest.mark.parametrize("server", ERRORS)
def test_error_body_is_told(models, space, server):
    status, raw, reason = ERRORS[server]
    models.answers = [{"status": status, "raw": raw}]
    x = space.ran("headline", {"text": "x"})
    assert x["failure_reason"] == "model_error" and reason in x["error"] and str(status) in x["error"] and len(models.requests) == 1


def test_long_error_is_cut_after_a_character(models, space):
    models.answers = [{"status": 400, "raw": json.dumps({"error": {"message": "\u20ac" * 2000}}, ensure_ascii=False).encode()}]
    x = space.ran("headline", {"text": "x"})
    assert x["failure_reason"] == "model_error" and x["error"].count("\u20ac") == 341 and len(models.requests) == 1


def test_tokens_of_all_tries_are_added(models, space):
    """An unusable response with its tokens, a broken one, an answer; the events of the last end with a usage of zeros."""
    models.answers = [{"raw": event(chunk({"content": "{"}, usage={"prompt_tokens": 7, "completion_tokens": 2}))},
                      {"raw": event(chunk({"content": "{"}, usage={"prompt_tokens": 7, "completion_tokens": 1})) + b"data: {\n\n"},
                      {"quirk": "vllm_continuous", "content": '{"headline": "x"}', "input": 7, "output": 5}]
    x = space.ran("headline", {"text": "x"})
    assert x["state"] == "succeeded" and len(models.requests) == 3, x
    usage = x["resource_usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["iteration_count"]) == (21, 8, 1)


def test_tokens_of_tries_survive_another_executor(stack, models, space):
    hold = threading.Event()
    models.answers = [{"raw": event(chunk({"content": "{"}, usage={"prompt_tokens": 7, "completion_tokens": 2}))},
                      {"hold": hold, "content": "{}"}, {"content": '{"headline": "x"}', "input": 9, "output": 3}]
    id = space.started("headline", {"text": "x"})
    models.wait_for(2)
    stack.kill_server("executor", with_children=True)
    hold.set()
    stack.start_server("executor")
    x = space.finished(id, 60)
    usage = x["resource_usage"]
    assert (x["state"], usage["input_tokens"], usage["output_tokens"]) == ("succeeded", 16, 5), x


def test_parameters_are_renamed_dropped_and_added(workspace, models, space):
    options = {"rename": {"max_tokens": "max_completion_tokens"}, "drop": ["stream_options"], "add": {"reasoning_effort": "low"}}
    put = ["model", "put", "--workspace", workspace.id, "--alias", "o", "--url", models.url, "--model", "o1", "--options"]
    assert workspace.stack.cli(*put, json.dumps(options)) is not None
    models.answers = [{"content": '{"headline": "x"}'}]
    assert space.ran("headline", {"text": "x"}, model="o")["state"] == "succeeded"
    body = models.requests[0]["body"]
    assert body["max_completion_tokens"] == 200 and body["reasoning_effort"] == "low" and body["stream"] is True
    assert "max_tokens" not in body and "stream_options" not in body
    listed = {m["alias"]: m["options"] for m in workspace.stack.cli("model", "list", "--workspace", workspace.id)}
    assert listed == {"main": None, "o": options}


def test_the_header_of_the_key_and_the_query_are_options(workspace, models, space, tmp_path):
    (tmp_path / "key").write_text("a-key-of-azure\n")
    options = {"key_header": "api-key", "query": {"api-version": "2024-10-21"}}
    put = ["model", "put", "--workspace", workspace.id, "--alias", "azure", "--url", models.url, "--model", "gpt",
           "--api-key-file", str(tmp_path / "key"), "--options"]
    workspace.stack.cli(*put, json.dumps(options))
    models.answers = [{"content": '{"headline": "x"}'}]
    assert space.ran("headline", {"text": "x"}, model="azure")["state"] == "succeeded"
    sent = models.requests[0]
    assert sent["headers"]["api-key"] == "a-key-of-azure" and "authorization" not in sent["headers"]
    assert sent["path"].endswith("/chat/completions?api-version=2024-10-21")


def test_nul_is_kept_in_the_prompt_and_rejected_in_the_alias(models, space):
    models.answers = [{"content": '{"headline": "x"}'}]
    assert space.ran("headline", {"text": "before\0after"})["state"] == "succeeded"
    system, user = models.requests[0]["body"]["messages"]
    assert "before\0after" in user["content"] and '"headline"' in system["content"]
    answer = space.start("headline", {"text": "x"}, model="main\0zzz")
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/model"


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


@pytest.mark.parametrize("quirk", QUIRKS)
def test_tool_calls_are_told_apart_in_every_shape(tmp_path, workspace, models, space, quirk):
    probe(workspace, ADD, slug="add", inputs=ADD_INPUTS)
    agent(tmp_path, workspace, ["add"])
    models.answers = [{"quirk": quirk, "calls": [("add", '{"a": 1, "b": 2}'), ("add", '{"a": 10, "b": 20}')]}, {"content": '{"answer": "ok"}'}]
    x = space.ran("agent", {"task": "add"})
    assert x["state"] == "succeeded" and len(x["sub_executions"]) == 2, x
    assert x["resource_usage"]["input_tokens"] == 200 and x["resource_usage"]["output_tokens"] == 20
    told = models.requests[1]["body"]["messages"]
    ids = [c["id"] for c in told[2]["tool_calls"]]
    assert all(ids) and len(set(ids)) == 2
    assert [(m["tool_call_id"], json.loads(m["content"])) for m in told[3:]] == [(ids[0], {"sum": 3}), (ids[1], {"sum": 30})]


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
