"""scripts/demo and scripts/stop, each run twice, in a directory of their own."""
import os
import pathlib
import subprocess
import tempfile

import pytest
import requests
from stack import ROOT, free_port

pytestmark = pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="builds and runs the plain programs")


def script(name, env):
    done = subprocess.run([ROOT / "scripts" / name], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert "\x1b" not in done.stdout, "colours must be printed on a terminal only"
    return done.stdout


def demo_env(run):
    """What demo.env exports to the programs that a shell starts."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MILLRACE_")}
    shown = subprocess.run(["bash", "-c", f". {run}/demo.env && env -0"], env=clean, capture_output=True, text=True, timeout=30, check=True).stdout
    return {name: value for name, _, value in (v.partition("=") for v in shown.split("\0")) if name.startswith("MILLRACE_")}


def executions(env):
    answer = requests.get(env["MILLRACE_URL"] + "/api/v1/executions", timeout=10,
                          headers={"Authorization": f"Bearer {env['MILLRACE_API_KEY']}"})
    assert answer.status_code == 200, answer.text
    return answer.json()["executions"]


def test_demo_can_be_repeated_and_restarted():
    with tempfile.TemporaryDirectory(prefix="mr-demo-", dir="/tmp") as directory:
        run = pathlib.Path(directory) / "run"
        env = {**os.environ, "MILLRACE_RUN": str(run), "MILLRACE_PORT": str(free_port())}
        env.pop("MILLRACE_BIN", None)
        try:
            shown = script("demo", env)
            assert '"status": "success"' in shown and '"state": "succeeded"' in shown
            first = demo_env(run)
            assert (run / "demo.env").stat().st_mode & 0o077 == 0, "the file holds the key"
            assert len(executions(first)) == 2, "expected one workflow run and one skill run"
            assert set(first) == {"MILLRACE_URL", "MILLRACE_API_KEY", "MILLRACE_WORKSPACE_ID", "MILLRACE_WORKFLOW_ID", "MILLRACE_CONFIG"}
            # the port is stored: the next start needs no variable
            assert (run / "port").read_text() == env.pop("MILLRACE_PORT") + "\n"

            script("demo", env)
            assert demo_env(run) == first
            assert len(executions(first)) == 4

            script("stop", env)
            with pytest.raises(requests.ConnectionError):
                requests.get(first["MILLRACE_URL"], timeout=5)
            script("stop", env)

            script("demo", env)
            assert demo_env(run) == first
            assert [e["status"] for e in executions(first)] == ["success"] * 6
        finally:
            script("stop", env)
