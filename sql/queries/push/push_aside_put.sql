INSERT INTO pushes_aside (push_id, last, first, n, status, answer, at_ms) VALUES {{(?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE status = VALUES(status), answer = VALUES(answer), at_ms = VALUES(at_ms), again = 0
