-- Which of these workspaces have max_concurrent set. Read without a lock; see settle_concurrency in lib/run/run_tx.c.
SELECT workspace_id FROM accounts WHERE workspace_id IN ([[?]]) AND max_concurrent IS NOT NULL
