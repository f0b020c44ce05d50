-- Only if nobody has changed the row since it was read.
UPDATE schedules SET revision = revision + 1, principal_id = ?, key_id = ?, timing = ?, cron = ?, timezone = ?, every_s = ?, at_ms = ?, anchor_ms = ?, start_ms = ?, end_ms = ?, jitter_s = ?,
  overlap = ?, catch_up_s = ?, paused = ?, next_ms = ?, due_ms = ?, note = ?, input = ?, tags = ?, metadata = ?, updated_ms = ?
WHERE id = ? AND workspace_id = ? AND revision = ?
