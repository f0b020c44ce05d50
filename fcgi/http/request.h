/* One request: what nginx handed over, taken apart strictly. The request is the talloc pool of everything
 * that is made for it, and goes after the answer was sent.
 *
 * Errors of form are answered here (request_read says which): a path or query that cannot be decoded, a body
 * that is too large or ended early. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/ids.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/shared/rate.h"
#include "run/accept.h"
#include "json/json.h"

struct app;
struct route;
struct FCGX_Stream;

enum { SEGMENTS_MAX = 12, QUERY_MAX = 64, PATH_VALUES_MAX = 4 };

struct query_item {
    const char *name, *value; /* decoded */
};

struct request {
    struct app *app;
    char **params; /* of FastCGI: NAME=value */
    const char *method;
    const char *id;                     /* X-Request-Id */
    bool is_api;                        /* the path had one of the prefixes, which is stripped */
    const char *raw_path;               /* as sent, without prefix, query and trailing slash */
    const char *raw_query;              /* as sent, "" where there is none */
    const char *segments[SEGMENTS_MAX]; /* decoded */
    size_t segments_n;
    struct query_item query[QUERY_MAX];
    size_t query_n;
    const char *body;
    size_t body_size;       /* of a streamed one: read so far */
    struct FCGX_Stream *in; /* where the route streams its body */

    const struct route *route;
    const char *path_values[PATH_VALUES_MAX]; /* the {…} segments of the route, in order */
    struct access access;                     /* where the route wants a key */
    struct rate_state rate;
    struct reply reply;

    int64_t began_us;
    uint64_t round_trips; /* of the connection, when the request began */
    id execution_id;      /* for the log */
    int batch;            /* for the log: runs that shared the transaction */
};

/* A request over FastCGI's params (NULL-terminated, kept by pointer), of ctx. Takes method, path and query
 * apart; where that fails the reply is set and *ok_r false. */
struct request *request_new(void *ctx, struct app *app, char **params, bool *ok_r);

/* Reads the whole body, exactly CONTENT_LENGTH bytes, at most `max`; false where it cannot be had: the reply
 * is set. */
bool request_read_body(struct request *r, struct FCGX_Stream *in, size_t max) WARN_UNUSED;

/* The next bytes of a body that is streamed: how many, 0 at its end, -1 where it ended early (the reply is
 * set).
 */
ssize_t request_read_chunk(struct request *r, char *buffer, size_t size) WARN_UNUSED;

/* A FastCGI param by name; NULL where absent. */
const char *request_param(const struct request *r, const char *name);
/* How often a param came, and the last of them: a header sent twice comes twice. */
int request_param_count(const struct request *r, const char *name, const char **value_r);

/* The value of a query parameter; NULL where absent. */
const char *request_query(const struct request *r, const char *name);
/* A whole number within bounds, `preset` where absent; false where it is none: the reply is set. */
bool request_query_int(struct request *r, const char *name, int64_t min, int64_t max, int64_t fallback,
                       int64_t *value_r) WARN_UNUSED;
/* "true" or "false"; false where it is neither: the reply is set. */
bool request_query_bool(struct request *r, const char *name, bool *value_r) WARN_UNUSED;
/* A UUID in the query, unset where absent; false where it is none: the reply is set. */
bool request_query_id(struct request *r, const char *name, id *id_r) WARN_UNUSED;

/* The i-th {…} of the path as a UUID; false where it is none: the reply is 404. */
bool request_path_id(struct request *r, int i, id *id_r) WARN_UNUSED;

/* The body as a JSON object; *object_r NULL where there is no body at all. False where it is something else,
 * or its Content-Type is neither application/json nor, with a key header, curl's default
 * application/x-www-form-urlencoded: the reply is set. */
bool request_json(struct request *r, json_object **object_r) WARN_UNUSED;

/* The Idempotency-Key, bare or as a quoted string, and the fingerprint of this request. Absent key: *key_r.at
 * NULL. False where the header is wrong: the reply is set. */
bool request_idempotency(struct request *r, struct span *key_r, uint8_t fingerprint[32]) WARN_UNUSED;

/* Percent-decoded into `out` (room for the input + 1); `plus` makes + a space. False for a bad escape, a NUL,
 * or what is not UTF-8. Public for the fuzzer. */
bool request_percent_decode(const char *text, size_t size, bool plus_is_space, char *out);
/* The bytes of an Idempotency-Key's header field; false where it is none. `out` has room for the field. */
bool request_parse_idempotency_key(const char *field, char *out, size_t *size_r);
