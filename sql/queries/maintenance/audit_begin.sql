-- Without this the optimizer derives the group of refunds again for each execution.
SET SESSION optimizer_switch = 'split_materialized=off'
