"""Bytes in an object store (npm's s3rver): downloads through nginx, the cache, packages of skills, a store that is away, and what is
compared and removed."""
import contextlib
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import threading
import uuid

import pytest
import requests
from blobs import ten_minutes_pass
from skills import EXAMPLES, Space, install, probe
from stack import ROOT, eventually, while_it_lasts

OBJECTS = True
HELLO = "import json, sys\njson.dump({'got': json.load(sys.stdin)}, sys.stdout)"


@pytest.fixture
def client(workspace):
    return workspace.client()


def upload(client, name, data, type="text/plain"):
    return client.post("/files/", files=[("files", (name, data, type))])


def forget(stack):
    """As another host: without the bytes and the packages that this one keeps."""
    for folder in ("cache", "skills"):
        for entry in (stack.dir / "data/files" / folder).glob("*"):
            shutil.rmtree(entry)


def key_of(stack, data):
    [key] = [k for k in stack.objects.keys() if k.startswith(hashlib.sha256(data).hexdigest())]
    return key


def logs_of(stack):
    return "".join(p.read_text(errors="replace") for p in (stack.dir / "logs").iterdir())


@pytest.fixture
def store(stack):
    """The object store, which runs again after the test."""
    yield stack.objects
    if not stack.objects.answers():
        stack.objects.start()


