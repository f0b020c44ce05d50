SELECT responder_id, items, accepted FROM batches WHERE id = ? AND workspace_id = ?
