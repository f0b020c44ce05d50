"""Two cells behind the nginx of etc/nginx/cells.conf.in: a request reaches the cell that its key, cookie or ticket names, and only this one
knows it."""
import re
import subprocess

import pytest
import requests

from stack import ALL_SCOPES, BIN, ROOT, Client, Stack, check_json, eventually, free_port

PAGE = {"X-Millrace-Console": "1", "Sec-Fetch-Site": "same-origin"}
ONE = {"steps": [{"name": "a", "type": "transform", "value": "${/inputs}"}]}
WAITING = {"steps": [{"name": "ask", "type": "wait", "signal": "go", "timeout_seconds": 3600}]}
MAIN = """daemon off;
worker_processes 1;
pid {dir}/pid;
error_log {dir}/error.log warn;
events {{ worker_connections 512; }}
http {{
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    scgi_temp_path {dir}/scgi;
    uwsgi_temp_path {dir}/uwsgi;
{site}
}}
"""


class Front:
    """nginx with etc/nginx/cells.conf.in."""

    def __init__(self, dir, cells):
        self.dir, self.port = dir, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (dir / "moved").write_text("")
        (dir / "upstreams").write_text("".join(f"upstream millrace_cell_{n} {{ server 127.0.0.1:{s.port}; keepalive 8; }}\n" for n, s in cells.items()))
        (dir / "cells").write_text("".join(f"{n} millrace_cell_{n};\n" for n in cells if n != "default"))
        site = (ROOT / "etc/nginx/cells.conf.in").read_text()
        for name, value in {"MOVED_KEYS": dir / "moved", "CELLS": dir / "cells", "UPSTREAMS": dir / "upstreams", "LISTEN": f"127.0.0.1:{self.port}",
                            "ACCESS_LOG": dir / "access.log", "ERROR_LOG": dir / "site-error.log"}.items():
            site = site.replace(f"@{name}@", str(value))
        assert not re.search("@[A-Z_]+@", site.partition("map ")[2])
        (dir / "nginx.conf").write_text(MAIN.format(dir=dir, site=site))
        self.command = ["nginx", "-p", str(dir), "-e", str(dir / "error.log"), "-c", str(dir / "nginx.conf")]
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL)
        eventually(self.answers, 30, "the front nginx")

    def answers(self):
        try:
            return requests.get(self.url, timeout=30).status_code
        except requests.ConnectionError:
            return None

    def move(self, prefix, cell):
        (self.dir / "moved").write_text(f'"~^{prefix}" {cell};\n')
        subprocess.run([*self.command, "-s", "reload"], check=True, timeout=60)

    def close(self):
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture(scope="module")
def cells():
    """The default cell and c7."""
    made = {"default": Stack(), "c7": Stack({"cell.name": "c7"})}
    try:
        for s in made.values():
            s.start()
        yield made
    finally:
        for s in made.values():
            s.stop()
    for s in made.values():
        s.close()


@pytest.fixture(scope="module")
def front(cells, tmp_path_factory):
    f = Front(tmp_path_factory.mktemp("front"), cells)
    yield f
    f.close()


def refused(answer, cell="c7"):
    assert (answer.status_code, answer.json()["code"]) == (421, "wrong_cell"), answer.text
    assert f"cell {cell}" in answer.json()["detail"]


def plain(method, url, **kwargs):
    with requests.Session() as s:
        s.trust_env = False
        return s.request(method, url, timeout=60, **kwargs)


def test_new_keys_name_their_cell(cells):
    for name, pattern in {"default": r"sk_live_[A-Za-z0-9_-]{43}", "c7": r"sk_live_c7_[A-Za-z0-9_-]{43}"}.items():
        workspace = cells[name].workspace()
        made = workspace.key()
        assert re.fullmatch(pattern, made["key"])
        [listed] = cells[name].cli("key", "list", "--workspace", workspace.id)
        assert made["key"].startswith(listed["prefix"]) and len(listed["prefix"]) == (15 if name == "c7" else 12)
        token = cells[name].cli("operator", "create", "--name", "ada", "--role", "viewer")["token"]
        assert re.fullmatch(pattern.replace("sk", "op"), token)


@pytest.mark.parametrize("shown", (12, 15, 99))
def test_a_key_is_named_by_its_beginning(cells, shown):
    for name, stack in cells.items():
        workspace = stack.workspace()
        key = workspace.key()["key"]
        if name == "c7" and shown == 12:
            continue  # one random character
        assert stack.cli("key", "revoke", "--workspace", workspace.id, key[:shown], check=False)[0] == 0
        assert Client(stack.url, key).get("/credits").status_code == 401


def test_each_key_reaches_its_own_cell(cells, front):
    for stack in cells.values():
        workspace = stack.workspace(credits=7)
        key = workspace.key()["key"]
        for headers in ({"Authorization": f"Bearer {key}"}, {"Authorization": f"bEARER  {key}"}, {"Authorization": key}, {"X-API-Key": key}):
            answer = plain("GET", front.url + "/api/v1/credits", headers=headers)
            assert (answer.status_code, answer.json()["balance"]) == (200, 7), (headers, answer.text)
        client = Client(front.url, key)
        workflow = client.post("/workflows", json={"name": "w", "program": ONE}).json()["id"]
        assert client.finished(client.started(workflow, {"n": 1}))["status"] == "success"
        assert stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'") == "1"


