-- What each of Millrace's MariaDB users may do: run by root of the server, in Millrace's database, after every
-- `millrace migrate` (scripts/stack does). The users exist by then, with passwords that are set where they are made:
--   CREATE USER 'millrace_api'@'localhost' IDENTIFIED BY '…';
-- No user but the administrators' may change tables, and none but the executor may read secrets (the API: their names). KILL of one's own
-- connections, which settling a lost commit takes, needs no right.
-- `millrace doctor` holds the rights of the programs' users against these (scripts/embed reads this file): each statement is
-- GRANT RIGHT, RIGHT (COLUMN, …) ON TABLE TO 'millrace_PROGRAM'@'localhost'.

-- Administrators: the `millrace` command.
GRANT ALL PRIVILEGES ON * TO 'millrace_admin'@'localhost';

-- The API pool.
GRANT SELECT                         ON workspaces         TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON accounts           TO 'millrace_api'@'localhost';
GRANT SELECT, UPDATE (last_used_ms)  ON api_keys           TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON workflows          TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON workflow_versions  TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, DELETE         ON workflow_calls     TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON executions         TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_tags     TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_failures TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON execution_children TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON execution_trees    TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON execution_chats    TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON execution_steps    TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON waits              TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON stops              TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON run_times          TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON execution_retries  TO 'millrace_api'@'localhost';
GRANT SELECT                         ON price_lists        TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON execution_charges  TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON bulk_jobs          TO 'millrace_api'@'localhost';
GRANT SELECT                         ON bulk_items         TO 'millrace_api'@'localhost';
GRANT SELECT                         ON bulk_counts        TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON run_counts         TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signals            TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signal_waits       TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signal_tickets     TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON events             TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON credit_ledger      TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_grants      TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON credit_parts       TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_sums        TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_months      TO 'millrace_api'@'localhost';
GRANT SELECT                         ON ledger_numbers     TO 'millrace_api'@'localhost';
GRANT SELECT                         ON ledger_rollups     TO 'millrace_api'@'localhost';
GRANT SELECT                         ON ledger_rollup_sums TO 'millrace_api'@'localhost';
GRANT SELECT (id, name, url, kinds, auth, number, paused, failures, failing_since_ms, status, error, sent_ms, sent_rows, created_ms)
  ON pushes TO 'millrace_api'@'localhost';
GRANT SELECT                         ON pushes_aside       TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT                 ON credit_references  TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys   TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON batches            TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON schedules          TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON schedule_occurrences TO 'millrace_api'@'localhost';
GRANT SELECT                         ON executors          TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON stream_tickets     TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON purges             TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON blobs              TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON dead_objects       TO 'millrace_api'@'localhost';
GRANT INSERT                         ON retention_skipped  TO 'millrace_api'@'localhost';
GRANT SELECT                         ON skills             TO 'millrace_api'@'localhost';
GRANT SELECT                         ON skill_versions     TO 'millrace_api'@'localhost';
GRANT SELECT (workspace_id, alias, is_default) ON models   TO 'millrace_api'@'localhost';
GRANT SELECT (workspace_id, name)    ON secrets            TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON files              TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON quotas             TO 'millrace_api'@'localhost';
GRANT SELECT, DELETE                 ON artifacts          TO 'millrace_api'@'localhost';
GRANT SELECT, UPDATE                 ON execution_usage    TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON feeds              TO 'millrace_api'@'localhost';
GRANT INSERT                         ON feed_events        TO 'millrace_api'@'localhost';
-- The audit log: its rows are only added, and a row is recognized by its id.
GRANT SELECT (id), INSERT            ON deeds              TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON console_sessions   TO 'millrace_api'@'localhost';
GRANT SELECT, UPDATE (last_used_ms)  ON operators          TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks           TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON webhook_secrets    TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_outbox     TO 'millrace_api'@'localhost';
GRANT SELECT, UPDATE                 ON webhook_deliveries TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON webhook_lanes      TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON budgets            TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_periods     TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON credit_alerts      TO 'millrace_api'@'localhost';
GRANT SELECT, INSERT, DELETE         ON credit_alert_days  TO 'millrace_api'@'localhost';

