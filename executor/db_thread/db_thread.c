#include "executor/db_thread/db_thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <talloc.h>

#include "account/account.h"
#include "base/clock.h"
#include "base/log.h"
#include "executor/db_thread/accept_children.h"
#include "executor/db_thread/batch_shares.h"
#include "executor/db_thread/child_checks.h"
#include "executor/db_thread/claim_intake.h"
#include "executor/db_thread/claim_offer.h"
#include "executor/db_thread/claim_turns.h"
#include "executor/db_thread/commit_batch.h"
#include "run/waits.h"

enum {
    RETRY_MS = 100,
    /* Of transactions between two looks at what has come. */
    WRITE_TURN_US = 20000,
    /* A scan is not continued after so many visits in a row that found nothing to claim. */
    EMPTY_VISITS_MAX = CLAIM_WORKSPACES_MAX * CLAIM_WORKSPACES_MAX,
    /* Bytes of the first commits that are written with their claims. */
    FIRST_COMMITS_BYTES_MAX = BATCH_WORKSPACE_BYTES,
};

struct db_thread {
    struct db_thread_settings settings;
    struct thread_queue *queue;
    struct claim_intake *intake;
    struct claim_offers *offers;
    atomic_size_t unwritten_n;

    /* --- the thread's own --- */
    struct db_thread_ctx thread_ctx;
    /* Commits and children that are still to be written. */
    struct thread_job_list unwritten;
    /* Those that wait for an account which another transaction has locked; unwritten again at busy_due_ms
     * (CLOCK_BOOTTIME). The pause grows while any of them is still busy. */
    struct thread_job_list busy;
    int64_t busy_due_ms;
    unsigned busy_tries;
    struct limited_workspaces limited_workspaces;
    /* Commits or children are left that no time was for in this turn; MariaDB is reachable. */
    bool work_left;
    /* A batch with children was written, and nothing has been claimed in this turn: the next batch claims,
     * whether it has children or not. */
    bool claims_first;
    /* Where the last scan ended. */
    struct scan_place scan_place;
    /* Workspaces that scans in a row have visited without finding anything which can be claimed. */
    size_t empty_visits;
    /* The odd place of a transaction with both ids and parked runs goes to one of them, then to the other. */
    bool odd_place_for_ids;
};

/* Carries the result of claims to the loop; the talloc context of the runs. */
struct claimed_job {
    struct job job;
    struct db_thread *thread;
    struct claimed_run *runs;
    size_t n;
};

/* What the thread has to do in one turn. */
struct db_thread_cycle {
    struct thread_job_list urgent, calls;
    struct claimables claimables;
    bool ending;
};

static struct job *take_job(struct thread_job_list *list)
{
    struct thread_job *queued = STAILQ_FIRST(list);
    if (queued)
        STAILQ_REMOVE_HEAD(list, next);
    return (struct job *)queued; /* its first member */
}

static void add_job(struct thread_job_list *list, struct job *job)
{
    STAILQ_INSERT_TAIL(list, &job->queued, next);
}

static void return_finished_job(struct db_thread *t, struct job *job)
{
    thread_queue_return(t->queue, &job->queued);
}

static void run_calls(struct db_thread *t, struct thread_job_list *calls)
{
    for (struct job *job; (job = take_job(calls));) {
        progress_begin(t->settings.progress, job->kind == JOB_COMPARE ? "compare" : "call", NULL);
        job->waits = false;
        job->work(job, &t->thread_ctx);
        if (!job->waits)
            return_finished_job(t, job);
    }
}

/* --- commits that are kept --- */

static void keep_unwritten(struct db_thread *t, struct job *job)
{
    add_job(&t->unwritten, job);
    t->unwritten_n++;
}

static void keep_busy(struct db_thread *t, struct job *job)
{
    if (STAILQ_EMPTY(&t->busy))
        t->busy_due_ms = clock_boot_ms() + account_busy_pause_ms(t->busy_tries++);
    add_job(&t->busy, job);
    t->unwritten_n++;
}

