"""The API of skill executions. No executor runs, so that accepted executions stay queued."""
import json
import re
import shutil
import subprocess
import uuid

import pytest
from skills import EXAMPLES, Space, install, manifest, package, probe
from stack import Client

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
FIELDS = ["id", "tenant_id", "space_id", "principal_id", "skill_slug", "skill_version", "source", "state", "parent_execution_id",
          "created_at", "started_at", "finished_at", "failure_reason", "resource_usage", "inputs", "outputs", "error", "artifacts",
          "sub_executions", "chat_thread_id", "chat_message_id", "chat_tool_call_id", "workspace_archive_id",
          "langfuse_trace_id", "idempotency_key"]
INPUTS = {"type": "object", "required": ["n"], "additionalProperties": False,
          "properties": {"n": {"type": "integer", "minimum": 1}, "s": {"type": "string"}}}


@pytest.fixture(scope="module", autouse=True)
def no_executor(stack):
    stack.stop_server("executor")


@pytest.fixture
def space(workspace):
    probe(workspace, "pass", inputs=INPUTS)
    return Space(workspace)


def rows(stack, workspace):
    return int(stack.sql_one(f"SELECT COUNT(*) FROM executions WHERE workspace_id = '{workspace.id}'"))


def test_execution_has_every_documented_field(stack, workspace, space):
    answer = space.start("probe", {"n": 1})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert list(answer.json()) == ["data"] and list(data) == FIELDS
    tenant = stack.sql_one(f"SELECT tenant_id FROM workspaces WHERE id = '{workspace.id}'")
    assert UUID.fullmatch(data["id"]) and data["tenant_id"] == tenant and data["space_id"] == workspace.id
    assert uuid.UUID(data["principal_id"])
    assert data["skill_slug"] == "probe" and data["skill_version"] == "1.0.0"
    assert data["source"] == "standalone" and data["state"] == "queued"
    assert TIME.fullmatch(data["created_at"])
    assert data["resource_usage"] == {"input_tokens": 0, "output_tokens": 0, "cost_usd": "0", "wallclock_ms": None, "iteration_count": 0}
    assert data["inputs"] == {"n": 1} and data["artifacts"] == [] and data["sub_executions"] == []
    for name in set(FIELDS) - {"id", "tenant_id", "space_id", "principal_id", "skill_slug", "skill_version", "source", "state",
                               "created_at", "resource_usage", "inputs", "artifacts", "sub_executions"}:
        assert data[name] is None, name
    assert space.get(data["id"]) == data


def test_execution_is_readable_by_the_other_contracts(workspace, space):
    id = space.started("probe", {"n": 1})
    one = space.client.get(f"/executions/{id}").json()
    assert one["status"] == "running" and one["state"] == "queued" and one["workflow_id"] is None
    assert one["detail"]["type"] == "skill" and one["creditsUsed"] == 1 and one["isAgentic"] is False
    assert id in [e["id"] for e in space.client.get("/executions").json()["executions"]]
    assert workspace.balance() == 999


def test_curl_command_of_the_page_works(stack, workspace, space):
    """The command that the page prints, with `"model": {}`, an own id and an own key."""
    probe(workspace, "pass", slug="open")
    command = ["curl", "-s", "-X", "POST", f"{stack.url}/api-proxy/v1/spaces/{workspace.id}/skills/open/executions",
               "-H", f"Authorization: Bearer {space.client.key}", "-H", "Content-Type: application/json",
               "-d", '{\n"inputs": {},\n"file_source_ids": [\n"string"\n],\n"model": {}\n}']
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert '"state":"queued"' in done.stdout


