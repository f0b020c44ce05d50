#!/usr/bin/python3
"""history.py [--rows 10000,300000] [--times 200] [--pool 256] [--through CMD]: measures how reads slow down as the history grows.

Each size gets a private stack. Executions are inserted directly, with every row that a run leaves behind (tests/api/rows.py): ten
workflows in one workspace, a tag on every tenth part, one tree of 200. When all stacks are loaded and warm, they get the same requests in
turn, through nginx, on one connection each: get, list by cursor (from the middle), page 1, page 1,000 of 100 (or the last one), by
workflow, by two workflows, by state, by status=running (two states), by tag, nestings of the tree. The last column is the ratio of the
last size to the first: 1.5 is the limit, and 200 ms for page 1,000.
--pool: MiB of buffer pool of each stack. --through: a command that starts the measurement, for example one that waits until the
machine is idle. 5,000,000 rows take about twenty minutes and 8 GB."""
import argparse
import http.client
import json
import pathlib
import shlex
import statistics
import subprocess
import sys
import time
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import Stack  # noqa: E402

PARTS = 100  # parts of a history, each of one workflow
# the data need not survive a crash while they are loaded
LOADING = "SET GLOBAL innodb_flush_log_at_trx_commit = 0; SET GLOBAL innodb_log_file_size = 2147483648"
LOADED = "SET GLOBAL innodb_flush_log_at_trx_commit = 1; SET GLOBAL innodb_log_file_size = 50331648"


def grow(stack, workspace, workflows, size):
    n = size // PARTS
    for part in range(PARTS):
        rows.insert(stack.sql_long, workspace.id, workflows[part % len(workflows)], n, rows.days_ago(300) + part * n * 4, apart_ms=4,
                    seed=part, tags=("rare",) if part % 10 == 1 else (), state="IF(seq % 100 = 0, 2, IF(seq % 50 = 1, 4, 3))")


def plant_tree(stack, workspace):
    """Makes the 200 oldest executions one tree: a root, 9 below it, 10 below the first of these, and so on."""
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id LIMIT 200")]
    for n, child in enumerate(ids[1:]):
        parent = ids[0] if n < 9 else ids[1 + n // 20]
        stack.sql(f"UPDATE executions SET parent_id = '{parent}', root_id = '{ids[0]}', depth = 1 WHERE id = '{child}'; "
                  f"UPDATE executions SET has_children = 1 WHERE id = '{parent}'; "
                  f"INSERT INTO execution_children VALUES ('{ids[0]}', '{child}', '{parent}', 0, {n}, 1)")
    return ids[0]


def questions(stack, workspace, workflows, root, size):
    middle = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id LIMIT 1 OFFSET {size // 2}")
    return {
        "get": (f"/executions/{middle}", {}),
        "list by cursor": ("/executions", {"after": middle, "limit": 100}),
        "list page 1": ("/executions", {"pageNumber": 1, "pageSize": 100}),
        "by workflow": ("/executions", {"workflow_id": workflows[0], "limit": 100}),
        "by two workflows": ("/executions", {"responderIds": workflows[:2], "limit": 100}),
        "by state": ("/executions", {"state": "failed", "limit": 100}),
        "by status (two states)": ("/executions", {"status": "running", "limit": 100}),
        "by tag": ("/executions", {"tag": "rare", "limit": 100}),
        "nestings of 200": ("/executions/nestings", {"executionId": root}),
        "list page 1,000 of 100": ("/executions", {"pageNumber": min(1000, size // 100), "pageSize": 100}),
    }


def sizes(stack):
    pool = int(stack.sql_one("SELECT @@innodb_buffer_pool_size")) // 1048576
    found = stack.sql("SELECT table_name, ROUND(data_length / 1048576), ROUND(index_length / 1048576) FROM information_schema.tables "
                      "WHERE table_schema = 'millrace' ORDER BY data_length + index_length DESC LIMIT 6")
    return f"buffer pool {pool} MiB; data + indexes, MiB: " + ", ".join(f"{t} {d}+{i}" for t, d, i in found)


def load(stack, size, pool):
    begin = time.monotonic()
    stack.start()
    stack.stop_server("executor")  # because some of the inserted rows are running
    stack.sql(f"{LOADING}; SET GLOBAL innodb_buffer_pool_size = {pool * 1048576}")
    workspace = stack.workspace()
    workflows = [workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}) for _ in range(10)]
    grow(stack, workspace, workflows, size)
    root = plant_tree(stack, workspace)
    stack.sql_long(f"{LOADED}; ANALYZE TABLE executions, execution_tags, execution_children")
    asked = {name: "/api/v1" + path + "?" + urllib.parse.urlencode(query, doseq=True)
             for name, (path, query) in questions(stack, workspace, workflows, root, size).items()}
    print(f"{size} executions (loaded in {time.monotonic() - begin:.0f} s); {sizes(stack)}", flush=True)
    return {"size": size, "url": stack.url, "key": workspace.key()["key"], "questions": asked}


def ask(connection, key, path):
    """Milliseconds until the complete response has arrived."""
    begin = time.perf_counter()
    connection.request("GET", path, headers={"Authorization": "Bearer " + key})
    answer = connection.getresponse()
    body = answer.read()
    assert answer.status == 200, body
    return (time.perf_counter() - begin) * 1000


def measure(places, times):
    connections = [http.client.HTTPConnection(urllib.parse.urlsplit(p["url"]).netloc) for p in places]
    print(f"{'median (p99), ms':26}" + "".join(f"{p['size']:>18}" for p in places) + f"{'x':>7}")
    for name in places[0]["questions"]:
        took = [[] for _ in places]
        for i in range(times + 20):
            for place, connection, list in zip(places, connections, took):
                list.append(ask(connection, place["key"], place["questions"][name]))
        took = [sorted(t[20:]) for t in took]  # the first 20 requests warm up
        medians = [statistics.median(t) for t in took]
        print(f"{name:26}" + "".join(f"{m:10.2f} ({t[len(t) * 99 // 100]:5.2f})" for m, t in zip(medians, took))
              + f"{medians[-1] / medians[0]:7.2f}", flush=True)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rows", default="10000,300000")
    options.add_argument("--times", type=int, default=200)
    options.add_argument("--pool", type=int, default=256)
    options.add_argument("--through", default="")
    options.add_argument("--measure", help=argparse.SUPPRESS)  # internal: the loaded stacks as JSON, for the measuring process
    o = options.parse_args()
    if o.measure:
        return measure(json.loads(o.measure), o.times)
    stacks, places = [], []
    try:
        for size in map(int, o.rows.split(",")):
            stacks.append(Stack({"api.rate_limit_per_minute": "100000000", "executor.processes": "1"}))
            places.append(load(stacks[-1], size, o.pool))
        subprocess.run([*shlex.split(o.through), sys.executable, __file__, "--times", str(o.times), "--measure", json.dumps(places)], check=True)
    finally:
        for stack in stacks:
            stack.close()


if __name__ == "__main__":
    main()
