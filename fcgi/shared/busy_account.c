#define _GNU_SOURCE
#include "fcgi/shared/busy_account.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    /* An account that no batch found locked for so long counts as free. */
    FORGET_MS = 500,
};

int64_t busy_account_remember(struct busy_account *records, unsigned n, struct busy_account *own,
                              uint64_t workspace, int64_t version, int64_t now_ms)
{
    int64_t since_ms = now_ms;
    for (unsigned i = 0; i < n; i++) {
        const struct busy_account *b = &records[i];
        int64_t other_ms = atomic_load(&b->since_ms);
        if (atomic_load(&b->workspace) == workspace && atomic_load(&b->version) == version &&
            now_ms - atomic_load(&b->last_ms) < FORGET_MS && other_ms < since_ms)
            since_ms = other_ms;
    }
    atomic_store(&own->workspace, 0); /* nobody must read half of it */
    atomic_store(&own->since_ms, since_ms);
    atomic_store(&own->last_ms, now_ms);
    atomic_store(&own->version, version);
    atomic_store(&own->workspace, workspace);
    return since_ms;
}

void busy_account_forget(struct busy_account *records, unsigned n, uint64_t workspace)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t expected = workspace;
        if (atomic_load(&records[i].workspace) == workspace)
            atomic_compare_exchange_strong(&records[i].workspace, &expected, 0);
    }
}

unsigned busy_account_first(const struct busy_account *records, unsigned n, uint64_t workspace)
{
    unsigned first = n;
    int64_t first_ms = INT64_MAX;
    for (unsigned i = 0; i < n; i++) {
        int64_t since_ms = atomic_load(&records[i].waits_since_ms);
        if (atomic_load(&records[i].waits_for) == workspace && since_ms < first_ms) {
            first = i;
            first_ms = since_ms;
        }
    }
    return first;
}

void busy_account_offer(struct busy_account *record)
{
    atomic_fetch_add(&record->offers, 1);
    syscall(SYS_futex, &record->offers, FUTEX_WAKE, 1, NULL, NULL, 0);
}

void busy_account_pause(struct busy_account *own, uint32_t offers, int ms)
{
    struct timespec limit = {.tv_nsec = ms * 1000000L};
    syscall(SYS_futex, &own->offers, FUTEX_WAIT, offers, &limit, NULL, 0);
}
