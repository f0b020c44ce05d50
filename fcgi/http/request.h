/* One request, parsed strictly from what nginx sent. The request is the talloc pool of everything that is
 * allocated for it and is freed after the reply was sent.
 *
 * The functions that return bool record in r->problem what is wrong with the request if they return false: a
 * path or query that cannot be decoded, a body that is too large or incomplete, a malformed parameter. They
 * do not reply; the caller ends the request by reply_rejected() (fcgi/http/reply.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ids.h"
#include "base/span.h"
#include "base/trace.h"
#include "fcgi/http/access.h"
#include "fcgi/shared/rate.h"
#include "json/json.h"

struct app;
struct route;
struct FCGX_Stream;

/* The URL of a ticket for a signal: the token follows, which no log may show. */
#define ANSWER_SEGMENT "answer"
#define ANSWER_PATH "/" ANSWER_SEGMENT "/"

enum { SEGMENTS_MAX = 12, QUERY_MAX = 64, PATH_VALUES_MAX = 4 };

struct query_item {
    /* Percent-decoded. */
    const char *name, *value;
};

/* The inputs of a run: where their text begins in the body, and their value, which the parsed body owns. */
struct request_inputs {
    const char *at;
    json_object *value;
};

/* Why a request is rejected, for reply_problem(). */
struct request_problem {
    /* 0: nothing is wrong. */
    int status;
    const char *code, *detail;
};

/* What the reply_ functions (fcgi/http/reply.h) collect. */
struct reply {
    int status;
    const char *type;
    const char *body;
    size_t size;
    /* Lines "Name: value\r\n". */
    char *headers;
    size_t headers_n, headers_capacity;
    /* The reply only redirects nginx to an internal location; the client does not see it. */
    bool is_internal;
};

struct request {
    struct app *app;
    /* FastCGI's parameters, NAME=value. */
    char **params;
    const char *method;
    /* X-Request-Id. */
    const char *id;
    /* The path began with one of the API's prefixes, which is stripped. */
    bool is_api;
    /* As sent, without prefix, query and trailing slash. */
    const char *raw_path;
    /* The same for logs, without a ticket. */
    const char *log_path;
    /* As sent; "" if absent. */
    const char *raw_query;
    /* Percent-decoded. */
    const char *segments[SEGMENTS_MAX];
    size_t segments_n;
    struct query_item query[QUERY_MAX];
    size_t query_n;
    const char *body;
    /* Of a streamed body: octets read so far. */
    size_t body_size;
    /* Set if the route streams the body. */
    struct FCGX_Stream *in;
    /* The connection to nginx; -1: none, as in unit tests. */
    int fd;
    /* Of a streamed body: how long the worker has waited for the client's octets. */
    int64_t body_wait_ms;

    const struct route *route;
    /* The {…} segments of the route, in order. */
    const char *path_values[PATH_VALUES_MAX];
    /* Set if the route requires a key. */
    struct access access;
    struct rate_state rate;
    struct request_problem problem;
    struct reply reply;

    int64_t began_us;
    /* Before that, for a worker; by the wall clock, 0 if it was set back. */
    int64_t waited_ms;
    /* db_round_trips() when the request began. */
    uint64_t round_trips;
    /* log_error_count() when the request began. */
    uint64_t errors_logged;
    /* For the access log. */
    id execution_id;
    /* That of the run that the request starts; unset: that of the root's id. Its headers are gone when it is
     * counted. */
    struct trace_context trace;
    /* The reply is that of an earlier request with the same Idempotency-Key. */
    bool is_replay;
    /* It has wanted a turn of its workspace (slow_try): how long it took says little about the machine. */
    bool took_turn;
    /* Work that the client need not wait for: called when the connection is closed and the request logged.
     * NULL: none. */
    void (*after_reply)(struct request *r);
    /* For the access log: number of runs that were accepted in the same transaction. */
    int batch;
    struct request_inputs inputs;
};

