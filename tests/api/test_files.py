"""Files: uploads, names, limits, downloads and ownership."""
import hashlib
import os
import socket
import threading
import unicodedata
import uuid

import pytest
import requests
from blobs import blobs_of, names, ten_minutes_pass
from stack import Client, eventually

# uploads_workers: six uploads of one workspace at a time are three quarters of eight
SETTINGS = {"files.file_max_bytes": 5_000_000, "files.principal_max_bytes": 12_000_000, "api.uploads_workers": 8}


def upload(client, *files, path="/files/"):
    """Uploads files: (filename, bytes) or (filename, bytes, type)."""
    return client.post(path, files=[("files", f) for f in files])


def blobs(stack):
    return names(stack)


def blobs_later(stack):
    """The blobs after those without a name were removed, which is ten minutes later."""
    ten_minutes_pass(stack, *blobs_of(stack).glob("??/*"))
    return blobs(stack)


def raw(client, body, boundary="x", headers=None):
    return client.post("/files/", data=body, headers={"Content-Type": f"multipart/form-data; boundary={boundary}", **(headers or {})})


def test_a_nul_in_a_name_is_rejected(client):
    for name in (b"a\0b", b"\0", b"a\0"):
        body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\nx\r\n--x--\r\n'
        assert raw(client, body).status_code == 400, name
    assert client.get("/files/").json()["files"] == []


def test_uploaded_file_is_listed_downloaded_and_deleted(client):
    body = os.urandom(300_000)
    answer = upload(client, ("data.bin", body), ("notes.txt", b"one two\n", "text/plain"))
    assert answer.status_code == 201
    assert answer.json() == {"source_ids": ["data.bin", "notes.txt"]}

    listed = client.get("/files/").json()
    assert [(f["name"], f["size_bytes"], f["media_type"]) for f in listed["files"]] == [
        ("data.bin", 300_000, "application/octet-stream"), ("notes.txt", 8, "text/plain")]
    assert listed["has_more"] is False and listed["next_cursor"] is None

    got = client.get("/files/data.bin")
    assert got.status_code == 200 and got.content == body
    assert got.headers["Content-Type"] == "application/octet-stream"
    assert got.headers["Content-Disposition"].startswith('attachment; filename="data.bin"')
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert got.headers["Content-Security-Policy"] == "sandbox"
    assert got.headers["X-Request-Id"] and got.headers["X-RateLimit-Limit"]
    part = client.get("/files/data.bin", headers={"Range": "bytes=10-19"})
    assert part.status_code == 206 and part.content == body[10:20]
    assert client.request("HEAD", "/files/data.bin").headers["Content-Length"] == "300000"

    assert client.delete("/files/data.bin").status_code == 204
    assert client.delete("/files/data.bin").status_code == 404
    assert client.get("/files/data.bin").status_code == 404
    assert [f["name"] for f in client.get("/files/").json()["files"]] == ["notes.txt"]


def test_files_are_paged_by_name(client):
    upload(client, *[(f"f{i}", b"x") for i in range(5)])
    first = client.get("/files", params={"limit": 2}).json()
    assert [f["name"] for f in first["files"]] == ["f0", "f1"] and first["has_more"]
    rest = client.get("/files", params={"limit": 3, "after": first["next_cursor"]}).json()
    assert [f["name"] for f in rest["files"]] == ["f2", "f3", "f4"] and not rest["has_more"]


def test_every_prefix_is_accepted(stack, workspace):
    key = workspace.key()["key"]
    for prefix in ("/api/v1", "/v1", "/api-proxy/v1"):
        client = Client(stack.url, key, prefix)
        for path in ("/files", "/files/"):
            assert upload(client, ("a.txt", b"a"), path=path).status_code == 201
        assert client.get("/files/a.txt").content == b"a"


@pytest.mark.parametrize("sent, kept", [
    ("../../etc/passwd", "passwd"), ("C:\\Users\\Ada\\report.txt", "report.txt"), ("a/b/c.txt", "c.txt"),
    ("grüße.txt", "grüße.txt"), ('say "hi".txt', 'say "hi".txt'), ("a%2Fb", "a%2Fb"), ("x" * 255, "x" * 255)])
