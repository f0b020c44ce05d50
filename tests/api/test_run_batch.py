"""run-batch: many runs by one request, each item for itself, and its repetition after a crash."""
import concurrent.futures
import json

import pytest
import requests

from stack import eventually, within

PROGRAM = {"inputs": {"type": "object", "properties": {"n": {"type": "integer"}}},
           "steps": [{"name": "a", "type": "transform", "value": 1}]}
SETTINGS = {"api.rate_limit_per_minute": "1000000"}


@pytest.fixture
def workflow(workspace):
    return workspace.put_workflow(PROGRAM)


def batch(client, workflow, items, key=None):
    headers = {"Idempotency-Key": key} if key else {}
    return client.post(f"/workflows/{workflow}/run-batch", json={"items": items}, headers=headers)


def results(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["results"]


def runs(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'"))


def problem(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


@pytest.mark.parametrize("key", [None, "k"])
def test_results_come_in_the_order_of_the_items(stack, workspace, client, workflow, key):
    items = [{"inputs": {"n": n if n % 7 else "x"}, "metadata": {"n": n}} for n in range(300)]
    found = results(batch(client, workflow, items, key))
    assert [r["status"] for r in found] == [202 if n % 7 else 422 for n in range(300)]
    assert found[0]["code"] == "invalid_inputs" and found[0]["errors"][0]["pointer"] == "/inputs/n"
    ids = [r["execution_id"] for r in found if r["status"] == 202]
    assert ids == sorted(set(ids))
    for n in (1, 255, 256, 299):
        assert client.execution(found[n]["execution_id"])["metadata"] == {"n": n}
    client.finished(ids[-1])
    assert runs(stack, workspace) == len(ids)


def test_a_repetition_returns_the_same_bytes(stack, workspace, client, workflow):
    items = [{"inputs": {"n": n}} for n in range(100)]
    first = batch(client, workflow, items, "k")
    again = batch(client, workflow, items, "k")
    assert again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
    assert runs(stack, workspace) == 100 == 1000 - workspace.balance()
    problem(batch(client, workflow, items[1:], "k"), 422, "idempotency_key_reused")
    problem(client.run(workflow, key="k"), 422, "idempotency_key_reused")
    client.delete(f"/workflows/{workflow}")
    assert batch(client, workflow, items, "k").content == first.content
    # the version may be cached for a second: then each item finds out by itself
    soon = batch(client, workflow, items, "other")
    assert soon.status_code == 404 or {r["status"] for r in results(soon)} == {404}
    eventually(lambda: batch(client, workflow, items).status_code == 404, 10, "the cached version expires")
    assert runs(stack, workspace) == 100


def test_credits_that_run_out_reject_the_later_items(stack, workspace, client, workflow):
    found = results(batch(client, workflow, [{}] * 1100, "k"))
    assert [r["status"] for r in found] == [202] * 1000 + [402] * 100
    assert found[-1]["code"] == "insufficient_credits" and workspace.balance() == 0


def item_counts(stack):
    text = requests.get(stack.url + "/metrics", timeout=10).text
    return [int(text.split(f'millrace_batch_items_total{{result="{r}"}} ')[1].split("\n")[0]) for r in ("accepted", "replayed", "rejected")]


def test_items_are_counted_by_result(stack, client, workflow):
    before = item_counts(stack)
    items = [{"inputs": {"n": 1}}, {"inputs": {"n": 1}, "idempotency_key": "one"}, {"inputs": {"n": "x"}}]
    for key in ("a", "b", "b"):
        results(batch(client, workflow, items, key))
    assert [now - then for now, then in zip(item_counts(stack), before)] == [3, 1, 2]


def test_keys_of_items(stack, workspace, client, workflow):
    problem(batch(client, workflow, [], "b"), 400, "invalid_request")
    assert client.run(workflow, key="single").status_code == 202
    items = [{"idempotency_key": "a", "inputs": {"n": 1}}, {"idempotency_key": "a", "inputs": {"n": 1}},
             {"idempotency_key": "a", "inputs": {"n": 2}}, {"idempotency_key": "single"}, {"idempotency_key": "b"},
             {"idempotency_key": ""}, {"idempotency_key": 5}, {"unknown": 1}]
    found = results(batch(client, workflow, items, "b"))
    assert [r["status"] for r in found] == [202, 202, 422, 422, 422, 400, 400, 400]
    assert found[1] == {"status": 202, "execution_id": found[0]["execution_id"], "replayed": True}
    again = results(batch(client, workflow, items[:1], "c"))
    assert again == [found[1]]
    problem(client.run(workflow, {"n": 1}, key="a"), 422, "idempotency_key_reused")
    assert runs(stack, workspace) == 2


@pytest.mark.parametrize("body, status, code", [
    (b"", 400, "invalid_json"), (b"{}", 400, "invalid_json"), (b"[]", 400, "invalid_json"), (b'{"items":5}', 400, "invalid_json"),
    (b'{"items":[{}', 400, "invalid_json"), (b'{"items":[{},]}', 400, "invalid_json"), (b'{"items":[{}]}x', 400, "invalid_json"),
    (b'{"items":[{}],"items":[{}]}', 400, "invalid_json"), (b'{"items":[{}],"x":1}', 400, "invalid_json"),
    (b'{"items":["\\', 400, "invalid_json"), (b'{"items":[' + b"{}," * 10000 + b"{}]}", 400, "invalid_request"),
    (b'{"items":[{}]}' + b" " * (8 << 20), 413, "body_too_large")])
def test_a_body_that_cannot_be_split_is_refused(stack, workspace, client, workflow, body, status, code):
    problem(client.post(f"/workflows/{workflow}/run-batch", data=body, headers={"Content-Type": "application/json"}), status, code)
    assert runs(stack, workspace) == 0


def test_an_item_that_is_no_json_object(client, workflow):
    body = b'{"items" : [ {} , nonsense, [1], {"inputs":{"n":1e}}, null, {"inputs":{"n":1,"n":2}} , {"inputs":null} ] }'
    found = results(client.post(f"/workflows/{workflow}/run-batch", data=body, headers={"Content-Type": "application/json"}))
    assert [r["status"] for r in found] == [202, 400, 400, 400, 400, 400, 202]


def test_a_body_of_eight_mebibytes(stack, workspace, client, workflow):
    items = [{"metadata": {"x": "y" * 800000}}] * 10
    body = json.dumps({"items": items}).encode()
    body += b" " * ((8 << 20) - len(body))
    answer = client.post(f"/workflows/{workflow}/run-batch", data=body, headers={"Content-Type": "application/json"})
    assert [r["status"] for r in results(answer)] == [202] * 10


def test_parallel_repetitions_accept_each_item_once(stack, workspace, client, workflow):
    key = client.key

    def send(_):
        return requests.post(f"{stack.url}/api/v1/workflows/{workflow}/run-batch", json={"items": [{}] * 300}, timeout=60,
                             headers={"Authorization": f"Bearer {key}", "Idempotency-Key": "k"})
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert {a.status_code for a in answers} <= {200, 503}
    last = batch(client, workflow, [{}] * 300, "k")
    assert {a.content for a in answers if a.status_code == 200} <= {last.content}
    assert len({r["execution_id"] for r in results(last)}) == 300 == runs(stack, workspace) == 1000 - workspace.balance()


def test_each_item_takes_one_request_of_the_rate_limit(stack):
    workspace = stack.workspace(rate_limit_per_minute=70)
    found = results(batch(workspace.client(), workspace.put_workflow(PROGRAM), [{}] * 200, "k"))
    statuses = [r["status"] for r in found]
    accepted = statuses.count(202)
    assert 0 < accepted <= 70 and statuses == [202] * accepted + [429] * (200 - accepted)
    assert found[-1]["code"] == "rate_limited"
    assert runs(stack, workspace) == accepted


def test_the_concurrency_limit_rejects_later_items(stack, workspace, client):
    slow = workspace.put_workflow({"steps": [{"name": "a", "type": "delay", "seconds": 3600}]})
    stack.set_up("workspace", "set", "--workspace", workspace.id, "--max-concurrent", "70")
    found = results(batch(client, slow, [{}] * 100))
    assert [r["status"] for r in found] == [202] * 70 + [429] * 30
    assert found[-1]["code"] == "concurrency_limited"


def counted(client, id):
    answer = client.get(f"/batches/{id}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("key", [None, "k"])
def test_a_batch_counts_and_lists_its_runs(stack, workspace, client, key):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "if": "${/inputs/bad}", "message": "no"},
                                                 {"name": "b", "type": "delay", "if": "${/inputs/slow}", "seconds": 600}]})
    kinds = [{}, {"bad": True}, {"slow": True}]
    other = batch(client, workflow, [{"inputs": {}}] * 3).json()
    answer = batch(client, workflow, [{"inputs": kinds[n % 3], "tags": [f"t{n % 2}"]} for n in range(150)] + [{"inputs": 5}], key).json()
    single = client.started(workflow, {})
    id, ids = answer["batch_id"], [r["execution_id"] for r in answer["results"] if r["status"] == 202]
    counts = {"queued": 0, "running": 50, "succeeded": 50, "failed": 50, "stopped": 0}
    found = eventually(lambda: (c := counted(client, id))["counts"] == counts and c, 30, "the ends of the short runs")
    assert found["status"] == "running" and found["accepted"] == 150 and found["items"] == (151 if key else None)
    assert found["workflow_id"] == workflow and found["batch_id"] == id

    def listed(**filters):
        seen, after = [], {}
        while True:
            page = client.get("/executions", params={"batch_id": id, "limit": 100, **filters, **after}).json()
            seen += [x["id"] for x in page["executions"]]
            if not page["has_more"]:
                return seen
            after = {"after": page["next_cursor"]}
    assert listed() == ids[::-1] and single not in ids
    assert listed(state="failed") == ids[1::3][::-1] == listed(state="failed", workflow_id=workflow)
    assert listed(status="running") == ids[2::3][::-1]
    assert listed(tag="t1") == ids[1::2][::-1] and listed(tag="t2") == []
    assert listed(parentId=ids[0]) == [] and listed(created_before="2020-01-01") == []
    assert [x["id"] for x in client.get("/executions", params={"batch_id": id, "pageNumber": 2, "pageSize": 40}).json()["executions"]] \
        == ids[::-1][40:80]
    for run in ids[2::3]:
        client.post(f"/executions/{run}/stop")
    assert counted(client, id) == {**found, "status": "finished", "counts": {**counts, "running": 0, "stopped": 50}}
    assert counted(client, other["batch_id"])["accepted"] == 3


