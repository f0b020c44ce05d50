#include "executor/db_thread/claim_batch.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "executor/db_thread/adopted_steps.h"
#include "executor/db_thread/claim_turns.h"
#include "executor/db_thread/write_commit.h"
#include "store/execution.h"
#include "json/json.h"

enum {
    /* A command's timeout counts from its start. Before that, a claimed run may wait this long for its files
     * and for its turn to start. */
    SKILL_START_WAIT_MS = 10 * 60 * 1000,
    /* Of all programs and manifests that one transaction compiles: about 4 ms. */
    COMPILE_BYTES_MAX = 32 * 1024,
    /* Of all large inputs and stored results that one transaction reads, beyond those of its first run. */
    TEXT_BYTES_MAX = 4 * 1024 * 1024,
    /* Memory of a run without values. */
    RUN_BYTES = 16 * 1024,
    /* A queued run is left to other executors for so long: they look for runs once a second. */
    LEFT_MS = 60 * 1000,
};

/* --- what a run needs to begin --- */

static struct claimed_run *find_claimed(struct claim_batch *claims, const id *run)
{
    for (size_t i = 0; i < talloc_array_length(claims->runs); i++) {
        if (id_equal(&claims->runs[i].run.id, run))
            return &claims->runs[i];
    }
    return NULL;
}

/* Of all runs that were found; large inputs follow one by one (read_large_input). */
static enum err read_found_inputs(struct db_tx *tx, struct claim_batch *claims)
{
    size_t found = talloc_array_length(claims->runs);
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, found);
    struct db_rows *rows;
    for (size_t i = 0; i < found; i++)
        ids[i] = db_id(&claims->runs[i].run.id);
    enum err e = db_run_each(tx->db, claims->runs, SQL_EXECUTOR_INPUTS, NULL, 0, ids, 1, found, &rows);
    for (size_t r = 0; e == OK && r < rows->count; r++) {
        id run = db_get_id(rows, r, EXECUTOR_INPUTS_ID);
        struct claimed_run *c = find_claimed(claims, &run);
        if (!c)
            continue;
        c->principal_id = db_get_id(rows, r, EXECUTOR_INPUTS_PRINCIPAL_ID);
        c->input = db_str(rows, r, EXECUTOR_INPUTS_INPUT);
        c->input_bytes = (size_t)db_int(rows, r, EXECUTOR_INPUTS_INPUT_BYTES);
        c->tags = db_str(rows, r, EXECUTOR_INPUTS_TAGS);
        c->metadata = db_str(rows, r, EXECUTOR_INPUTS_METADATA);
        c->extra = db_str(rows, r, EXECUTOR_INPUTS_EXTRA);
        c->concurrency_limited = !db_cell(rows, r, EXECUTOR_INPUTS_MAX_CONCURRENT)->is_null;
        c->trace = execution_trace(db_cell(rows, r, EXECUTOR_INPUTS_TRACE_CONTEXT), &c->run.root_id);
        c->trace_state = db_str(rows, r, EXECUTOR_INPUTS_TRACE_STATE);
    }
    return e;
}

static enum err read_large_input(struct db_tx *tx, struct claimed_run *c)
{
    struct db_value run = db_id(&c->run.id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, c->texts, SQL_EXECUTOR_LARGE_INPUT, &run, 1, &rows);
    if (e == OK && rows->count > 0)
        c->input = db_str(rows, 0, EXECUTOR_LARGE_INPUT_INPUT);
    return e;
}

/* The steps that earlier attempts have committed; a first attempt has none. */
static enum err read_stored_steps(struct db_tx *tx, struct claimed_run *c)
{
    struct db_value run = db_id(&c->run.id);
    struct db_rows *rows;
    enum err e = db_run(tx->db, c->texts, SQL_EXECUTOR_STEPS, &run, 1, &rows);
    if (e != OK)
        return e;
    c->steps = talloc_zero_array(c->texts, struct stored_step, rows->count);
    c->steps_n = rows->count;
    for (size_t r = 0; r < rows->count; r++) {
        c->steps[r] = (struct stored_step){
            .step = (int)db_int(rows, r, EXECUTOR_STEPS_STEP),
            .item = (int)db_int(rows, r, EXECUTOR_STEPS_ITEM),
            .status = (enum step_status)db_int(rows, r, EXECUTOR_STEPS_STATUS),
            .tries = (int)db_int(rows, r, EXECUTOR_STEPS_TRIES),
            .answers = (int)db_int(rows, r, EXECUTOR_STEPS_ANSWERS),
            .due_ms = db_int(rows, r, EXECUTOR_STEPS_DUE_MS),
            .timeout_ms = db_int(rows, r, EXECUTOR_STEPS_TIMEOUT_MS),
            .started_ms = db_int(rows, r, EXECUTOR_STEPS_STARTED_MS),
            .result = db_str(rows, r, EXECUTOR_STEPS_RESULT),
            .error = db_str(rows, r, EXECUTOR_STEPS_ERROR),
            .reason = (enum failure_reason)db_int(rows, r, EXECUTOR_STEPS_REASON),
        };
    }
    return OK;
}

