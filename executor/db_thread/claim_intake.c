#include "executor/db_thread/claim_intake.h"

#include <pthread.h>
#include <string.h>
#include <talloc.h>

enum {
    /* Of a claim transaction: runs that become claimable during it wait for its end. */
    CLAIM_TARGET_US = 15000,
    /* The same for so many transactions after one for ids of short lists alone. */
    CLAIM_SHORT_TARGET_US = 6000,
    SHORT_FOR = 64,
    CLAIM_BATCH_MIN = 8,
    /* Ids of short lists that have a transaction of their own. More would make it a large one. */
    SHORT_ALONE_MAX = 16,
    /* After so many transactions of one size, one may claim half as many runs more: only transactions of
     * different sizes tell what each run costs. A larger one that was not worth it doubles the number. */
    PROBE_AFTER = 16,
    PROBE_AFTER_MAX = 1024,
};

/* Sums over the last transactions, of which each counts three quarters of the next one: of their number,
 * claims, times, squares of claims, and products. They give the straight line of time by claims that fits
 * best. */
struct claim_costs {
    double count, claims, us, squares, products;
};

struct claim_intake {
    void (*on_claimable)(void *arg);
    void *arg;

    /* Protects everything below. */
    pthread_mutex_t lock;
    pthread_cond_t slots_added;
    id ids[QUEUED_IDS_MAX];
    size_t ids_n;
    /* The first of them, which are of workspaces with short lists. */
    size_t short_n;
    /* The last transaction claimed nothing else; transactions for which the shorter target is left. */
    bool short_alone;
    unsigned short_for;
    /* What was taken is being claimed. */
    bool claiming;
    bool scan, scans_anew, wakes, ended;
    int free_slots;
    /* Runs that may be claimed; -1: any number. */
    int allowance;
    /* Claimed since claim_intake_allow was called, and how long the oldest of them had waited. */
    int64_t claimed, oldest_ms;
    /* How many runs one transaction claims at most, and what earlier ones took. */
    size_t batch_max;
    struct claim_costs costs;
    /* Claims of the last transaction, how many transactions before had as many, and of how many one is made
     * larger. */
    size_t last_claimed;
    unsigned equal_n, probe_after;
};

struct claim_intake *claim_intake_new(void *ctx, void (*on_claimable)(void *arg), void *arg)
{
    struct claim_intake *in = talloc_zero(ctx, struct claim_intake);
    in->on_claimable = on_claimable;
    in->arg = arg;
    in->allowance = -1;
    in->batch_max = COMMIT_BATCH_MAX;
    in->probe_after = PROBE_AFTER;
    pthread_mutex_init(&in->lock, NULL);
    pthread_cond_init(&in->slots_added, NULL);
    return in;
}

