#define _GNU_SOURCE
#include "fcgi/shared/slow_share.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

/* A waiting worker looks at its turn again after so long: the worker that would have woken it may have died.
 */
enum { POLL_MS = 20 };

/* The places that were taken before a given one. */
struct places_before {
    unsigned all, same;
};

static unsigned at_least_one(unsigned n)
{
    return n > 0 ? n : 1;
}

void slow_share_note(struct slow_share *share, const id *workspace, int64_t now_ms)
{
    uint64_t hash = id_hash_nonzero(workspace);
    int oldest = atomic_load(&share->seen[0].last_ms) <= atomic_load(&share->seen[1].last_ms) ? 0 : 1;
    for (int i = 0; i < 2; i++) {
        if (atomic_load(&share->seen[i].workspace) == hash)
            oldest = i;
    }
    atomic_store(&share->seen[oldest].workspace, hash);
    atomic_store(&share->seen[oldest].last_ms, now_ms);
}

static size_t reader_place(uint64_t hash)
{
    return hash % SLOW_SHARE_READERS;
}

/* The place of a workspace, which another one may have had. */
static struct slow_reader *take_reader_place(struct slow_share *share, const id *workspace)
{
    uint64_t hash = id_hash_nonzero(workspace);
    struct slow_reader *reader = &share->readers[reader_place(hash)];
    if (atomic_load(&reader->workspace) == hash)
        return reader;
    atomic_store(&reader->until_ms, 0);
    atomic_store(&reader->delayed_until_ms, 0);
    atomic_store(&reader->workspace, hash);
    return reader;
}

/* NULL: nothing is remembered of the workspace. */
static const struct slow_reader *find_reader(const struct slow_share *share, const id *workspace)
{
    uint64_t hash = id_hash_nonzero(workspace);
    const struct slow_reader *reader = &share->readers[reader_place(hash)];
    return atomic_load(&reader->workspace) == hash ? reader : NULL;
}

void slow_share_note_reader(struct slow_share *share, const id *workspace, int64_t now_ms)
{
    atomic_fetch_add(&share->slow_reads, 1);
    atomic_store(&take_reader_place(share, workspace)->until_ms, now_ms + SLOW_SHARE_READER_MS);
}

bool slow_share_is_reader(const struct slow_share *share, const id *workspace, int64_t now_ms)
{
    const struct slow_reader *reader = find_reader(share, workspace);
    return reader && now_ms < atomic_load(&reader->until_ms);
}

void slow_share_note_delayed(struct slow_share *share, const id *workspace, int64_t now_ms)
{
    atomic_store(&take_reader_place(share, workspace)->delayed_until_ms, now_ms + SLOW_SHARE_READER_MS);
}

bool slow_share_is_delayed(const struct slow_share *share, const id *workspace, int64_t now_ms)
{
    const struct slow_reader *reader = find_reader(share, workspace);
    return reader && now_ms < atomic_load(&reader->delayed_until_ms);
}

/* True if another workspace has sent a request lately. */
static bool others_are_active(const struct slow_share *share, uint64_t hash)
{
    int64_t now_ms = clock_boot_ms();
    for (int i = 0; i < 2; i++) {
        uint64_t other = atomic_load(&share->seen[i].workspace);
        if (other && other != hash && now_ms - atomic_load(&share->seen[i].last_ms) < SLOW_SHARE_SEEN_MS)
            return true;
    }
    return false;
}

static struct places_before count_before(const struct slow_share *share, uint64_t hash, uint64_t ticket)
{
    struct places_before n = {0, 0};
    for (int i = 0; i < SLOW_SHARE_SLOTS; i++) {
        uint64_t other = atomic_load(&share->places[i].workspace);
        if (!other || atomic_load(&share->places[i].ticket) >= ticket)
            continue;
        n.all++;
        n.same += other == hash;
    }
    return n;
}

/* True if a request may take a place after those that were taken before. */
static bool place_is_allowed(struct places_before before, unsigned workers, bool alone)
{
    unsigned total = at_least_one(workers - (workers + 3) / 4);
    unsigned own = alone ? total : at_least_one(workers / 2);
    if (before.same == 0)
        return before.all < total;
    return before.same < own && before.all < (alone ? total : at_least_one(total - (total + 3) / 4));
}

static bool is_turn(const struct slow_share *share, uint64_t hash, uint64_t ticket, unsigned limit)
{
    unsigned processors = at_least_one(share->processors);
    unsigned most = others_are_active(share, hash) ? at_least_one(processors / 2) : processors;
    most = most < limit ? most : limit;
    return count_before(share, hash, ticket).same < most;
}

static bool await_turn(struct slow_share *share, struct slow_place *place, uint64_t hash, unsigned limit,
                       int64_t wait_ms)
{
    static const struct timespec poll = {.tv_nsec = POLL_MS * 1000000L};
    uint64_t ticket = atomic_load(&place->ticket);
    if (is_turn(share, hash, ticket, limit))
        return true;
    int64_t deadline_ms = clock_boot_ms() + wait_ms;
    bool turn = false;
    atomic_fetch_add(&share->waited, 1);
    while (!turn && clock_boot_ms() < deadline_ms) {
        atomic_store(&place->is_waiting, 1);
        turn = is_turn(share, hash, ticket,
                       limit); /* a place that ended before is_waiting was set woke nobody */
        if (!turn)
            syscall(SYS_futex, &place->is_waiting, FUTEX_WAIT, 1, &poll, NULL, 0);
    }
    atomic_store(&place->is_waiting, 0);
    return turn;
}

bool slow_share_begin(struct slow_share *share, int slot, const id *workspace, unsigned workers,
                      unsigned most, int64_t wait_ms)
{
    struct slow_place *place = &share->places[slot];
    uint64_t hash = id_hash_nonzero(workspace);
    if (atomic_load(&place->workspace))
        return true;
    uint64_t ticket = atomic_fetch_add(&share->last_ticket, 1) + 1;
    atomic_store(&place->ticket, ticket);
    atomic_store(&place->workspace, hash);
    if (place_is_allowed(count_before(share, hash, ticket), workers, !others_are_active(share, hash)) &&
        await_turn(share, place, hash, most, wait_ms))
        return true;
    slow_share_end(share, slot);
    atomic_fetch_add(&share->rejected, 1);
    return false;
}

/* The waiting place of the workspace with the lowest ticket, or NULL. */
static struct slow_place *first_waiting(struct slow_share *share, uint64_t hash)
{
    struct slow_place *first = NULL;
    for (int i = 0; i < SLOW_SHARE_SLOTS; i++) {
        struct slow_place *p = &share->places[i];
        if (atomic_load(&p->workspace) == hash && atomic_load(&p->is_waiting) &&
            (!first || atomic_load(&p->ticket) < atomic_load(&first->ticket)))
            first = p;
    }
    return first;
}

void slow_share_end(struct slow_share *share, int slot)
{
    struct slow_place *place = &share->places[slot];
    atomic_store(&place->is_waiting, 0);
    uint64_t hash = atomic_exchange(&place->workspace, 0);
    struct slow_place *next = hash ? first_waiting(share, hash) : NULL;
    if (!next)
        return;
    atomic_store(&next->is_waiting, 0);
    syscall(SYS_futex, &next->is_waiting, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

unsigned slow_share_places(const struct slow_share *share, unsigned *waiting_r)
{
    unsigned n = 0;
    *waiting_r = 0;
    for (int i = 0; i < SLOW_SHARE_SLOTS; i++) {
        n += atomic_load(&share->places[i].workspace) != 0;
        *waiting_r += atomic_load(&share->places[i].is_waiting) != 0;
    }
    return n;
}
