#include "fcgi/http/request.h"

#include <errno.h>
#include <fcgiapp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <talloc.h>

#include "account/idempotency.h"
#include "base/clock.h"
#include "base/field.h"
#include "base/utf8.h"
#include "fcgi/http/app.h"
#include "json/json.h"

enum { POOL_OBJECTS = 100, POOL_SIZE = 24 * 1024 };

static const char *const prefixes[] = {"/api/v1", "/api-proxy/v1", "/v1"};

/* --- params --- */

int request_param_count(const struct request *r, const char *name, const char **value_r)
{
    size_t n = strlen(name);
    int count = 0;
    *value_r = NULL;
    for (char **p = r->params; *p; p++) {
        /* the first character tells most of them apart without a call */
        if (**p == *name && strncmp(*p, name, n) == 0 && (*p)[n] == '=') {
            *value_r = *p + n + 1;
            count++;
        }
    }
    return count;
}

const char *request_param(const struct request *r, const char *name)
{
    const char *value;
    (void)request_param_count(r, name, &value);
    return value;
}

const char *request_list(struct request *r, const char *name)
{
    size_t n = strlen(name);
    char *list = NULL;
    for (char **p = r->params; *p; p++) {
        if (**p != *name || strncmp(*p, name, n) != 0 || (*p)[n] != '=')
            continue;
        const char *line = *p + n + 1;
        list = list ? talloc_asprintf_append_buffer(list, ", %s", line) : talloc_strdup(r, line);
    }
    return list;
}

bool request_accepts_gzip(struct request *r)
{
    const char *p = request_list(r, "HTTP_ACCEPT_ENCODING");
    struct span item;
    while (p && (p = field_next_item(p, &item))) {
        size_t n = strcspn(item.at, ",; \t");
        if (n == 4 && strncasecmp(item.at, "gzip", n) == 0)
            return field_weight(r, item) > 0;
    }
    return false;
}

/* --- decoding --- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes into `out`, which has room for size + 1 octets. False for a malformed escape, a NUL or invalid
 * UTF-8. */
static bool percent_decode(const char *text, size_t size, bool plus_is_space, char *out)
{
    char *o = out;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '%') {
            int high = i + 2 < size ? hex_digit(text[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0')
            return false;
        *o++ = c;
    }
    *o = '\0';
    return utf8_is_valid(out, (size_t)(o - out));
}

static const char *decode_text(struct request *r, const char *text, size_t size, bool plus_is_space)
{
    char *out = talloc_size(r, size + 1);
    return percent_decode(text, size, plus_is_space, out) ? out : NULL;
}

bool request_reject(struct request *r, int status, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    r->problem = (struct request_problem){status, code, talloc_vasprintf(r, format, args)};
    va_end(args);
    return false;
}

/* --- the request line --- */

static const char *strip_prefix(struct request *r, const char *path)
{
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        if (strncmp(path, prefixes[i], n) == 0 && (path[n] == '/' || path[n] == '\0')) {
            r->is_api = true;
            return path + n;
        }
    }
    return path;
}

static bool split_path(struct request *r)
{
    for (const char *p = r->raw_path; *p == '/';) {
        size_t n = strcspn(++p, "/");
        if (r->segments_n == SEGMENTS_MAX)
            return true; /* longer than any route, so it will match none */
        const char *segment = decode_text(r, p, n, false);
        if (!segment)
            return false;
        r->segments[r->segments_n++] = segment;
        p += n;
    }
    return true;
}

/* Splits NAME=VALUE&NAME=VALUE… False if it cannot be decoded, or has more than `max` items. */
static bool split_items(struct request *r, const char *p, struct query_item *items, size_t max, size_t *n_r)
{
    *n_r = 0;
    while (*p) {
        size_t n = strcspn(p, "&");
        size_t name_n = strcspn(p, "=&");
        if (n > 0) {
            const char *name = decode_text(r, p, name_n, true);
            const char *value = name_n < n ? decode_text(r, p + name_n + 1, n - name_n - 1, true) : "";
            if (!name || !value || *n_r == max)
                return false;
            items[(*n_r)++] = (struct query_item){name, value};
        }
        p += n + (p[n] == '&');
    }
    return true;
}

static bool split_query(struct request *r)
{
    return split_items(r, r->raw_query, r->query, QUERY_MAX, &r->query_n);
}