@pytest.mark.parametrize("prefix", ["/api/v1", "/v1", "/api-proxy/v1"])
def test_every_prefix_and_key_header_is_accepted(stack, workspace, space, prefix):
    plain = Client(stack.url, None, prefix)
    path = f"/spaces/{workspace.id}/skills/probe/executions"
    for headers in ({"X-API-Key": space.client.key}, {"Authorization": f"Bearer {space.client.key}"}):
        assert plain.post(path, json={"inputs": {"n": 1}}, headers=headers).status_code == 201
        assert plain.post(path + "/", json={"inputs": {"n": 1}}, headers=headers).status_code == 201


@pytest.mark.parametrize("body, pointers", [
    ({}, ["/inputs"]), ({"inputs": None}, ["/inputs"]), ({"inputs": []}, ["/inputs"]),
    ({"inputs": {}}, ["/inputs"]), ({"inputs": {"n": 0}}, ["/inputs/n"]),
    ({"inputs": {"n": "1", "s": 2}}, ["/inputs/n", "/inputs/s"]), ({"inputs": {"n": 1, "x": 1}}, ["/inputs"]),
    ({"inputs": {"n": 1}, "file_source_ids": "a"}, ["/file_source_ids"]),
    ({"inputs": 3, "file_source_ids": ["a", 1, None], "model": 3}, ["/inputs", "/file_source_ids/1", "/file_source_ids/2", "/model"]),
    ({"inputs": {"n": 1}, "model": {"a": 1}}, ["/model"]),
])
def test_invalid_bodies_report_each_violation_and_store_nothing(stack, workspace, space, body, pointers):
    answer = space.client.post(f"{space.path}/probe/executions", json=body, headers={"Idempotency-Key": "k"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_inputs"
    assert sorted(e["pointer"] for e in answer.json()["errors"]) == sorted(pointers)
    assert rows(stack, workspace) == 0 and workspace.balance() == 1000
    assert space.start("probe", {"n": 1}, key="k").status_code == 201, "a rejected request must not use up its key"


@pytest.mark.parametrize("body", [
    {"inputs": {"n": 1}, "more": 1}, {"inputs": {"n": 1}, "chat": "x"}, {"inputs": {"n": 1}, "chat": {"message_id": "no-uuid"}},
    {"inputs": {"n": 1}, "chat": {"tool_call_id": "x" * 257}}, {"inputs": {"n": 1}, "chat": {"tool_call_id": 3}}])
def test_invalid_requests_are_400(stack, workspace, space, body):
    assert space.client.post(f"{space.path}/probe/executions", json=body).status_code == 400
    assert rows(stack, workspace) == 0


def test_unknown_ids_are_404(stack, workspace, space):
    assert space.start("nothing", {"n": 1}).status_code == 404
    assert space.start("executions", {"n": 1}).status_code == 404
    other = stack.workspace()
    foreign = Space(other)
    assert space.client.post(f"{foreign.path}/probe/executions", json={"inputs": {"n": 1}}).status_code == 404
    assert foreign.start("probe", {"n": 1}).status_code == 404
    id = space.started("probe", {"n": 1})
    for path in (f"{foreign.path}/executions/{id}", f"{space.path}/executions/{uuid.uuid4()}", f"{space.path}/executions/nonsense",
                 "/spaces/nonsense/skills"):
        assert space.client.get(path).status_code == 404, path
    assert foreign.client.get(f"{foreign.path}/executions/{id}").status_code == 404
    workflow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]})
    run = space.client.started(workflow)
    assert space.client.get(f"{space.path}/executions/{run}").status_code == 404
    assert space.client.post(f"{space.path}/executions/{run}/cancel").status_code == 404


def test_skills_require_their_scopes(workspace, space):
    id = space.started("probe", {"n": 1})
    for scope, wanted in (("skills:read", (200, 403, 403, 403)), ("skills:execute", (403, 201, 403, 200)),
                          ("executions:read", (403, 403, 200, 403))):
        client = workspace.client(scope)
        got = (client.get(space.path).status_code, Space(workspace, client).start("probe", {"n": 1}).status_code,
               client.get(f"{space.path}/executions/{id}").status_code,
               client.post(f"{space.path}/executions/{space.started('probe', {'n': 1})}/cancel").status_code)
        assert got == wanted, scope


