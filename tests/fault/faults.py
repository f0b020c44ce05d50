"""The faults, one function each. It does the harm, waits, repairs, and records which error statuses it excuses in this time.

A fault that excuses nothing must not be noticed by any client.
"""
import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid

import pymysql

from book import BROKEN, CUT
from stack import BIN, ROOT, alive, children_of, eventually, kill, within

LEASE_S = 12  # an executor without a heartbeat for this time counts as lost
LOST_S = 40  # a crash point that is met only after executors were found lost, or by a periodic task
OBJECTS_AWAY_S = 1  # after a failed connection, requests to the object store fail at once for so long
SHUTDOWN_S = 10  # worker_shutdown_timeout of nginx
POINT_S = 4   # a crash point that no process reaches within this time is abandoned


def crash_points():
    """The names of all failpoint("…") in the sources."""
    names = set()
    for folder in ("lib", "fcgi", "executor"):
        for source in (ROOT / folder).rglob("*.c"):
            names.update(re.findall(r'failpoint\("([a-z_.]+)"\)', source.read_text()))
    return sorted(names)


class Faults:
    def __init__(self, stack, book, rng, say, roll_ups):
        self.stack, self.book, self.rng, self.say, self.roll_ups = stack, book, rng, say, roll_ups
        self.background = []
        self.unmet = []
        self.dead_blobs, self.dead_objects = [], []

    # --- building blocks ---
    def excused(self, name, *statuses):
        return self.book.excuse(name, statuses)

    def over(self, entry):
        entry[1] = time.monotonic()

    def kill(self, server, with_children=False):
        """SIGKILL. On a busy disk, a killed MariaDB may take many seconds to end."""
        pid = self.stack.pid(server)
        family = [pid] + (children_of(pid) if with_children else [])
        for p in family:
            kill(p, signal.SIGKILL)
        eventually(lambda: not any(alive(p) for p in family), 60, f"end of {server}")

    def restart(self, server, excuse, pause, with_children=False):
        """SIGKILL, a pause without the server, and a start."""
        self.kill(server, with_children)
        time.sleep(pause)
        self.stack.start_server(server)
        if server in ("mariadb", "api", "nginx"):
            self.stack.wait_ready()
        self.over(excuse)

    def random_child(self, server):
        return self.rng.choice(eventually(lambda: self.stack.children(server), 15, f"processes of {server}"))

    # --- the API and nginx ---
    def api_worker(self):
        e = self.excused("api worker", 502)
        kill(self.random_child("api"), signal.SIGKILL)
        self.over(e)

    def api_workers_all(self):
        e = self.excused("all api workers", 502)
        for pid in self.stack.children("api"):
            kill(pid, signal.SIGKILL)
        self.over(e)

    def api_master(self):
        self.restart("api", self.excused("api master", 502, 503, 504), self.rng.uniform(0, 1))

    def nginx(self):
        self.restart("nginx", self.excused("nginx", CUT, BROKEN), self.rng.uniform(0, 0.5), with_children=True)

    def nginx_reload(self):
        """Streams of the old workers are cut after worker_shutdown_timeout, and continue elsewhere."""
        self.excused("nginx reload", BROKEN)[1] = time.monotonic() + SHUTDOWN_S + 1
        kill(self.stack.pid("nginx"), signal.SIGHUP)

    def api_rolling(self):
        """A new pool starts beside the old one, which is then stopped. No client may notice."""
        roll_api(self.stack)

    def stream(self):
        self.restart("stream", self.excused("stream", BROKEN), self.rng.uniform(0, 0.5))

    # --- executors ---
    def executor_process(self):
        kill(self.random_child("executor"), signal.SIGKILL)

    def executor_processes_all(self):
        for pid in self.stack.children("executor"):
            kill(pid, signal.SIGKILL)

    def executor_master(self):
        self.restart("executor", self.excused("executor master"), self.rng.uniform(0, 1))

    def executor_rolling(self):
        self.stack.restart_server("executor")

    def runner(self):
        """Kills one active runner, if there is one. Its run fails, because the outcome of the command is unknown."""
        for pid in self.stack.runners():
            kill(pid, signal.SIGKILL)
            self.book.count("runners killed")
            return

    def runner_starter(self):
        """The process that starts runners. Executors start them themselves meanwhile, and those that run go on."""
        self.restart("runner", self.excused("runner"), self.rng.uniform(0, 1))

    def executor_hangs_past_its_lease(self):
        """In the background, so that other faults are injected in the same time."""
        self.hang(self.rng.uniform(LEASE_S + 1, LEASE_S + 4))

    def executor_hangs_for_a_moment(self):
        self.hang(self.rng.uniform(1, 9))

    def hang(self, seconds):
        pid = self.random_child("executor")
        kill(pid, signal.SIGSTOP)
        # If it has an open transaction, MariaDB frees its account after 1 s (idle_transaction_timeout); see executor_commit_held.
        self.excused("executor hangs with an account", 503)[1] = time.monotonic() + 1

        def wake():
            time.sleep(seconds)
            kill(pid, signal.SIGCONT)
        thread = threading.Thread(target=wake, daemon=True)
        thread.start()
        self.background.append(thread)

    # --- Redis ---
    def redis(self):
        self.restart("redis", self.excused("redis"), self.rng.uniform(0, 3))

    def redis_without_data(self):
        e = self.excused("redis without its data")
        self.kill("redis")
        shutil.rmtree(self.stack.dir / "data/redis")
        (self.stack.dir / "data/redis").mkdir()
        self.stack.start_server("redis")
        self.over(e)

    def redis_emptied(self):
        self.stack.redis("FLUSHALL")

    def redis_connections_cut(self):
        self.stack.redis_proxy.tell(do="reset")

    def redis_cut_in_mid_reply(self):
        self.stack.redis_proxy.tell(do="bytes", after=self.rng.randrange(1, 3000), count=self.rng.randint(1, 4))

    def redis_stalls(self):
        seconds = self.rng.uniform(0.1, 2)
        self.stack.redis_proxy.tell(do="stall", seconds=seconds)
        time.sleep(seconds)

    # --- MariaDB ---
    def mariadb(self):
        self.restart("mariadb", self.excused("mariadb", 502, 503, 504), self.rng.uniform(0, 3))

    def mariadb_connections_cut(self):
        e = self.excused("mariadb connections cut", 503)
        self.stack.db_proxy.tell(do="reset")
        self.over(e)

    def mariadb_cut_in_mid_packet(self):
        e = self.excused("mariadb cut in mid-packet", 503)
        self.stack.db_proxy.tell(do="bytes", after=self.rng.randrange(1, 20000), count=self.rng.randint(1, 3))
        time.sleep(0.5)
        self.stack.db_proxy.tell(do="forget")
        self.over(e)

    def commit_cut(self, when, count, **error):
        """Clients get an error only if the outcome could not be determined within 2 s."""
        e = self.excused(f"commit cut {when}", 504)
        before = self.stack.db_proxy.done()
        self.stack.db_proxy.tell(do="commit", when=when, count=count, **error)
        try:
            within(lambda: self.stack.db_proxy.done() >= before + count, POINT_S, "the cut of the commits")
        except AssertionError:
            self.unmet.append(f"commit {when}")
        self.stack.db_proxy.tell(do="forget")
        self.over(e)

    def commit_cut_before(self):
        self.commit_cut("before", self.rng.randint(1, 3))

    def commit_cut_in(self):
        self.commit_cut("in", self.rng.randint(1, 3))

    def commit_cut_after(self):
        self.commit_cut("after", self.rng.randint(1, 3))

    def commit_answered_with_an_error(self):
        """The errors of a Galera node whose transaction the other nodes may have committed."""
        self.commit_cut("error", self.rng.randint(1, 3), code=self.rng.choice([1180, 1213, 1047]), done=self.rng.random() < 0.6)

    def commit_stalls(self):
        """Requests that the stalled leader does not reach are rejected after 2.5 s without an effect."""
        e = self.excused("commit stalls", 503, 504)
        self.stack.db_proxy.tell(do="commit", when="stall", seconds=3.5, count=1)
        time.sleep(3.6)
        self.stack.db_proxy.tell(do="forget")
        self.over(e)

    def executor_commit_held(self):
        """An executor hangs while it has locked an account. Requests of that workspace wait 2 s, half a second if half of the
        workers wait already, and are then answered 503 (docs/isolation.md, "Locked accounts")."""
        e = self.excused("executor's commit held", 503, 504)
        self.stack.db_proxy.tell(do="commit", when="hold", seconds=5, count=1, pids=self.stack.children("executor"))
        time.sleep(2)
        self.stack.db_proxy.tell(do="forget")
        self.over(e)

    def mariadb_stalls(self):
        e = self.excused("mariadb stalls", 503, 504)
        seconds = self.rng.uniform(0.2, 2.5)
        self.stack.db_proxy.tell(do="stall", seconds=seconds)
        time.sleep(seconds)
        self.over(e)

    # --- the object store ---
    def object_store_away(self):
        e = self.excused("object store away", 503)
        self.stack.objects.kill()
        time.sleep(self.rng.uniform(0.5, 3))
        self.stack.objects.start()
        time.sleep(OBJECTS_AWAY_S)
        self.over(e)

    def object_store_stalls(self):
        """Shorter, and longer, than blob.timeout_s."""
        e = self.excused("object store stalls", 503)
        self.stack.objects.pause()
        time.sleep(self.rng.uniform(0.5, 4))
        self.stack.objects.resume()
        time.sleep(OBJECTS_AWAY_S)
        self.over(e)

    # --- crash points ---
    def failpoint(self, name):
        """The next process that reaches the point dies: an API worker (its request gets 502) or an executor."""
        e = self.excused(name, 502)
        place = pathlib.Path(self.stack.crash_dir) / name
        provoke, within_s = {"recover.after_commit": (self.lose_an_executor, LOST_S), "blob.after_unlink": (self.leave_a_blob, LOST_S),
                             "blob.after_object_delete": (self.leave_an_object, LOST_S), "roll_up.slice": (self.roll_up, LOST_S),
                             "roll_up.end": (self.roll_up, LOST_S)}.get(name, (None, POINT_S))
        place.touch()
        again = provoke and provoke()

        def is_met():
            if again and place.exists():
                again()
            return not place.exists()
        try:
            within(is_met, within_s, name)
        except AssertionError:
            place.unlink(missing_ok=True)
            self.unmet.append(name)
        self.over(e)

    def lose_an_executor(self):
        """Its runs are requeued once its peers have found it lost. There is always an active run: the load is continuous."""
        kill(self.random_child("executor"), signal.SIGKILL)

    def leave_a_blob(self):
        """Bytes that no row names and that have been dead for longer than the ten minutes of grace. The crash comes between the removal of
        the bytes and that of the row, which maintenance then repeats."""
        content = f"dead {self.rng.random()}".encode()
        digest = hashlib.sha256(content).hexdigest()
        path = self.stack.dir / "data/files/blobs" / digest[:2] / digest
        path.parent.mkdir(mode=0o755, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (1, 1))
        self.dead_blobs.append(digest)
        eventually(lambda: self.told(f"INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES (UNHEX('{digest}'), {len(content)}, 1, 1) ON DUPLICATE KEY UPDATE touched_ms = 1; "
                                     "UPDATE upkeep_tasks SET due_ms = 0 WHERE name = 'remove_blobs'"), LOST_S, "MariaDB")

    def leave_an_object(self):
        """An object that no row names, and that has been dead for longer than the ten minutes of grace. The crash comes between its removal
        from the store and that of its row; maintenance then asks the store once more to remove what is not there."""
        content = f"dead {self.rng.random()}".encode()
        digest, object = hashlib.sha256(content).hexdigest(), str(uuid.UUID(int=self.rng.getrandbits(128), version=4))
        self.stack.objects.write(f"{digest}/{object}", content)
        self.dead_objects.append(f"{digest}/{object}")
        eventually(lambda: self.told(f"INSERT INTO dead_objects (object, sha256, touched_ms) VALUES ('{object}', UNHEX('{digest}'), 1) ON DUPLICATE KEY UPDATE touched_ms = 1; "
                                     "UPDATE upkeep_tasks SET due_ms = 0 WHERE name = 'remove_objects'"), LOST_S, "MariaDB")

    def roll_up(self):
        """An old month of a small workspace. What is returned makes its roll-up due."""
        return self.roll_ups.provoke(self.was_there)

    def told(self, statements):
        return self.was_there(lambda: self.stack.sql(statements))

    def was_there(self, do):
        try:
            do()
        except (AssertionError, OSError, pymysql.Error):  # MariaDB is down for another fault
            return False
        return True

    # --- the deck ---
    def deck(self, points):
        """All faults once, in an order that the seed determines; the most common ones twice."""
        cards = [(name, getattr(self, name)) for name in KINDS]
        cards += [(name, lambda name=name: self.failpoint(name)) for name in points if self.stack.objects or name not in OBJECT_POINTS]
        if self.stack.objects:
            cards += [(name, getattr(self, name)) for name in OBJECT_KINDS]
        cards += [("executor_process", self.executor_process), ("mariadb", self.mariadb)]
        if not self.stack.pid("stream"):
            cards = [c for c in cards if c[0] != "stream"]
        self.rng.shuffle(cards)
        return cards

    def finish(self):
        for thread in self.background:
            thread.join()


