-- The backfill of a schedule in progress (docs/schedules.md): the next occurrence to start, and the last one. Both NULL: none.
ALTER TABLE schedules
  ADD COLUMN backfill_ms     BIGINT NULL AFTER waiting_ms,
  ADD COLUMN backfill_end_ms BIGINT NULL AFTER backfill_ms,
  ADD KEY (backfill_ms);