/* What follows the segment "answer" may be a ticket, however the path is encoded, and wherever the segment
 * stands: somebody may have put the prefix of the API or a dot before it. A signal may have this name. */
static const char *path_for_log(const struct request *r)
{
    for (size_t i = 0; i < r->segments_n; i++) {
        bool is_signal = i > 0 && strcmp(r->segments[i - 1], "signals") == 0;
        const char *p = strstr(r->segments[i], ANSWER_SEGMENT);
        for (; p && !is_signal; p = strstr(p + 1, ANSWER_SEGMENT)) {
            char after = p[strlen(ANSWER_SEGMENT)];
            if ((p == r->segments[i] || p[-1] == '/') && (after == '/' || after == '\0'))
                return ANSWER_PATH "-";
        }
    }
    return r->raw_path;
}

struct request *request_new(void *ctx, struct app *app, char **params, bool *ok_r)
{
    /* One block of memory serves nearly all allocations of a request; talloc allocates the rest
     * separately. */
    struct request *r = talloc_pooled_object(ctx, struct request, POOL_OBJECTS, POOL_SIZE);
    *r = (struct request){.app = app, .fd = -1};
    r->params = params;
    r->began_us = clock_boot_us();
    const char *method = request_param(r, "REQUEST_METHOD");
    const char *uri = request_param(r, "REQUEST_URI");
    const char *request_id = request_param(r, "REQUEST_ID");
    /* copied, because they are logged after FastCGI's parameters were freed */
    r->id = talloc_strdup(r, request_id && *request_id ? request_id : id_new().text);
    r->method = talloc_strdup(r, method ? method : "");
    uri = uri ? uri : "";
    size_t path_n = strcspn(uri, "?");
    char *path = talloc_strndup(r, uri, path_n);
    r->raw_query = uri[path_n] == '?' ? uri + path_n + 1 : "";
    if (path_n > 1 && path[path_n - 1] == '/')
        path[path_n - 1] = '\0';
    r->raw_path = strip_prefix(r, path);
    *ok_r = split_path(r);
    r->log_path = path_for_log(r);
    if (!*ok_r)
        request_reject(r, 400, "invalid_request", "The path is not valid percent-encoded UTF-8.");
    else if (!(*ok_r = split_query(r)))
        request_reject(r, 400, "invalid_request",
                       "The query is not valid percent-encoded UTF-8 or has more than %d parameters.",
                       QUERY_MAX);
    return r;
}

/* --- the body --- */

bool request_form(struct request *r, struct query_item *items, size_t max, size_t *n_r)
{
    const char *text = r->body_size > 0 ? talloc_strndup(r, r->body, r->body_size) : "";
    return (strlen(text) == r->body_size && split_items(r, text, items, max, n_r)) ||
           request_reject(r, 400, "invalid_request",
                          "The form is not valid percent-encoded UTF-8, or has more than %zu fields.", max);
}

int64_t request_content_length(const struct request *r)
{
    const char *text = request_param(r, "CONTENT_LENGTH");
    if (!text || !*text)
        return 0;
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    return *end || errno || n < 0 || *text == '+' ? -1 : n;
}

bool request_read_body(struct request *r, struct FCGX_Stream *in, size_t max)
{
    int64_t length = request_content_length(r);
    if (length > (int64_t)max)
        return request_reject(r, 413, "body_too_large", "The body is larger than %zu bytes.", max);
    size_t want = length > 0 ? (size_t)length : 0;
    char *body = talloc_size(r, want + 1);
    size_t got = 0;
    for (int n = 1; got < want && n > 0; got += (size_t)n)
        n = FCGX_GetStr(body + got, (int)(want - got), in);
    char more;
    if (length < 0 || got != want || FCGX_GetStr(&more, 1, in) > 0)
        return request_reject(r, 400, "invalid_request", "The body's size differs from its Content-Length.");
    body[want] = '\0';
    r->body = body;
    r->body_size = want;
    return true;
}

