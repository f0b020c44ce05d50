/* What a skill's run leaves behind: artifacts, its log, and what it used. Results are of ctx. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "run/states.h"

struct artifact {
    id id;
    const char *relpath; /* in the run's working directory: "outputs/chart.svg" */
    const char *media_type;
    struct blob_id blob;
};

struct usage {
    int64_t input_tokens, output_tokens;
    int64_t cost; /* 10^-12 dollars */
    bool has_wallclock;
    int64_t wallclock_ms;
    int iterations;
    const char *trace_id; /* NULL: none */
    bool has_log;
    struct blob_id log;
};

enum err artifact_list(struct db *db, void *ctx, const id *execution, struct artifact **list_r,
                       size_t *count_r) WARN_UNUSED;
enum err artifact_get(struct db *db, void *ctx, const id *workspace, const id *execution, const id *artifact,
                      struct artifact *a_r) WARN_UNUSED;

/* In the transaction that ends the run: replaces what an earlier attempt had left. */
enum err artifact_put_all(struct db_tx *tx, const id *execution, const struct artifact *list,
                          size_t n) WARN_UNUSED;
enum err usage_put(struct db_tx *tx, const id *execution, const struct usage *u) WARN_UNUSED;
/* The same, and the artifacts, of a run that had ended before: it was stopped, or beyond its time, in this
 * attempt. Nothing where it is another's since or was purged; what it had told before only grows. */
enum err usage_put_late(struct db_tx *tx, const id *execution, int attempt, const struct usage *u,
                        const struct artifact *list, size_t n) WARN_UNUSED;

/* Where the log of an execution is: kept (has_log), or still being written by this attempt. */
struct execution_log {
    enum run_state state;
    int attempt;
    bool has_log;
    struct blob_id log;
};
enum err execution_log(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution_log *log_r) WARN_UNUSED;
