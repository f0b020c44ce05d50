/* The counts of lib/base/tally.h in MariaDB, where one row counts for all processes: what of the runs is
 * counted, and how a process adds what it has counted. An executor adds every second and when it ends, the
 * API when its metrics are read and when a worker ends. */
#pragma once

#include "base/tally.h"
#include "mariadb/db.h"
#include "run/states.h"

void run_counts_claim(enum responder_kind kind, int64_t queued_ms);
/* running_ms < 0: it had not begun. */
void run_counts_end(enum responder_kind kind, enum run_state state, enum failure_reason reason,
                    int64_t running_ms);
/* Adds what was counted to MariaDB, in one statement outside of any transaction; nothing if nothing was
 * counted. If that fails, it is kept for the next call. */
void run_counts_flush(struct db *db);
