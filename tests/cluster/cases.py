"""The faults. Each case makes one while the load goes on, waits until runs are accepted again, and repairs. It returns the time of the
fault, and may add what is to be printed to load.told."""
import os
import re
import signal
import time

from laboratory import APPLICATIONS, BIN, DATABASES, RECOVERY_S, ROOT, Failed, HostCaller, ask, await_true, cluster, json_of

HOLD_S = 5          # a fault that heals lasts so long after its effect was seen
SWITCH_EVERY_S = float(os.environ.get("MILLRACE_SWITCH_EVERY_S", 20))
KILL_ROUNDS = int(os.environ.get("MILLRACE_KILL_ROUNDS", 1))  # kills of all nodes in one case
KILL_RUNS = int(os.environ.get("MILLRACE_KILL_RUNS", 0))      # runs that are accepted before each of them, at least
DEAF_ROUNDS_AT_LEAST = int(os.environ.get("MILLRACE_DEAF_ROUNDS", 1))
DEAF_ROUNDS = DEAF_ROUNDS_AT_LEAST + 3
ISOLATED_S = 30     # far more than a lease and what others wait beyond it


def accepts_again(load, since):
    await_true(lambda: load.accepted and load.accepted[-1] > since + 1, RECOVERY_S, "an acceptance after the fault")


def others(node):
    return [n for n in DATABASES if n != node]


def another_writer(lab, load, old):
    await_true(lambda: lab.writer() not in (None, old), RECOVERY_S, "another writer")
    accepts_again(load, time.monotonic())


def unchanged_writer(lab, old):
    if lab.writer() != old:
        raise Failed(f"the writer changed from {old} to {lab.writer()}")


# --- the writer ---------------------------------------------------------------------------------------------

def writer_killed(lab, load):
    old = lab.writer()
    since = time.monotonic()
    cluster("kill", old)
    another_writer(lab, load, old)
    cluster("start", old)
    return since


def writer_paused(lab, load):
    """Woken, it must not commit what it had begun."""
    old = lab.writer()
    since = time.monotonic()
    cluster("pause", old)
    another_writer(lab, load, old)
    cluster("resume", old)
    return since


def writer_paused_shortly(lab, load):
    """Less than the others need to suspect it: commits wait, and then succeed."""
    old = lab.writer()
    since = time.monotonic()
    cluster("pause", old)
    time.sleep(1)
    cluster("resume", old)
    accepts_again(load, time.monotonic())
    return since


def writer_cut_off(lab, load):
    """From the other nodes; clients reach all three."""
    old = lab.writer()
    since = time.monotonic()
    cluster("cut", old, *others(old))
    another_writer(lab, load, old)
    cluster("heal", old)
    return since


def writer_deaf(lab, load):
    """It sends, and hears nothing: COMMITs that it cannot confirm are answered 1180, and stand on the others. All clients send at the moment
    in which it is deaf, because only the first few COMMITs still leave it. The case is for those that stand, so it looks for them again."""
    stood = lab.counts()["of which stood"]
    for n in range(1, DEAF_ROUNDS + 1):
        old = lab.writer()
        with load.held(lab):
            since = time.monotonic()
            cluster("cut", old, *others(old), "--one-way")
        another_writer(lab, load, old)
        cluster("heal", old)
        load.told["rounds"] = n
        if n >= DEAF_ROUNDS_AT_LEAST and lab.counts()["of which stood"] > stood:
            return since
        await_true(lambda: lab.is_whole() and lab.writer(), RECOVERY_S, "three synced nodes")
    raise Failed(f"no COMMIT that was answered 1180 stood in {DEAF_ROUNDS} rounds")


def writer_cut_from_one(lab, load):
    """The writer and another node do not reach each other; both reach the third."""
    old = lab.writer()
    since = time.monotonic()
    cluster("cut", old, others(old)[0])
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    cluster("heal", old)
    return since


