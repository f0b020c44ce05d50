-- An executor has these runs from now on.
UPDATE execution_charges SET since_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE execution_id IN ([[?]]) AND time_price > 0