/* How long the worker may still wait for the client; at most 0: no longer. */
static int64_t body_patience_ms(const struct request *r)
{
    const struct config *c = r->app->config;
    int64_t by_rate_ms = c->api.upload_grace_s * 1000 +
                         (int64_t)r->body_size * 1000 / c->api.upload_min_rate - r->body_wait_ms;
    int64_t by_deadline_ms = c->api.upload_max_s * 1000 - (clock_boot_us() - r->began_us) / 1000;
    return by_rate_ms < by_deadline_ms ? by_rate_ms : by_deadline_ms;
}

/* Limits how long the next read from nginx may wait. libfcgi buffers whole records, so poll() on the
 * connection does not show whether octets are available. False: the time is used up; do not wait. */
static bool limit_wait(const struct request *r)
{
    int64_t patience_ms = body_patience_ms(r);
    struct timeval timeout = {.tv_sec = patience_ms / 1000, .tv_usec = patience_ms % 1000 * 1000};
    return patience_ms > 0 &&
           (r->fd < 0 || setsockopt(r->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout) == 0);
}

/* The octets of the current record, at most `size`; if there are none, those of the next record. Unlike
 * FCGX_GetStr it does not wait for `size` octets. 0: the end, or an error. */
static int read_available(struct FCGX_Stream *in, char *buffer, size_t size)
{
    int first = FCGX_GetChar(in);
    if (first < 0)
        return 0;
    buffer[0] = (char)first;
    size_t left = (size_t)(in->stop - in->rdNext);
    return 1 + FCGX_GetStr(buffer + 1, (int)(left < size - 1 ? left : size - 1), in);
}

/* As read_available; -1 if the client sends too slowly. */
static int read_in_time(struct request *r, char *buffer, size_t size)
{
    if (r->in->rdNext == r->in->stop && !limit_wait(r))
        return -1;
    int64_t began_ms = clock_boot_ms();
    int n = read_available(r->in, buffer, size);
    r->body_wait_ms += clock_boot_ms() - began_ms;
    int error = n == 0 ? FCGX_GetError(r->in) : 0;
    return error == EAGAIN || error == EWOULDBLOCK ? -1 : n;
}

ssize_t request_read_chunk(struct request *r, char *buffer, size_t size)
{
    int64_t length = request_content_length(r);
    const char *length_text = request_param(r, "CONTENT_LENGTH");
    int n = r->in ? read_in_time(r, buffer, size) : 0;
    if (n < 0) {
        request_reject(r, 408, "invalid_request", "The body was sent too slowly.");
        return -1;
    }
    if (n > 0) {
        r->body_size += (size_t)n;
        return n;
    }
    /* nginx streams a chunked body without a length; the body ends with the stream */
    if (!length_text || !*length_text || length == (int64_t)r->body_size)
        return 0;
    request_reject(r, 400, "invalid_request", "The body's size differs from its Content-Length.");
    return -1;
}

/* --- query and path values --- */

const char *request_query(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->query_n; i++) {
        if (strcmp(r->query[i].name, name) == 0)
            return r->query[i].value;
    }
    return NULL;
}

bool request_query_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t fallback,
                       int64_t *value_r)
{
    const char *text = request_query(r, name);
    *value_r = fallback;
    if (!text)
        return true;
    size_t n = strlen(text);
    bool digits = n > 0 && n <= 18 && strspn(text, "0123456789") == n;
    int64_t value = digits ? strtoll(text, NULL, 10) : 0;
    if (!digits || value < min || value > max)
        return request_reject(r, 400, "invalid_request", "%s must be a whole number from %lld to %lld.", name,
                              (long long)min, (long long)max);
    *value_r = value;
    return true;
}

bool request_query_bool(struct request *r, const char *name, bool *value_r)
{
    const char *text = request_query(r, name);
    *value_r = text && strcmp(text, "true") == 0;
    if (!text || *value_r || strcmp(text, "false") == 0)
        return true;
    return request_reject(r, 400, "invalid_request", "%s must be true or false.", name);
}

bool request_query_id(struct request *r, const char *name, id *id_r)
{
    const char *text = request_query(r, name);
    *id_r = (id){{0}};
    if (!text || id_parse(text, strlen(text), id_r))
        return true;
    return request_reject(r, 400, "invalid_request", "%s must be a UUID.", name);
}

bool request_query_cursor(struct request *r, const char *name, const char *what, id *id_r)
{
    const char *text = request_query(r, name);
    *id_r = (id){{0}};
    if (!text || id_parse(text, strlen(text), id_r))
        return true;
    return request_reject(r, 400, "invalid_cursor",
                          "%s must be the id of %s: use next_cursor as it was returned.", name, what);
}

