"""What http steps make of servers that do not behave: transport errors, encodings, JSON, statuses, redirects."""
import gzip
import json
import socket
import threading
import zlib

import pytest
import requests
from stack import Effects, while_it_lasts


class RawServer:
    """Answers each connection with the bytes that are set for it, after the request's headers have come."""

    def __init__(self, reply):
        self.reply, self.connections = reply, 0
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.connections += 1
                received = b""
                while b"\r\n\r\n" not in received:
                    more = connection.recv(4096)
                    if not more:
                        break
                    received += more
                connection.sendall(self.reply)

    def close(self):
        self.socket.close()


@pytest.fixture
def run(workspace, client):
    def run(steps, **program):
        program.setdefault("outputs", None)
        workflow = workspace.put_workflow({"steps": steps, **program})
        return client.finished(client.started(workflow))
    return run


def http(name, url, **step):
    request = {"method": step.pop("method", "GET"), "url": url, **step.pop("request", {})}
    return {"name": name, "type": "http", "request": request, **step}


@pytest.mark.parametrize("reply", [b"220 mail.example ESMTP\r\n", b"\0\1\2\3garbage\n", b"HTTP/7.1 200 OK\r\n\r\n", b"",
                                   b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
                                   b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"])
def test_a_server_that_does_not_speak_http_is_tried_again(run, reply):
    server = RawServer(reply)
    done = run([http("a", server.url, retry={"max_attempts": 2, "backoff_seconds": 0})])
    server.close()
    assert "no response: " in done["error"] and "URL" not in done["error"], done
    assert (done["steps"][0]["attempts"], server.connections) == (2, 2)


def test_a_redirect_to_no_http_url_names_the_redirect(run, effects):
    effects.answer("/ftp", 302, headers={"Location": "ftp://127.0.0.1/x"})
    assert "the server redirects to a URL that is not a valid http" in run([http("a", effects.url + "/ftp")])["error"]


def test_a_redirect_to_another_origin_drops_the_idempotency_key(run, effects):
    other = Effects()
    effects.answer("/here", 302, headers={"Location": "/near"})
    effects.answer("/away", 302, headers={"Location": other.url + "/far"})
    mine = {"request": {"headers": {"X-Mine": "1", "Idempotency-Key": "mine"}}}
    run([http("a", effects.url + "/here"), http("b", effects.url + "/away"), http("c", effects.url + "/away", **mine)])
    other.close()
    assert effects.to("/near")[0]["key"] and effects.to("/away")[1]["key"] == "mine"
    assert [call["key"] for call in other.to("/far")] == [None, None] and "x-mine" not in other.to("/far")[1]["headers"]


@pytest.mark.parametrize("coding, encode", [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_decoded_body_has_no_content_encoding(run, effects, coding, encode):
    raw = encode(json.dumps({"a": "b" * 1000}).encode())
    effects.answer("/" + coding, body=raw, headers={"Content-Encoding": coding, "X-Kept": "1"})
    result = run([http("a", effects.url + "/" + coding)])["steps"][0]["result"]
    assert result["body"] == {"a": "b" * 1000}
    assert result["headers"]["x-kept"] == "1" and not {"content-encoding", "content-length"} & set(result["headers"])


def test_cookies_stay_separate(run):
    server = RawServer(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT\r\nSet-Cookie: b=2\r\n"
                       b"Content-Length: 0\r\n\r\n")
    done = run([http("a", server.url)])
    server.close()
    assert done["steps"][0]["result"]["headers"]["set-cookie"] == ["a=1; Expires=Thu, 01 Jan 2099 00:00:00 GMT", "b=2"]


def test_json_bodies_are_parsed_or_say_why_not(run, effects):
    nested = b"[" * 64 + b"]" * 64
    effects.answer("/bom", body=b"\xef\xbb\xbf{\"a\": 1}", headers={"Content-Type": "text/json; charset=utf-8"})
    effects.answer("/deep", body=nested)
    effects.answer("/big", body=b'{"n": 123456789012345678901234}')
    result = [s["result"] for s in run([http(name, f"{effects.url}/{name}") for name in ("bom", "deep", "big")])["steps"]]
    assert result[0]["body"] == {"a": 1} and "body_error" not in result[0]
    assert json.dumps(result[1]["body"]).encode() == nested
    assert result[2]["body"] == '{"n": 123456789012345678901234}'
    assert result[2]["body_error"] == "the body could not be parsed as JSON: an integer does not fit in 64 bits"
    # a later step uses the reason; 64 levels come back after the executor has read them again, in a for_each, too
    done = run([http("a", effects.url + "/deep", for_each=[1, 2]), http("b", effects.url + "/big"),
                {"name": "c", "type": "transform", "value": "${/steps/b/result/body_error}"}])
    assert "64 bits" in done["steps"][2]["result"] and len(done["steps"][0]["result"]) == 2, done


def test_a_failed_request_keeps_its_response(run, effects):
    effects.answer("/refused", 422, body={"code": "E42"}, headers={"X-Why": "because"})
    steps = [http("a", effects.url + "/refused", on_error="continue"),
             {"name": "b", "type": "transform", "value": {"code": "${/steps/a/result/body/code}", "status": "${/steps/a/result/status}",
                                                          "why": "${/steps/a/result/headers/x-why}", "error": "${/steps/a/error}"}}]
    done = run(steps)
    assert done["status"] == "success", done
    assert done["steps"][1]["result"] == {"code": "E42", "status": 422, "why": "because", "error": "unexpected response status 422"}
    kept = done["steps"][0]
    assert (kept["status"], kept["error"], kept["result"]["body"]) == ("failed", "unexpected response status 422", {"code": "E42"})
    stopped = run([http("a", effects.url + "/refused")])
    assert (stopped["status"], stopped["steps"][0]["result"]["status"]) == ("failed", 422)
    # no response, no result
    done = run([http("a", "http://127.0.0.1:1/", on_error="continue"), steps[1]])
    assert done["steps"][0]["result"] is None and "step b: " in done["error"], done


def test_the_response_of_a_failed_item_is_kept(run, effects):
    effects.answer("/i/1", 422, body={"code": "E43"})
    item = http("a", effects.url + "/i/${/item}", for_each=[0, 1, 2], on_error="continue")
    kept = run([item, {"name": "b", "type": "transform", "value": "${/steps/a/result/body/code}"}])
    assert (kept["status"], kept["steps"][1]["result"]) == ("success", "E43"), kept
    assert kept["steps"][0]["result"]["status"] == 422 and kept["steps"][0]["error"] == "item 1: unexpected response status 422"
    stopped = run([{**item, "on_error": "stop"}])
    assert (stopped["status"], stopped["steps"][0]["result"]["body"]) == ("failed", {"code": "E43"})


def test_failed_tries_are_events_and_counted_at_the_timeout_of_the_run(stack, run, client, effects):
    effects.answer("/poor", 503, times=3)
    done = run([http("a", effects.url + "/poor", retry={"max_attempts": 4, "backoff_seconds": 0})])
    assert (done["status"], done["steps"][0]["attempts"]) == ("success", 4)
    found = stack.sql(f"SELECT data FROM events WHERE execution_id = '{done['id']}' AND type = 15 ORDER BY seq")
    tries = [json.loads(row[0]) for row in found]
    assert [(t["attempt"], t["error"], t["name"]) for t in tries] == [(n, "unexpected response status 503", "a") for n in (1, 2, 3)]
    assert all(t["retry_at"].endswith("Z") for t in tries)
    effects.answer("/always", 503)

    def look(seconds):
        effects.calls.clear()
        done = run([http("b", effects.url + "/always", retry={"max_attempts": 10, "backoff_seconds": 1})], timeout_seconds=seconds)
        assert done["failure_reason"] == "timeout", done
        shown = done["steps"][0]
        # the run may end during a try, or while it waits for the next one
        assert shown["status"] == "failed" and shown["completed_at"]
        assert 2 <= effects.count("/always") <= shown["attempts"] <= effects.count("/always") + 1
        return done, shown
    done, shown = while_it_lasts(4, look)
    line = stack.logged("executor", f"run.failed execution={done['id']}")
    assert " warn " in line and f" step=b try={shown['attempts']} message=\"the run exceeded its time limit\"" in line, line


def test_a_failed_run_logs_its_step_and_message(stack, run, effects):
    done = run([{"name": "ok", "type": "transform", "value": 1}, {"name": "bad", "type": "fail", "message": "no \u00e9"}])
    line = stack.logged("executor", f"run.failed execution={done['id']}")
    assert " warn " in line and "reason=step_failed step=bad try=1 message=\"step bad: no \u00e9\"" in line, line


def test_the_step_of_a_stopped_run_has_ended(workspace, client, effects):
    release = effects.hold("/long")
    execution = client.started(workspace.put_workflow({"steps": [http("a", effects.url + "/long")]}))
    effects.wait_for("/long")
    assert client.execution(execution)["steps"][0]["status"] == "running"
    assert client.post(f"/executions/{execution}/stop").status_code == 200
    stopped = client.execution(execution)
    release()
    step = stopped["steps"][0]
    assert (stopped["status"], step["status"], step["error"]) == ("stopped", "failed", "the run was stopped")
    assert step["completed_at"] == stopped["completed_at"]


def test_the_queue_age_counts_from_when_a_run_became_claimable(stack, workspace, client, effects):
    """Not from its acceptance: an executor may have returned it to the queue."""
    release = effects.hold("/busy")
    execution = client.started(workspace.put_workflow({"steps": [http("a", effects.url + "/busy")]}))
    effects.wait_for("/busy")

    def claimable_ms():
        return int(stack.sql_one(f"SELECT updated_ms FROM executions WHERE id = '{execution}'"))
    accepted = claimable_ms()
    stack.stop_server("executor")
    seen = len(stack.log("executor"))
    try:
        assert client.execution(execution)["state"] == "queued" and claimable_ms() > accepted
        stack.sql(f"UPDATE executions SET updated_ms = updated_ms - 3600000 WHERE id = '{execution}'")
        text = requests.get(stack.url + "/metrics", timeout=10).text
        age = next(x for x in text.splitlines() if x.startswith("millrace_queue_age_seconds"))
        assert float(age.split()[1]) >= 3600, age
    finally:
        release()
        stack.start_server("executor")
    client.finished(execution)
    waited = stack.logged("executor", f"run.claimed execution={execution}", since=seen)
    assert int(waited.split("waited_ms=")[1].split()[0]) >= 3600000, waited