def test_skills_are_listed_with_their_versions(workspace, space):
    probe(workspace, "pass # 2", version="1.1.0")
    install(workspace, EXAMPLES / "word-count")
    listed = space.client.get(space.path).json()["data"]
    assert [s["slug"] for s in listed] == ["probe", "word-count"]
    one = space.client.get(f"{space.path}/probe").json()["data"]
    assert one == listed[0] and one["version"] == "1.1.0" and one["manifest"]["slug"] == "probe"
    assert [(v["version"], v["is_current"]) for v in one["versions"]] == [("1.1.0", True), ("1.0.0", False)]
    assert space.client.get(f"{space.path}/none").status_code == 404
    assert space.start("probe", {}).json()["data"]["skill_version"] == "1.1.0"


def test_installed_versions_are_immutable(tmp_path, workspace, space):
    same = package(tmp_path / "a", manifest(inputs=INPUTS), main_py="pass")
    assert install(workspace, same)["is_new"] is False
    other = package(tmp_path / "b", manifest(inputs=INPUTS), main_py="pass # changed")
    code, out, err = install(workspace, other, check=False)
    assert code == 1 and "already installed with different files" in err
    newer = package(tmp_path / "c", manifest(version="2.0.0"), main_py="pass")
    assert install(workspace, newer)["is_new"] is True
    assert space.start("probe", {}).json()["data"]["skill_version"] == "2.0.0"
    assert install(workspace, same)["is_new"] is False, "the older version must be current again"
    assert space.start("probe", {"n": 1}).json()["data"]["skill_version"] == "1.0.0"


def test_removed_skill_rejects_runs_until_reinstalled(stack, tmp_path, workspace, space):
    id = space.started("probe", {"n": 1}, key="k")
    stack.cli("skill", "remove", "probe", "--workspace", workspace.id)
    assert space.start("probe", {"n": 1}).status_code == 404
    assert space.client.get(space.path).json()["data"] == []
    assert space.get(id)["skill_slug"] == "probe"
    assert space.start("probe", {"n": 1}, key="k").status_code == 201, "a replay must work after the skill was removed"
    install(workspace, package(tmp_path / "a", manifest(inputs=INPUTS), main_py="pass"))
    assert space.start("probe", {"n": 1}).status_code == 201


def test_check_reports_each_error(stack, tmp_path):
    bad = manifest(slug="Bad Slug", timeout_seconds=0, extra=1, argv=["./none.sh"])
    code, out, err = stack.cli("skill", "check", package(tmp_path / "a", bad), check=False)
    assert code == 1
    assert [e["pointer"] for e in json.loads(out)] == ["/slug", "/timeout_seconds", ""] and "extra" in out
    code, out, _ = stack.cli("skill", "check", package(tmp_path / "b", manifest(argv=["./none.sh"])), check=False)
    assert code == 1 and "/runner/argv/0" in out
    code, out, _ = stack.cli("skill", "check", package(tmp_path / "c", manifest(slug="executions")), check=False)
    assert code == 1 and "/slug" in out
    code, out, _ = stack.cli("skill", "check", package(tmp_path / "d", manifest(credits=0.0000001)), check=False)
    assert code == 1 and "/credits" in out
    code, out, _ = stack.cli("skill", "check", package(tmp_path / "e", manifest(outputs={"type": "nothing"})), check=False)
    assert code == 1 and "/outputs/type" in out
    (tmp_path / "f").mkdir()
    (tmp_path / "f/link").symlink_to("/etc/passwd")
    code, out, _ = stack.cli("skill", "check", package(tmp_path / "f", manifest()), check=False)
    assert code == 1 and "link" in out
    assert stack.cli("skill", "check", tmp_path / "nowhere", check=False)[0] == 1
    for example in EXAMPLES.iterdir():
        stack.cli("skill", "check", example)


