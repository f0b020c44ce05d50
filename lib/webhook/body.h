/* The body of a message: {"type", "timestamp", "data"}. It contains no input, no output and no error text of
 * the run, only ids, names of states, times and credits, so it may be stored and sent without redaction. */
#pragma once

#include "base/ids.h"
#include "outbox/outbox.h"
#include "run/states.h"

struct webhook_message {
    id id, workspace_id, execution_id, webhook_id;
    enum webhook_event event;
    int64_t at_ms;
    /* JSON text of "data"; NULL: the members below, or the webhook's id if there is no run. */
    const char *data;
    size_t data_size;
    /* Of the run. */
    id responder_id, root_id, parent_id;
    enum responder_kind kind;
    enum failure_reason reason;
    int64_t cost, refunded, started_ms, ended_ms;
};

/* JSON text of ctx. */
const char *webhook_body(void *ctx, const struct webhook_message *m, size_t *size_r);
