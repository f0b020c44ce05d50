#define _GNU_SOURCE /* memmem */
#include "stream/internal_request.h"

#include <limits.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct text_slice {
    const char *at;
    size_t size;
};

/* Takes the text up to `stop`, and skips `stop`. False if `stop` does not occur. */
static bool take_until(struct text_slice *remaining, const char *stop, struct text_slice *slice_r)
{
    const char *end = memmem(remaining->at, remaining->size, stop, strlen(stop));
    if (!end)
        return false;
    *slice_r = (struct text_slice){remaining->at, (size_t)(end - remaining->at)};
    size_t gone = slice_r->size + strlen(stop);
    remaining->at += gone;
    remaining->size -= gone;
    return true;
}

static bool slice_is(struct text_slice slice, const char *text)
{
    return slice.size == strlen(text) && memcmp(slice.at, text, slice.size) == 0;
}

/* Returns the value of a query parameter. The API writes only ids and numbers, so nothing is percent-encoded.
 */
static struct text_slice query_value(const char *query, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = query; *p; p += *p == '&') {
        size_t size = strcspn(p, "&");
        if (size > n && p[n] == '=' && strncmp(p, name, n) == 0)
            return (struct text_slice){p + n + 1, size - n - 1};
        p += size;
    }
    return (struct text_slice){0};
}

static bool query_id(const char *query, const char *name, id *id_r)
{
    struct text_slice slice = query_value(query, name);
    return slice.at && id_parse(slice.at, slice.size, id_r);
}

static bool query_number(const char *query, const char *name, int min, int max, int *number_r)
{
    struct text_slice slice = query_value(query, name);
    char *end = NULL;
    long n = slice.at ? strtol(slice.at, &end, 10) : 0;
    *number_r = (int)n;
    return slice.at && slice.size > 0 && end == slice.at + slice.size && n >= min && n <= max;
}

/* 0 or 1, or absent, which is 0. */
static bool query_flag(const char *query, const char *name, int *flag_r)
{
    *flag_r = 0;
    return !query_value(query, name).at || query_number(query, name, 0, 1, flag_r);
}

/* The ids between commas; none if the value is empty. */
static bool parse_responders(struct text_slice list, struct internal_request *request)
{
    while (list.size > 0) {
        const char *comma = memchr(list.at, ',', list.size);
        size_t size = comma ? (size_t)(comma - list.at) : list.size;
        if (request->responders_n == INTERNAL_REQUEST_RESPONDERS_MAX ||
            !id_parse(list.at, size, &request->responders[request->responders_n++]))
            return false;
        size += comma != NULL;
        list.at += size;
        list.size -= size;
    }
    return true;
}

/* Reads at most `max` bytes in hexadecimal into `out`, which is zeroed and has room for one byte more. */
static bool parse_hex(struct text_slice hex, char *out, size_t max)
{
    size_t n;
    return hex.size / 2 <= max && hex.size % 2 == 0 &&
           sodium_hex2bin((unsigned char *)out, max, hex.at, hex.size, NULL, &n, NULL) == 0 &&
           n == hex.size / 2;
}

static bool parse_feed(struct internal_request *request)
{
    struct text_slice after = query_value(request->query, "after");
    char *end = NULL;
    request->kind = INTERNAL_REQUEST_FEED;
    request->feed_after = after.size > 0 ? strtoll(after.at, &end, 10) : -1;
    return end && end == after.at + after.size && request->feed_after >= 0 &&
           query_id(request->query, "key", &request->key) &&
           query_number(request->query, "missed", 0, 1, &request->missed) &&
           query_flag(request->query, "gzip", &request->gzip) &&
           query_flag(request->query, "summary", &request->summary) &&
           query_flag(request->query, "begin", &request->begin) &&
           query_number(request->query, "states", 1, 1 << 10, &request->states) &&
           parse_responders(query_value(request->query, "responders"), request) &&
           parse_hex(query_value(request->query, "tag"), request->tag, INTERNAL_REQUEST_TAG_MAX);
}

/* An id, or nothing. */
static bool query_optional_id(const char *query, const char *name, id *id_r)
{
    struct text_slice slice = query_value(query, name);
    return slice.at && (slice.size == 0 || id_parse(slice.at, slice.size, id_r));
}

