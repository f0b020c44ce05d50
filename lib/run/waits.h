/* Parked runs. A run that waits for longer than a few seconds is in no executor's memory: its state stays
 * `running`, it has no executor, and its row in `waits` says what wakes it. run_tx writes these rows
 * (MOVE_PARK, MOVE_WAKE, and every other move of a parked run); docs/correctness.md, "Parked runs". */
#pragma once

#include <stdint.h>

#include "mariadb/db.h"

/* How long it is until a time of this host's clock, in milliseconds; negative: it has passed. Rows of `waits`
 * become due by MariaDB's clock, to whose time the statements add this. (If they had this host's time, and
 * MariaDB's clock were a minute ahead, each run would be woken and parked again and again for a minute.) */
int64_t waits_time_until(int64_t wall_ms);

/* Marks parked runs whose time has come (by MariaDB's clock) as due, at most 2,000 of them. *due_r: some runs
 * are to be woken, now or since earlier. A transaction of its own; waits for no lock. */
enum err waits_mark_due(struct db *db, bool *due_r) WARN_UNUSED;