def writer_killed_and_next_cut_off(lab, load):
    """Two faults within a second: no majority is left until the cut heals."""
    old = lab.writer()
    since = time.monotonic()
    cluster("kill", old)
    cluster("cut", *others(old))
    time.sleep(HOLD_S)
    cluster("heal", *others(old))
    cluster("start", old)
    await_true(lab.writer, RECOVERY_S, "a writer")
    accepts_again(load, time.monotonic())
    return since


# --- the other nodes of the database ------------------------------------------------------------------------

def without_a_reader(lab, load, end, begin):
    """Commits wait until the node is left out, and then succeed."""
    writer = lab.writer()
    since = time.monotonic()
    cluster(end, others(writer)[0])
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    unchanged_writer(lab, writer)
    cluster(begin, others(writer)[0])
    return since


def reader_killed(lab, load):
    return without_a_reader(lab, load, "kill", "start")


def reader_paused(lab, load):
    return without_a_reader(lab, load, "pause", "resume")


def reader_cut_off(lab, load):
    writer = lab.writer()
    reader = others(writer)[0]
    since = time.monotonic()
    cluster("cut", reader, *others(reader))
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    unchanged_writer(lab, writer)
    cluster("heal", reader)
    return since


def readers_killed(lab, load):
    """The writer alone is no majority: it refuses, until another node is back."""
    writer = lab.writer()
    since = time.monotonic()
    cluster("kill", *others(writer))
    await_true(lambda: lab.writer() is None, RECOVERY_S, "no writer")
    time.sleep(HOLD_S)
    cluster("start", *others(writer))
    await_true(lab.writer, RECOVERY_S, "a writer")
    accepts_again(load, time.monotonic())
    return since


def node_wiped(lab, load):
    """It comes back without its database, and receives all of it from a node that goes on working."""
    node = others(lab.writer())[0]
    since = time.monotonic()
    cluster("kill", node)
    cluster("wipe", node)
    cluster("start", node)
    await_true(lambda: (lab.dir / node / "data/mariadb/xtrabackup_galera_info").exists(), RECOVERY_S, "the whole state")
    accepts_again(load, time.monotonic())
    return since


# --- all nodes ----------------------------------------------------------------------------------------------

def lost(lab, acknowledged):
    """The runs that were acknowledged before all nodes died and are gone."""
    have = {id for id, in lab.sql("SELECT id FROM executions", lab.writer())}
    return [run for run in acknowledged if run.id not in have]


def kill_all(lab, load):
    """Once enough runs were accepted since the last kill. Returns the runs that were acknowledged."""
    begun = len(load.accepted)
    await_true(lambda: len(load.accepted) >= begun + KILL_RUNS, 10 * RECOVERY_S, f"{KILL_RUNS} accepted runs")
    cluster("kill", *DATABASES)
    return load.book.acknowledged()


def positions(lab):
    """How many commits each node lacked on its disk, of those that one of them had, when they were started after the kill."""
    found = [int(re.findall(r"Recovered position:.*:(-?\d+)", (lab.dir / node / "tmp/recover.log").read_text(errors="replace"))[-1]) for node in DATABASES]
    return [max(found) - n for n in found]


def count_lost(load, acknowledged, gone, behind=()):
    told = load.told
    told["rounds"] = told.get("rounds", 0) + 1
    told["acknowledged runs lost"] = told.get("acknowledged runs lost", 0) + len(gone)
    told["rounds with a loss"] = told.get("rounds with a loss", 0) + bool(gone)
    if behind:
        told["rounds with a commit on one disk only"] = told.get("rounds with a commit on one disk only", 0) + (behind.count(0) == 1)
    if KILL_ROUNDS > 1:
        fresh = len(acknowledged) - told.get("acknowledged", 0)
        print(f"    round {told['rounds']}: {len(gone)} lost of {fresh} acknowledged runs" + (f"; commits that were not on the nodes' disks: {behind}" if behind else ""), flush=True)
    told["acknowledged"] = len(acknowledged)