KINDS = ("api_worker", "api_workers_all", "api_master", "api_rolling", "nginx", "nginx_reload", "stream", "runner", "runner", "runner_starter", "executor_process",
         "executor_processes_all", "executor_master", "executor_rolling", "executor_hangs_past_its_lease",
         "executor_hangs_for_a_moment", "redis", "redis_without_data", "redis_emptied", "redis_connections_cut",
         "redis_cut_in_mid_reply", "redis_stalls", "mariadb", "mariadb_connections_cut", "mariadb_cut_in_mid_packet",
         "commit_cut_before", "commit_cut_in", "commit_cut_after", "commit_answered_with_an_error", "commit_stalls", "executor_commit_held", "mariadb_stalls")

# only with an object store
OBJECT_KINDS = ("object_store_away", "object_store_stalls")
OBJECT_POINTS = ("blob.after_object_delete",)


def read(path):
    try:
        return pathlib.Path(path).read_bytes()
    except OSError:
        return b""


def roll_api(stack):
    """Starts a second pool, waits until its socket has replaced that of the first one, and stops the first one."""
    socket, old = stack.dir / "sockets/api.sock", stack.pid("api")
    before = socket.stat().st_ino
    with open(stack.dir / "logs/api.out", "a") as out:
        new = subprocess.Popen([BIN / "millrace-api", "--config", stack.dir / "millrace.ini"], env=stack.env, start_new_session=True,
                               stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    eventually(lambda: socket.exists() and socket.stat().st_ino != before, 15, "the socket of the new pool")
    kill(old, signal.SIGTERM)
    eventually(lambda: not alive(old), 40, "end of the old pool")
    since = pathlib.Path(f"/proc/{new.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    (stack.dir / "pids/api").write_text(f"{new.pid} {since}\n")
    threading.Thread(target=new.wait, daemon=True).start()  # reaps the process, whoever kills it
    assert os.path.exists(f"/proc/{new.pid}")