/* Runs that may be claimed now. */
static int claimable_places(const struct claim_intake *in)
{
    return in->allowance >= 0 && in->allowance < in->free_slots ? in->allowance : in->free_slots;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Claims of the next transaction, at most. */
static size_t next_batch_max(const struct claim_intake *in)
{
    bool probes = in->equal_n >= in->probe_after && in->last_claimed >= in->batch_max;
    return probes ? smaller(in->batch_max * 3 / 2, COMMIT_BATCH_MAX) : in->batch_max;
}

static bool is_claimable(const struct claim_intake *in)
{
    return (in->ids_n > 0 || in->scan || in->wakes) && claimable_places(in) > 0 && !in->ended;
}

static void announce_claimable(struct claim_intake *in)
{
    if (is_claimable(in))
        in->on_claimable(in->arg);
}

/* --- slots --- */

void claim_intake_add_slots(struct claim_intake *in, int n)
{
    pthread_mutex_lock(&in->lock);
    in->free_slots += n;
    if (in->free_slots > 0)
        pthread_cond_signal(&in->slots_added);
    announce_claimable(in);
    pthread_mutex_unlock(&in->lock);
}

bool claim_intake_take_slot(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    bool taken = in->free_slots > 0;
    if (taken)
        in->free_slots--;
    pthread_mutex_unlock(&in->lock);
    return taken;
}

void claim_intake_take_slots(struct claim_intake *in, int n)
{
    pthread_mutex_lock(&in->lock);
    in->free_slots -= n;
    pthread_mutex_unlock(&in->lock);
}

int claim_intake_free_slots(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    int free_slots = in->free_slots;
    pthread_mutex_unlock(&in->lock);
    return free_slots;
}

/* --- the pace of claims --- */

int64_t claim_intake_take_claimed(struct claim_intake *in, int64_t *oldest_ms_r)
{
    pthread_mutex_lock(&in->lock);
    int64_t claimed = in->claimed;
    *oldest_ms_r = in->oldest_ms;
    in->claimed = in->oldest_ms = 0;
    pthread_mutex_unlock(&in->lock);
    return claimed;
}

void claim_intake_allow(struct claim_intake *in, int n)
{
    pthread_mutex_lock(&in->lock);
    bool changed = n != in->allowance;
    in->allowance = n;
    if (changed) {
        pthread_cond_signal(&in->slots_added);
        announce_claimable(in);
    }
    pthread_mutex_unlock(&in->lock);
}

/* --- what to claim --- */

int claim_intake_await_slots(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    while (!in->ended &&
           (in->claiming || claimable_places(in) <= (int)in->ids_n || in->ids_n >= next_batch_max(in)))
        pthread_cond_wait(&in->slots_added, &in->lock);
    int room = (int)next_batch_max(in) - (int)in->ids_n;
    int n = in->ended ? 0 : claimable_places(in) - (int)in->ids_n;
    pthread_mutex_unlock(&in->lock);
    return n < room ? n : room;
}

/* Inserts as many of the `n` ids as fit before place `at`. Returns how many. */
static size_t insert_ids(struct claim_intake *in, size_t at, const id *ids, size_t n)
{
    size_t fits = smaller(n, QUEUED_IDS_MAX - in->ids_n);
    memmove(in->ids + at + fits, in->ids + at, sizeof *in->ids * (in->ids_n - at));
    memcpy(in->ids + at, ids, sizeof *in->ids * fits);
    in->ids_n += fits;
    return fits;
}

void claim_intake_add_ids(struct claim_intake *in, const id *ids, size_t n, size_t short_n)
{
    pthread_mutex_lock(&in->lock);
    in->short_n += insert_ids(in, in->short_n, ids, short_n);
    insert_ids(in, in->ids_n, ids + short_n, n - short_n);
    announce_claimable(in);
    pthread_mutex_unlock(&in->lock);
}

static void request_scan(struct claim_intake *in, bool anew)
{
    pthread_mutex_lock(&in->lock);
    in->scan = true;
    in->scans_anew = in->scans_anew || anew;
    announce_claimable(in);
    pthread_mutex_unlock(&in->lock);
}

void claim_intake_request_scan(struct claim_intake *in)
{
    request_scan(in, true);
}

void claim_intake_continue_scan(struct claim_intake *in)
{
    request_scan(in, false);
}

void claim_intake_request_wakes(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->wakes = true;
    announce_claimable(in);
    pthread_mutex_unlock(&in->lock);
}

void claim_intake_end(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    in->ended = true;
    pthread_cond_broadcast(&in->slots_added);
    pthread_mutex_unlock(&in->lock);
}

bool claim_intake_is_idle(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    bool has_backlog = in->ids_n > 0 || (in->scan && !in->scans_anew);
    bool idle = !has_backlog && !in->ended && claimable_places(in) >= COMMIT_BATCH_MAX / 2;
    pthread_mutex_unlock(&in->lock);
    return idle;
}

bool claim_intake_has_work(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    bool claimable = is_claimable(in);
    pthread_mutex_unlock(&in->lock);
    return claimable;
}

/* With the lock held. */
static void take_ids(struct claim_intake *in, struct claimables *r)
{
    r->ids_n = smaller(in->ids_n, r->limit);
    memcpy(r->ids, in->ids, sizeof *in->ids * r->ids_n);
    r->short_n = smaller(in->short_n, r->ids_n);
    in->ids_n -= r->ids_n;
    in->short_n -= r->short_n;
    memmove(in->ids, in->ids + r->ids_n, sizeof *in->ids * in->ids_n);
}

void claim_intake_count_claims(struct claim_intake *in, size_t claimed, int64_t oldest_ms)
{
    pthread_mutex_lock(&in->lock);
    in->claimed += (int64_t)claimed;
    if (oldest_ms > in->oldest_ms)
        in->oldest_ms = oldest_ms;
    if (in->allowance >= 0)
        in->allowance = (int)claimed < in->allowance ? in->allowance - (int)claimed : 0;
    pthread_mutex_unlock(&in->lock);
}

static void add_costs(struct claim_costs *c, double claims, double us)
{
    const double kept = 3.0 / 4;
    c->count = c->count * kept + 1;
    c->claims = c->claims * kept + claims;
    c->us = c->us * kept + us;
    c->squares = c->squares * kept + claims * claims;
    c->products = c->products * kept + claims * us;
}

/* How many claims fit into the target. Where the part that every transaction takes is more than half of
 * that, as on a busy machine: so many that this part is half of the time. Fewer would not make others wait
 * much less, and the backlog would drain slower for it. */
static double wanted_claims(const struct claim_costs *c, double target_us)
{
    double spread = c->count * c->squares - c->claims * c->claims;
    double each_us = c->us / c->claims;
    double fixed_us = 0;
    /* transactions of one size do not tell the two parts apart */
    if (spread > c->count * c->count) {
        double slope = (c->count * c->products - c->claims * c->us) / spread;
        if (slope > each_us / COMMIT_BATCH_MAX && slope < each_us) {
            fixed_us = (c->us - slope * c->claims) / c->count;
            each_us = slope;
        }
    }
    return (fixed_us < target_us / 2 ? target_us - fixed_us : fixed_us) / each_us;
}

/* wanted_claims of the target that is in force, as a number of claims that a transaction may have. */
static size_t fitting_claims(const struct claim_intake *in)
{
    if (in->costs.claims <= 0)
        return COMMIT_BATCH_MAX;
    double wanted = wanted_claims(&in->costs, in->short_for > 0 ? CLAIM_SHORT_TARGET_US : CLAIM_TARGET_US);
    return wanted < COMMIT_BATCH_MAX ? (size_t)wanted : COMMIT_BATCH_MAX;
}

static void count_equal(struct claim_intake *in, size_t claimed, bool was_worth_it)
{
    in->equal_n = claimed == in->last_claimed ? in->equal_n + 1 : 0;
    in->last_claimed = claimed;
    if (was_worth_it)
        in->probe_after = PROBE_AFTER;
    else if (claimed > in->batch_max && in->probe_after < PROBE_AFTER_MAX)
        in->probe_after *= 2;
}

static void bound_batch(struct claim_intake *in)
{
    if (in->batch_max < CLAIM_BATCH_MIN)
        in->batch_max = CLAIM_BATCH_MIN;
    if (in->batch_max > COMMIT_BATCH_MAX)
        in->batch_max = COMMIT_BATCH_MAX;
}

void claim_intake_note_claims(struct claim_intake *in, size_t claimed, int64_t took_us)
{
    if (claimed == 0 || took_us <= 0)
        return;
    pthread_mutex_lock(&in->lock);
    add_costs(&in->costs, (double)claimed, (double)took_us);
    size_t most = fitting_claims(in);
    count_equal(in, claimed, claimed > in->batch_max && most > in->batch_max);
    /* A short batch says nothing about a larger one, except that it was slow already; of very few claims it
     * is mostly the time that every transaction takes. */
    if (claimed >= CLAIM_BATCH_MIN && (claimed >= in->batch_max || most < in->batch_max))
        in->batch_max = (3 * in->batch_max + most + 3) / 4;
    bound_batch(in);
    pthread_mutex_unlock(&in->lock);
}

/* True if the next transaction is to claim the ids of short lists only, since others have a backlog: long
 * lists, or a scan that filled its places. Not twice in a row, so that they do not hold up the others. */
static bool takes_short_alone(const struct claim_intake *in)
{
    bool has_backlog = in->ids_n > in->short_n || (in->scan && !in->scans_anew);
    return has_backlog && in->short_n > 0 && in->short_n <= SHORT_ALONE_MAX && !in->short_alone;
}

/* The next transactions are shorter at once: the first runs of a workspace do not wait until sizes have
 * adapted. */
static void begin_short(struct claim_intake *in)
{
    bool began = in->short_for == 0;
    in->short_for = SHORT_FOR;
    if (began) {
        in->batch_max = smaller(in->batch_max, fitting_claims(in));
        bound_batch(in);
    }
}

bool claim_intake_take(struct claim_intake *in, size_t room, struct claimables *r)
{
    pthread_mutex_lock(&in->lock);
    bool claimable = is_claimable(in) && room > 0;
    if (claimable) {
        r->limit = smaller((size_t)claimable_places(in), smaller(room, next_batch_max(in)));
        r->scan = r->scans_anew = r->wakes = false;
        in->short_alone = takes_short_alone(in);
        if (in->short_for > 0)
            in->short_for--;
        if (in->short_alone) {
            begin_short(in);
            r->limit = smaller(r->limit, in->short_n);
        } else {
            r->scan = in->scan;
            r->scans_anew = in->scans_anew;
            r->wakes = in->wakes;
            in->scan = in->scans_anew = in->wakes = false;
        }
        in->claiming = true;
        take_ids(in, r);
    }
    pthread_mutex_unlock(&in->lock);
    return claimable;
}

void claim_intake_open(struct claim_intake *in)
{
    pthread_mutex_lock(&in->lock);
    if (in->claiming) {
        in->claiming = false;
        pthread_cond_signal(&in->slots_added);
    }
    pthread_mutex_unlock(&in->lock);
}
