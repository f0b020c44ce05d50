"""The prefork pool: workers that die, a master that dies, reload, recycling, a rolling restart, a graceful stop."""
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

from stack import BIN, alive, children_of, eventually, kill

pytestmark = pytest.mark.serial
SETTINGS = {"api.workers": "4", "api.uploads_socket": "", "api.rate_limit_per_minute": "10000000", "api.recycle_requests": "150"}
PROGRAM = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


@pytest.fixture(scope="module")
def place(stack):
    workspace = stack.workspace(credits=1000000)
    return workspace, workspace.client(), workspace.put_workflow(PROGRAM)


class Load:
    """Requests from some threads until it is left; what came back."""

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
        eventually(lambda: len(self.statuses) >= at + n, 20, "more answers")


def master(stack):
    return int((stack.dir / "pids/api").read_text().split()[0])


def workers(stack):
    return set(children_of(master(stack)))


def all_there(stack, ids):
    found = {r[0] for r in stack.sql("SELECT id FROM executions")}
    assert set(ids) <= found and len(set(ids)) == len(ids)


def test_a_killed_worker_is_replaced_and_nobody_else_notices(stack, place):
    with Load(stack, place) as load:
        for _ in range(3):
            victim = workers(stack).pop()
            kill(victim, signal.SIGKILL)
            eventually(lambda: victim not in workers(stack) and len(workers(stack)) == 4, 5)
            load.more()
    assert not load.errors
    assert load.statuses.count(502) <= 3 and set(load.statuses) <= {202, 502}  # each took at most the request in its hand
    all_there(stack, load.ids)


def test_reload_replaces_all_workers_without_a_failed_request(stack, place):
    with Load(stack, place) as load:
        for _ in range(3):
            old = workers(stack)
            kill(master(stack), signal.SIGHUP)
            eventually(lambda: not old & workers(stack) and len(workers(stack)) == 4, 10)
            load.more()
    assert set(load.statuses) == {202} and not load.errors


def test_reload_takes_the_settings_and_refuses_bad_ones(stack, place):
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    try:
        ini.write_text(text.replace("workers = 4", "workers = 2"))
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: len(workers(stack)) == 2, 5)
        ini.write_text(text.replace("workers = 4", "workers = many"))
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: "pool.reload_failed" in stack.log("api"), 5)
        assert "workers = many is not a whole number" in stack.log("api")
        assert len(workers(stack)) == 2 and place[1].get("/credits").status_code == 200
    finally:
        ini.write_text(text)
    kill(master(stack), signal.SIGHUP)
    eventually(lambda: len(workers(stack)) == 4, 15)


def test_workers_are_recycled(stack, place):
    old = workers(stack)
    with Load(stack, place) as load:
        eventually(lambda: not old & workers(stack), 60)
    assert set(load.statuses) == {202} and not load.errors


def test_stop_finishes_what_is_in_hand_and_what_waits(stack, place):
    """Whatever was taken in is answered; what comes later hears 503."""
    with Load(stack, place, threads=12) as load:
        stack.stop_server("api")
        eventually(lambda: 503 in load.statuses, 5)
        stack.start_server("api")
        at = len(load.statuses)
        eventually(lambda: 202 in load.statuses[at:], 10)
    assert set(load.statuses) == {202, 503} and not load.errors
    all_there(stack, load.ids)


def test_rolling_restart_fails_nothing(stack, place):
    """A second master takes the socket over; then the first is stopped."""
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


def test_workers_do_not_outlive_a_killed_master(stack, place):
    family = workers(stack)
    with Load(stack, place) as load:
        kill(master(stack), signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in family), 10, "workers gone")
        stack.start_server("api")
        at = len(load.statuses)
        eventually(lambda: 202 in load.statuses[at:], 10)
    assert set(load.statuses) <= {202, 502, 503} and not load.errors
    all_there(stack, load.ids)


def connections(stack):
    """Of the pool's socket, those that nobody has accepted yet included."""
    with open("/proc/net/unix", encoding="utf-8") as table:
        return sum(f"{stack.dir}/sockets/api.sock" in line for line in table)


def test_what_waited_too_long_is_refused_before_anything_is_done(stack, place):
    """Its client has given up on it, or soon will: a late acceptance would only surprise."""
    before, answers = place[0].balance(), []
    sender = threading.Thread(target=lambda: answers.append(place[1].run(place[2], key="late")))
    holders = [socket.socket(socket.AF_UNIX) for _ in range(4)]  # one a worker, which waits for what they have to say
    for holder in holders:
        holder.connect(str(stack.dir / "sockets/api.sock"))
    idle = connections(stack)
    sender.start()
    eventually(lambda: connections(stack) > idle, 5, "nginx handed it on")
    time.sleep(5.3)  # the limit is 5 s
    for holder in holders:
        holder.close()
    sender.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "unavailable")
    assert answers[0].headers["Retry-After"] and place[0].balance() == before
    assert place[1].run(place[2], key="late").status_code == 202


