"""The client: requests that are repeated when that is safe, waits, pages, event streams, files."""
from __future__ import annotations

import collections
import contextlib
import http.client
import json
import random
import time
import urllib.parse
import uuid
from typing import IO, Any, Callable, Generator, Iterator, NamedTuple, Sequence

from . import types
from .errors import ApiError, ConnectionFailed, by_code

TERMINAL = ("succeeded", "failed", "stopped")
LAST_EVENTS = ("execution.succeeded", "execution.failed", "execution.stopped")
WAIT_MAX = 60  # seconds, the longest wait that the API takes
STREAM_SILENCE = 45  # seconds; the API sends a comment every 15
REPEATED_STATUS = (408, 429, 502, 503, 504)
DELAY_FIRST, DELAY_MAX = 0.25, 15.0
FEED_REMEMBERED = 20_000  # events of the feed, more than it sends twice after an interruption


class RunTimeout(Exception):
    """The run had not ended in time. It continues; `execution_id` names it."""

    def __init__(self, execution_id: str):
        self.execution_id = execution_id
        super().__init__(f"execution {execution_id} has not ended in time")


class _NothingFollows(Exception):
    """The API answered 204: the execution has no further events."""


class _Block(NamedTuple):
    """What a stream of server-sent events says between two empty lines; no members: a comment, which shows that the stream is alive."""
    id: str | None
    data: str | None
    retry: float | None  # seconds


class _Response:
    def __init__(self, status: int, headers: Any, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self) -> Any:
        return json.loads(self.body) if self.body else None


def _seconds(text: str | None) -> float | None:
    return float(text) if text and text.isdigit() else None


def _error(status: int, headers: Any, body: bytes) -> ApiError:
    try:
        problem = json.loads(body)
        problem = problem if isinstance(problem, dict) else {}
    except ValueError:
        problem = {}
    kind = by_code.get(str(problem.get("code")), ApiError)
    return kind(status, problem, _seconds(headers.get("Retry-After")))


def _quote(text: str) -> str:
    return urllib.parse.quote(text, safe="")