static bool waits_for_signals(const struct claimed_run *c)
{
    const struct program *program = c->program ? cached_program_compiled(c->program) : NULL;
    for (size_t i = 0; program && i < c->steps_n; i++) {
        const struct stored_step *s = &c->steps[i];
        if (s->status == STEP_STATUS_RUNNING && s->step >= 0 && (size_t)s->step < program->step_count &&
            program->steps[s->step].type == STEP_TYPE_WAIT)
            return true;
    }
    return false;
}

static enum err read_given_signals(struct db_tx *tx, struct claimed_run *c)
{
    struct db_value run = db_id(&c->run.id);
    struct db_rows *rows;
    if (!waits_for_signals(c))
        return OK;
    enum err e = db_run(tx->db, c->texts, SQL_EXECUTOR_SIGNALS, &run, 1, &rows);
    if (e != OK)
        return e;
    c->signals = talloc_zero_array(c->texts, struct given_signal, rows->count);
    c->signals_n = rows->count;
    for (size_t r = 0; r < rows->count; r++) {
        c->signals[r] = (struct given_signal){
            .seq = (int)db_int(rows, r, EXECUTOR_SIGNALS_SEQ),
            .step = (int)db_int(rows, r, EXECUTOR_SIGNALS_STEP),
            .item = (int)db_int(rows, r, EXECUTOR_SIGNALS_ITEM),
            .at_ms = db_int(rows, r, EXECUTOR_SIGNALS_AT_MS),
            .name = db_str(rows, r, EXECUTOR_SIGNALS_NAME),
            .data = db_str(rows, r, EXECUTOR_SIGNALS_DATA),
            .sender = db_str(rows, r, EXECUTOR_SIGNALS_SENDER),
        };
    }
    return OK;
}

/* Bytes of the texts that were read for one run, and of the run in memory, by estimate. */
static void measure_run(const struct claimed_run *c, size_t *texts_r, size_t *memory_r)
{
    size_t texts = c->input ? strlen(c->input) : 0;
    size_t trees = c->input ? json_tree_estimate(c->input, texts) : 0;
    for (size_t i = 0; i < c->steps_n; i++) {
        size_t size = c->steps[i].result ? strlen(c->steps[i].result) : 0;
        texts += size;
        trees += size > 0 ? json_tree_estimate(c->steps[i].result, size) : 0;
    }
    for (size_t i = 0; i < c->signals_n; i++) {
        size_t size = c->signals[i].data ? strlen(c->signals[i].data) : 0;
        texts += size;
        trees += size > 0 ? json_tree_estimate(c->signals[i].data, size) : 0;
    }
    *texts_r = texts;
    *memory_r = RUN_BYTES + 2 * texts + trees;
}

/* Reads what is large or of an earlier attempt. ERR_LIMIT: the transaction has read enough. */
static enum err read_texts(struct db_tx *tx, struct claim_batch *claims, struct claimed_run *c)
{
    bool large = c->input_bytes > 0 && !c->input;
    bool steps = c->run.attempt > 0 || c->run.parked;
    bool adopts = c->run.kind == KIND_WORKFLOW && c->extra;
    enum err e = OK;
    if (!large && !steps && !adopts)
        return OK;
    for (size_t i = 0; i < claims->no_memory_n; i++) {
        if (id_equal(&claims->no_memory[i], &c->run.workspace_id))
            return ERR_LIMIT;
    }
    if (claims->runs_n > 0 && c->input_bytes >= claims->text_bytes_left) {
        claims->texts_left = true;
        return ERR_LIMIT;
    }
    c->texts = talloc_new(claims->runs);
    if (large)
        e = read_large_input(tx, c);
    if (e == OK && steps)
        e = read_stored_steps(tx, c);
    if (e == OK && steps)
        e = read_given_signals(tx, c);
    if (e == OK && adopts)
        e = read_adopted_steps(tx->db, c->texts, c);
    return e;
}

