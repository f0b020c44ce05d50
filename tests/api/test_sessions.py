"""Sessions of the console: signing in and out, what a page of another origin cannot do, and when a session ends."""
import atexit
import contextlib
import hashlib
import http.client
import json
import pathlib
import re
import shutil
import tempfile
import threading
import time

import pytest
import requests

from openapi import DOCUMENT
from stack import ALL_SCOPES, check_json, eventually, revoked, while_it_lasts, within

FILES = pathlib.Path(tempfile.mkdtemp(prefix="mr-console-", dir="/tmp"))
atexit.register(shutil.rmtree, FILES)
SETTINGS = {"nginx.console": str(FILES)}
TLS = True
PAGE = {"X-Millrace-Console": "1", "Sec-Fetch-Site": "same-origin"}
SLOW = {"steps": [{"name": "long", "type": "delay", "seconds": 600}]}


def send(stack, method, path, headers=None, **kwargs):
    with requests.Session() as s:
        s.trust_env = False
        answer = s.request(method, stack.url + "/api/v1" + path, headers={**(headers or {})}, timeout=30, **kwargs)
    if not kwargs.get("stream"):
        check_json(answer)
    DOCUMENT.check(method, path.split("?")[0], answer, body_is_here=not kwargs.get("stream"))
    return answer


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


class Browser:
    """A page of the console that is signed in."""

    def __init__(self, stack, token, **headers):
        self.stack = stack
        self.answer = send(stack, "POST", "/session", {**PAGE, **headers}, json={"token": token})
        assert self.answer.status_code == 200, self.answer.text
        self.cookie = re.match("millrace_session=([^;]+)", self.answer.headers["Set-Cookie"])[1]
        self.session = self.answer.json()

    @property
    def headers(self):
        return {**PAGE, "Cookie": f"other=1; millrace_session={self.cookie}"}

    def request(self, method, path, headers=None, **kwargs):
        return send(self.stack, method, path, {**self.headers, **(headers or {})}, **kwargs)

    def get(self, path, **kwargs):
        return self.request("GET", path, **kwargs)

    def post(self, path, **kwargs):
        return self.request("POST", path, **kwargs)


@pytest.fixture
def made(workspace):
    return workspace.key()


@pytest.fixture
def browser(stack, made):
    return Browser(stack, made["key"])


# --- signing in and out ---------------------------------------------------------------------------------------------