def test_package_is_stored_completely(stack, tmp_path, workspace):
    source = tmp_path / "s"
    shutil.copytree(EXAMPLES / "word-count", source)
    (source / "deep/er").mkdir(parents=True)
    (source / "deep/er/data").write_bytes(b"\0\1")
    install(workspace, source)
    kept = stack.sql_one(f"SELECT LOWER(HEX(v.hash)) FROM skill_versions v JOIN skills s ON s.id = v.skill_id "
                         f"WHERE s.workspace_id = '{workspace.id}'")
    folder = stack.dir / "data/files/skills" / kept
    assert (folder / "deep/er/data").read_bytes() == b"\0\1"
    assert (folder / "count.py").read_text() == (source / "count.py").read_text()
    assert folder.stat().st_mode & 0o777 == 0o755
    assert not [p for p in folder.parent.iterdir() if p.name.startswith(".")]


def test_manifest_price_may_exceed_the_configured_price_only(tmp_path, workspace):
    install(workspace, package(tmp_path / "a", manifest("dear", credits=2.5), main_py="pass"))
    space = Space(workspace)
    space.started("dear")
    assert workspace.balance() == 997.5
    code, out, _ = install(workspace, package(tmp_path / "b", manifest("cheap", credits=0.5), main_py="pass"), check=False)
    assert code == 1 and "/credits" in out


def test_empty_balance_is_402(stack):
    workspace = stack.workspace(credits=1)
    probe(workspace, "pass")
    space = Space(workspace)
    assert space.start("probe").status_code == 201
    answer = space.start("probe")
    assert answer.status_code == 402 and answer.json()["code"] == "insufficient_credits"
    assert rows(stack, workspace) == 1


# --- models -------------------------------------------------------------------------------------------------

def put_model(workspace, alias, *more):
    return workspace.stack.cli("model", "put", "--workspace", workspace.id, "--alias", alias, "--url", "https://models.example/v1",
                               "--model", "m-1", *more)


def test_model_must_be_configured(stack, workspace, space):
    answer = space.start("probe", {"n": 1}, model="fast")
    assert answer.status_code == 422 and answer.json()["code"] == "model_not_allowed"
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/model"]
    put_model(workspace, "fast")
    for model in ("fast", None, {}):
        assert space.start("probe", {"n": 1}, model=model).status_code == 201
    assert space.start("probe", {"n": 1}, model="Fast").status_code == 422
    stack.cli("model", "delete", "fast", "--workspace", workspace.id)
    assert space.start("probe", {"n": 1}, model="fast").status_code == 422


def test_model_skill_requires_a_model(workspace):
    install(workspace, EXAMPLES / "headline")
    space = Space(workspace)
    answer = space.start("headline", {"text": "x"})
    assert answer.status_code == 422 and answer.json()["code"] == "model_not_allowed"
    put_model(workspace, "slow")
    assert space.start("headline", {"text": "x"}).status_code == 422, "there is no default model yet"
    assert space.start("headline", {"text": "x"}, model="slow").status_code == 201
    put_model(workspace, "quick", "--default")
    id = space.started("headline", {"text": "x"})
    assert space.client.get(f"/executions/{id}").json()["isAgentic"] is True


