"""The OpenAPI document: the served JSON equals the YAML source, it passes the linter, and it has exactly the routes of the API server
with their parameters and scopes. (stack.Client validates every response of every API test against it.)"""
import json
import os
import re
import shutil
import subprocess

import pytest
import requests
from jsonschema import Draft202012Validator
from openapi import DOCUMENT, Document
from stack import ROOT, SERVERS  # noqa: F401

SCOPES = {"EXECUTE": ["workflows:execute", "skills:execute"]}


def routes():
    """(method, path, {query parameters}, {scopes}, flags) of every row of the table in fcgi/server/routes.c."""
    text = (ROOT / "fcgi/server/routes.c").read_text()
    macros = {m: "".join(re.findall(r'"([^"]*)"', body)) for m, body in re.findall(r"#define (\w+)((?:.*\\\n)*.*)\n", text)}
    rows = re.findall(r'^    \{"(\w+)", "([^"]+)", ("[^"]*"|\w+), ([^,]+), ([^,]+), [^,]+, h_\w+\},$', text, re.M)
    assert len(rows) == len(re.findall(r'^    \{"', text, re.M)) > 30
    for method, path, query, scopes, flags in rows:
        query = query.strip('"') if query.startswith('"') else macros[query]
        names = set()
        for scope in scopes.split("|"):
            scope = scope.strip()
            names |= set(SCOPES.get(scope, [] if scope == "0" else [scope.removeprefix("SCOPE_").lower().replace("_", ":", 1)]))
        yield method, path, {q.rstrip("*") for q in query.split()}, names, flags


