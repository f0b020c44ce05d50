-- The sums of the ledger (lib/billing/ledger_sums.h, docs/correctness.md). A row gets its number after its commit, in the transaction
-- that adds it, with up to 200 others, to the sums; NULL: it is not in them yet. So numbers are in the order in which rows became visible,
-- whatever their ids.
ALTER TABLE credit_ledger ADD COLUMN number BIGINT NULL, ALGORITHM=INSTANT;
ALTER TABLE credit_ledger ADD KEY by_number (number, workspace_id);

-- One row: the last number.
CREATE TABLE ledger_numbers (
  id   TINYINT NOT NULL PRIMARY KEY,
  last BIGINT  NOT NULL
) ENGINE=InnoDB;
INSERT INTO ledger_numbers VALUES (1, 0);

-- By the day in the time zone that the workspace had when the row was numbered. An id of zeros: none.
CREATE TABLE credit_sums (
  workspace_id UUID             NOT NULL,
  day          INT              NOT NULL,            -- since 1970-01-01
  kind         TINYINT UNSIGNED NOT NULL,
  responder_id UUID             NOT NULL,
  key_id       UUID             NOT NULL,
  grant_id     UUID             NOT NULL,
  n            BIGINT           NOT NULL,            -- rows of the ledger; one of several grants counts for the first of them
  amount       BIGINT           NOT NULL,
  PRIMARY KEY (workspace_id, day, kind, responder_id, key_id, grant_id)
) ENGINE=InnoDB;

-- The same by month, for balances at the beginning of a month.
CREATE TABLE credit_months (
  workspace_id UUID             NOT NULL,
  month        INT              NOT NULL,            -- 12 * year + month of 0 to 11
  kind         TINYINT UNSIGNED NOT NULL,
  n            BIGINT           NOT NULL,
  amount       BIGINT           NOT NULL,
  PRIMARY KEY (workspace_id, month, kind)
) ENGINE=InnoDB;

CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_usage_daily AS
SELECT c.workspace_id, w.name AS workspace, DATE('1970-01-01') + INTERVAL c.day DAY AS day,
       NULLIF(c.responder_id, '00000000-0000-0000-0000-000000000000') AS responder_id,
       NULLIF(c.key_id, '00000000-0000-0000-0000-000000000000') AS key_id,
       SUM(IF(c.kind = 2, c.n, 0)) AS runs,
       CAST(-SUM(IF(c.kind = 2, c.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS debited,
       CAST(SUM(IF(c.kind <> 2, c.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS refunded,
       CAST(-SUM(c.amount) / 1000000 AS DECIMAL(20, 6)) AS used,
       COALESCE(f.name, s.slug) AS responder, k.prefix AS key_prefix
FROM credit_sums c
JOIN workspaces w ON w.id = c.workspace_id
LEFT JOIN workflows f ON f.id = c.responder_id
LEFT JOIN skills s ON s.id = c.responder_id
LEFT JOIN api_keys k ON k.id = c.key_id
WHERE c.kind NOT IN (1, 4, 5)
GROUP BY c.workspace_id, w.name, c.day, c.responder_id, c.key_id, f.name, s.slug, k.prefix;

-- closing = opening + grants - usage + refunds - expired - voided
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_statement_monthly AS
SELECT workspace_id, workspace, month,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) - change_of_month AS opening,
       grants, usage_of_month AS `usage`, refunds,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) AS closing,
       runs, expired, voided
FROM (SELECT m.workspace_id, w.name AS workspace, CONCAT(LPAD(m.month DIV 12, 4, '0'), '-', LPAD(m.month MOD 12 + 1, 2, '0')) AS month,
             CAST(SUM(m.amount) / 1000000 AS DECIMAL(20, 6)) AS change_of_month,
             CAST(SUM(IF(m.kind = 1, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS grants,
             CAST(-SUM(IF(m.kind = 2, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS usage_of_month,
             CAST(SUM(IF(m.kind NOT IN (1, 2, 4, 5), m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS refunds,
             SUM(IF(m.kind = 2, m.n, 0)) AS runs,
             CAST(-SUM(IF(m.kind = 4, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS expired,
             CAST(-SUM(IF(m.kind = 5, m.amount, 0)) / 1000000 AS DECIMAL(20, 6)) AS voided
      FROM credit_months m
      JOIN workspaces w ON w.id = m.workspace_id
      GROUP BY m.workspace_id, w.name, m.month) t;

-- Each ledger row with each grant that it concerns; the amounts of a row add up to the row's.
CREATE SQL SECURITY DEFINER VIEW credit_ledger_grants_view AS
SELECT v.workspace_id, v.workspace, v.id, v.at, v.kind, COALESCE(p.grant_id, v.grant_id) AS grant_id,
       IF(p.grant_id IS NULL, v.credits, CAST(p.amount / 1000000 AS DECIMAL(20, 6))) AS credits,
       CASE g.category WHEN 1 THEN 'promotional' WHEN 2 THEN 'paid' END AS category,
       r.reference, g.note, v.execution_id, v.responder_id, v.responder, v.key_id, v.key_prefix
FROM credit_ledger_view v
LEFT JOIN credit_parts p ON v.grant_id IS NULL AND p.workspace_id = v.workspace_id AND p.ledger_id = v.id
LEFT JOIN credit_grants g ON g.workspace_id = v.workspace_id AND g.id = COALESCE(p.grant_id, v.grant_id)
LEFT JOIN credit_references r ON r.workspace_id = v.workspace_id AND r.ledger_id = g.id;