def all_killed(lab, load):
    """Nothing may be lost, because all three come back."""
    for _ in range(KILL_ROUNDS):
        acknowledged = kill_all(lab, load)
        since = time.monotonic()
        cluster("start", *DATABASES)
        await_true(lab.writer, RECOVERY_S, "a writer")
        accepts_again(load, time.monotonic())
        count_lost(load, acknowledged, lost(lab, acknowledged), positions(lab))
    return since


def all_killed_and_writer_lost(lab, load):
    """The documented recovery: the most advanced of the others begins. What only the writer had stored is lost, and is counted."""
    for _ in range(KILL_ROUNDS):
        old = await_true(lab.writer, RECOVERY_S, "a writer")
        acknowledged = kill_all(lab, load)
        since = time.monotonic()
        cluster("wipe", old)
        cluster("bootstrap")
        await_true(lab.writer, RECOVERY_S, "a writer")
        accepts_again(load, time.monotonic())
        gone = lost(lab, acknowledged)
        count_lost(load, acknowledged, gone)
        for run in gone:
            run.id, run.unknown = None, True
    return since


# --- planned work -------------------------------------------------------------------------------------------

def switch(lab, to):
    lab.ran("app2", "cluster", "switch", DATABASES[to] + ":3306")
    await_true(lambda: lab.writer() == to, RECOVERY_S, "the new writer")


def no_error_but_503(load):
    """Planned work may refuse for a moment, and must leave nothing unknown."""
    bad = {what: n for what, n in load.book.counts.items() if what.startswith("start ") and what != "start 503"}
    if bad:
        load.book.complain(f"planned work was answered with {bad}")


def planned_switch(lab, load):
    to = others(lab.writer())[0]
    since = time.monotonic()
    switch(lab, to)
    accepts_again(load, time.monotonic())
    if "cluster.switch" not in lab.ran("app2", "audit-log", "--deed", "cluster.switch"):
        raise Failed("the switch is not in the audit log")
    no_error_but_503(load)
    return since


def planned_switches(lab, load):
    """Three, one every SWITCH_EVERY_S."""
    since = time.monotonic()
    for n in range(3):
        switch(lab, others(lab.writer())[n % 2])
        accepts_again(load, time.monotonic())
        time.sleep(max(0, since + (n + 1) * SWITCH_EVERY_S - time.monotonic()))
    no_error_but_503(load)
    return since


def rolling_restart(lab, load):
    """Application hosts are taken from the load balancer one by one. Of the database, the other nodes first, then the writer after a switch."""
    since = time.monotonic()
    restart_applications(load)
    writer = lab.writer()
    for node in others(writer):
        cluster("restart", node)
    switch(lab, others(writer)[0])
    cluster("restart", writer)
    accepts_again(load, time.monotonic())
    no_error_but_503(load)
    return since


def restart_applications(load):
    for app in APPLICATIONS:
        load.hosts.drain(app)
        cluster("restart", app)
        load.hosts.use(app)


def rolling_upgrade(lab, load):
    """From the programs of MILLRACE_BEFORE, an older checkout that is built, with which the cluster was created. Migrations first."""
    if not os.environ.get("MILLRACE_BEFORE"):
        raise Failed("MILLRACE_BEFORE is not set")
    before = dict(lab.sql("SELECT 'migrations', COUNT(*) FROM schema_migrations"))
    since = time.monotonic()
    lab.ran("app1", "migrate")
    for grants in ("sql/grants.sql", "sql/grants-dbcheck.sql"):
        lab.sql((ROOT / grants).read_text(), lab.writer())
    after = dict(lab.sql("SELECT 'migrations', COUNT(*) FROM schema_migrations"))
    load.told["migrations"] = f"{before['migrations']} to {after['migrations']}"
    restart_applications(load)
    for app in APPLICATIONS:
        program = os.readlink(f"/proc/{lab.pid(app, 'api')}/exe")
        if not program.startswith(str(BIN)):
            raise Failed(f"{app} still has {program}")
    accepts_again(load, time.monotonic())
    no_error_but_503(load)
    return since


