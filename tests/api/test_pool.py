"""The prefork pool: killed workers, a killed master, reload, recycling, rolling restart, graceful stop."""
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

import pytest
import requests

from stack import BIN, alive, children_of, eventually, kill, suspend

pytestmark = pytest.mark.serial
SETTINGS = {"api.workers": "4", "api.uploads_socket": "", "api.rate_limit_per_minute": "10000000", "api.recycle_requests": "150"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


@pytest.fixture(scope="module")
def place(stack):
    workspace = stack.workspace(credits=1000000)
    return workspace, workspace.client(), workspace.put_workflow(PROGRAM)


class Load:
    """Sends requests from several threads until the block ends, and records the responses."""

    def __init__(self, stack, place, threads=6):
        self.statuses, self.errors, self.ids = [], [], []
        self.over = threading.Event()
        self.url, self.key = f"{stack.url}/api/v1/workflows/{place[2]}/run-async", place[1].key
        self.threads = [threading.Thread(target=self.run) for _ in range(threads)]

    def run(self):
        with requests.Session() as s:
            s.trust_env = False
            while not self.over.is_set():
                try:
                    answer = s.post(self.url, headers={"Authorization": self.key}, timeout=10)
                    self.statuses.append(answer.status_code)
                    if answer.status_code == 202:
                        self.ids.append(answer.json()["execution_id"])
                    elif answer.status_code not in (502, 503, 504):
                        self.errors.append(answer.text)
                except requests.RequestException as e:
                    self.errors.append(repr(e))

    def __enter__(self):
        for t in self.threads:
            t.start()
        eventually(lambda: len(self.statuses) > 50, 10)
        return self

    def __exit__(self, *_):
        self.over.set()
        for t in self.threads:
            t.join()

    def more(self, n=50):
        at = len(self.statuses)
        eventually(lambda: len(self.statuses) >= at + n, 20, "more responses")


def master(stack):
    return int((stack.dir / "pids/api").read_text().split()[0])


def workers(stack):
    return set(children_of(master(stack)))


def all_there(stack, ids):
    found = {r[0] for r in stack.sql("SELECT id FROM executions")}
    assert set(ids) <= found and len(set(ids)) == len(ids)


def test_killed_worker_is_replaced_and_fails_its_own_request_only(stack, place):
    with Load(stack, place) as load:
        for _ in range(3):
            victim = workers(stack).pop()
            kill(victim, signal.SIGKILL)
            eventually(lambda: victim not in workers(stack) and len(workers(stack)) == 4, 5)
            load.more()
    assert not load.errors
    assert load.statuses.count(502) <= 3 and set(load.statuses) <= {202, 502}  # each killed worker fails at most the request it was handling
    all_there(stack, load.ids)


def test_reload_replaces_all_workers_without_a_failed_request(stack, place):
    with Load(stack, place) as load:
        for _ in range(3):
            old = workers(stack)
            kill(master(stack), signal.SIGHUP)
            eventually(lambda: not old & workers(stack) and len(workers(stack)) == 4, 10)
            load.more()
    assert set(load.statuses) == {202} and not load.errors


def test_reload_applies_valid_settings_and_keeps_the_old_on_errors(stack, place):
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    try:
        ini.write_text(text.replace("workers = 4", "workers = 2"))
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: len(workers(stack)) == 2, 5)
        ini.write_text(text.replace("workers = 4", "workers = many"))
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: "pool.reload_failed" in stack.log("api"), 5)
        stack.logged("api", "workers = many is not a whole number")
        assert len(workers(stack)) == 2 and place[1].get("/credits").status_code == 200
    finally:
        ini.write_text(text)
    kill(master(stack), signal.SIGHUP)
    eventually(lambda: len(workers(stack)) == 4, 15)


def test_workers_are_recycled_without_a_failed_request(stack, place):
    old = workers(stack)
    with Load(stack, place) as load:
        eventually(lambda: not old & workers(stack), 60)
    assert set(load.statuses) == {202} and not load.errors


def test_stop_completes_accepted_requests(stack, place):
    """Accepted connections are answered; later requests get 503."""
    with Load(stack, place, threads=12) as load:
        stack.stop_server("api")
        eventually(lambda: 503 in load.statuses, 5)
        stack.start_server("api")
        at = len(load.statuses)
        eventually(lambda: 202 in load.statuses[at:], 10)
    assert set(load.statuses) == {202, 503} and not load.errors
    all_there(stack, load.ids)