/* ERR_LIMIT: there is not enough memory for the run now. */
static enum err admit_run(struct db_thread_ctx *thread_ctx, struct claim_batch *claims, struct claimed_run *c)
{
    size_t texts;
    size_t memory;
    measure_run(c, &texts, &memory);
    if (!compiled_programs_admit(thread_ctx->programs, memory)) {
        if (claims->no_memory_n < COMMIT_BATCH_MAX)
            claims->no_memory[claims->no_memory_n++] = c->run.workspace_id;
        return ERR_LIMIT;
    }
    c->memory = thread_ctx->memory;
    c->memory_bytes = memory;
    claims->text_bytes_left -= texts < claims->text_bytes_left ? texts : claims->text_bytes_left;
    return OK;
}

/* From the claim to the deadline. */
static int64_t skill_deadline_ms(const struct manifest *m)
{
    return m->timeout_ms + (m->runner == RUNNER_COMMAND ? SKILL_START_WAIT_MS : 0);
}

static struct compile_job *find_noted(struct claim_batch *claims, const struct run *r)
{
    for (size_t i = 0; i < claims->to_compile_n; i++) {
        struct compile_job *noted = claims->to_compile[i];
        if (noted->source.version == r->version && id_equal(&noted->source.responder, &r->responder_id))
            return noted;
    }
    return NULL;
}

/* A large program or manifest that is not in the cache is compiled by the compute thread, after the
 * transaction. Without memory for that its run stays queued. */
static void note_to_compile(struct db_thread_ctx *thread_ctx, struct claim_batch *claims, const struct run *r,
                            const struct compile_source *source)
{
    size_t bytes = compile_source_estimate(source);
    struct compile_job *job = find_noted(claims, r);
    if (job) {
        if (job->runs_n < COMPILE_RUNS_MAX)
            job->runs[job->runs_n++] = r->id;
        return;
    }
    claims->compile_full =
        claims->to_compile_n == COMPILE_JOBS_MAX || !compiled_programs_admit(thread_ctx->programs, bytes);
    if (claims->compile_full)
        return;
    job = compile_job_new(claims->holder, source);
    compile_job_count(job, thread_ctx->memory, bytes);
    job->runs[job->runs_n++] = r->id;
    claims->to_compile[claims->to_compile_n++] = job;
}

/* ERR_LIMIT: its program or manifest, the text of which is in `source` if it was read, has to be compiled by
 * the compute thread. */
static enum err read_responder(struct db_tx *tx, struct db_thread_ctx *thread_ctx, struct claim_batch *claims,
                               const struct run *r, struct claimed_run *c, struct skill *row,
                               struct compile_source *source)
{
    void *ctx = source; /* a talloc context */
    size_t *bytes_left = &claims->compile_bytes_left;
    size_t text_max = claims->compile_full ? *bytes_left : INT64_MAX;
    if (r->kind != KIND_SKILL)
        return compiled_programs_get_within(thread_ctx->programs, tx->db, ctx, &r->responder_id, r->version,
                                            text_max, bytes_left, &c->program, &source->program,
                                            &source->program_size);
    enum err e =
        compiled_skills_get_within(thread_ctx->skills, tx->db, ctx, &r->workspace_id, &r->responder_id,
                                   r->version, text_max, bytes_left, &c->skill, row);
    source->skill = e == ERR_LIMIT && row->manifest ? row : NULL;
    return e;
}

/* ERR_LIMIT: the program or manifest is being compiled, or will be; the run cannot be claimed yet. */
static enum err compile_responder(struct db_tx *tx, struct db_thread_ctx *thread_ctx,
                                  struct claim_batch *claims, const struct run *r, struct claimed_run *c)
{
    if (compile_join(claims->compiling, &r->responder_id, r->version, &r->id))
        return ERR_LIMIT;
    struct skill row;
    struct compile_source *source = talloc_zero(NULL, struct compile_source);
    source->workspace_id = r->workspace_id;
    source->responder = r->responder_id;
    source->version = r->version;
    enum err e = read_responder(tx, thread_ctx, claims, r, c, &row, source);
    if (e == ERR_LIMIT && (source->skill || source->program))
        note_to_compile(thread_ctx, claims, r, source);
    talloc_free(source);
    return e;
}