/* The ms until the next job that waits for an account is tried again; negative: no job waits for one. */
static long busy_wait_ms(const struct db_thread *t)
{
    int64_t left_ms = t->busy_due_ms - clock_boot_ms();
    return STAILQ_EMPTY(&t->busy) ? -1 : left_ms > 0 ? (long)left_ms : 0;
}

/* The ms until the thread has something to do without a job; negative: only a job ends its wait. */
static long idle_wait_ms(struct db_thread *t)
{
    long busy_ms = busy_wait_ms(t), repair_ms = redis_repair(t->thread_ctx.redis);
    return busy_ms < 0 || (repair_ms >= 0 && repair_ms < busy_ms) ? repair_ms : busy_ms;
}

static void take_due_busy(struct db_thread *t)
{
    if (busy_wait_ms(t) == 0)
        STAILQ_CONCAT(&t->unwritten, &t->busy);
}

/* Puts the batch's commits back before those that came after them. */
static void requeue_commits(struct db_thread *t, struct commit *const *commits, size_t n)
{
    for (size_t i = n; i > 0; i--)
        STAILQ_INSERT_HEAD(&t->unwritten, &commits[i - 1]->job.queued, next);
    t->unwritten_n += n;
}

/* --- children --- */

/* Children that are tried together, of commits or by themselves. */
struct child_group {
    struct child_job *jobs[ACCEPT_GROUP_MAX];
    size_t n;
};

/* This process claims a child itself that is accepted alone while no other run waits to be claimed, which
 * saves the way over Redis. Several children are left to any process that has time. */
static void keep_child(struct db_thread *t, const struct child_group *ready)
{
    bool keeps = ready->n == 1 && claim_intake_is_idle(t->intake) && t->settings.may_claim(t->settings.arg);
    for (size_t i = 0; i < ready->n; i++)
        ready->jobs[i]->request.is_kept = keeps;
}

/* A child that was tried, or rejected before, and that no commit has. */
static void pass_child_on(struct db_thread *t, struct child_job *j)
{
    if (j->request.is_kept && j->answer.verdict == RUN_ACCEPTED)
        claim_intake_add_ids(t->intake, &j->answer.execution_id, 1, 1);
    if (child_is_decided(j))
        return_finished_job(t, &j->job);
    else if (child_is_busy(j))
        keep_busy(t, &j->job);
    else
        keep_unwritten(t, &j->job);
}

/* The commit is written, and still the thread's: its children are free. */
static void release_children(struct commit *c, struct thread_job_list *released)
{
    for (size_t i = 0; i < c->children_n; i++) {
        c->children[i]->joins = false;
        add_job(released, &c->children[i]->job);
    }
    c->children_n = 0;
}

/* The first children of the batch's commits (NULL: no batch), then the first of the list. */
static void group_children(const struct commit_batch *b, struct thread_job_list *children,
                           struct child_group *g)
{
    for (size_t i = 0; b && i < b->commits_n; i++) {
        const struct commit *c = b->commits[i];
        for (size_t k = 0; k < c->children_n && g->n < ACCEPT_GROUP_MAX; k++) {
            c->children[k]->joins = true;
            c->children[k]->is_ready = false;
            g->jobs[g->n++] = c->children[k];
        }
    }
    while (g->n < ACCEPT_GROUP_MAX && !STAILQ_EMPTY(children))
        g->jobs[g->n++] = (struct child_job *)take_job(children);
}

/* Finds those of the next children that can be accepted: of the commits of a batch (NULL: of none), and of
 * the list. Of the others, those of commits stay with these, and those that there was no time for are in the
 * list again. False: MariaDB is unreachable. */
static bool find_ready_children(struct db_thread *t, const struct commit_batch *b,
                                struct thread_job_list *children, struct child_group *ready)
{
    struct child_group g = {.n = 0};
    bool reachable = true;
    progress_begin(t->settings.progress, "children", NULL);
    group_children(b, children, &g);
    size_t tried = prepare_children(&t->thread_ctx, g.jobs, g.n);
    for (size_t i = 0; i < g.n; i++) {
        struct child_job *j = g.jobs[i];
        if (i >= tried && !j->joins) {
            add_job(children, &j->job);
        } else if (i < tried && !j->is_out && j->is_ready) {
            ready->jobs[ready->n++] = j;
        } else if (!j->joins && !j->is_out) {
            reachable = reachable && !child_is_held_up(j);
            pass_child_on(t, j);
        }
    }
    t->work_left = tried < g.n;
    return reachable;
}

