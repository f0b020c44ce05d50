#define _GNU_SOURCE
#include "runner/warm_protocol.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <talloc.h>

enum {
    /* "error ", the token and a blank, without the trace */
    HEAD_MAX = 6 + WARM_TOKEN_LENGTH + 1,
    LINE_ROOM_FIRST = 4096,
};

/* Appends ";" and the text, in which nothing is left that ends a word or a part of it. */
static void append_part(struct warm_exchange *x, const char *text)
{
    x->trace = talloc_strdup_append_buffer(x->trace, ";");
    for (const char *p = text; *p; p++) {
        bool as_it_is = *p > ' ' && *p < 0x7f && *p != '%' && *p != ';';
        x->trace = talloc_asprintf_append_buffer(x->trace, as_it_is ? "%c" : "%%%02X", (unsigned char)*p);
    }
}

struct warm_exchange *warm_exchange_new(void *ctx, const char *inputs, size_t size,
                                        const struct warm_trace *trace, uint64_t answer_max)
{
    uint64_t random;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return NULL;
    struct warm_exchange *x = talloc_zero(ctx, struct warm_exchange);
    snprintf(x->token, sizeof x->token, "%016llx", (unsigned long long)random);
    x->answer_max = answer_max;
    x->trace = talloc_strdup(x, "");
    if (trace->traceparent)
        append_part(x, trace->traceparent);
    if (trace->traceparent && trace->tracestate)
        append_part(x, trace->tracestate);
    size_t trace_n = strlen(x->trace);
    x->request = talloc_array(x, char, 4 + WARM_TOKEN_LENGTH + trace_n + 1 + size + 1);
    char *at = x->request;
    at = mempcpy(at, "run ", 4);
    at = mempcpy(at, x->token, WARM_TOKEN_LENGTH);
    at = mempcpy(at, x->trace, trace_n);
    *at++ = ' ';
    for (size_t i = 0; i < size; i++) /* within a string JSON allows no line break as it is */
        *at++ = inputs[i] == '\n' || inputs[i] == '\r' ? ' ' : inputs[i];
    *at++ = '\n';
    x->request_bytes = (size_t)(at - x->request);
    return x;
}

static bool skip(const char **at, const char *end, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(end - *at) < n || memcmp(*at, text, n) != 0)
        return false;
    *at += n;
    return true;
}

/* True if the line begins with `word`, the token, with or without its trace, and a blank; *text_r is the
 * rest. */
static bool has_head(const struct warm_exchange *x, const char *word, const char **text_r, size_t *size_r)
{
    const char *at = x->line, *end = x->line + x->line_bytes;
    if (!skip(&at, end, word) || !skip(&at, end, x->token))
        return false;
    skip(&at, end, x->trace);
    if (!skip(&at, end, " "))
        return false;
    *text_r = at;
    *size_r = (size_t)(end - at);
    return true;
}

static enum warm_answer read_answer(const struct warm_exchange *x, const char **text_r, size_t *size_r)
{
    enum warm_answer answer = has_head(x, "ok ", text_r, size_r)      ? WARM_OK
                              : has_head(x, "error ", text_r, size_r) ? WARM_ERROR
                                                                      : WARM_BROKEN;
    if (answer != WARM_BROKEN)
        return *size_r > x->answer_max ? WARM_TOO_LONG : answer;
    *text_r = x->line;
    *size_r = x->line_bytes;
    return WARM_BROKEN;
}

static void append_to_line(struct warm_exchange *x, const char *data, size_t size)
{
    size_t room = talloc_array_length(x->line);
    if (!x->line)
        x->line = talloc_array(x, char, room = LINE_ROOM_FIRST);
    while (room < x->line_bytes + size)
        room *= 2;
    if (room > talloc_array_length(x->line))
        x->line = talloc_realloc(x, x->line, char, room);
    memcpy(x->line + x->line_bytes, data, size);
    x->line_bytes += size;
}

enum warm_answer warm_exchange_feed(struct warm_exchange *x, const char *data, size_t size,
                                    const char **text_r, size_t *size_r)
{
    const char *nl = memchr(data, '\n', size);
    append_to_line(x, data, nl ? (size_t)(nl - data) : size);
    if (!nl)
        return x->line_bytes > x->answer_max + HEAD_MAX + strlen(x->trace) ? WARM_TOO_LONG : WARM_NONE;
    x->extra_output = (size_t)(nl - data) + 1 < size;
    return read_answer(x, text_r, size_r);
}
