"""A server of the chat-completions format for tests, and a library of the shapes in which real servers send an answer.

QUIRKS lists shapes of a whole answer: each function turns an Answer into the bytes of a response. Whatever the shape, a run must end
with the same outputs, tool calls and tokens. FAILURES lists responses that hold no whole answer, with the reason that the run must
report and the number of requests that may be made for it. Each row names the server that sends this shape, as reported in public.
"""
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer:
    """content (a text or None), calls ([(name, arguments)]), tokens; cached: of input."""

    def __init__(self, content=None, calls=(), input=100, output=10, cached=0):
        self.content, self.calls, self.input, self.output, self.cached = content, list(calls), input, output, cached

    @property
    def usage(self):
        details = {"prompt_tokens_details": {"cached_tokens": self.cached}} if self.cached else {}
        return {"prompt_tokens": self.input, "completion_tokens": self.output, **details}

    @property
    def finish(self):
        return "tool_calls" if self.calls else "stop"


def pieces(text, n=7):
    return [text[i:i + n] for i in range(0, len(text or ""), n)]


def dumps(o, **more):
    return json.dumps(o, **more).encode()


def event(o, end=b"\n"):
    return b"data: " + (o if isinstance(o, bytes) else dumps(o)) + end + end


def chunk(delta, finish=None, **more):
    return {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def call_deltas(a, first=lambda i: {"index": i, "id": f"call_{i}", "type": "function"}, rest=lambda i: {"index": i}):
    """Deltas of the calls as OpenAI sends them: the name first, the arguments in pieces."""
    for i, (name, arguments) in enumerate(a.calls):
        yield {"tool_calls": [{**first(i), "function": {"name": name, "arguments": ""}}]}
        for part in pieces(arguments, 5):
            yield {"tool_calls": [{**rest(i), "function": {"arguments": part}}]}


def whole_calls(a, head):
    return [{**head(i), "function": {"name": name, "arguments": arguments}} for i, (name, arguments) in enumerate(a.calls)]


def deltas(a):
    yield {"role": "assistant", "content": ""}
    for part in pieces(a.content):
        yield {"content": part}
    yield from call_deltas(a)


def stream(a, parts=None, finish=None, usage=True, end=b"\n", tail=b"[DONE]"):
    out = b"".join(event(chunk(d), end) for d in (deltas(a) if parts is None else parts))
    out += event(chunk({}, finish or a.finish), end)
    if usage:
        out += event({"choices": [], "usage": a.usage}, end)
    return out + (event(tail, end) if tail else b"")


def text_deltas(a):
    return [{"content": part} for part in pieces(a.content)]


# --- shapes of a whole answer ----------------------------------------------------------------------------------------------------

def openai(a):
    return stream(a)


def azure(a):
    """The first chunk has no choices but filter results; with the asynchronous filter, later chunks have no delta."""
    filtered = {"choices": [{"index": 0, "finish_reason": None, "content_filter_results": {}, "content_filter_offsets": {"check_offset": 4}}]}
    return event({"id": "", "choices": [], "created": 0, "prompt_filter_results": [{"prompt_index": 0}]}) + event(filtered) + stream(a) + event(filtered)


def gemini(a):
    """Parallel calls come whole, one in each chunk, all with index 0; the finish_reason of calls is "stop"."""
    calls = [{"role": "assistant", "tool_calls": [{"index": 0, "id": f"function-call-{i}", **c}]} for i, c in enumerate(whole_calls(a, lambda i: {"type": "function"}))]
    return stream(a, text_deltas(a) + calls, finish="stop")


def gemini_without_index(a):
    """The preview models omit the index."""
    return stream(a, text_deltas(a) + [{"tool_calls": whole_calls(a, lambda i: {"id": f"c{i}"})}], finish="stop")


def mistral(a):
    """The content is a list of parts, reasoning among them; ids have nine characters; calls come whole."""
    thought = [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Let me {see}"}]}]}]
    texts = [{"content": [{"type": "text", "text": part}]} for part in pieces(a.content)]
    return stream(a, thought + texts + ([{"tool_calls": whole_calls(a, lambda i: {"id": f"abcdefgh{i}", "index": i})}] if a.calls else []))


def deepseek(a):
    """Reasoning has a member of its own; comments keep the connection alive; the usage is in the last chunk with choices."""
    out = b": keep-alive\n\n" + event(chunk({"role": "assistant", "content": None, "reasoning_content": "I {think}"}))
    out += b"".join(event(chunk({"content": d.get("content"), **{k: v for k, v in d.items() if k != "content"}})) for d in deltas(a))
    return out + event(chunk({"content": ""}, a.finish, usage=a.usage)) + event(b"[DONE]")


def groq(a):
    """The usage is a member of x_groq."""
    return stream(a, usage=False, tail=None) + event({"choices": [], "x_groq": {"id": "req", "usage": a.usage}}) + event(b"[DONE]")


def kimi(a):
    """The usage is a member of the choice."""
    out = b"".join(event(chunk(d)) for d in deltas(a))
    return out + event({"choices": [{"index": 0, "delta": {}, "finish_reason": a.finish, "usage": a.usage}]}) + event(b"[DONE]")


def llama_cpp(a):
    """Timings instead of a usage."""
    return stream(a, usage=False, tail=None) + event({"choices": [], "timings": {"prompt_n": a.input, "predicted_n": a.output}}) + event(b"[DONE]")


def vllm_continuous(a):
    """The usage so far is in every chunk, and some gateways add zeros at the end."""
    out = b"".join(event(chunk(d, usage={"prompt_tokens": a.input, "completion_tokens": min(i, a.output)})) for i, d in enumerate(deltas(a)))
    return out + event(chunk({}, a.finish, usage=a.usage)) + event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": 0}}) + event(b"[DONE]")


def vllm_ids(a):
    """Older versions give each piece of the arguments an id of its own, and an empty list of calls beside content."""
    n = iter(range(10 ** 6))
    parts = [{**d, "tool_calls": []} for d in text_deltas(a)]
    calls = call_deltas(a, lambda i: {"index": i, "id": f"chatcmpl-tool-{next(n)}"}, lambda i: {"index": i, "id": f"chatcmpl-tool-{next(n)}"})
    return stream(a, parts + list(calls))


def ollama(a):
    """Calls come whole, in one list, all with index 0 and, in older versions, without an id."""
    return stream(a, text_deltas(a) + ([{"role": "assistant", "content": "", "tool_calls": whole_calls(a, lambda i: {"index": 0, "id": ""})}] if a.calls else []))


def anthropic_gateway(a):
    """Input tokens first, output tokens last, the reason "end_turn" or "tool_use", pings between."""
    out = b"event: ping\ndata: {\"type\": \"ping\"}\n\n" + event({"choices": [], "usage": {"prompt_tokens": a.input, "completion_tokens": 0}})
    out += b"".join(event(chunk(d)) for d in deltas(a)) + event(chunk({}, "tool_use" if a.calls else "end_turn"))
    return out + event({"choices": [], "usage": {"prompt_tokens": 0, "completion_tokens": a.output}})


def tgi(a):
    """Hugging Face: the reason is "eos_token"; no space after "data:"."""
    return stream(a, finish=None if a.calls else "eos_token").replace(b"data: ", b"data:")


def openrouter(a):
    """Comments while a provider is looked for."""
    return b": OPENROUTER PROCESSING\n\n" * 3 + stream(a)


def bom_and_cr(a):
    """A proxy on Windows: a byte order mark and CRLF; [DONE] with a space, and a line after it."""
    return b"\xef\xbb\xbf" + stream(a, end=b"\r\n", tail=b"[DONE] ") + b"data: {bye\r\n\r\n"


def lone_cr(a):
    """CR alone ends a line, which the standard allows."""
    return stream(a, end=b"\r")


def single_line_ends(a):
    """Events separated by one line end only."""
    return re.sub(b"\n\n", b"\n", stream(a))


def several_data_lines(a):
    """JSON with line ends, one data line for each."""
    out = b""
    for d in deltas(a):
        out += b"".join(b"data: " + line + b"\n" for line in dumps(chunk(d), indent=1).split(b"\n")) + b"\n"
    return out + stream(a, [])


def no_done(a):
    """The connection closes after the last chunk, without [DONE] and without the last empty line."""
    return stream(a, tail=None).rstrip(b"\n")


def split_characters(a):
    """A gateway that cuts UTF-16: halves of surrogate pairs in different chunks."""
    units = (a.content or "").encode("utf-16-be", "surrogatepass")
    halves = [{"content": units[i:i + 2].decode("utf-16-be", "surrogatepass")} for i in range(0, len(units), 2)]
    return stream(a, halves + list(call_deltas(a)))


def not_json_numbers(a):
    """NaN as a probability, and a number beyond 64 bits."""
    return event(b'{"created": 123456789012345678901234567890, "choices": [{"index": 0, "delta": {"content": ""}, "logprobs": NaN}]}') + stream(a)


def whole(a):
    """No streaming: one indented object."""
    message = {"role": "assistant", "content": a.content, "refusal": None, **({"tool_calls": whole_calls(a, lambda i: {"id": f"call_{i}", "type": "function"})} if a.calls else {})}
    return dumps({"object": "chat.completion", "choices": [{"index": 0, "message": message, "finish_reason": a.finish}], "usage": a.usage}, indent=1)


def whole_split_choices(a):
    """GitHub Copilot: the text and the calls of one answer are two choices without an index."""
    choices = [{"message": {"role": "assistant", "content": a.content}, "finish_reason": a.finish}]
    if a.calls:
        choices.append({"message": {"role": "assistant", "tool_calls": whole_calls(a, lambda i: {"id": f"c{i}"})}, "finish_reason": a.finish})
    return b"\xef\xbb\xbf" + dumps({"choices": choices, "usage": a.usage})


def arguments_as_objects(a):
    """Ollama's own form within the OpenAI format: arguments are an object."""
    calls = [{"function": {"name": name, "arguments": json.loads(arguments)}} for name, arguments in a.calls]
    return dumps({"choices": [{"message": {"content": a.content, "tool_calls": calls}, "finish_reason": a.finish}], "usage": a.usage})


QUIRKS = {f.__name__: f for f in (
    openai, azure, gemini, gemini_without_index, mistral, deepseek, groq, kimi, llama_cpp, vllm_continuous, vllm_ids, ollama,
    anthropic_gateway, tgi, openrouter, bom_and_cr, lone_cr, single_line_ends, several_data_lines, no_done, split_characters,
    not_json_numbers, whole, whole_split_choices, arguments_as_objects)}

# --- forms of the text of an answer: all hold the same object ---------------------------------------------------------------------

TEXTS = {
    "bare": lambda json: json,
    "byte order mark": lambda json: "\ufeff" + json,
    "fenced": lambda json: f"Here you are:\n```json\n{json}\n```\nAnything else?",
    "sentence": lambda json: f"Here is the JSON:\n{json}",
    "DeepSeek-R1, Qwen": lambda json: f"<think>a {{b}}, or {{\"headline\": \"no\"}}?</think>\n{json}",
    "the chat template begins the reasoning": lambda json: f"The user wants {{}}.\n</think>\n\n{json}",
    "Magistral": lambda json: f"[THINK]first[/THINK]{json}",
}

# --- responses without a whole answer: (response, reason, requests) -----------------------------------------------------------------

PARTIAL = chunk({"role": "assistant", "content": '{"headline": "par'})


def ended(reason, **more):
    return event(PARTIAL) + event(chunk({}, reason, **more)) + event({"choices": [], "usage": Answer().usage}) + event(b"[DONE]")


FAILURES = {
    "cut": (ended("length"), "cut at max_tokens", 1),
    "Mistral: the context is full": (ended("model_length"), "cut at max_tokens", 1),
    "filtered": (ended("content_filter"), "content_filter", 1),
    "OpenRouter: the provider failed": (ended("error"), '"error"', 1),
    "DeepSeek: no capacity": (ended("insufficient_system_resource"), "insufficient_system_resource", 1),
    "Gemini: a call that it could not write": (ended("MALFORMED_FUNCTION_CALL"), "MALFORMED_FUNCTION_CALL", 1),
    "stop, and then filtered": (event(chunk({"content": "x"}, "stop")) + ended("content_filter"), "content_filter", 1),
    "refused": (event(chunk({"refusal": "I can't"})) + event(chunk({"refusal": " help."})) + event(chunk({}, "stop")) + event(b"[DONE]"), "I can't help.", 1),
    "empty": (stream(Answer("")), "empty", 1),
    "only reasoning": (stream(Answer("<think>{\"headline\": \"x\"}</think>")), "empty", 1),
    "reasoning without an end": (stream(Answer("<think>{\"headline\": \"x\"}")), "empty", 1),
    "[DONE] without a finish_reason": (event(PARTIAL) + event(b"[DONE]"), "without a finish_reason", 1),
    "a call without an end": (event(chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "add", "arguments": '{"city'}}]})) + ended("length"),
                              "cut at max_tokens", 1),
    "error event that says 400": (event(PARTIAL) + event({"error": {"message": "context too long", "code": 400}}), "context too long", 1),
    "Google: errors are lists": (dumps([{"error": {"code": 400, "message": "not valid", "status": "INVALID_ARGUMENT"}}]), "not valid", 1),
}