# --- application hosts --------------------------------------------------------------------------------------

def application_host_cut_off(lab, load):
    """From the writer only. It must not find a writer of its own."""
    old = lab.writer()
    since = time.monotonic()
    cluster("cut", "app1", old)
    await_true(lambda: ask(APPLICATIONS["app1"], 8080, "/readyz", 5) == 503, RECOVERY_S, "app1 not ready")
    accepts_again(load, time.monotonic())
    unchanged_writer(lab, old)
    cluster("heal", "app1")
    return since


def application_host_killed(lab, load):
    since = time.monotonic()
    cluster("kill", "app1")
    accepts_again(load, time.monotonic())
    cluster("start", "app1")
    await_true(lambda: lab.is_ready("app1"), RECOVERY_S, "app1 ready")
    return since


def application_host_paused(lab, load):
    """Longer than its lease: others take its runs, and what it writes later is refused."""
    load.patience_s = 3  # it takes connections and does not answer
    since = time.monotonic()
    cluster("pause", "app1")
    await_true(lambda: ask(APPLICATIONS["app1"], 8080, "/readyz", 2) is None, RECOVERY_S, "app1 silent")
    load.hosts.leave_out("app1")
    time.sleep(ISOLATED_S)
    cluster("resume", "app1")
    await_true(lambda: lab.is_ready("app1"), RECOVERY_S, "app1 ready")
    load.hosts.use("app1")
    accepts_again(load, time.monotonic())
    return since


def application_host_isolated(lab, load):
    """From every other host, for longer than its lease."""
    since = time.monotonic()
    cluster("cut", "app1", *DATABASES, "store", "app2", "app3")
    time.sleep(ISOLATED_S)
    cluster("heal", "app1")
    accepts_again(load, time.monotonic())
    return since


def clocks(lab, load):
    """The clocks of two application hosts are four seconds apart, with a right one between them."""
    since = time.monotonic()
    for app, seconds in (("app1", "+2"), ("app2", "-2")):
        load.hosts.drain(app)
        cluster("clock", app, seconds)
        load.hosts.use(app)
    away = [int(json_of(HostCaller(lab.key, load.hosts, 0, app).insist("POST", f"/workflows/{load.workflow}/run-async", {"inputs": {"r": r}}), 202)["execution_id"].replace("-", "")[:12], 16)
            for app, r in (("app1", load.own("ahead")), ("app2", load.own("behind")))]
    if not 3000 < away[0] - away[1] < 5000:
        raise Failed(f"the clocks differ by {away[0] - away[1]} ms")
    repeat_keys(lab, load)
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    for app in ("app1", "app2"):
        load.hosts.drain(app)
        cluster("clock", app, "0")
        load.hosts.use(app)
    return since


def repeat_keys(lab, load):
    """A key that one host took is answered by the others with the same run, whatever their clocks say."""
    for run in [r for r in load.book.acknowledged() if r.key and r.inputs["r"].startswith(load.seed)][-20:]:
        for app in APPLICATIONS:
            answer = HostCaller(lab.key, load.hosts, 0, app).insist("POST", f"/workflows/{load.workflow}/run-async", {"inputs": run.inputs}, run.key)
            if answer.status != 202 or answer.json["execution_id"] != run.id:
                load.book.complain(f"{app} answered the key again with {answer}", run.id)


# --- Redis --------------------------------------------------------------------------------------------------

def one_master(lab):
    return await_true(lambda: (lambda m: len(m) == 1 and m)(lab.redis_masters()), RECOVERY_S, "one master of Redis")


