/* millrace-cli logs, events, upload. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "command/table.h"
#include "remote/remote.h"
#include "json/json.h"

enum { FILES_MAX = 1000 };

/* --- logs --- */

/* Prints the text of a `log` event, and says where bytes are left out. */
static void print_log_event(void *arg, const char *type, const char *data, size_t size)
{
    struct remote *r = arg;
    void *ctx = talloc_new(r->ctx);
    json_object *event;
    const char *why;
    if (strcmp(type, "log") == 0 &&
        json_parse_tolerant(ctx, data, size, JSON_DEPTH_MAX, &event, &why) == OK) {
        json_object *d = json_get(event, "data");
        struct span text = json_span(json_get(d, "text"));
        fwrite(text.at ? text.at : "", 1, text.size, stdout);
        fflush(stdout);
        long long omitted = json_object_get_int64(json_get(d, "omitted_bytes"));
        if (omitted > 0)
            fprintf(stderr, "\n[%lld bytes are left out here; the stored log has them]\n", omitted);
    }
    talloc_free(ctx);
}

int remote_logs(struct remote *r, int argc, char **argv)
{
    const char *execution;
    bool follow = false;
    const struct cli_option options[] = {{"follow", .flag_r = &follow, .letter = 'f'}, {0}};
    size_t n;
    const char *why = command_parse(r->ctx, argc, argv, options, &execution, 1, 1, &n);
    if (why)
        return remote_usage(r, "%s", why);
    if (!remote_configure(r))
        return REMOTE_USAGE;
    if (follow)
        return remote_follow(r, execution, 0, print_log_event, r);
    struct remote_response answer;
    const struct remote_request request = {.method = "GET",
                                           .path = remote_path(r, "/executions/", execution, "/logs")};
    int code = remote_call(r, &request, &answer);
    if (code == REMOTE_DONE)
        fwrite(answer.body, 1, answer.size, stdout);
    return code;
}

/* --- events --- */

static void print_event(void *arg, const char *type, const char *data, size_t size)
{
    struct remote *r = arg;
    void *ctx = talloc_new(r->ctx);
    json_object *event;
    const char *why;
    (void)type;
    if (r->json)
        printf("%.*s\n", (int)size, data);
    else if (json_parse_tolerant(ctx, data, size, JSON_DEPTH_MAX, &event, &why) == OK) {
        const char *rest = json_text(json_get(event, "data"), NULL);
        printf("%5lld  %s  %-20s %s\n", (long long)json_object_get_int64(json_get(event, "seq")),
               json_get_text(event, "at"), json_get_text(event, "type"),
               strcmp(rest, "{}") == 0 ? "" : printable_text(ctx, rest, strlen(rest)));
    }
    fflush(stdout);
    talloc_free(ctx);
}

int remote_events(struct remote *r, int argc, char **argv)
{
    const char *execution, *since = NULL;
    const struct cli_option options[] = {{"since", .text_r = &since}, {0}};
    size_t n;
    char *end = NULL;
    const char *why = command_parse(r->ctx, argc, argv, options, &execution, 1, 1, &n);
    if (why)
        return remote_usage(r, "%s", why);
    long long after = since ? strtoll(since, &end, 10) : 0;
    if (since && (!*since || *end || after < 0))
        return remote_usage(r, "--since must be the number of an event");
    return remote_configure(r) ? remote_follow(r, execution, after, print_event, r) : REMOTE_USAGE;
}

/* --- upload --- */

int remote_upload(struct remote *r, int argc, char **argv)
{
    const char **files = talloc_array(r->ctx, const char *, FILES_MAX), *type = NULL;
    const struct cli_option options[] = {{"media-type", .text_r = &type}, {0}};
    size_t n;
    const char *why = command_parse(r->ctx, argc, argv, options, files, 1, FILES_MAX, &n);
    if (why)
        return remote_usage(r, "%s", why);
    for (size_t i = 0; i < n; i++) {
        if (access(files[i], R_OK) != 0)
            return remote_usage(r, "cannot read %s", files[i]);
    }
    if (!remote_configure(r))
        return REMOTE_USAGE;
    struct remote_response answer;
    const struct remote_request request = {.method = "POST",
                                           .path = "/files",
                                           .is_repeatable = true,
                                           .files = files,
                                           .files_n = n,
                                           .media_type = type};
    int code = remote_call(r, &request, &answer);
    if (code != REMOTE_DONE)
        return code;
    if (r->json) {
        printf("%.*s\n", (int)answer.size, answer.body);
        return code;
    }
    json_object *names = NULL;
    if (json_parse_tolerant(r->ctx, answer.body, answer.size, JSON_DEPTH_MAX, &names, &why) != OK)
        names = NULL;
    json_object *list = json_get(names, "source_ids");
    for (size_t i = 0; json_object_is_type(list, json_type_array) && i < json_object_array_length(list);
         i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(list, i));
        puts(printable_text(r->ctx, name, strlen(name)));
    }
    return code;
}