def test_operator_configures_models(stack, tmp_path, workspace):
    key = tmp_path / "key"
    key.write_text("sk-top-secret-value\n")
    made = put_model(workspace, "a", "--api-key-file", key, "--input-usd-per-mtok", "2.5", "--output-usd-per-mtok", "0.000001", "--default")
    assert made["has_key"] is True and made["default"] is True and made["input_usd_per_mtok"] == 2.5
    put_model(workspace, "b", "--default")
    listed = stack.cli("model", "list", "--workspace", workspace.id)
    assert [(m["alias"], m["default"], m["has_key"]) for m in listed] == [("a", False, True), ("b", True, False)]
    assert "top-secret" not in str(listed)
    stored = stack.sql_one(f"SELECT HEX(sealed) FROM models WHERE workspace_id = '{workspace.id}' AND alias = 'a'")
    assert "sk-top-secret-value".encode().hex().upper() not in stored
    good = {"--alias": "c", "--url": "https://x/v1", "--model": "m", "--input-usd-per-mtok": "1"}
    for name, value in (("--url", "ftp://x/"), ("--url", "https://u:p@x/"), ("--input-usd-per-mtok", "-1"), ("--alias", "a b")):
        args = [a for pair in {**good, name: value}.items() for a in pair]
        code, _, err = stack.cli("model", "put", "--workspace", workspace.id, *args, check=False)
        assert code == 2 and name in err, err


# --- idempotency and cancel ------------------------------------------------------------------------------------

def test_repeated_key_gets_the_first_response(stack, workspace, space):
    first = space.start("probe", {"n": 1}, key="a-key")
    again = space.start("probe", {"n": 1}, key="a-key")
    assert again.status_code == 201 and again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true" and "Idempotent-Replayed" not in first.headers
    assert first.json()["data"]["idempotency_key"] == "a-key"
    assert space.get(first.json()["data"]["id"])["idempotency_key"] == "a-key"
    assert space.start("probe", {"n": 2}, key="a-key").json()["code"] == "idempotency_key_reused"
    assert rows(stack, workspace) == 1 and workspace.balance() == 999
    stack.redis("FLUSHALL")
    assert space.start("probe", {"n": 1}, key="a-key").content == first.content


def test_key_that_is_not_utf8_is_returned_as_latin_1(space):
    answer = space.start("probe", {"n": 1}, headers={"Idempotency-Key": b"k\xe9y"})
    assert answer.status_code == 201 and answer.json()["data"]["idempotency_key"] == "kéy"


def test_cancel_stops_a_queued_execution(workspace, space):
    id = space.started("probe", {"n": 1})
    first = space.client.post(f"{space.path}/executions/{id}/cancel", headers={"Idempotency-Key": "c"})
    assert first.status_code == 200
    data = first.json()["data"]
    assert data["state"] == "stopped" and data["failure_reason"] == "stopped" and data["error"] and list(data) == FIELDS
    assert space.get(id) == data, "the response must equal the stored execution"
    assert workspace.balance() == 1000, "a run that was not started is refunded"
    again = space.client.post(f"{space.path}/executions/{id}/cancel", headers={"Idempotency-Key": "c"})
    assert again.status_code == 200 and again.content == first.content and again.headers["Idempotent-Replayed"] == "true"
    late = space.client.post(f"{space.path}/executions/{id}/cancel")
    assert late.status_code == 400 and late.json()["code"] == "execution_terminal"


def test_numbers_and_member_order_are_kept(space, workspace):
    probe(workspace, "pass", slug="open")
    raw = '{"inputs": {"b": 1.0, "a": 12345678901234567e-3, "deep": {"z": null, "y": [ ]}}}'
    answer = space.client.post(f"{space.path}/open/executions", data=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 201
    assert '"inputs":{"b": 1.0, "a": 12345678901234567e-3, "deep": {"z": null, "y": [ ]}}' in answer.text
    got = space.client.get(f"{space.path}/executions/{answer.json()['data']['id']}")
    assert got.json() == answer.json()


def test_logs_and_artifacts_may_be_empty(space):
    id = space.started("probe", {"n": 1})
    got = space.client.get(f"/executions/{id}/logs")
    assert got.status_code == 200 and got.text == "" and got.headers["Content-Type"].startswith("text/plain")
    assert space.client.get(f"/executions/{id}/artifacts/{uuid.uuid4()}").status_code == 404
    assert space.client.get(f"/executions/{uuid.uuid4()}/logs").status_code == 404
