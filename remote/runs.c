/* millrace-cli run, retry, show, list, stop, signal. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/text_buffer.h"
#include "command/table.h"
#include "remote/remote.h"
#include "json/json.h"
#include "json/json_raw.h"
#include "json/json_write.h"

enum { WAIT_MAX_S = 60, TIMEOUT_S = 3600, TIMEOUT_MAX_S = 31622400 };

/* What the commands that start a run, or wait for one, have in common. */
struct run_options {
    const char *key, *timeout_text;
    int64_t timeout_s;
    bool wait;
};

/* Parses options and one argument. REMOTE_USAGE after an error message. */
static int parse(struct remote *r, int argc, char **argv, const struct cli_option *options, const char **rest,
                 size_t rest_n)
{
    size_t n;
    const char *why = command_parse(r->ctx, argc, argv, options, rest, rest_n, rest_n, &n);
    if (why)
        return remote_usage(r, "%s", why);
    return remote_configure(r) ? REMOTE_DONE : REMOTE_USAGE;
}

static bool check_run_options(struct remote *r, struct run_options *o)
{
    char *end;
    o->timeout_s = o->timeout_text ? strtoll(o->timeout_text, &end, 10) : TIMEOUT_S;
    if (o->timeout_text && (!*o->timeout_text || *end || o->timeout_s < 1 || o->timeout_s > TIMEOUT_MAX_S)) {
        remote_usage(r, "--timeout must be an integer from 1 to %d", TIMEOUT_MAX_S);
        return false;
    }
    for (const char *p = o->key; p && *p; p++) {
        if ((unsigned char)*p < ' ' || *p == 0x7f) {
            remote_usage(r, "--idempotency-key must not contain control characters");
            return false;
        }
    }
    return true;
}

static json_object *parse_answer(struct remote *r, const struct remote_response *answer)
{
    json_object *o = NULL;
    const char *why;
    return json_parse_tolerant(r->ctx, answer->body, answer->size, JSON_DEPTH_MAX * 4, &o, &why) == OK ? o
                                                                                                       : NULL;
}

static int print_raw(const struct remote_response *answer)
{
    printf("%.*s\n", (int)answer->size, answer->body);
    return REMOTE_DONE;
}

/* --- waiting --- */

static bool is_terminal(const char *state)
{
    return state &&
           (strcmp(state, "succeeded") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "stopped") == 0);
}

static int print_outcome(struct remote *r, const struct remote_response *answer, json_object *execution)
{
    const char *at, *state = json_get_text(execution, "state");
    const char *error = json_get_text(execution, "error"),
               *reason = json_get_text(execution, "failure_reason");
    size_t size;
    bool has_succeeded = strcmp(state, "succeeded") == 0;
    if (r->json)
        print_raw(answer);
    else if (json_raw_member(answer->body, answer->size, "detail", &at, &size) &&
             json_raw_member(at, size, "output", &at, &size) && has_succeeded)
        printf("%.*s\n", (int)size, at); /* the raw bytes, because numbers may be larger than json-c's */
    if (has_succeeded)
        return REMOTE_DONE;
    if (!r->json)
        fprintf(stderr, "execution %s %s%s%s%s%s\n", json_get_text(execution, "id"), state,
                reason ? ": " : "", reason ? reason : "", error ? ": " : "",
                error ? printable_text(r->ctx, error, strlen(error)) : "");
    return REMOTE_RUN_FAILED;
}

static int await_run(struct remote *r, const char *execution, const struct run_options *o, bool steps)
{
    int64_t deadline_ms = clock_boot_ms() + o->timeout_s * 1000;
    for (;;) {
        int64_t left_s = (deadline_ms - clock_boot_ms()) / 1000;
        int64_t wait_s = left_s < 0 ? 0 : left_s > WAIT_MAX_S ? WAIT_MAX_S : left_s;
        char *path = remote_query(remote_path(r, "/executions/", execution, ""), "include_step_results",
                                  steps ? "true" : NULL);
        path = remote_query(path, "wait",
                            wait_s > 0 ? talloc_asprintf(r->ctx, "%lld", (long long)wait_s) : NULL);
        struct remote_response answer;
        int code = remote_call(r, &(struct remote_request){.method = "GET", .path = path}, &answer);
        if (code != REMOTE_DONE)
            return code;
        json_object *o_json = parse_answer(r, &answer);
        if (is_terminal(json_get_text(o_json, "state")))
            return print_outcome(r, &answer, o_json);
        if (left_s <= 0)
            return remote_fail(r, REMOTE_TIMEOUT, "execution %s has not ended within %lld s; it continues",
                               execution, (long long)o->timeout_s);
    }
}

