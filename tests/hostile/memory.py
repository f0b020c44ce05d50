"""A limit of memory for each server of a stack, as MemoryMax of its unit would be: for its master and all its processes together.

A control group of the memory controller (version 2 or 1) below the one of the tests, if it can be made; else RLIMIT_DATA, which holds for
each process alone.
"""
import contextlib
import os
import pathlib

SERVERS = ("api", "executor", "stream")
ROOT = pathlib.Path("/sys/fs/cgroup")


def parent():
    """(directory of this process's control group, name of the file that holds the limit), or None."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("memory", ""):
            continue
        top, limit = (ROOT / "memory", "memory.limit_in_bytes") if controllers else (ROOT, "memory.max")
        directory = top / path.lstrip("/")
        if (directory / limit).exists() and os.access(directory, os.W_OK):
            return directory, limit
    return None


class Limits:
    def __init__(self, stack, mib):
        self.stack, self.bytes = stack, mib << 20
        self.groups = {}

    def prefix(self, server):
        """The beginning of a command that starts the server with its limit."""
        found = parent()
        if not found:
            return ["prlimit", f"--data={self.bytes}"]
        directory, limit = found
        group = directory / f"millrace-{self.stack.dir.name}-{server}"
        if server not in self.groups:
            group.mkdir()
            (group / limit).write_text(str(self.bytes))
            self.groups[server] = group
        return ["sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', str(group)]

    def report(self):
        """{server: (highest use in MiB, kills)}"""
        found = {}
        for server, group in self.groups.items():
            peak = next((group / name for name in ("memory.peak", "memory.max_usage_in_bytes") if (group / name).exists()), None)
            events = next(group / name for name in ("memory.events", "memory.oom_control") if (group / name).exists())
            kills = dict(line.split() for line in events.read_text().splitlines()).get("oom_kill", "0")
            found[server] = (int(peak.read_text()) >> 20 if peak else None, int(kills))
        return found

    def remove(self):
        for group in self.groups.values():
            with contextlib.suppress(OSError):  # the kernel has not finished with its processes yet
                group.rmdir()
