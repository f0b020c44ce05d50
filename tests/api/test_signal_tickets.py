"""Tickets for signals: pages for people, one answer each, and nothing of the URL in a log."""
import html
import json
import threading
import urllib.parse

import pytest
import requests

from stack import eventually, suspended, while_it_lasts

SETTINGS = {"executor.processes": "2", "api.unknown_keys_per_s": "1000"}
FORM = "application/x-www-form-urlencoded"
OK_SCHEMA = {"type": "object", "required": ["ok"], "properties": {"ok": {"type": "boolean"}, "why": {"type": "string", "maxLength": 20}}}
# HTML, right to left, emoji, a lone quote, an override of the direction
HOSTILE = "<script>alert(1)</script> \"' &amp; \u05e9\u05dc\u05d5\u05dd \u202e 🎉\n</textarea><img src=x onerror=y>"


def wait(name="a", signal="go", seconds=600, **fields):
    return {"name": name, "type": "wait", "signal": signal, "timeout_seconds": seconds, **fields}


def put(workspace, *steps, outputs="${/steps/a/result}"):
    return workspace.put_workflow({"steps": list(steps), "outputs": outputs})


def parked(stack, id, waits=1):
    eventually(lambda: stack.sql(f"SELECT reason, due FROM waits WHERE execution_id = '{id}'") == [["4", "0"]]
               and len(stack.sql(f"SELECT step FROM signal_waits WHERE execution_id = '{id}'")) == waits, 30, "the run is parked for a signal")


def waiting(stack, workspace, client, **fields):
    id = client.started(put(workspace, wait(**fields)))
    parked(stack, id)
    return id


