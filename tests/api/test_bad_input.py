"""Invalid requests are answered with a documented error: never a 500, never HTML, and nothing is charged."""
import gzip
import http.client
import json
import socket
import uuid

import pytest
import requests

SETTINGS = {"api.rate_limit_per_minute": "100000"}
PROGRAM = {"inputs": {"type": "object", "required": ["email"], "additionalProperties": False,
                      "properties": {"email": {"type": "string", "minLength": 3}, "n": {"type": "integer"}}},
           "steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}


@pytest.fixture(scope="module")
def place(stack):
    workspace = stack.workspace()
    return workspace, workspace.client(), workspace.put_workflow(PROGRAM)


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    p = answer.json()
    assert p["request_id"] == answer.headers["X-Request-Id"]
    assert p["error"] == p["detail"] and p["status"] == status
    return p


def run(place, body, content_type="application/json", **headers):
    _, client, workflow = place
    return client.post(f"/workflows/{workflow}/run-async", data=body,
                       headers={**({"Content-Type": content_type} if content_type else {}), **headers})


def deep(n):
    return b'{"inputs":{"email":"abc"},"metadata":' + b'{"a":' * (n - 1) + b"{}" + b"}" * n


MALFORMED = {
    "open": b"{", "a word": b"hello", "two texts": b"{} {}", "trailing": b'{"inputs":{}}x', "single quotes": b"{'inputs':{}}",
    "a comment": b"{} // x", "a trailing comma": b'{"inputs":{},}', "bad UTF-8": b'{"inputs":{"email":"\xff\xfe"}}',
    "overlong UTF-8": b'{"inputs":{"email":"\xc0\xaf"}}', "a lone surrogate's bytes": b'{"metadata":{"a":"\xed\xa0\x80"}}',
    "a NUL": b'{"inputs":\x00{}}', "a NUL at the end": b"{}\x00", "65 bits": b'{"inputs":{"email":"abc","n":18446744073709551616}}',
    "-65 bits": b'{"metadata":{"n":-9223372036854775809}}', "1e999": b'{"metadata":{"n":1e999}}', "NaN": b'{"metadata":{"n":NaN}}',
    "too deep": deep(32), "very deep": b'{"metadata":' + b"[" * 100000 + b"]" * 100000 + b"}", "BOM": b"\xef\xbb\xbf{}",
    "a raw control character": b'{"metadata":{"a":"\x01"}}', "a NUL in a key": b'{"metadata":{"a\\u0000b":1}}',
    "UTF-16": "{}".encode("utf-16"), "a comment within": b"{/* x */}", "TRUE": b'{"metadata":{"a":TRUE}}', "01": b'{"metadata":{"a":01}}',
    "a name twice": b'{"inputs":{"email":"abc","n":-1,"n":5}}', "a name twice, once escaped": b'{"metadata":{"a":1,"\\u0061":2}}',
    "a member of the body twice": b'{"inputs":{"email":"abc"},"inputs":{"email":"abc"}}',
    "half of a surrogate pair": b'{"inputs":{"email":"\\ud800abc"}}', "a swapped pair": b'{"metadata":{"a":"\\ude00\\ud83d"}}',
    "half of a pair in a name": b'{"metadata":{"\\udfff":1}}',
    "a hex number": b'{"metadata":{"a":0x1}}', "+1": b'{"metadata":{"a":+1}}', "1.": b'{"metadata":{"a":1.}}', ".5": b'{"metadata":{"a":.5}}',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_json_is_400(place, name):
    problem(run(place, MALFORMED[name]), 400, "invalid_json")


def test_accepted_inputs_come_back_as_sent(place):
    """To the client in the bytes that were sent, to the run as the same values."""
    _, client, workflow = place
    sent = '{"email":"\\ud83d\\ude00a\\u0000b\u2028","n":-0}'
    answer = run(place, b'{"inputs":' + sent.encode() + b"}")
    assert answer.status_code == 202, answer.text
    id = answer.json()["execution_id"]
    done = client.finished(id)
    assert done["steps"][0]["result"] == {"email": "\U0001f600a\0b\u2028", "n": 0}
    text = client.get(f"/executions/{id}", params={"include_step_results": "true"}).content.decode()
    assert text.count('"n":-0') >= 2 and sent in text


@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "identity, deflate"])
def test_encoded_body_is_415(place, coding):
    answer = run(place, gzip.compress(b"{}"), **{"Content-Encoding": coding})
    problem(answer, 415, "unsupported_media_type")
    assert answer.headers["Accept-Encoding"] == "identity"
    assert run(place, b'{"inputs":{"email":"abc"}}', **{"Content-Encoding": "identity"}).status_code == 202