static enum err load_responder(struct db_tx *tx, struct db_thread_ctx *thread_ctx, struct claim_batch *claims,
                               const struct run *r, struct claimed_run *c, int64_t *timeout_ms_r)
{
    enum err e = compile_responder(tx, thread_ctx, claims, r, c);
    if (e == OK && c->skill)
        *timeout_ms_r = skill_deadline_ms(cached_skill_manifest(c->skill));
    else if (e == OK)
        *timeout_ms_r = cached_program_compiled(c->program)->timeout_ms;
    return e;
}

/* --- the claim --- */

static void give_back(struct claimed_run *c)
{
    cached_program_unref(c->program);
    cached_skill_unref(c->skill);
    sandbox_permit_unref(c->sandbox);
    if (c->memory_bytes > 0)
        memory_budget_leave(c->memory, c->memory_bytes);
}

static int free_claimed_runs(struct claimed_run *runs)
{
    for (size_t i = 0; i < talloc_array_length(runs); i++)
        give_back(&runs[i]);
    return 0;
}

/* The run stays as it was. */
static void drop_found_run(struct claimed_run *c)
{
    talloc_free(c->texts);
    give_back(c);
    *c = (struct claimed_run){0};
}

void discard_claims(struct claim_batch *claims)
{
    talloc_free(claims->runs);
    for (size_t i = 0; i < claims->to_compile_n; i++)
        talloc_free(claims->to_compile[i]);
    claims->to_compile_n = 0;
    claims->runs = NULL;
    claims->runs_n = 0;
}

static enum err move_to_running(struct run_tx *run_tx, struct run *r, const struct claimed_run *c,
                                uint64_t executor_id, int64_t deadline_ms)
{
    /* Waits for signals below a run that has begun have moved its deadline. A skill that is handed back
     * before its command has started keeps it, too, or it would go round for ever. */
    if (r->started_ms > 0 && (r->side_effects_started || c->skill) && r->deadline_ms > 0)
        deadline_ms = r->deadline_ms;
    /* A skill's runner starts as soon as the claim is written. A workflow's step commits `started` before it
     * starts. */
    r->side_effects_started = r->side_effects_started || c->skill;
    struct run_move move = {.move = r->parked ? MOVE_WAKE : MOVE_CLAIM,
                            .at_ms = c->claimed_ms,
                            .executor_id = executor_id,
                            .deadline_ms = deadline_ms};
    return run_move(run_tx, r, &move);
}

/* ERR_LIMIT: the workspace may have no further sandbox in this process. */
static enum err take_sandbox(struct db_thread_ctx *thread_ctx, const struct run *r, struct claimed_run *c)
{
    if (!c->skill || cached_skill_manifest(c->skill)->runner != RUNNER_COMMAND)
        return OK;
    c->sandbox = sandbox_permit_take(thread_ctx->sandboxes, &r->workspace_id);
    if (c->sandbox)
        return OK;
    cached_skill_unref(c->skill);
    c->skill = NULL;
    return ERR_LIMIT;
}

/* A program or manifest that this executor cannot use may be of a later version, and so be usable for other
 * executors: for a while they have the run to themselves. A parked run is left until its deadline. */
static bool is_left_to_others(const struct run *r)
{
    return clock_wall_ms() < (r->parked ? r->deadline_ms : r->moved_ms + LEFT_MS);
}

/* A run whose program or manifest cannot be used is claimed all the same; it fails when it begins. ERR_LIMIT:
 * it stays queued, or parked, until its program is compiled, its workspace may have a sandbox, or there is
 * memory for it, or because it is left to other executors. */
