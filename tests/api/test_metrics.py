"""GET /metrics: every metric is documented, OpenMetrics is negotiated, and what happens is counted."""
import importlib.machinery
import importlib.util
import json
import re
import subprocess

import pytest
import requests
import yaml

from events import Stream
from stack import ROOT, eventually, free_port

SETTINGS = {"api.metrics_workspaces": "2"}
OPEN = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}


def read(stack, headers=None):
    answer = requests.get(stack.url + "/metrics", headers=headers, timeout=10)
    assert answer.status_code == 200
    return answer


def sample(stack, line):
    """The value of one series, or 0."""
    found = re.search("^" + re.escape(line) + r" (\S+)", read(stack).text, re.M)
    return float(found[1]) if found else 0


def families(text):
    return dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))


def test_each_request_that_starts_a_run_is_counted_by_its_outcome(stack, workspace, client):
    name = 'millrace_accept_seconds_count{outcome="%s"}'
    before = {o: sample(stack, name % o) for o in ("accepted", "replayed", "rejected", "unavailable")}
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    for _ in range(2):
        client.post(f"/workflows/{workflow}/run-async", json={}, headers={"Idempotency-Key": "once"})
    client.post(f"/workflows/{workflow}/run-async", json={"input": 1, "nothing": 2})
    client.post(f"/workflows/{workflow}/run-async", data="{")
    eventually(lambda: {o: sample(stack, name % o) - n for o, n in before.items()}
               == {"accepted": 1, "replayed": 1, "rejected": 2, "unavailable": 0}, 15, "the outcomes")
    assert sample(stack, "millrace_accept_batch_runs_count") == sample(stack, "millrace_accept_batches_total") > 0


def test_openmetrics_is_served_to_those_who_ask(stack, workspace, client):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    id = client.started(workflow)
    traced = client.post(f"/workflows/{workflow}/run-async", json={}, headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"}).json()
    plain, opened = read(stack), read(stack, OPEN)
    assert plain.headers["Content-Type"].startswith("text/plain; version=0.0.4") and "# EOF" not in plain.text and " # {" not in plain.text
    assert opened.headers["Content-Type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    assert opened.text.endswith("\n# EOF\n") and opened.text.count("# EOF") == 1
    eventually(lambda: re.search(r'^millrace_accept_seconds_bucket\{outcome="accepted",le="[^"]+"\} \d+ # \{execution_id="[^"]+",trace_id="[0-9a-f]{32}"\} \d+\.\d+ \d+\.\d+$',
                                 read(stack, OPEN).text, re.M), 15, "an exemplar")
    named = dict(re.findall(r'# \{execution_id="([^"]+)",trace_id="([0-9a-f]{32})"\}', read(stack, OPEN).text))
    traced_id = traced.get("execution_id") or traced["id"]
    assert id in named or traced_id in named
    assert named.get(traced_id, trace) == trace
    assert "# TYPE millrace_requests counter\n" in opened.text and "# TYPE millrace_requests_total counter\n" in plain.text
    for accept in ("text/plain", "*/*", "application/openmetrics-text;q=0", "text/plain, application/openmetrics-text;q=0.2"):
        assert read(stack, {"Accept": accept}).headers["Content-Type"].startswith("text/plain"), accept
    for text in (plain.text, opened.text):  # the lines of a metric stand together, and no line stands twice
        seen, last = set(), None
        for line in text.splitlines():
            family = line.split()[2] if line.startswith("# TYPE") else last
            if line.startswith("# TYPE"):
                assert family not in seen, family
                seen.add(family)
            elif not line.startswith("#"):
                assert line.startswith(family), (family, line)
            last = family
        series = [line.split(" # ")[0].rsplit(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
        assert len(series) == len(set(series))


def test_money_that_moves_is_counted_and_outlives_the_processes(stack, workspace, client):
    def counted():
        return sample(stack, 'millrace_ledger_microcredits_total{kind="debit"}')

    def written():
        return int(stack.sql_one("SELECT COALESCE(-SUM(amount), 0) FROM credit_ledger WHERE kind = 2"))
    before = written()
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "fail", "message": "no"}]})
    client.finished(client.started(workflow))
    moved = written()
    assert moved > before
    eventually(lambda: counted() == moved, what="each debit, also of earlier tests, is counted")
    stack.restart_server("api")
    stack.restart_server("executor")
    assert counted() == moved