def shape(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


INTERNAL = {"/internal/waited", "/internal/called"}  # used by nginx only; clients cannot reach it


def parameters(item, operation, place):
    every = [DOCUMENT.resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]
    return {p["name"] for p in every if p["in"] == place}


def test_routes_and_document_agree():
    table = {(m, shape(p)) for m, p, *_ in routes() if p not in INTERNAL}
    document = {(m, shape(p)) for m, p, _, _ in DOCUMENT.operations()}
    assert table - document == set(), "routes that docs/openapi.yaml does not have"
    assert document - table == set(), "entries that fcgi/server/routes.c does not have"


def test_parameters_and_scopes_agree_with_the_routes():
    documented = {(m, shape(p)): (p, item, o) for m, p, item, o in DOCUMENT.operations()}
    for method, path, query, scopes, flags in routes():
        if path in INTERNAL:
            continue
        name, item, operation = documented[method, shape(path)]
        # a second spelling with brackets is accepted and not documented: generated clients have one member for both
        assert parameters(item, operation, "query") == {q for q in query if not q.endswith("[]")}, (method, path)
        assert parameters(item, operation, "path") == set(re.findall(r"\{([^}]*)\}", name)), (method, path)
        assert set(operation.get("x-required-scopes", [])) == scopes, (method, path)
        assert (operation.get("security") == []) == ("ROUTE_OPEN" in flags or "ROUTE_SIGN_IN" in flags), (method, path)
        assert (operation.get("security") == [{"session": []}]) == ("ROUTE_SESSION" in flags or path.startswith("/operator/")), (method, path)
        assert (item.get("servers") == [{"url": "/"}]) == ("ROUTE_BARE" in flags), (method, path)


def test_json_document_is_up_to_date():
    done = subprocess.run([ROOT / "scripts/openapi", "--check"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
@pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="runs no program of Millrace")
def test_spectral_reports_nothing():
    done = subprocess.run([ROOT / "scripts/openapi", "--check", "--lint"], capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr


def test_schemas_are_valid_and_references_resolve():
    def walk(value, inside_schema=False):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                assert DOCUMENT.resolve(value) is not None
            for key, x in value.items():
                if key == "schema":
                    Draft202012Validator.check_schema(x)
                walk(x)
        elif isinstance(value, list):
            for x in value:
                walk(x)
    walk(DOCUMENT.content)
    for schema in DOCUMENT.content["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_document_is_served_without_a_key(stack):
    for prefix in ("/api/v1", "/v1", "/api-proxy/v1"):
        answer = requests.get(f"{stack.url}{prefix}/openapi.json")
        assert answer.status_code == 200 and answer.headers["Content-Type"] == "application/json"
        assert answer.content == (ROOT / "docs/openapi.json").read_bytes()
    again = requests.get(f"{stack.url}/api/v1/openapi.json", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304
    assert answer.json()["openapi"].startswith("3.1") and "X-Request-Id" in answer.headers
    assert requests.post(f"{stack.url}/api/v1/openapi.json").status_code == 405


# --- the validation itself ------------------------------------------------------------------------------------------------


class Answer:
    def __init__(self, status, body, media="application/json"):
        self.status_code, self.content, self.headers = status, json.dumps(body).encode(), {"Content-Type": media}


def test_undocumented_responses_are_reported(client, workspace):
    run = client.started(workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": 1}]}))
    good = client.finished(run)
    path = f"/executions/{run}"
    judge = Document(DOCUMENT.content)
    judge.check("GET", path, Answer(200, good))
    for change in ({"extra": 1}, {"status": "done"}, {"detail": {**good["detail"], "type": "other"}}, {"createdAt": "yesterday"},
                   {"detail": {**good["detail"], "more": 1}}, {"creditsUsed": "1"}, {"id": "x"}):
        with pytest.raises(AssertionError):
            judge.check("GET", path, Answer(200, {**good, **change}))
    for name in good.keys() - {"steps", "retried_by"}:  # absent in lists
        with pytest.raises(AssertionError):
            judge.check("GET", path, Answer(200, {k: v for k, v in good.items() if k != name}))
    for answer in (Answer(201, good), Answer(200, good, "text/html"), Answer(404, {"error": "x"}, "application/problem+json"),
                   Answer(404, good)):
        with pytest.raises(AssertionError):
            judge.check("GET", path, answer)
    with pytest.raises(AssertionError):
        judge.check("GET", "/nowhere", Answer(200, {}))


def test_health_endpoints_match_the_document(stack):
    for path in ("/healthz", "/readyz", "/metrics"):
        DOCUMENT.check("GET", path, requests.get(stack.url + path))


def test_step_types_of_the_document_are_those_of_the_program(client):
    """A program with an unknown type is told the types that exist."""
    answer = client.post("/workflows", json={"name": "w", "program": {"steps": [{"name": "a", "type": "nothing"}]}})
    sentence = answer.json()["errors"][0]["message"]
    types = sentence.removeprefix("must be one of ").replace(" and ", ", ").split(", ")
    document = json.loads((ROOT / "docs/openapi.json").read_text())
    assert types == [t for t in document["components"]["schemas"]["Step"]["properties"]["type"]["enum"] if t]


def schemas(value, at=""):
    if isinstance(value, dict):
        yield at, value
        for name, member in value.items():
            yield from schemas(member, f"{at}/{name}")
    elif isinstance(value, list):
        for i, member in enumerate(value):
            yield from schemas(member, f"{at}/{i}")


def test_open_objects_say_so():
    """Generators make an empty type of an object without properties unless additionalProperties is stated."""
    for at, schema in schemas(DOCUMENT.content):
        kinds = schema.get("type")
        if (kinds == "object" or (isinstance(kinds, list) and "object" in kinds)) and "properties" not in schema:
            assert "additionalProperties" in schema or "maxProperties" in schema or "required" in schema, at


def test_preferred_fields_exist():
    fields = DOCUMENT.content["components"]["schemas"]["ExecutionFields"]["properties"]
    marked = {name: field["x-preferred"] for name, field in fields.items() if "x-preferred" in field}
    assert len(marked) == 6 and all(p in fields and p not in marked for p in marked.values())
    glossary = (ROOT / "docs/glossary.md").read_text().split("## Words of the API")[1]
    for other, preferred in marked.items():
        assert f"`{other}`" in glossary and f"`{preferred}`" in glossary


CLIENT = """
import createClient from "openapi-fetch";
import type { paths, components } from "./api.js";

const api = createClient<paths>({ baseUrl: process.env.URL + "/api/v1", headers: { Authorization: `Bearer ${process.env.KEY}` } });
type Execution = components["schemas"]["Execution"];

const started = await api.POST("/workflows/{id}/run-async", {
    params: { path: { id: process.env.WORKFLOW! } },
    body: { inputs: { reader: "Ada", deep: { n: [1, 2, { x: null }] } }, metadata: { order: 4711 }, tags: ["typed"] },
});
if (started.error || !started.data) throw new Error(JSON.stringify(started.error));
const id: string = "execution_id" in started.data ? started.data.execution_id : started.data;
let shown: Execution | undefined;
do {
    const got = await api.GET("/executions/{id}", { params: { path: { id }, query: { include_step_results: true } } });
    if (got.error) throw new Error(got.error.code);
    shown = got.data as Execution;
} while (shown.state === "queued" || shown.state === "running");
const listed = await api.GET("/executions", { params: { query: { responderIds: [process.env.WORKFLOW!], pageSize: 5 } } });
if (listed.error) throw new Error(listed.error.code);
const missing = await api.GET("/executions/{id}", { params: { path: { id: "01890000-0000-7000-8000-000000000000" } } });
console.log(JSON.stringify({ state: shown.state, output: shown.detail.output, created: shown.created_at,
    listed: JSON.stringify(listed.data).includes(id), code: missing.error?.code }));
"""


@pytest.mark.skipif(not shutil.which("npm"), reason="npm is not here")
def test_a_generated_client_compiles_and_runs(stack, workspace, tmp_path):
    """openapi-typescript generates the types, tsc compiles a client under strict, node runs it against the stack."""
    subprocess.run([ROOT / "scripts/node-modules"], check=True, timeout=600)
    tools = ROOT / "tests/node_modules/.bin"
    (tmp_path / "node_modules").symlink_to(ROOT / "tests/node_modules")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "client.ts").write_text(CLIENT)
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": {
        "strict": True, "noUncheckedIndexedAccess": True, "exactOptionalPropertyTypes": True, "target": "ES2022", "module": "NodeNext",
        "moduleResolution": "NodeNext", "lib": ["ES2022", "DOM"], "types": ["node"], "skipLibCheck": True}, "files": ["client.ts"]}))

    def run(*command, **env):
        done = subprocess.run(command, cwd=tmp_path, env={**os.environ, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
    run(tools / "openapi-typescript", ROOT / "docs/openapi.json", "-o", "api.d.ts")
    run(tools / "tsc", "-p", ".")
    flow = workspace.put_workflow({"steps": [{"name": "a", "type": "transform", "value": "${/inputs/deep/n}"}]})
    out = json.loads(run("node", "client.js", URL=stack.url, KEY=workspace.key()["key"], WORKFLOW=flow, NO_PROXY="127.0.0.1"))
    assert out["state"] == "succeeded" and out["output"] == [1, 2, {"x": None}] and out["listed"] and out["code"] == "not_found"
