"""A schema whose 2,000 references compare the inputs with a constant of 50,000 numbers."""
import json

from victim import Attacker

NUMBERS = list(range(50000))
SCHEMA = {"$defs": {"c": {"const": NUMBERS}}, "properties": {"l": {"allOf": [{"$ref": "#/$defs/c"}] * 2000}}}


def test_constants_behind_many_references(attacker, beside):
    workflow = attacker.put_workflow({"inputs": SCHEMA, "steps": [{"name": "a", "type": "transform", "value": 1}]})
    client, body, statuses = attacker.client(), json.dumps({"inputs": {"l": NUMBERS}}), []

    def work(_):
        answer = client.session.post(f"{client.base}/workflows/{workflow}/run-async", data=body, timeout=70,
                                     headers={"Content-Type": "application/json"})
        statuses.append((answer.status_code, answer.text[:300]))
    four = beside(Attacker(work, threads=4))
    assert not four.errors and statuses
    assert all(status in (202, 422, 429) for status, _ in statuses), statuses[:3]