def test_steps_and_commits_are_timed(stack, workspace, client):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}, {"name": "b", "type": "fail", "message": "no"}]})
    client.finished(client.started(workflow))
    for line in ('millrace_step_seconds_count{type="transform",outcome="completed"}', 'millrace_step_seconds_count{type="fail",outcome="failed"}',
                 'millrace_commit_seconds_count{program="api"}', 'millrace_commit_seconds_count{program="executor"}'):
        eventually(lambda: sample(stack, line) > 0, 15, line)


def test_only_the_busiest_workspaces_are_shown(stack, effects):
    release = effects.hold("/held")
    busy = [stack.workspace() for _ in range(3)]
    wait = {"steps": [{"name": "a", "type": "wait", "signal": "go"}]}
    for n, workspace in enumerate(busy):
        client, workflow = workspace.client(), workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "GET", "url": effects.url + "/held"}}]})
        for _ in range(n + 1):
            client.started(workflow)
    eventually(lambda: re.findall(r'^millrace_workspace_runs\{workspace="([^"]+)",state="queued"\}', read(stack).text, re.M), 15, "a workspace")
    assert len(set(re.findall(r'^millrace_workspace_runs\{workspace="([^"]+)"', read(stack).text, re.M))) <= 2
    release()


def test_what_is_in_flight_is_shown(stack, workspace, client, effects):
    release = effects.hold("/held")
    try:
        workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "http", "request": {"method": "POST", "url": effects.url + "/held"}}]})
        execution = client.started(workflow)
        stream = Stream(f"{stack.url}/api/v1/executions/{execution}/events", client.key)
        assert sample(stack, "millrace_stream_up") == 1
        for line in ('millrace_streams{kind="events"}', 'millrace_host_pool_in_use{pool="streams"}', 'millrace_pool_in_use{pool="executor_http"}'):
            eventually(lambda: sample(stack, line) >= 1, 30, line)
        assert sample(stack, 'millrace_host_pool_size{pool="streams"}') == 20000 and sample(stack, 'millrace_pool_size{pool="executor_http"}') >= 4096
    finally:
        release()
    client.finished(execution)
    stream.end()
    for line in ('millrace_streams{kind="events"}', 'millrace_pool_in_use{pool="executor_http"}'):
        eventually(lambda: sample(stack, line) == 0, 30, line)
    stack.stop_server("stream")
    try:
        assert sample(stack, "millrace_stream_up") == 0 and 'pool="streams"' not in read(stack).text
    finally:
        stack.start_server("stream")


def test_a_long_queue_is_counted_after_the_answer(stack, workspace):
    stack.stop_server("executor")
    nobody = "00000000-0000-7000-8000-000000000009"
    queue = lambda n: stack.sql_long("INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, cost, updated_ms) "
                                     f"SELECT UUID(), '{nobody}', '{nobody}', '{nobody}', '{nobody}', 1, 1, 1, 1, 0, 7 FROM seq_1_to_{n}")
    queued, age = 'millrace_runs{state="queued"}', "millrace_load_age_seconds"
    try:
        assert sample(stack, age) == 0
        before = sample(stack, queued)
        queue(50001)
        first = sample(stack, queued)
        assert first == before + 50001
        queue(100)
        assert sample(stack, queued) == first, "the last numbers"
        eventually(lambda: sample(stack, age) > 0, 10, "their age")
        eventually(lambda: sample(stack, queued) == first + 100, 60, "new numbers, which a worker has counted after an answer")
    finally:
        stack.sql_long(f"DELETE FROM executions WHERE workspace_id = '{nobody}'")
        stack.start_server("executor")
    assert sample(stack, age) == 0 and sample(stack, queued) <= before


@pytest.fixture(scope="module", autouse=True)
def destination(stack):
    """Each destination of the usage push has metrics; without one there are none."""
    stack.cli("push", "add", "nowhere", "--url", "http://127.0.0.1:9/")


def test_every_metric_is_documented(stack):
    eventually(lambda: "millrace_webhook_try_seconds" in families(read(stack).text), 15, "all families")
    shown = set(families(read(stack).text))
    documented = set(re.findall(r"`(millrace_[a-z_]+)", (ROOT / "docs/monitoring.md").read_text()))
    assert shown == documented, shown ^ documented


# --- rules, dashboards, and a real Prometheus -------------------------------------------------------------------------

RULES = ROOT / "etc/prometheus/millrace.rules.yml"


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def panels():
    """(dashboard, panel, query) of every panel."""
    for path in sorted((ROOT / "etc/grafana").glob("*.json")):
        for panel in json.loads(path.read_text())["panels"]:
            assert panel["targets"], (path.name, panel["title"])
            for target in panel["targets"]:
                yield path.name, panel["title"], target["expr"]


