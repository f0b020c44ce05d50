UPDATE batches SET accepted = ?, results = ? WHERE id = ? AND results IS NULL
