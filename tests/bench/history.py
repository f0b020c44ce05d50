#!/usr/bin/env python3
"""history.py [--rows 10000,300000] [--times 200]: how long reads of history take as it grows.

A private stack; executions are written straight into its tables with every row that a run leaves (tests/api/rows.py), ten
workflows in one workspace, a tag on every tenth, and one tree of 200. At each size, caches warm: get, list by cursor (from
the middle), page 1, page 1,000 of 100, by workflow, by two workflows, by state, by status=running (two states), by tag,
nestings of the tree; through nginx, one connection, in ms. The last column is against the first size: 1.5 is the limit.
5,000,000 rows take some twenty minutes and 6 GB: only on a machine that is quiet."""
import argparse
import pathlib
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402
from stack import DOCUMENT, Stack  # noqa: E402

CHUNK = 20000


def grow(stack, workspace, workflows, have, want):
    while have < want:
        n = min(CHUNK, want - have)
        k = have // CHUNK
        rows.insert(stack.sql_long, workspace.id, workflows[k % len(workflows)], n, rows.days_ago(300) + have * 4, apart_ms=4,
                    seed=k % 4096, tags=("rare",) if k % 10 == 1 else (), state="IF(seq % 2000 = 0, 2, IF(seq % 50 = 0, 4, 3))")
        have += n
    return have


def plant_tree(stack, workspace):
    """The 200 oldest become one tree: a root, 9 below it, 10 below the first, and so on."""
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' ORDER BY id LIMIT 200")]
    for n, child in enumerate(ids[1:]):
        parent = ids[0] if n < 9 else ids[1 + n // 20]
        stack.sql(f"UPDATE executions SET parent_id = '{parent}', root_id = '{ids[0]}', depth = 1 WHERE id = '{child}'; "
                  f"INSERT INTO execution_children VALUES ('{ids[0]}', '{child}', '{parent}', 0, {n}, 1)")
    return ids


def questions(stack, workspace, workflows, ids, size):
    ws = workspace.id
    middle = stack.sql_one(f"SELECT id FROM executions WHERE workspace_id = '{ws}' ORDER BY id LIMIT 1 OFFSET {size // 2}")
    deep = min(1000, size // 100)
    return {
        "get": (f"/executions/{middle}", {}),
        "list by cursor": ("/executions", {"after": middle, "limit": 100}),
        "list page 1": ("/executions", {"pageNumber": 1, "pageSize": 100}),
        f"list page {deep} of 100": ("/executions", {"pageNumber": deep, "pageSize": 100}),
        "by workflow": ("/executions", {"workflow_id": workflows[0], "limit": 100}),
        "by two workflows": ("/executions", {"responderIds": workflows[:2], "limit": 100}),
        "by state": ("/executions", {"state": "failed", "limit": 100}),
        "by status (two states)": ("/executions", {"status": "running", "limit": 5}),
        "by tag": ("/executions", {"tag": "rare", "limit": 100}),
        "nestings of 200": ("/executions/nestings", {"executionId": ids[0]}),
    }


def measure(client, path, params, times):
    took = []
    for i in range(times + 5):
        begin = time.perf_counter()
        answer = client.session.get(client.base + path, params=params)
        took.append((time.perf_counter() - begin) * 1000)
        assert answer.status_code == 200, answer.text
    took = sorted(took[5:])
    return statistics.median(took), took[int(len(took) * 0.99) - 1]


def sizes(stack):
    pool = int(stack.sql_one("SELECT @@innodb_buffer_pool_size")) // 1048576
    found = stack.sql("SELECT table_name, ROUND(data_length / 1048576), ROUND(index_length / 1048576) FROM information_schema.tables "
                      "WHERE table_schema = 'millrace' ORDER BY data_length + index_length DESC LIMIT 6")
    return f"buffer pool {pool} MiB; data + indexes, MiB: " + ", ".join(f"{t} {d}+{i}" for t, d, i in found)


def main():
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rows", default="10000,300000")
    options.add_argument("--times", type=int, default=200)
    o = options.parse_args()
    assert DOCUMENT
    stack = Stack({"api.rate_limit_per_minute": "100000000", "executor.processes": "1"})
    try:
        stack.start()
        stack.stop_server("executor")  # some of the rows claim to be running
        workspace = stack.workspace()
        client = workspace.client()
        workflows = [workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}) for _ in range(10)]
        have, first, ids = 0, {}, None
        for size in map(int, o.rows.split(",")):
            begin = time.monotonic()
            have = grow(stack, workspace, workflows, have, size)
            ids = ids or plant_tree(stack, workspace)
            stack.sql_long("ANALYZE TABLE executions, execution_tags, execution_children")
            print(f"\n{size} executions (loaded in {time.monotonic() - begin:.0f} s); {sizes(stack)}")
            print(f"{'':28}{'median':>9}{'p99':>9}{'x':>7}")
            for name, (path, params) in questions(stack, workspace, workflows, ids, size).items():
                median, p99 = measure(client, path, params, o.times)
                base = first.setdefault(name, median)
                print(f"{name:28}{median:9.2f}{p99:9.2f}{median / base:7.2f}", flush=True)
    finally:
        stack.close()


if __name__ == "__main__":
    main()
