-- The grant of a ledger row; NULL: several, or an amount of 0. What is in the ledger so far becomes one grant of each account, its
-- opening grant. MariaDB keeps the default for the rows of the past, so that no row is written. First, because it waits for everything
-- that reads the ledger: if it gives up, nothing has to be undone.
ALTER TABLE credit_ledger ADD COLUMN grant_id UUID NULL DEFAULT '00000000-0000-7000-8000-000000000000', ALGORITHM=INSTANT;

-- Grants: what a balance consists of (lib/account/grants.h). Written only under the account's lock.
CREATE TABLE credit_grants (
  workspace_id UUID             NOT NULL,
  id           UUID             NOT NULL,
  state        TINYINT UNSIGNED NOT NULL,            -- 1 scheduled, 2 active, 3 expired, 4 voided
  category     TINYINT UNSIGNED NOT NULL,            -- 1 promotional, 2 paid
  priority     TINYINT UNSIGNED NOT NULL,            -- the lowest is used first
  amount       BIGINT           NOT NULL,
  remaining    BIGINT           NOT NULL CHECK (remaining >= 0), -- of an account's head grant: accounts.head_remaining
  effective_ms BIGINT           NOT NULL,
  expires_ms   BIGINT           NULL,                -- NULL: never
  created_ms   BIGINT           NOT NULL,
  ended_ms     BIGINT           NULL,                -- expired or voided
  ended_by     UUID             NULL,                -- the request that voided it, which recognizes itself by it
  refund_of    UUID             NULL,                -- it takes the refunds of this grant, which has expired
  note         VARBINARY(500)   NULL,
  PRIMARY KEY (workspace_id, id),
  KEY open (workspace_id, state, remaining),
  KEY by_refund (workspace_id, refund_of)
) ENGINE=InnoDB;

-- The head grant is the one that is used first. A debit that fits in it before next_change_ms reads no grant.
ALTER TABLE accounts
  ADD COLUMN head_grant     UUID   NULL,
  ADD COLUMN head_remaining BIGINT NOT NULL DEFAULT 0 CHECK (head_remaining >= 0),
  ADD COLUMN next_change_ms BIGINT NULL,             -- the next start or expiry of a grant
  ADD KEY by_next_change (next_change_ms);

-- The grants of a ledger row that concerns several; their sum is the row's amount.
CREATE TABLE credit_parts (
  workspace_id UUID   NOT NULL,
  ledger_id    UUID   NOT NULL,
  grant_id     UUID   NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, ledger_id, grant_id)
) ENGINE=InnoDB;

INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, created_ms, note)
SELECT a.workspace_id, '00000000-0000-7000-8000-000000000000', 2, 2, 50, a.balance, a.balance, w.created_ms,
       CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), 'the balance before there were grants'
FROM accounts a
JOIN workspaces w ON w.id = a.workspace_id;
UPDATE accounts SET head_grant = '00000000-0000-7000-8000-000000000000', head_remaining = balance WHERE balance > 0;

-- A grant's reference stands at the row with which it entered the balance. Before, that was the row with the grant's id.
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_ledger_view AS
SELECT l.workspace_id, w.name AS workspace, l.id,
       TIMESTAMP('1970-01-01') + INTERVAL CONV(LEFT(REPLACE(CAST(l.id AS CHAR), '-', ''), 12), 16, 10) * 1000 MICROSECOND
         AS at,
       CASE l.kind WHEN 1 THEN 'grant' WHEN 2 THEN 'debit' WHEN 3 THEN 'refund' WHEN 4 THEN 'expiry' WHEN 5 THEN 'void' END AS kind,
       CAST(l.amount / 1000000 AS DECIMAL(20, 6)) AS credits,
       l.execution_id, l.responder_id, l.key_id, l.reason,
       COALESCE(f.name, s.slug) AS responder, k.prefix AS key_prefix, r.reference, l.grant_id
FROM credit_ledger l
JOIN workspaces w ON w.id = l.workspace_id
LEFT JOIN workflows f ON f.id = l.responder_id
LEFT JOIN skills s ON s.id = l.responder_id
LEFT JOIN api_keys k ON k.id = l.key_id
LEFT JOIN credit_references r ON l.kind = 1 AND r.workspace_id = l.workspace_id
  AND r.ledger_id = IF(l.amount > 0 AND l.grant_id <> '00000000-0000-7000-8000-000000000000', l.grant_id, l.id);

-- closing = opening + grants - usage + refunds - expired - voided
CREATE OR REPLACE SQL SECURITY DEFINER VIEW credit_statement_monthly AS
SELECT workspace_id, workspace, month,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) - change_of_month AS opening,
       grants, usage_of_month AS `usage`, refunds,
       SUM(change_of_month) OVER (PARTITION BY workspace_id ORDER BY month) AS closing,
       runs, expired, voided
FROM (SELECT workspace_id, workspace, DATE_FORMAT(at, '%Y-%m') AS month,
             SUM(credits) AS change_of_month,
             SUM(IF(kind = 'grant', credits, 0)) AS grants,
             -SUM(IF(kind = 'debit', credits, 0)) AS usage_of_month,
             SUM(IF(kind = 'refund', credits, 0)) AS refunds,
             SUM(kind = 'debit') AS runs,
             -SUM(IF(kind = 'expiry', credits, 0)) AS expired,
             -SUM(IF(kind = 'void', credits, 0)) AS voided
      FROM credit_ledger_view
      GROUP BY workspace_id, workspace, DATE_FORMAT(at, '%Y-%m')) m;

-- What each grant has left, as GET /credits/grants shows it.
CREATE SQL SECURITY DEFINER VIEW credit_grants_view AS
SELECT g.workspace_id, w.name AS workspace, g.id,
       CASE WHEN g.state = 4 THEN 'voided' WHEN g.state = 3 THEN 'expired' WHEN g.state = 1 THEN 'scheduled'
            WHEN IF(g.id <=> a.head_grant, a.head_remaining, g.remaining) = 0 THEN 'used' ELSE 'active' END AS status,
       CASE g.category WHEN 1 THEN 'promotional' WHEN 2 THEN 'paid' END AS category, g.priority,
       CAST(g.amount / 1000000 AS DECIMAL(20, 6)) AS credits,
       CAST(IF(g.id <=> a.head_grant, a.head_remaining, g.remaining) / 1000000 AS DECIMAL(20, 6)) AS remaining,
       TIMESTAMP('1970-01-01') + INTERVAL g.effective_ms * 1000 MICROSECOND AS effective_from,
       TIMESTAMP('1970-01-01') + INTERVAL g.expires_ms * 1000 MICROSECOND AS expires_at,
       g.refund_of, r.reference, g.note
FROM credit_grants g
JOIN workspaces w ON w.id = g.workspace_id
JOIN accounts a ON a.workspace_id = g.workspace_id
LEFT JOIN credit_references r ON r.workspace_id = g.workspace_id AND r.ledger_id = g.id;
