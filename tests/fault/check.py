"""The checks at the end, when all runs have ended: the record against the rows, the API, the side effects and the audit."""
import json
import time

from load import read_end
from stack import eventually

CONCURRENCY = 3  # of for_each in the programs: so many steps may be running when an attempt ends
LATE_S = 15      # the executor of a stopped run may hang until its lease expires

POOR = ("the balance does not cover the run", "a budget of the workspace does not allow the run")

STATE = {"1": "queued", "2": "running", "3": "success", "4": "failed", "5": "stopped"}


class Row:
    def __init__(self, cells):
        self.id, self.parent, self.responder, state, attempt, self.losses, self.input = cells
        self.status, self.attempts = STATE[state], int(attempt) + 1
        self.input = json.loads(self.input)


def read_rows(stack, book, others):
    """The executions of all workspaces but those of `others`, which check them themselves. The inputs of a purged run are those of the record."""
    rows = stack.sql("SELECT e.id, IFNULL(e.parent_id, ''), e.responder_id, e.state, e.attempt, e.losses, IFNULL(e.input, '{}') "
                     "FROM executions e WHERE " + " AND ".join(["TRUE"] + [f"e.workspace_id <> '{other.workspace.id}'" for other in others]))
    rows = {r.id: r for r in map(Row, rows)}
    for run in book.acknowledged():
        if run.purged is not None and run.id in rows and not rows[run.id].input:
            rows[run.id].input = run.inputs
    return rows


def await_quiet(stack, book, seconds=90):
    try:
        eventually(lambda: stack.sql_one("SELECT COUNT(*) FROM executions WHERE state < 3") == "0", seconds, "end of all runs")
    except AssertionError:
        for id, state in stack.sql("SELECT id, state FROM executions WHERE state < 3 LIMIT 20"):
            book.complain(f"still {STATE[state]} {seconds} s after the last fault", id)


def check_rows(book, rows):
    """Each intended run has at most one root execution, and an acknowledged run has the acknowledged one."""
    roots = {}
    for row in rows.values():
        if not row.parent:
            roots.setdefault(row.input.get("r"), []).append(row.id)
    for r, ids in roots.items():
        run = book.runs.get(r)
        if not run:
            book.complain(f"no client requested {r}", ids[0])
        elif len(ids) > 1:
            book.complain(f"{r} has {len(ids)} executions: {ids}", ids[0])
        elif run.id and run.id != ids[0]:
            book.complain(f"{r} was acknowledged as {run.id}, but its row is {ids[0]}", run.id)
        elif not run.id and not run.unknown:
            book.complain(f"{r} was rejected, but was executed", ids[0])
    for run in book.acknowledged():
        if run.id not in rows:
            book.complain("lost: acknowledged, but has no row", run.id)


def check_ends(book, callers_get):
    for run in book.acknowledged():
        answer = callers_get(run)
        if answer.status != 200:
            book.complain(f"GET at the end: {answer}", run.id)
            continue
        execution = answer.json
        if execution["isPurged"] != bool(run.purged) and run.purged is not False:
            book.complain(f"isPurged is {execution['isPurged']}", run.id)
        if execution["isPurged"]:
            if execution["detail"].get("output") is not None or execution["status"] != run.seen_end[0]:
                book.complain(f"a purged run shows {execution['status']}, {execution['detail'].get('output')}", run.id)
            continue
        read_end(book, run, execution)
        status, output = execution["status"], execution["detail"].get("output")
        if run.stopped or (run.maybe_stopped and status == "stopped"):
            if status != "stopped":
                book.complain(f"the stop was acknowledged, but the status is {status}", run.id)
            continue
        if run.poor and execution.get("failure_reason") in ("insufficient_credits", "budget_exceeded", "step_failed") \
                and any(why in (execution.get("error") or "") for why in POOR):  # of its child or of a deeper descendant
            continue
        if status == "failed" and run.program.name in ("echo", "warm-echo", "skilled") and "the runner died" in (execution.get("error") or ""):
            book.count("runs that failed with their runner")
            continue
        if status != run.program.ends:
            book.complain(f"{run.program.name} ended as {status} ({execution.get('failure_reason')}: {execution.get('error')})", run.id)
        elif status == "success" and output != run.program.output(run.inputs):
            book.complain(f"{run.program.name} has the output {output} instead of {run.program.output(run.inputs)}", run.id)


