SELECT node, since_ms, beat FROM cluster_writer WHERE id = 1
