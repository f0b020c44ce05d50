#!/usr/bin/python3
"""Measures the cost of uploads: memory of the worker that receives 1 GiB, and the effect of twenty concurrent uploads on run-async.

  tests/bench/uploads.py [--mib 1024] [--uploads 20] [--file-mib 32] [--rate 100] [--seconds 10] [--rounds 3]

run-async is called RATE times per second for SECONDS, in turn alone and while UPLOADS clients send files of FILE_MIB one after the other,
ROUNDS times. The medians of the rounds count. All files differ, as those of users do. Everything that the benchmark itself writes (its
files, the uploads of a round) is synced to the disk before the next round. Starts a private stack. Prints one JSON object; exits with 1
if a target is missed.
"""
import argparse
import http.client
import multiprocessing
import os
import pathlib
import socket
import statistics
import subprocess
import tempfile
import threading
import time

import bench_stack
from stack import eventually

TARGETS = {"worker_peak_mib": 32, "run_p99_ratio": 2}


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


def curl(stack, key, path):
    """Sends the file. Retries if no worker was free within five seconds (503)."""
    subprocess.run(["curl", "-sf", "--retry", "20", "--noproxy", "*", "-o", "/dev/null", "-H", f"Authorization: Bearer {key}", "-H", "Expect:",
                    "-F", f"files=@{path}", f"{stack.url}/api/v1/files"], check=True, timeout=170)


def send(port, key, path, name):
    """Uploads a unique file: its name followed by the bytes of PATH. Returns the status; 503 if the connection was closed early."""
    head = f'--b\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n{name}'.encode()
    end, size = b"\r\n--b--\r\n", path.stat().st_size
    try:
        with socket.create_connection(("127.0.0.1", port)) as s, path.open("rb") as f:
            s.sendall(f"POST /api/v1/files HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Length: {len(head) + size + len(end)}\r\n"
                      "Content-Type: multipart/form-data; boundary=b\r\nConnection: close\r\n\r\n".encode() + head)
            s.sendfile(f)
            s.sendall(end)
            return int(s.recv(4096).split()[1])
    except (BrokenPipeError, ConnectionResetError):
        return 503


def send_for_ever(port, key, path, clients, done, refused):
    """Body of an uploading process, which is separate so that it does not delay the measuring process."""
    def client(i):
        for k in range(10**9):
            while (status := send(port, key, path, f"{os.getpid()}-{i}-{k}")) == 503:
                with refused.get_lock():
                    refused.value += 1
                time.sleep(1)  # Retry-After
            if status != 201:
                os._exit(1)  # ends all threads
            with done.get_lock():
                done.value += 1
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()


def run_async(stack, key, workflow, rate, seconds):
    """Milliseconds of each request, sent at a steady rate over one kept-alive connection. The time that a request waits for the
    connection counts."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.port)
    took, began = [], time.monotonic()
    for i in range(rate * seconds):
        due = began + i / rate
        time.sleep(max(0, due - time.monotonic()))
        connection.request("POST", f"/api/v1/workflows/{workflow}/run-async", headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        assert answer.status == 202, answer.read()
        answer.read()
        took.append((time.monotonic() - due) * 1000)
    took.sort()
    return {"n": len(took), "median": round(took[len(took) // 2], 2), "p99": round(took[len(took) * 99 // 100], 2), "most": round(took[-1], 2)}


def upload_workers(stack):
    """All workers of the pool. The greatest memory is that of the worker that received the body."""
    return stack.children("api")


def one_large(stack, key, path):
    before = {p: peak_kib(p) for p in upload_workers(stack)}
    began = time.monotonic()
    curl(stack, key, path)
    seconds = time.monotonic() - began
    after = {p: peak_kib(p) for p in upload_workers(stack)}
    return {"worker_peak_mib": round(max(after.values()) / 1024, 1), "grew_kib": max(after[p] - before.get(p, 0) for p in after),
            "mib_per_s": round(path.stat().st_size / 2**20 / seconds)}


def beside_uploads(stack, key, path, clients, load):
    """The result of `load` while CLIENTS upload, and the uploaded amount."""
    done, refused = multiprocessing.Value("q"), multiprocessing.Value("q")
    sender = multiprocessing.Process(target=send_for_ever, args=(stack.port, key, path, clients, done, refused))
    sender.start()
    eventually(lambda: done.value >= 4, 60)  # until the uploads are in progress
    before, began = done.value, time.monotonic()
    result = load()
    seconds, sent = time.monotonic() - began, done.value - before
    assert sender.is_alive(), "an upload failed"
    sender.kill()
    sender.join()
    return {**result, "uploads_mib_per_s": round(sent * path.stat().st_size / 2**20 / seconds), "refused": refused.value}


def sized_file(directory, mib):
    path = pathlib.Path(directory) / f"{mib}.bin"
    block = os.urandom(2**20)
    with path.open("wb") as f:
        for _ in range(mib):
            f.write(block)
        f.flush()
        os.fsync(f.fileno())
    return path


def measure(stack, args, directory):
    workspace = stack.workspace(credits=10000000)
    key = workspace.key()["key"]
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    path = sized_file(directory, args.mib)
    large = one_large(stack, key, path)
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM files") == "1", 5)
    path.unlink()
    path = sized_file(directory, args.file_mib)

    def load():
        return run_async(stack, key, workflow, args.rate, args.seconds)
    load()  # warm-up
    alone, beside = [], []
    for _ in range(args.rounds):
        os.sync()
        alone.append(load())
        beside.append(beside_uploads(stack, key, path, args.uploads, load))
    p99 = [statistics.median(r["p99"] for r in rounds) for rounds in (beside, alone)]
    return {**large, "run_ms": {"alone": alone, "beside_uploads": beside}, "uploads": args.uploads, "run_p99_ratio": round(p99[0] / p99[1], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("mib", 1024), ("uploads", 20), ("file-mib", 32), ("rate", 100), ("seconds", 10), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        bench_stack.run({"files.principal_max_bytes": "1099511627776"}, lambda stack: measure(stack, args, directory), most=TARGETS)


if __name__ == "__main__":
    main()
