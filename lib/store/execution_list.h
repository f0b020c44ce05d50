/* A filtered page of a workspace's executions. Results are allocated on ctx. */
#pragma once

#include "store/execution.h"

enum {
    EXECUTION_RESPONDERS_MAX = 64,
    EXECUTION_STATES_MAX = 3,
    EXECUTION_TAG_MAX = 256,
    EXECUTION_ERROR_MAX = 256
};
/* As in the queries execution_list_by_failure and error_groups. */
enum { EXECUTION_FAILURES_MAX = 10000 };

struct execution_filter {
    /* At most EXECUTION_RESPONDERS_MAX; none: any. */
    const id *responders;
    size_t responders_n;
    /* None: any. */
    enum run_state states[EXECUTION_STATES_MAX];
    size_t states_n;
    /* NULL: any. */
    const char *tag;
    /* Unset: any. Not both: the runs of a batch have no parent. */
    id parent, batch;
    /* Of failed runs only, the newest EXECUTION_FAILURES_MAX of the workspace; `states` is not looked at.
     * error: a part of their text, upper and lower case alike; NULL: any. */
    const char *error;
    bool has_error_hash;
    int64_t error_hash;
    /* Ids strictly between the two; unset: no bound. */
    id above, below;
    /* Counted from the newest. */
    int64_t offset, limit;
};

/* Newest first, without payloads. */
enum err execution_list(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                        struct execution **list_r, size_t *count_r) WARN_UNUSED;
/* The same: the ids only. */
enum err execution_list_ids(struct db *db, void *ctx, const id *workspace, const struct execution_filter *f,
                            id **ids_r, size_t *count_r) WARN_UNUSED;

/* Part of what a filter matches, without its offset and limit. */
enum { EXECUTION_WINDOW = 1000 };
struct execution_window {
    /* The matching runs of the window, newest first, no more than EXECUTION_WINDOW. */
    id *ids;
    size_t n;
    /* Runs with lower ids were not looked at. */
    id below;
    /* There are none that match. */
    bool is_last;
};
/* Reads at most EXECUTION_WINDOW runs, whether they match or not, so that a filter which matches few of many
 * runs costs no long statement; by errors, all of the newest EXECUTION_FAILURES_MAX failed runs. The caller
 * goes on with `below` of the window as the filter's. */
enum err execution_list_window(struct db *db, void *ctx, const id *workspace,
                               const struct execution_filter *f,
                               struct execution_window *window_r) WARN_UNUSED;
