#include "fcgi/shared/busy_account.h"

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
