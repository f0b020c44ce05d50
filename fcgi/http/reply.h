/* The answer to a request, gathered in memory and sent by one write. Handlers end with one of the reply_
 * calls and return its value, the status. All texts are copied or live in the request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "json/json_problems.h"

struct request;
struct FCGX_Stream;

struct reply {
    int status;
    const char *type;
    const char *body;
    size_t size;
    char *headers; /* "Name: value\r\n"… */
    size_t headers_n, headers_capacity;
    bool is_internal; /* not the answer yet */
};

int reply_bytes(struct request *r, int status, const char *type, const char *body, size_t size);
int reply_json(struct request *r, int status, const char *body, size_t size);
int reply_empty(struct request *r, int status);
void reply_header(struct request *r, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

/* Hands the request on to one of nginx's internal locations, which answers it (X-Accel-Redirect): as a GET
 * without a body, and of the headers set here only those that the location passes on. */
int reply_internal(struct request *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* problem+json (RFC 9457). `code` is one of the contract's words, the sentence is for people. */
int reply_problem(struct request *r, int status, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
/* The same with `errors`, one entry a problem. */
int reply_problems(struct request *r, int status, const char *code, const struct json_problems *problems,
                   const char *format, ...) PRINTF_LIKE(5, 6);
/* The same with `execution_id`: the one that stands in the way. */
int reply_problem_with_execution(struct request *r, int status, const char *code, const id *execution,
                                 const char *detail);
/* What core could not do, where nothing more precise is known; Retry-After where repeating may help. */
int reply_err(struct request *r, enum err e);
int reply_not_found(struct request *r);

/* The whole answer as CGI text, of the request: status, headers, body. Adds X-Request-Id, the rate headers,
 * and for a GET its ETag (304 where the client has it). */
const char *reply_render(struct request *r, size_t *size_r);
void reply_send(struct request *r, struct FCGX_Stream *out);
