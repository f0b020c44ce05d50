-- Under the account's lock, which knows that the balance does not fall below zero.
UPDATE accounts SET balance = balance + ?, version = version + 1, touched = touched + ? WHERE workspace_id = ?
