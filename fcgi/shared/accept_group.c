#define _GNU_SOURCE
#include "fcgi/shared/accept_group.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "fcgi/shared/busy_account.h"

/* A slot's futex word holds the phase in its low bits and a generation above. The generation changes with
 * every request, so that a waiter never mistakes a later request's phase for its own, and when the slot
 * becomes due, so that its owner does not begin to sleep. */
enum slot_phase {
    SLOT_FREE = 0,
    SLOT_FILLED = 1,
    SLOT_TAKEN = 2,
    SLOT_DONE = 3,
    PHASE_MASK = 3,
    GENERATION = 4
};

enum {
    WAIT_MS = 50,
    /* A leader that has sent nothing to MariaDB for the time of two statements and of two attempts to connect
     * (together 10 s by default) hangs and is killed. */
    LEADER_CONNECTS_MS = 4000,
    /* An account may be locked for so long before its requests are limited to half of the workers: other
     * hosts and executors lock an account for the time of a COMMIT, and a process that dies or restarts may
     * hold it for some hundred ms. A shorter time would reject requests of a busy workspace at each of these.
     */
    BUSY_GRACE_MS = 500,
    /* So long the items of a batch let other requests of their workspace go first: these look at the account
     * again at least every ACCOUNT_BUSY_PAUSE_MAX_MS. */
    GIVE_WAY_MS = 60,
};

struct accept_slot {
    _Atomic uint32_t word;
    /* Number of runs in the batch that answered. */
    uint32_t batch;
    /* Batches that found the account locked, when the first one did, and before when no leader takes the slot
     * again (CLOCK_BOOTTIME). 0 for a new request. */
    uint32_t busy_tries;
    int64_t busy_since_ms;
    _Atomic int64_t due_ms;
    /* A worker uses the slot, or has used it. */
    atomic_bool attached;
    struct run_request request;
    struct run_answer answer;
    /* Bytes of the request in `bytes`. */
    size_t used;
    char bytes[ACCEPT_SLOT_BYTES];
};

struct accept_group {
    pthread_mutex_t lock;
    /* Process that leads a batch; 0: none. */
    _Atomic pid_t leader_pid;
    /* When that process was started (clock ticks after boot), since a process id may be used again, and when
     * it began to lead or sent its last request to MariaDB (CLOCK_BOOTTIME). */
    _Atomic uint64_t leader_started;
    _Atomic int64_t leader_progress_ms;
    /* MariaDB's id of the leader's connection; a successor kills it. */
    _Atomic uint64_t leader_connection;
    _Atomic uint64_t sizes[ACCEPT_GROUP_SIZES];
    _Atomic uint64_t batches, runs, alone, settled, withdrawn, postponed, busy_rejected;
    /* By slot. */
    struct busy_account busy[ACCEPT_GROUP_WORKERS_MAX];
    /* Slot at which the next leader starts taking. It moves on with each batch, so that no slot starves. */
    uint32_t next;
    unsigned slots_n;
    struct accept_slot slots[];
};

struct accept_member {
    struct accept_group *group;
    struct accept_slot *slot;
    struct db *db;
    struct redis *redis;
    pid_t pid;
    uint64_t started;
    unsigned last_batch;
    /* Workspaces (hashes) whose accounts the batch that this worker led has locked. */
    uint64_t locked[ACCEPT_GROUP_MAX];
    size_t locked_n;
};

static enum slot_phase phase_of(struct accept_slot *s)
{
    return (enum slot_phase)(atomic_load_explicit(&s->word, memory_order_acquire) & PHASE_MASK);
}

static void set_phase(struct accept_slot *s, enum slot_phase p)
{
    uint32_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
    atomic_store_explicit(&s->word, (word & ~(uint32_t)PHASE_MASK) | p, memory_order_release);
}

static bool change_phase(struct accept_slot *s, enum slot_phase from, enum slot_phase to)
{
    uint32_t word = atomic_load_explicit(&s->word, memory_order_relaxed);
    uint32_t want = (word & ~(uint32_t)PHASE_MASK) | to;
    return (word & PHASE_MASK) == from &&
           atomic_compare_exchange_strong_explicit(&s->word, &word, want, memory_order_acq_rel,
                                                   memory_order_relaxed);
}

