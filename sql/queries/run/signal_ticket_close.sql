UPDATE signal_tickets SET open_until_ms = NULL WHERE hash IN ([[?]])