def test_rolling_restart_fails_no_request(stack, place):
    """A second master takes over the socket; then the first one is stopped."""
    first = master(stack)
    with Load(stack, place, threads=12) as load:
        second = subprocess.Popen([BIN / "millrace-api", "--config", stack.dir / "millrace.ini"], env=stack.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        eventually(lambda: f"api[{second.pid}] pool.started" in stack.log("api"), 5)
        load.more()
        kill(first, signal.SIGTERM)
        eventually(lambda: not alive(first), 10)
        load.more()
        assert (stack.dir / "sockets/api.sock").exists()
    assert set(load.statuses) == {202} and not load.errors
    kill(second.pid, signal.SIGTERM)
    second.wait(10)
    stack.stop_server("api")
    stack.start_server("api")


def test_workers_end_with_a_killed_master(stack, place):
    family = workers(stack)
    with Load(stack, place) as load:
        kill(master(stack), signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in family), 10, "end of the workers")
        stack.start_server("api")
        at = len(load.statuses)
        eventually(lambda: 202 in load.statuses[at:], 10)
    assert set(load.statuses) <= {202, 502, 503} and not load.errors
    all_there(stack, load.ids)


def connections(stack):
    """Number of connections of the socket of the pool, including those in its backlog."""
    with open("/proc/net/unix", encoding="utf-8") as table:
        return sum(f"{stack.dir}/sockets/api.sock" in line for line in table)


def test_request_that_waited_too_long_is_rejected_without_effect(stack, place):
    """The client has timed out or soon will, so that a late acceptance would be unexpected."""
    before, answers = place[0].balance(), []
    sender = threading.Thread(target=lambda: answers.append(place[1].run(place[2], key="late")))
    holders = [socket.socket(socket.AF_UNIX) for _ in range(4)]  # each occupies one worker, which waits for its request
    for holder in holders:
        holder.connect(str(stack.dir / "sockets/api.sock"))
    idle = connections(stack)
    sender.start()
    eventually(lambda: connections(stack) > idle, 5, "the connection of nginx")
    time.sleep(5.3)  # the limit is 5 s
    for holder in holders:
        holder.close()
    sender.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "unavailable")
    assert answers[0].headers["Retry-After"] and place[0].balance() == before
    assert place[1].run(place[2], key="late").status_code == 202


def test_sigusr1_reopens_the_log(stack, place):
    log, old = stack.dir / "logs/api.log", stack.dir / "logs/api.log.1"
    os.rename(log, old)
    kill(master(stack), signal.SIGUSR1)
    eventually(log.exists, 5)
    eventually(lambda: place[1].get("/credits") and "path=/credits" in log.read_text(), 5)
    size = old.stat().st_size
    for _ in range(20):
        place[1].get("/credits")
    assert old.stat().st_size == size


def test_each_request_writes_one_log_line(stack, place):
    answer = place[1].run(place[2])
    line = eventually(lambda: [x for x in stack.log("api").splitlines() if answer.headers["X-Request-Id"] in x], 5)[0]
    assert re.search(r" info api\[\d+\] request request=\w+ method=POST path=/workflows/\S+/run-async status=202 us=\d+ "
                     rf"workspace={place[0].id} execution={answer.json()['execution_id']} db=\d+ batch=1$", line)


def test_health_and_metrics_are_served(stack, workspace, client):
    client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}))
    get = lambda path: requests.get(stack.url + path, timeout=60)
    assert (get("/healthz").status_code, get("/healthz").json()) == (200, {"status": "ok"})
    assert (get("/readyz").status_code, get("/readyz").json()) == (200, {"status": "ok"})
    text = get("/metrics").text
    eventually(lambda: 'millrace_requests_total{route="GET /healthz",status="200"} ' in get("/metrics").text, what="the counted requests")
    assert "millrace_workers 4\n" in text
    assert re.search(r"millrace_accept_batches_total [1-9]", text)
    assert "millrace_up 1\n" in text
    for name in ("runs{state=\"queued\"}", "runs{state=\"running\"}", "queue_age_seconds", "recent_runs{state=\"succeeded\"}",
                 "executors{state=\"alive\"}", "recent_losses", "refused_unknown_keys_total", "redis_fallbacks_total", "refused_late_total", "db_lost_total", "db_settled_total"):
        assert re.search(rf"^millrace_{re.escape(name)} \d", text, re.M), name


