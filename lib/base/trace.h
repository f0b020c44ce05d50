/* W3C Trace Context (https://www.w3.org/TR/trace-context/): the headers traceparent and tracestate, what of
 * them is stored with an execution, and the ids of the spans that several processes must agree on.
 * docs/traces.md explains the whole. Pure functions. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"
#include "base/span.h"

enum {
    TRACE_ID_SIZE = 16,
    TRACE_SPAN_SIZE = 8,
    /* bytes of a tracestate; a longer one is dropped */
    TRACE_STATE_MAX = 512,
    TRACE_STATE_MEMBERS_MAX = 32,
    /* with the NUL */
    TRACE_PARENT_TEXT = 56,
    TRACE_ID_TEXT = 2 * TRACE_ID_SIZE + 1,
    /* in trace_context.flags */
    TRACE_SAMPLED = 0x01,
    TRACE_RECORDED = 0x80,
};

/* A place in a trace: 25 bytes without padding, stored as they are. All 0: none. */
struct trace_context {
    uint8_t trace_id[TRACE_ID_SIZE];
    /* The span to which what follows belongs; all 0: none, the trace begins here. */
    uint8_t span_id[TRACE_SPAN_SIZE];
    /* TRACE_SAMPLED: the caller records the trace, or this installation does. TRACE_RECORDED: this
     * installation exports spans of it; never sent. */
    uint8_t flags;
};
enum { TRACE_CONTEXT_SIZE = sizeof(struct trace_context) };

static inline bool trace_is_recorded(const struct trace_context *t)
{
    return (t->flags & TRACE_RECORDED) != 0;
}
bool trace_is_set(const struct trace_context *t);
bool trace_has_span(const struct trace_context *t);

/* Reads a traceparent header. False, and *t_r unset: it is not valid, so that the trace begins here. Versions
 * above 00 may be longer; of them the members of version 00 are read. Flags other than sampled are dropped.
 */
bool trace_parse(const char *text, struct trace_context *t_r);
/* True if the tracestate may be passed on: at most TRACE_STATE_MAX bytes and TRACE_STATE_MEMBERS_MAX members
 * of the form key=value, none of whose keys occurs twice. */
bool trace_state_fits(const char *text, size_t size);
/* Reads a stored context, of TRACE_CONTEXT_SIZE bytes; anything else (NULL included) is none. */
struct trace_context trace_from_bytes(const void *bytes, size_t size);
/* The trace of an execution for which none is stored: that of the root's id. */
struct trace_context trace_of_root(const id *root);

/* The traceparent header of a request that `t` makes. */
void trace_parent_text(const struct trace_context *t, char text_r[TRACE_PARENT_TEXT]);
/* 32 lower-case hexadecimal digits. */
void trace_id_text(const struct trace_context *t, char text_r[TRACE_ID_TEXT]);

/* What a span of an execution is; the numbers are hashed and never change. */
enum trace_span {
    TRACE_SPAN_ACCEPT = 1,
    TRACE_SPAN_RUN = 2,
    TRACE_SPAN_QUEUE = 3,
    TRACE_SPAN_STEP = 4,
    TRACE_SPAN_TRY = 5,
    TRACE_SPAN_MODEL = 6,
    TRACE_SPAN_DELIVERY = 7,
    TRACE_SPAN_COMMAND = 8,
};
struct trace_key {
    enum trace_span span;
    /* what tells spans of one execution apart: step, item, try; 0 otherwise */
    int step, item, try;
};
/* The id of a span of an execution: the same in every process and after every crash. Never 0. */
void trace_span_id(const id *execution, struct trace_key key, uint8_t span_r[TRACE_SPAN_SIZE]);
/* The context of what a span of the execution starts: a request or a child. If nothing is recorded here, the
 * caller's span stays the parent, so that its trace has no gap. */
struct trace_context trace_below(const struct trace_context *t, const id *execution, struct trace_key key);

/* A ratio of 0 to 1, as in "0.01", in millionths. False: the text is none. */
bool trace_parse_ratio(const char *text, uint32_t *millionths_r);
/* True for that share of all executions: the same answer in every process. */
bool trace_ratio_takes(const id *execution, uint32_t millionths);
