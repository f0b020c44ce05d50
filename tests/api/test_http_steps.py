"""What http steps make of servers that do not behave: transport errors, encodings, JSON, statuses, redirects."""
import gzip
import json
import socket
import threading
import zlib

import pytest
from stack import Effects


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
