/* Decides a batch in memory, once everything that it depends on was read under the locks. */
#include <string.h>

#include "account/grants.h"
#include "run/accept_private.h"
#include "run/price.h"

/* Absent spans are never equal. */
static bool spans_equal(struct span a, struct span b)
{
    return a.at && b.at && a.size == b.size && memcmp(a.at, b.at, a.size) == 0;
}

/* The verdict on an entry whose key or tool call an earlier, accepted entry has just taken; else 0. */
static enum run_verdict duplicate_verdict(const struct run_request *earlier, const struct run_request *req)
{
    if (!id_equal(&earlier->workspace_id, &req->workspace_id))
        return 0;
    if (spans_equal(earlier->idempotency_key, req->idempotency_key))
        return memcmp(earlier->fingerprint, req->fingerprint, sizeof req->fingerprint) == 0 ? RUN_REPLAYED
                                                                                            : RUN_KEY_REUSED;
    return spans_equal(earlier->tool_call_id, req->tool_call_id) ? RUN_TOOL_CALL_EXISTS : 0;
}

static void check_duplicate_in_batch(struct accept_batch *b, struct accept_entry *entry)
{
    if (!entry->req->idempotency_key.at && !entry->req->tool_call_id.at)
        return;
    for (struct accept_entry *earlier = b->entries; earlier < entry && entry_is_undecided(entry); earlier++) {
        if (earlier->answer->verdict != RUN_ACCEPTED)
            continue;
        enum run_verdict verdict = duplicate_verdict(earlier->req, entry->req);
        if (verdict == 0)
            continue;
        entry->answer->verdict = verdict;
        entry->answer->execution_id = earlier->req->execution_id;
        entry->answer->response = earlier->req->first_response;
    }
}

static void decide_entry(struct accept_batch *b, struct accept_entry *entry)
{
    struct account *account = entry->account;
    check_duplicate_in_batch(b, entry);
    if (!entry_is_undecided(entry))
        return;
    entry->cost = run_listed_price(entry->req, account->price, entry->prices);
    bool delayed = run_request_is_delayed(entry->req);
    struct budget_refusal refusal;
    bool counted = run_request_is_root(entry->req) && !delayed && account->max_concurrent > 0;
    if (entry->tree && entry->tree->size + 1 >= TREE_SIZE_MAX) {
        entry->answer->verdict = RUN_TREE_LIMIT;
    } else if (!account_covers(account, entry->cost)) {
        entry->answer->verdict = RUN_INSUFFICIENT_CREDITS;
    } else if (!budget_set_allows(b->budgets, (size_t)(entry - b->entries), entry->cost, &refusal)) {
        entry->answer->verdict = RUN_BUDGET_EXCEEDED;
        entry->answer->budget = refusal;
    } else if (counted && account->active >= account->max_concurrent) {
        entry->answer->verdict = RUN_CONCURRENCY_LIMITED;
        entry->answer->active = account->active;
        entry->answer->limit = account->max_concurrent;
    } else if (delayed && account->delayed >= entry->req->delayed_limit) {
        entry->answer->verdict = RUN_DELAYED_LIMITED;
        entry->answer->limit = entry->req->delayed_limit;
    } else {
        entry->answer->verdict = RUN_ACCEPTED;
        entry->answer->execution_id = entry->req->execution_id;
        entry->answer->response = entry->req->first_response;
        entry->answer->cost = entry->cost;
        entry->grant = account_debit(account, &entry->req->execution_id, entry->cost);
        account->alerts.spends += entry->cost;
        budget_set_debit(b->budgets, (size_t)(entry - b->entries), entry->cost);
        account->active += counted;
        account->delayed += delayed;
        account->changed = true;
        if (entry->tree) {
            entry->tree->size++;
            entry->tree->changed = true;
        }
    }
}

enum err accept_open_grants(struct db_tx *tx, struct accept_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct accept_entry *entry = &b->entries[i];
        if (!entry_is_undecided(entry))
            continue;
        struct account *account = entry->account;
        int64_t price = run_listed_price(entry->req, account->price, entry->prices);
        if (__builtin_add_overflow(account->wanted, price, &account->wanted))
            account->wanted = INT64_MAX;
    }
    return account_open_grants(tx, b->accounts, b->accounts_n);
}

void accept_decide(struct accept_batch *b)
{
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_undecided(&b->entries[i]))
            decide_entry(b, &b->entries[i]);
    }
}