def redis_master_killed(lab, load):
    [old] = one_master(lab)
    since = time.monotonic()
    os.kill(lab.pid(old, "redis"), signal.SIGKILL)
    await_true(lambda: lab.redis_masters() - {old}, RECOVERY_S, "another master of Redis")
    accepts_again(load, time.monotonic())
    cluster("start", old)
    one_master(lab)
    return since


def redis_two_masters(lab, load):
    """app1 goes on with the old master; the other hosts and Sentinel have a new one."""
    [old] = one_master(lab)
    since = time.monotonic()
    cluster("cut", old, *others(old), "app2", "app3", "--redis")
    cluster("cut", "app1", *others(old), "--redis")
    await_true(lambda: len(lab.redis_masters()) == 2, RECOVERY_S, "two masters")
    repeat_keys(lab, load)
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    cluster("heal")
    one_master(lab)
    return since


def redis_paused(lab, load):
    """All three hang for a moment: there is no other master to go to."""
    since = time.monotonic()
    pids = [lab.pid(node, "redis") for node in DATABASES]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(HOLD_S)
    accepts_again(load, time.monotonic())
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    one_master(lab)
    return since


# --- the object store ---------------------------------------------------------------------------------------

def files_everywhere(lab, load):
    """No fault: uploads, downloads, skills and the live log on all hosts."""
    since = time.monotonic()
    await_true(lambda: load.files.hosts_of_skills() == set(APPLICATIONS), RECOVERY_S, "a skill on each host")
    load.told["live log from"] = load.files.live_log()
    return since


def object_store_gone(lab, load):
    """Uploads are refused, runs that need bytes wait, and everything else goes on."""
    old = lab.writer()
    await_true(lambda: len(load.files.stored) > 10, RECOVERY_S, "uploads")
    waiting = sorted(load.files.stored)[-1]
    since = time.monotonic()
    cluster("kill", "store")
    for node in APPLICATIONS:  # another host than the one that was given the file
        load.files.copy(node, waiting)
    await_true(lambda: "upload 503" in load.book.counts, RECOVERY_S, "a refused upload")
    time.sleep(HOLD_S)
    if max(load.gap(since), 0) > HOLD_S:
        load.book.complain("runs without files waited for the object store")
    unchanged_writer(lab, old)
    cluster("start", "store")
    before = len(load.files.stored)
    await_true(lambda: len(load.files.stored) > before + 3, RECOVERY_S, "uploads after the store is back")
    accepts_again(load, time.monotonic())
    return since


def object_store_paused(lab, load):
    """It takes connections and answers nothing."""
    await_true(lambda: len(load.files.stored) > 10, RECOVERY_S, "uploads")
    since = time.monotonic()
    cluster("pause", "store")
    await_true(lambda: "upload 503" in load.book.counts, RECOVERY_S, "a refused upload")
    cluster("resume", "store")
    before = len(load.files.stored)
    await_true(lambda: len(load.files.stored) > before + 3, RECOVERY_S, "uploads after the store goes on")
    return since


ALL = (writer_killed, writer_paused, writer_paused_shortly, writer_cut_off, writer_deaf, writer_cut_from_one, writer_killed_and_next_cut_off,
       reader_killed, reader_paused, reader_cut_off, readers_killed, node_wiped, all_killed, all_killed_and_writer_lost,
       planned_switch, planned_switches, rolling_restart, rolling_upgrade,
       application_host_cut_off, application_host_killed, application_host_paused, application_host_isolated, clocks,
       redis_master_killed, redis_two_masters, redis_paused, files_everywhere, object_store_gone, object_store_paused)
CASES = {f.__name__: f for f in ALL}
WITH_FILES = {"files_everywhere", "object_store_gone", "object_store_paused", "application_host_killed"}
# what scripts/test runs: the faults of which each shows another rule
SHORT = ("files_everywhere", "object_store_gone", "writer_killed", "application_host_cut_off", "redis_master_killed", "writer_deaf", "planned_switch", "all_killed")