def test_key_is_exchanged_for_a_session(stack, workspace):
    made = workspace.key("executions:read,credits:read")
    b = Browser(stack, made["key"])
    parts = b.answer.headers["Set-Cookie"].split("; ")
    assert set(parts[1:]) == {"Path=/api/v1", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
    assert re.fullmatch("[A-Za-z0-9_-]{43}", b.cookie)  # 256 bits
    assert b.answer.headers["Cache-Control"] == "no-store"
    s = b.session
    assert (s["kind"], s["name"], s["role"], s["scopes"]) == ("key", made["prefix"], None, ["executions:read", "credits:read"])
    assert s["workspace"] == {"id": workspace.id, "name": "test"}
    assert b.get("/session").json() == s
    assert b.get("/credits").json() == {"balance": 1000}
    scope = problem(b.get("/workflows"), 403, "insufficient_scope")
    assert "workflows:read" in scope["detail"]


def test_session_has_every_scope_that_its_key_has(stack, workspace):
    assert set(Browser(stack, workspace.key(ALL_SCOPES)["key"]).session["scopes"]) == set(ALL_SCOPES.split(","))


def test_only_a_hash_of_the_cookie_is_stored(stack, browser, made):
    rows = stack.sql("SELECT HEX(hash), id, key_id FROM console_sessions WHERE key_id = '%s'" % made["id"])
    assert [(r[0].lower(), r[2]) for r in rows] == [(hashlib.blake2b(browser.cookie.encode(), digest_size=32).hexdigest(), made["id"])]
    assert browser.cookie not in stack.log("api") + stack.log("nginx-access")


def test_cookie_is_secure_under_tls(stack, made):
    answer = requests.post(f"https://127.0.0.1:{stack.tls_port}/api/v1/session", json={"token": made["key"]}, headers=PAGE, verify=False, timeout=30)
    assert answer.status_code == 200 and answer.headers["Set-Cookie"].endswith("; Secure")
    assert Browser(stack, made["key"], **{"X-Forwarded-Proto": "https"}).answer.headers["Set-Cookie"].endswith("; Secure")  # TLS ends at a proxy


def test_signing_out_ends_the_session_at_once(stack, browser, made):
    answer = browser.request("DELETE", "/session")
    assert answer.status_code == 204
    assert answer.headers["Set-Cookie"].startswith("millrace_session=; Path=/api/v1; Max-Age=0;")
    for _ in range(20):
        answer = browser.get("/session")
        problem(answer, 401, "unauthenticated")
    assert answer.headers["Set-Cookie"].startswith("millrace_session=; ")  # a stale cookie would be in the way of a key
    answer = browser.get("/credits")
    problem(answer, 401, "unauthenticated")
    assert "Set-Cookie" not in answer.headers  # it may arrive when the browser has signed in again
    assert stack.sql(f"SELECT id FROM console_sessions WHERE key_id = '{made['id']}'") == []
    deeds = stack.cli("audit-log", "--actor", made["id"])
    assert [d["deed"] for d in deeds] == ["session.delete", "session.create"]
    assert {d["key_prefix"] for d in deeds} == {made["prefix"]}


BAD_BODIES = {"empty": (b"", 400, "invalid_request"), "no object": (b"[]", 400, "invalid_request"), "no token": (b"{}", 400, "invalid_request"),
              "number": (b'{"token": 1}', 400, "invalid_request"), "more": (b'{"token": "a", "x": 1}', 400, "invalid_request"),
              "broken": (b"{", 400, "invalid_json"), "unknown": (b'{"token": "sk_live_x"}', 401, "unauthenticated"),
              "empty token": (b'{"token": ""}', 401, "unauthenticated"), "NUL": (b'{"token": "a\\u0000"}', 400, "invalid_request"),
              "large": (b'{"token": "' + b"a" * 5000 + b'"}', 413, "body_too_large")}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_invalid_sign_in_is_rejected(stack, name):
    body, status, code = BAD_BODIES[name]
    answer = send(stack, "POST", "/session", {**PAGE, "Content-Type": "application/json"}, data=body)
    problem(answer, status, code)
    assert "Set-Cookie" not in answer.headers


def test_sign_in_takes_no_query_parameter(stack, made):
    problem(send(stack, "POST", "/session?x=1", PAGE, json={"token": made["key"]}), 400, "invalid_request")


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_sign_in_with_a_key_in_a_header_is_401(stack, made, header):
    answer = send(stack, "POST", "/session", {**PAGE, header: made["key"]}, json={"token": made["key"]})
    problem(answer, 401, "unauthenticated")
    assert "Set-Cookie" not in answer.headers
    assert stack.sql(f"SELECT id FROM console_sessions WHERE key_id = '{made['id']}'") == []


def test_signing_in_again_ends_the_session_of_the_browser(stack, workspace, browser, made):
    old = stack.sql_one(f"SELECT id FROM console_sessions WHERE key_id = '{made['id']}'")
    other, next = Browser(stack, made["key"]), workspace.key()
    problem(send(stack, "POST", "/session", browser.headers, json={"token": "sk_live_x"}), 401, "unauthenticated")
    assert browser.get("/session").status_code == 200
    again = Browser(stack, next["key"], Cookie=browser.headers["Cookie"])
    problem(browser.get("/session"), 401, "unauthenticated")
    assert again.get("/session").status_code == other.get("/session").status_code == 200
    assert [(d["deed"], d["target"]) for d in stack.cli("audit-log", "--actor", next["id"]) if d["deed"] == "session.delete"] == [("session.delete", old)]
    Browser(stack, made["key"], Cookie=browser.headers["Cookie"])  # a cookie whose session has ended is not in the way
    double = f"millrace_session={again.cookie}; millrace_session={again.cookie}"
    problem(send(stack, "POST", "/session", {**PAGE, "Cookie": double}, json={"token": made["key"]}), 401, "unauthenticated")


def test_session_gets_no_ticket(stack, workspace, browser):
    run = workspace.client().started(workspace.put_workflow(SLOW))
    for path in (f"/executions/{run}/events/ticket", f"/spaces/{workspace.id}/skills/executions/{run}/events/ticket"):
        problem(browser.post(path), 403, "insufficient_scope")
    assert stack.sql(f"SELECT key_id FROM stream_tickets WHERE execution_id = '{run}'") == []


def test_sign_in_counts_towards_the_rate_limit(stack):
    key = stack.workspace(rate_limit_per_minute=5).key()["key"]
    assert [send(stack, "POST", "/session", PAGE, json={"token": key}).status_code for _ in range(7)] == [200] * 5 + [429] * 2


def test_key_has_at_most_100_sessions(stack, workspace):
    made = workspace.key()
    first = Browser(stack, made["key"])
    stack.sql(f"UPDATE console_sessions SET used_ms = used_ms - 1000 WHERE key_id = '{made['id']}'")
    stack.sql("INSERT INTO console_sessions (id, hash, key_id, created_ms, used_ms, ends_ms) SELECT UUID(), UNHEX(SHA2(seq, 256)), "
              f"'{made['id']}', 0, s.used_ms + 1, s.ends_ms FROM seq_1_to_99, console_sessions s WHERE s.key_id = '{made['id']}'")
    assert first.get("/session").status_code == 200
    last = Browser(stack, made["key"])
    assert stack.sql_one(f"SELECT COUNT(*) FROM console_sessions WHERE key_id = '{made['id']}'") == "100"
    revoked(lambda: first.get("/session").status_code == 401)
    assert last.get("/session").status_code == 200


# --- what a page of another origin cannot do ------------------------------------------------------------------------

FOREIGN = {
    "no mark": {"X-Millrace-Console": None}, "other mark": {"X-Millrace-Console": "2"}, "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same-site": {"Sec-Fetch-Site": "same-site"}, "typed in": {"Sec-Fetch-Site": "none"},
    "no header": {"Sec-Fetch-Site": None}, "foreign origin": {"Sec-Fetch-Site": None, "Origin": "https://evil.example"},
    "null origin": {"Sec-Fetch-Site": None, "Origin": "null"},
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_page_changes_and_reads_nothing(stack, workspace, browser, name):
    flow = workspace.put_workflow(SLOW)
    run = workspace.client().started(flow)
    headers = FOREIGN[name]
    for method, path, kwargs in [("POST", f"/workflows/{flow}/run-async", {"json": {}}), ("POST", f"/executions/{run}/stop", {}),
                                 ("DELETE", f"/workflows/{flow}", {}), ("DELETE", "/session", {}), ("GET", "/executions", {}),
                                 ("GET", f"/executions/{run}/events", {}), ("PATCH", f"/executions/{run}", {"json": {"start_at": None}})]:
        answer = browser.request(method, path, headers, **kwargs)
        problem(answer, 403, "cross_site")
        assert "Set-Cookie" not in answer.headers and "Access-Control-Allow-Credentials" not in answer.headers
    assert workspace.client().execution(run)["status"] in ("queued", "running")
    assert len(workspace.client().get("/executions").json()["executions"]) == 1
    assert browser.get("/session").status_code == 200
    problem(send(stack, "POST", "/session", {**PAGE, **headers}, json={"token": workspace.key()["key"]}), 403, "cross_site")


def test_origin_counts_where_the_browser_does_not_send_sec_fetch_site(stack, browser):
    assert browser.get("/session", headers={"Sec-Fetch-Site": None, "Origin": stack.url}).status_code == 200


TYPES = ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x", None]


@pytest.mark.parametrize("type", TYPES)
def test_form_changes_nothing(stack, workspace, browser, made, type):
    flow = workspace.put_workflow(SLOW)
    for path in (f"/workflows/{flow}/run-async", "/files"):
        problem(browser.post(path, headers={"Content-Type": type}, data=b"{}"), 415, "unsupported_media_type")
    problem(send(stack, "POST", "/session", {**PAGE, "Content-Type": type}, data=json.dumps({"token": made["key"]}).encode()), 415, "unsupported_media_type")
    assert workspace.client().get("/executions").json()["executions"] == []


def test_cookie_and_key_together_are_401(stack, browser, made):
    for header in ({"Authorization": "Bearer " + made["key"]}, {"X-API-Key": made["key"]}, {"Authorization": "Bearer x"}):
        problem(browser.get("/executions", headers=header), 401, "unauthenticated")


def test_two_cookies_are_401(stack, browser):
    problem(browser.get("/executions", headers={"Cookie": f"millrace_session={browser.cookie}; millrace_session={browser.cookie}"}), 401, "unauthenticated")


def test_cookie_is_no_key_and_key_is_no_cookie(stack, browser, made):
    assert browser.get("/session").status_code == 200  # so that the session is cached
    problem(send(stack, "GET", "/executions", {"X-API-Key": browser.cookie}), 401, "unauthenticated")
    problem(send(stack, "GET", "/executions", {"Authorization": f"Bearer millrace_session {browser.cookie}"}), 401, "unauthenticated")
    problem(send(stack, "GET", "/executions", {**PAGE, "Cookie": "millrace_session=" + made["key"]}), 401, "unauthenticated")


def test_session_needs_a_cookie(stack, made):
    for method in ("GET", "DELETE"):
        problem(send(stack, method, "/session", {"X-API-Key": made["key"]}), 401, "unauthenticated")
        problem(send(stack, method, "/session", PAGE), 401, "unauthenticated")


def test_refusals_are_counted(stack, browser):
    def count():
        return int(re.search(r"^millrace_refused_cross_site_total (\d+)$", requests.get(stack.url + "/metrics", timeout=10).text, re.M)[1])
    before = count()
    browser.get("/session", headers={"Sec-Fetch-Site": "cross-site"})
    assert count() == before + 1
    assert re.search(r"^millrace_console_sessions_total [1-9]", requests.get(stack.url + "/metrics", timeout=10).text, re.M)


# --- the end of a session -------------------------------------------------------------------------------------------

def test_session_of_a_revoked_key_ends(stack, workspace, browser, made):
    assert browser.get("/session").status_code == 200
    stack.cli("key", "revoke", "--workspace", workspace.id, made["id"])
    revoked(lambda: browser.get("/session").status_code == 401)
    problem(browser.post(f"/workflows/{workspace.put_workflow(SLOW)}/run-async", json={}), 401, "unauthenticated")


def test_session_of_an_expired_key_ends(stack, made):
    def shown(browser):
        answer = browser.get("/session")
        assert answer.status_code == 200, "the session has ended"
        return answer.json().get("expires_at")

    def look(seconds):
        browser = Browser(stack, made["key"])
        at = int((time.time() + seconds) * 1000)
        stack.sql(f"UPDATE api_keys SET expires_ms = {at} WHERE id = '{made['id']}'")
        assert eventually(lambda: shown(browser)) <= time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime(at / 1000))
        return seconds, browser
    seconds, browser = while_it_lasts(2, look)
    within(lambda: browser.get("/session").status_code == 401, seconds + 10)


@pytest.mark.parametrize("change", ["ends_ms = ends_ms - 43200000", "used_ms = used_ms - 3600000"], ids=["absolute", "idle"])
def test_session_expires(stack, browser, made, change):
    stack.sql(f"UPDATE console_sessions SET {change} WHERE key_id = '{made['id']}'")
    revoked(lambda: browser.get("/session").status_code == 401)


def test_use_is_stored_once_a_minute(stack, browser, made):
    def used():
        return int(stack.sql_one(f"SELECT used_ms FROM console_sessions WHERE key_id = '{made['id']}'"))
    first = used()
    browser.get("/executions")
    assert used() == first
    stack.sql(f"UPDATE console_sessions SET used_ms = used_ms - 1800000 WHERE key_id = '{made['id']}'")
    eventually(lambda: browser.get("/executions") and used() >= first, 5)


def test_rows_of_ended_sessions_are_deleted(stack, browser, made):
    stack.sql(f"UPDATE console_sessions SET ends_ms = 1 WHERE key_id = '{made['id']}'")
    stack.until_upkeep("end_sessions", lambda: stack.sql(f"SELECT id FROM console_sessions WHERE key_id = '{made['id']}'") == [], 20, "the end of the sessions")


def test_stream_of_a_session_that_ends_is_closed(stack, workspace, browser):
    run = workspace.client().started(workspace.put_workflow(SLOW))
    answer = browser.get(f"/executions/{run}/events", stream=True)
    assert answer.status_code == 200
    frames = answer.iter_content(None)
    assert b"retry" in next(frames)
    ended = threading.Event()
    reader = threading.Thread(target=lambda: ([None for _ in frames], ended.set()), daemon=True)
    reader.start()
    assert browser.request("DELETE", "/session").status_code == 204
    assert ended.wait(60)  # at the next ping
    reader.join()


# --- guesses --------------------------------------------------------------------------------------------------------

@contextlib.contextmanager
def limited(stack, per_second):
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    ini.write_text(text.replace("unknown_keys_per_s = 1000000", f"unknown_keys_per_s = {per_second}"))
    assert ini.read_text() != text
    try:
        stack.restart_server("api")
        yield
    finally:
        ini.write_text(text)
        stack.restart_server("api")


def test_guessed_cookies_and_tokens_count_as_unknown_keys(stack, browser):
    with limited(stack, 5):
        def guess(i):
            return send(stack, "GET", "/executions", {**PAGE, "Cookie": f"millrace_session=guess{i}"}).status_code

        def guess_token(i):
            return send(stack, "POST", "/session", PAGE, json={"token": f"sk_live_guess{i}"}).status_code
        for ask in (guess, guess_token):
            seen = eventually(lambda: (lambda got: got if 429 in got else None)([ask(f"{time.monotonic()}") for _ in range(40)]), 30)
            assert set(seen) <= {401, 429}
        assert eventually(lambda: browser.get("/session").status_code == 200, 10)  # a known session is not affected for long


# --- the files of the console ---------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def files():
    (FILES / "assets").mkdir(exist_ok=True)
    (FILES / "index.html").write_text("<!doctype html><title>console</title>")
    (FILES / "assets/app-1f2e3d.js").write_text("export {};\n" * 500)
    (FILES / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    return FILES


def page(stack, path, **headers):
    return requests.get(stack.url + path, headers=headers, timeout=10, allow_redirects=False)


CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; form-action 'self'; "
       "frame-ancestors 'none'; base-uri 'none'")


def test_console_is_served_with_strict_headers(stack, files):
    for path in ("/console/", "/console/index.html", "/console/runs/0189", "/console/?state=failed"):
        answer = page(stack, path)
        assert (answer.status_code, answer.text) == (200, (files / "index.html").read_text()), path
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
    script = page(stack, "/console/assets/app-1f2e3d.js", **{"Accept-Encoding": "gzip"})
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script.headers["Content-Encoding"] == "gzip"
    assert page(stack, "/console/favicon.svg").headers["Content-Type"] == "image/svg+xml"
    for answer in (answer, script):
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["X-Content-Type-Options"] == "nosniff" and answer.headers["Referrer-Policy"] == "no-referrer"
        assert "Access-Control-Allow-Origin" not in answer.headers
    moved = page(stack, "/console")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/console/")


def test_console_serves_no_other_file(stack, files):
    for path in ("/console/assets/other.js", "/console/a.b", "/console/../millrace.ini", "/console/%2e%2e/millrace.ini", "/console/assets/", "/console../millrace.ini"):
        c = http.client.HTTPConnection("127.0.0.1", stack.port, timeout=10)
        c.request("GET", path)
        answer = c.getresponse()
        body = answer.read()
        assert answer.status in (400, 404), (path, answer.status)
        assert json.loads(body)["code"] in ("not_found", "invalid_request"), path
        c.close()