/* Sends the request that starts a run; prints its id, or awaits it. */
static int start_run(struct remote *r, const char *path, const char *body, const struct run_options *o)
{
    struct remote_response answer;
    const struct remote_request request = {
        .method = "POST", .path = path, .body = body, .idempotency_key = o->key ? o->key : remote_key(r)};
    int code = remote_call(r, &request, &answer);
    if (code != REMOTE_DONE)
        return code;
    json_object *started = parse_answer(r, &answer), *data = json_get(started, "data");
    const char *execution = json_get_text(started, "execution_id");
    execution = execution ? execution : json_get_text(data, "id");
    if (!execution)
        return remote_fail(r, REMOTE_UNREACHABLE, "%s does not answer like a Millrace server", r->url);
    if (o->wait) {
        if (!r->json)
            fprintf(stderr, "execution %s\n", execution);
        return await_run(r, execution, o, false);
    }
    return r->json ? print_raw(&answer) : (puts(execution), REMOTE_DONE);
}

/* --- run --- */

/* Returns the JSON that `option` is or whose file it names, `preset` without one; NULL after an error
 * message.
 */
static const char *read_json(struct remote *r, const char *option, const char *text, const char *preset)
{
    struct text_buffer b = {0};
    json_object *value;
    const char *why;
    if (text && *text == '@') {
        FILE *f = strcmp(text, "@-") == 0 ? stdin : fopen(text + 1, "re");
        char piece[4096];
        size_t n;
        while (f && b.size <= JSON_BODY_MAX && (n = fread(piece, 1, sizeof piece, f)) > 0)
            text_buffer_append(r->ctx, &b, piece, n);
        bool is_read = f && !ferror(f);
        if (f && f != stdin)
            fclose(f);
        if (!is_read) {
            remote_usage(r, "cannot read %s: %s", text + 1, strerror(errno));
            return NULL;
        }
    } else if (text) {
        text_buffer_append(r->ctx, &b, text, strlen(text));
    }
    if (b.size > 0 && json_parse(r->ctx, b.text, b.size, JSON_DEPTH_MAX, &value, &why) == ERR_INVALID) {
        remote_usage(r, "--%s is not accepted: %s", option, why);
        return NULL;
    }
    return b.size > 0 ? b.text : preset;
}

static void write_texts(struct json_write *w, const char *name, const struct option_values *v)
{
    if (!v->n)
        return;
    json_write_key(w, name);
    json_write_open(w, '[');
    for (size_t i = 0; i < v->n; i++)
        json_write_bytes(w, v->list[i], strlen(v->list[i]));
    json_write_close(w, ']');
}

int remote_run(struct remote *r, int argc, char **argv)
{
    struct run_options o = {0};
    const char *target, *space = NULL, *inputs = NULL, *model = NULL;
    struct option_values files = {0}, tags = {0};
    const struct cli_option options[] = {{"space", .text_r = &space},
                                         {"inputs", .text_r = &inputs},
                                         {"model", .text_r = &model},
                                         {"file", .values_r = &files},
                                         {"tag", .values_r = &tags},
                                         {"wait", .flag_r = &o.wait},
                                         {"timeout", .text_r = &o.timeout_text},
                                         {"idempotency-key", .text_r = &o.key},
                                         {0}};
    int code = parse(r, argc, argv, options, &target, 1);
    if (code != REMOTE_DONE || !check_run_options(r, &o))
        return REMOTE_USAGE;
    if (space ? tags.n > 0 : files.n > 0 || model != NULL)
        return remote_usage(r, "--file and --model belong to skills (--space), --tag to workflows");
    const char *json = read_json(r, "inputs", inputs, "{}");
    if (!json)
        return REMOTE_USAGE;
    struct json_write *w = json_write_new(r->ctx);
    json_write_open(w, '{');
    json_write_key(w, "inputs");
    json_write_raw(w, json, strlen(json));
    write_texts(w, "tags", &tags);
    write_texts(w, "file_source_ids", &files);
    if (model)
        json_write_text(w, "model", model);
    json_write_close(w, '}');
    const char *path =
        space ? remote_path(r, remote_path(r, "/spaces/", space, "/skills/"), target, "/executions")
              : remote_path(r, "/workflows/", target, "/run-async");
    return start_run(r, path, json_write_result(w, NULL), &o);
}

int remote_retry(struct remote *r, int argc, char **argv)
{
    struct run_options o = {0};
    const char *execution;
    const struct cli_option options[] = {{"wait", .flag_r = &o.wait},
                                         {"timeout", .text_r = &o.timeout_text},
                                         {"idempotency-key", .text_r = &o.key},
                                         {0}};
    int code = parse(r, argc, argv, options, &execution, 1);
    if (code != REMOTE_DONE || !check_run_options(r, &o))
        return REMOTE_USAGE;
    return start_run(r, remote_path(r, "/executions/", execution, "/retry"), NULL, &o);
}

