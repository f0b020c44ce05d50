-- Read without a lock, before what depends on the workspace's workflows; see lib/account/account.h.
SELECT responders FROM accounts WHERE workspace_id = ?
