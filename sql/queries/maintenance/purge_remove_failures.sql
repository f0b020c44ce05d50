DELETE f FROM execution_failures AS f FORCE INDEX (by_execution) WHERE f.execution_id IN ([[?]])
