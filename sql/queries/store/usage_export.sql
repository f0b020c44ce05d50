-- Of all workspaces, or of one; one range of the primary key for each workspace.
SELECT g.id, g.name, g.day, g.responder_id, COALESCE(f.name, s.slug) AS responder, g.key_id, k.prefix AS key_prefix, g.runs, g.debited, g.refunded
FROM (SELECT w.id, w.name, CAST(CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) DIV 86400000 AS SIGNED) AS day,
        l.responder_id, l.key_id, CAST(SUM(l.kind = 2) AS SIGNED) AS runs, CAST(-SUM(IF(l.kind = 2, l.amount, 0)) AS SIGNED) AS debited,
        CAST(SUM(IF(l.kind = 3, l.amount, 0)) AS SIGNED) AS refunded
      FROM workspaces w
      STRAIGHT_JOIN credit_ledger l ON l.workspace_id = w.id AND l.id >= ? AND l.id < ?
      WHERE l.kind IN (2, 3) AND (? IS NULL OR w.id = ?)
      GROUP BY w.id, w.name, day, l.responder_id, l.key_id) g
LEFT JOIN workflows f ON f.id = g.responder_id
LEFT JOIN skills s ON s.id = g.responder_id
LEFT JOIN api_keys k ON k.id = g.key_id
ORDER BY g.id, g.day, g.responder_id, g.key_id