static enum err claim_one_run(struct db_tx *tx, struct run_tx *run_tx, struct db_thread_ctx *thread_ctx,
                              struct claim_batch *claims, struct run *r, struct claimed_run *c)
{
    int64_t timeout_ms = PROGRAM_SECONDS_DEFAULT * 1000L;
    enum err e = load_responder(tx, thread_ctx, claims, r, c, &timeout_ms);
    if (e == ERR_INVALID && is_left_to_others(r)) {
        if (r->parked)
            claims->postponed[claims->postponed_n++] = r->id;
        return ERR_LIMIT;
    }
    if (e == OK || e == ERR_NOT_FOUND || e == ERR_INVALID)
        e = read_texts(tx, claims, c);
    if (e == OK)
        e = admit_run(thread_ctx, claims, c);
    /* last: a permit that is given back at once would call for a scan that finds the same */
    if (e == OK)
        e = take_sandbox(thread_ctx, r, c);
    if (e != OK)
        return e;
    c->earlier_side_effects = r->side_effects_started;
    c->woken = r->parked;
    c->claimed_ms = clock_wall_ms();
    if (!r->parked && c->claimed_ms - r->moved_ms > claims->oldest_ms)
        claims->oldest_ms = c->claimed_ms - r->moved_ms;
    e = move_to_running(run_tx, r, c, thread_ctx->executor_id, c->claimed_ms + timeout_ms);
    c->run = *r;
    return e;
}

/* The next workspace after `after` that has queued runs, or (with `wakes`) parked ones that are due. */
static enum err next_workspace(struct run_tx *run_tx, const id *after, bool wakes, id *next_r)
{
    id due;
    id queued;
    enum err e = run_tx_next_queued(run_tx, after, &queued);
    enum err of_due = ERR_NOT_FOUND;
    if (wakes && (e == OK || e == ERR_NOT_FOUND))
        of_due = run_tx_next_due(run_tx, after, &due);
    if (of_due != OK && of_due != ERR_NOT_FOUND)
        return of_due;
    if (of_due == OK && (e != OK || id_compare(&due, &queued) < 0))
        *next_r = due;
    else if (e == OK)
        *next_r = queued;
    return of_due == OK ? OK : e;
}

/* How far a round has looked for workspaces. */
struct workspace_search {
    bool wakes;
    /* The last one that was found, and whether the search has begun again with the first. */
    id last;
    bool wrapped;
    /* There are no others. */
    bool all;
};

/* The next workspace that is not in the round. If there is none, `search->all` is set. */
static enum err find_workspace(struct run_tx *run_tx, struct workspace_search *search,
                               const struct claim_round *round, id *next_r)
{
    enum err e = next_workspace(run_tx, &search->last, search->wakes, next_r);
    if (e == ERR_NOT_FOUND && !search->wrapped) {
        search->wrapped = true;
        search->last = (id){0};
        e = next_workspace(run_tx, &search->last, search->wakes, next_r);
    }
    search->all = e == ERR_NOT_FOUND || (e == OK && claim_round_has(round, next_r));
    return search->all ? OK : e;
}

/* Adds the next workspaces to the round: as many as fill the places that are left. */
static enum err collect_workspaces(struct run_tx *run_tx, struct workspace_search *search,
                                   struct claim_round *round)
{
    size_t most = round->n + claim_round_wanted(round);
    while (round->n < most && !search->all) {
        enum err e = find_workspace(run_tx, search, round, &search->last);
        if (e != OK)
            return e;
        if (!search->all)
            claim_round_add(round, &search->last);
    }
    return OK;
}

static enum err visit_workspace(struct run_tx *run_tx, struct claim_round *round, struct claim_visit *visit,
                                size_t share)
{
    size_t before = run_tx_count(run_tx);
    size_t seen = 0;
    size_t due_share = claim_visit_due_share(visit, share);
    bool more_due = !visit->due_exhausted;
    enum err e = OK;
    if (due_share > 0)
        e = run_tx_lock_due(run_tx, &visit->workspace, due_share, &visit->due_seen, &more_due);
    visit->due_exhausted = !more_due;
    size_t left = share - (run_tx_count(run_tx) - before);
    if (e == OK && left > 0 && !visit->queued_exhausted) {
        e = run_tx_lock_queued(run_tx, &visit->workspace, left, &visit->newest, &seen);
        visit->queued_exhausted = seen < left;
    }
    if (e == OK)
        claim_round_given(round, visit, !visit->due_exhausted || !visit->queued_exhausted,
                          run_tx_count(run_tx) - before);
    return e;
}

