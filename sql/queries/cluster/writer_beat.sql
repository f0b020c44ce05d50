UPDATE cluster_writer SET beat = beat + 1 WHERE id = 1 AND node = ?