/* The transaction with the ready children is over. Puts those that are to be tried by themselves into
 * `children`: if MariaDB refused the transaction, one of them may be the reason. Whatever its error was, it
 * is no answer to the children that stay with their commits. */
static void settle_children(struct db_thread *t, const struct child_group *ready,
                            const struct run_answer *answers, enum err e, struct thread_job_list *children)
{
    for (size_t i = 0; i < ready->n; i++) {
        struct child_job *j = ready->jobs[i];
        child_take_answer(j, &answers[i]);
        j->is_ready = e == OK;
        if (!j->joins && e == ERR_INTERNAL)
            add_job(children, &j->job);
        else if (!j->joins)
            pass_child_on(t, j);
    }
}

/* Returns commits that are written, and their children after them. Those that were not accepted with them are
 * to be tried by themselves. */
static void return_commits(struct db_thread *t, const struct commit_batch *b,
                           struct thread_job_list *children)
{
    struct thread_job_list released = STAILQ_HEAD_INITIALIZER(released);
    for (size_t i = 0; i < b->commits_n; i++) {
        release_children(b->commits[i], &released);
        return_finished_job(t, &b->commits[i]->job);
    }
    for (struct job *job; (job = take_job(&released));) {
        if (((struct child_job *)job)->is_ready)
            pass_child_on(t, (struct child_job *)job);
        else
            add_job(children, job);
    }
}

/* --- looking for work --- */

static void collect_jobs(struct db_thread *t, struct db_thread_cycle *cycle)
{
    struct thread_job_list jobs = STAILQ_HEAD_INITIALIZER(jobs);
    STAILQ_INIT(&cycle->urgent);
    STAILQ_INIT(&cycle->calls);
    progress_idle(t->settings.progress);
    if (!STAILQ_EMPTY(&t->unwritten) && !t->work_left)
        thread_queue_wait_urgent(t->queue, RETRY_MS);
    else if (!t->work_left &&
             !claim_intake_has_work(t->intake)) /* else the last turn had no room for all claims */
        thread_queue_wait_any(t->queue, idle_wait_ms(t));
    /* read before the jobs are taken, so that none is left over at the end */
    cycle->ending = thread_queue_is_ending(t->queue);
    thread_queue_take_urgent(t->queue, &cycle->urgent);
    thread_queue_take_all(t->queue, &jobs);
    for (struct job *job; (job = take_job(&jobs));) {
        if (job->kind == JOB_CALL)
            add_job(&cycle->calls, job);
        else
            keep_unwritten(t, job);
    }
    take_due_busy(t);
}

/* Comparisons that were submitted since the turn began: with many batches in one turn they would come late,
 * and with them the stops that Redis did not publish. */
static void run_urgent_jobs(struct db_thread *t)
{
    struct thread_job_list urgent = STAILQ_HEAD_INITIALIZER(urgent);
    thread_queue_take_urgent(t->queue, &urgent);
    run_calls(t, &urgent);
}

static void wake_db_thread(void *arg)
{
    struct db_thread *t = arg;
    thread_queue_wake(t->queue);
}

/* --- claims --- */

/* There is memory for a run that stayed queued, or parked. */
static void on_memory_room(void *arg)
{
    struct db_thread *t = arg;
    claim_intake_request_scan(t->intake);
    claim_intake_request_wakes(t->intake);
}

static void begin_claimed_runs(void *arg, struct claimed_run *runs, size_t n)
{
    struct db_thread *t = arg;
    t->settings.on_claiming(t->settings.arg, runs, n);
}

static bool offer_claimed_runs(struct claim_batch *claims)
{
    struct db_thread *t = claims->arg;
    claim_intake_take_slots(t->intake, (int)claims->runs_n);
    bool accepted =
        claim_batch_may_claim(claims) && claim_offers_make(t->offers, t->queue, claims->runs, claims->runs_n);
    if (!accepted)
        claim_intake_add_slots(t->intake, (int)claims->runs_n);
    return accepted;
}