static void wake_owner(struct accept_slot *s)
{
    syscall(SYS_futex, &s->word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Waits until the word changes, at most 50 ms: then the caller tries the lock again, because its owner may
 * have died. The owner of a postponed slot tries the lock when the slot is due. */
static void wait_changed(struct accept_slot *s, uint32_t word)
{
    int64_t left_ms = atomic_load(&s->due_ms) - clock_boot_ms();
    long wait_ms = left_ms > 0 && left_ms < WAIT_MS ? (long)left_ms : WAIT_MS;
    struct timespec limit = {.tv_nsec = wait_ms * 1000000L};
    syscall(SYS_futex, &s->word, FUTEX_WAIT, word, &limit, NULL, 0);
}

size_t accept_group_size(unsigned workers)
{
    return sizeof(struct accept_group) + workers * sizeof(struct accept_slot);
}

struct accept_group *accept_group_init(void *memory, unsigned workers)
{
    struct accept_group *g = memory;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&g->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    g->slots_n = workers;
    return g;
}

struct accept_group_counters accept_group_counters(const struct accept_group *g)
{
    struct accept_group_counters c = {
        .batches = g->batches,
        .runs = g->runs,
        .alone = g->alone,
        .settled = g->settled,
        .withdrawn = g->withdrawn,
        .postponed = g->postponed,
        .busy_rejected = g->busy_rejected,
    };
    for (int i = 0; i < ACCEPT_GROUP_SIZES; i++)
        c.sizes[i] = g->sizes[i];
    return c;
}

/* --- a request and its answer in their slot --- */

static size_t span_sizes(const struct run_request *req)
{
    return req->idempotency_key.size + req->input.size + req->tags.size + req->metadata.size +
           req->extra.size + req->webhook_url.size + req->thread_id.size + req->tool_call_id.size +
           req->trace_state.size + req->first_response.body.size;
}

static void copy_span(struct accept_slot *s, struct span *span)
{
    if (!span->at)
        return;
    memcpy(s->bytes + s->used, span->at, span->size);
    span->at = s->bytes + s->used;
    s->used += span->size;
}

/* Copies the request and its texts into the slot. The mapping has the same address in all workers, so the
 * spans may point into it. */
static void fill_slot(struct accept_slot *s, const struct run_request *req)
{
    s->request = *req;
    s->used = 0;
    s->busy_tries = 0;
    s->busy_since_ms = 0;
    atomic_store(&s->due_ms, 0);
    copy_span(s, &s->request.idempotency_key);
    copy_span(s, &s->request.input);
    copy_span(s, &s->request.tags);
    copy_span(s, &s->request.metadata);
    copy_span(s, &s->request.extra);
    copy_span(s, &s->request.webhook_url);
    copy_span(s, &s->request.thread_id);
    copy_span(s, &s->request.tool_call_id);
    copy_span(s, &s->request.trace_state);
    copy_span(s, &s->request.first_response.body);
}

/* Copies the answer into the slot. A body that does not stand in this slot is copied behind the request, or
 * dropped if there is no room. The request itself is not overwritten before all slots of the batch are
 * answered: the answer of another slot with the same idempotency key may point into it, and a successor may
 * have to process it again. */
static void store_answer(struct accept_slot *s, const struct run_answer *answer)
{
    s->answer = *answer;
    bool own = answer->response.body.at >= s->bytes && answer->response.body.at < s->bytes + sizeof s->bytes;
    if (!answer->response.body.at || own)
        return;
    s->answer.response.body = (struct span){0};
    if (answer->response.body.size <= sizeof s->bytes - s->used) {
        memcpy(s->bytes + s->used, answer->response.body.at, answer->response.body.size);
        s->answer.response.body = (struct span){.at = s->bytes + s->used, .size = answer->response.body.size};
    }
}

static void take_slot_answer(struct accept_member *m, void *ctx, struct run_answer *answer)
{
    *answer = m->slot->answer;
    if (answer->response.body.at)
        answer->response.body.at = talloc_strndup(ctx, answer->response.body.at, answer->response.body.size);
    m->last_batch = m->slot->batch;
    set_phase(m->slot, SLOT_FREE);
}

/* --- locked accounts --- */

static uint64_t workspace_hash(const struct run_request *req)
{
    return id_hash_nonzero(&req->workspace_id);
}

static struct busy_account *busy_account_of(struct accept_group *g, const struct accept_slot *s)
{
    return &g->busy[s - g->slots];
}

/* True if as many workers wait for the account already as may wait for one that has been locked for so long.
 */
static bool too_many_wait(const struct accept_group *g, uint64_t workspace, int64_t locked_ms)
{
    unsigned workers = 0;
    unsigned waiting = 0;
    for (unsigned i = 0; i < g->slots_n; i++) {
        workers += atomic_load(&g->slots[i].attached);
        waiting += atomic_load(&g->busy[i].waits_for) == workspace;
    }
    unsigned most = workers > 1 ? (workers + 1) / 2 : 1;
    return locked_ms >= BUSY_GRACE_MS && waiting >= most;
}

/* Decides whether a request whose account is locked goes on waiting. False: the account has been locked for
 * too long, or too many workers wait for it. */
static bool may_wait(struct accept_group *g, struct accept_slot *s, const struct run_request *req,
                     int64_t version, int64_t now_ms)
{
    struct busy_account *own = busy_account_of(g, s);
    uint64_t workspace = workspace_hash(req);
    int64_t locked_since_ms = busy_account_remember(g->busy, g->slots_n, own, workspace, version, now_ms);
    if (s->busy_since_ms == 0)
        s->busy_since_ms = now_ms;
    if (now_ms - s->busy_since_ms >= ACCOUNT_BUSY_TIMEOUT_MS ||
        too_many_wait(g, workspace, now_ms - locked_since_ms)) {
        atomic_fetch_add(&g->busy_rejected, 1);
        return false;
    }
    atomic_store(&own->waits_since_ms, s->busy_since_ms);
    atomic_store(&own->waits_for, workspace);
    atomic_fetch_add(&g->postponed, 1);
    return true;
}

/* The request is tried again, or has been answered or withdrawn. */
static void end_wait(struct accept_group *g, const struct accept_slot *s)
{
    atomic_store(&busy_account_of(g, s)->waits_for, 0);
}

/* Changes the slot's word, so that its owner, who may be about to sleep until the slot was due, does not. */
static void make_due(struct accept_slot *s)
{
    uint32_t word = atomic_load(&s->word);
    atomic_store(&s->due_ms, 0);
    if ((word & PHASE_MASK) == SLOT_FILLED)
        atomic_compare_exchange_strong(&s->word, &word, word + GENERATION);
}

/* This host has unlocked the account: the request that has waited longest for it tries again now, not at the
 * end of its pause. Slots that wait for the account go together. */
static void offer_account(struct accept_group *g, uint64_t workspace)
{
    unsigned first = busy_account_first(g->busy, g->slots_n, workspace);
    if (first == g->slots_n)
        return;
    enum slot_phase phase = phase_of(&g->slots[first]);
    if (phase == SLOT_FREE)
        busy_account_offer(&g->busy[first]);
    if (phase != SLOT_FILLED) /* SLOT_TAKEN: it is being tried */
        return;
    for (unsigned i = 0; i < g->slots_n; i++) {
        if (atomic_load(&g->busy[i].waits_for) == workspace && phase_of(&g->slots[i]) == SLOT_FILLED)
            make_due(&g->slots[i]);
    }
    wake_owner(&g->slots[first]);
}

/* Fills the slot of a request whose account is locked again: a leader takes it once the pause is over, and
 * nobody holds the group's lock until then. False: it does not wait any longer. */
static bool postpone(struct accept_member *m, struct accept_slot *s, int64_t version, int64_t now_ms)
{
    if (!may_wait(m->group, s, &s->request, version, now_ms))
        return false;
    atomic_store(&s->due_ms, now_ms + account_busy_pause_ms(s->busy_tries++));
    set_phase(s, SLOT_FILLED);
    return true;
}

_Static_assert(1 << (ACCEPT_GROUP_SIZES - 1) == ACCEPT_BATCH_MAX, "the last place is for the largest batch");

static void count_batch(struct accept_group *g, size_t n)
{
    unsigned place = 0;
    while (place < ACCEPT_GROUP_SIZES - 1 && n > (size_t)1 << place)
        place++;
    atomic_fetch_add(&g->batches, 1);
    atomic_fetch_add(&g->runs, n);
    atomic_fetch_add(&g->sizes[place], 1);
}

static int64_t busy_version(const struct run_answer *answers, size_t n)
{
    size_t i = 0;
    while (i < n && answers[i].verdict != RUN_ACCOUNT_BUSY)
        i++;
    return i < n ? answers[i].account_version : 0;
}

static bool any_is_accepted(const struct run_answer *answers, size_t n)
{
    size_t i = 0;
    while (i < n && answers[i].verdict != RUN_ACCEPTED)
        i++;
    return i < n;
}

/* Accepts runs of one workspace outside of the slots, in a transaction of their own. While their account is
 * locked, the worker waits by the same rule as in the group. */
static void accept_alone(struct accept_member *m, void *ctx, const struct run_request *const *requests,
                         size_t n, struct run_answer *answers)
{
    struct accept_group *g = m->group;
    struct accept_slot *s = m->slot;
    m->last_batch = (unsigned)n;
    struct busy_account *own = busy_account_of(g, s);
    s->busy_since_ms = 0;
    for (unsigned tries = 0; !accept_some(m->db, m->redis, ctx, requests, n, tries > 0, answers); tries++) {
        uint32_t offers = atomic_load(&own->offers);
        if (!may_wait(g, s, requests[0], busy_version(answers, n), clock_boot_ms())) {
            accept_give_up(answers, n);
            return;
        }
        busy_account_pause(own, offers, account_busy_pause_ms(tries));
        end_wait(g, s);
    }
    busy_account_forget(g->busy, g->slots_n, workspace_hash(requests[0]));
    if (any_is_accepted(answers, n))
        offer_account(g, workspace_hash(requests[0]));
}

static bool somebody_waits(const struct accept_group *g, uint64_t workspace)
{
    unsigned i = 0;
    while (i < g->slots_n && atomic_load(&g->busy[i].waits_for) != workspace)
        i++;
    return i < g->slots_n;
}

void accept_group_run_items(struct accept_member *m, void *ctx, const struct run_request *const *requests,
                            size_t n, struct run_answer *answers)
{
    for (int ms = 0; ms < GIVE_WAY_MS && somebody_waits(m->group, workspace_hash(requests[0])); ms++)
        nanosleep(&(struct timespec){.tv_nsec = 1000000L}, NULL);
    accept_alone(m, ctx, requests, n, answers);
    count_batch(m->group, n);
}

/* --- leading --- */

/* Answers the slots, except those whose account is locked, and wakes the owners. Of the postponed slots only
 * the owner of the one that is due first is woken, to lead the batch that tries them again. */
static void answer_slots(struct accept_member *m, struct accept_slot *const *taken, size_t n,
                         struct run_answer *answers)
{
    struct accept_slot *first_due = NULL;
    int64_t now_ms = clock_boot_ms();
    for (size_t i = 0; i < n; i++) {
        struct accept_slot *s = taken[i];
        if (answers[i].verdict == RUN_ACCOUNT_BUSY && postpone(m, s, answers[i].account_version, now_ms)) {
            if (!first_due || s->due_ms < first_due->due_ms)
                first_due = s;
            continue;
        }
        if (answers[i].verdict == RUN_ACCOUNT_BUSY)
            answers[i].verdict = RUN_UNAVAILABLE;
        else
            busy_account_forget(m->group->busy, m->group->slots_n, workspace_hash(&s->request));
        store_answer(s, &answers[i]);
        s->batch = (uint32_t)n;
    }
    failpoint("group.before_answers");
    for (size_t i = 0; i < n; i++) {
        if (answers[i].verdict == RUN_ACCOUNT_BUSY)
            continue;
        set_phase(taken[i], SLOT_DONE);
        if (taken[i] != m->slot)
            wake_owner(taken[i]);
    }
    if (first_due && first_due != m->slot)
        wake_owner(first_due);
}

/* A run was accepted, so its account was locked. Before the slots are answered: then they have new requests.
 */
static void note_locked(struct accept_member *m, struct accept_slot *const *taken, size_t n,
                        const struct run_answer *answers)
{
    m->locked_n = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t workspace = workspace_hash(&taken[i]->request);
        size_t k = 0;
        if (answers[i].verdict != RUN_ACCEPTED)
            continue;
        while (k < m->locked_n && m->locked[k] != workspace)
            k++;
        if (k == m->locked_n)
            m->locked[m->locked_n++] = workspace;
    }
}

/* Accepts the runs of the given slots (all SLOT_TAKEN), stores the answers and wakes the owners. */
static void process_batch(struct accept_member *m, struct accept_slot *const *taken, size_t n,
                          uint64_t settle_connection)
{
    const struct run_request *requests[ACCEPT_GROUP_MAX];
    struct run_answer answers[ACCEPT_GROUP_MAX];
    void *scratch = talloc_new(m);
    for (size_t i = 0; i < n; i++)
        requests[i] = &taken[i]->request;
    accept_batch(m->db, m->redis, scratch, requests, n, settle_connection, answers);
    count_batch(m->group, n);
    note_locked(m, taken, n, answers);
    answer_slots(m, taken, n, answers);
    talloc_free(scratch);
}

/* Processes the slots that a dead leader had taken. Its transaction may have committed. */
static void recover_dead_leader(struct accept_member *m)
{
    struct accept_group *g = m->group;
    struct accept_slot *taken[ACCEPT_GROUP_MAX];
    size_t n = 0;
    for (unsigned i = 0; i < g->slots_n; i++) {
        if (phase_of(&g->slots[i]) != SLOT_TAKEN)
            continue;
        end_wait(g, &g->slots[i]); /* the leader may have died before or after it */
        taken[n++] = &g->slots[i];
    }
    uint64_t old = atomic_load(&g->leader_connection);
    log_warn("accept.leader_died", "connection=%llu taken=%zu", (unsigned long long)old, n);
    if (n > 0)
        process_batch(m, taken, n, old);
    atomic_fetch_add(&g->settled, 1);
}

static void lead_batch(struct accept_member *m)
{
    struct accept_group *g = m->group;
    struct accept_slot *taken[ACCEPT_GROUP_MAX];
    size_t n = 0;
    size_t bytes = 0;
    int64_t now_ms = clock_boot_ms();
    db_publish_connection_id(m->db, &g->leader_connection);
    for (unsigned i = 0; i < g->slots_n && n < ACCEPT_GROUP_MAX; i++) {
        struct accept_slot *s = &g->slots[(g->next + i) % g->slots_n];
        if (phase_of(s) != SLOT_FILLED || s->due_ms > now_ms || bytes + s->used > ACCEPT_BATCH_BYTES ||
            !change_phase(s, SLOT_FILLED, SLOT_TAKEN))
            continue;
        end_wait(g, s);
        bytes += s->used;
        taken[n++] = s;
    }
    g->next = (g->next + 1) % g->slots_n;
    failpoint("group.after_taking");
    if (n > 0)
        process_batch(m, taken, n, 0);
    db_publish_connection_id(m->db, NULL);
}

/* Wakes one worker whose slot was filled while the batch ran; it leads the next batch. */
static void wake_next(struct accept_group *g)
{
    int64_t now_ms = clock_boot_ms();
    for (unsigned i = 0; i < g->slots_n; i++) {
        struct accept_slot *s = &g->slots[(g->next + i) % g->slots_n];
        if (phase_of(s) == SLOT_FILLED && s->due_ms <= now_ms) {
            make_due(s); /* the owner, who may be this worker, may be about to sleep */
            wake_owner(s);
            return;
        }
    }
}

/* Field 22 of /proc/PID/stat: when the process was started, in clock ticks after boot. 0: there is no such
 * process. */
static uint64_t process_started(pid_t pid)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    char *at = strrchr(text, ')'); /* the end of field 2, a name that may hold anything */
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    return at ? strtoull(at + 1, NULL, 10) : 0;
}

