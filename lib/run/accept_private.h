/* Shared by the files that accept a batch: accept.c (the transaction), accept_decide.c (money, concurrency,
 * duplicates), accept_rows.c (the rows of accepted runs) and accept_redis.c (Redis before and after the
 * transaction). Only these files and their unit tests include it. */
#pragma once

#include "account/account.h"
#include "redis/redis.h"
#include "run/accept_types.h"
#include "spending/budget.h"
#include "spending/price_list.h"

/* A tree that gets children in this batch. */
struct accept_tree {
    id root_id;
    /* Descendants, including those that this batch has accepted so far. */
    int64_t size;
    bool changed;
    /* It has marks in `stops`, or may have. */
    bool is_marked;
};

/* A run that gets children in this batch. Its row is locked. */
struct accept_parent {
    id id;
    enum run_state state;
    int attempt;
    /* Of its events, including those that this batch has added so far. */
    int last_seq;
    /* Events that this batch adds. */
    int events_n;
    /* Its row is known to say that it has children. */
    bool knows_children;
    /* It has got a child here. */
    bool changed;
};

/* One run of a batch. An answer's verdict of 0 means: not decided yet. */
struct accept_entry {
    const struct run_request *req;
    struct run_answer *answer;
    struct account *account;
    /* Of a child; NULL for a root. */
    struct accept_tree *tree;
    /* Of a child; NULL for a root. */
    struct accept_parent *parent;
    /* The number of the event that the parent gets; 0: none. */
    int parent_seq;
    /* The price list that prices the run, on the transaction's ctx; NULL: none. */
    const struct price_list *prices;
    int64_t cost;
    /* The grant that the cost was debited from; unset: several. */
    id grant;
    /* The locked row of the occurrence's schedule. */
    struct {
        bool is_locked;
        /* the occurrence has a row, which waits */
        bool has_row;
        enum overlap overlap;
        /* 0: none */
        int64_t next_ms, waiting_ms;
    } schedule;
    /* Accepted by an earlier attempt of this transaction whose COMMIT response was lost. */
    bool committed;
    /* The account was locked while the transaction was settled: whether an earlier attempt had accepted the
     * run is not known yet. */
    bool unsettled;
};

struct accept_batch {
    struct accept_entry *entries;
    size_t n;
    /* Owns the bodies of the answers. */
    void *ctx;
    /* Owns what publishing needs; emptied at the start of each attempt of the transaction. */
    void *publish_ctx;
    struct account *accounts;
    size_t accounts_n;
    /* On the transaction's ctx. */
    struct accept_tree *trees;
    size_t trees_n;
    /* Has the rows of parents that are locked already, as they are now; NULL: none. */
    struct run_tx *flushed;
    /* On publish_ctx. */
    struct accept_parent *parents;
    size_t parents_n;
    /* Wall time of the events that parents get. */
    int64_t started_ms;
    /* What the entries match, in their order; NULL: no workspace of the batch has budgets. */
    struct budget_set *budgets;
    /* The last attempt of the transaction looked up what an earlier COMMIT had left. */
    bool settled;
};

static inline bool entry_is_undecided(const struct accept_entry *entry)
{
    return entry->answer->verdict == 0;
}

/* Accepted by this attempt of the transaction, so its rows must be written. */
static inline bool entry_is_new(const struct accept_entry *entry)
{
    return entry->answer->verdict == RUN_ACCEPTED && !entry->committed;
}

static inline struct db_value span_value_or_null(struct span s)
{
    return s.at ? db_bytes(s.at, s.size) : db_null();
}

/* True unless it is certain that the version (and with it the price) that the request was validated against
 * is still current. `catalog_version` is the account's present number. */
static inline bool accept_version_may_be_stale(const struct run_request *req, int64_t catalog_version)
{
    return !req->pinned && req->catalog_version != catalog_version;
}

/* Reads the price lists of the entries that are still undecided, under their accounts' locks. Runs no
 * statement for workspaces without price lists. */
enum err accept_read_prices(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;
/* Stores what the lists have priced. */
enum err accept_write_charges(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* Before the decision: reads the grants of accounts whose head grant does not cover what the undecided
 * entries cost together, and makes what is due. Runs no statement if the accounts' rows suffice. */
enum err accept_open_grants(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;
/* Decides the entries that are still undecided, in their order: duplicates within the batch, size of the
 * tree, balance, budgets, concurrency. The cost of an accepted run is debited from the account and its
 * budgets in memory, so that later entries see it. Reads and writes memory only. */
void accept_decide(struct accept_batch *b);

/* Reads the budgets of the entries that are still undecided, under their accounts' locks. Runs no statement
 * for workspaces without budgets. */
enum err accept_read_budgets(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;
/* Writes their counters, and tells the workspaces which levels were crossed. */
enum err accept_write_budgets(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* The data of the run's first event, on ctx; NULL: none. */
const char *accept_queued_data(void *ctx, const struct run_request *req);

/* Writes all rows of the new entries, under their accounts' locks. */
enum err accept_insert(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* Locks the schedules of occurrences, after the accounts, and rejects those that are decided already or that
 * overlap. */
enum err accept_read_occurrences(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;
/* Writes the row of each decided occurrence and advances its schedule. */
enum err accept_write_occurrences(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* Locks the job of bulk retries and rejects items that are decided already; writes what became of the others.
 */
enum err accept_read_bulk_items(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;
enum err accept_write_bulk_items(struct db_tx *tx, struct accept_batch *b) WARN_UNUSED;

/* Before the transaction: rejects entries whose workspace has insufficient credits. Redis is asked first,
 * MariaDB confirms without a lock. Entries with a key or tool call, and children, are skipped, because they
 * may be replays. */
void accept_reject_insufficient_credits(struct db *db, struct redis *redis, struct accept_batch *b);
/* After the commit: cached responses, balances, the run queue, first events. */
void accept_publish(struct redis *redis, struct accept_batch *b);
