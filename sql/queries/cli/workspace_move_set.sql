UPDATE accounts SET frozen = ?, touched = touched + 1 WHERE workspace_id = ? AND frozen = ?
