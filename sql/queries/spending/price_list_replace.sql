-- Removes a list that is to come, and whose place another one takes. One that has come into force stays.
DELETE FROM price_lists WHERE target_hash = ? AND effective_ms = ? AND effective_ms > ?