/* A leader that is stopped, or hangs in the kernel, would stop the host's accepts. Its death leaves the lock
 * to the next worker, which settles the batch. */
static void kill_hung_leader(const struct accept_group *g, const struct db *db)
{
    int64_t hangs_ms = 2 * db_timeout_ms(db) + LEADER_CONNECTS_MS;
    pid_t pid = atomic_load(&g->leader_pid);
    uint64_t started = atomic_load(&g->leader_started);
    int64_t progress_ms = atomic_load(&g->leader_progress_ms);
    if (pid == 0 || clock_boot_ms() - progress_ms < hangs_ms || process_started(pid) != started)
        return;
    /* Since the values were read, the leader may have gone on, or another worker may lead. */
    if (atomic_load(&g->leader_pid) != pid || atomic_load(&g->leader_progress_ms) != progress_ms)
        return;
    log_error("accept.leader_killed", "pid=%d silent_ms=%lld", (int)pid,
              (long long)(clock_boot_ms() - progress_ms));
    kill(pid, SIGKILL);
}

/* Leads one batch if the lock is free. */
static void try_lead(struct accept_member *m)
{
    int e = pthread_mutex_trylock(&m->group->lock);
    if (e == EBUSY) {
        kill_hung_leader(m->group, m->db);
        return;
    }
    if (e != 0 && e != EOWNERDEAD) {
        log_error("accept.lock_failed", "errno=%d", e);
        return;
    }
    db_publish_progress(m->db, &m->group->leader_progress_ms);
    atomic_store(&m->group->leader_started, m->started);
    atomic_store(&m->group->leader_pid, m->pid);
    if (e == EOWNERDEAD) {
        /* if this process dies in there, the lock stays inconsistent and the next leader recovers */
        recover_dead_leader(m);
        pthread_mutex_consistent(&m->group->lock);
    }
    lead_batch(m);
    atomic_store(&m->group->leader_pid, 0);
    db_publish_progress(m->db, NULL);
    pthread_mutex_unlock(&m->group->lock);
    while (m->locked_n > 0)
        offer_account(m->group, m->locked[--m->locked_n]);
    wake_next(m->group);
}

