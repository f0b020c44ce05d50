"""The target of side effects: an HTTP server that records every request by its Idempotency-Key."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
from stack import Effects  # noqa: E402


KEY = re.compile(r"(.{36})-(\d+)-(-?\d+)-(\d+)")


class SideEffects(Effects):
    """POST /PLACE?ms=N: responds with {"n": n of the body} after N milliseconds.

    /flaky responds with 503 to the first attempt of each step (the key ends in -0), so that each such step has one planned retry.
    """

    def handle(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        path, _, query = request.path.partition("?")
        key = request.headers.get("Idempotency-Key") or ""
        status = 503 if path == "/flaky" and key.endswith("-0") else 200
        with self.lock:
            self.calls.append({"key": key, "path": path, "status": status, "at": time.time()})
        if query.startswith("ms="):
            time.sleep(int(query[3:]) / 1000)
        raw = json.dumps({"n": json.loads(body)["n"] if body else None}).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(raw)))
        request.end_headers()
        request.wfile.write(raw)

    def by_step(self):
        """{(execution, step, item): {key: [calls]}}"""
        steps = {}
        with self.lock:
            calls = list(self.calls)
        for call in calls:
            execution, step, item, _ = split_key(call["key"])
            steps.setdefault((execution, step, item), {}).setdefault(call["key"], []).append(call)
        return steps


def split_key(key):
    """A key is EXECUTION-STEP-ITEM-RESPONSES; the item is -1 if the step has no for_each."""
    execution, step, item, answers = KEY.fullmatch(key).groups()
    return execution, int(step), int(item), int(answers)
