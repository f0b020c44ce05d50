"""Stacks of this tree and of other commits, measured in turn: each by a script that is copied into the tree and uses nothing but what the stacks
of all commits have. The script prints `ready`, then a line for each line that it gets."""
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import against

ROOT = against.ROOT


@contextlib.contextmanager
def built_tree(commit):
    """A built worktree of the commit; None without a commit."""
    if not commit:
        yield None
        return
    tree = pathlib.Path(ROOT, "build/against", against.git("rev-parse", "--verify", commit + "^{commit}")[:12])
    if not tree.exists():
        against.git("worktree", "add", "--detach", str(tree), commit)
    try:
        against.build(tree)
        yield tree
    finally:
        against.git("worktree", "remove", "--force", str(tree))


class TreeStack:
    def __init__(self, tree, script, *args):
        if tree != ROOT:
            shutil.copy(ROOT / "tests/bench" / script, tree / "tests/bench" / script)
        env = {name: value for name, value in os.environ.items() if name != "MILLRACE_BIN"}
        self.process = subprocess.Popen(["/usr/bin/python3", f"tests/bench/{script}", *map(str, args)], cwd=tree, env=env, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n", f"{script} does not start in {tree}"

    def round(self):
        print("round", file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