/* Creates a request from FastCGI's parameters (NULL-terminated; the pointer is kept), allocated from ctx, and
 * parses method, path and query. *ok_r is false if that fails. */
struct request *request_new(void *ctx, struct app *app, char **params, bool *ok_r);

/* CONTENT_LENGTH; 0 if there is none, -1 if it is not a number. nginx also sends it for a chunked body that
 * it buffers. */
int64_t request_content_length(const struct request *r);
/* Reads the whole body: exactly CONTENT_LENGTH octets, at most `max`. False if it is larger or incomplete. */
bool request_read_body(struct request *r, struct FCGX_Stream *in, size_t max) WARN_UNUSED;

/* Reads the next octets of a streamed body. Returns their number, 0 at the end, -1 if the body is incomplete
 * or the client sends too slowly: the worker waits for it at most api.upload_grace_s plus the time that the
 * received octets take at api.upload_min_rate, and the whole request takes at most api.upload_max_s. */
ssize_t request_read_chunk(struct request *r, char *buffer, size_t size) WARN_UNUSED;

/* Records why the request is rejected: `code` and the formatted `detail` as in reply_problem(). Returns
 * false. */
bool request_reject(struct request *r, int status, const char *code, const char *format, ...)
    PRINTF_LIKE(4, 5);

/* The trace that the request's headers traceparent and tracestate name; unset if there is none, or more than
 * one, or it is not valid: such headers are ignored. `state_r` is of the request. */
void request_trace(const struct request *r, struct trace_context *trace_r, struct span *state_r);

/* The value of a FastCGI parameter; NULL if absent. */
const char *request_param(const struct request *r, const char *name);
/* The number of FastCGI parameters of that name, and the value of the last one. A header that was sent twice
 * is two parameters. */
int request_param_count(const struct request *r, const char *name, const char **value_r);

/* The body as a form (application/x-www-form-urlencoded): at most `max` names and values, of r. False if it
 * cannot be decoded, or has more. */
bool request_form(struct request *r, struct query_item *items, size_t max, size_t *n_r) WARN_UNUSED;

/* A header that is a list, as one text of r: its lines joined by ", " (base/field.h). NULL if absent. */
const char *request_list(struct request *r, const char *name);
/* The client accepts a response that is compressed by gzip, as the event daemon does with the streams that
 * many may follow: an end of the feed takes some 400 octets and shrinks to a tenth. */
bool request_accepts_gzip(struct request *r);

/* The value of a query parameter; NULL if absent. */
const char *request_query(const struct request *r, const char *name);
/* A whole number from min to max; `fallback` if absent. False if it is something else. */
bool request_query_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t fallback,
                       int64_t *value_r) WARN_UNUSED;
/* "true" or "false"; *value_r is false if the parameter is absent. Returns false if it is something else. */
bool request_query_bool(struct request *r, const char *name, bool *value_r) WARN_UNUSED;
/* A UUID; unset if absent. False if it is something else. */
bool request_query_id(struct request *r, const char *name, id *id_r) WARN_UNUSED;

/* The cursor of a list, which is the id of a row of kind `what`, such as "an execution"; unset if absent.
 * False (400 invalid_cursor) if it is something else. */
bool request_query_cursor(struct request *r, const char *name, const char *what, id *id_r) WARN_UNUSED;

/* The i-th {…} segment of the path as a UUID. False (404) if it is none. */
bool request_path_id(struct request *r, int i, id *id_r) WARN_UNUSED;

/* The Idempotency-Key, bare or as a quoted string, and the fingerprint of this request. If the header is
 * absent, key_r->at is NULL. False if the header is malformed. */
bool request_idempotency(struct request *r, struct span *key_r, uint8_t fingerprint[32]) WARN_UNUSED;

/* SHA-256 of method, path, query and body, by which requests with the same key are compared. */
void request_fingerprint(struct request *r, uint8_t fingerprint[32]);

/* Parses the header field Idempotency-Key into `out`, which has room for the whole field. False if it is
 * malformed. */
bool request_parse_idempotency_key(const char *field, char *out, size_t *size_r);
