-- Writes locked accounts back, many in one statement. The rows exist, because they are locked, so nothing is inserted.
INSERT INTO accounts (workspace_id, balance, version, active, delayed_runs, head_grant, head_remaining, next_change_ms, spent, touched)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE
  balance = VALUES(balance), version = VALUES(version), active = VALUES(active), delayed_runs = VALUES(delayed_runs),
  head_grant = VALUES(head_grant), head_remaining = VALUES(head_remaining), next_change_ms = VALUES(next_change_ms), spent = VALUES(spent), touched = touched + VALUES(touched)
