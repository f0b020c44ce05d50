DELETE t FROM execution_tags AS t FORCE INDEX (execution_id) WHERE t.execution_id IN ([[?]])
