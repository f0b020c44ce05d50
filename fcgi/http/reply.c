#define _GNU_SOURCE /* mempcpy */
#include "fcgi/http/reply.h"

#include <fcgiapp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/decimal.h"
#include "base/field.h"
#include "base/utf8.h"
#include "fcgi/http/request.h"
#include "fcgi/http/route.h"
#include "json/json_write.h"

/* Octets that the headers of an ordinary reply take; octets of a text in a problem document. */
enum { HEADERS_MIN = 512, PROBLEM_TEXT_MAX = 1024 };

static const struct {
    int status;
    const char *text;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

static const char *reason_phrase(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (reasons[i].status == status)
            return reasons[i].text;
    }
    return "Error";
}

/* Makes room for `more` bytes and a NUL after the headers and returns that place. */
static char *reserve_headers(struct request *r, size_t more)
{
    struct reply *reply = &r->reply;
    if (reply->headers_capacity - reply->headers_n <= more) {
        reply->headers_capacity = reply->headers_capacity * 2 + more + HEADERS_MIN;
        reply->headers = talloc_realloc_size(r, reply->headers, reply->headers_capacity);
    }
    return reply->headers + reply->headers_n;
}

static void append_text(struct request *r, const char *text)
{
    size_t n = strlen(text);
    memcpy(reserve_headers(r, n), text, n + 1);
    r->reply.headers_n += n;
}

static void PRINTF_LIKE(2, 0) append_format(struct request *r, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    char *at = reserve_headers(r, HEADERS_MIN);
    size_t room = r->reply.headers_capacity - r->reply.headers_n;
    size_t n = (size_t)vsnprintf(at, room, format, args);
    if (n >= room)
        vsnprintf(reserve_headers(r, n), n + 1, format, again);
    r->reply.headers_n += n;
    va_end(again);
}

/* A header without formatting, which would cost too much for the headers that every reply has. */
static void append_header(struct request *r, const char *name, const char *value)
{
    append_text(r, name);
    append_text(r, ": ");
    append_text(r, value);
    append_text(r, "\r\n");
}

void reply_header(struct request *r, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    append_text(r, name);
    append_text(r, ": ");
    append_format(r, format, args);
    append_text(r, "\r\n");
    va_end(args);
}

static void append_number(struct request *r, const char *before, int64_t number)
{
    char text[DECIMAL_SIZE];
    decimal_text(number, text);
    append_text(r, before);
    append_text(r, text);
}

int reply_bytes(struct request *r, int status, const char *type, const char *body, size_t size)
{
    r->reply.status = status;
    r->reply.type = type;
    r->reply.body = body;
    r->reply.size = size;
    return status;
}

int reply_json(struct request *r, int status, const char *body, size_t size)
{
    return reply_bytes(r, status, "application/json", body, size);
}

int reply_written(struct request *r, int status, struct json_write *w)
{
    size_t size;
    const char *body = json_write_result(w, &size);
    return reply_json(r, status, body, size);
}

int reply_empty(struct request *r, int status)
{
    return reply_bytes(r, status, NULL, "", 0);
}

int reply_internal(struct request *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reply_header(r, "X-Accel-Redirect", "%s", talloc_vasprintf(r, format, args));
    va_end(args);
    r->reply.is_internal = true;
    return reply_empty(r, 200);
}

/* It is cut after a character, and octets that are not UTF-8 are replaced. */
const char *reply_text(struct request *r, const char *text)
{
    static const char ellipsis[] = "\u2026";
    size_t size = strlen(text);
    if (size <= PROBLEM_TEXT_MAX && utf8_is_valid(text, size))
        return text;
    bool whole = size <= PROBLEM_TEXT_MAX;
    size_t n = whole ? size : utf8_cut(text, size, PROBLEM_TEXT_MAX - (sizeof ellipsis - 1));
    char *out = talloc_size(r, 3 * n + sizeof ellipsis);
    size_t out_n = utf8_sanitize(out, text, n, false);
    memcpy(out + out_n, whole ? "" : ellipsis, whole ? 1 : sizeof ellipsis);
    return out;
}

