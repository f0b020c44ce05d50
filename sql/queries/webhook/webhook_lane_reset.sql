-- What has failed does not delay an endpoint that was changed.
UPDATE webhook_lanes SET failures = 0, failing = 0, due_ms = LEAST(due_ms, ?), not_before_ms = IF(busy = 0, 0, not_before_ms) WHERE id = ?
