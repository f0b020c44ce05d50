"""Responses of nginx itself: problem documents, never HTML, and correct about whether the request reached the API server."""
import json
import os
import re
import socket
import subprocess
import threading

import pytest
import requests

from stack import eventually

TLS = True


def exchange(stack, raw):
    """Sends raw bytes and returns (status, headers, body) of the response."""
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as s:
        s.sendall(raw)
        answer = b""
        while b"\r\n\r\n" not in answer:
            part = s.recv(65536)
            assert part, f"connection closed without a response: {answer!r}"
            answer += part
        head, body = answer.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        headers = {n.lower(): v.strip() for n, v in (line.split(":", 1) for line in lines[1:])}
        while len(body) < int(headers["content-length"]):
            body += s.recv(65536)
    return int(lines[0].split()[1]), headers, body


def check_problem(status, headers, body, code):
    assert headers["content-type"] == "application/problem+json"
    problem = json.loads(body)
    assert set(problem) == {"type", "title", "status", "detail", "error", "code", "request_id"}
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["error"] == problem["detail"] != ""
    assert problem["request_id"] == headers["x-request-id"]
    assert re.fullmatch("[0-9a-f]{32}", problem["request_id"])


CASES = {
    "not a request": (b"GARBAGE\r\n\r\n", 400, "invalid_request"),
    "no Host": (b"GET /api/v1/executions HTTP/1.1\r\n\r\n", 400, "invalid_request"),
    "negative length": (b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400, "invalid_request"),
    "NUL in the path": (b"GET /api/v1/%00 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "invalid_request"),
    "over-long URI": (b"GET /" + b"a" * 70000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414, "uri_too_long"),
    "over-long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 70000 + b"\r\n\r\n", 400, "invalid_request"),
    "TRACE": (b"TRACE /api/v1/x HTTP/1.1\r\nHost: a\r\n\r\n", 405, "method_not_allowed"),
    "far too large": (b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413, "body_too_large"),
    "unknown encoding": (b"POST /api/v1/x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", 501, "invalid_request"),
    "HTTP/3.1": (b"GET / HTTP/3.1\r\nHost: a\r\n\r\n", 505, "invalid_request"),
    "nothing there": (b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
    "internal location": (b"GET /internal/files/x HTTP/1.1\r\nHost: a\r\n\r\n", 404, "not_found"),
}


@pytest.mark.parametrize("name", CASES)
def test_errors_of_nginx_are_problem_documents(stack, name):
    raw, status, code = CASES[name]
    got, headers, body = exchange(stack, raw)
    assert got == status
    check_problem(status, headers, body, code)
    if status == 405:
        assert "GET" in headers["allow"]


@pytest.mark.parametrize("path", ["/api/v1/workflows", "/v1/files/x", "/healthz", "/elsewhere"])
@pytest.mark.parametrize("how", ["length", "chunked", "http2", "http2 without a length"])
def test_body_over_the_limit_is_a_problem_document(stack, how, path):
    """nginx judges the length before the location answers, and a body without one while it reads it."""
    options = ["--http2"] if "http2" in how else ["--http1.1"]
    options += ["--upload-file", "-", "--request", "POST"] if how in ("chunked", "http2 without a length") else ["--data-binary", "@-"]
    done = subprocess.run(["curl", "--silent", "--insecure", "--include", "--max-time", "30", "--header", "Expect:",
                           "--header", "Content-Type: application/json", *options, f"https://localhost:{stack.tls_port}{path}"],
                          input=b" " * 3_000_000, stdout=subprocess.PIPE, timeout=60)
    head, body = done.stdout.split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    status = int(lines[0].split()[1])
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    problem = json.loads(body)
    assert headers["content-type"] == "application/problem+json"
    assert problem["status"] == status and status in (401, 404, 405, 413), problem
    if path.startswith("/api"):
        assert (status, problem["code"]) == (413, "body_too_large")


def sent(stack, how, path, key, type, body):
    """The body of the answer, its status and version."""
    options = ["--http2"] if "http2" in how else ["--http1.1"]
    options += ["--upload-file", "-", "--request", "POST"] if how in ("chunked", "http2 without a length") else ["--data-binary", "@-"]
    done = subprocess.run(["curl", "--silent", "--insecure", "--max-time", "30", "--header", "Expect:", "--header", f"X-API-Key: {key}",
                           "--header", f"Content-Type: {type}", "--write-out", " %{http_code} %{http_version}", *options,
                           f"https://localhost:{stack.tls_port}{path}"], input=body, stdout=subprocess.PIPE, timeout=60)
    return done.stdout.decode().rsplit(" ", 2)


@pytest.mark.parametrize("how", ["length", "chunked", "http2", "http2 without a length"])
def test_a_body_is_read_however_its_length_is_told(stack, workspace, how):
    """nginx reads the body before it asks the API, and says its length, also if the client has not. Only uploads come without one."""
    key, version = workspace.key()["key"], "2" if "http2" in how else "1.1"
    for size in (0, 200_000):  # the second one is larger than nginx' buffer
        program = {"name": "a", "program": {"steps": [{"name": "a", "type": "transform", "value": "x" * size}]}}
        answer = sent(stack, how, "/api/v1/workflows", key, "application/json", json.dumps(program).encode())
        assert answer[1:] == ["201", version], answer
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\n' + b"a" * 5_000_000 + b"\r\n--x--\r\n"
    answer = sent(stack, how, "/api/v1/files/", key, "multipart/form-data; boundary=x", body)
    assert answer[1:] == ["201", version] and json.loads(answer[0]) == {"source_ids": ["a"]}, answer
    for _ in range(20):  # refused before the body is read
        answer = sent(stack, how, "/api/v1/files/", "wrong", "multipart/form-data; boundary=x", body)
        assert answer[1:] == ["401", version], answer


@pytest.mark.parametrize("path", ["/v1", "/api-proxy/v1", "/api/v1", "/v1/"])
def test_prefix_alone_is_404(stack, path):
    answer = requests.get(stack.url + path, timeout=10, allow_redirects=False)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json" and answer.json()["code"] == "not_found"


def test_health_of_a_stopped_pool_is_a_problem_document(stack):
    stack.stop_server("api")
    try:
        answer = requests.get(stack.url + "/readyz", timeout=10)
        check_problem(503, answer.headers, answer.content, "unavailable")
        answer = requests.post(stack.url + "/readyz", data=b" " * 2_000_000, timeout=10)
        assert answer.status_code in (413, 503)
        assert answer.headers["Content-Type"] == "application/problem+json"
    finally:
        stack.start_server("api")


def test_upload_to_a_stopped_pool_is_503(stack):
    """The body is larger than the limit of the other locations."""
    key = stack.workspace().key()["key"]
    stack.stop_server("api")
    try:
        answer = requests.post(stack.url + "/api/v1/files/", headers={"X-API-Key": key}, timeout=30,
                               files={"files": ("a", b"x" * 5_000_000)})
        assert answer.headers["Retry-After"] == "1"
        check_problem(503, answer.headers, answer.content, "unavailable")
    finally:
        stack.start_server("api")


def test_upload_whose_worker_is_killed_is_502(stack):
    key = stack.workspace().key()["key"]
    killed = threading.Event()

    def body():
        yield (b"--b\r\nContent-Disposition: form-data; name=\"files\"; filename=\"a\"\r\n\r\n" + b"x" * 2_000_000)
        eventually(lambda: requests.get(stack.url + "/readyz", timeout=60).status_code == 200)
        stack.kill_server("api", with_children=True)
        killed.set()
        for _ in range(64):
            yield b"x" * 65536
        yield b"\r\n--b--\r\n"

    try:
        answer = requests.post(stack.url + "/api/v1/files/", data=body(), timeout=30,
                               headers={"X-API-Key": key, "Content-Type": "multipart/form-data; boundary=b"})
        assert killed.is_set()
        check_problem(502, answer.headers, answer.content, "outcome_unknown")
    finally:
        stack.start_server("api")


def test_plain_http_to_the_tls_port_is_400(stack):
    answer = requests.get(f"http://127.0.0.1:{stack.tls_port}/api/v1/credits", timeout=10)
    assert answer.status_code == 400
    check_problem(400, answer.headers, answer.content, "invalid_request")


def test_tls_is_served(stack):
    answer = requests.get(f"https://localhost:{stack.tls_port}/elsewhere", timeout=10, verify=stack.dir / "secrets/tls.crt")
    assert answer.status_code == 404
    check_problem(404, answer.headers, answer.content, "not_found")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "Via"])
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_health_is_not_shown_through_a_proxy(stack, path, header):
    """A proxy on the same host has a loopback address, its clients do not."""
    assert requests.get(stack.url + path, timeout=10).status_code == 200
    answer = requests.get(stack.url + path, headers={header: "192.0.2.1"}, timeout=10)
    assert answer.status_code == 404
    check_problem(404, answer.headers, answer.content, "not_found")


def test_stopped_pool_is_503(stack):
    stack.stop_server("api")
    answer = requests.get(stack.url + "/api/v1/executions", timeout=10)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    check_problem(503, answer.headers, answer.content, "unavailable")


def test_broken_upstream_connection_is_502_outcome_unknown(stack):
    """A worker reads the request and is killed, so that the outcome is unknown."""
    stack.stop_server("api")
    path = stack.dir / "sockets/api.sock"
    if path.exists():
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        os.chmod(path, 0o666)
        listener.listen(8)

        def take_and_drop():
            connection, _ = listener.accept()
            connection.recv(65536)
            connection.close()

        thread = threading.Thread(target=take_and_drop)
        thread.start()
        answer = requests.post(stack.url + "/api/v1/workflows/x/run-async", timeout=10)
        thread.join()
    os.unlink(path)
    assert answer.status_code == 502
    assert "Retry-After" not in answer.headers
    check_problem(502, answer.headers, answer.content, "outcome_unknown")
    stack.start_server("api")
