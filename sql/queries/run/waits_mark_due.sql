-- 5: WAIT_START, a run that is not claimed from here (lib/run/delayed.c).
UPDATE waits SET due = IF(reason = 5, 2, 1) WHERE execution_id IN ([[?]])
