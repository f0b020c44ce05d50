/* Sends the rows of the ledger to the destinations of the usage push (lib/push/batch.h): a thread with a
 * connection of its own claims batches and records results; the loop sends the requests, one of each
 * destination at a time. It shares no lock, connection or place with runs, steps and webhooks. */
#pragma once

#include "executor/context/executor.h"
#include "executor/io/http_client.h"

struct push_worker;

/* `client`: settings of its own client. NULL: it cannot be started (logged). */
struct push_worker *push_worker_start(void *ctx, struct executor *exec,
                                      const struct http_client_settings *client);
/* Nothing more is claimed. When the last request in flight has been answered, the executor's on_work_ended is
 * called. NULL-safe. */
void push_worker_end(struct push_worker *w);
/* No request is in flight. NULL-safe. */
bool push_worker_is_idle(const struct push_worker *w);
/* Records the results that there are, ends the thread and cancels the requests in flight; others send their
 * rows again. Before the loop is freed. NULL-safe. */
void push_worker_stop(struct push_worker *w);
