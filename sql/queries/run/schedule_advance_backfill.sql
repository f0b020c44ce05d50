UPDATE schedules SET revision = revision + 1, backfill_ms = ?, backfill_end_ms = IF(backfill_ms IS NULL, NULL, backfill_end_ms) WHERE id = ?