def test_a_key_of_another_cell_is_told_so(cells, front):
    key = cells["c7"].workspace().key()["key"]
    refused(Client(cells["default"].url, key).get("/credits"))
    unknown = "sk_live_zz_" + key[11:]  # the front does not list zz, and the default cell answers
    refused(Client(front.url, unknown).get("/credits"), "zz")
    refused(Client(cells["c7"].url, unknown).get("/credits"), "zz")
    answer = plain("POST", cells["default"].url + "/api/v1/session", headers=PAGE, json={"token": key})
    refused(answer)
    refused(plain("POST", cells["default"].url + "/mcp", headers={"Authorization": f"Bearer {key}"}, json={"jsonrpc": "2.0", "id": 1, "method": "ping"}))
    # what only looks like a key of a cell, and what does not name one, is an unknown key
    for text in (key + "x", key[:-1], "sk_live_c7-" + key[11:], "sk_live_" + key[11:]):
        answer = Client(cells["default"].url, text).get("/credits")
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    stack, known = cells["c7"], cells["c7"].workspace()
    ended = known.key()
    stack.cli("key", "revoke", "--workspace", known.id, ended["id"])
    assert Client(stack.url, ended["key"]).get("/credits").status_code == 401


def test_sessions_stay_in_their_cell(cells, front):
    old = {}  # a browser that keeps the cookie of the cell before
    for name, stack in cells.items():
        key = stack.workspace(credits=3).key()["key"]
        headers = {**PAGE, **({"X-Millrace-Cell": name} if name != "default" else {}), **old}
        answer = plain("POST", front.url + "/api/v1/session", headers=headers, json={"token": key})
        assert answer.status_code == 200, answer.text
        cookie = re.match("millrace_session=([^;]+)", answer.headers["Set-Cookie"])[1]
        assert len(cookie) == (46 if name == "c7" else 43) and cookie.startswith("c7_") == (name == "c7")
        old = {"Cookie": f"millrace_session={cookie}"}
        answer = plain("GET", front.url + "/api/v1/credits", headers={**PAGE, **old})
        assert (answer.status_code, answer.json()["balance"]) == (200, 3), answer.text
    answer = plain("GET", cells["default"].url + "/api/v1/session", headers={**PAGE, **old})
    check_json(answer)
    refused(answer)
    assert "Set-Cookie" not in answer.headers


def test_tickets_stay_in_their_cell(cells, front):
    for name, stack in cells.items():
        workspace = stack.workspace()
        client = Client(front.url, workspace.key(ALL_SCOPES)["key"])
        id = client.started(workspace.put_workflow(WAITING))
        eventually(lambda: stack.sql(f"SELECT 1 FROM waits WHERE execution_id = '{id}'"), 60, "the wait")
        stream = client.post(f"/executions/{id}/events/ticket").json()["url"]
        answer = client.post(f"/executions/{id}/signals/go/ticket", json={"choices": ["yes", "no"]})
        assert answer.status_code == 201, answer.text
        page = answer.json()["url"]
        assert page.startswith(front.url + "/answer/c7_") == (name == "c7")
        assert ("ticket=c7_" in stream) == (name == "c7")
        assert plain("GET", page).status_code == 200
        if name == "c7":
            wrong = cells["default"].url + page[len(front.url):]
            told = plain("GET", wrong)
            assert told.status_code == 421 and "cell c7" in told.text
            refused(plain("POST", wrong, json="yes"))
            refused(plain("GET", cells["default"].url + stream))
        with requests.Session() as s, s.get(front.url + stream, stream=True, timeout=60) as events:
            assert events.status_code == 200
            lines = events.iter_lines()
            assert b"queued" in next(line for line in lines if line.startswith(b"event:"))
            assert plain("POST", page, json="yes").status_code == 202
            assert any(b"execution.succeeded" in line for line in lines)
        token = page.rsplit("/", 1)[1]
        assert token not in (front.dir / "access.log").read_text()
        assert client.finished(id)["status"] == "success"


def test_a_key_of_a_moved_workspace_goes_where_it_was_moved(cells, front):
    moved = cells["default"].workspace(credits=9).key()["key"]
    front.move(moved[:12], "c7")
    eventually(lambda: Client(front.url, moved).get("/credits").status_code == 401, 60, "the key at c7, which does not know it")
    front.move(moved[:12], "00")
    eventually(lambda: Client(front.url, moved).get("/credits").status_code == 200, 60, "the key at the default cell")


def test_a_cell_that_is_away_is_no_failure_of_the_others(cells, front):
    here, away = (cells[n].workspace(credits=1).key()["key"] for n in ("default", "c7"))
    cells["c7"].stop_server("nginx")
    try:
        answer = plain("GET", front.url + "/api/v1/credits", headers={"Authorization": f"Bearer {away}"})
        check_json(answer)
        assert (answer.status_code, answer.json()["code"]) == (502, "outcome_unknown")
        assert Client(front.url, here).get("/credits").status_code == 200
    finally:
        cells["c7"].start_server("nginx")
    assert Client(front.url, away).get("/credits").status_code == 200


def test_the_setting_is_checked(cells, tmp_path):
    ini = (cells["c7"].dir / "millrace.ini").read_text()
    for bad in ("C7", "c", "c77", "c_"):
        (tmp_path / "millrace.ini").write_text(ini.replace("name = c7", f"name = {bad}"))
        done = subprocess.run([BIN / "millrace", "--config", tmp_path / "millrace.ini", "config", "--dump"], capture_output=True, text=True, timeout=60)
        assert done.returncode != 0 and "[cell] name" in done.stderr, (bad, done)
