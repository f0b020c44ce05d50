/* The offer of claimed runs to the loop, inside the transaction that claims them.
 *
 * The database thread may wait for the loop; the loop never waits for the database thread. An offer that the
 * loop does not take up within 200 ms is withdrawn, since rows are locked and MariaDB ends a transaction that
 * is idle for 1 s. Once the loop has taken it up, the thread waits for as long as the loop needs: the loop
 * limits its own share (executor/process). */
#pragma once

#include "executor/db_thread/claimed_run.h"

struct claim_offers;

/* `begin` is called on the loop for an offer that was taken up. */
struct claim_offers *claim_offers_new(void *ctx, void (*begin)(void *arg, struct claimed_run *runs, size_t n),
                                      void *arg);

/* In the database thread: makes an offer through the queue's finished jobs, and returns when it was handled
 * or withdrawn. False: it was refused, because the process is ending. */
bool claim_offers_make(struct claim_offers *offers, struct thread_queue *q, struct claimed_run *runs,
                       size_t n);

/* On the loop: refuses all offers from now on, because nobody takes them up any more. */
void claim_offers_refuse(struct claim_offers *offers);
