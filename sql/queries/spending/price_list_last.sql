-- When the target's list came into force that is in force at a time.
SELECT MAX(effective_ms) AS effective_ms FROM price_lists WHERE target_hash = ? AND effective_ms <= ?