bool request_path_id(struct request *r, int i, id *id_r)
{
    if (id_parse(r->path_values[i], strlen(r->path_values[i]), id_r))
        return true;
    return request_reject(r, 404, "not_found",
                          "An id in the path is no UUID. Use ids as they were returned.");
}

/* --- idempotency --- */

bool request_parse_idempotency_key(const char *field, char *out, size_t *size_r)
{
    size_t n = strlen(field);
    while (n > 0 && (field[n - 1] == ' ' || field[n - 1] == '\t'))
        n--;
    size_t size = 0;
    if (n == 0 || field[0] != '"') {
        memcpy(out, field, n);
        size = n;
    } else {
        /* a quoted string (RFC 8941, 3.3.3): printable ASCII; a backslash only before a quote or a
         * backslash */
        size_t i = 1;
        for (; i < n && field[i] != '"'; i++) {
            if (field[i] == '\\' && ++i < n && field[i] != '"' && field[i] != '\\')
                return false;
            if (i >= n || field[i] < 0x20 || field[i] > 0x7e)
                return false;
            out[size++] = field[i];
        }
        if (i + 1 != n)
            return false;
    }
    *size_r = size;
    return size >= 1 && size <= IDEMPOTENCY_KEY_MAX;
}

static void hash_part(crypto_hash_sha256_state *sha, const char *bytes, size_t size)
{
    uint64_t n = size;
    crypto_hash_sha256_update(sha, (const unsigned char *)&n, sizeof n);
    crypto_hash_sha256_update(sha, (const unsigned char *)bytes, size);
}

/* The path as it is compared: decoded, ids in lower case, a slash within a segment encoded. The usual path is
 * equal to raw_path, so that keys stay valid. */
static const char *canonical_path(struct request *r)
{
    char *path = talloc_strdup(r, "");
    for (size_t i = 0; i < r->segments_n; i++) {
        id parsed;
        const char *segment = r->segments[i];
        if (id_parse(segment, strlen(segment), &parsed))
            segment = parsed.text;
        path = talloc_strdup_append_buffer(path, "/");
        for (size_t n; *segment; segment += n) {
            n = strcspn(segment, "/");
            path =
                n ? talloc_strndup_append_buffer(path, segment, n) : talloc_strdup_append_buffer(path, "%2F");
            n += n == 0;
        }
    }
    return path;
}

bool request_idempotency(struct request *r, struct span *key_r, uint8_t fingerprint[32])
{
    const char *field;
    int count = request_param_count(r, "HTTP_IDEMPOTENCY_KEY", &field);
    *key_r = (struct span){0};
    if (count == 0)
        return true;
    char *key = talloc_size(r, strlen(field) + 1);
    size_t size;
    if (count > 1 || !request_parse_idempotency_key(field, key, &size))
        return request_reject(r, 400, "invalid_idempotency_key",
                              "Idempotency-Key must be sent once and have 1 to %d octets.",
                              IDEMPOTENCY_KEY_MAX);
    *key_r = (struct span){key, size};
    request_fingerprint(r, fingerprint);
    return true;
}

void request_fingerprint(struct request *r, uint8_t fingerprint[32])
{
    crypto_hash_sha256_state sha;
    crypto_hash_sha256_init(&sha);
    hash_part(&sha, r->method, strlen(r->method));
    const char *path = canonical_path(r);
    hash_part(&sha, path, strlen(path));
    hash_part(&sha, r->raw_query, strlen(r->raw_query));
    hash_part(&sha, r->body ? r->body : "", r->body_size);
    crypto_hash_sha256_final(&sha, fingerprint);
}

void request_trace(const struct request *r, struct trace_context *trace_r, struct span *state_r)
{
    const char *parent = NULL, *state = NULL;
    *state_r = (struct span){0};
    if (request_param_count(r, "HTTP_TRACEPARENT", &parent) != 1 || !trace_parse(parent, trace_r)) {
        *trace_r = (struct trace_context){0};
        return;
    }
    if (request_param_count(r, "HTTP_TRACESTATE", &state) == 1 && trace_state_fits(state, strlen(state)))
        *state_r = span_text(state);
}
