-- Connections of the server, all programs together, transactions that wait for a lock of a row, and the server's time.
SELECT CAST(@@max_connections AS SIGNED) AS most,
  CAST(MAX(IF(VARIABLE_NAME = 'THREADS_CONNECTED', VARIABLE_VALUE, 0)) AS SIGNED) AS connected,
  CAST(MAX(IF(VARIABLE_NAME = 'INNODB_ROW_LOCK_CURRENT_WAITS', VARIABLE_VALUE, 0)) AS SIGNED) AS lock_waits,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM information_schema.GLOBAL_STATUS
WHERE VARIABLE_NAME IN ('THREADS_CONNECTED', 'INNODB_ROW_LOCK_CURRENT_WAITS')
