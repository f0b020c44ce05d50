"""Pages of other origins: every response can be read by the pages of the origins in api.cors_origins and by no others, whoever answers:
the API, the event daemon or nginx itself. A browser shows the same."""
import json
import re
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from openapi import DOCUMENT
from stack import ROOT, eventually, free_port

PAGE_PORT = free_port()
PAGE = f"http://127.0.0.1:{PAGE_PORT}"
ORIGIN = "https://app.example.com"
LONG = "https://" + "a" * 60 + "." + "b" * 30 + ".example.com:8443"
SETTINGS = {"api.cors_origins": f"{ORIGIN}, {PAGE},{LONG}"}
TLS = True
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
MISSING = "01890000-0000-7000-8000-000000000000"
EXPOSED = {"Retry-After", "Location", "Idempotent-Replayed", "X-Request-Id", "ETag", "X-RateLimit-Remaining", "RateLimit"}


def varies_by(answer):
    return [name.strip().lower() for name in answer.headers.get("Vary", "").split(",") if name]


def check_readable(answer, origin=ORIGIN):
    """The page may read the response, and a cache keeps it apart from those for other origins."""
    assert answer.raw.headers.getlist("Access-Control-Allow-Origin") == [origin], (answer.status_code, answer.headers)
    assert "origin" in varies_by(answer), answer.headers
    assert EXPOSED <= {name.strip() for name in answer.headers["Access-Control-Expose-Headers"].split(",")}
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert answer.raw.headers.getlist("X-Request-Id") == [answer.headers["X-Request-Id"]]
    return answer


def check_unreadable(answer):
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")], answer.headers
    assert "origin" in varies_by(answer), "a cache must not give this answer to a page of a listed origin"


@pytest.fixture
def page(stack, workspace):
    """Requests as a page of ORIGIN sends them."""
    client = workspace.client()
    client.session.headers["Origin"] = ORIGIN
    return client


def test_responses_of_the_api(stack, workspace, page):
    flow = workspace.put_workflow(PROGRAM)
    started = check_readable(page.run(flow, {"n": 1}, key="k"))
    assert started.status_code == 202
    run = started.json()["execution_id"]
    replayed = check_readable(page.run(flow, {"n": 1}, key="k"))
    assert replayed.headers["Idempotent-Replayed"] == "true"
    waited = check_readable(page.get(f"/executions/{run}?wait=60"))
    assert waited.status_code == 200 and waited.json()["status"] == "success"
    assert check_readable(page.get(f"/executions/{run}", headers={"If-None-Match": waited.headers["ETag"]})).status_code in (200, 304)
    for method, path, status, more in (
            ("GET", f"/executions/{MISSING}", 404, {}), ("GET", "/nowhere", 404, {}), ("PUT", "/credits", 405, {}), ("GET", "/executions?limit=x", 400, {}),
            ("POST", "/workflows", 415, {"data": "x", "headers": {"Content-Type": "text/plain"}}), ("POST", "/workflows", 422, {"json": {"name": "w", "program": {}}}),
            ("POST", f"/workflows/{flow}/run-async", 413, {"data": b'"' + b"a" * 1050000 + b'"', "headers": {"Content-Type": "application/json"}}),
            ("POST", f"/executions/{run}/stop", 400, {}), ("DELETE", f"/workflows/{flow}", 204, {}), ("GET", "/openapi.json", 200, {})):
        answer = check_readable(page.session.request(method, page.base + path, timeout=30, **more))
        assert answer.status_code == status, (method, path, answer.text)
    csv = check_readable(page.get("/credits/usage", headers={"Accept": "text/csv"}))
    assert set(varies_by(csv)) == {"accept", "origin"}
    for headers in ({}, {"Authorization": "Bearer wrong"}):
        answer = check_readable(requests.get(page.base + "/credits", headers={"Origin": ORIGIN, **headers}, timeout=10))
        assert answer.status_code == 401 and "WWW-Authenticate" in answer.headers and answer.json()["code"] == "unauthenticated"
    for prefix in ("/v1", "/api-proxy/v1"):
        check_readable(requests.get(f"{stack.url}{prefix}/credits", headers={"Origin": ORIGIN}, timeout=10))
    check_readable(requests.get(f"https://127.0.0.1:{stack.tls_port}/api/v1/credits", headers={"Origin": LONG}, timeout=10,
                                verify=stack.dir / "secrets/tls.crt"), LONG)


