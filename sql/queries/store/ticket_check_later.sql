UPDATE stream_tickets SET check_ms = ? WHERE hash IN ([[?]])