def test_the_rules_are_valid_and_fire():
    for what in (("check", "rules", RULES), ("test", "rules", RULES.with_name("millrace.rules.test.yml"))):
        done = subprocess.run(["promtool", *what], cwd=RULES.parent, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_rule_says_what_to_do_and_where_it_is_described():
    alerts = set()
    for rule in rules():
        alerts.add(rule["alert"])
        note = rule["annotations"]
        assert note["summary"] and len(note["description"]) > 40, rule["alert"]
        path, _, anchor = note["docs"].partition("#")
        headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.M)}
        assert not anchor or anchor in headings, note["docs"]
    named = set(re.findall(r"`(Millrace[A-Za-z]+)`", (ROOT / "docs/monitoring.md").read_text()))
    assert named <= alerts, named - alerts
    tests = RULES.with_name("millrace.rules.test.yml").read_text()
    for fault in re.findall(r"`(Millrace[A-Za-z]+)`", (ROOT / "docs/monitoring.md").read_text().partition("## Which report")[2]):
        assert fault in tests, f"no test of {fault}"


def test_each_fault_of_the_table_is_injected_by_the_drill():
    loader = importlib.machinery.SourceFileLoader("drill", str(ROOT / "scripts/drill"))
    drill = importlib.util.module_from_spec(importlib.util.spec_from_loader("drill", loader))
    loader.exec_module(drill)
    assert drill.documented() == []


class Prometheus:
    """Debian's Prometheus, which scrapes a stack."""

    def __init__(self, folder, target):
        self.url = f"http://127.0.0.1:{free_port()}"
        config = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [str(RULES)],
                  "scrape_configs": [{"job_name": "millrace", "static_configs": [{"targets": [target]}]}]}
        (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        self.process = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
                                         f"--web.listen-address={self.url[7:]}"], stdout=subprocess.DEVNULL, stderr=open(folder / "log", "w"))

    def get(self, path, **query):
        return requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=10).json()

    def value(self, expr):
        answer = self.get("query", query=expr)
        assert answer["status"] == "success", (expr, answer)
        return answer["data"]["result"]

    def answers(self):
        try:
            return requests.get(f"{self.url}/-/ready", timeout=60).status_code == 200
        except requests.ConnectionError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)


def test_prometheus_reads_every_metric_and_evaluates_every_panel_and_rule(stack, workspace, client, tmp_path):
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    client.finished(client.started(workflow))
    prometheus = Prometheus(tmp_path, f"127.0.0.1:{stack.port}")
    try:
        eventually(prometheus.answers, 60, "Prometheus")
        eventually(lambda: [r["value"][1] for r in prometheus.value('count_over_time(up{job="millrace"}[1m])') if int(r["value"][1]) >= 2], 60, "two scrapes")
        target = prometheus.get("targets")["data"]["activeTargets"][0]
        assert target["health"] == "up" and not target["lastError"], target
        known = set(prometheus.get("label/__name__/values")["data"])
        for name, kind in families(read(stack).text).items():
            assert (name + "_count" if kind == "histogram" else name) in known or name == "millrace_workspace_runs" \
                or name in ("millrace_webhook_try_seconds",), name
        shown = list(panels())
        assert len(shown) >= 40
        optional = {"millrace_workspace_runs", "millrace_webhook_try_seconds_count"}  # nothing to show yet
        for board, title, query in shown:
            prometheus.value(query)
            for name in re.findall(r"millrace_[a-z_]+", query):
                assert name in known | optional, (board, title, name)
        eventually(lambda: {r["health"] for g in prometheus.get("rules")["data"]["groups"] for r in g["rules"]} == {"ok"}, 60, "the rules")
        states = {r["name"]: r["state"] for g in prometheus.get("rules")["data"]["groups"] for r in g["rules"]}
        assert states["MillraceDown"] == states["MillraceRedisDown"] == "inactive"
        stack.stop_server("redis")
        try:
            eventually(lambda: [r["value"][1] for r in prometheus.value("min(millrace_redis_up)")] == ["0"], 60, "the missing Redis")
            eventually(lambda: "MillraceRedisDown" in {a["labels"]["alertname"] for a in prometheus.get("alerts")["data"]["alerts"]}, 60, "the alert")
        finally:
            stack.start_server("redis")
    finally:
        prometheus.stop()
