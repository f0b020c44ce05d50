INSERT INTO skill_versions (skill_id, version, label, hash, agentic, credits, manifest, created_ms, exposed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
