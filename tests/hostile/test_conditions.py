"""Conditions that search long lists: `in` over 60,000 integers, 300 times a step, 60 steps."""


def test_conditions_over_long_lists(attacker, beside):
    question = {"or": [{"in": ["x", "${/inputs/l}"]}] * 300}
    workflow = attacker.put_workflow({"steps": [{"name": f"s{n}", "type": "transform", "value": n, "if": question} for n in range(60)]})
    client = attacker.client()
    runs = []

    class Attack:
        def __enter__(self):
            runs.extend(client.started(workflow, {"l": list(range(60000))}) for _ in range(4))

        def __exit__(self, *_):
            pass
    beside(Attack())
    for run in runs:
        ended = client.finished(run, 60)
        # Either the evaluation was within the budget, or the step's error names the limit.
        assert ended["status"] == "success" or ended["failure_reason"] == "limit_exceeded", ended
