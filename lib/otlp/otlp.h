/* Export of spans to an OpenTelemetry collector: OTLP over HTTP in JSON
 * (https://opentelemetry.io/docs/specs/otlp/). docs/traces.md explains the whole.
 *
 * A span is copied into a bounded queue; a thread of its own, which starts with the first span, sends
 * batches. Adding a span does no I/O and never waits for the collector: what finds the queue full is dropped
 * and counted. Without a configured endpoint there is no exporter (NULL), and every function does nothing. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "base/ids.h"
#include "base/trace.h"

enum {
    /* spans that wait in one process */
    OTLP_QUEUE_MAX = 2048,
    /* spans of one request */
    OTLP_BATCH_MAX = 256,
    /* a batch that is not full is sent after this time */
    OTLP_FLUSH_MS = 1000,
    OTLP_TIMEOUT_MS = 10000,
    /* tries of a batch that the collector does not take for the moment, or that does not reach it */
    OTLP_TRIES = 5,
    /* what is left at the end of a process gets this time */
    OTLP_STOP_MS = 2000,
    /* bytes of a name or a text, with the NUL; longer ones are cut between characters */
    OTLP_TEXT = 65,
    OTLP_ATTRIBUTES = 6,
};

enum otlp_kind { OTLP_INTERNAL = 1, OTLP_SERVER = 2, OTLP_CLIENT = 3, OTLP_PRODUCER = 4 };

struct otlp_attribute {
    /* static */
    const char *key;
    /* empty: the number counts */
    char text[OTLP_TEXT];
    int64_t number;
};
struct otlp_span {
    /* span_id is this span's own */
    struct trace_context trace;
    /* all 0: none */
    uint8_t parent[TRACE_SPAN_SIZE];
    char name[OTLP_TEXT];
    enum otlp_kind kind;
    /* wall time */
    int64_t start_us, end_us;
    bool failed;
    /* of a failure: a word, never what a tenant has sent; "": none */
    char reason[OTLP_TEXT];
    id workspace_id, execution_id;
    struct otlp_attribute attributes[OTLP_ATTRIBUTES];
    int attributes_n;
};
/* Cuts. Names and words only: never inputs, results, URLs or secrets. */
void otlp_set_name(struct otlp_span *span, const char *name);
void otlp_set_reason(struct otlp_span *span, const char *reason);
/* `key` is static. More than OTLP_ATTRIBUTES are left out. */
void otlp_add_text(struct otlp_span *span, const char *key, const char *text);
void otlp_add_number(struct otlp_span *span, const char *key, int64_t number);

/* May stand in memory that processes share. */
struct otlp_counters {
    atomic_uint_fast64_t exported;
    /* the queue was full; the workspace had used its spans of the minute; the collector refused them or could
     * not be reached */
    atomic_uint_fast64_t dropped_full, dropped_limit, dropped_failed;
};

struct otlp;
/* `service` is the service.name (static). `counters` may be NULL. NULL: otlp.endpoint is not set. */
struct otlp *otlp_new(void *ctx, const struct config *config, const char *service,
                      struct otlp_counters *counters);
/* Sends what is left, for at most OTLP_STOP_MS, and frees. */
void otlp_stop(struct otlp *o);

/* Decides whether the execution, a root, is recorded, and marks its context: by otlp.sample_ratio, or because
 * the caller samples it and `caller_may` (a budget) allows that. A caller that does not sample its trace is
 * not recorded. */
bool otlp_decide(const struct otlp *o, const id *execution, bool (*caller_may)(void *arg), void *arg,
                 struct trace_context *t);
/* Thread-safe; copies. A span whose trace is not recorded is ignored. */
void otlp_add(struct otlp *o, const struct otlp_span *span);
const struct otlp_counters *otlp_counters(const struct otlp *o);
/* Spans that wait. */
size_t otlp_queued(struct otlp *o);

/* The request's body, of ctx. */
const char *otlp_request(void *ctx, const char *service, const struct otlp_span *spans, size_t n,
                         size_t *size_r);
