-- A lane that cannot be claimed, because of an error that stays, is looked at again later.
UPDATE webhook_lanes SET not_before_ms = ? WHERE id = ? AND busy = 0
