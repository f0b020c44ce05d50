"""The examples of docs/workflows.md run as they are printed, with the hosts of a test in the place of theirs."""
import json

import requests

from stack import ROOT, eventually

SETTINGS = {"executor.processes": "2"}


def example(name, hosts):
    text = (ROOT / "examples" / name).read_text()
    for host, url in hosts.items():
        assert host in text
        text = text.replace(host, url)
    return json.loads(text)


def put(client, document):
    answer = client.post("/workflows", json=document)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def test_approval_by_mail(stack, workspace, client, effects):
    for name, value in (("millrace-key", workspace.key("workflows:execute")["key"]), ("mail-key", "of-the-mail-server")):
        stack.cli("secret", "set", "--workspace", workspace.id, name, text=value)
    flow = put(client, example("approval.json", {"https://millrace.example.com": stack.url, "https://mail.example.com": effects.url}))
    id = client.started(flow, {"amount": 12.5, "approver": "ada@example.com"})
    effects.wait_for("/send")
    mail = json.loads([c for c in effects.calls if c["path"] == "/send"][0]["body"])
    url = mail["text"].rsplit(" ", 1)[1]
    assert mail["to"] == "ada@example.com" and url.startswith(stack.url + "/answer/")
    page = requests.get(url, timeout=60)
    assert page.status_code == 200 and "Pay 12.5 EUR?" in page.text
    assert requests.post(url, data={"choice": "0"}, timeout=60).status_code == 200
    assert client.finished(id)["detail"]["output"] == {"paid": True, "by": "ada@example.com"}
    assert stack.cli("audit")["violations"] == []


def test_fan_out_over_1000_items_with_a_webhook(stack, workspace, client, effects):
    effects.answer("/orders/7/state", 404)
    flow = put(client, example("fan-out.json", {"https://shop.example.com": effects.url}))
    answer = client.post(f"/workflows/{flow}/run-async", json={"inputs": {"orders": list(range(1, 1001))},
                                                               "webhook": {"url": effects.url + "/done", "events": ["execution.succeeded", "execution.failed"]}})
    assert answer.status_code == 202, answer.text
    effects.wait_for("/done", seconds=120)
    results = client.finished(answer.json()["execution_id"])["detail"]["output"]["results"]
    assert len(results) == 1000 and [i for i, r in enumerate(results) if "error" in r] == [6]
    eventually(lambda: effects.count("/done") == 1, 30)
    assert stack.cli("audit")["violations"] == []
