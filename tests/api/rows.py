"""Inserts thousands of ended executions directly into the tables: every row that a real run of one step leaves behind,
consistent enough for the audit."""
import datetime
import itertools

DAY_MS = 86400000
CALLS = itertools.count()  # part of each id: two calls may reach the same seq in the same millisecond


def days_ago(days):
    return int(datetime.datetime.now(datetime.timezone.utc).timestamp() * 1000) - int(days * DAY_MS)


def insert(run_sql, workspace, responder, n, at_ms, apart_ms=1, seed=0, tags=(), keyed=False, state="3", cost=1000000, plain=False):
    """Inserts n executions of one responder, the first at at_ms, the others apart_ms apart. `state` is an SQL expression of seq
    (1…n). The credits come from an additional grant. plain: of runs without a schedule, a wait and a signal, as most are."""
    call = next(CALLS)
    hex = f"{at_ms:012x}"
    grant = f"{hex[:8]}-{hex[8:]}-7fff-8000-{call:06x}000000"
    tag_rows = "".join(
        f"INSERT INTO execution_tags SELECT '{workspace}', '{tag}', id FROM made;\n" for tag in tags)
    tag_json = "'[" + ",".join(f'"{t}"' for t in tags) + "]'" if tags else "NULL"
    keys = f"""
      INSERT INTO idempotency_keys SELECT UNHEX(SHA2(CONCAT('{workspace}', 'key-{seed}-', seq), 256)), '{workspace}',
        CONCAT('key-{seed}-', seq), REPEAT('f', 32), id, 202, '{{"execution_id":"secret"}}', 4000000000000 FROM made;""" if keyed else ""
    waiting = "" if plain else f"""
      INSERT INTO schedule_occurrences SELECT id, ms, '{workspace}', 1, 1, 0, id, NULL, ms FROM made;
      INSERT INTO run_times SELECT id, NULL, ms + 1, 1 FROM made;
      INSERT INTO signals SELECT id, 1, id, 'x', 0, NULL, NULL, ms, '{{}}', '"secret"' FROM made;
      INSERT INTO signal_waits SELECT id, 0, -1, 'x', ms, 'secret' FROM made;
      INSERT INTO signal_tickets (hash, id, workspace_id, execution_id, name, created_ms, expires_ms, open_until_ms, question)
        SELECT UNHEX(SHA2(id, 256)), id, '{workspace}', id, 'x', ms, ms, ms, 'secret' FROM made;"""
    run_sql(f"""
      SET SESSION sql_mode = '';
      DROP TEMPORARY TABLE IF EXISTS made;
      CREATE TEMPORARY TABLE made (seq BIGINT PRIMARY KEY, id UUID, ms BIGINT, state INT) AS
        SELECT seq, CAST(CONCAT(LEFT(hex, 8), '-', RIGHT(hex, 4), '-7', LPAD(HEX({seed}), 3, '0'), '-8000-',
                           '{call:06x}', LPAD(HEX(seq), 6, '0'))
                    AS UUID) AS id, ms, ({state}) AS state
        FROM (SELECT seq, {at_ms} + seq * {apart_ms} AS ms, LPAD(HEX({at_ms} + seq * {apart_ms}), 12, '0') AS hex
              FROM seq_1_to_{n}) AS s;
      INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, failure_reason,
          effects, attempt, last_seq, cost, started_ms, ended_ms, updated_ms, input, tags, metadata, output, error)
        SELECT id, '{workspace}', '{responder}', '{workspace}', id, 1, 1, 1, state, IF(state = 4, 4, IF(state = 5, 2, 0)), 1, IF(state > 1, 1, 0),
          IF(state > 2, 3, IF(state = 2, 2, 1)), {cost}, IF(state > 1, ms, NULL), IF(state > 2, ms, NULL), ms,
          '{{"secret":"input"}}', {tag_json}, '{{"secret":"metadata"}}', IF(state > 2, '{{"secret":"output"}}', NULL),
          IF(state > 3, 'secret error', NULL) FROM made;
      INSERT INTO execution_steps (execution_id, step, item, status, tries, started_ms, completed_ms, result)
        SELECT id, 0, -1, 2, 1, ms, ms, '"secret step"' FROM made WHERE state > 2;
      INSERT INTO events SELECT id, 1, 1, ms, NULL FROM made;
      INSERT INTO events SELECT id, 2, 2, ms, '{{"secret":"event"}}' FROM made WHERE state > 1;
      INSERT INTO events SELECT id, 3, state + 9, ms, NULL FROM made WHERE state > 2;
      {waiting}
      SET @grant = '{grant}';
      INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms)
        VALUES ('{workspace}', @grant, 2, 2, 50, {n} * {cost}, 0, {at_ms}, {at_ms});
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id, grant_id)
        SELECT '{workspace}', id, 2, -{cost}, id, '{responder}', @grant FROM made;
      INSERT INTO credit_ledger (workspace_id, id, kind, amount, reason, grant_id)
        VALUES ('{workspace}', @grant, 1, {n} * {cost}, 'rows.py', @grant);
      {tag_rows}{keys}
      DROP TEMPORARY TABLE made""")


TABLES = ("execution_tags", "execution_steps", "events", "execution_usage",
          "execution_chats", "artifacts", "idempotency_keys", "schedule_occurrences", "run_times", "signals", "signal_waits", "signal_tickets", "execution_charges")
