-- The column `responders` holds the catalog version; see lib/account/account.h.
UPDATE accounts SET responders = responders + 1 WHERE workspace_id = ?
