-- Where the balance and the spending of a locked account cross a line. `top_up` NULL: as it was.
UPDATE accounts
SET alerts = ?, alert_below = ?, alert_above = ?, top_up = COALESCE(?, top_up), spent_until_ms = ?, spent_line = ?
WHERE workspace_id = ?
