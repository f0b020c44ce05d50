-- Why a step failed, for a run whose steps of on_failure continue in another executor.
ALTER TABLE execution_steps ADD COLUMN reason TINYINT UNSIGNED NULL;