static void on_claims_returned(struct job *job)
{
    struct claimed_job *claimed = (struct claimed_job *)job;
    struct db_thread *t = claimed->thread;
    t->settings.on_claimed(t->settings.arg, claimed->runs, claimed->n, job->e);
    talloc_free(claimed);
}

static struct claimed_job *claimed_job_new(struct db_thread *t)
{
    struct claimed_job *claimed = talloc_zero(NULL, struct claimed_job);
    *claimed = (struct claimed_job){.job = {.kind = JOB_CALL, .done = on_claims_returned}, .thread = t};
    return claimed;
}

static void return_claims(struct db_thread *t, struct claimed_job *claimed, const struct claim_batch *claims,
                          enum err e)
{
    if (claims->runs_n == 0) {
        talloc_free(claimed);
        return;
    }
    claimed->runs = claims->runs;
    claimed->n = claims->runs_n;
    claimed->job.e = e;
    return_finished_job(t, &claimed->job);
}

/* True if the batch locks an account that is known to be needed. Such a batch takes no claims: it would hold
 * the account while the claims are offered to the loop, and the workspace's requests would find it locked for
 * up to TAKE_UP_MS (claim_offer.c). */
static bool locks_known_account(const struct db_thread *t, const struct commit_batch *b)
{
    for (size_t i = 0; i < b->commits_n; i++) {
        if (b->commits[i]->has_move &&
            workspace_is_limited(&t->limited_workspaces, &b->commits[i]->workspace))
            return true;
    }
    return false;
}

/* Leaves half of the places to the scan. */
static void leave_places(struct db_thread *t, struct claimables *found)
{
    size_t ids_max = (found->limit + t->odd_place_for_ids) / 2;
    t->odd_place_for_ids = !t->odd_place_for_ids;
    if (found->ids_n > ids_max) {
        size_t short_n = found->short_n > ids_max ? found->short_n - ids_max : 0;
        claim_intake_add_ids(t->intake, found->ids + ids_max, found->ids_n - ids_max, short_n);
        found->ids_n = ids_max;
    }
}

/* Marks the parked runs that are due. False: none is due. */
static bool mark_due(struct db_thread *t)
{
    bool due;
    progress_begin(t->settings.progress, "parked runs", NULL);
    return waits_mark_due(t->thread_ctx.db, &due) == OK && due;
}

/* False: nothing is left to claim. */
static bool use_claimables(struct db_thread *t, struct commit_batch *b, struct claimables *found)
{
    if (!t->settings.may_claim(t->settings.arg))
        return false;
    b->claims.wakes = found->wakes && mark_due(t);
    /* The scan visits the workspaces with runs that are due or queued in turn. Ids might take all places for
     * long, and what Redis has lost would never be seen. */
    if (b->claims.wakes || found->scan)
        leave_places(t, found);
    if (found->ids_n == 0 && !found->scan && !b->claims.wakes)
        return false;
    b->claims.queued_ids = found->ids;
    b->claims.queued_ids_n = found->ids_n;
    b->claims.scan = found->scan || b->claims.wakes;
    b->claims.place = &t->scan_place;
    if (found->scans_anew)
        scan_place_reset(&t->scan_place);
    b->claims.first_commits_bytes_max = FIRST_COMMITS_BYTES_MAX;
    b->claims.may_claim = t->settings.may_claim;
    b->claims.may_claim_arg = t->settings.arg;
    b->claims.limit = found->limit;
    return true;
}

/* Adds claims to a batch that has room for them. False: there is nothing to claim, or no room. */
static bool add_claims(struct db_thread *t, struct commit_batch *b, struct claimables *found)
{
    if (locks_known_account(t, b) || !claim_intake_take(t->intake, COMMIT_BATCH_MAX - b->commits_n, found))
        return false;
    bool used = use_claimables(t, b, found);
    if (!used)
        claim_intake_open(t->intake);
    return used;
}

/* The claim thread takes the next ids during the COMMIT. */
static void on_before_commit(void *arg)
{
    struct db_thread *t = arg;
    claim_intake_open(t->intake);
}

/* --- transactions --- */

