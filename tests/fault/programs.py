"""The workflows and the skills that the load runs, with their expected outputs and side effects."""
import json
import pathlib
import re
import tempfile

from model_quirks import QUIRKS

NO_ITEM = -1  # the item in the Idempotency-Key of a step without for_each


def step(name, type, **fields):
    return {"name": name, "type": type, **fields}


def http(name, url, n="${/inputs/n}", **fields):
    return step(name, "http", request={"method": "POST", "url": url, "body": {"n": n}}, timeout_seconds=600, **fields)


class Program:
    """A workflow of the load. `inputs(rng, r)` creates inputs; `output(inputs)` is the output of a successful run."""

    def __init__(self, name, program, inputs, output, calls, ends="success"):
        self.name, self.program, self.inputs, self.output = name, program, inputs, output
        self.calls = calls  # side effects of a run without its children: {(step, item): responses before the last one}
        self.ends = ends
        self.id = None

    def start(self):
        """The endpoint that starts a run, the status of its response, and the other members of the body."""
        return f"/workflows/{self.id}/run-async", 202

    def body(self, run):
        return {"inputs": run.inputs, "tags": [run.r]}

    def id_of(self, answer):
        return answer.json["execution_id"]


class Skill(Program):
    """A skill, started through the skill endpoints."""

    def start(self):
        return f"/spaces/{self.space}/skills/{self.name}/executions", 201

    def body(self, run):
        return {"inputs": run.inputs}

    def id_of(self, answer):
        return answer.json["data"]["id"]


def number(rng, r):
    return {"r": r, "n": rng.randrange(1000000)}


def numbers(rng, r):
    return {"r": r, "n": 0, "items": [rng.randrange(1000000) for _ in range(rng.randint(1, 8))]}


def seconds(rng, r):
    return {"r": r, "n": rng.randrange(1000000), "seconds": round(rng.uniform(0.05, 4), 2)}


def plain():
    return Program("plain", {"steps": [step("a", "transform", value="${/inputs/n}")]}, number, lambda i: i["n"], lambda i: {})


def effects(url):
    one = {(0, NO_ITEM): 0, (2, NO_ITEM): 0}
    return Program("effects", {
        "steps": [http("a", url + "/a"), step("b", "transform", value="${/steps/a/result/body/n}"),
                  http("c", url + "/c", "${/steps/b/result}")],
        "outputs": "${/steps/c/result/body/n}"}, number, lambda i: i["n"], lambda i: one)


def loop(url):
    return Program("loop", {
        "steps": [http("a", url + "/item?ms=20", "${/item}", for_each="${/inputs/items}", concurrency=3),
                  step("b", "transform", value="${/item/body/n}", for_each="${/steps/a/result}")]},
        numbers, lambda i: i["items"], lambda i: {(0, k): 0 for k in range(len(i["items"]))})


def wide():
    """More rows than one transaction of a purge changes."""
    return Program("wide", {"steps": [step("a", "delay", seconds=0, for_each="${/inputs/items}", concurrency=64),
                                      step("b", "transform", value="${/inputs/n}")]},
                   lambda rng, r: {"r": r, "n": rng.randrange(1000000), "items": list(range(300))}, lambda i: i["n"], lambda i: {})


def delay(url):
    return Program("delay", {
        "steps": [step("a", "delay", seconds="${/inputs/seconds}"), http("b", url + "/late")],
        "outputs": "${/steps/b/result/body/n}"}, seconds, lambda i: i["n"], lambda i: {(1, NO_ITEM): 0})


def flaky(url):
    return Program("flaky", {
        "steps": [http("a", url + "/flaky", retry={"max_attempts": 4, "backoff_seconds": 0.2})],
        "outputs": "${/steps/a/result/body/n}"}, number, lambda i: i["n"], lambda i: {(0, NO_ITEM): 1})