@pytest.mark.parametrize("shift", range(4))
def test_long_names_of_clients_are_cut_after_a_character(place, shift):
    """At every place that quotes what the client sent."""
    _, client, workflow = place
    name = "x" * shift + "\u00e9" * 3000
    for answer in (run(place, json.dumps({name: 1})), run(place, json.dumps({"inputs": {"email": "abc", name: 1}})),
                   client.get("/executions", params={name[:1500]: "1"}), client.get("/executions", params=[("tag", "a"), ("tag", "b")]),
                   client.post("/workflows", json={"name": "w", "program": {"steps": [{"name": "a", "type": "transform", "value": 1, name: 1}]}})):
        assert answer.status_code in (400, 422)
        assert len(answer.json()["detail"].encode()) <= 1024


@pytest.mark.parametrize("path", ["/workflows", "/executions", "/credits/ledger"])
def test_cursor_that_is_no_id_is_invalid_cursor(place, path):
    problem(place[1].get(path, params={"after": "x"}), 400, "invalid_cursor")


@pytest.mark.parametrize("text", ["2026-02-30", "2026-04-31T00:00:00Z", "2026-01-15T24:00:00Z", "2026-1-5", "2026-01-15T10:30:00", "1768473000"])
def test_times_that_do_not_exist_are_400(place, text):
    for path, name in (("/executions", "created_after"), ("/executions", "created_before"), ("/credits/usage", "from"), ("/credits/usage", "to")):
        problem(place[1].get(path, params={name: text}), 400, "invalid_request")


@pytest.mark.parametrize("accept, kind", [
    ("text/csv", "text/csv"), ("text/csv;q=0", "application/json"), ("text/csv;q=0.1, application/json", "application/json"),
    ("application/json;q=0.1, text/csv", "text/csv"), ("*/*", "application/json"), ("text/csv, */*", "text/csv"),
    ('application/json;x="text/csv"', "application/json"), ("image/png", "application/json")])
def test_usage_is_sent_as_the_client_accepts_it(place, accept, kind):
    answer = place[1].get("/credits/usage", headers={"Accept": accept})
    assert answer.headers["Content-Type"].partition(";")[0] == kind


def test_a_header_may_come_in_several_lines(stack, place):
    """RFC 9110, section 5.3: they are one list."""
    c = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
    c.putrequest("GET", "/api/v1/credits/usage")
    for name, value in (("Authorization", f"Bearer {place[1].key}"), ("Accept", "application/json;q=0.1"), ("Accept", "text/csv")):
        c.putheader(name, value)
    c.endheaders()
    answer = c.getresponse()
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/csv")
    c.close()


