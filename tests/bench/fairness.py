#!/usr/bin/python3
"""fairness.py [SECONDS]: 100 workspaces that have 1,000 queued runs each, beside one that has 100,000, for SECONDS (40) of two executor
processes. Counts the runs of each workspace that ended in each window of 5 s after the first, up to the window in which one of the hundred
has no queued run left. Required: each of the hundred has within 20 % of its fair share, which is a part in 101 of the window's runs."""
import json
import sys
import time

import bench_stack
import rows
from stack import eventually

SECONDS = int(sys.argv[1]) if len(sys.argv) > 1 else 40
WORKSPACES, EACH, MOST, WINDOW_S = 100, 1000, 100000, 5
HINTS_MAX = 10000   # the longest list that accepting makes
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}


def queue(stack, workspace, runs, seed):
    """Queued runs, and the hints that accepting them would have left."""
    workflow = workspace.put_workflow(PURE)
    rows.insert(stack.sql_long, workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")
    ids = [r[0] for r in stack.sql(f"SELECT id FROM executions WHERE workspace_id = '{workspace.id}' AND state = 1 ORDER BY id "
                                   f"LIMIT {HINTS_MAX}")]
    for at in range(0, len(ids), 1000):
        stack.redis("LPUSH", f"millrace:work:{workspace.id}", *ids[at:at + 1000])
    stack.redis("ZADD", "millrace:work", "NX", str(seed), workspace.id)


def ended_by_window(stack, workspaces):
    """By window, the numbers of runs that ended: of each workspace, the large one first."""
    places = {w.id: i for i, w in enumerate(workspaces)}
    found = [(r[0], int(r[1]), int(r[2])) for r in
             stack.sql(f"SELECT workspace_id, ended_ms DIV {WINDOW_S * 1000}, COUNT(*) FROM executions WHERE state >= 3 GROUP BY 1, 2")]
    first = min(w for _, w, _ in found)
    windows = [[0] * len(workspaces) for _ in range(max(w for _, w, _ in found) - first + 1)]
    for workspace, window, n in found:
        if workspace in places:
            windows[window - first][places[workspace]] = n
    return windows


def measure(stack):
    stack.stop_server("executor")
    workspaces = [stack.workspace(credits=1000000) for _ in range(WORKSPACES + 1)]
    for seed, workspace in enumerate(workspaces, 1):
        queue(stack, workspace, MOST if seed == 1 else EACH, seed)
    stack.start_server("executor")
    began = time.monotonic()
    eventually(lambda: time.monotonic() - began > SECONDS, SECONDS + 10, "the end of the measurement")
    windows = ended_by_window(stack, workspaces)
    whole, done = [], windows[0]
    for w in windows[1:-1]:  # the first and the last are not whole, and the second is not steady
        done = [a + b for a, b in zip(done, w, strict=True)]
        if max(done[1:]) == EACH:
            break
        whole.append(w)
    whole = whole[1:]
    least, most = 1, 1
    for w in whole:
        fair = sum(w) / len(w)
        least, most = min(least, min(w[1:]) / fair), max(most, max(w[1:]) / fair)
        print(json.dumps({"runs": sum(w), "fair": round(fair, 1), "least": min(w[1:]), "most": max(w[1:]), "large": w[0]}), file=sys.stderr)
    assert whole, "no whole window: measure longer"
    return {"runs_per_s": round(sum(map(sum, whole)) / len(whole) / WINDOW_S), "least": round(least, 3), "within": round(min(least, 2 - most), 3)}


bench_stack.run({"executor.processes": "2"}, measure, least={"within": 0.8})
