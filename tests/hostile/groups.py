"""What the units of systemd give the servers: a control group of the processor for all services (system.slice) and one with the weight of
millrace_commands.slice for the commands of skills, beside each other; and with MemoryMax a limit of memory for each server's master and all its
processes together. Groups of version 2 or 1, below those of the tests, if they can be made; else RLIMIT_DATA, which holds for each process alone.
"""
import contextlib
import os
import pathlib

SERVERS = ("mariadb", "redis", "nginx", "api", "runner", "executor", "stream")
LIMITED = ("api", "runner", "executor", "stream")  # of memory
SLICE = pathlib.Path(__file__).resolve().parents[2] / "etc/systemd/millrace_commands.slice"
WEIGHTS = {"services": 100, "commands": int(next(line for line in SLICE.read_text().splitlines() if line.startswith("CPUWeight=")).split("=")[1])}
ROOT = pathlib.Path("/sys/fs/cgroup")
V2 = ("cpu.weight", "memory.max")


def parent(controller, *files):
    """(directory of this process's control group of the controller, the first of the files that groups below it have), or None."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for root in (ROOT / controllers,) if controllers else (ROOT, ROOT / "unified"):
            directory = root / path.lstrip("/")
            found = next((name for name in files if _groups_have(name, controller, controllers.split(","), directory)), None)
            if found and os.access(directory, os.W_OK):
                return directory, found
    return None


def _groups_have(name, controller, controllers, directory):
    enabled = directory / "cgroup.subtree_control"
    if controllers != [""]:
        return controller in controllers and (directory / name).exists()
    if name not in V2 or not enabled.exists():
        return False
    with contextlib.suppress(OSError):  # refused to a group that has processes, but for the first one
        enabled.write_text(f"+{controller}")
    return controller in enabled.read_text().split()


class Groups:
    def __init__(self, stack, mib):
        self.stack, self.bytes = stack, mib << 20
        self.memory, self.all = {}, []

    def prefix(self, server):
        """The beginning of a command that starts the server in its groups."""
        processor, memory = parent("cpu", "cpu.shares", "cpu.weight"), parent("memory", "memory.limit_in_bytes", "memory.max")
        kind = "commands" if server == "runner" else "services"
        groups = [self._group(processor[0], kind)] if processor else []
        for group in groups:
            weight = WEIGHTS[kind]
            if kind == "commands" and processor[1] in V2:
                os.setxattr(group, "user.delegate", b"1")  # the unit's Delegate=cpu
            (group / processor[1]).write_text(str(weight if processor[1] == "cpu.weight" else weight * 1024 // 100))
        if not groups:
            print(f"{server} has no control group of the processor: times beside attacks that compute say nothing")
        limited = self.bytes and server in LIMITED
        before = ["prlimit", f"--data={self.bytes}"] if limited and not memory else []
        if limited and memory:
            self.memory[server] = self._group(memory[0], server)
            (self.memory[server] / memory[1]).write_text(str(self.bytes))
            groups.append(self.memory[server])
        enter = "".join(f"echo $$ >{group}/cgroup.procs && " for group in groups)
        return ["sh", "-c", f'{enter}INVOCATION_ID=test exec "$@"', "sh", *before]

    def _group(self, directory, server):
        group = directory / f"millrace-{self.stack.dir.name}-{server}"
        group.mkdir(exist_ok=True)
        if group not in self.all:
            self.all.append(group)
        return group

    def report(self):
        """{server: (highest use in MiB, kills)}"""
        found = {}
        for server, group in self.memory.items():
            peak = next((group / name for name in ("memory.peak", "memory.max_usage_in_bytes") if (group / name).exists()), None)
            events = next(group / name for name in ("memory.events", "memory.oom_control") if (group / name).exists())
            kills = dict(line.split() for line in events.read_text().splitlines()).get("oom_kill", "0")
            found[server] = (int(peak.read_text()) >> 20 if peak else None, int(kills))
        return found

    def remove(self):
        for group in [below for group in self.all for below in (*group.glob("*/"), group)]:  # those of workspaces
            with contextlib.suppress(OSError):  # the kernel has not finished with its processes yet
                group.rmdir()