def ticket(client, id, name="go", **body):
    answer = client.post(f"/executions/{id}/signals/{name}/ticket", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return answer.json()["url"]


def send(url, body, type=FORM):
    return requests.post(url, data=urllib.parse.urlencode(body) if type == FORM else json.dumps(body), headers={"Content-Type": type}, timeout=60)


def check_page(answer, status):
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "form-action 'self'" in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer" and answer.headers["Cache-Control"] == "no-store"
    assert "ETag" not in answer.headers and "Access-Control-Allow-Origin" not in answer.headers
    assert "<script" not in answer.text and "<img" not in answer.text
    return answer.text


@pytest.fixture(autouse=True)
def audited(stack):
    yield
    assert stack.cli("audit")["violations"] == []


def test_a_person_answers_and_programs_that_look_at_links_do_not(stack, workspace, client):
    id = waiting(stack, workspace, client, schema=OK_SCHEMA, message="Pay 300 €?")
    url = ticket(client, id, recipient="ada@example.com", expires_seconds=3600)
    assert url.startswith(stack.url + "/answer/") and len(url.rsplit("/", 1)[1]) == 43
    for _ in range(3):
        page = check_page(requests.get(url, timeout=60), 200)
        assert requests.head(url, timeout=60).status_code == 200
        assert requests.get(url + "?utm_source=mail&utm_source=x", timeout=60).status_code == 200
    assert "Pay 300 €?" in page and 'name="ok"' in page and 'name="why"' in page
    for method in ("PUT", "DELETE", "OPTIONS"):
        assert requests.request(method, url, timeout=60).status_code == 405
    assert stack.sql(f"SELECT COUNT(*) FROM signals WHERE execution_id = '{id}'") == [["0"]]
    check_page(send(url, {"ok": "true", "why": "fine & good"}), 200)
    output = client.finished(id)["detail"]["output"]
    assert output["data"] == {"ok": True, "why": "fine & good"}
    assert output["by"]["kind"] == "ticket" and output["by"]["recipient"] == "ada@example.com" and "key_id" not in output["by"]
    for again in (send(url, {"ok": "false"}), requests.get(url, timeout=60)):
        assert "Already answered" in check_page(again, 410)
    assert send(url, {"ok": False}, "application/json").json()["code"] == "ticket_gone"


def test_nothing_logs_the_url(stack, workspace, client):
    id = waiting(stack, workspace, client)
    url = ticket(client, id)
    token = url.rsplit("/", 1)[1]
    requests.get(url, timeout=60)
    requests.get(url.replace("/answer/", "/%61nswer%2F"), timeout=60)
    for odd in ("/api/v1/answer/", "/api-proxy/v1/answer/", "/./answer/", "/%2e/answer/", "/x/../answer/", "/x/%2e%2e/%61nswer/", "/answer/./",
                "/%2Fanswer/", "/x%2fanswer%2f"):
        at = requests.Request("GET", url).prepare()
        at.url = url.replace("/answer/", odd)  # as it is: requests would resolve the dots
        requests.Session().send(at, timeout=60)
    requests.get(url + "/", timeout=60)
    requests.get(url + "/more", timeout=60)
    requests.post(url, data=b"x" * 400000, headers={"Content-Type": FORM}, timeout=60)
    check_page(send(url, {"data": '"yes"'}), 200)
    eventually(lambda: "path=/answer/- " in stack.log("api") and 'path="/answer/-"' in (stack.dir / "logs/nginx-access.log").read_text(), 30)
    assert not [f for f in (stack.dir / "logs").iterdir() if token in f.read_text(errors="replace")]
    assert stack.sql(f"SELECT COUNT(*) FROM signal_tickets WHERE hash = UNHEX(SHA2('{token}', 256)) AND execution_id = '{id}'") == [["1"]]


def test_two_answers_at_once_deliver_one(stack, workspace, client):
    for _ in range(5):
        id = waiting(stack, workspace, client)
        url = ticket(client, id)
        answers, start = [], threading.Barrier(4)

        def answer(n):
            start.wait()
            answers.append(send(url, {"data": str(n)}).status_code)

        threads = [threading.Thread(target=answer, args=(n,)) for n in range(4)]
        [t.start() for t in threads]
        [t.join() for t in threads]
        assert sorted(answers) == [200, 410, 410, 410]
        client.finished(id)
        assert stack.sql(f"SELECT COUNT(*) FROM signals WHERE execution_id = '{id}'") == [["1"]]


def test_an_invalid_answer_is_shown_again_and_consumes_nothing(stack, workspace, client):
    schema = {"type": "object", "title": HOSTILE, "required": ["n", "color"], "additionalProperties": False, "properties": {
        "n": {"type": "integer", "minimum": 3, "title": HOSTILE, "description": HOSTILE}, "x": {"type": "number"},
        "color": {"enum": ["red", HOSTILE, 7]}, "text": {"type": "string"}}}
    id = waiting(stack, workspace, client, schema=schema, message=HOSTILE)
    url = ticket(client, id)
    page = check_page(requests.get(url, timeout=60), 200)
    assert page.count(html.escape(HOSTILE).replace("&#x27;", "&#39;")) >= 4
    for form, found in (({"n": "2", "color": "red"}, "n "), ({"n": "3.5", "color": "red"}, "whole number"), ({"n": "4"}, "color is required"),
                        ({"n": "4", "color": "green"}, "listed"), ({"n": "4", "color": "red", "x": "1e"}, "a number"), ({}, "n is required"),
                        ({"n": HOSTILE, "color": HOSTILE}, "whole number")):
        page = check_page(send(url, form), 422)
        assert found in page
    assert "value=\"" + html.escape(HOSTILE).replace("&#x27;", "&#39;").replace("\n", "\n") in page
    answer = send(url, {"n": 2, "color": 7}, "application/json")
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/n"
    assert requests.post(url, data="n=%zz", headers={"Content-Type": FORM}, timeout=60).status_code == 400
    assert requests.post(url, data="n=%ff", headers={"Content-Type": FORM}, timeout=60).status_code == 400
    assert requests.post(url, data="n=1", headers={"Content-Type": "text/plain"}, timeout=60).status_code == 415
    assert requests.post(url, data="n=1", headers={"Content-Type": FORM + "; charset=latin1"}, timeout=60).status_code == 415
    assert requests.post(url, data="{", headers={"Content-Type": "application/json"}, timeout=60).status_code == 400
    assert requests.post(url, timeout=60).status_code == 415
    check_page(send(url, {"n": " 4", "color": HOSTILE.replace("\n", "\r\n").replace("\r\n", "\n"), "x": "", "text": "a\r\nb"}), 200)
    assert client.finished(id)["detail"]["output"]["data"] == {"n": 4, "color": HOSTILE, "text": "a\nb"}


def test_choices_are_buttons(stack, workspace, client):
    id = waiting(stack, workspace, client, schema=OK_SCHEMA)
    path = f"/executions/{id}/signals/go/ticket"
    answer = client.post(path, json={"choices": ["yes"]})
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/choices/0/data"
    url = ticket(client, id, question=HOSTILE, choices=[{"label": HOSTILE, "data": {"ok": True}}, {"label": "No", "data": {"ok": False, "why": "no"}}])
    page = check_page(requests.get(url, timeout=60), 200)
    assert page.count("<button") == 2 and 'value="1">No' in page and "<input" not in page
    assert page.count(html.escape(HOSTILE).replace("&#x27;", "&#39;")) == 2
    for data in ({"ok": True, "why": "x"}, {"ok": False}, {"choice": "1"}, 1, None):
        answer = send(url, data, "application/json")
        assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "", data
    for choice in ({}, {"choice": "2"}, {"choice": "-1"}, {"choice": "01"}, {"choice": "yes"}):
        check_page(send(url, choice), 422)
    assert send(url, {"why": "no", "ok": False}, "application/json").status_code == 202
    assert stack.sql(f"SELECT COUNT(*) FROM signal_tickets WHERE execution_id = '{id}' AND (question IS NOT NULL OR choices IS NOT NULL)") == [["0"]]
    assert client.finished(id)["detail"]["output"]["data"] == {"ok": False, "why": "no"}


@pytest.mark.parametrize("schema, form, data", [
    (None, {"data": '{"a": [1.50]}'}, {"a": [1.5]}), (None, {}, None), ({"type": "string"}, {"data": "a\r\n🎉"}, "a\n🎉"),
    ({"type": "string", "maxLength": 3}, {"data": ""}, ""), ({"enum": [True, 3]}, {"data": "3"}, 3), ({"type": "boolean"}, {"data": "false"}, False),
    ({"type": "array"}, {"data": "[2]"}, [2]), ({"type": "object", "required": ["x"], "properties": {"x": {"type": "array"}}}, {"data": '{"x": []}'}, {"x": []})])
def test_form_by_schema(stack, workspace, client, schema, form, data):
    id = waiting(stack, workspace, client, **({"schema": schema} if schema else {}))
    url = ticket(client, id)
    assert 'name="data"' in check_page(requests.get(url, timeout=60), 200)
    check_page(send(url, form), 200)
    assert client.finished(id)["detail"]["output"]["data"] == data


def test_a_ticket_before_the_wait(stack, workspace, client, effects):
    release = effects.hold("/hold")
    id = client.started(put(workspace, {"name": "h", "type": "http", "request": {"method": "GET", "url": effects.url + "/hold"}},
                            wait(schema=OK_SCHEMA, message="Sure?"), outputs="${/steps/a/result/data}"))
    effects.wait_for("/hold")
    url = ticket(client, id)
    page = check_page(requests.get(url, timeout=60), 200)
    assert "Sure?" in page and 'name="ok"' in page
    check_page(send(url, {"ok": "maybe"}), 422)
    answer = send(url, {"ok": True}, "application/json")
    assert answer.status_code == 202 and answer.json() == {"signal": "go", "state": "kept"}
    release()
    assert client.finished(id)["detail"]["output"] == {"ok": True}


def test_a_ticket_ends(stack, workspace, client):
    # with its own time
    id = waiting(stack, workspace, client)
    own, others = ticket(client, id, expires_seconds=1), [ticket(client, id) for _ in range(3)]
    eventually(lambda: requests.get(own, timeout=60).status_code == 410, 30)
    assert "Expired" in check_page(send(own, {}), 410)
    # with its wait: another answer came
    check_page(send(others[0], {}), 200)
    assert "No longer needed" in check_page(send(others[1], {}), 410)
    client.finished(id)
    check_page(requests.get(others[2], timeout=60), 410)
    # with the wait's timeout, while the run goes on; a ticket of another signal stays
    def look(seconds):
        id = client.started(put(workspace, wait(seconds=seconds), wait("b", "other")))
        urls = [ticket(client, id), ticket(client, id, "other")]
        eventually(lambda: stack.sql(f"SELECT step FROM signal_waits WHERE execution_id = '{id}'") == [["1"]], what="the second wait")
        assert requests.get(urls[0], timeout=60).status_code == 410  # unless it was made after the timeout
        return id, urls
    id, urls = while_it_lasts(1, look)
    check_page(requests.get(urls[1], timeout=60), 200)
    # with its run
    client.post(f"/executions/{id}/stop")
    client.finished(id)
    check_page(send(urls[1], {}), 410)
    assert client.post(f"/executions/{id}/signals/other/ticket").status_code == 409
    # and a purge leaves nothing
    assert client.delete(f"/executions/{id}").status_code == 204
    assert "no such link" in check_page(requests.get(urls[1], timeout=60), 404)
    assert stack.sql(f"SELECT COUNT(*) FROM signal_tickets WHERE execution_id = '{id}'") == [["0"]]


def test_an_answer_while_the_run_is_not_parked_is_refused_for_the_moment(stack, workspace, client):
    """The run looks as if it was woken: its wait may end by the timeout before it is parked again."""
    id = waiting(stack, workspace, client)
    url = ticket(client, id)
    parked_by = stack.sql(f"SELECT COALESCE(executor_id, 'NULL') FROM executions WHERE id = '{id}'")[0][0]
    with suspended(stack.children("executor")):  # an executor queues a run that it has not claimed, although the row says so
        stack.sql(f"UPDATE executions SET executor_id = (SELECT MAX(id) FROM executors) WHERE id = '{id}'")
        check_page(requests.get(url, timeout=60), 200)
        assert "nothing was stored" in check_page(send(url, {"data": "1"}), 503)
        assert send(url, 1, "application/json").status_code == 503
        stack.sql(f"UPDATE executions SET executor_id = {parked_by} WHERE id = '{id}'")
    assert stack.sql(f"SELECT COUNT(*) FROM signals WHERE execution_id = '{id}'") == [["0"]]
    check_page(send(url, {"data": "1"}), 200)
    assert client.finished(id)["detail"]["output"]["data"] == 1


def test_tickets_of_items_stay_while_an_item_waits(stack, workspace, client):
    id = client.started(put(workspace, {**wait(), "for_each": [1, 2], "concurrency": 2}))
    parked(stack, id, 2)
    urls = [ticket(client, id) for _ in range(3)]
    check_page(send(urls[0], {"data": "1"}), 200)
    parked(stack, id, 1)
    check_page(send(urls[1], {"data": "2"}), 200)
    assert sorted(r["data"] for r in client.finished(id)["detail"]["output"]) == [1, 2]
    check_page(send(urls[2], {}), 410)


def test_unknown_tickets(stack):
    for token in ("x", "a" * 43, "a" * 3000, "%00", "%2e%2e"):
        answer = requests.get(f"{stack.url}/answer/{token}", timeout=60)
        assert answer.status_code in (400, 404), answer.text
    check_page(requests.post(f"{stack.url}/answer/{'b' * 43}", data="a=b", headers={"Content-Type": FORM}, timeout=60), 404)


def test_who_may_make_one_and_what_is_refused(stack, workspace, client):
    id = waiting(stack, workspace, client)
    path = f"/executions/{id}/signals/go/ticket"
    assert workspace.client("executions:read").post(path).status_code == 403
    assert stack.workspace().client().post(path).status_code == 404
    assert client.post(f"/executions/{id}/signals/a%20b/ticket").status_code == 400
    for body in ({"expires_seconds": 0}, {"expires_seconds": 366 * 86400 + 1}, {"expires_seconds": "1"}, {"question": ""}, {"question": 1},
                 {"question": "x" * 4097}, {"recipient": "x" * 257}, {"recipient": "a\nb"}, {"recipient": "a\x01"}, {"recipient": "\x7f"},
                 {"choices": [{"label": "a", "data": "x" * 16384}]}, {"choices": []}, {"choices": [1]}, {"choices": ["a"] * 21}, {"choices": [""]},
                 {"choices": [{"label": "a"}]}, {"choices": [{"label": "a", "data": 1, "x": 2}]}, {"choices": "a"}, {"extra": 1},
                 {"question": "a\0b"}, {"choices": ["a\0b"]}):
        assert client.post(path, json=body).status_code == 400, body
    assert stack.sql(f"SELECT COUNT(*) FROM signal_tickets WHERE execution_id = '{id}'") == [["0"]]
    assert client.post(path).status_code == 201


def test_quota_counts_open_tickets(stack):
    workspace = stack.workspace()
    client = workspace.client()
    stack.cli("workspace", "set", "--workspace", workspace.id, "--quotas", "signal_tickets=2")
    first, second = (waiting(stack, workspace, client) for _ in range(2))
    urls = [ticket(client, first), ticket(client, first)]
    answer = client.post(f"/executions/{second}/signals/go/ticket")
    assert answer.status_code == 403 and answer.json()["code"] == "quota_exceeded"
    check_page(send(urls[0], {}), 200)
    client.finished(first)  # its other ticket has ended with the wait
    ticket(client, second), ticket(client, second)
    assert client.post(f"/executions/{second}/signals/go/ticket").status_code == 403
    client.post(f"/executions/{second}/stop")
    client.finished(second)
    ticket(client, waiting(stack, workspace, client))
