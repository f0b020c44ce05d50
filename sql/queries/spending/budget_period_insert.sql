INSERT INTO budget_periods (budget_id, start_ms, end_ms, used) VALUES {{(?, ?, ?, ?)}}
