"""Writes skill packages for the tests and installs them with the operator command."""
import json
import pathlib
import stat
import tempfile
import uuid

from stack import PATIENCE_S, ROOT, TERMINAL, eventually

EXAMPLES = ROOT / "examples/skills"


def manifest(slug="probe", version="1.0.0", argv=("python3", "./main.py"), **more):
    return {"slug": slug, "version": version, "name": slug, "description": "A skill of the tests.",
            "inputs": {"type": "object"}, "outputs": {"type": "object"},
            "runner": {"type": "command", "argv": list(argv)}, "timeout_seconds": 20, "memory_mb": 128, **more}


def package(directory, document, **files):
    """Writes a package. A keyword main_py="…" is the file main.py."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "skill.json").write_text(json.dumps(document))
    for name, text in files.items():
        path = directory / name.replace("_", ".")
        path.write_text(text)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return directory


def install(workspace, directory, check=True):
    return workspace.stack.cli("skill", "install", directory, "--workspace", workspace.id, check=check)


def probe(workspace, main, slug="probe", version="1.0.0", **more):
    """Installs a skill that runs the given Python code."""
    with tempfile.TemporaryDirectory() as d:
        return install(workspace, package(pathlib.Path(d), manifest(slug, version, **more), main_py=main))


class Space:
    """The skill endpoints of a workspace (a "space" in their paths), called with one client."""

    def __init__(self, workspace, client=None):
        self.client = client or workspace.client()
        self.path = f"/spaces/{workspace.id}/skills"

    def start(self, slug, inputs=None, key=None, headers=None, **body):
        body = {"inputs": {} if inputs is None else inputs, **body}
        headers = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        return self.client.post(f"{self.path}/{slug}/executions", json=body, headers=headers)

    def started(self, *args, **kwargs):
        answer = self.start(*args, **kwargs)
        assert answer.status_code == 201, answer.text
        return answer.json()["data"]["id"]

    def get(self, id):
        answer = self.client.get(f"{self.path}/executions/{id}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    def finished(self, id, seconds=PATIENCE_S):
        return eventually(lambda: (lambda x: x if x["state"] in ("succeeded", "failed", "stopped") else None)(self.get(id)),
                          seconds, f"skill execution {id} terminal")

    def ran(self, *args, **kwargs):
        return self.finished(self.started(*args, **kwargs))

    def logs(self, id, **params):
        answer = self.client.get(f"/executions/{id}/logs", params=params)
        assert answer.status_code == 200
        return answer.text


def some_seconds():
    """An argument of `sleep` that no other test on this machine has, by which a test finds its processes."""
    return f"86399.{uuid.uuid4().int % 10**12:012}"


__all__ = ["some_seconds", "EXAMPLES", "Space", "TERMINAL", "install", "manifest", "package", "probe"]