/* Visits the workspaces of the round from the `from`th on, once. */
static enum err visit_workspaces(struct run_tx *run_tx, const struct claim_batch *claims,
                                 struct claim_round *round, size_t from)
{
    struct claim_visit *visit;
    size_t share;
    uint32_t coins = claims->wakes ? randombytes_random() : 0;
    enum err e = OK;
    for (size_t i = from; i < round->n; i++) {
        round->visits[i].due_exhausted = !claims->wakes;
        round->visits[i].odd_for_due = (coins >> i) & 1;
        round->visits[i].newest = scan_place_of(claims->place, &round->visits[i].workspace);
    }
    round->at = from;
    while (e == OK && round->at < round->n && (visit = claim_round_next(round, &share)))
        e = visit_workspace(run_tx, round, visit, share);
    return e;
}

/* Fills the places that are left with runs of the workspaces in turn. */
static enum err scan_queued_runs(struct run_tx *run_tx, struct claim_batch *claims, size_t places)
{
    struct scan_place *place = claims->place;
    struct claim_round round = {.places = places};
    struct claim_visit *visit;
    size_t share;
    struct workspace_search search = {
        .wakes = claims->wakes, .last = place->last_workspace, .wrapped = !id_is_set(&place->last_workspace)};
    enum err e = OK;
    search.all = !claims->wakes && scan_place_continue(place, &round);
    for (size_t from = 0; e == OK; from = round.n) {
        e = collect_workspaces(run_tx, &search, &round);
        if (e != OK || round.n == from)
            break;
        e = visit_workspaces(run_tx, claims, &round, from);
    }
    /* what is left goes to those that have more */
    while (e == OK && (visit = claim_round_next(&round, &share)))
        e = visit_workspace(run_tx, &round, visit, share);
    if (e == OK && !search.all)
        e = find_workspace(run_tx, &search, &round, &search.last); /* only to know whether there is one */
    claims->scanned = true;
    claims->visited_n = round.n;
    claims->visited_all = search.all;
    scan_place_keep(place, &round, claims->visited_all);
    /* A workspace that was visited may have no run but those behind its place. */
    claims->may_have_more = claim_round_may_have_more(&round) || !claims->visited_all;
    return e;
}

static enum err lock_queued_runs(struct run_tx *run_tx, struct claim_batch *claims, size_t *found_r)
{
    size_t before = run_tx_count(run_tx);
    enum err e = run_tx_lock_queued_ids(run_tx, claims->queued_ids, claims->queued_ids_n);
    size_t found = run_tx_count(run_tx) - before;
    claims->may_have_more = claims->scan;
    if (e == OK && claims->scan && found < claims->limit)
        e = scan_queued_runs(run_tx, claims, claims->limit - found);
    if (e == OK)
        e = run_tx_drop_marked(run_tx, before);
    *found_r = run_tx_count(run_tx) - before;
    return e;
}

static enum err offer_claims(struct run_tx *run_tx, struct claim_batch *claims)
{
    for (size_t i = 0; i < claims->runs_n; i++)
        run_tx_find(run_tx, &claims->runs[i].run.id)->unlimited = !claims->runs[i].concurrency_limited;
    claims->offered = claims->offer(claims);
    if (!claims->offered) {
        claims->limit = 0;
        return ERR_CONFLICT;
    }
    choose_first_commits(claims);
    return OK;
}

/* Claims those of the found runs that can begin; they come first in `runs`. */
static enum err claim_found_runs(struct db_tx *tx, struct run_tx *run_tx, struct db_thread_ctx *thread_ctx,
                                 struct claim_batch *claims)
{
    enum err e = OK;
    size_t found = talloc_array_length(claims->runs);
    for (size_t i = 0; e == OK && i < found; i++) {
        struct claimed_run c = claims->runs[i];
        claims->runs[i] = (struct claimed_run){0};
        e = claim_one_run(tx, run_tx, thread_ctx, claims, run_tx_find(run_tx, &c.run.id), &c);
        if (e == OK)
            claims->runs[claims->runs_n++] = c;
        else
            drop_found_run(&c);
        if (e == ERR_LIMIT)
            e = OK;
    }
    return e == OK ? run_tx_postpone(run_tx, claims->postponed, claims->postponed_n) : e;
}