static void write_errors(struct request *r, struct json_write *w, const struct json_problems *p)
{
    json_write_key(w, "errors");
    json_write_open(w, '[');
    for (size_t i = 0; i < p->count; i++) {
        json_write_open(w, '{');
        json_write_text(w, "pointer", reply_text(r, p->list[i].pointer));
        json_write_text(w, "message", reply_text(r, p->list[i].message));
        json_write_close(w, '}');
    }
    json_write_close(w, ']');
}

/* The body without its end. */
static struct json_write *begin_problem(struct request *r, int status, const char *code, const char *detail)
{
    struct json_write *w = json_write_new(r);
    detail = reply_text(r, detail);
    json_write_open(w, '{');
    json_write_text(w, "type", "about:blank");
    json_write_text(w, "title", reason_phrase(status));
    json_write_int(w, "status", status);
    json_write_text(w, "detail", detail);
    json_write_text(w, "error", detail);
    json_write_text(w, "code", code);
    return w;
}

static int end_problem(struct request *r, int status, struct json_write *w)
{
    size_t size;
    json_write_text(w, "request_id", r->id);
    json_write_close(w, '}');
    const char *body = json_write_result(w, &size);
    return reply_bytes(r, status, "application/problem+json", body, size);
}

static int reply_problem_body(struct request *r, int status, const char *code,
                              const struct json_problems *problems, const id *execution, const char *detail)
{
    struct json_write *w = begin_problem(r, status, code, detail);
    if (problems)
        write_errors(r, w, problems);
    if (execution)
        json_write_id(w, "execution_id", execution);
    return end_problem(r, status, w);
}

int reply_problem(struct request *r, int status, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *detail = talloc_vasprintf(r, format, args);
    va_end(args);
    return reply_problem_body(r, status, code, NULL, NULL, detail);
}

int reply_problems(struct request *r, int status, const char *code, const struct json_problems *problems,
                   const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *detail = talloc_vasprintf(r, format, args);
    va_end(args);
    return reply_problem_body(r, status, code, problems, NULL, detail);
}

int reply_problem_with_execution(struct request *r, int status, const char *code, const id *execution,
                                 const char *detail)
{
    return reply_problem_body(r, status, code, NULL, execution, detail);
}

int reply_problem_with_budget(struct request *r, int status, const char *code, const id *budget,
                              int64_t reset_ms, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *detail = talloc_vasprintf(r, format, args);
    va_end(args);
    struct json_write *w = begin_problem(r, status, code, detail);
    json_write_id(w, "budget_id", budget);
    json_write_time(w, "reset_at", reset_ms, false);
    return end_problem(r, status, w);
}

int reply_not_found(struct request *r)
{
    return reply_problem(
        r, 404, "not_found",
        "There is nothing with this id or name that this key may see. Check the id, and that "
        "the key belongs to its workspace.");
}

int reply_rejected(struct request *r)
{
    const struct request_problem *p = &r->problem;
    if (r->reply.status == 0 && p->status != 0)
        return reply_problem(r, p->status, p->code, "%s", p->detail);
    return r->reply.status;
}

int reply_err(struct request *r, enum err e)
{
    switch (e) {
    case ERR_NOT_FOUND:
        return reply_not_found(r);
    case ERR_UNAVAILABLE:
    case ERR_RETRY:
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 503, "unavailable",
                             "The service is unavailable; nothing was done. Try again.");
    case ERR_FROZEN:
        reply_header(r, "Retry-After", "5");
        return reply_problem(
            r, 503, "unavailable",
            "The workspace is being moved to another cell, or was moved there; nothing was done. Try again.");
    case ERR_UNCERTAIN:
        return reply_problem(
            r, 504, "outcome_unknown",
            "The outcome is unknown: the request may have been carried out. Repeat it with the same "
            "Idempotency-Key.");
    default:
        if (r->problem.status == 500) /* the function that failed has told what it was */
            return reply_rejected(r);
        return reply_problem(r, 500, "internal", "Internal error.");
    }
}