def slow(url):
    return Program("slow", {
        "steps": [http("a", url + "/slow?ms=1500"), http("b", url + "/slow?ms=1500")],
        "outputs": "${/steps/b/result/body/n}"}, number, lambda i: i["n"], lambda i: {(0, NO_ITEM): 0, (1, NO_ITEM): 0})


def fails(url):
    """Fails, and reports it: the request of on_failure is a side effect as any other."""
    return Program("fails", {"steps": [http("a", url + "/a"), step("b", "fail", message="as it should"), step("c", "transform", value=1)],
                             "on_failure": [http("d", url + "/failed")]},
                   number, lambda i: None, lambda i: {(0, NO_ITEM): 0, (3, NO_ITEM): 0}, ends="failed")


def tree(child_effects, child_plain):
    return Program("tree", {
        "steps": [step("a", "workflow", workflow_id=child_effects, inputs={"r": "${/inputs/r}", "n": "${/inputs/n}"}),
                  step("b", "workflow", workflow_id=child_plain, inputs={"r": "${/inputs/r}", "n": "${/item}"},
                       for_each="${/inputs/items}", concurrency=3),
                  step("c", "transform", value="${/item/outputs}", for_each="${/steps/b/result}")],
        "outputs": {"a": "${/steps/a/result/outputs}", "b": "${/steps/c/result}"}},
        numbers, lambda i: {"a": i["n"], "b": i["items"]}, lambda i: {})


def grove(child_tree):
    return Program("grove", {
        "steps": [step("a", "workflow", workflow_id=child_tree,
                       inputs={"r": "${/inputs/r}", "n": "${/inputs/n}", "items": "${/inputs/items}"})],
        "outputs": "${/steps/a/result/outputs}"},
        numbers, lambda i: {"a": i["n"], "b": i["items"]}, lambda i: {})


def skilled(url):
    return Program("skilled", {
        "steps": [step("a", "skill", slug="echo", inputs={"r": "${/inputs/r}", "n": "${/inputs/n}"}), http("b", url + "/skilled")],
        "outputs": "${/steps/a/result/outputs/n}"}, number, lambda i: i["n"], lambda i: {(1, NO_ITEM): 0})


def naps(url, child_delay):
    """Waits for a child that waits, and between the attempts of a step: nearly always parked."""
    return Program("naps", {
        "steps": [step("a", "workflow", workflow_id=child_delay, timeout_seconds=600, for_each=[0, 1], concurrency=2,
                       inputs={"r": "${/inputs/r}", "n": "${/inputs/n}", "seconds": "${/inputs/seconds}"}),
                  http("b", url + "/flaky", retry={"max_attempts": 4, "backoff_seconds": 2})],
        "outputs": "${/steps/b/result/body/n}"}, seconds, lambda i: i["n"], lambda i: {(1, NO_ITEM): 1})


def echo(workspace, slug="echo", mode="cold", main="sleep 0.4\ncat\n"):
    """Installs the skill. It takes a moment and returns its inputs."""
    with tempfile.TemporaryDirectory() as d:
        document = {"slug": slug, "version": "1.0.0", "name": slug, "description": "Gives back its inputs.", "inputs": {"type": "object"},
                    "outputs": {"type": "object"}, "runner": {"type": "command", "mode": mode, "argv": ["sh", "./main.sh"]},
                    "timeout_seconds": 600, "memory_mb": 64}
        (pathlib.Path(d) / "skill.json").write_text(json.dumps(document))
        (pathlib.Path(d) / "main.sh").write_text(main)
        made = workspace.stack.cli("skill", "install", d, "--workspace", workspace.id)
    skill = Skill(slug, None, number, lambda i: i, lambda i: {})
    skill.id, skill.space = made["id"], workspace.id
    return skill


# A process that takes one job after another: a job that got the inputs of another one would return the wrong outputs.
WARM_ECHO = """while read -r word token inputs; do
    printf 'ok %s %s\\n' "$token" "$inputs"
done
"""