def test_file_names_are_reduced_to_basenames(client, sent, kept):
    quoted = sent.replace("\\", "\\\\").replace('"', '\\"')
    body = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{quoted}"\r\n\r\nhello\r\n--x--\r\n'.encode()
    assert raw(client, body).json() == {"source_ids": [kept]}
    got = client.get("/files/" + requests.utils.quote(kept, safe=""))
    assert got.status_code == 200 and got.content == b"hello"
    assert "\n" not in got.headers["Content-Disposition"]


@pytest.mark.parametrize("parameters, kept", [
    ("filename*=utf-8''na%C3%AFve.txt", "na\u00efve.txt"), ("filename=a.txt; filename*=UTF-8'en'%e2%82%ac.txt", "\u20ac.txt"),
    ('filename="a%22b.txt"', 'a"b.txt'), ('filename="e\u0301.txt"', "\u00e9.txt"), ('filename="100%41.txt"', "100%41.txt")])
def test_file_names_are_read_as_clients_send_them(client, parameters, kept):
    body = f'--x\r\nContent-Disposition: form-data; name="files"; {parameters}\r\n\r\nhello\r\n--x--\r\n'.encode()
    assert raw(client, body).json() == {"source_ids": [kept]}
    for spelling in ("NFC", "NFD"):
        assert client.get("/files/" + requests.utils.quote(unicodedata.normalize(spelling, kept), safe="")).content == b"hello"
    assert client.delete("/files/" + requests.utils.quote(unicodedata.normalize("NFD", kept), safe="")).status_code == 204
    assert client.get("/files").json()["files"] == []


def test_files_of_earlier_versions_are_found_by_either_spelling(stack, workspace, client):
    name, old = "\u00e9.txt", "e\u0301.txt"
    upload(client, ("old", b"old"))
    stack.sql(f"UPDATE files SET name = '{old}' WHERE workspace_id = '{workspace.id}'")
    for asked in (name, old):
        assert client.get("/files/" + requests.utils.quote(asked, safe="")).content == b"old"
    upload(client, (name, b"new"))
    assert client.get("/files/" + requests.utils.quote(old, safe="")).content == b"new"
    assert client.delete("/files/" + requests.utils.quote(name, safe="")).status_code == 204
    assert client.get("/files").json()["files"] == []
    assert client.delete("/files/" + requests.utils.quote(old, safe="")).status_code == 404


@pytest.mark.parametrize("kind", [b"text/\xff", "text/\u00e9".encode(), b"text", b"text/\x01", b"x/" + b"y" * 300])
def test_media_types_that_are_no_media_types_are_replaced(client, kind):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\nContent-Type: ' + kind + b"\r\n\r\nhello\r\n--x--\r\n"
    assert raw(client, body).status_code == 201
    assert [f["media_type"] for f in client.get("/files").json()["files"]] == ["application/octet-stream"]
    assert client.get("/files/a").headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize("name", [b"", b".", b"..", b"a/", b"x" * 256, b"\xff\xfe", b"a\x01b", b"dir/.."])
def test_invalid_file_names_are_rejected(client, name):
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + name + b'"\r\n\r\nhello\r\n--x--\r\n'
    answer = raw(client, body)
    assert answer.status_code == 400 and answer.json()["code"] == "invalid_request"
    assert client.get("/files").json()["files"] == []


