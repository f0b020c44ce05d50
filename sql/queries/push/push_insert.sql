INSERT INTO pushes (id, name, url, kinds, auth, nonce, sealed, number, due_ms, created_ms) VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