/* The result of a commit that was tried by itself. */
static void note_refusal(struct db_thread *t, struct commit *c, enum err e)
{
    c->job.e = e;
    if (e == ERR_INTERNAL)
        c->refusal = talloc_strdup(c, db_statement_error(t->thread_ctx.db));
}

/* The batch contains something that cannot be written. Writes the commits one by one to isolate it; their
 * children are then tried by themselves. False: MariaDB is unreachable, and the commits that are left stay in
 * the batch. */
static bool write_one_by_one(struct db_thread *t, struct commit_batch *b, struct thread_job_list *children)
{
    for (size_t i = 0; i < b->commits_n; i++) {
        struct commit_batch one = {.thread_ctx = &t->thread_ctx, .commits_n = 1, .commits = {b->commits[i]}};
        progress_begin(t->settings.progress, "commit", &b->commits[i]->run);
        enum err e = commit_batch_write(&one);
        if (one.busy_n > 0) {
            keep_busy(t, &b->commits[i]->job);
            continue;
        }
        if (err_is_transient(e) || e == ERR_UNCERTAIN) {
            memmove(b->commits, b->commits + i, sizeof(struct commit *) * (b->commits_n - i));
            b->commits_n -= i;
            return false;
        }
        note_refusal(t, b->commits[i], e);
        if (e == OK)
            release_children(b->commits[i], children);
        return_finished_job(t, &b->commits[i]->job);
    }
    b->commits_n = 0;
    return true;
}

/* Writes the claims of a batch that cannot be written, without anything that could be the reason. If it was a
 * first commit, that shows when the loop submits it by itself. */
static enum err retry_claims_alone(struct commit_batch *b)
{
    b->claims.write_first_commits_separately = true;
    return b->claims.runs_n > 0 || b->claims.limit > 0 ? commit_batch_write(b) : OK;
}

/* True if there may be more to claim. A scan of few places may have visited only workspaces that may have no
 * further sandbox, or whose programs are being compiled, while others have runs that can be claimed. There
 * are at most as many of the former as workspaces that can have their minimum, so not for ever. */
static bool should_scan_again(struct db_thread *t, const struct claim_batch *claims)
{
    if (!claims->scanned)
        return claims->may_have_more;
    bool empty = claims->runs_n == 0 && claims->may_have_more;
    t->empty_visits = empty ? t->empty_visits + claims->visited_n : 0;
    if (t->empty_visits < EMPTY_VISITS_MAX)
        return claims->may_have_more;
    t->empty_visits = 0;
    return false;
}

/* False: MariaDB is unreachable, and the commits are kept. `ready` are accepted with them; what is left to
 * be accepted is added to `children`. */
static bool write_commit_batch(struct db_thread *t, struct commit_batch *b, const struct child_group *ready,
                               struct thread_job_list *children)
{
    const struct run_request *requests[ACCEPT_GROUP_MAX];
    struct run_answer answers[ACCEPT_GROUP_MAX];
    struct claimed_job *claimed = claimed_job_new(t);
    progress_begin(t->settings.progress, b->claims.limit > 0 ? "claim" : "commit",
                   b->commits_n > 0 ? &b->commits[0]->run : NULL);
    b->thread_ctx = &t->thread_ctx;
    b->limited_workspaces = &t->limited_workspaces;
    b->claims.holder = claimed;
    b->claims.offer = offer_claimed_runs;
    b->claims.compiling = t->thread_ctx.compiling;
    b->claims.arg = t;
    b->before_commit = on_before_commit;
    b->before_commit_arg = t;
    keep_child(t, ready);
    for (size_t i = 0; i < ready->n; i++)
        requests[i] = &ready->jobs[i]->request;
    b->children = requests;
    b->answers = answers;
    b->children_n = ready->n;
    int64_t began_us = clock_boot_us();
    enum err e = commit_batch_write(b);
    settle_children(t, ready, answers, e, children);
    if (e == ERR_INTERNAL && b->children_n > 0) { /* other runs' commits do not suffer from a child */
        b->children_n = 0;
        e = commit_batch_write(b);
    }
    claim_intake_open(t->intake);
    if (e == OK && b->claims.runs_n > 0) {
        claim_intake_note_claims(t->intake, b->claims.runs_n, clock_boot_us() - began_us);
        claim_intake_count_claims(t->intake, b->claims.runs_n, b->claims.oldest_ms);
    }
    for (size_t i = 0; i < b->claims.to_compile_n; i++)
        compile_submit(t->thread_ctx.compiling, talloc_steal(NULL, b->claims.to_compile[i]));
    b->claims.to_compile_n = 0;
    for (size_t i = 0; i < b->busy_n; i++)
        keep_busy(t, &b->busy[i]->job);
    b->busy_n = 0;
    bool written = e == OK || (e == ERR_INTERNAL && write_one_by_one(t, b, children));
    if (!written)
        requeue_commits(t, b->commits, b->commits_n);
    if (e == OK)
        return_commits(t, b, children);
    if (e == ERR_INTERNAL && written)
        e = retry_claims_alone(b);
    bool again = e == OK && b->claims.limit > 0 && should_scan_again(t, &b->claims);
    if (again)
        claim_intake_continue_scan(t->intake);
    if (again && b->claims.wakes)
        claim_intake_request_wakes(t->intake);
    return_claims(t, claimed, &b->claims, e);
    return written;
}

