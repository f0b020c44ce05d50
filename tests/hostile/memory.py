"""A limit of memory for each server of a stack, as MemoryMax of its unit would be: for its master and all its processes together.

A control group of the memory controller (version 2 or 1) below the one of the tests, if it can be made; else RLIMIT_DATA, which holds for
each process alone.
"""
import contextlib
import os
import pathlib
import resource

SERVERS = ("api", "executor", "stream")
ROOT = pathlib.Path("/sys/fs/cgroup")


def parent():
    """(directory of this process's control group, name of the file that holds the limit), or None."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for top, limit in ((ROOT / "memory", "memory.limit_in_bytes"),) if controllers == "memory" else ((ROOT, "memory.max"),) if controllers == "" else ():
            directory = top / path.lstrip("/")
            if (directory / limit).exists() and os.access(directory, os.W_OK):
                return directory, limit
    return None


class Limits:
    def __init__(self, stack, mib):
        self.stack, self.bytes = stack, mib << 20
        self.groups = {}

    def confine(self, server):
        pids = [self.stack.pid(server), *self.stack.children(server)]
        found = parent()
        if not found:
            for pid in pids:
                resource.prlimit(pid, resource.RLIMIT_DATA, (self.bytes, self.bytes))
            return
        directory, limit = found
        group = directory / f"millrace-{self.stack.dir.name}-{server}"
        if not group.exists():
            group.mkdir()
            (group / limit).write_text(str(self.bytes))
            moves = group / "memory.move_charge_at_immigrate"
            if moves.exists():  # version 1: what the processes take already counts, too
                moves.write_text("3")
        self.groups[server] = group
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                (group / "cgroup.procs").write_text(str(pid))

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
            with contextlib.suppress(OSError):  # processes of the stack that have not ended yet
                group.rmdir()
