"""Every query of sql/queries against the migrated schema."""
import getpass
import os
import subprocess

import pytest
from stack import ROOT

pytestmark = pytest.mark.skipif("MILLRACE_BIN" in os.environ, reason="asks MariaDB alone")


def test_every_query_prepares_with_the_columns_that_embed_counted(stack):
    subprocess.run(["make", "-s", "-j2", "prepare-queries"], cwd=ROOT, check=True, timeout=300)
    program = ROOT / "build/plain/prepare-queries"
    database = stack.sql_one("SELECT DATABASE()")
    done = subprocess.run([program, stack.dir / "sockets/mariadb.sock", database, getpass.getuser()],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(list((ROOT / "sql/queries").rglob("*.sql")))
