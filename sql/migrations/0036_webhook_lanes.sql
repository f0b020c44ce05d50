-- Lanes of webhooks are found by the moment from which they can be claimed, and a claim names its executor.
ALTER TABLE webhook_lanes
  ADD COLUMN next_ms     BIGINT          AS (GREATEST(due_ms, not_before_ms)) PERSISTENT,
  ADD COLUMN executor_id BIGINT UNSIGNED NOT NULL DEFAULT 0, -- busy = 1: of the process that has the lane
  DROP KEY by_due,
  DROP KEY by_workspace,
  ADD KEY by_next (failing, next_ms, workspace_id),
  ADD KEY by_own (workspace_id, webhook_id, pending);