-- The event daemon: reads events, numbers those of feeds, and removes expired tickets.
GRANT SELECT (id, workspace_id, responder_id, parent_id, kind, state, failure_reason, last_seq, purged_ms, ended_ms, tags,
  cost, refunded, error, output, key_id)
  ON executions TO 'millrace_stream'@'localhost';
GRANT SELECT (id)                    ON workspaces         TO 'millrace_stream'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON feeds              TO 'millrace_stream'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON feed_events        TO 'millrace_stream'@'localhost';
GRANT SELECT                         ON events             TO 'millrace_stream'@'localhost';
GRANT SELECT (id, revoked_ms, expires_ms) ON api_keys      TO 'millrace_stream'@'localhost';
GRANT SELECT (id, key_id, operator_id, used_ms, ends_ms) ON console_sessions TO 'millrace_stream'@'localhost';
GRANT SELECT (id, revoked_ms, expires_ms) ON operators     TO 'millrace_stream'@'localhost';
GRANT SELECT, UPDATE (check_ms), DELETE ON stream_tickets  TO 'millrace_stream'@'localhost';

-- The executor.
GRANT SELECT                         ON workspaces         TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON quotas             TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON accounts           TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON workflows          TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON workflow_versions  TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON workflow_calls     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON executions         TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_tags     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_failures TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_children TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_trees    TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_chats    TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_steps    TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON waits              TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON stops              TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON run_times          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON execution_retries  TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON price_lists        TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_charges  TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE, DELETE         ON bulk_jobs          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON bulk_items         TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON bulk_counts        TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON run_counts         TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signals            TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signal_waits       TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON signal_tickets     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON events             TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT                 ON credit_ledger      TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_grants      TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT                 ON credit_parts       TO 'millrace_executor'@'localhost';
GRANT UPDATE (number, room)          ON credit_ledger      TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE                 ON ledger_numbers     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_sums        TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_months      TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE                 ON pushes             TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON pushes_aside       TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE (amount)        ON credit_references  TO 'millrace_executor'@'localhost';
GRANT DELETE                         ON credit_ledger      TO 'millrace_executor'@'localhost';
GRANT DELETE                         ON credit_parts       TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON ledger_rollups     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON ledger_rollup_sums TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON ledger_rollup_budgets TO 'millrace_executor'@'localhost';
GRANT SELECT (prefix)                ON api_keys           TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys   TO 'millrace_executor'@'localhost';
GRANT SELECT, DELETE                 ON batches            TO 'millrace_executor'@'localhost';
GRANT SELECT (id, revoked_ms, expires_ms) ON api_keys      TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE                 ON schedules          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON schedule_occurrences TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON secrets            TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON executors          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON upkeep_tasks       TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE                 ON retention          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON purges             TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON blobs              TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON dead_objects       TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON retention_skipped  TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON skills             TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON skill_versions     TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON models             TO 'millrace_executor'@'localhost';
GRANT SELECT                         ON files              TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON artifacts          TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON execution_usage    TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON webhooks           TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON webhook_secrets    TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_outbox     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_deliveries TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON webhook_lanes      TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON budgets            TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE, DELETE ON budget_periods     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, UPDATE         ON credit_alerts      TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON credit_alert_days  TO 'millrace_executor'@'localhost';
GRANT SELECT, UPDATE, DELETE         ON feeds              TO 'millrace_executor'@'localhost';
GRANT SELECT (ends_ms), DELETE       ON console_sessions   TO 'millrace_executor'@'localhost';
GRANT SELECT (id, revoked_ms, expires_ms) ON operators     TO 'millrace_executor'@'localhost';
GRANT SELECT, INSERT, DELETE         ON feed_events        TO 'millrace_executor'@'localhost';

-- Billing: five views, nothing else.
GRANT SELECT ON credit_usage_daily TO 'millrace_billing'@'localhost';
GRANT SELECT ON credit_ledger_view TO 'millrace_billing'@'localhost';
GRANT SELECT ON credit_statement_monthly TO 'millrace_billing'@'localhost';
GRANT SELECT ON credit_ledger_grants_view TO 'millrace_billing'@'localhost';
GRANT SELECT ON credit_grants_view TO 'millrace_billing'@'localhost';