def test_the_line_of_a_dead_worker_names_its_request(stack, place):
    """A worker dies while it waits for MariaDB."""
    mariadb = stack.pid("mariadb")
    key = place[0].key()["key"]
    path = f"/workflows/{place[2]}"
    suspend(mariadb)

    def died_with_it():
        with pytest.raises(requests.ReadTimeout):  # a worker has had the request for a second
            requests.get(stack.url + "/api/v1" + path, headers={"Authorization": f"Bearer {key}"}, timeout=1)
        for victim in workers(stack):
            kill(victim, signal.SIGKILL)
        return re.search(rf"worker\.died pid=\d+ .* signal=9 .* request=\S+ method=GET path={path}", stack.log("api"))
    try:
        eventually(died_with_it, 30, "the line")
    finally:
        os.kill(mariadb, signal.SIGCONT)
    eventually(lambda: len(workers(stack)) == 4, 20)


def test_crashing_workers_are_restarted_with_back_off(stack):
    """Workers that fail at their start are restarted with growing delays. They serve again once the cause is removed."""
    password = stack.dir / "secrets/millrace_api"
    hidden = password.with_suffix(".away")
    deaths = lambda: stack.log("api").count("worker.died") - before
    before = stack.log("api").count("worker.died")
    os.rename(password, hidden)
    try:
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: deaths() >= 8, 10)
        time.sleep(1)
        assert deaths() < 40
    finally:
        os.rename(hidden, password)
    eventually(lambda: len(workers(stack)) == 4, 15)
    stack.wait_ready()


def test_workers_killed_together_are_replaced_at_once(stack):
    """The deaths count as one failure, so that there is no back-off."""
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    ini.write_text(text.replace("workers = 4", "workers = 12"))
    try:
        kill(master(stack), signal.SIGHUP)
        young = eventually(lambda: len(workers(stack)) == 12 and workers(stack), 5)
        before = len(stack.log("api"))
        for pid in young:
            kill(pid, signal.SIGKILL)
        eventually(lambda: len(workers(stack) - young) == 12, what="the new workers")
        delays = [int(ms) for ms in re.findall(r"worker\.died .*respawn_in_ms=(\d+)", stack.log("api")[before:])]
        assert len(delays) == 12 and max(delays) < 1000, delays  # of each of 12 failures, it would be twice that of the one before
    finally:
        ini.write_text(text)
        kill(master(stack), signal.SIGHUP)
    eventually(lambda: len(workers(stack)) == 4, 15)


def test_requests_beyond_the_backlog_are_rejected_at_once(stack, place):
    """All workers are stopped by SIGSTOP: 256 requests wait, nginx rejects the others, also those with Prefer: wait."""
    request = f"GET /api/v1/credits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place[1].key}\r\nConnection: close\r\n"
    workers = stack.children("api")
    for pid in workers:
        suspend(pid)
    try:
        waiting = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(300)]
        for connection in waiting:
            connection.sendall(request.encode() + b"\r\n")
        refused = eventually(lambda: (lambda ready: len(ready) >= 44 and ready)(select.select(waiting, [], [], 0)[0]), what="44 rejected requests")
        answers = [whole(c) for c in refused]
        assert len(answers) == 44
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in answer and b'"code":"unavailable"' in answer
        late = socket.create_connection(("127.0.0.1", stack.port))
        late.sendall(request.encode() + b"Prefer: wait=1\r\n\r\n")
        assert whole(late).startswith(b"HTTP/1.1 503 ")
    finally:
        for pid in workers:
            kill(pid, signal.SIGCONT)
    for connection in (c for c in waiting if c not in refused):
        assert whole(connection).split(b" ")[1] in (b"200", b"503")  # 503: it waited longer than the limit


def whole(connection):
    connection.settimeout(20)
    with connection, connection.makefile("rb") as answer:
        return answer.read()
