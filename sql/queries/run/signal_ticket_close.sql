UPDATE signal_tickets SET open_until_ms = NULL, question = NULL, choices = NULL WHERE hash IN ([[?]])
