-- Rows of kinds that are not sent were passed over.
UPDATE pushes SET number = ? WHERE id = ?
