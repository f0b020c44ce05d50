-- 1 if a row refers to the blob, otherwise 0.
SELECT EXISTS (SELECT 1 FROM files WHERE sha256 = ?) OR EXISTS (SELECT 1 FROM artifacts WHERE sha256 = ?)
  OR EXISTS (SELECT 1 FROM execution_usage WHERE log_sha256 = ?) AS is_referenced
