"""The attacker's account row is held for as long as the attack lasts, while the attacker starts runs."""
import contextlib
import json
import subprocess

import pytest

from victim import Attacker


@pytest.mark.parametrize("bytes", [0, 100000], ids=["in_batches", "alone"])  # more than 72 KiB does not fit into a batch
def test_a_locked_account_stalls_only_its_own_workspace(stack, attacker, beside, bytes):
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    client, statuses, body = attacker.client(), [], json.dumps({"inputs": {"x": "x" * bytes}})

    def work(_):
        answer = client.session.post(f"{client.base}/workflows/{workflow}/run-async", data=body, headers={"Content-Type": "application/json"}, timeout=70)
        statuses.append(answer.status_code)

    @contextlib.contextmanager
    def locked():
        lock = subprocess.Popen(["mariadb", "--no-defaults", "--socket", str(stack.dir / "sockets/mariadb.sock"), "--batch", "--unbuffered", "--skip-column-names", "millrace"],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        lock.stdin.write(f"SET idle_transaction_timeout=0; BEGIN; SELECT 1 FROM accounts WHERE workspace_id = '{attacker.id}' FOR UPDATE;\n")
        lock.stdin.flush()
        assert lock.stdout.readline().strip() == "1"
        try:
            with Attacker(work, threads=8) as a:
                yield a
        finally:
            lock.stdin.close()
            lock.wait(10)
    beside(locked())
    assert set(statuses) <= {202, 429, 503, 504}, set(statuses)  # 429: the attacker's own rate limit
