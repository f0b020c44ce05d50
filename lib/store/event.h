/* Events as they are read: a page of one run's, and how far many runs have come. They are written by
 * lib/run/run_tx.h and lib/run/accept.h. Results are of ctx. */
#pragma once

#include "mariadb/db.h"
#include "run/states.h"

enum { EVENTS_PAGE_MAX = 100 /* as in sql/queries/store/event_page.sql */ };

struct event_row {
    int seq;
    enum event_type type;
    int64_t at_ms;
    const char *data; /* JSON object, or NULL */
};

struct event_page {
    enum run_state state; /* of the run, at the moment of reading */
    int last_seq;         /* number of its newest event; the page may end earlier */
    struct event_row *rows;
    size_t count;
};

/* What follows number `after`, ascending. ERR_NOT_FOUND: the workspace has no such run. */
enum err events_read(struct db *db, void *ctx, const id *workspace, const id *execution, int after,
                     struct event_page *page_r) WARN_UNUSED;

struct run_progress {
    id execution_id, workspace_id;
    enum run_state state;
    int last_seq;
};
/* One of a workspace. ERR_NOT_FOUND: the workspace has no such run. */
enum err execution_progress(struct db *db, void *ctx, const id *workspace, const id *execution,
                            struct run_progress *progress_r) WARN_UNUSED;
/* Those of the runs that exist, in any order, perhaps repeated. For whoever was given the ids as good: it
 * takes no workspace, but tells it. */
enum err execution_progress_list(struct db *db, void *ctx, const id *executions, size_t n,
                                 struct run_progress **list_r, size_t *count_r) WARN_UNUSED;
