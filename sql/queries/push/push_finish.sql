UPDATE pushes SET claim = NULL, number = GREATEST(number, ?), alone_to = GREATEST(alone_to, ?), due_ms = ?, failures = ?, failing_since_ms = ?, status = ?, error = ?,
  sent_ms = COALESCE(?, sent_ms), sent_rows = sent_rows + ?
WHERE id = ?