/* Waits until the slot is answered. False if the request was withdrawn because no leader had taken it within
 * `timeout_ms`. */
static bool await_answer(struct accept_member *m, int64_t timeout_ms)
{
    int64_t deadline_ms = clock_boot_ms() + timeout_ms;
    for (;;) {
        uint32_t word = atomic_load_explicit(&m->slot->word, memory_order_acquire);
        if ((word & PHASE_MASK) == SLOT_DONE)
            return true;
        try_lead(m);
        if (phase_of(m->slot) == SLOT_DONE)
            return true;
        if (clock_boot_ms() >= deadline_ms && change_phase(m->slot, SLOT_FILLED, SLOT_FREE))
            return false;
        wait_changed(m->slot, word);
    }
}

struct accept_member *accept_group_attach(void *ctx, struct accept_group *group, unsigned slot, struct db *db,
                                          struct redis *redis)
{
    struct accept_member *m = talloc_zero(ctx, struct accept_member);
    *m = (struct accept_member){
        .group = group, .slot = &group->slots[slot], .db = db, .redis = redis, .pid = getpid()};
    m->started = process_started(m->pid);
    enum slot_phase previous = phase_of(m->slot);
    atomic_store(&m->slot->attached, true);
    if (previous == SLOT_FILLED || previous == SLOT_TAKEN)
        (void)await_answer(m, INT32_MAX);
    end_wait(group, m->slot); /* a predecessor may have died while it waited */
    set_phase(m->slot, SLOT_FREE);
    return m;
}

