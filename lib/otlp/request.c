/* The body of an export: ExportTraceServiceRequest in OTLP's JSON, whose ids are hexadecimal and whose 64-bit
 * numbers are strings. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "otlp/otlp.h"
#include "json/json_write.h"

enum { STATUS_ERROR = 2 };

/* Copies as many whole UTF-8 characters as fit. */
static void copy_text(char *to, const char *text)
{
    size_t n = strnlen(text ? text : "", OTLP_TEXT);
    if (n == OTLP_TEXT) {
        n--;
        while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    if (n > 0)
        memcpy(to, text, n);
    to[n] = '\0';
}

void otlp_set_name(struct otlp_span *span, const char *name)
{
    copy_text(span->name, name);
}

void otlp_set_reason(struct otlp_span *span, const char *reason)
{
    copy_text(span->reason, reason);
}

void otlp_add_text(struct otlp_span *span, const char *key, const char *text)
{
    if (span->attributes_n == OTLP_ATTRIBUTES || !text || !*text)
        return;
    span->attributes[span->attributes_n].key = key;
    copy_text(span->attributes[span->attributes_n++].text, text);
}

void otlp_add_number(struct otlp_span *span, const char *key, int64_t number)
{
    if (span->attributes_n < OTLP_ATTRIBUTES)
        span->attributes[span->attributes_n++] = (struct otlp_attribute){.key = key, .number = number};
}

static void write_attribute(struct json_write *w, const char *key, const char *text, int64_t number)
{
    char digits[24];
    json_write_open(w, '{');
    json_write_text(w, "key", key);
    json_write_key(w, "value");
    json_write_open(w, '{');
    if (text) {
        json_write_text(w, "stringValue", text);
    } else {
        snprintf(digits, sizeof digits, "%" PRId64, number);
        json_write_text(w, "intValue", digits);
    }
    json_write_close(w, '}');
    json_write_close(w, '}');
}

static void write_hex(struct json_write *w, const char *key, const uint8_t *bytes, size_t size)
{
    char text[TRACE_ID_TEXT];
    for (size_t i = 0; i < size; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    json_write_text(w, key, text);
}

static void write_time(struct json_write *w, const char *key, int64_t us)
{
    char text[32];
    snprintf(text, sizeof text, "%" PRId64 "000", us > 0 ? us : 0);
    json_write_text(w, key, text);
}

static void write_span(struct json_write *w, const struct otlp_span *s)
{
    static const uint8_t no_parent[TRACE_SPAN_SIZE];
    json_write_open(w, '{');
    write_hex(w, "traceId", s->trace.trace_id, TRACE_ID_SIZE);
    write_hex(w, "spanId", s->trace.span_id, TRACE_SPAN_SIZE);
    if (memcmp(s->parent, no_parent, sizeof no_parent) != 0)
        write_hex(w, "parentSpanId", s->parent, TRACE_SPAN_SIZE);
    json_write_text(w, "name", s->name);
    json_write_int(w, "kind", s->kind);
    write_time(w, "startTimeUnixNano", s->start_us);
    /* the two may have been read on hosts whose clocks differ */
    write_time(w, "endTimeUnixNano", s->end_us > s->start_us ? s->end_us : s->start_us);
    json_write_key(w, "attributes");
    json_write_open(w, '[');
    write_attribute(w, "millrace.workspace_id", s->workspace_id.text, 0);
    write_attribute(w, "millrace.execution_id", s->execution_id.text, 0);
    for (int i = 0; i < s->attributes_n; i++)
        write_attribute(w, s->attributes[i].key, *s->attributes[i].text ? s->attributes[i].text : NULL,
                        s->attributes[i].number);
    json_write_close(w, ']');
    if (s->failed) {
        json_write_key(w, "status");
        json_write_open(w, '{');
        json_write_int(w, "code", STATUS_ERROR);
        json_write_text(w, "message", s->reason);
        json_write_close(w, '}');
    }
    json_write_close(w, '}');
}

static void write_resource(struct json_write *w, const char *service)
{
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    json_write_key(w, "resource");
    json_write_open(w, '{');
    json_write_key(w, "attributes");
    json_write_open(w, '[');
    write_attribute(w, "service.name", service, 0);
    write_attribute(w, "host.name", host, 0);
    write_attribute(w, "process.pid", NULL, getpid());
    json_write_close(w, ']');
    json_write_close(w, '}');
}

const char *otlp_request(void *ctx, const char *service, const struct otlp_span *spans, size_t n,
                         size_t *size_r)
{
    struct json_write *w = json_write_new(ctx);
    json_write_open(w, '{');
    json_write_key(w, "resourceSpans");
    json_write_open(w, '[');
    json_write_open(w, '{');
    write_resource(w, service);
    json_write_key(w, "scopeSpans");
    json_write_open(w, '[');
    json_write_open(w, '{');
    json_write_key(w, "scope");
    json_write_open(w, '{');
    json_write_text(w, "name", "millrace");
    json_write_close(w, '}');
    json_write_key(w, "spans");
    json_write_open(w, '[');
    for (size_t i = 0; i < n; i++)
        write_span(w, &spans[i]);
    json_write_close(w, ']');
    json_write_close(w, '}');
    json_write_close(w, ']');
    json_write_close(w, '}');
    json_write_close(w, ']');
    json_write_close(w, '}');
    return json_write_result(w, size_r);
}
