"""Requests whose inputs make `uniqueItems` compare 40,000 objects: nearly the 1 MiB that a body may have."""
import json

from victim import Attacker

ITEMS = [{"a": n, "b": [n]} for n in range(40000)]


def test_unique_items_of_many_objects(attacker, beside):
    workflow = attacker.put_workflow({"inputs": {"properties": {"l": {"uniqueItems": True}}},
                                      "steps": [{"name": "a", "type": "transform", "value": 1}]})
    client, body, statuses = attacker.client(), json.dumps({"inputs": {"l": ITEMS}}, separators=(",", ":")), []

    def work(_):
        answer = client.session.post(f"{client.base}/workflows/{workflow}/run-async", data=body, timeout=70,
                                     headers={"Content-Type": "application/json"})
        statuses.append((answer.status_code, answer.text[:300]))
    with_four = beside(Attacker(work, threads=4))
    assert not with_four.errors and statuses
    # The attacker's request succeeds or is rejected with the name of the limit; it never causes a 5xx.
    assert all(status in (202, 422, 429) for status, _ in statuses), statuses[:3]
    assert all("limit" in text for status, text in statuses if status == 422), statuses[:3]
