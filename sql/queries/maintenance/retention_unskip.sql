DELETE FROM retention_skipped WHERE workspace_id = ? AND removes = ? AND execution_id IN ([[?]])
