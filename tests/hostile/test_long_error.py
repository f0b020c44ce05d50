"""A `fail` step with a message of 100 KB: one attempt, and the documented reason."""


def test_a_long_error_ends_the_run_once(stack, attacker, beside):
    workflow = attacker.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "${/inputs/m}"}]})
    client = attacker.client()
    runs = []

    class Attack:
        def __enter__(self):
            runs.extend(client.started(workflow, {"m": "\u00e9\u0001" * 35000}) for _ in range(5))

        def __exit__(self, *_):
            pass
    beside(Attack())
    for run in runs:
        ended = client.finished(run)
        assert ended["status"] == "failed" and ended["failure_reason"] == "step_failed", ended
        assert ended["error"] and len(ended["error"]) <= 8192
        assert stack.sql_one(f"SELECT losses FROM executions WHERE id = '{run}'") == "0"
