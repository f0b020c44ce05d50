#!/usr/bin/python3
"""compose.py up [SERVICE…] | run SERVICE [OPTION… --] COMMAND…: starts services of ./compose.yaml by podman, as `docker compose up -d` and
`docker compose run` do. podman-compose of Debian 12 (1.0.3) lacks what the file uses: network_mode, conditions, times to end, profiles.

An unknown key of a service is an error, so that the test does not pass by ignoring it. Containers are named millrace_SERVICE_1. The options
of `run` are podman's.
"""
import json
import os
import pathlib
import re
import subprocess
import sys
import time

PROJECT = "millrace"


def settings():
    lines = pathlib.Path(".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def load():
    import yaml
    values = settings()

    def value(match):
        name, _, default = match[1].partition(":-")
        return values.get(name) or default
    text = re.sub(r"\$\{([^}]*)\}", value, pathlib.Path("compose.yaml").read_text())
    return yaml.safe_load(text)


def podman(*args, quiet=False, check=True):
    return subprocess.run(["podman", *args], check=check, stdout=subprocess.DEVNULL if quiet else None, stderr=subprocess.DEVNULL if quiet else None).returncode


def container(service):
    return f"{PROJECT}_{service}_1"


def state(service):
    return subprocess.run(["podman", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container(service)], capture_output=True, text=True).stdout.strip()


def volume(text):
    source, rest = text.split(":", 1)
    return f"{os.path.abspath(source)}:{rest}" if source.startswith(".") else f"{PROJECT}_{source}:{rest}"


def options(service, once):
    """The options of podman for a service; once: a container for one command, which is not started again and publishes no port."""
    keys = dict(service)
    out = []

    def each(option, values):
        for one in values:
            out.extend([option, str(one)])
    for key, option in (("user", "--user"), ("pull_policy", "--pull"), ("mem_limit", "--memory"), ("pids_limit", "--pids-limit"),
                        ("cpu_shares", "--cpu-shares"), ("oom_score_adj", "--oom-score-adj"), ("stop_signal", "--stop-signal")):
        if key in keys:
            each(option, [keys.pop(key)])
    for key, option in (("cap_drop", "--cap-drop"), ("cap_add", "--cap-add"), ("security_opt", "--security-opt"), ("tmpfs", "--tmpfs")):
        each(option, keys.pop(key, []))
    if keys.pop("read_only", False):
        out += ["--read-only", "--read-only-tmpfs=false"]  # docker mounts nothing by itself
    if "stop_grace_period" in keys:
        each("--stop-timeout", [keys.pop("stop_grace_period").removesuffix("s")])
    restart = keys.pop("restart", "no")
    each("--restart", ["no" if once else restart])
    for name, limit in keys.pop("ulimits", {}).items():
        each("--ulimit", [f"{name}={limit['soft']}:{limit['hard']}" if isinstance(limit, dict) else f"{name}={limit}:{limit}"])
    logging = keys.pop("logging")
    out += ["--log-driver", logging["driver"]]
    each("--log-opt", [f"{name}={value}" for name, value in logging["options"].items()])
    networks = keys.pop("networks", [])
    each("--network", [keys.pop("network_mode")] if "network_mode" in keys else [f"{PROJECT}_{name}" for name in networks])
    each("--publish", [] if once else keys.get("ports", []))
    keys.pop("ports", None)
    each("--volume", map(volume, keys.pop("volumes", [])))
    if keys.pop("healthcheck", {}).get("disable"):
        out.append("--no-healthcheck")
    if "entrypoint" in keys:
        each("--entrypoint", [json.dumps(keys.pop("entrypoint"))])
    for key in ("image", "command", "depends_on", "profiles"):
        keys.pop(key, None)
    assert not keys, f"compose.py does not know {sorted(keys)}"
    return out


def wait_for(service, condition):
    deadline = time.monotonic() + 120
    while True:
        now = state(service)
        if condition == "service_completed_successfully" and now == "exited 0":
            return
        if condition == "service_started" and now.startswith("running"):
            return
        if condition == "service_healthy" and podman("healthcheck", "run", container(service), quiet=True, check=False) == 0:
            return
        assert time.monotonic() < deadline, f"{service} is not {condition}: {now}"
        time.sleep(0.2)


def up(compose, wanted):
    for name in compose.get("networks", {}):
        if podman("network", "exists", f"{PROJECT}_{name}", check=False):
            podman("network", "create", f"{PROJECT}_{name}", quiet=True)
    for name, service in compose["services"].items():  # in the order of the file
        if "profiles" in service or (wanted and name not in wanted):
            continue
        needed = service.get("depends_on", {})
        for other, how in (needed.items() if isinstance(needed, dict) else ((n, {"condition": "service_started"}) for n in needed)):
            if not wanted:
                wait_for(other, how["condition"])
        podman("rm", "--ignore", container(name), quiet=True)
        podman("run", "--detach", "--name", container(name), *options(service, False), service["image"], *service["command"], quiet=True)


def run(compose, name, words):
    service = compose["services"][name]
    extra = words[:words.index("--")] if "--" in words else []
    command = words[words.index("--") + 1:] if "--" in words else words
    end = [] if "--detach" in extra else ["--rm"]
    return podman("run", *end, *options(service, True), *extra, service["image"], *command, check=False)


def main():
    compose = load()
    if sys.argv[1] == "up":
        up(compose, sys.argv[2:])
        return 0
    return run(compose, sys.argv[2], sys.argv[3:])


sys.exit(main())