@pytest.mark.parametrize("body, status", [
    (b"", 400), (b"--x--\r\n", 400), (b"--x\r\n", 400), (b"nothing at all", 400),
    (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello', 400),
    (b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello\r\n--x', 400),
    (b'--x\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nhello\r\n--x--', 400),
    (b'--x\r\nContent-Disposition: form-data; name="files"\r\n\r\nhello\r\n--x--', 400),
    (b'--x\r\nX: ' + b"y" * 9000 + b'\r\n\r\nhello\r\n--x--', 400),
    (b'--xy\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nhello\r\n--xy--', 400),
])
def test_malformed_bodies_store_nothing(stack, client, body, status):
    before = blobs(stack)
    answer = raw(client, body)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert client.get("/files").json()["files"] == [] and blobs(stack) == before
    eventually(lambda: not list((stack.dir / "data/files/tmp").iterdir()), 5, "removal of the temporary files")


def test_other_media_types_are_415(client):
    assert client.post("/files/", json={}).status_code == 415
    assert client.post("/files/", data=b"x", headers={"Content-Type": "multipart/form-data"}).status_code == 415
    assert client.post("/files/", data=b"x", headers={"Content-Type": "multipart/mixed; boundary=x"}).status_code == 415
    latin1 = client.post("/files/", data=b"--x--", headers={"Content-Type": "multipart/form-data; charset=iso-8859-1; boundary=x"})
    assert latin1.status_code == 415 and "iso-8859-1" in latin1.json()["detail"]


def test_contents_like_delimiters_and_empty_files_are_stored(client):
    tricky = b"\r\n--x" * 3 + b"\r\n--" + b"\r\n\r\n--\r\n" + b"-" * 10 + b"\r\n"
    answer = upload(client, ("tricky", tricky), ("empty", b""))
    assert answer.status_code == 201
    assert client.get("/files/tricky").content == tricky
    assert client.get("/files/empty").content == b""


def test_chunked_upload_is_stored(client):
    boundary = uuid.uuid4().hex
    data = os.urandom(200_000)

    def pieces():
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="c.bin"\r\n\r\n'.encode()
        for i in range(0, len(data), 7001):
            yield data[i:i + 7001]
        yield f"\r\n--{boundary}--\r\n".encode()
    answer = client.post("/files/", data=pieces(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status_code == 201, answer.text
    assert client.get("/files/c.bin").content == data


def test_upload_of_the_same_name_replaces_the_file_and_frees_its_bytes(stack, client):
    old, new = os.urandom(1000), os.urandom(2000)
    upload(client, ("a", old))
    assert hashlib.sha256(old).hexdigest() in blobs(stack)
    answer = upload(client, ("a", b"overtaken"), ("a", new))
    assert answer.json() == {"source_ids": ["a", "a"]}
    assert client.get("/files/a").content == new
    names = blobs_later(stack)
    assert hashlib.sha256(new).hexdigest() in names
    assert hashlib.sha256(old).hexdigest() not in names and hashlib.sha256(b"overtaken").hexdigest() not in names


def test_equal_contents_share_one_blob_until_the_last_name_is_deleted(stack, client):
    data = os.urandom(5000)
    other = stack.workspace().client()
    upload(client, ("a", data), ("b", data))
    upload(other, ("c", data))
    name = hashlib.sha256(data).hexdigest()
    assert blobs_later(stack).count(name) == 1
    client.delete("/files/a")
    client.delete("/files/b")
    assert name in blobs_later(stack)
    assert other.get("/files/c").content == data
    other.delete("/files/c")
    assert name not in blobs_later(stack)


def test_file_and_principal_limits_are_enforced(stack, client):
    answer = upload(client, ("big", b"x" * 5_000_001))
    assert answer.status_code == 413 and answer.json()["code"] == "body_too_large"
    assert upload(client, ("big", b"x" * 5_000_000)).status_code == 201
    assert upload(client, ("big2", b"y" * 5_000_000)).status_code == 201
    assert upload(client, ("big3", b"z" * 2_000_001)).status_code == 413
    assert upload(client, ("big3", b"z" * 2_000_000)).status_code == 201
    # a replacement does not count twice
    assert upload(client, ("big", b"w" * 5_000_000)).status_code == 201
    assert upload(client, ("one-more", b"1")).status_code == 413
    assert sorted(f["name"] for f in client.get("/files").json()["files"]) == ["big", "big2", "big3"]
    assert hashlib.sha256(b"z" * 2_000_001).hexdigest() not in blobs_later(stack)
    eventually(lambda: not list((stack.dir / "data/files/tmp").iterdir()), 5, "removal of the temporary files")


def answer_before_the_end(stack, client, size, sent):
    """Announces an upload of `size` bytes, sends `sent` of them and returns the status that comes nevertheless."""
    head = (f"POST /api/v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {size}\r\n\r\n").encode()
    part = b'--x\r\nContent-Disposition: form-data; name="files"; filename="new"\r\n\r\n'
    with socket.create_connection(("127.0.0.1", stack.port), timeout=10) as s:
        s.sendall(head + part + b"n" * sent)
        return int(s.recv(1000).split(b" ")[1])


def test_uploads_beyond_the_principals_limit_end_early(stack):
    client = stack.workspace().client()
    assert answer_before_the_end(stack, client, 100_000_000, 0) == 413  # by its Content-Length
    assert upload(client, ("a", b"a" * 5_000_000), ("b", b"b" * 5_000_000)).status_code == 201
    assert answer_before_the_end(stack, client, 4_000_000, 2_500_000) == 413  # by what the principal has already
    assert sorted(f["name"] for f in client.get("/files").json()["files"]) == ["a", "b"]


def test_principal_limit_holds_for_concurrent_uploads(stack):
    client = stack.workspace().client()
    statuses = []

    def one(i):
        mine = Client(stack.url, client.key)
        statuses.append(upload(mine, (f"f{i}", bytes([i]) * 4_000_000)).status_code)
    threads = [threading.Thread(target=one, args=(i,)) for i in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(statuses) == [201] * 3 + [413] * 3
    assert sum(f["size_bytes"] for f in client.get("/files").json()["files"]) <= 12_000_000


def test_files_belong_to_the_principal(stack, workspace, client):
    upload(client, ("mine", b"secret"))
    colleague, stranger = workspace.client(), stack.workspace().client()
    for other in (colleague, stranger):
        assert other.get("/files").json()["files"] == []
        assert other.get("/files/mine").status_code == 404
        assert other.delete("/files/mine").status_code == 404
    assert client.get("/files/mine").content == b"secret"


def test_files_require_their_scopes(workspace):
    reader, writer, none = workspace.client("files:read"), workspace.client("files:write"), workspace.client("credits:read")
    assert upload(reader, ("a", b"x")).status_code == 403
    assert writer.get("/files").status_code == 403
    assert upload(none, ("a", b"x")).status_code == 403
    assert upload(writer, ("a", b"x")).status_code == 201
    assert Client(writer.base[:-7]).post("/files/", files=[("files", ("a", b"x"))]).status_code == 401


def test_aborted_upload_leaves_no_bytes(stack, client):
    import socket
    before = blobs(stack)
    s = socket.create_connection(("127.0.0.1", stack.port))
    s.sendall(f"POST /api/v1/files/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.key}\r\n"
              "Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1000000\r\n\r\n"
              '--x\r\nContent-Disposition: form-data; name="files"; filename="gone"\r\n\r\n'.encode() + b"y" * 200_000)
    tmp = stack.dir / "data/files/tmp"
    eventually(lambda: list(tmp.iterdir()), what="an upload in progress")
    s.close()
    eventually(lambda: not list(tmp.iterdir()), 40, "removal of the temporary file")
    assert client.get("/files").json()["files"] == [] and blobs(stack) == before


def test_worker_memory_is_bounded_during_a_large_upload(stack):
    client = stack.workspace().client()
    boundary = "x"
    head = b'--x\r\nContent-Disposition: form-data; name="files"; filename="large"\r\n\r\n'
    first, growth = {}, []  # KiB, by worker: under ASan a worker that does nothing has 33 MiB

    def pieces():
        yield head
        for i in range(75):
            yield bytes([i]) * 64_000
            for pid in stack.children("api"):
                try:
                    text = open(f"/proc/{pid}/status").read()
                    size = int(text.split("VmRSS:")[1].split()[0])
                    growth.append(size - first.setdefault(pid, size))
                except OSError:
                    pass
        yield b"\r\n--x--\r\n"
    answer = client.post("/files/", data=pieces(), headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
    assert answer.status_code == 201, answer.text
    assert max(growth) < 12 * 1024, f"{max(growth)} KiB"