WRONG = {
    "an array": [], "a string": "x", "a number": 1, "null": None, "unknown member": {"input": {}}, "tags no array": {"tags": "a"},
    "tags of numbers": {"tags": [1]}, "an empty tag": {"tags": [""]}, "a long tag": {"tags": ["x" * 257]},
    "many tags": {"tags": [str(i) for i in range(33)]}, "metadata no object": {"metadata": []}, "chat no object": {"chat": "x"},
    "chat with a number": {"chat": {"thread_id": 1}}, "chat with no UUID": {"chat": {"message_id": "x"}},
    "a long tool_call_id": {"chat": {"tool_call_id": "x" * 257}}, "an empty thread_id": {"chat": {"thread_id": ""}},
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_types_are_400(place, name):
    problem(run(place, json.dumps(WRONG[name])), 400, "invalid_request")


INPUTS = {
    "missing": ({}, ["/inputs"]), "absent": (None, ["/inputs"]), "wrong type": ({"email": 5}, ["/inputs/email"]),
    "several": ({"email": "a", "n": "x", "y": 1}, ["/inputs", "/inputs/email", "/inputs/n"]),
    "no object": ([1], ["/inputs"]), "a string": ("x", ["/inputs"]),
}


@pytest.mark.parametrize("name", INPUTS)
def test_invalid_inputs_are_reported_with_their_location(place, name):
    inputs, pointers = INPUTS[name]
    p = problem(run(place, json.dumps({} if inputs is None else {"inputs": inputs})), 422, "invalid_inputs")
    assert sorted(e["pointer"] for e in p["errors"]) == pointers
    assert all(e["message"] for e in p["errors"])


def test_deepest_permitted_nesting_is_accepted(place):
    assert run(place, deep(30)).status_code == 202


@pytest.mark.parametrize("body", [b"", None])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", None])
def test_empty_body_is_accepted(stack, body, content_type):
    workspace = stack.workspace()
    place = workspace, workspace.client(), workspace.put_workflow({"steps": PROGRAM["steps"]})
    assert run(place, body, content_type).status_code == 202


CURL = "application/x-www-form-urlencoded"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", None, CURL, CURL.upper() + ";charset=utf-8"])
def test_json_media_types_are_accepted(place, content_type):
    assert run(place, b'{"inputs":{"email":"abc"}}', content_type).status_code == 202


@pytest.mark.parametrize("header", ["Authorization: Bearer {}", "Authorization: {}", "X-API-Key: {}"])
def test_json_with_curls_default_content_type_is_accepted(stack, place, header):
    _, client, workflow = place
    name, value = header.format(client.key).split(": ", 1)

    def send(body):
        with requests.Session() as s:
            s.trust_env = False
            return s.post(f"{stack.url}/api/v1/workflows/{workflow}/run-async", data=body, timeout=10,
                          headers={name: value, "Content-Type": CURL, "Idempotency-Key": f"as curl by {header}"})
    # a rejected request does not use up its idempotency key
    for body in (b"inputs=abc", b"%7B%7D", b"{"):
        problem(send(body), 400, "invalid_json")
    problem(send(b"[]"), 400, "invalid_request")
    problem(send(b'{"inputs":{"email":"a"}}'), 422, "invalid_inputs")
    first, again = send(b'{"inputs":{"email":"abc"}}'), send(b'{"inputs":{"email":"abc"}}')
    assert first.status_code == again.status_code == 202 and first.content == again.content
    # the Content-Type is not part of the request fingerprint
    typed = run(place, b'{"inputs":{"email":"abc"}}', **{"Idempotency-Key": f"as curl by {header}"})
    assert typed.content == first.content and typed.headers["Idempotent-Replayed"] == "true"


def test_form_content_type_without_key_header_is_401(stack, place):
    answer = requests.post(f"{stack.url}/api/v1/workflows/{place[2]}/run-async", data=b"{}", headers={"Content-Type": CURL}, timeout=10)
    problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize("content_type", ["text/plain", CURL + "2", "multipart/form-data; boundary=x", "application/jsonp", "json",
                                          "application/xml"])
def test_other_media_types_are_415(place, content_type):
    problem(run(place, b"{}", content_type), 415, "unsupported_media_type")


@pytest.mark.parametrize("charset", ["iso-8859-1", '"UTF-16"', "utf-8; charset=latin1", ""])
def test_other_charsets_are_415(place, charset):
    answer = run(place, b'{"inputs":{"email":"abc"}}', f"application/json; charset={charset}")
    assert "charset" in problem(answer, 415, "unsupported_media_type")["detail"]


@pytest.mark.parametrize("parameters", ["charset=UTF-8", 'Charset="utf-8"; x=y', 'x="charset=latin1"'])
def test_utf8_is_accepted_as_charset(place, parameters):
    assert run(place, b'{"inputs":{"email":"abc"}}', f"application/json; {parameters}").status_code == 202


def test_body_above_the_limit_is_413(place):
    body = b'{"inputs":{"email":"abc"},"metadata":{"a":"%s"}}'
    exact = body % (b"x" * (1024 * 1024 - len(body) + 2))
    assert len(exact) == 1024 * 1024
    assert run(place, exact).status_code == 202
    told = run(place, exact + b" ")
    problem(told, 413, "body_too_large")
    assert told.json()["title"] == "Content Too Large" and "1048576" in told.json()["detail"], "the limit is told"
    problem(run(place, b"x" * 1024 * 1200), 413, "body_too_large")


def test_chunked_body_above_the_limit_is_413(place):
    _, client, workflow = place

    def parts():
        for _ in range(20):
            yield b" " * 60000
    problem(client.post(f"/workflows/{workflow}/run-async", data=parts(), headers={"Content-Type": "application/json"}), 413,
            "body_too_large")


def test_truncated_body_is_not_processed(stack, place):
    _, client, workflow = place
    before = place[0].balance()
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as s:
        s.sendall(f"POST /api/v1/workflows/{workflow}/run-async HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {client.key}\r\n"
                  "Content-Length: 100\r\nContent-Type: application/json\r\n\r\n{".encode())
        s.shutdown(socket.SHUT_WR)
        s.recv(65536)
    assert place[0].balance() == before


PATHS = ["/nothing", "/", "", "/executions/x", "/executions/x/stop", "/executions//stop", "//executions", "/executions/%2e%2e/credits",
         "/workflows/../credits", "/executions/" + "a" * 5000, "/a/" * 40, "/workflows/00000000-0000-0000-0000-00000000000g/run-async",
         f"/executions/{uuid.uuid4()}x", f"/workflows/{uuid.uuid4()}/run", "/healthz", "/metrics"]


@pytest.mark.parametrize("path", PATHS, ids=[str(i) for i in range(len(PATHS))])  # indices as names, because the paths contain random ids
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_paths_are_404(stack, place, path, method):
    client = place[1]
    # not with the client library, which normalizes dot segments
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as s:
        s.sendall(f"{method} /api/v1{path} HTTP/1.1\r\nHost: a\r\nAuthorization: {client.key}\r\nContent-Length: 0\r\n"
                  "Connection: close\r\n\r\n".encode())
        answer = b""
        while part := s.recv(65536):
            answer += part
    head, body = answer.split(b"\r\n\r\n", 1)
    status = int(head.split()[1])
    assert status in (404, 405) or b"invalid_request" in body and status == 400, answer
    assert b"application/problem+json" in head and json.loads(body)["status"] == status
    if status == 405:
        assert b"\r\nAllow: " in head


@pytest.mark.parametrize("path", ["/executions/%ff", "/executions/%zz", "/executions/%", "/executions/%4", "/executions?limit=%ff",
                                  "/executions?%zz=1", "/executions?a=%00"])
def test_invalid_percent_escapes_are_400(stack, place, path):
    # on a socket, because the client library would correct the escapes
    with socket.create_connection(("127.0.0.1", stack.port), timeout=5) as s:
        s.sendall(f"GET /api/v1{path} HTTP/1.1\r\nHost: a\r\nAuthorization: {place[1].key}\r\nConnection: close\r\n\r\n".encode())
        answer = s.recv(65536)
    assert answer.split()[1] == b"400" and b"invalid_request" in answer


def test_encoded_slash_is_part_of_a_segment(place):
    problem(place[1].get("/executions%2F" + str(uuid.uuid4())), 404, "not_found")


@pytest.mark.parametrize("method, path, allow", [
    ("DELETE", "/workflows", {"GET", "HEAD", "POST"}), ("PATCH", f"/workflows/{uuid.uuid4()}", {"GET", "HEAD", "PUT", "DELETE"}),
    ("GET", f"/workflows/{uuid.uuid4()}/run-async", {"POST"}), ("POST", "/executions", {"GET", "HEAD"}),
    ("OPTIONS", "/credits", {"GET", "HEAD"}), ("GET", f"/executions/{uuid.uuid4()}/stop/", {"POST"}),
])
def test_wrong_method_is_405_with_allow(place, method, path, allow):
    answer = place[1].request(method, path)
    problem(answer, 405, "method_not_allowed")
    assert set(answer.headers["Allow"].split(", ")) == allow


def test_head_is_answered_like_get_without_body(place):
    answer = place[1].request("HEAD", "/credits")
    assert (answer.status_code, answer.content) == (200, b"") and answer.headers["ETag"]


@pytest.mark.parametrize("query", ["x=1", "waits=5", "=", "&x", "a=1&b=2", "include_step_results=1", "include_step_results=",
                                   "include_step_results=true&include_step_results=true"])
def test_unknown_query_parameter_is_400(place, query):
    problem(place[1].get(f"/executions/{uuid.uuid4()}?{query}"), 400, "invalid_request")
    problem(place[1].post(f"/workflows/{place[2]}/run-async?{query}"), 400, "invalid_request")


def test_too_many_query_parameters_are_400(place):
    problem(place[1].get("/executions?" + "&".join("responderIds=" + str(uuid.uuid4()) for _ in range(65))), 400, "invalid_request")
    assert place[1].get("/executions?" + "&".join("responderIds=" + str(uuid.uuid4()) for _ in range(60))).status_code == 200


@pytest.mark.parametrize("program", [
    {"steps": [{"name": "a", "type": "transform", "value": "${/inputs/" + "a" * 100000 + "}"}]},
    {"steps": [{"name": "a", "type": "transform", "value": "${" * 10000}]},
    {"steps": [{"name": "a", "type": "transform", "value": "${/inputs/~2}"}]},
    {"steps": [{"name": "a", "type": "transform", "value": 1}] * 201},
    {"steps": [{"name": str(i), "type": "transform", "value": "x" * 4000} for i in range(250)]},
    {"inputs": {"$ref": "#"}, "steps": "x"},
    {"inputs": {"pattern": "(a+)+$" * 500 + "("}, "steps": []},
])
def test_hostile_programs_get_a_documented_response(place, program):
    answer = place[1].post("/workflows", json={"name": "bomb", "program": program})
    assert answer.status_code in (400, 413, 422) or answer.status_code == 201, answer.text
    assert answer.headers["Content-Type"] in ("application/problem+json", "application/json")


def test_growing_values_fail_their_run_only(stack):
    """Each step doubles its text. The run fails; other runs are not affected."""
    workspace = stack.workspace()
    client = workspace.client()
    steps = [{"name": "s0", "type": "transform", "value": "x" * 1000}]
    for i in range(1, 30):
        steps.append({"name": f"s{i}", "type": "transform", "value": f"${{/steps/s{i - 1}/result}}" * 2 + "!"})
    x = client.finished(client.started(workspace.put_workflow({"steps": steps})))
    assert x["status"] == "failed" and x["failure_reason"] and x["error"]


def test_recursive_schema_is_rejected_or_bounded(place):
    workspace, client, _ = place
    bomb = {"inputs": {"$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}] * 8}, "b": {"anyOf": [{"$ref": "#/$defs/a"}] * 8}},
                       "$ref": "#/$defs/a"}, "steps": PROGRAM["steps"]}
    made = client.post("/workflows", json={"name": "w", "program": bomb})
    assert made.status_code in (201, 422), made.text
    if made.status_code == 201:
        problem(client.run(made.json()["id"], {}), 422, "invalid_inputs")


def test_rejected_requests_charged_and_stored_nothing(stack):
    workspace = stack.workspace(credits=10)
    place = workspace, workspace.client(), workspace.put_workflow(PROGRAM)
    for body in list(MALFORMED.values()) + [json.dumps(b).encode() for b in WRONG.values()]:
        assert 400 <= run(place, body).status_code < 500
    assert workspace.balance() == 10
    assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "0"


def test_no_request_was_answered_with_500(stack):
    assert "status=500" not in stack.log("api")
