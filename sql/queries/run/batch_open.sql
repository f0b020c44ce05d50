-- Is the batch not finished yet? Read under the account's lock, under which a batch is finished.
SELECT id FROM batches WHERE id = ? AND results IS NULL