/* --- sending --- */

static void add_rate_headers(struct request *r)
{
    const struct rate_state *s = &r->rate;
    if (s->verdict == RATE_UNKNOWN)
        return;
    append_number(r, "X-RateLimit-Limit: ", s->limit);
    append_number(r, "\r\nX-RateLimit-Remaining: ", s->remaining);
    append_number(r, "\r\nX-RateLimit-Reset: ", s->reset_s);
    append_number(r, "\r\nRateLimit-Policy: \"default\";q=", s->limit);
    append_number(r, ";w=", RATE_WINDOW_S);
    append_number(r, "\r\nRateLimit: \"default\";r=", s->remaining);
    append_number(r, ";t=", s->reset_s);
    append_text(r, "\r\n");
}

/* True if `list` (If-None-Match) contains `etag`, by weak comparison (RFC 9110, 13.1.2). */
static bool etag_listed(const char *list, const char *etag)
{
    struct span item;
    for (const char *p = list; (p = field_next_item(p, &item));) {
        bool weak = item.size > 2 && memcmp(item.at, "W/", 2) == 0;
        struct span tag = {item.at + 2 * weak, item.size - 2 * (size_t)weak};
        if (span_is(tag, etag) || span_is(item, "*"))
            return true;
    }
    return false;
}

static bool is_get(const struct request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

static bool is_resource(const struct request *r)
{
    return r->is_api || (r->route && (r->route->flags & ROUTE_RESUMED));
}

static void add_etag(struct request *r)
{
    static const unsigned char no_key[crypto_shorthash_siphashx24_KEYBYTES];
    unsigned char hash[crypto_shorthash_siphashx24_BYTES];
    char etag[2 * sizeof hash + 3] = "\"";
    if (!is_get(r) || r->reply.status != 200 || r->reply.is_internal || !is_resource(r))
        return;
    /* 128 bits without a secret exclude accidental collisions. Nobody gains from a deliberate one: it makes
     * only one's own reply look unchanged. */
    crypto_shorthash_siphashx24(hash, (const unsigned char *)r->reply.body, r->reply.size, no_key);
    sodium_bin2hex(etag + 1, sizeof etag - 1, hash, sizeof hash);
    etag[sizeof etag - 2] = '"';
    const char *known = request_list(r, "HTTP_IF_NONE_MATCH");
    if (known && etag_listed(known, etag))
        reply_empty(r, 304);
    append_header(r, "ETag", etag);
    append_header(r, "Cache-Control", "private, no-cache");
}

static size_t status_line(int status, char out[64])
{
    char *end = stpcpy(out, "Status: ");
    end += decimal_text(status, end);
    *end++ = ' ';
    end = stpcpy(stpcpy(end, reason_phrase(status)), "\r\n");
    return (size_t)(end - out);
}

const char *reply_render(struct request *r, size_t *size_r)
{
    add_etag(r);
    add_rate_headers(r);
    append_header(r, "X-Request-Id", r->id);
    struct reply *reply = &r->reply;
    if (reply->type)
        append_header(r, "Content-Type", reply->type);
    if (reply->status != 204 && reply->status != 304) {
        append_number(r, "Content-Length: ", (int64_t)reply->size);
        append_text(r, "\r\n");
    }
    append_text(r, "\r\n");
    char line[64];
    size_t line_n = status_line(reply->status, line);
    *size_r = line_n + reply->headers_n + reply->size;
    char *out = talloc_size(r, *size_r + 1);
    char *end = mempcpy(mempcpy(out, line, line_n), reply->headers, reply->headers_n);
    end = mempcpy(end, reply->body, reply->size);
    *end = '\0';
    return out;
}

void reply_send(struct request *r, struct FCGX_Stream *out)
{
    size_t size;
    const char *text = reply_render(r, &size);
    FCGX_PutStr(text, (int)size, out);
}
