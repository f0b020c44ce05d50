"""Runs of large programs that no executor has compiled: 40 workflows of 350 KB each, two runs of each."""

LARGE = {"steps": [{"name": f"s{n}", "type": "transform", "value": [{"n": i, "of": f"{n}"} for i in range(100)]} for n in range(150)]}


def test_large_programs(attacker, beside):
    workflows = [attacker.put_workflow(LARGE) for _ in range(40)]
    client = attacker.client()
    runs = []

    class Attack:
        def __enter__(self):
            runs.extend(client.started(workflow, {}) for workflow in workflows for _ in range(2))

        def __exit__(self, *_):
            pass
    beside(Attack())
    for run in runs:
        ended = client.finished(run, 60)
        assert ended["status"] == "success", ended
