-- The optimizer would otherwise look through a group of all refunds once for every execution.
SET SESSION optimizer_switch = 'split_materialized=off'
