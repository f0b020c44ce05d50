"""Programs of an earlier release on the tables of this one, and both releases side by side, under load: what an upgrade host by host does
(docs/operations.md). scripts/upgrade builds the earlier release and names its tree in MILLRACE_PREVIOUS."""
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/api"), str(ROOT / "tests/fault")]
import peers  # noqa: E402
from stack import BIN, Stack, alive, eventually, kill  # noqa: E402
from upgrade_load import Load, check_all  # noqa: E402

PREVIOUS = pathlib.Path(os.environ["MILLRACE_PREVIOUS"])


class Earlier(Stack):
    """Servers of the earlier release, with its tables and its site of nginx."""

    def __init__(self, settings):
        super().__init__(settings)
        self.noted = {}
        self.operator = peers.Operator(self.dir, PREVIOUS / "bin/millrace", self.env)

    def _run(self, command, *args):
        tree, bin_dir = (PREVIOUS, PREVIOUS / "bin") if command == "start" else (ROOT, BIN)
        done = subprocess.run([tree / "scripts/stack", command, self.dir, *args], env={**self.env, "MILLRACE_BIN": str(bin_dir)},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def start_beside(self, name):
        """Starts a program of this release beside that of the earlier one, and notes it in its place. Returns the earlier process."""
        old = self.pid(name)
        with open(self.dir / f"logs/{name}.out", "a") as out:
            new = subprocess.Popen([BIN / f"millrace-{name}", "--config", self.dir / "millrace.ini"], env=self.env, stdin=subprocess.DEVNULL,
                                   stdout=out, stderr=out, start_new_session=True)
        since = pathlib.Path(f"/proc/{new.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
        started = {"api": "pool.started", "stream": "stream.started", "executor": "master.started"}[name]
        eventually(lambda: f"{started} " in self.log(name)[self.noted.get(name, 0):], 30, started)
        (self.dir / "pids" / name).write_text(f"{new.pid} {since}\n")
        return old

    def note_logs(self):
        self.noted = {name: len(self.log(name)) for name in ("api", "executor", "stream")}


def end(pid):
    kill(pid, signal.SIGTERM)
    eventually(lambda: not alive(pid), 60, "the end of the earlier program")


def test_an_upgrade_under_load_fails_no_request_and_no_run():
    stack = Earlier({"api.workers": "4", "api.rate_limit_per_minute": "10000000"})
    try:
        stack.start()
        before = stack.sql_one("SELECT MAX(number) FROM schema_migrations")
        workspace = stack.workspace(credits=1000000)
        with Load(stack, workspace) as load:
            stack.note_logs()
            applied = [m["number"] for m in stack.cli("migrate") if m["new"]]
            assert applied and applied[0] == int(before) + 1, "the earlier release has older tables"
            subprocess.run(["mariadb", "--no-defaults", f"--socket={stack.dir}/sockets/mariadb.sock", "millrace"], check=True,
                           stdin=open(ROOT / "sql/grants.sql"))
            load.more(5)  # the earlier programs on the new tables
            executor = stack.start_beside("executor")
            load.more(5)  # both executors take runs that the earlier API has accepted
            api = stack.start_beside("api")
            load.more(5)  # the new API, and both executors
            end(api)
            load.more()
            stream = stack.start_beside("stream")
            end(stream)
            load.more()
            end(executor)
            load.more(5)
        check_all(stack, load)
        print(f"from {before} to {applied[-1]}: {sum(load.done.values())} rounds of requests, {len(load.runs)} runs, none failed")
    finally:
        stack.close()