def check_files(book, clients):
    """Each file holds what its client has stored last."""
    for client in clients:
        for name, may_hold in client.files.items():
            answer = client.caller.call("GET", f"/files/{name}")
            found = answer.raw if answer.status == 200 else None
            if answer.status not in (200, 404) or found not in may_hold:
                book.complain(f"file {name}: {answer.status}, {found and found[:20]}, expected {[c and c[:20] for c in may_hold]}")


def check_erased(stack, book, dead_blobs, dead_objects=(), seconds=60):
    """Maintenance finishes what purges have left, and nothing of a purged run remains."""
    left = "SELECT COUNT(*) FROM purges"
    try:
        eventually(lambda: stack.sql_one(left) == "0", seconds, "end of all purges")
    except AssertionError:
        book.complain(f"{stack.sql_one(left)} purges have not ended within {seconds} s")
    hashes = ", ".join(f"UNHEX('{digest}')" for digest in dead_blobs) or "NULL"
    try:
        eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM blobs WHERE sha256 IN ({hashes})") == "0", seconds, "removal of dead blobs")
    except AssertionError as e:
        book.complain(str(e))
    if dead_objects:
        check_dead_objects(stack, book, dead_objects, seconds)
    for table, what in (("execution_steps", "x.result IS NOT NULL OR x.error IS NOT NULL"), ("events", "x.data IS NOT NULL"), ("artifacts", "TRUE")):
        for (id,) in stack.sql(f"SELECT DISTINCT x.execution_id FROM {table} x JOIN executions e ON e.id = x.execution_id "
                               f"WHERE e.purged_ms IS NOT NULL AND ({what}) LIMIT 5"):
            book.complain(f"a purged run has left something in {table}", id)


def check_dead_objects(stack, book, keys, seconds):
    objects = ", ".join(f"'{key.split('/')[1]}'" for key in keys)
    try:
        eventually(lambda: stack.sql_one(f"SELECT COUNT(*) FROM dead_objects WHERE object IN ({objects})") == "0", seconds, "removal of dead objects")
    except AssertionError as e:
        book.complain(str(e))
    for key in set(keys) & set(stack.objects.keys()):
        book.complain(f"a dead object is still in the store: {key}")


def check_failures(stack, book):
    """Each failed run that was not purged has its row among the failures; that no other has one is a check of the audit."""
    for (id,) in stack.sql("SELECT e.id FROM executions e LEFT JOIN execution_failures f ON f.execution_id = e.id "
                           "WHERE e.state = 4 AND e.purged_ms IS NULL AND f.execution_id IS NULL LIMIT 5"):
        book.complain("a failed run is not among the failures", id)


def check_runners(book):
    failed, killed = book.counts.get("runs that failed with their runner", 0), book.counts.get("runners killed", 0)
    if failed > killed:
        book.complain(f"{failed} runs failed because of their runners, but only {killed} runners were killed")


def check_side_effects(book, rows, effects, programs):
    by_step = effects.by_step()
    by_run = {}
    for (execution, step, item), keys in by_step.items():
        by_run.setdefault(execution, {})[(step, item)] = keys
    for execution in by_run:
        if execution not in rows:
            book.complain("has side effects, but no row", execution)
    of_id = {p.id: p for p in programs.values()}
    stops = {run.id: run.stopped for run in book.acknowledged() if run.stopped}
    for row in rows.values():
        program = of_id[row.responder]
        check_calls(book, row, program.calls(row.input), by_run.get(row.id, {}), row.status == program.ends)
        if row.id in stops:
            late = [c for keys in by_run.get(row.id, {}).values() for calls in keys.values() for c in calls
                    if c["at"] > stops[row.id] + LATE_S]
            if late:
                book.complain(f"a side effect {late[0]['at'] - stops[row.id]:.1f} s after the stop", row.id)


