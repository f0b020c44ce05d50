/* The newest failed runs of a workspace, grouped by their errors (run/error_hash.h). Results are allocated on
 * ctx. */
#pragma once

#include "store/execution.h"

enum { ERROR_GROUP_RESPONDERS_MAX = 5 };

struct error_group {
    int64_t hash, count;
    /* When the first and the last of them ended; wall time. */
    int64_t first_ms, last_ms;
    id newest;
    enum failure_reason reason;
    /* NULL: no step has failed. */
    const char *step;
    /* How many there are, and some of them: only responder_id and kind are set. */
    int64_t responders_n;
    struct execution responders[ERROR_GROUP_RESPONDERS_MAX];
    size_t listed_n;
};

/* The `limit` largest groups, and how many failed runs were looked at, no more than EXECUTION_FAILURES_MAX.
 */
enum err error_groups_read(struct db *db, void *ctx, const id *workspace, int64_t limit,
                           struct error_group **list_r, size_t *count_r, int64_t *considered_r) WARN_UNUSED;
