/* The reply to a request. It is collected in memory and sent by one write. A handler ends with one of the
 * reply_ functions and returns its result, the status. Formatted texts are copied; `type` and `body` are not
 * and must live as long as the request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/ids.h"
#include "json/json_problems.h"

struct request;
struct json_write;
struct FCGX_Stream;

int reply_bytes(struct request *r, int status, const char *type, const char *body, size_t size);
int reply_json(struct request *r, int status, const char *body, size_t size);
int reply_empty(struct request *r, int status);
/* Replies with the JSON that was written to `w`. */
int reply_written(struct request *r, int status, struct json_write *w);
void reply_header(struct request *r, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

/* Lets one of nginx's internal locations answer the request (X-Accel-Redirect). The location receives a GET
 * without a body. Of the headers set here the client gets only those that the location passes on. */
int reply_internal(struct request *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* A text for a reply that may hold what a client sent: cut after PROBLEM_TEXT_MAX octets, and valid UTF-8. */
const char *reply_text(struct request *r, const char *text);

/* Replies with problem+json (RFC 9457). `code` is one of the codes of docs/openapi.yaml, for programs; the
 * formatted sentence is the `detail`, for people. */
int reply_problem(struct request *r, int status, const char *code, const char *format, ...) PRINTF_LIKE(4, 5);
/* The same with `errors`, one entry per problem. */
int reply_problems(struct request *r, int status, const char *code, const struct json_problems *problems,
                   const char *format, ...) PRINTF_LIKE(5, 6);
/* The same with `execution_id`, the execution that the request conflicts with. */
int reply_problem_with_execution(struct request *r, int status, const char *code, const id *execution,
                                 const char *detail);
/* The same with `budget_id`, the budget that refuses, and `reset_at`. An unset id, and a time of 0, are null.
 */
int reply_problem_with_budget(struct request *r, int status, const char *code, const id *budget,
                              int64_t reset_ms, const char *format, ...) PRINTF_LIKE(6, 7);
/* The general reply to a failed library call: 404, 503 with Retry-After, 504 or 500. */
int reply_err(struct request *r, enum err e);
int reply_not_found(struct request *r);
/* Ends a rejected request. A function "rejects the request" by setting a reply or by recording r->problem
 * (request_reject), and returns false; the handler then returns reply_rejected(r). This replies with
 * r->problem unless a reply is set already, and returns the status. */
int reply_rejected(struct request *r);

/* The whole reply as CGI text (status, headers, body), allocated from the request. Adds X-Request-Id, the
 * rate headers and, for a GET, the ETag; the reply becomes 304 if the client has that ETag already. */
const char *reply_render(struct request *r, size_t *size_r);
void reply_send(struct request *r, struct FCGX_Stream *out);
