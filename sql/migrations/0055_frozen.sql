-- A workspace that is being moved to another cell, or was moved (docs/scaling.md, "Moving a workspace"): 1 exported from here, 2 being
-- imported here, 3 being removed here. Nobody locks its account, so that nothing about its money, runs, files and workflows changes any more.
ALTER TABLE accounts ADD COLUMN frozen TINYINT UNSIGNED NOT NULL DEFAULT 0, ALGORITHM=INSTANT;
