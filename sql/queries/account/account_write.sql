-- Writes locked accounts back, many in one statement; the rows exist, as they are locked.
INSERT INTO accounts (workspace_id, balance, version, active, touched)
VALUES {{(?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE
  balance = VALUES(balance), version = VALUES(version), active = VALUES(active), touched = touched + VALUES(touched)