def test_logs_are_opened_anew(stack, place):
    log, old = stack.dir / "logs/api.log", stack.dir / "logs/api.log.1"
    os.rename(log, old)
    kill(master(stack), signal.SIGUSR1)
    eventually(log.exists, 5)
    eventually(lambda: place[1].get("/credits") and "path=/credits" in log.read_text(), 5)
    size = old.stat().st_size
    for _ in range(20):
        place[1].get("/credits")
    assert old.stat().st_size == size


def test_one_line_a_request(stack, place):
    answer = place[1].run(place[2])
    line = eventually(lambda: [x for x in stack.log("api").splitlines() if answer.headers["X-Request-Id"] in x], 5)[0]
    assert re.search(r" info api\[\d+\] request request=\w+ method=POST path=/workflows/\S+/run-async status=202 us=\d+ "
                     rf"workspace={place[0].id} execution={answer.json()['execution_id']} db=\d+ batch=1$", line)


def test_health_and_metrics(stack):
    get = lambda path: requests.get(stack.url + path, timeout=5)
    assert (get("/healthz").status_code, get("/healthz").json()) == (200, {"status": "ok"})
    assert (get("/readyz").status_code, get("/readyz").json()) == (200, {"status": "ok"})
    text = get("/metrics").text
    assert 'millrace_requests_total{route="GET /healthz",status="200"} ' in text
    assert "millrace_workers 4\n" in text
    assert re.search(r"millrace_accept_batches_total [1-9]", text)
    assert "millrace_up 1\n" in text
    for name in ("runs{state=\"queued\"}", "runs{state=\"running\"}", "queue_age_seconds", "recent_runs{state=\"succeeded\"}",
                 "executors{state=\"alive\"}", "recent_losses", "redis_fallbacks_total", "refused_late_total", "db_lost_total", "db_settled_total"):
        assert re.search(rf"^millrace_{re.escape(name)} \d", text, re.M), name


def test_an_early_death_is_not_repeated_in_haste(stack):
    """Workers that die at once are started again ever more slowly; the rest is served when they can."""
    password = stack.dir / "secrets/millrace_api"
    hidden = password.with_suffix(".away")
    os.rename(password, hidden)
    try:
        kill(master(stack), signal.SIGHUP)
        eventually(lambda: stack.log("api").count("worker.died") >= 8, 10)
        time.sleep(1)
        assert stack.log("api").count("worker.died") < 40
    finally:
        os.rename(hidden, password)
    eventually(lambda: len(workers(stack)) == 4, 15)
    stack.wait_ready()


def test_young_workers_that_die_together_are_replaced_at_once(stack):
    """One failure, however many it hits."""
    ini = stack.dir / "millrace.ini"
    text = ini.read_text()
    ini.write_text(text.replace("workers = 4", "workers = 12"))
    try:
        kill(master(stack), signal.SIGHUP)
        young = eventually(lambda: len(workers(stack)) == 12 and workers(stack), 5)
        for pid in young:
            kill(pid, signal.SIGKILL)
        eventually(lambda: len(workers(stack) - young) == 12, 3, "their successors")
    finally:
        ini.write_text(text)
        kill(master(stack), signal.SIGHUP)
    eventually(lambda: len(workers(stack)) == 4, 15)


def test_more_than_the_pool_can_bear_is_refused_at_once(stack, place):
    """Nobody serves for a while: 256 may wait, nginx refuses the others itself; and waits for a run's end are not counted."""
    request = f"GET /api/v1/credits HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {place[1].key}\r\nConnection: close\r\n"
    workers = stack.children("api")
    for pid in workers:
        kill(pid, signal.SIGSTOP)
    try:
        waiting = [socket.create_connection(("127.0.0.1", stack.port)) for _ in range(300)]
        for connection in waiting:
            connection.sendall(request.encode() + b"\r\n")
        refused = eventually(lambda: (lambda ready: len(ready) >= 44 and ready)(select.select(waiting, [], [], 0)[0]), 5, "44 refused")
        answers = [whole(c) for c in refused]
        assert len(answers) == 44
        for answer in answers:
            assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in answer and b'"code":"unavailable"' in answer
        late = socket.create_connection(("127.0.0.1", stack.port))
        late.sendall(request.encode() + b"Prefer: wait=1\r\n\r\n")
        assert select.select([late], [], [], 0.3)[0] == []
    finally:
        for pid in workers:
            kill(pid, signal.SIGCONT)
    for connection in [late, *(c for c in waiting if c not in refused)]:
        assert whole(connection).split(b" ")[1] in (b"200", b"503")  # 503: it has waited for too long


def whole(connection):
    connection.settimeout(20)
    with connection, connection.makefile("rb") as answer:
        return answer.read()