def test_downloads_come_from_the_store_with_the_headers_of_the_api(stack, client):
    data = os.urandom(300_000)
    assert upload(client, "ä.txt", data).status_code == 201
    forget(stack)
    got = client.get("/files/ä.txt")
    assert got.status_code == 200 and got.content == data
    assert got.headers["Content-Type"] == "text/plain" and got.headers["Cache-Control"] == "private, no-cache"
    assert "filename*=UTF-8''a%CC%88.txt" in got.headers["Content-Disposition"] or "filename*=UTF-8''%C3%A4.txt" in got.headers["Content-Disposition"]
    assert got.headers["X-Request-Id"] and got.headers["X-RateLimit-Limit"] and got.headers["X-Content-Type-Options"] == "nosniff"
    assert not [name for name in got.headers if name.lower().startswith(("x-amz", "x-object", "x-accel"))]
    part = client.get("/files/ä.txt", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == data[100:200] and part.headers["Content-Range"] == "bytes 100-199/300000"
    beyond = client.get("/files/ä.txt", headers={"Range": "bytes=300000-"})
    assert beyond.status_code == 416 and beyond.json()["code"]
    head = client.request("HEAD", "/files/ä.txt")
    assert head.status_code == 200 and head.headers["Content-Length"] == "300000"


def test_a_skill_finds_its_package_and_files_in_the_store(stack, workspace):
    space = Space(workspace)
    install(workspace, EXAMPLES / "word-count")
    assert upload(space.client, "story.txt", b"The lazy dog, the end.\n").status_code == 201
    forget(stack)
    x = space.ran("word-count", {"file": "story.txt", "top": 1}, file_source_ids=["story.txt"])
    assert x["state"] == "succeeded" and x["outputs"]["words"] == 5, x
    assert list((stack.dir / "data/files/skills").iterdir())
    forget(stack)
    assert "story.txt: 1 lines" in space.logs(x["id"])
    forget(stack)
    logs = subprocess.run([ROOT / "bin/millrace", "execution", "logs", x["id"]], env=stack.env, check=True, capture_output=True, text=True)
    assert "story.txt: 1 lines" in logs.stdout


def test_artifacts_are_objects(stack, workspace):
    space = Space(workspace)
    install(workspace, EXAMPLES / "csv-summary")
    upload(space.client, "data.csv", b"city,people\nA,10\nB,30\n", "text/csv")
    x = space.ran("csv-summary", {"file": "data.csv"}, file_source_ids=["data.csv"])
    [artifact] = x["artifacts"]
    forget(stack)
    got = space.client.get(artifact["download_url"].removeprefix("/api/v1"))
    assert got.status_code == 200 and len(got.content) == artifact["size_bytes"]
    assert key_of(stack, got.content)


def test_a_damaged_copy_is_not_used(stack, workspace):
    space = Space(workspace)
    probe(workspace, "import glob, json, sys\n[path] = glob.glob('**/a.txt', recursive=True)\njson.dump({'got': open(path).read()}, sys.stdout)",
          slug="reads")
    data = uuid.uuid4().hex.encode()
    upload(space.client, "a.txt", data)
    name = hashlib.sha256(data).hexdigest()
    copy = stack.dir / "data/files/cache" / name[:2] / name
    copy.write_bytes(b"something else")
    x = space.ran("reads", {}, file_source_ids=["a.txt"])
    assert x["state"] == "succeeded" and x["outputs"]["got"] == data.decode(), x
    assert copy.read_bytes() == data
    stack.logged("executor", f"name={name[:2]}/{name}")


def test_a_store_that_is_away_is_503_and_nothing_else_fails(stack, client, store):
    data = os.urandom(1000)
    store.kill()
    refused = upload(client, "b", data)
    assert refused.status_code == 503 and refused.json()["code"] == "unavailable" and client.get("/files").json()["files"] == []
    store.start()
    eventually(lambda: upload(client, "b", data).status_code == 201, 30, "an upload after the store is back")
    assert client.get("/files/b").content == data
    store.kill()
    got = client.get("/files/b")
    assert got.status_code == 503 and got.json()["code"] == "unavailable"
    assert client.get("/files").json()["files"][0]["name"] == "b"
    store.start()
    eventually(lambda: client.get("/files/b").status_code == 200, 30, "a download after the store is back")


@contextlib.contextmanager
def answering(port, status, headers):
    """Whoever answers at the port of the store says this."""

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            for name, value in {**headers, "Content-Length": "5"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"bytes")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def test_what_the_store_answers_neither_names_it_nor_chooses_another_place(stack, client, store):
    upload(client, "n", b"bytes")
    store.kill()
    elsewhere = f"http://127.0.0.1:{store.port}/elsewhere"
    with answering(store.port, 307, {"Location": elsewhere}):
        got = client.get("/files/n", allow_redirects=False)
        assert got.status_code == 503 and "Location" not in got.headers and got.json()["code"] == "unavailable"
    own = {"X-Accel-Redirect": "/internal/problem", "X-RateLimit-Limit": "77777", "X-Request-Id": "its own", "Access-Control-Allow-Origin": "*"}
    with answering(store.port, 200, own):
        got = client.get("/files/n")
        assert got.status_code == 200 and got.content == b"bytes"
        assert "77777" not in got.headers["X-RateLimit-Limit"] and "its own" not in got.headers["X-Request-Id"]
        assert "Access-Control-Allow-Origin" not in got.headers
    store.start()


def test_a_slow_store_is_given_up(stack, client):
    stack.objects.pause()
    try:
        assert upload(client, "slow", b"bytes").status_code == 503
    finally:
        stack.objects.resume()
    eventually(lambda: upload(client, "slow", b"bytes").status_code == 201, 30, "an upload after the store is back")


def test_a_run_waits_for_a_store_that_is_away(stack, workspace, store):
    space = Space(workspace)
    probe(workspace, HELLO, slug="waits")
    data = uuid.uuid4().hex.encode()
    upload(space.client, "a.txt", data)
    forget(stack)
    store.kill()
    id = space.started("waits", {}, file_source_ids=["a.txt"])
    eventually(lambda: int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'") or 0) >= 2, 60, "the run to be handed back")
    assert space.get(id)["state"] in ("queued", "running")
    store.start()
    assert space.finished(id, 90)["state"] == "succeeded"


def test_a_run_that_never_got_its_files_ends_at_its_deadline_and_is_refunded(stack, workspace, store):
    space = Space(workspace)
    probe(workspace, HELLO, slug="never")
    upload(space.client, "a.txt", uuid.uuid4().hex.encode())
    forget(stack)
    before = workspace.balance()
    store.kill()
    id = space.started("never", {}, file_source_ids=["a.txt"])
    eventually(lambda: int(stack.sql_one(f"SELECT attempt FROM executions WHERE id = '{id}'") or 0) >= 2, 60, "the run to be handed back")
    stack.sql(f"UPDATE executions SET deadline_ms = started_ms WHERE id = '{id}'")
    x = space.finished(id, 90)
    assert (x["state"], x["failure_reason"]) == ("failed", "timeout"), x
    assert workspace.balance() == before
    store.start()


def test_outputs_wait_for_a_store_that_is_away(stack, workspace, store):
    space = Space(workspace)
    upload(space.client, "a.txt", b"1")
    probe(workspace, "import json, sys, time\nprint('begun', file=sys.stderr, flush=True)\ntime.sleep(json.load(sys.stdin)['s'])\njson.dump({'got': {}}, sys.stdout)",
          slug="late", timeout_seconds=60)

    def look(seconds):
        id = space.started("late", {"s": seconds})
        eventually(lambda: "begun" in space.logs(id), 60, "the command's log")
        store.kill()
        try:
            assert space.get(id)["state"] == "running", "it has stored its outputs"
        except AssertionError:
            store.start()
            raise
        return id
    id = while_it_lasts(3, look)
    before = stack.log("executor").count("objects.away action=put")
    eventually(lambda: stack.log("executor").count("objects.away action=put") > before, 60, "an upload that fails")
    store.start()
    assert space.finished(id, 60)["state"] == "succeeded"
    forget(stack)
    assert space.logs(id) == "begun\n"


@pytest.mark.skipif(os.environ.get("MILLRACE_OBJECTS") == "swift", reason="it makes an object older than it is, in the folder of s3rver")
def test_the_sweep_and_the_audit_compare_objects_and_rows(stack, client):
    lost, kept = os.urandom(100), os.urandom(100)
    upload(client, "lost", lost)
    upload(client, "kept", kept)
    # an upload whose process died a day ago: the UUID has its time
    old = f"{hashlib.sha256(kept).hexdigest()}/01890000-0000-7000-8000-{uuid.uuid4().hex[:12]}"
    key = key_of(stack, lost)
    stack.objects.write(old, kept)
    [path] = (stack.objects.dir / "data").glob(f"*/{old}._S3rver_object")
    os.utime(path, (1, 1))
    place = stack.objects.dir / "data/millrace-test"
    for file in place.glob(f"{key}*"):
        file.unlink()
    stack.until_upkeep("sweep_blobs", lambda: stack.sql_one(f"SELECT COUNT(*) FROM dead_objects WHERE object = '{old[65:]}'") == "1", 60, "the sweep of the objects")
    eventually(lambda: f"blob.missing name={key}" in stack.log("executor"), 30, "the sweep of the rows")
    audit = subprocess.run([ROOT / "bin/millrace", "audit"], env=stack.env, capture_output=True, text=True)
    assert audit.returncode == 1 and key in audit.stdout + audit.stderr and "no such object" in audit.stdout + audit.stderr
    ten_minutes_pass(stack)
    assert old not in stack.objects.keys() and key_of(stack, kept)
    client.delete("/files/lost")


def test_an_object_that_a_row_names_is_not_deleted(stack, client):
    """Its writer took so long that the sweep had already made it a dead one."""
    data = os.urandom(100)
    upload(client, "late", data)
    stack.sql(f"INSERT INTO dead_objects SELECT object, sha256, 1 FROM blobs WHERE sha256 = UNHEX('{hashlib.sha256(data).hexdigest()}')")
    ten_minutes_pass(stack)
    assert stack.sql_one("SELECT COUNT(*) FROM dead_objects") == "0"
    assert key_of(stack, data) and client.get("/files/late").content == data


def test_bytes_of_a_directory_are_copied_to_the_store(stack, workspace, client):
    data = os.urandom(2000)
    digest = hashlib.sha256(data).hexdigest()
    upload(client, "moved", data)
    install(workspace, EXAMPLES / "word-count")
    # as before blob.store was s3
    path = stack.dir / "data/files/blobs" / digest[:2] / digest
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    stack.sql(f"UPDATE blobs SET object = NULL WHERE sha256 = UNHEX('{digest}'); DELETE FROM blobs WHERE sha256 IN (SELECT hash FROM skill_versions)")
    assert client.get("/files/moved").content == data
    copied = stack.cli("files", "store")
    assert copied["blobs"] == 1 and copied["packages"] >= 1, copied
    path.unlink()
    forget(stack)
    assert client.get("/files/moved").content == data
    upload(client, "story.txt", b"one two")
    x = Space(workspace, client).ran("word-count", {"file": "story.txt"}, file_source_ids=["story.txt"])
    assert x["state"] == "succeeded", x
    again = stack.cli("files", "store")
    assert again["blobs"] == again["packages"] == 0, again


def test_the_cache_is_bounded(stack, client):
    parts = [os.urandom(4_000_000) for _ in range(7)]
    stack.settings["blob.cache_mib"] = "16"
    stack.restart_server("api")
    for i, part in enumerate(parts):
        assert upload(client, f"part{i}", part).status_code == 201
    size = sum(p.stat().st_size for p in (stack.dir / "data/files/cache").glob("??/*"))
    assert size <= (16 + 4 * 1) * 1024 * 1024 + 4_000_000 * 4
    assert client.get("/files/part0").content == parts[0]


def test_metrics_count_requests(stack, client):
    upload(client, "counted", b"12345")
    text = requests.get(stack.url + "/metrics", timeout=10).text
    assert 'millrace_object_requests_total{action="put",outcome="done"}' in text
    assert 'millrace_object_bytes_total{action="put"}' in text and 'millrace_object_seconds_total{action="put"}' in text


def test_a_secret_that_others_may_read_is_refused(stack, client):
    secret = stack.objects.dir / "secret"
    secret.chmod(0o604)
    try:
        done = subprocess.run([ROOT / "bin/millrace", "skill", "install", EXAMPLES / "word-count", "--workspace", str(uuid.uuid4())], env=stack.env,
                              capture_output=True, text=True)
        assert done.returncode != 0
    finally:
        secret.chmod(0o600)


def test_no_log_has_the_secret_or_a_signature(stack):
    text = logs_of(stack)
    assert "Signature=" not in text and "AWS4-HMAC" not in text and "S3RVER" not in text


def test_the_audit_is_clean(stack):
    audit = subprocess.run([ROOT / "bin/millrace", "audit"], env=stack.env, capture_output=True, text=True)
    assert audit.returncode == 0, json.dumps(audit.stdout + audit.stderr)
