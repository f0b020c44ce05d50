"""Every query of sql/queries against the migrated schema, and what scripts/embed makes of queries."""
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


def embed(folder, **queries):
    """Runs scripts/embed over these queries. Returns its exit status, what it printed, and the header that it wrote."""
    (folder / "sql/queries/room").mkdir(parents=True)
    for name, text in queries.items():
        (folder / f"sql/queries/room/{name}.sql").write_text(text)
    done = subprocess.run([ROOT / "scripts/embed", "sql", folder], cwd=folder, capture_output=True, text=True, timeout=30)
    header = folder / "sql.h"
    return done.returncode, done.stderr, header.read_text() if header.exists() else ""


def test_columns_get_names(tmp_path):
    status, _, header = embed(
        tmp_path, pick="-- What for.\nSELECT t.id, CONCAT('a, (b', t.x) AS label,\n  (SELECT MAX(n) FROM u) AS top\nFROM t",
        put="INSERT INTO t (id, x, n)\nVALUES {{(?, 1, NOW() + ?)}}", copy="INSERT INTO t (id, x) SELECT w.id, ? FROM w WHERE w.id = ?",
        pick_more="-- Columns begin as in pick.\nSELECT id, label, top, rest FROM v", change="UPDATE t SET x = ?")
    assert status == 0
    for line in ("enum { PICK_ID, PICK_LABEL, PICK_TOP, PICK_COLUMNS };", "enum { PUT_SET_ID, PUT_SET_N, PUT_SET_COUNT };",
                 "enum { COPY_SET_X, COPY_SET_COUNT };"):
        assert line in header
    assert "CHANGE_" not in header.replace("SQL_CHANGE", "")


def test_columns_of_show_are_named_by_a_comment(tmp_path):
    status, _, header = embed(tmp_path, look="-- What for.\n-- Shows name, value.\nSHOW STATUS")
    assert status == 0 and "enum { LOOK_NAME, LOOK_VALUE, LOOK_COLUMNS };" in header


@pytest.mark.parametrize("queries, message", [
    ({"a": "SELECT COUNT(*) FROM t"}, 'a: "COUNT(*)" needs a name'),
    ({"a": "SELECT s.id, t.id FROM s JOIN t"}, "a: two columns are called id"),
    ({"a": "INSERT INTO t (id, x) VALUES (?)"}, "a: 2 columns, 1 values"),
    ({"a": "SELECT id FROM t", "b": "-- Columns as in a.\nSELECT id, x FROM t"}, "b: columns differ from those of a"),
    ({"b": "-- Columns as in a.\nSELECT id FROM t"}, "b: there is no query a"),
    ({"a": "SHOW STATUS"}, "a: a comment line"),
])
def test_queries_that_embed_rejects(tmp_path, queries, message):
    status, errors, header = embed(tmp_path, **queries)
    assert status != 0 and message in errors and header == ""


def embed_grants(folder, text):
    (folder / "sql").mkdir()
    (folder / "sql/grants.sql").write_text(text)
    done = subprocess.run([ROOT / "scripts/embed", "grants", folder], cwd=folder, capture_output=True, text=True, timeout=30)
    return done.returncode, done.stderr, (folder / "grants.c").read_text() if done.returncode == 0 else ""


def test_rights_are_taken_from_grants(tmp_path):
    status, errors, source = embed_grants(
        tmp_path, "-- A comment; of two parts.\nGRANT ALL PRIVILEGES ON * TO 'millrace_admin'@'localhost';\n"
        "GRANT SELECT, UPDATE (a, b),\n  DELETE   ON t TO 'millrace_api'@'localhost'; -- why\nGRANT INSERT ON u TO 'millrace_stream'@'localhost';\n")
    assert status == 0, errors
    assert [line.strip() for line in source.splitlines() if line.startswith("  {")] == [
        '{ "api", "t", "", "DELETE" },', '{ "api", "t", "", "SELECT" },', '{ "api", "t", "a", "UPDATE" },', '{ "api", "t", "b", "UPDATE" },',
        '{ "stream", "u", "", "INSERT" },']


@pytest.mark.parametrize("text", [
    "GRANT SELECT ON t TO 'another'@'localhost';", "GRANT SELECT ON t TO 'millrace_api'@'%';", "REVOKE SELECT ON t FROM 'millrace_api'@'localhost';",
    "GRANT SELECT; DELETE ON t TO 'millrace_api'@'localhost';", "GRANT SELECT (a, DELETE ON t TO 'millrace_api'@'localhost';",
    "GRANT ALL PRIVILEGES ON t TO 'millrace_api'@'localhost';",
])
def test_grants_that_embed_rejects(tmp_path, text):
    status, errors, _ = embed_grants(tmp_path, text)
    assert status != 0 and "embed: grants.sql: what " in errors
