-- The rows and the account update of one accepted run in one call with a durable commit: the least that a stack without group
-- commit can do. Created in the database of the benchmark only, by a client that sends all statements at once (no DELIMITER).
DROP PROCEDURE IF EXISTS floor_accept;
CREATE PROCEDURE floor_accept(run UUID, workspace UUID, workflow UUID, input_text MEDIUMTEXT CHARACTER SET utf8mb4, now_ms BIGINT)
BEGIN
  DECLARE balance_now BIGINT;
  START TRANSACTION;
  SELECT balance INTO balance_now FROM accounts WHERE workspace_id = workspace FOR UPDATE;
  IF balance_now >= 1000000 THEN
    INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, state, last_seq, cost, updated_ms, input)
      VALUES (run, workspace, workflow, workspace, run, 1, 1, 1, 1, 1, 1000000, now_ms, input_text);
    INSERT INTO events (execution_id, seq, type, at_ms) VALUES (run, 1, 1, now_ms);
    INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id) VALUES (workspace, run, 2, -1000000, run, workflow);
    UPDATE accounts SET balance = balance - 1000000, head_remaining = head_remaining - 1000000, version = version + 1 WHERE workspace_id = workspace;
  END IF;
  COMMIT;
END;