static bool parse_executor_log(struct internal_request *request)
{
    const char *query = request->query;
    struct text_slice after = query_value(query, "after");
    request->kind = INTERNAL_REQUEST_EXECUTOR_LOG;
    request->log_from_start = after.at && slice_is(after, "all");
    request->log_has_position = after.at && log_position_parse(after.at, after.size, &request->log_after);
    return after.at && (request->log_from_start || request->log_has_position || slice_is(after, "new")) &&
           query_id(query, "key", &request->key) && query_number(query, "level", 0, 3, &request->level) &&
           query_flag(query, "gzip", &request->gzip) &&
           query_optional_id(query, "of", &request->log_workspace) &&
           query_optional_id(query, "run", &request->log_execution) &&
           parse_hex(query_value(query, "text"), request->log_text, INTERNAL_REQUEST_LOG_TEXT_MAX);
}

static bool parse_call(struct internal_request *request)
{
    const char *query = request->query;
    request->kind = INTERNAL_REQUEST_CALL;
    return query_id(query, "key", &request->key) &&
           query_number(query, "after", 0, 1 << 30, &request->after) &&
           query_number(query, "progress", 0, 1 << 30, &request->progress) &&
           query_number(query, "prime", 0, 1, &request->prime) &&
           query_number(query, "seconds", 1, INTERNAL_REQUEST_CALL_MAX_S, &request->seconds) &&
           parse_hex(query_value(query, "rpc"), request->rpc_id, INTERNAL_REQUEST_RPC_MAX) &&
           *request->rpc_id &&
           parse_hex(query_value(query, "token"), request->token, INTERNAL_REQUEST_RPC_MAX);
}

static bool parse_target(struct text_slice target, struct internal_request *request)
{
    struct text_slice path;
    if (!take_until(&target, "?", &path) || target.size > INTERNAL_REQUEST_QUERY_MAX)
        return false;
    memcpy(request->query, target.at, target.size);
    request->query[target.size] = '\0';
    if (slice_is(path, "/internal/stream/gauges")) {
        request->kind = INTERNAL_REQUEST_GAUGES;
        return target.size == 0;
    }
    bool is_feed = slice_is(path, "/internal/stream/feed");
    bool is_executor_log = slice_is(path, "/internal/stream/executor-log");
    if (!query_id(request->query, "workspace", &request->workspace) ||
        (!is_feed && !is_executor_log && !query_id(request->query, "execution", &request->execution)))
        return false;
    if (!query_number(request->query, "streams", 0, INT_MAX, &request->streams)) {
        if (query_value(request->query, "streams").at)
            return false;
        request->streams = INT_MAX;
    }
    if (is_feed)
        return parse_feed(request);
    if (is_executor_log)
        return parse_executor_log(request);
    if (slice_is(path, "/internal/stream/call"))
        return parse_call(request);
    request->as_log = slice_is(path, "/internal/stream/log");
    if (request->as_log || slice_is(path, "/internal/stream/events")) {
        request->kind = INTERNAL_REQUEST_EVENTS;
        return query_id(request->query, "key", &request->key) &&
               query_number(request->query, "after", 0, 1 << 30, &request->after);
    }
    request->kind = INTERNAL_REQUEST_WAIT;
    return slice_is(path, "/internal/stream/wait") &&
           query_number(request->query, "seconds", 1, INTERNAL_REQUEST_WAIT_MAX_S, &request->seconds);
}

static void parse_header_line(struct text_slice line, struct internal_request *request)
{
    static const char name[] = "X-Request-Id:";
    size_t n = sizeof name - 1;
    if (line.size < n || strncasecmp(line.at, name, n) != 0)
        return;
    for (line.at += n, line.size -= n; line.size > 0 && *line.at == ' '; line.at++)
        line.size--;
    if (line.size <= INTERNAL_REQUEST_ID_MAX) {
        memcpy(request->request_id, line.at, line.size);
        request->request_id[line.size] = '\0';
    }
}

bool internal_request_parse(const char *head, size_t size, struct internal_request *request_r)
{
    struct text_slice remaining = {head, size}, method, target, version, line;
    *request_r = (struct internal_request){0};
    if (memchr(head, '\0', size) || !take_until(&remaining, " ", &method) ||
        !take_until(&remaining, " ", &target) || !take_until(&remaining, "\r\n", &version))
        return false;
    if (!slice_is(method, "GET") || !slice_is(version, "HTTP/1.1") || !parse_target(target, request_r))
        return false;
    while (take_until(&remaining, "\r\n", &line))
        parse_header_line(line, request_r);
    return true;
}
