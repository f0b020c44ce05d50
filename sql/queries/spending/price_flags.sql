-- What price lists the workspace has: bits of lib/spending/price_list.h.
UPDATE accounts SET prices = (SELECT IF(COUNT(*) = 0, 0, 1 + 2 * MAX(model IS NOT NULL) + 4 * MAX(input_max + output_max + cached_max + time_max + bytes_max > 0)) FROM price_lists WHERE workspace_id = ?), touched = touched + 1
WHERE workspace_id = ?