/* False: MariaDB is unreachable, and the commit is kept. */
static bool write_tree_commit(struct db_thread *t, struct commit *c)
{
    progress_begin(t->settings.progress, "commit of a tree", &c->run);
    enum err e = commit_write_tree(&t->thread_ctx, c);
    if (e == ERR_RETRY) {
        keep_busy(t, &c->job);
        return true;
    }
    if (err_is_transient(e) || e == ERR_UNCERTAIN) {
        requeue_commits(t, &c, 1);
        return false;
    }
    note_refusal(t, c, e);
    return_finished_job(t, &c->job);
    return true;
}

/* Accepts children in a transaction of their own. False: MariaDB is unreachable. Children that are not
 * decided yet, and those beyond one batch, are kept. */
static bool accept_child_jobs(struct db_thread *t, struct thread_job_list *children)
{
    struct child_group ready = {.n = 0};
    bool reachable = find_ready_children(t, NULL, children, &ready);
    keep_child(t, &ready);
    accept_children(&t->thread_ctx, ready.jobs, ready.n);
    for (size_t i = 0; i < ready.n; i++) {
        reachable = reachable && !child_is_held_up(ready.jobs[i]);
        pass_child_on(t, ready.jobs[i]);
    }
    for (struct job *job; (job = take_job(children));)
        keep_unwritten(t, job);
    return reachable;
}

/* Takes from the unwritten jobs what makes the next transactions: ordinary commits, at most one commit that
 * stops descendants, children. Commits for which there is no room are kept: first those of the workspaces
 * that have none in this batch. */
static void pick_next_batch(struct db_thread *t, struct commit_batch *b, struct commit **tree_r,
                            struct thread_job_list *children)
{
    struct batch_shares shares = {.n = 0};
    struct thread_job_list others = STAILQ_HEAD_INITIALIZER(others), later = STAILQ_HEAD_INITIALIZER(later);
    *tree_r = NULL;
    STAILQ_INIT(children);
    for (struct job *job; b->commits_n < COMMIT_BATCH_MAX && !*tree_r && (job = take_job(&t->unwritten));) {
        struct commit *c = (struct commit *)job;
        if (job->kind != JOB_ACCEPT_CHILD && !batch_share_take(&shares, &c->workspace, c->bytes)) {
            add_job(batch_share_has(&shares, &c->workspace) ? &later : &others, job);
            continue;
        }
        t->unwritten_n--;
        if (job->kind == JOB_ACCEPT_CHILD)
            add_job(children, job);
        else if (c->stop_descendants)
            *tree_r = c;
        else
            b->commits[b->commits_n++] = c;
    }
    STAILQ_CONCAT(&others, &t->unwritten);
    STAILQ_CONCAT(&others, &later);
    STAILQ_CONCAT(&t->unwritten, &others);
}

/* True if the turn ends although commits are left: the other jobs, and the commits and claims that have come
 * meanwhile, do not wait for all of them. */
