/* Parked runs. A run that waits for longer than a few seconds is in no executor's memory: its state stays
 * `running`, it has no executor, and its row in `waits` says what wakes it. run_tx writes these rows
 * (MOVE_PARK, MOVE_WAKE, and every other move of a parked run); docs/correctness.md, "Parked runs". */
#pragma once

#include "mariadb/db.h"

/* Marks parked runs whose time has come (by MariaDB's clock) as due, at most 2,000 of them. *due_r: some runs
 * are to be woken, now or since earlier. A transaction of its own; waits for no lock. */
enum err waits_mark_due(struct db *db, bool *due_r) WARN_UNUSED;
