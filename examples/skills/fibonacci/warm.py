"""The protocol of warm skills (docs/skills.md) in Python. Copy this file into a skill; the skill is then

    import warm
    warm.serve(lambda inputs: {"result": inputs["n"] + 1})

While the function runs, the environment variables TRACEPARENT and TRACESTATE say to which trace the job belongs (docs/traces.md), for
OpenTelemetry and for child processes.
An exception of the function fails the job with its message and leaves its traceback in the log; the process takes the next job."""
import json
import os
import sys
import traceback
import urllib.parse


def _answer(handle, inputs):
    try:
        return b"ok", json.dumps(handle(json.loads(inputs)), allow_nan=False)
    except Exception as error:
        traceback.print_exc()
        return b"error", f"{type(error).__name__}: {error}".replace("\n", " ")


def _set_trace(token):
    parts = token.decode().split(";")[1:] + [None, None]  # None: the token has no trace
    for name, value in zip(("TRACEPARENT", "TRACESTATE"), parts):
        os.environ.pop(name, None)
        if value:
            os.environ[name] = urllib.parse.unquote(value)


def serve(handle):
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library or a child process prints on stdout becomes part of the log
    for line in sys.stdin.buffer:
        _, token, inputs = line.split(b" ", 2)
        _set_trace(token)
        os.chdir("/work")  # the job before may have left it
        word, text = _answer(handle, inputs)
        sys.stdout.flush()
        sys.stderr.flush()
        answers.write(b"%s %s %s\n" % (word, token, text.encode("utf-8", "replace")))
        answers.flush()
