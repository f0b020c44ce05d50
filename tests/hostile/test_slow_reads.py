"""Lists by a tag that 100,000 executions have and a status that none of them has: each reads all of them."""
import pathlib
import sys

from victim import Attacker

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "api"))
import rows  # noqa: E402

EXECUTIONS = 100000


def test_lists_that_read_many_rows(stack, attacker, beside):
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    rows.insert(stack.sql_long, attacker.id, workflow, EXECUTIONS, rows.days_ago(1), tags=("t",))
    client, statuses = attacker.client(), []

    def work(_):
        answer = client.session.get(f"{client.base}/executions?tag=t&status=failed&limit=100", timeout=70)
        statuses.append((answer.status_code, answer.text[:300]))
    with_threads = beside(Attacker(work, threads=16))
    assert not with_threads.errors and statuses
    # A read is answered, or waits for its turn in vain; it ends after max_statement_time at the latest.
    assert all(status in (200, 429, 503) for status, _ in statuses), statuses[:3]
    assert any(status == 200 for status, _ in statuses), statuses[:3]
