/* What a skill's run leaves behind: artifacts, its log, and the resources it used. Results are allocated on
 * ctx. */
#pragma once

#include "blob/blob.h"
#include "mariadb/db.h"
#include "run/states.h"

struct artifact {
    id id;
    /* Relative to the run's working directory: "outputs/chart.svg". */
    const char *relpath;
    const char *media_type;
    struct blob_id blob;
};

struct usage {
    /* cached_tokens: those of the input tokens that the provider had in its cache. */
    int64_t input_tokens, output_tokens, cached_tokens;
    /* 10^-12 dollars. */
    int64_t cost;
    bool has_wallclock;
    int64_t wallclock_ms;
    int iterations;
    /* NULL: none. */
    const char *trace_id;
    bool has_log;
    struct blob_id log;
};

enum err artifact_list(struct db *db, void *ctx, const id *execution, struct artifact **list_r,
                       size_t *count_r) WARN_UNUSED;
enum err artifact_get(struct db *db, void *ctx, const id *workspace, const id *execution, const id *artifact,
                      struct artifact *a_r) WARN_UNUSED;

/* For the transaction that ends the run. Replaces the artifacts of an earlier attempt. */
enum err artifact_put_all(struct db_tx *tx, const id *execution, const struct artifact *list,
                          size_t n) WARN_UNUSED;
enum err usage_put(struct db_tx *tx, const id *execution, int attempt, const struct usage *u) WARN_UNUSED;
/* Records usage and artifacts of a run that already ended in this attempt because it was stopped or exceeded
 * its deadline. Does nothing if the run ended otherwise, has another attempt by now, or was purged. Values
 * recorded before only grow. */
enum err usage_put_late(struct db_tx *tx, const id *execution, int attempt, const struct usage *u,
                        const struct artifact *list, size_t n) WARN_UNUSED;

/* For a transaction that takes these names away (executions: values of db_id): marks the blobs of the runs'
 * artifacts, or logs, as dead. Call them before the rows are deleted. */
enum err artifact_discard(struct db_tx *tx, const struct db_value *executions, size_t n) WARN_UNUSED;
enum err usage_discard_log(struct db_tx *tx, const struct db_value *executions, size_t n) WARN_UNUSED;
/* The same for rows with the columns of SQL_ARTIFACT_BLOBS. */
void artifact_mark_dead(struct db_tx *tx, const struct db_rows *rows);

/* Where the log of an execution is: in the blob store (has_log), or in a file that this attempt still
 * writes. A purged execution has no log, even while a stopped command still writes one. */
struct execution_log {
    enum run_state state;
    int attempt;
    bool is_purged;
    bool has_log;
    struct blob_id log;
};
enum err execution_log(struct db *db, void *ctx, const id *workspace, const id *execution,
                       struct execution_log *log_r) WARN_UNUSED;