def warm_echo(workspace):
    return echo(workspace, "warm-echo", "warm", WARM_ECHO)


def answer(body):
    """What the model of `asked` answers: n of the prompt, in a shape of model_quirks.py. Every fourth run calls echo first."""
    messages = body["messages"]
    n = int(re.search(r"n=(\d+)", messages[1]["content"]).group(1))
    shape = {"quirk": list(QUIRKS)[n % len(QUIRKS)], "input": 100, "output": 10}
    if n % 4 == 0 and len(messages) == 2:
        return {**shape, "calls": [("echo", json.dumps({"n": n}))]}
    return {**shape, "content": json.dumps({"n": n})}


def asked(workspace, models):
    """Installs a skill that asks the test server's model for n."""
    models.answers = [answer]
    workspace.stack.cli("model", "put", "--workspace", workspace.id, "--alias", "m", "--url", models.url, "--model", "m", "--default")
    with tempfile.TemporaryDirectory() as d:
        document = {"slug": "asked", "version": "1.0.0", "name": "asked", "description": "Asks a model.", "inputs": {"type": "object"},
                    "outputs": {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}},
                    "runner": {"type": "model", "prompt": "n=${/inputs/n}", "tools": ["echo"]}, "timeout_seconds": 600, "memory_mb": 64}
        (pathlib.Path(d) / "skill.json").write_text(json.dumps(document))
        made = workspace.stack.cli("skill", "install", d, "--workspace", workspace.id)
    skill = Skill("asked", None, number, lambda i: {"n": i["n"]}, lambda i: {})
    skill.id, skill.space = made["id"], workspace.id
    return skill


class Delayed(Program):
    """Started later, or never because its expiry comes first."""

    def body(self, run):
        return {**super().body(run), **run.inputs["times"]}


def later(url):
    return Delayed("later", {"steps": [http("a", url + "/a")], "outputs": "${/steps/a/result/body/n}"},
                   lambda rng, r: {**number(rng, r), "times": {"delay_seconds": rng.choice((0.2, 1, 4))}}, lambda i: i["n"],
                   lambda i: {(0, NO_ITEM): 0})


def never(url):
    return Delayed("never", {"steps": [http("a", url + "/a")]},
                   lambda rng, r: {**number(rng, r), "times": {"delay_seconds": 3600, "ttl_seconds": rng.choice((0.5, 3))}}, None,
                   lambda i: {}, ends="failed")


def waits(url):
    """The client sends both signals, before, while and after the run waits for them."""
    return Program("waits", {"timeout_seconds": 600, "steps": [
        step("a", "wait", signal="one", timeout_seconds=600), http("b", url + "/a"), step("c", "wait", signal="two", timeout_seconds=600)],
        "outputs": ["${/steps/a/result/data}", "${/steps/c/result/data}"]}, number, lambda i: [i["n"], i["r"]], lambda i: {(1, NO_ITEM): 0})


# relative frequency of each
WEIGHTS = {"wide": 1, "echo": 2, "warm-echo": 3, "asked": 3, "skilled": 2, "plain": 6, "effects": 6, "loop": 3, "delay": 3, "flaky": 2, "slow": 3, "fails": 1, "tree": 2, "grove": 1, "naps": 4, "later": 3, "never": 2, "waits": 4}


def install(workspace, url, models):
    """Stores all programs and returns {name: Program}."""
    programs = {}

    def put(p):
        p.id = workspace.put_workflow(p.program, p.name)
        programs[p.name] = p
        return p.id

    of_effects, of_plain = put(effects(url)), put(plain())
    put(wide())
    programs["echo"] = echo(workspace)
    programs["warm-echo"] = warm_echo(workspace)
    programs["asked"] = asked(workspace, models)
    for p in (skilled, loop, flaky, slow, fails, later, never, waits):
        put(p(url))
    put(naps(url, put(delay(url))))
    put(grove(put(tree(of_effects, of_plain))))
    return programs