class Client:
    """A client for one key.

    url: of the server, without /api/v1. timeout: seconds of silence after which a response counts as lost. retry_seconds: for how long
    a request is repeated; 0: never. on_retry is called with the error before each delay. A Client may be used by several threads."""

    def __init__(self, url: str, key: str, *, timeout: float = 75, retry_seconds: float = 60, on_retry: Callable[[Exception], None] | None = None):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("url must be http:// or https:// and a host")
        self._kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = parts.hostname, parts.port, parts.path.rstrip("/") + "/api/v1"
        self._key, self._timeout, self._retry_seconds, self._on_retry = key, timeout, retry_seconds, on_retry

    # --- requests ---------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _open(self, method: str, path: str, headers: dict[str, str], body: Any, timeout: float):
        connection = self._kind(self._host, self._port, timeout=timeout)
        try:
            connection.request(method, self._prefix + path, body, {"Authorization": f"Bearer {self._key}", **headers})
            response = connection.getresponse()
            # http.client takes a header that was cut for a complete one. The server always states where a body ends.
            if response.length is None and not response.chunked:
                raise ConnectionFailed(f"{method} {path}: the response was cut")
            yield response
        except (OSError, http.client.HTTPException) as e:
            raise ConnectionFailed(f"{method} {path}: {e or type(e).__name__}") from e
        finally:
            connection.close()

    def _pause(self, error: Exception, attempt: int, deadline: float) -> None:
        """Waits before the next attempt, or raises the error if none is due before the deadline."""
        delay = getattr(error, "retry_after", None)
        if delay is None:
            delay = min(DELAY_MAX, DELAY_FIRST * 2 ** min(attempt, 10)) * random.uniform(0.5, 1)
        if time.monotonic() + delay > deadline:
            raise error
        if self._on_retry:
            self._on_retry(error)
        time.sleep(delay)

    @staticmethod
    def _is_passing(error: Exception) -> bool:
        return isinstance(error, ConnectionFailed) or \
            isinstance(error, ApiError) and (error.status in REPEATED_STATUS or error.code == "idempotency_in_flight")

    def request(self, method: str, path: str, *, query: dict[str, Any] | None = None, body: Any = None, data: Any = None,
                headers: dict[str, str] | None = None, repeatable: bool | None = None) -> _Response:
        """One request below /api/v1, repeated while its error is a passing one and repeating is safe: a method other than POST, an
        Idempotency-Key, or repeatable=True. `data`: a function that returns (bytes or file, headers) for each attempt."""
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/json"
        safe = (method != "POST" or "Idempotency-Key" in sent) if repeatable is None else repeatable
        pairs = [(n, str(v).lower() if isinstance(v, bool) else v) for n, v in (query or {}).items() if v is not None]
        target = path + ("?" + urllib.parse.urlencode(pairs, doseq=True) if pairs else "")
        content = None if body is None else json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
        deadline, attempt = time.monotonic() + self._retry_seconds, 0
        while True:
            try:
                more: dict[str, str] = {}
                if data:
                    content, more = data()
                with self._open(method, target, sent | more, content, self._timeout) as response:
                    answer = response.read()
                    if response.status < 400:
                        return _Response(response.status, response.headers, answer)
                    raise _error(response.status, response.headers, answer)
            except (ConnectionFailed, ApiError) as e:
                if not safe or not self._is_passing(e):
                    raise
                self._pause(e, attempt, deadline)
                attempt += 1

    def _start(self, path: str, body: Any, idempotency_key: str | None, wait: int | None = None) -> Any:
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        if wait:
            headers["Prefer"] = f"wait={wait}"
        return self.request("POST", path, body=body, headers=headers).json()

    def _pages(self, path: str, member: str, query: dict[str, Any]) -> Iterator[Any]:
        after = None
        while True:
            page = self.request("GET", path, query={**query, "after": after}).json()
            yield from page[member]
            after = page["next_cursor"]
            if not page["has_more"]:
                return

    # --- workflows --------------------------------------------------------------------------------------------------

    def create_workflow(self, name: str, program: dict[str, Any], description: str | None = None, *, expose: bool = False, idempotency_key: str | None = None) -> types.Workflow:
        return self._start("/workflows", {"name": name, "program": program, "description": description, "expose": expose}, idempotency_key)

    def update_workflow(self, id: str, name: str, program: dict[str, Any], description: str | None = None, *, expose: bool = False) -> types.Workflow:
        return self.request("PUT", f"/workflows/{_quote(id)}", body={"name": name, "program": program, "description": description, "expose": expose}).json()

    def workflow(self, id: str) -> types.Workflow:
        return self.request("GET", f"/workflows/{_quote(id)}").json()

    def workflows(self, *, limit: int | None = None) -> Iterator[types.WorkflowItem]:
        """All workflows, newest first. limit: entries per page."""
        return self._pages("/workflows", "workflows", {"limit": limit})

    def archive_workflow(self, id: str) -> None:
        self.request("DELETE", f"/workflows/{_quote(id)}")

    # --- runs -------------------------------------------------------------------------------------------------------

    def run(self, workflow_id: str, inputs: dict[str, Any] | None = None, *, tags: list[str] | None = None, metadata: dict[str, Any] | None = None,
            chat: types.Chat | None = None, idempotency_key: str | None = None, wait: int | None = None) -> types.Accepted | types.Execution:
        """Starts a run. With `wait` (seconds, at most 60), the answer is the Execution if it ends in time."""
        body = {"inputs": inputs, "tags": tags, "metadata": metadata, "chat": chat}
        return self._start(f"/workflows/{_quote(workflow_id)}/run-async", {n: v for n, v in body.items() if v is not None}, idempotency_key, wait)

    def run_and_wait(self, workflow_id: str, inputs: dict[str, Any] | None = None, *, timeout: float = 3600, **options: Any) -> types.Execution:
        """Starts a run and returns the Execution when it has ended, however it ended: see `state`."""
        deadline = time.monotonic() + timeout
        started = self.run(workflow_id, inputs, wait=max(1, min(WAIT_MAX, int(timeout))), **options)
        if started.get("state") in TERMINAL:
            return started  # type: ignore[return-value]
        return self.wait(started["execution_id"], timeout=max(0.0, deadline - time.monotonic()))

    def wait(self, execution_id: str, *, timeout: float = 3600) -> types.Execution:
        """The Execution when it has ended. RunTimeout after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            execution = self.execution(execution_id, wait=max(0, min(WAIT_MAX, int(left))))
            if execution["state"] in TERMINAL:
                return execution
            if time.monotonic() >= deadline - 1:
                raise RunTimeout(execution_id)

    def run_skill(self, space_id: str, slug: str, inputs: dict[str, Any], *, files: list[str] | None = None, model: str | None = None,
                  chat: types.Chat | None = None, idempotency_key: str | None = None, wait: int | None = None) -> types.SkillExecution:
        body = {"inputs": inputs, "file_source_ids": files, "model": model, "chat": chat}
        path = f"/spaces/{_quote(space_id)}/skills/{_quote(slug)}/executions"
        return self._start(path, {n: v for n, v in body.items() if v is not None}, idempotency_key, wait)["data"]

    def run_skill_and_wait(self, space_id: str, slug: str, inputs: dict[str, Any], *, timeout: float = 3600, **options: Any) -> types.SkillExecution:
        started = self.run_skill(space_id, slug, inputs, **options)
        self.wait(started["id"], timeout=timeout)
        return self.request("GET", f"/spaces/{_quote(space_id)}/skills/executions/{_quote(started['id'])}").json()["data"]

    def skills(self, space_id: str) -> list[types.Skill]:
        return self.request("GET", f"/spaces/{_quote(space_id)}/skills").json()["data"]

    # --- executions -------------------------------------------------------------------------------------------------

    def execution(self, id: str, *, steps: bool = False, wait: int = 0) -> types.Execution:
        return self.request("GET", f"/executions/{_quote(id)}", query={"include_step_results": steps or None, "wait": wait or None}).json()

    def executions(self, *, limit: int = 100, **filters: Any) -> Iterator[types.Execution]:
        """All executions that match the filters of `GET /executions`, newest first."""
        return self._pages("/executions", "executions", {"limit": limit, **filters})

    def stop(self, id: str, *, idempotency_key: str | None = None) -> types.StopExecutionResponse:
        return self._start(f"/executions/{_quote(id)}/stop", None, idempotency_key)

    def signal(self, id: str, name: str, data: Any = None, *, idempotency_key: str | None = None) -> types.SendSignalResponse202:
        """Sends a signal to an execution: to the step that waits for one of this name, or to the next one."""
        return self._start(f"/executions/{_quote(id)}/signals/{_quote(name)}", data, idempotency_key)

    def retry(self, id: str, *, idempotency_key: str | None = None, wait: int | None = None) -> types.Accepted | types.Execution:
        return self._start(f"/executions/{_quote(id)}/retry", None, idempotency_key, wait)

    def purge(self, id: str) -> None:
        self.request("DELETE", f"/executions/{_quote(id)}")

    def logs(self, id: str, offset: int = 0) -> str:
        return self.request("GET", f"/executions/{_quote(id)}/logs", query={"offset": offset or None}).body.decode(errors="replace")

    def events(self, id: str, *, after: int = 0) -> Iterator[types.Event]:
        """The events after number `after`, each once and without gaps, to the last one. An interrupted stream is resumed."""
        last, attempt, deadline = after, 0, time.monotonic() + self._retry_seconds
        while True:
            error: Exception = ConnectionFailed(f"the event stream of {id} was cut")
            try:
                for block in self._stream(f"/executions/{_quote(id)}/events", str(last) if last else None):
                    if block.data is None:
                        continue
                    event = json.loads(block.data)
                    if event["seq"] <= last:
                        continue
                    last, attempt, deadline = event["seq"], 0, time.monotonic() + self._retry_seconds
                    yield event
                    if event["type"] in LAST_EVENTS:
                        return
            except _NothingFollows:  # 204: nothing follows
                return
            except (ConnectionFailed, ApiError) as e:
                if not self._is_passing(e):
                    raise
                error = e
            self._pause(error, attempt, deadline)
            attempt += 1

    def feed(self, *, after: str | None = None, types: Sequence[str] = (), responders: Sequence[str] = (), tag: str | None = None) -> Feed:
        """Follows the ends of all executions of the workspace, see Feed. after: the `last_id` at which an earlier Feed was left; None:
        begin now. Returns when the server has said where the feed begins: what ends afterwards is in it."""
        return Feed(self, after, {"type": list(types), "responder": list(responders), "tag": tag})

    def _stream(self, path: str, last: str | None) -> Iterator[_Block]:
        headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last} if last else {})}
        with self._open("GET", path, headers, None, STREAM_SILENCE) as response:
            if response.status >= 400:
                raise _error(response.status, response.headers, response.read())
            if response.status == 204:
                raise _NothingFollows
            fields: dict[str, list[str]] = {}
            while line := response.readline():
                name, _, value = line.decode().rstrip("\r\n").partition(":")
                if name:
                    fields.setdefault(name, []).append(value.removeprefix(" "))
                elif value and not fields:  # a comment
                    yield _Block(None, None, None)
                elif not value and fields:  # the end of a block
                    retry = fields.get("retry", [""])[-1]
                    yield _Block(fields.get("id", [None])[-1], "\n".join(fields["data"]) if "data" in fields else None, int(retry) / 1000 if retry.isdigit() else None)
                    fields = {}

    # --- files ------------------------------------------------------------------------------------------------------

    def upload(self, name: str, content: bytes | IO[bytes], media_type: str = "application/octet-stream") -> str:
        """Stores a file and returns its name there. A file object is read from its position, in pieces; it must be seekable."""
        boundary = uuid.uuid4().hex
        shown = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
        head = (f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{shown}"\r\n'
                f"Content-Type: {media_type}\r\n\r\n").encode()
        tail = f"\r\n--{boundary}--\r\n".encode()
        if isinstance(content, bytes):
            begin, size = 0, len(content)
        else:
            begin = content.tell()
            size = content.seek(0, 2) - begin

        def pieces() -> Iterator[bytes]:
            yield head
            if isinstance(content, bytes):
                yield content
            else:
                content.seek(begin)
                while piece := content.read(65536):
                    yield piece
            yield tail

        def data() -> tuple[Any, dict[str, str]]:
            return pieces(), {"Content-Type": f"multipart/form-data; boundary={boundary}", "Content-Length": str(len(head) + size + len(tail))}
        return self.request("POST", "/files", data=data, repeatable=True).json()["source_ids"][0]

    def files(self, *, limit: int | None = None) -> Iterator[types.File]:
        return self._pages("/files", "files", {"limit": limit})

    def download(self, name: str) -> bytes:
        return self.request("GET", f"/files/{_quote(name)}").body

    def artifact(self, execution_id: str, artifact_id: str) -> bytes:
        return self.request("GET", f"/executions/{_quote(execution_id)}/artifacts/{_quote(artifact_id)}").body

    def delete_file(self, name: str) -> None:
        self.request("DELETE", f"/files/{_quote(name)}")

    # --- credits ----------------------------------------------------------------------------------------------------

    def balance(self) -> float:
        return self.request("GET", "/credits").json()["balance"]

    def usage(self, **query: Any) -> types.Usage:
        return self.request("GET", "/credits/usage", query=query).json()

    def statement(self, month: str) -> types.Statement:
        return self.request("GET", "/credits/statement", query={"month": month}).json()

    def ledger(self, *, limit: int = 100) -> Iterator[types.LedgerEntry]:
        return self._pages("/credits/ledger", "entries", {"limit": limit})


class Feed:
    """The ends of a workspace's executions, an iterator without an end. A stream that is cut is resumed; each end comes once. An event of the
    type `feed.gap` says that events after the id at which the feed was resumed are not kept any more: list the executions of that time.

    last_id: what to pass as `after` to continue behind the event that was returned last; store it when that event has been dealt with. The
    iteration raises when there was no connection for the client's retry_seconds, or when the key has ended; `last_id` stays. Not for several threads."""

    def __init__(self, client: Client, after: str | None, query: dict[str, Any]):
        self.last_id = after
        pairs = [(n, v) for n, v in query.items() if v]
        self._client, self._path = client, "/events" + ("?" + urllib.parse.urlencode(pairs, doseq=True) if pairs else "")
        self._seen: collections.OrderedDict[tuple[str, int], None] = collections.OrderedDict()
        self._events = self._follow()
        if after is None:
            next(self._events)

    def __iter__(self) -> Iterator[types.FeedEvent]:
        return self

    def __next__(self) -> types.FeedEvent:
        event = next(self._events)
        assert event is not None
        return event

    def close(self) -> None:
        self._events.close()

    def __enter__(self) -> Feed:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _is_new(self, event: types.FeedEvent) -> bool:
        if event["type"] == "feed.gap":
            return True
        name = event["execution_id"], event["seq"]
        if name in self._seen:
            return False
        self._seen[name] = None
        if len(self._seen) > FEED_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _follow(self) -> Generator[types.FeedEvent | None, None, None]:
        """The events; before them None, when the beginning of the feed is known, unless the caller has named it."""
        client, attempt, deadline, begun = self._client, 0, time.monotonic() + self._client._retry_seconds, self.last_id is not None
        while True:
            error: Exception = ConnectionFailed("the feed was cut")
            delay = None
            try:
                with contextlib.closing(client._stream(self._path, self.last_id)) as blocks:
                    for block in blocks:
                        delay = block.retry or delay
                        if block.retry is None:
                            attempt, deadline = 0, time.monotonic() + client._retry_seconds
                        event = json.loads(block.data) if block.data is not None else None
                        self.last_id = block.id or self.last_id
                        if not begun and self.last_id is not None:
                            begun = True
                            yield None
                        if event and self._is_new(event):
                            yield event
                            deadline = time.monotonic() + client._retry_seconds  # the caller may have taken long
            except (ConnectionFailed, ApiError) as e:
                if not client._is_passing(e):
                    raise
                error = e
            if isinstance(error, ConnectionFailed) and attempt == 0:
                error.retry_after = delay  # what the server has asked for, so that not all of its clients come back at once
            client._pause(error, attempt, deadline)
            attempt += 1
