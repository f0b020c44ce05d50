-- Changes nothing where the process counts as lost: then it has to stop.
UPDATE executors SET beat = beat + 1 WHERE id = ? AND lost_ms IS NULL