# Errors with a status, and the reason that must be told: (status, body, reason)
ERRORS = {
    "OpenAI": (400, dumps({"error": {"message": "Unsupported parameter: 'max_tokens'", "type": "invalid_request_error", "param": "max_tokens"}}), "Unsupported parameter"),
    "Ollama": (404, dumps({"error": "model 'x' not found"}), "model 'x' not found"),
    "FastAPI": (401, dumps({"detail": "Not authenticated"}), "Not authenticated"),
    "FastAPI, validation": (422, dumps({"detail": [{"loc": ["body", "x"], "msg": "field required", "type": "missing"}]}), "field required"),
    "vLLM": (400, dumps({"object": "error", "message": "context length", "code": 400}), "context length"),
    "Google": (400, dumps([{"error": {"code": 400, "message": "API key not valid"}}]), "API key not valid"),
    "Cloudflare": (403, dumps({"success": False, "errors": [{"code": 1, "message": "blocked"}]}), "blocked"),
    "HTML": (403, b"<html><head><title>403 Forbidden</title></head></html>", "<title>403 Forbidden</title>"),
    "Latin-1": (400, "d\u00e9sol\u00e9".encode("latin-1"), "d\ufffdsol\ufffd"),
    "no body": (403, b"", "status 403"),
}


class Models:
    """answers: the next responses in order; the last one is repeated. Each is a dict of content, calls, input, output, cached, quirk (a name in
    QUIRKS), raw (the bytes of the response), status, headers, body, stream=False, cut=True (the response is truncated), finish, pause,
    hold (an Event to wait for), step (bytes in one write). Or a function of the request's body that returns such a dict."""

    def __init__(self):
        self.requests, self.answers, self.lock = [], [], threading.Condition()
        models = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
                with models.lock:
                    models.requests.append({"path": self.path, "headers": {k.lower(): v for k, v in self.headers.items()}, "body": body})
                    answer = models.answers.pop(0) if len(models.answers) > 1 else models.answers[0]
                    models.lock.notify_all()
                try:
                    models.send(self, answer(body) if callable(answer) else answer)
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
            a["hold"].wait(600)
        if a.get("status", 200) != 200:
            raw = a["raw"] if "raw" in a else dumps(a.get("body", {"error": {"message": "no"}}))
            self.reply(h, raw, "application/json", a["status"], a.get("headers", {}))
            return
        answer = Answer(a.get("content"), a.get("calls", ()), a.get("input", 100), a.get("output", 10), a.get("cached", 0))
        if a.get("stream") is False:
            self.reply(h, whole(answer), "application/json")
            return
        h.send_response(200)
        h.send_header("Content-Type", "text/event-stream")
        h.end_headers()
        raw = a["raw"] if "raw" in a else QUIRKS[a["quirk"]](answer) if "quirk" in a else stream(answer, finish=a.get("finish"))
        if a.get("cut"):
            raw = raw[:raw.rindex(b'"finish_reason": "')]
        # one write for each event, or pieces of `step` bytes
        parts = pieces(raw, a["step"]) if "step" in a else re.split(rb"(?<=\n\n)", raw)
        for part in parts:
            h.wfile.write(part)
            h.wfile.flush()
            time.sleep(a.get("pause", 0))

    @staticmethod
    def reply(h, raw, type, status=200, headers=()):
        h.send_response(status)
        for name, value in dict(headers).items():
            h.send_header(name, value)
        h.send_header("Content-Type", type)
        h.send_header("Content-Length", str(len(raw)))
        h.end_headers()
        h.wfile.write(raw)

    def wait_for(self, n, seconds=60):
        with self.lock:
            assert self.lock.wait_for(lambda: len(self.requests) >= n, seconds), f"{len(self.requests)} of {n} requests"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
