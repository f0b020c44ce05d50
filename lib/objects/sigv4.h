/* Signature version 4 of Amazon Web Services, in the form that S3 uses: the value of the header Authorization
 * of an HTTP request ("Authenticating Requests: Using the Authorization Header", Amazon S3 API Reference).
 * libcurl 7.88 has CURLOPT_AWS_SIGV4, but it does not sort the parameters of the query, and it cannot sign a
 * request that nginx sends. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    /* "20150830T123600Z", with the NUL */
    SIGV4_DATE_SIZE = 17,
    SIGV4_PAIRS_MAX = 16,
};

struct sigv4_key {
    const char *access_key, *secret, *region;
    /* "s3" */
    const char *service;
};

struct sigv4_pair {
    const char *name, *value;
};

struct sigv4_request {
    const char *method;
    /* not percent-encoded, with the slash at its beginning; it is not normalized, as S3 wants it */
    const char *path;
    /* not percent-encoded, in any order; at most SIGV4_PAIRS_MAX */
    const struct sigv4_pair *query;
    size_t query_n;
    /* those that are signed, in any order: at least Host and X-Amz-Date; at most SIGV4_PAIRS_MAX. The values
     * of those with the same name are joined in their order. */
    const struct sigv4_pair *headers;
    size_t headers_n;
    /* the SHA-256 of the body in hex, or "UNSIGNED-PAYLOAD" */
    const char *payload;
    /* as in X-Amz-Date */
    const char *date;
};

/* The moment (milliseconds since the Unix epoch, UTC) as X-Amz-Date writes it. */
void sigv4_date(int64_t ms, char date_r[SIGV4_DATE_SIZE]);
/* The path and the query, percent-encoded and sorted as they are signed; the request must send them in this
 * form. "" for a query without parameters. Strings of ctx. */
char *sigv4_path(void *ctx, const char *path);
char *sigv4_query(void *ctx, const struct sigv4_pair *query, size_t n);
/* The value of Authorization, a string of ctx: "AWS4-HMAC-SHA256 Credential=…". */
char *sigv4_authorization(void *ctx, const struct sigv4_key *key, const struct sigv4_request *request);
