"""The attacker has a chain of 1,000 workflows, each calling the one before, and keeps putting a workflow of 200 steps that all call
its head, while it starts runs in the same workspace."""
import getpass
import uuid

import pymysql

from victim import Attacker

CHAIN = 1000


def chain(stack, workspace, first):
    """Rows, because 1,000 requests would take the rate limit of two minutes."""
    ids = [first] + [str(uuid.uuid4()) for _ in range(CHAIN - 1)]
    with pymysql.connect(unix_socket=f"{stack.dir}/sockets/mariadb.sock", user=getpass.getuser(), database="millrace", autocommit=True) as db, db.cursor() as c:
        c.executemany("INSERT INTO workflows (id, workspace_id, name, description, version, created_by, created_ms, updated_ms) VALUES (%s, %s, 'w', '', 1, %s, 0, 0)",
                      [(w, workspace.id, workspace.id) for w in ids[1:]])
        c.executemany("INSERT INTO workflow_calls (workflow_id, child_id) VALUES (%s, %s)", list(zip(ids[1:], ids)))
    return ids[-1]


def test_a_put_that_walks_a_long_chain_of_calls(stack, attacker, beside):
    one = attacker.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    head = chain(stack, attacker, one)
    program = {"steps": [{"name": f"s{n}", "type": "workflow", "workflow_id": head} for n in range(200)]}
    target = attacker.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    client, statuses = attacker.client(), []

    def work(n):
        if n == 0:
            answer = client.session.put(f"{client.base}/workflows/{target}", json={"name": "t", "program": program}, timeout=70)
        else:
            answer = client.session.post(f"{client.base}/workflows/{one}/run-async", timeout=70)
        statuses.append((n, answer.status_code))
    beside(Attacker(work, threads=2))
    assert (0, 200) in statuses, statuses[:5]
    assert {status for _, status in statuses} <= {200, 202, 429}, set(statuses)
