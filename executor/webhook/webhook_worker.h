/* Sends webhooks (docs/webhooks.md): a thread with a connection of its own makes deliveries out of the
 * outbox, claims due lanes and records results; the loop sends the requests. It shares no lock, connection or
 * place with the claims and steps of runs. */
#pragma once

#include "executor/context/executor.h"
#include "executor/io/http_client.h"

struct webhook_worker;

/* `client`: settings of its own client; the egress policy is that of http steps. `key`: of the secrets.
 * `executor`: this process in the table executors. NULL: it cannot be started (logged). */
struct webhook_worker *webhook_worker_start(void *ctx, struct executor *exec,
                                            const struct http_client_settings *client, const uint8_t *key,
                                            uint64_t executor);
/* Nothing more is claimed. When the last request in flight has been answered, the executor's on_work_ended is
 * called. NULL-safe. */
void webhook_worker_end(struct webhook_worker *w);
/* No request is in flight. NULL-safe. */
bool webhook_worker_is_idle(const struct webhook_worker *w);
/* Records the results that there are, ends the thread and cancels the requests in flight; their deliveries
 * are claimed again by others. Before the loop is freed. NULL-safe. */
void webhook_worker_stop(struct webhook_worker *w);