def check_calls(book, row, expected, made, ended_well):
    surplus = 0
    for (step, item), keys in made.items():
        wanted = expected.get((step, item))
        if wanted is None:
            book.complain(f"step {step} item {item} must not have side effects", row.id)
            continue
        names = sorted(int(k.rsplit("-", 1)[1]) for k in keys)
        if names != list(range(len(names))) or len(names) > wanted + 1:
            book.complain(f"step {step} item {item}: keys {sorted(keys)}, expected {wanted + 1}", row.id)
        for key, calls in keys.items():
            surplus += len(calls) - 1
            if len(calls) > row.attempts:
                book.complain(f"{key} was sent {len(calls)} times in {row.attempts} attempts", row.id)
    if surplus > (row.attempts - 1) * CONCURRENCY:
        book.complain(f"{surplus} repeated side effects are too many for {row.attempts} attempts", row.id)
    book.count("repeated side effects", surplus)
    if ended_well:
        for (step, item), wanted in expected.items():
            if len(made.get((step, item), {})) != wanted + 1:
                book.complain(f"step {step} item {item}: {len(made.get((step, item), {}))} attempts, expected {wanted + 1}", row.id)


def run_audit(stack, book):
    path = stack.dir / "acknowledged"
    path.write_text("".join(run.id + "\n" for run in book.acknowledged()))
    # the executors correct the counters in Redis every 5 s
    deadline = time.monotonic() + 20
    while True:
        code, out, err = stack.cli("audit", "--acknowledged", path, "--at-rest", check=False)
        if code == 0:
            break
        if time.monotonic() > deadline:
            try:
                for v in json.loads(out)["violations"][:50]:
                    book.complain(f"audit, invariant {v['invariant']} ({v['check']}): {v['id']}: {v['detail']}", v["id"][:36])
            except (ValueError, KeyError):
                book.complain(f"audit: exit {code}: {err}{out}")
            break
        time.sleep(0.5)
    return json.loads(out) if out.strip().startswith("{") else None


def history(stack, effects, id):
    """Everything that is known about one execution."""
    out = [f"--- history of {id}"]
    tables = (("executions", "id", "id"), ("executions", "parent_id", "id"),
              ("execution_steps", "execution_id", "step, item"), ("events", "execution_id", "seq"),
              ("credit_ledger", "execution_id", "id"), ("idempotency_keys", "execution_id", "execution_id"),
              ("execution_trees", "root_id", "root_id"), ("purges", "execution_id", "execution_id"),
              ("retention_skipped", "execution_id", "removes"), ("artifacts", "execution_id", "id"),
              ("execution_usage", "execution_id", "execution_id"), ("execution_charges", "execution_id", "execution_id"))
    for table, column, order in tables:
        try:
            for row in stack.sql(f"SELECT * FROM {table} WHERE {column} = '{id}' ORDER BY {order}"):
                out.append(f"{table}: " + " | ".join(row)[:500])
        except (AssertionError, UnicodeDecodeError) as e:
            out.append(f"{table}: {e}")
    for call in effects.calls:
        if call["key"].startswith(id):
            out.append(f"side effect: {time.strftime('%H:%M:%S', time.gmtime(call['at']))} {call['key']} {call['path']} {call['status']}")
    for log in sorted((stack.dir / "logs").iterdir()):
        for line in log.read_text(errors="replace").splitlines():
            if id in line:
                out.append(f"{log.name}: {line[:600]}")
    return "\n".join(out)
