/* millrace-cli: the API from a shell. What its commands share: settings, requests, streams, output. Needs
 * only the URL of a server and an API key; reads no file of the server. Memory belongs to remote->ctx. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "command/options.h"
#include "command/reference.h"

/* The exit codes: part of the interface, see remote_notes(). */
enum {
    REMOTE_DONE = 0,
    /* the run that was awaited ended as failed or stopped */
    REMOTE_RUN_FAILED = 1,
    REMOTE_USAGE = 2,
    /* the API refused the request (4xx); it may not be repeated unchanged */
    REMOTE_REFUSED = 3,
    /* no answer, or 429 or 5xx, until the end of --retry-seconds; repeating the command is safe with the same
       key */
    REMOTE_UNREACHABLE = 4,
    /* the run had not ended within --timeout; it continues */
    REMOTE_TIMEOUT = 5
};

struct remote {
    void *ctx;
    bool json;
    const char *url, *key;
    const char *config_path;
    /* the value of --retry-seconds, or NULL */
    const char *retry_text;
    int64_t retry_ms;
    const struct command_text *command;
};

/* --- settings --- */

/* Reads URL and key: $MILLRACE_URL and $MILLRACE_API_KEY, else the file of --config, $MILLRACE_CLI_CONFIG or
 * ~/.config/millrace/cli.ini. False after an error message: the command returns REMOTE_USAGE. */
bool remote_configure(struct remote *r) WARN_UNUSED;

/* --- output --- */

int remote_usage(struct remote *r, const char *format, ...) PRINTF_LIKE(2, 3); /* returns REMOTE_USAGE */
/* Prints a message on standard error, as JSON with --json. Returns `code`. */
int remote_fail(struct remote *r, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* --- requests --- */

struct remote_request {
    const char *method;
    /* below /api/v1, percent-encoded, with its query */
    const char *path;
    /* a JSON text, or NULL */
    const char *body;
    /* NULL: none. A POST without a key is not repeated, unless `is_repeatable`. */
    const char *idempotency_key;
    bool is_repeatable;
    /* files to upload as multipart/form-data, all with `media_type` */
    const char *const *files;
    size_t files_n;
    const char *media_type;
};
struct remote_response {
    int status;
    const char *body;
    size_t size;
};
/* Sends a request, and again after a passing error for at most retry_ms. REMOTE_DONE: the status is below
 * 400. Otherwise REMOTE_REFUSED or REMOTE_UNREACHABLE, after a message. */
int remote_call(struct remote *r, const struct remote_request *request, struct remote_response *response_r);

/* Called with each event once; `data` is its JSON. */
typedef void remote_on_event(void *arg, const char *type, const char *data, size_t size);
/* Follows the events of an execution after number `after`, to the last one. A stream that breaks is resumed
 * after the last event that arrived, for as long as events arrive within retry_ms. Returns as remote_call. */
int remote_follow(struct remote *r, const char *execution, int64_t after, remote_on_event *on_event,
                  void *arg);

/* A new idempotency key. */
const char *remote_key(struct remote *r);
/* Appends a percent-encoded path segment, or "?name=value" or "&name=value" to a path; value NULL: nothing.
 */
char *remote_path(struct remote *r, const char *before, const char *segment, const char *after);
char *remote_query(char *path, const char *name, const char *value);

/* --- commands --- */

int remote_run(struct remote *r, int argc, char **argv);
int remote_retry(struct remote *r, int argc, char **argv);
int remote_show(struct remote *r, int argc, char **argv);
int remote_list(struct remote *r, int argc, char **argv);
int remote_errors(struct remote *r, int argc, char **argv);
int remote_stop(struct remote *r, int argc, char **argv);
int remote_signal(struct remote *r, int argc, char **argv);
int remote_logs(struct remote *r, int argc, char **argv);
int remote_events(struct remote *r, int argc, char **argv);
int remote_upload(struct remote *r, int argc, char **argv);

/* Runs the command that the arguments name, and returns its exit code. */
int remote_main(struct remote *r, int argc, char **argv);
