-- A write, so that the server flushes its log and what an earlier transaction has written is durable (lib/deed/deed.c).
UPDATE accounts SET version = version + 1 WHERE workspace_id = ?
