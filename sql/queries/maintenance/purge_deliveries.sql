UPDATE webhook_deliveries SET error = IF(state = 1, 'The run was purged.', error), state = IF(state = 1, 4, state), answer = NULL, url = NULL
WHERE execution_id IN ([[?]])
