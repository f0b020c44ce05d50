/* Accepting runs. API workers and executors (for children) create runs only through accept_batch.
 *
 * The caller validates what needs no lock: API key, scope, form, schema, model. accept_batch decides the rest
 * under the account's lock, for many runs in one transaction: idempotency key, tool call, balance,
 * concurrency, the parent's attempt and the responder's version. It returns a verdict for each run. A
 * rejected run never rolls back the others.
 *
 * fcgi/shared/accept_group.h shares batches between the workers of a host. An executor's database thread
 * accepts children in the transaction that writes what their parents have done so far, or by accept_batch. */
#pragma once

#include "account/balance_cache.h"
#include "mariadb/db.h"
#include "redis/redis.h"
#include "run/accept_types.h"
#include "run/run_tx.h"

/* Decides and accepts `n` (1 to ACCEPT_BATCH_MAX) runs; answers[i] belongs to requests[i], with bodies on
 * ctx. `settle_connection` is 0, or the connection id of a leader that died while it accepted these requests.
 * `redis` may be NULL.
 *
 * A batch never waits for an account: requests whose account is locked get RUN_ACCOUNT_BUSY, which is never
 * the answer of a batch that is settled. */
void accept_batch(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                  size_t n, uint64_t settle_connection, struct run_answer *answers);

/* The same as a part of a transaction of the caller. The caller begins with accept_begin, calls accept_write
 * in each execution of the transaction, and accept_end after the last one with the error of db_transaction,
 * which publishes the runs or gives the verdicts of a failure. `flushed`: changes that the transaction has
 * written before; parents that it has locked are not read again. If the transaction fails because of a run
 * (ERR_INTERNAL), the caller gives the requests to accept_batch, which isolates that run. */
struct accept_batch *accept_begin(void *ctx, const struct run_request *const *requests, size_t n,
                                  struct run_answer *answers);
enum err accept_write(struct db_tx *tx, struct accept_batch *b, struct run_tx *flushed) WARN_UNUSED;
void accept_end(struct accept_batch *b, struct redis *redis, enum err e);

/* The same for 1 to ACCEPT_BATCH_MAX runs of one workspace. False: the account is locked, and the caller
 * calls it `again`, which tries those whose verdict is RUN_ACCOUNT_BUSY. */
bool accept_some(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                 size_t n, bool again, struct run_answer *answers) WARN_UNUSED;
/* Turns RUN_ACCOUNT_BUSY into RUN_UNAVAILABLE. */
void accept_give_up(struct run_answer *answers, size_t n);
/* Accepts `n` runs of one workspace. While its account is locked, they are tried again for
 * ACCOUNT_BUSY_TIMEOUT_MS; then the verdict is RUN_UNAVAILABLE. */
void accept_many(struct db *db, struct redis *redis, void *ctx, const struct run_request *const *requests,
                 size_t n, struct run_answer *answers);

/* From now on, this process keeps the balances that it reads in `shared`, a cache of all workers of the host,
 * instead of in its own. */
void accept_share_balance_cache(struct balance_cache *shared);