/* --- show, stop --- */

int remote_show(struct remote *r, int argc, char **argv)
{
    struct run_options o = {0};
    const char *execution;
    bool steps = false;
    const struct cli_option options[] = {{"steps", .flag_r = &steps},
                                         {"wait", .flag_r = &o.wait},
                                         {"timeout", .text_r = &o.timeout_text},
                                         {0}};
    int code = parse(r, argc, argv, options, &execution, 1);
    if (code != REMOTE_DONE || !check_run_options(r, &o))
        return REMOTE_USAGE;
    if (o.wait) {
        r->json = true;
        return await_run(r, execution, &o, steps);
    }
    struct remote_response answer;
    char *path = remote_path(r, "/executions/", execution, "");
    path = remote_query(path, "include_step_results", steps ? "true" : NULL);
    code = remote_call(r, &(struct remote_request){.method = "GET", .path = path}, &answer);
    if (code != REMOTE_DONE || r->json)
        return code == REMOTE_DONE ? print_raw(&answer) : code;
    table_print_object(r->ctx, parse_answer(r, &answer), terminal_columns());
    return REMOTE_DONE;
}

int remote_stop(struct remote *r, int argc, char **argv)
{
    struct run_options o = {0};
    const char *execution;
    const struct cli_option options[] = {{"idempotency-key", .text_r = &o.key}, {0}};
    int code = parse(r, argc, argv, options, &execution, 1);
    if (code != REMOTE_DONE || !check_run_options(r, &o))
        return REMOTE_USAGE;
    struct remote_response answer;
    const struct remote_request request = {.method = "POST",
                                           .path = remote_path(r, "/executions/", execution, "/stop"),
                                           .idempotency_key = o.key ? o.key : remote_key(r)};
    code = remote_call(r, &request, &answer);
    if (code == REMOTE_DONE)
        return r->json ? print_raw(&answer) : (puts("stopped"), REMOTE_DONE);
    return code;
}

/* --- list --- */

static void copy_member(json_object *to, const char *name, json_object *from, const char *member)
{
    json_object_object_add(to, name, json_object_get(json_get(from, member)));
}

static int print_list(struct remote *r, const struct remote_response *answer)
{
    json_object *page = parse_answer(r, answer), *list = json_get(page, "executions");
    json_object *rows = json_own(r->ctx, json_object_new_array());
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
         i++) {
        json_object *e = json_object_array_get_idx(list, i), *row = json_object_new_object();
        copy_member(row, "id", e, "id");
        copy_member(row, "state", e, "state");
        copy_member(row, "name", e, "workflow_name");
        copy_member(row, "created_at", e, "created_at");
        copy_member(row, "ended_at", e, "completed_at");
        copy_member(row, "credits", e, "creditsUsed");
        copy_member(row, "error", e, "error");
        json_object_array_add(rows, row);
    }
    table_print(r->ctx, rows, terminal_columns());
    const char *next = json_get_text(page, "next_cursor");
    if (next && json_object_get_boolean(json_get(page, "has_more")))
        fprintf(stderr, "more: --after %s\n", next);
    return REMOTE_DONE;
}

int remote_list(struct remote *r, int argc, char **argv)
{
    const char *workflow = NULL, *state = NULL, *tag = NULL, *parent = NULL, *error = NULL,
               *error_hash = NULL, *limit = "20", *limit_text = NULL, *after = NULL;
    const struct cli_option options[] = {
        {"workflow", .text_r = &workflow}, {"state", .text_r = &state}, {"tag", .text_r = &tag},
        {"parent", .text_r = &parent},     {"error", .text_r = &error}, {"error-hash", .text_r = &error_hash},
        {"limit", .text_r = &limit_text},  {"after", .text_r = &after}, {0}};
    struct remote_response answer;
    int code = parse(r, argc, argv, options, NULL, 0);
    if (code != REMOTE_DONE)
        return code;
    char *path = remote_query(talloc_strdup(r->ctx, "/executions"), "limit", limit_text ? limit_text : limit);
    path = remote_query(path, "workflow_id", workflow);
    path = remote_query(path, "state", state);
    path = remote_query(path, "tag", tag);
    path = remote_query(path, "error", error);
    path = remote_query(path, "error_hash", error_hash);
    path = remote_query(path, "parentId", parent);
    path = remote_query(path, "after", after);
    code = remote_call(r, &(struct remote_request){.method = "GET", .path = path}, &answer);
    if (code != REMOTE_DONE)
        return code;
    return r->json ? print_raw(&answer) : print_list(r, &answer);
}

