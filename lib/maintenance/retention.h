/* Retention: for how many days after acceptance a workspace keeps the payload of its runs, and the runs
 * themselves. A run that was removed takes its idempotency keys with it, so it is removed at the earliest 24
 * hours after its end: by then all its keys have expired.
 *
 * Two cursors of a workspace, one for purging and one for removing, pass the runs in the order of their
 * acceptance. Runs that cannot be purged or removed yet, because they have not ended or have just ended, are
 * noted in retention_skipped and looked at again by the time of their end. All times are MariaDB's: where the
 * id of a run, made by the clock of a host, tells another time, the acceptance has noted the run in
 * retention_skipped. */
#pragma once

#include "mariadb/db.h"
#include "redis/redis.h"

/* Works on one workspace that is due, in one transaction of at most PURGE_ROWS_MAX rows. ERR_NOT_FOUND: no
 * workspace is due. *n_r: how many runs were purged or removed. A workspace that fails is due again later,
 * with back-off, and does not hold up the others. redis may be NULL. */
enum err retention_step(struct db *db, struct redis *redis, size_t *n_r) WARN_UNUSED;

/* --- public for its unit tests --- */

enum retention_choice { RETENTION_PASS, RETENTION_ERASE, RETENTION_SKIP };
struct retention_run {
    bool has_ended, is_purged;
    /* The last change of its state, by MariaDB's clock: its end, if it has ended. */
    int64_t changed_ms;
};
/* What a cursor does with a run. *due_ms_r, for RETENTION_SKIP: when to look at it again. */
enum retention_choice retention_choose(const struct retention_run *run, bool removes, int64_t now_ms,
                                       int64_t *due_ms_r);