static bool write_turn_is_over(const struct db_thread *t, int64_t began_us, bool claims)
{
    return clock_boot_us() - began_us > WRITE_TURN_US && (claims || !claim_intake_has_work(t->intake));
}

static bool batch_has_children(const struct commit_batch *b, const struct thread_job_list *children)
{
    size_t i = 0;
    while (i < b->commits_n && b->commits[i]->children_n == 0)
        i++;
    return i < b->commits_n || (b->commits_n > 0 && !STAILQ_EMPTY(children));
}

/* Writes what is unwritten, for WRITE_TURN_US, except for children whose validation would take too long. The
 * first batch with room for claims makes them, or the second if the first has children; further ones come in
 * the next turn, after the other jobs. Stops when MariaDB is unreachable. */
static void write_commits(struct db_thread *t, struct db_thread_cycle *cycle)
{
    bool reachable = true;
    bool claims = false;
    int64_t began_us = clock_boot_us();
    t->work_left = false;
    for (; reachable && !t->work_left &&
           (!STAILQ_EMPTY(&t->unwritten) || (!claims && claim_intake_has_work(t->intake)));
         run_urgent_jobs(t)) {
        struct commit_batch b = {0};
        struct thread_job_list children;
        struct child_group ready = {.n = 0};
        struct commit *tree;
        pick_next_batch(t, &b, &tree, &children);
        if (!t->claims_first && batch_has_children(&b, &children))
            (void)find_ready_children(t, &b, &children, &ready); /* the transaction shows it, too */
        else
            claims = claims || add_claims(t, &b, &cycle->claimables);
        if (b.commits_n > 0 || b.claims.limit > 0)
            reachable = write_commit_batch(t, &b, &ready, &children);
        if (tree && !reachable)
            keep_unwritten(t, &tree->job);
        else if (tree)
            reachable = write_tree_commit(t, tree);
        reachable = accept_child_jobs(t, &children) && reachable;
        t->claims_first = !claims && claim_intake_has_work(t->intake);
        if (!STAILQ_EMPTY(&t->unwritten) && write_turn_is_over(t, began_us, claims))
            t->work_left = true;
    }
    t->work_left = t->work_left && reachable;
    if (STAILQ_EMPTY(&t->busy))
        t->busy_tries = 0;
}

/* Resumes the jobs that waited for a program or a manifest. Calls run at once, before the cache can evict it.
 */
static void resume_waiting(struct db_thread *t, struct thread_job_list *waiting)
{
    struct thread_job_list calls = STAILQ_HEAD_INITIALIZER(calls);
    for (struct job *job; (job = take_job(waiting));) {
        if (job->kind == JOB_ACCEPT_CHILD)
            keep_unwritten(t, job);
        else
            add_job(&calls, job);
    }
    run_calls(t, &calls);
}

/* Takes the results of the compute thread: validated children, and compiled programs and manifests, whose
 * runs can now be claimed. */
static void take_computed(struct db_thread *t)
{
    for (struct child_job *child; (child = child_check_take(t->thread_ctx.checks));)
        keep_unwritten(t, &child->job);
    for (struct compile_job *job; (job = compile_take(t->thread_ctx.compiling));) {
        compile_job_add(&t->thread_ctx, job);
        resume_waiting(t, &job->waiting);
        claim_intake_add_ids(t->intake, job->runs, job->runs_n, 0);
        if (job->runs_n == COMPILE_RUNS_MAX)
            claim_intake_request_scan(t->intake);
        talloc_free(job);
    }
}

static void run_db_thread(struct thread_queue *q, void *arg)
{
    struct db_thread *t = arg;
    struct db_thread_cycle *cycle = talloc_zero(NULL, struct db_thread_cycle);
    do {
        collect_jobs(t, cycle);
        take_computed(t);
        run_calls(t, &cycle->urgent);
        write_commits(t, cycle);
        run_calls(t, &cycle->calls);
    } while (!cycle->ending || t->work_left);
    talloc_free(cycle);
    talloc_free(t->thread_ctx.db);
    talloc_free(t->thread_ctx.redis);
}

/* --- the loop's side --- */