/* --- errors --- */

static int print_errors(struct remote *r, const struct remote_response *answer)
{
    json_object *page = parse_answer(r, answer), *list = json_get(page, "groups");
    json_object *rows = json_own(r->ctx, json_object_new_array());
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
         i++) {
        json_object *g = json_object_array_get_idx(list, i), *row = json_object_new_object();
        copy_member(row, "count", g, "count");
        copy_member(row, "reason", g, "reason");
        copy_member(row, "step", g, "step");
        copy_member(row, "error", g, "error");
        copy_member(row, "last_at", g, "last_at");
        copy_member(row, "execution", g, "execution_id");
        copy_member(row, "hash", g, "hash");
        json_object_array_add(rows, row);
    }
    table_print(r->ctx, rows, terminal_columns());
    return REMOTE_DONE;
}

int remote_errors(struct remote *r, int argc, char **argv)
{
    const char *limit = NULL;
    const struct cli_option options[] = {{"limit", .text_r = &limit}, {0}};
    struct remote_response answer;
    int code = parse(r, argc, argv, options, NULL, 0);
    if (code != REMOTE_DONE)
        return code;
    const char *path =
        remote_query(talloc_strdup(r->ctx, "/executions/errors"), "limit", limit ? limit : "20");
    code = remote_call(r, &(struct remote_request){.method = "GET", .path = path}, &answer);
    if (code != REMOTE_DONE)
        return code;
    return r->json ? print_raw(&answer) : print_errors(r, &answer);
}

/* --- signal --- */

struct signal_options {
    const char *data, *question, *recipient, *expires;
    struct option_values choices;
    bool ticket;
};

/* The body that asks for a ticket. NULL after an error message. */
static const char *ticket_body(struct remote *r, const struct signal_options *o)
{
    char *end;
    struct json_write *w = json_write_new(r->ctx);
    long long seconds = o->expires ? strtoll(o->expires, &end, 10) : 0;
    if (o->expires && (!*o->expires || *end)) {
        remote_usage(r, "--expires must be a whole number of seconds");
        return NULL;
    }
    json_write_open(w, '{');
    if (o->expires)
        json_write_int(w, "expires_seconds", seconds);
    if (o->question)
        json_write_text(w, "question", o->question);
    if (o->recipient)
        json_write_text(w, "recipient", o->recipient);
    write_texts(w, "choices", &o->choices);
    json_write_close(w, '}');
    return json_write_result(w, NULL);
}

/* `member`: what is printed of the answer, unless all of it is. */
static int send_signal(struct remote *r, const struct remote_request *request, const char *member)
{
    struct remote_response answer;
    int code = remote_call(r, request, &answer);
    if (code != REMOTE_DONE)
        return code;
    const char *text = json_get_text(parse_answer(r, &answer), member);
    if (!text)
        return remote_fail(r, REMOTE_UNREACHABLE, "%s does not answer like a Millrace server", r->url);
    return r->json ? print_raw(&answer) : (puts(text), REMOTE_DONE);
}

int remote_signal(struct remote *r, int argc, char **argv)
{
    struct run_options run = {0};
    struct signal_options o = {0};
    const char *rest[2];
    const struct cli_option options[] = {{"data", .text_r = &o.data},
                                         {"ticket", .flag_r = &o.ticket},
                                         {"question", .text_r = &o.question},
                                         {"choice", .values_r = &o.choices},
                                         {"recipient", .text_r = &o.recipient},
                                         {"expires", .text_r = &o.expires},
                                         {"idempotency-key", .text_r = &run.key},
                                         {0}};
    if (parse(r, argc, argv, options, rest, 2) != REMOTE_DONE || !check_run_options(r, &run))
        return REMOTE_USAGE;
    if (o.ticket ? o.data || run.key : o.question || o.recipient || o.expires || o.choices.n > 0)
        return remote_usage(
            r, o.ticket ? "--data and --idempotency-key are for a signal, not for a ticket"
                        : "--question, --choice, --recipient and --expires are for a ticket: add --ticket");
    const char *body = o.ticket ? ticket_body(r, &o) : read_json(r, "data", o.data, "null");
    if (!body)
        return REMOTE_USAGE;
    char *path = remote_path(r, "/executions/", rest[0], "/signals/");
    path = remote_path(r, path, rest[1], o.ticket ? "/ticket" : "");
    const struct remote_request request = {
        .method = "POST",
        .path = path,
        .body = body,
        .idempotency_key = o.ticket  ? NULL
                           : run.key ? run.key
                                     : remote_key(r),
        .is_repeatable = o.ticket, /* a ticket whose URL was lost is of no use to anybody */
    };
    return send_signal(r, &request, o.ticket ? "url" : "state");
}
