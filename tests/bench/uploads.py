#!/usr/bin/python3
"""What uploads cost: memory of the worker that takes 1 GiB, and what run-async notices of twenty uploads at once.

  tests/bench/uploads.py [--mib 1024] [--uploads 20] [--file-mib 32] [--rate 100] [--seconds 10]

Run-async is asked RATE times a second for SECONDS, first alone, then while UPLOADS clients (curl) send files of FILE_MIB one after
the other. Starts a stack of its own. Prints one JSON object; exit 1 where a target is missed.
"""
import argparse
import http.client
import os
import pathlib
import subprocess
import tempfile
import time

import bench_stack
from stack import eventually

TARGETS = {"worker_peak_mib": 32, "run_p99_ratio": 2}


def peak_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])


def curl(stack, key, path, forever=False):
    """Sends the file as it is, again where there was no worker free within five seconds (503); `forever`: one after the other."""
    one = f"curl -sf --retry 20 --noproxy '*' -o /dev/null -H 'Authorization: Bearer {key}' -H Expect: -F files=@{path} {stack.url}/api/v1/files"
    command = f"while :; do {one} || exit 1; echo done; done" if forever else one
    return subprocess.Popen(["bash", "-c", command], stdout=subprocess.PIPE, text=True, start_new_session=True)


def run_async(stack, key, workflow, rate, seconds):
    """Milliseconds of each request, sent at a steady rate over one kept-alive connection; one that waits for its turn waits on the
    clock, too."""
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
    """The pool's workers whose memory shows that they took a body: all of them, the highest tells."""
    return stack.children("api")


def one_large(stack, key, path):
    before = {p: peak_kib(p) for p in upload_workers(stack)}
    began = time.monotonic()
    assert curl(stack, key, path).wait(170) == 0, "the upload failed"
    seconds = time.monotonic() - began
    after = {p: peak_kib(p) for p in upload_workers(stack)}
    return {"worker_peak_mib": round(max(after.values()) / 1024, 1), "grew_kib": max(after[p] - before.get(p, 0) for p in after),
            "mib_per_s": round(path.stat().st_size / 2**20 / seconds)}


def many(stack, key, path, count, measure):
    senders = [curl(stack, key, path, forever=True) for _ in range(count)]
    try:
        for s in senders[:4]:
            s.stdout.readline()  # they are at it
        began = time.monotonic()
        result = measure()
        seconds = time.monotonic() - began
        assert all(s.poll() is None for s in senders), "an upload failed"
    finally:
        for s in senders:
            os.killpg(s.pid, 9)
    done = sum(len(s.stdout.readlines()) for s in senders)
    return result, round(done * path.stat().st_size / 2**20 / seconds)


def sized_file(directory, mib):
    path = pathlib.Path(directory) / f"{mib}.bin"
    block = os.urandom(2**20)
    with path.open("wb") as f:
        for _ in range(mib):
            f.write(block)
    return path


def measure(stack, args, directory):
    workspace = stack.workspace(credits=10000000)
    key = workspace.key()["key"]
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    large = one_large(stack, key, sized_file(directory, args.mib))
    eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM files") == "1", 5)

    def load():
        return run_async(stack, key, workflow, args.rate, args.seconds)
    load()  # everything is warm
    alone = load()
    beside, mib_per_s = many(stack, key, sized_file(directory, args.file_mib), args.uploads, load)
    return {**large, "run_ms": {"alone": alone, "beside_uploads": beside}, "uploads": args.uploads, "uploads_mib_per_s": mib_per_s,
            "run_p99_ratio": round(beside["p99"] / alone["p99"], 2)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("mib", 1024), ("uploads", 20), ("file-mib", 32), ("rate", 100), ("seconds", 10)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        bench_stack.run({"files.principal_max_bytes": "1099511627776"}, lambda stack: measure(stack, args, directory), most=TARGETS)


if __name__ == "__main__":
    main()
