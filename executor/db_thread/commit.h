/* What one run writes in one go: steps, events and perhaps its move to an end, collected by the loop thread
 * and written by the database thread, many runs' together, under the fence. */
#pragma once

#include "executor/cache/programs.h"
#include "executor/cache/skills.h"
#include "executor/db_thread/db_thread.h"
#include "run/accept.h"
#include "run/run_tx.h"
#include "store/artifact.h"

struct collected_event {
    enum event_type type;
    int64_t at_ms;
    const char *data; /* JSON object or NULL */
};

struct commit {
    struct job job; /* first: a commit is a job, and the context of its texts */
    id run, workspace;
    int attempt;
    bool side_effects_started; /* a step was started: no refund any more */
    bool has_move;
    bool stop_descendants; /* the move stops all that runs below, too */
    struct run_move move;
    struct collected_event *events;
    size_t events_n;
    struct run_step *steps;
    size_t steps_n;
    bool nothing_started; /* after all, and not by an earlier attempt either: the move may refund */
    struct usage *usage;  /* of a skill, with its artifacts; NULL: none to write */
    struct artifact *artifacts;
    size_t artifacts_n;
    size_t bytes; /* of its texts, more or less: by it batches are kept small */

    /* the thread's */
    bool fenced;            /* the row is not ours any more: nothing was written */
    bool outcome_uncertain; /* an earlier run of its transaction may have committed */
    int seq_after;          /* the number of its last event in that run */
};

struct commit *commit_new(const id *run, const id *workspace, int attempt);
void commit_add_event(struct commit *c, enum event_type type, int64_t at_ms, const char *data);
/* Texts are copied. A second row for the same step and item replaces the first. */
void commit_put_step(struct commit *c, const struct run_step *step);
void commit_set_move(struct commit *c, const struct run_move *move);
bool commit_is_empty(const struct commit *c);

/* A run that is being claimed, with all that it needs to go on. Belongs to the holder of its batch. Once it
 * was offered to the loop it goes back there, whatever becomes of the claim. */
struct stored_step {
    int step, item;
    enum step_status status;
    int tries, answers;
    int64_t due_ms, started_ms;
    const char *result, *error;
};
struct active_run;
struct claimed_run {
    struct run run; /* as it is once the claim is written */
    id principal_id;
    const char *input, *tags, *metadata, *extra; /* JSON; NULL: none */
    struct cached_skill *skill;                  /* as `program`, of a skill's run */
    bool earlier_side_effects;                   /* an earlier attempt had started something */
    struct cached_program *program; /* a reference that the receiver gives back; NULL: it does not compile */
    struct stored_step *steps;
    size_t steps_n;
    int64_t claimed_ms;       /* wall time */
    bool concurrency_limited; /* its workspace sets max_concurrent */

    /* While it is offered these are the loop's: */
    struct commit *first_commit; /* what the run has done so far: written with the claim where it can be */
    bool accepts_first_commit;   /* it may still be given */
    /* The loop's alone: */
    struct active_run *active; /* NULL: not begun */
    bool cancelled;            /* begun, and gone before the claim was written */
    /* The thread's: */
    bool write_separately; /* the first commit is not written with the claim: it is to be submitted */
    bool fenced;           /* the row is not queued any more: nothing was written */
};

/* Workspaces that were seen to limit their concurrency: who ends a run of theirs locks the account first, and
 * finding that out anew costs a transaction. */
struct limited_workspaces {
    id workspaces[COMMIT_BATCH_MAX];
    size_t n, next;
};

/* What the writer does in a transaction: the commits given and, where claim_limit is more than 0, claims. */
struct commit_batch {
    struct db_thread_ctx *thread_ctx;
    struct compiled_programs *programs;
    struct commit *commits[COMMIT_BATCH_MAX];
    size_t commits_n;
    const id *queued_ids;
    size_t queued_ids_n;
    bool scan;
    size_t claim_limit;
    size_t first_commits_bytes_max; /* of first commits that are written with their claims */
    struct limited_workspaces *limited_workspaces;
    void *holder; /* of what is claimed; made by the caller */
    struct claimed_run *claimed;
    size_t claimed_n;
    bool write_first_commits_separately; /* one of the first commits cannot be written */
    /* Inside the transaction, once for the runs that it claims: has the loop carry them as far as they go
     * without a side effect. False: the process is about to end and claims no more. */
    bool (*begin_in_claim)(struct commit_batch *b);
    void *arg;
    bool claims_begun; /* from then on what is claimed is kept, through every run of the transaction */
};

/* Writes, and publishes after the commit. Claims of runs that were offered and are then not written, all
 * (an error) or one by one (`fenced`), are the caller's to tell the loop of. ERR_BUSY: nothing was done;
 * ERR_UNCERTAIN: it may have been, the same batch (or parts of it) can be given again; ERR_INTERNAL: one of
 * them cannot be written. */
enum err commit_batch_write(struct commit_batch *b) WARN_UNUSED;
/* A commit whose move ends all that runs below it, by itself. */
enum err commit_batch_write_tree(struct commit_batch *b, struct commit *c) WARN_UNUSED;