def test_rate_limit(stack):
    page = stack.workspace(rate_limit_per_minute=1).client()
    page.session.headers["Origin"] = ORIGIN
    eventually(lambda: page.get("/credits").status_code == 429, 20, "a 429")
    answer = check_readable(page.get("/credits"))
    assert answer.status_code == 429 and answer.json()["code"] == "rate_limited" and int(answer.headers["Retry-After"]) > 0


def test_files(page):
    content = b"a file of a page" * 100
    assert check_readable(page.post("/files", files={"files": ("page.txt", content)})).status_code == 201
    whole = check_readable(page.get("/files/page.txt"))
    assert whole.status_code == 200 and whole.content == content
    part = check_readable(page.get("/files/page.txt", headers={"Range": "bytes=2-5"}))
    assert part.status_code == 206 and part.content == content[2:6]
    beyond = check_readable(page.session.get(page.base + "/files/page.txt", headers={"Range": "bytes=99999-"}, timeout=10))
    assert beyond.status_code == 416


def test_events_and_a_ticket(stack, workspace, page):
    run = page.started(workspace.put_workflow(PROGRAM))
    page.finished(run)
    ticket = check_readable(page.post(f"/executions/{run}/events/ticket"))
    for url, headers in ((page.base + f"/executions/{run}/events", dict(page.session.headers)), (stack.url + ticket.json()["url"], {"Origin": ORIGIN})):
        stream = check_readable(requests.get(url, headers=headers, timeout=30))
        assert stream.status_code == 200 and "execution.succeeded" in stream.text
    ended = check_readable(page.get(f"/executions/{run}/events", headers={"Last-Event-ID": "9999"}))
    assert ended.status_code in (204, 400)


def test_what_nginx_answers_itself(stack):
    for method, path, headers, status in (
            ("GET", "/elsewhere", {}, 404), ("POST", "/api/v1/workflows", {"Content-Length": "99999999"}, 413), ("TRACE", "/api/v1/credits", {}, 405),
            ("GET", "/internal/waited", {}, 404), ("POST", "/api/v1/credits", {"Transfer-Encoding": "unknown"}, 501), ("GET", "/v1", {}, 404)):
        prepared = requests.Request(method, stack.url + path, headers={"Origin": ORIGIN}).prepare()
        prepared.headers.update(headers)
        with requests.Session() as session:
            session.trust_env = False
            answer = check_readable(session.send(prepared, timeout=10))
            assert answer.status_code == status, (path, answer.text)


def test_a_server_that_does_not_answer(stack, workspace, page):
    flow = workspace.put_workflow(PROGRAM)
    run = page.started(flow)
    page.finished(run)
    stack.stop_server("stream")
    try:
        following = check_readable(page.get(f"/executions/{run}/events"))
        assert following.status_code == 200 and following.text == "retry: 2000\n\n"
        waited = check_readable(page.post(f"/workflows/{flow}/run-async", json={}, headers={"Prefer": "wait=5"}))
        assert waited.status_code in (200, 202)
    finally:
        stack.start_server("stream")
    stack.stop_server("api")
    try:
        for path in ("/credits", f"/executions/{run}/events", "/files"):
            answer = check_readable(page.get(path))
            assert answer.status_code == 503 and answer.headers["Retry-After"] and answer.json()["code"] == "unavailable"
    finally:
        stack.start_server("api")
        stack.wait_ready()


