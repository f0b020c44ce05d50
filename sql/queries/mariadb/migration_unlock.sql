SELECT RELEASE_LOCK(CONCAT('millrace.migrate.', DATABASE())) AS is_released
