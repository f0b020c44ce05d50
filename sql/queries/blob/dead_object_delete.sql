DELETE FROM dead_objects WHERE object IN ([[?]])