def test_a_batch_of_another_workspace_or_none_is_not_found(stack, client, workflow):
    id = batch(client, workflow, [{"inputs": {"n": 1}}], "k").json()["batch_id"]
    foreign = stack.workspace().client()
    for someone, what in ((foreign, id), (client, workflow), (client, client.started(workflow)), (client, "x")):
        problem(someone.get(f"/batches/{what}"), 404, "not_found")
    assert foreign.get("/executions", params={"batch_id": id}).json()["executions"] == []
    assert client.get("/executions", params={"batch_id": "x"}).status_code == 400


def test_a_batch_that_was_cut_off_is_accepting(stack, workspace, client, workflow):
    id = batch(client, workflow, [{"inputs": {"n": n}} for n in range(3)], "k").json()["batch_id"]
    assert counted(client, id)["status"] in ("running", "finished")
    stack.sql(f"UPDATE batches SET accepted = NULL, results = NULL WHERE id = '{id}'")
    assert counted(client, id)["status"] == "accepting"
    assert results(batch(client, workflow, [{"inputs": {"n": n}} for n in range(3)], "k"))
    eventually(lambda: counted(client, id)["status"] == "finished", 20, "the end of the batch")


def test_others_are_served_while_a_batch_is_accepted(stack, workspace, client, workflow):
    """Nothing is held between two transactions of a batch: single runs, also those of its own workspace, are accepted before it ends."""
    workspace.grant(100000)
    stranger = stack.workspace(credits=100000)
    theirs = stranger.put_workflow(PROGRAM)
    other = stranger.client()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(batch, client, workflow, [{"inputs": {"n": n}} for n in range(4000)])
        served = {"other": 0, "own": 0}
        while not answer.done():
            for name, someone, what in (("other", other, theirs), ("own", client, workflow)):
                someone.started(what)
                served[name] += not answer.done()
    assert answer.result().json()["accepted"] > 0
    assert min(served.values()) > 0, served


def test_expired_batches_are_removed_in_one_go(stack, workspace):
    """As many as tenants can create: the task goes on while rows are left, and does not wait for its next turn."""
    for _ in range(45):
        stack.sql("INSERT INTO batches (id, workspace_id, responder_id, items, first_item_id, last_item_id, expires_ms) "
                  f"VALUES (UUID(), '{workspace.id}', UUID(), 1, UUID(), UUID(), 1)")
    left = lambda: int(stack.sql_one("SELECT COUNT(*) FROM batches WHERE expires_ms = 1"))
    stack.until_upkeep("expire_batches", lambda: left() < 45, 30, "the beginning of the removal")
    within(lambda: left() == 0, 8, "removal of all")  # its turns are 10 s apart