bool accept_group_takes(const struct run_request *request)
{
    return span_sizes(request) <= ACCEPT_SLOT_BYTES;
}

void accept_group_run(struct accept_member *m, void *ctx, const struct run_request *request,
                      struct run_answer *answer)
{
    if (!accept_group_takes(request)) {
        atomic_fetch_add(&m->group->alone, 1);
        accept_alone(m, ctx, &request, 1, answer);
        return;
    }
    fill_slot(m->slot, request);
    uint32_t word = atomic_load_explicit(&m->slot->word, memory_order_relaxed);
    word = (word & ~(uint32_t)PHASE_MASK) + GENERATION;
    atomic_store_explicit(&m->slot->word, word | SLOT_FILLED, memory_order_release);
    if (await_answer(m, ACCEPT_TIMEOUT_MS)) {
        take_slot_answer(m, ctx, answer);
        return;
    }
    end_wait(m->group, m->slot);
    atomic_fetch_add(&m->group->withdrawn, 1);
    *answer = (struct run_answer){.verdict = RUN_UNAVAILABLE, .execution_id = request->execution_id};
}

unsigned accept_group_last_batch(const struct accept_member *member)
{
    return member->last_batch;
}

pid_t accept_group_leader(const struct accept_group *g)
{
    return atomic_load(&g->leader_pid);
}
