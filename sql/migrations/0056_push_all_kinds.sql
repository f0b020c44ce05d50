-- millrace: reviewed: older programs read the number as the same set of kinds
-- millrace: at once: there are at most 16 destinations, each with one row
-- A destination that got all kinds of rows of the ledger gets those to come as well: all bits say so (lib/push/destination.h).
UPDATE pushes SET kinds = 4294967295 WHERE kinds = 126;