def preflight(url, origin=ORIGIN, method="POST", headers="authorization,idempotency-key"):
    return requests.options(url, headers={"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}, timeout=10)


def test_preflight_of_every_operation(stack):
    """It is answered without a key, without the pool, and allows what the operation takes."""
    stack.stop_server("api")
    try:
        for method, path, item, operation in DOCUMENT.operations():
            if "servers" in item:
                continue
            answer = preflight(stack.url + "/api/v1" + re.sub(r"\{[^}]*\}", MISSING, path), method=method)
            assert answer.status_code == 204 and answer.content == b"", (path, answer.status_code)
            check_readable(answer)
            assert method in answer.headers["Access-Control-Allow-Methods"].split(", ")
            allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
            every = [DOCUMENT.resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
            # X-Millrace-Console is for the console's page, which is of this origin: see the next assertion
            assert {p["name"].lower() for p in every if p["in"] == "header"} - {"x-millrace-console"} | {"authorization", "x-api-key", "content-type", "if-none-match"} <= allowed
            assert not any(name.startswith("x-millrace") or name in ("cookie", "*") for name in allowed), "for pages of the same origin only"
            assert int(answer.headers["Access-Control-Max-Age"]) > 0
    finally:
        stack.start_server("api")
        stack.wait_ready()


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://app.example.com.evil.example", "http://app.example.com", ORIGIN + ":444",
                                    ORIGIN + "/", ORIGIN + " " + ORIGIN, "", "https://xapp.example.com", "https://app.exampleXcom"])
def test_other_origins(stack, origin):
    check_unreadable(requests.get(stack.url + "/api/v1/openapi.json", headers={"Origin": origin}, timeout=10))
    check_unreadable(requests.get(stack.url + "/elsewhere", headers={"Origin": origin}, timeout=10))
    answer = preflight(stack.url + "/api/v1/workflows", origin)
    assert answer.status_code in (401, 405)
    check_unreadable(answer)


def test_no_origin_and_what_is_no_preflight(stack):
    check_unreadable(requests.get(stack.url + "/api/v1/openapi.json", timeout=10))
    assert requests.options(stack.url + "/api/v1/credits", headers={"Origin": ORIGIN}, timeout=10).status_code == 405
    for path in ("/healthz", "/elsewhere", "/api/v11/credits", "/internal/waited"):
        answer = preflight(stack.url + path)
        assert answer.status_code >= 400 and "Access-Control-Allow-Methods" not in answer.headers


def test_no_location_forgets_the_headers():
    """A location of nginx with an add_header inherits none."""
    blocks, stack = [], []
    for line in (ROOT / "nginx/millrace.conf.in").read_text().splitlines():
        line = re.sub(r"(^|\s)#.*", "", line).strip()
        if line.endswith("{"):
            stack.append([line])
        elif line == "}":
            blocks.append("\n".join(stack.pop()))
        elif stack:
            stack[-1].append(line)
    blocks = [b for b in blocks if "add_header" in b and "/internal/unsatisfiable {" not in b.split("\n")[0]]
    assert not stack and len(blocks) >= 6
    # the files of the console and of the documentation are for pages of this origin
    console = [b for b in blocks if re.search("/(console|docs)/ {", b.split("\n")[0])]
    assert len(console) == 2 and all("Cross-Origin-Resource-Policy same-origin always" in b and "cors" not in b for b in console)
    # the page of a ticket is for people who open it; no script of another origin may read it
    answer = [b for b in blocks if b.startswith("location /answer/ {")]
    assert len(answer) == 1 and "X-Request-Id" in answer[0] and "cors" not in answer[0]
    for block in blocks:
        if block in console + answer:
            continue
        for name in ("X-Request-Id $request_id", "Access-Control-Allow-Origin $cors_origin", "Access-Control-Expose-Headers $cors_exposed", "Vary $cors_vary"):
            assert f"add_header {name} always;" in block, block


# --- in a browser ------------------------------------------------------------------------------------------------------

RUN = """async ({ url, key, flow }) => {
    const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json", "Idempotency-Key": "of-the-page" };
    const started = await fetch(`${url}/api/v1/workflows/${flow}/run-async`, { method: "POST", headers, body: JSON.stringify({ inputs: { n: 7 } }) });
    const { execution_id: id } = await started.json();
    const ticket = await (await fetch(`${url}/api/v1/executions/${id}/events/ticket`, { method: "POST", headers: { Authorization: `Bearer ${key}` } })).json();
    const types = await new Promise((resolve, reject) => {
        const source = new EventSource(url + ticket.url), seen = [];
        const take = (event) => {
            seen.push(event.type);
            if (event.type === "execution.succeeded") { source.close(); resolve(seen); }
        };
        for (const type of ["execution.queued", "execution.started", "step.succeeded", "execution.succeeded"]) source.addEventListener(type, take);
        source.onerror = () => { if (source.readyState === EventSource.CLOSED) reject(new Error("the stream was refused")); };
    });
    const shown = await (await fetch(`${url}/api/v1/executions/${id}`, { headers: { "X-API-Key": key } })).json();
    return { status: started.status, request: started.headers.get("X-Request-Id"), types, output: shown.detail.output };
}"""
READ = """async ({ url, key }) => {
    const answer = await fetch(`${url}/api/v1/credits`, { headers: { Authorization: `Bearer ${key}` } });
    return { status: answer.status, code: (await answer.json()).code, after: answer.headers.get("Retry-After"), request: answer.headers.get("X-Request-Id") };
}"""


class Browser:
    def __init__(self, profile, url):
        self.process = subprocess.Popen(["node", ROOT / "tests/api/browser.mjs", shutil.which("chromium"), profile, url], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.answer() == "ready"

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the browser ended"
        answer = json.loads(line)
        assert "error" not in answer, answer
        return answer["value"]

    def call(self, function, **argument):
        self.process.stdin.write(json.dumps({"function": function, "argument": argument}) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait(60)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"<!DOCTYPE html><title>a page of another origin</title>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module", params=["127.0.0.1", "localhost"], ids=["listed", "unlisted"])
def browser(request, tmp_path_factory):
    """A page of a listed origin, and the same page under another name, which is another origin."""
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=600)
    server = ThreadingHTTPServer(("127.0.0.1", PAGE_PORT), Page)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    opened = None
    try:
        opened = Browser(tmp_path_factory.mktemp("profile"), f"http://{request.param}:{PAGE_PORT}/")
        opened.listed = request.param == "127.0.0.1"
        yield opened
    finally:
        if opened:
            opened.close()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.skipif(not shutil.which("chromium") or not shutil.which("npm"), reason="needs chromium and npm: scripts/install test")
def test_a_page_in_chromium(stack, workspace, browser):
    flow, key = workspace.put_workflow(PROGRAM), workspace.key()["key"]
    if not browser.listed:
        with pytest.raises(AssertionError, match="Failed to fetch"):
            browser.call(RUN, url=stack.url, key=key, flow=flow)
        assert workspace.client().get("/executions").json()["executions"] == [], "the preflight must keep the page from starting a run"
        return
    run = browser.call(RUN, url=stack.url, key=key, flow=flow)
    assert run["status"] == 202 and run["request"] and run["output"] == {"n": 7}
    assert run["types"] == ["execution.queued", "execution.started", "step.succeeded", "execution.succeeded"]
    wrong = browser.call(READ, url=stack.url, key="wrong")
    assert wrong["status"] == 401 and wrong["code"] == "unauthenticated" and wrong["request"]
    limited = stack.workspace(rate_limit_per_minute=1).key()["key"]
    limit = eventually(lambda: (lambda a: a if a["status"] == 429 else None)(browser.call(READ, url=stack.url, key=limited)), 30, "a 429")
    assert limit["code"] == "rate_limited" and int(limit["after"]) > 0
    stack.stop_server("api")
    try:
        gone = browser.call(READ, url=stack.url, key=key)
        assert gone["status"] == 503 and gone["code"] == "unavailable" and gone["after"] == "1" and gone["request"]
    finally:
        stack.start_server("api")
        stack.wait_ready()