static void on_db_job_finished(struct thread_job *queued, void *arg)
{
    const struct db_thread *t = arg;
    struct job *job = (struct job *)queued;
    bool is_commit = job->kind == JOB_COMMIT;
    progress_begin(t->settings.loop_progress, is_commit ? "result of a commit" : "result of a job",
                   is_commit ? &((struct commit *)job)->run : NULL);
    job->done(job);
}

struct db_thread *db_thread_start(void *ctx, struct event_base *base,
                                  const struct db_thread_settings *settings)
{
    struct db_thread *t = talloc_zero(ctx, struct db_thread);
    struct thread_queue_settings queue = {.run = run_db_thread, .on_finished = on_db_job_finished, .arg = t};
    t->settings = *settings;
    t->thread_ctx.db = db_new(NULL, settings->db);
    t->thread_ctx.redis = redis_new(NULL, settings->redis_socket);
    t->thread_ctx.programs = settings->programs;
    t->thread_ctx.skills = settings->skills;
    t->thread_ctx.sandboxes = settings->sandboxes;
    t->thread_ctx.memory = settings->memory;
    t->thread_ctx.progress = settings->progress;
    STAILQ_INIT(&t->unwritten);
    STAILQ_INIT(&t->busy);
    t->intake = claim_intake_new(t, wake_db_thread, t);
    if (settings->memory) {
        settings->memory->arg = t;
        settings->memory->on_room = on_memory_room;
    }
    t->offers = claim_offers_new(t, begin_claimed_runs, t);
    t->queue = thread_queue_new(t, base, &queue);
    t->thread_ctx.compiling = compile_jobs_new(NULL, settings->compute, wake_db_thread, t);
    t->thread_ctx.checks = child_checks_new(NULL, settings->compute, wake_db_thread, t);
    if (t->queue && thread_queue_start(t->queue))
        return t;
    log_error("db_thread.start_failed", "errno=%d", errno);
    return NULL;
}

void db_thread_stop(struct db_thread *t)
{
    claim_intake_end(t->intake);
    claim_offers_refuse(t->offers);
    thread_queue_end(t->queue);
    if (t->settings.memory)
        t->settings.memory->on_room = NULL;
    thread_queue_stop(t->queue);
    compile_jobs_free(t->thread_ctx.compiling);
    child_checks_free(t->thread_ctx.checks);
    /* The process ends fenced: nobody needs to know what became of these. */
    STAILQ_CONCAT(&t->unwritten, &t->busy);
    for (struct job *job; (job = take_job(&t->unwritten));)
        talloc_free(job);
}

void db_thread_submit(struct db_thread *t, struct job *job)
{
    if (job->kind == JOB_COMPARE)
        thread_queue_submit_urgent(t->queue, &job->queued);
    else
        thread_queue_submit(t->queue, &job->queued);
}

size_t db_thread_unwritten(const struct db_thread *t)
{
    return t->unwritten_n;
}

size_t db_thread_queued(struct db_thread *t)
{
    return thread_queue_length(t->queue);
}

/* --- claims --- */

void db_thread_add_slots(struct db_thread *t, int n)
{
    claim_intake_add_slots(t->intake, n);
}

bool db_thread_take_slot(struct db_thread *t)
{
    return claim_intake_take_slot(t->intake);
}

int db_thread_free_slots(struct db_thread *t)
{
    return claim_intake_free_slots(t->intake);
}

int db_thread_await_slots(struct db_thread *t)
{
    return claim_intake_await_slots(t->intake);
}

void db_thread_queue_ids(struct db_thread *t, const id *ids, size_t n, size_t short_n)
{
    claim_intake_add_ids(t->intake, ids, n, short_n);
}

void db_thread_scan_queued(struct db_thread *t)
{
    claim_intake_request_scan(t->intake);
}

void db_thread_wake_due(struct db_thread *t)
{
    claim_intake_request_wakes(t->intake);
}

int64_t db_thread_take_claimed(struct db_thread *t, int64_t *oldest_ms_r)
{
    return claim_intake_take_claimed(t->intake, oldest_ms_r);
}

void db_thread_allow_claims(struct db_thread *t, int n)
{
    claim_intake_allow(t->intake, n);
}

void db_thread_end_claims(struct db_thread *t)
{
    claim_intake_end(t->intake);
}
