"""A backlog drains as fast as the executors can, whatever the hints in Redis say, and no workspace's backlog delays another's run."""
import uuid

import pytest
import rows
from stack import ROOT, eventually

pytestmark = pytest.mark.serial
# Few slots: a scan that came once a second would claim 16 runs a second.
SETTINGS = {"executor.processes": "2", "executor.max_active": "8"}
PURE = {"steps": [{"name": "a", "type": "transform", "value": 1}]}
RUNS = 3000


@pytest.fixture
def paused(stack):
    stack.stop_server("executor")
    yield stack
    if not stack.pid("executor"):
        stack.start_server("executor")


def queue(stack, workspace, runs, seed):
    workflow = workspace.put_workflow(PURE)
    rows.insert(stack.sql_long, workspace.id, workflow, runs, rows.days_ago(0), seed=seed, state="1")
    return workflow


def queued(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}' AND state < 3"))


def lie(stack, workspace):
    """Hints that name runs of nobody, more than there are runs, and a workspace that does not exist."""
    for ws in (workspace.id, str(uuid.uuid4())):
        for _ in range(5):
            stack.redis("LPUSH", f"millrace:work:{ws}", *(str(uuid.uuid4()) for _ in range(1000)))
        stack.redis("ZADD", "millrace:work", "1", ws)


@pytest.mark.parametrize("hints", ["lost", "lying"])
def test_backlog_drains_without_waiting_for_a_timer(paused, hints):
    stack, workspace = paused, paused.workspace(credits=100000)
    workflow = queue(stack, workspace, RUNS, seed=1 if hints == "lost" else 2)
    if hints == "lying":
        lie(stack, workspace)
    stack.start_server("executor")
    eventually(lambda: queued(stack, workspace) == 0, 60, "end of all runs")
    ended = stack.sql(f"SELECT state, attempt, COUNT(*) FROM executions WHERE responder_id = '{workflow}' GROUP BY state, attempt")
    assert ended == [["3", "0", str(RUNS)]], ended


def test_backlog_drains_beside_workspaces_whose_runs_cannot_be_claimed(paused):
    """Their only runs are left to executors of a later version for a minute. There are more such workspaces than places in a scan."""
    stack, workspace = paused, paused.workspace(credits=100000)
    for n in range(20):
        left = queue(stack, stack.workspace(credits=10), 1, seed=10 + n)
        stack.sql(f"UPDATE workflow_versions SET program = REPLACE(program, '\"transform\"', '\"unknown\"') WHERE workflow_id = '{left}'")
    queue(stack, workspace, RUNS, seed=30)
    stack.start_server("executor")
    eventually(lambda: queued(stack, workspace) == 0, 60, "end of all runs")


def test_a_run_is_claimed_in_its_turn_beside_another_workspace_s_backlog(paused):
    stack = paused
    large, small = stack.workspace(credits=100000), stack.workspace(credits=100)
    backlog = queue(stack, large, 2000, seed=3)
    workflow = queue(stack, small, 1, seed=4)
    stack.start_server("executor")
    eventually(lambda: queued(stack, large) + queued(stack, small) == 0, 60, "end of all runs")
    before = int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE responder_id = '{backlog}' AND "
                               f"started_ms < (SELECT started_ms FROM executions WHERE responder_id = '{workflow}')"))
    # in the first round of one of the two processes; the other may have claimed a few times by then
    assert before < 200, before


WORK = "test:work"


def push(stack, *groups, most=10000):
    """Groups of a workspace and its ids. Returns how many ids were added."""
    words = [word for workspace, ids in groups for word in (workspace, str(len(ids)), *ids)]
    return stack.redis("EVAL", (ROOT / "lua/queue_push.lua").read_text(), "1", WORK, str(most), *words)


def take(stack, wanted):
    """What one claim thread takes. The ids are "WORKSPACE-NUMBER"."""
    return take_short(stack, wanted)[1]


def take_short(stack, wanted):
    """The same, after the number of those that were taken because their lists are short."""
    popped, score = stack.redis("ZPOPMIN", WORK)
    short, *taken = stack.redis("EVAL", (ROOT / "lua/queue_take.lua").read_text(), "1", WORK, str(wanted), popped, score)
    return int(short), [i for i in taken if i]


def scores(stack):
    listed = stack.redis("ZRANGE", WORK, "0", "-1", "WITHSCORES")
    return dict(zip(listed[::2], map(float, listed[1::2]), strict=True)) if listed != [""] else {}


@pytest.fixture
def hints(stack):
    yield stack
    stack.redis("DEL", WORK, *(f"{WORK}:{w}" for w in ["new", *(f"w{n:02}" for n in range(80))]))


def test_workspaces_with_short_lists_come_first(hints):
    stack = hints
    for n in range(80):
        push(stack, (f"w{n:02}", [f"w{n:02}-{i}" for i in range(200)]))
    while any(score < 0 for score in scores(stack).values()):
        take(stack, 64)  # each list is found to be long once
    push(stack, ("new", ["new-1", "new-2"]))
    short, taken = take_short(stack, 8)
    assert (short, taken[:2], len(taken)) == (2, ["new-1", "new-2"], 8)
    assert "new" not in scores(stack), "its list is empty"
    push(stack, ("new", [f"new-{i}" for i in range(40)]))
    taken = take(stack, 16)
    assert [i for i in taken if i.startswith("new-")] == [f"new-{i}" for i in range(8)], taken
    assert len({i[:3] for i in taken}) == 9, "the other half is of eight workspaces with long lists"
    assert scores(stack)["new"] < 0, "its list is still short"


def test_without_long_lists_all_are_short(hints):
    stack = hints
    for n in range(20):
        push(stack, (f"w{n:02}", [f"w{n:02}-{i}" for i in range(10)]))
    short, taken = take_short(stack, 16)
    assert (short, len(taken)) == (16, 16)


def test_workspaces_with_long_lists_have_equal_shares(hints):
    stack = hints
    for n in range(80):
        push(stack, (f"w{n:02}", [f"w{n:02}-{i}" for i in range(200)]))
    while any(score < 0 for score in scores(stack).values()):
        take(stack, 64)
    given = [i[:3] for _ in range(80) for i in take(stack, 10)]
    assert {given.count(f"w{n:02}") for n in range(80)} == {10}


def test_no_hint_is_lost_or_given_twice(hints):
    stack = hints
    for n in range(1, 80):
        push(stack, (f"w{n:02}", [f"w{n:02}-{i}" for i in range(n)]))
    taken = []
    while scores(stack):
        taken += take(stack, 1 + len(taken) % 7)
    assert sorted(taken) == sorted(f"w{n:02}-{i}" for n in range(80) for i in range(n))


def test_full_list_takes_no_hints(hints):
    stack = hints
    assert push(stack, ("w01", ["a", "b"]), ("w02", ["c"]), ("w01", ["d", "e"]), most=3) == 4
    assert stack.redis("LRANGE", f"{WORK}:w01", "0", "-1") == ["d", "b", "a"]
    assert push(stack, ("w01", ["f"]), most=3) == 0
    assert sorted(take(stack, 8)) == ["a", "b", "c", "d"]
    assert scores(stack) == {}