enum err claim_queued_runs(struct db_tx *tx, struct run_tx *run_tx, struct db_thread_ctx *thread_ctx,
                           struct claim_batch *claims)
{
    size_t before = run_tx_count(run_tx);
    size_t found;
    enum err e = lock_queued_runs(run_tx, claims, &found);
    if (e != OK)
        scan_place_reset(claims->place);
    if (e != OK || found == 0)
        return e;
    claims->runs = talloc_zero_array(claims->holder, struct claimed_run, found);
    talloc_set_destructor(claims->runs, free_claimed_runs);
    claims->compile_bytes_left = COMPILE_BYTES_MAX;
    claims->compile_full = false;
    claims->text_bytes_left = TEXT_BYTES_MAX;
    claims->no_memory_n = claims->postponed_n = 0;
    claims->texts_left = false;
    for (size_t i = 0; i < found; i++) {
        claims->runs[i].run = *run_tx_at(run_tx, before + i);
        claims->runs[i].concurrency_limited = true; /* until read_found_inputs has read the limit */
    }
    e = read_found_inputs(tx, claims);
    if (e == OK)
        e = claim_found_runs(tx, run_tx, thread_ctx, claims);
    if (claims->runs_n == 0 && claims->visited_all && claims->postponed_n == 0)
        claims->may_have_more = false; /* what is queued waits for its program, a sandbox, or memory */
    else if (claims->texts_left)
        claims->may_have_more = true;
    if (e == OK && claims->runs_n > 0)
        e = offer_claims(run_tx, claims);
    if (e != OK || claims->texts_left || claims->compile_full)
        scan_place_reset(claims->place); /* runs that were seen are to be seen again at once */
    return e;
}

/* --- a further execution of the transaction --- */

/* Whether an earlier execution, whose response to COMMIT was lost, had written the claim (and the first
 * commit, if that goes with it). */
static enum err find_written_claim(struct db_tx *tx, const struct claimed_run *c, const struct run *r,
                                   uint64_t executor_id, bool *written_r)
{
    if (c->first_commit && !c->write_separately && c->first_commit->seq_after > 0)
        return commit_find_written(tx, c->first_commit, r, executor_id, written_r);
    *written_r = run_is_ours(r, c->run.executor_id, c->run.attempt) && r->last_seq == c->run.last_seq;
    return OK;
}

/* The runs may have advanced on the loop since they were offered, and their rows were not locked between the
 * two executions of the transaction. */
enum err claim_offered_runs_again(struct db_tx *tx, struct run_tx *run_tx,
                                  const struct db_thread_ctx *thread_ctx, struct claim_batch *claims)
{
    uint64_t executor_id = thread_ctx->executor_id;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < claims->runs_n; i++) {
        struct claimed_run *c = &claims->runs[i];
        struct run *r = run_tx_find(run_tx, &c->run.id);
        bool written = false;
        c->fenced = false;
        if (r && tx->settling)
            e = find_written_claim(tx, c, r, executor_id, &written);
        if (e != OK)
            return e;
        if (written)
            r->changed = true; /* an UPDATE makes this COMMIT flush the log before anybody acts on it */
        else if (r && run_is_claimable(r, c->run.attempt) && claim_batch_may_claim(claims)) {
            r->park_until_ms = c->run.park_until_ms;
            e = move_to_running(run_tx, r, c, executor_id, c->run.deadline_ms);
        } else {
            c->fenced = true;
        }
    }
    return e;
}

/* --- first commits --- */

/* A commit that locks more than the run's row is not written with the claim (one that stops descendants, and
 * the end of a run whose workspace limits its concurrency, which needs the account), nor are those beyond the
 * size that one transaction should have. */
void choose_first_commits(struct claim_batch *claims)
{
    size_t bytes = 0;
    for (size_t i = 0; i < claims->runs_n; i++) {
        struct claimed_run *c = &claims->runs[i];
        if (!c->first_commit)
            continue;
        c->write_separately = claims->write_first_commits_separately || c->first_commit->stop_descendants ||
                              id_is_set(&c->first_commit->root_id) ||
                              (c->concurrency_limited && c->first_commit->has_move) ||
                              bytes + c->first_commit->bytes > claims->first_commits_bytes_max;
        bytes += c->write_separately ? 0 : c->first_commit->bytes;
    }
}

enum err write_first_commits(struct db_tx *tx, struct run_tx *run_tx, const struct db_thread_ctx *thread_ctx,
                             struct claim_batch *claims)
{
    enum err e = OK;
    for (size_t i = 0; e == OK && i < claims->runs_n; i++) {
        struct claimed_run *c = &claims->runs[i];
        if (c->first_commit && !c->fenced && !c->write_separately)
            e = write_commit(tx, run_tx, thread_ctx->executor_id, c->first_commit);
    }
    return e;
}
