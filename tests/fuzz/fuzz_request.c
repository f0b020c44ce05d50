/* Fuzzes requests as nginx may send them. Input: the first line is a method and a URI, the following lines
 * are FastCGI parameters, then come an empty line and the body. Nothing may be read beyond the input, decoded
 * texts are UTF-8 without NUL, and each rejected request has a problem document. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/server/routes.h"
#include "json/json.h"
#include "json/json_raw.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { PARAMS_MAX = 20 };

static void need(bool held)
{
    if (!held)
        abort();
}

/* Splits the head of the input into parameters and returns the body. */
static char *split(void *ctx, char *text, char **params)
{
    char *uri = text + strcspn(text, " \n");
    char *line = uri + strcspn(uri, "\n");
    char *next = *line ? line + 1 : line;
    size_t n = 2;
    *line = '\0';
    params[0] = talloc_asprintf(ctx, "REQUEST_METHOD=%.*s", (int)(uri - text), text);
    params[1] = talloc_asprintf(ctx, "REQUEST_URI=%s", *uri ? uri + 1 : uri);
    while (*next && *next != '\n') {
        line = next;
        next += strcspn(next, "\n");
        if (*next)
            *next++ = '\0';
        if (n < PARAMS_MAX - 1)
            params[n++] = line;
    }
    params[n] = NULL;
    return *next ? next + 1 : next;
}

static void try_values(struct request *r)
{
    int64_t number;
    bool flag;
    id i;
    for (size_t k = 0; k < r->query_n; k++) {
        need(utf8_is_valid(r->query[k].name, strlen(r->query[k].name)));
        need(utf8_is_valid(r->query[k].value, strlen(r->query[k].value)));
        if (request_query_int(r, r->query[k].name, 1, 100, 20, &number))
            need(number >= 1 && number <= 100);
        (void)!request_query_bool(r, r->query[k].name, &flag);
        if (request_query_id(r, r->query[k].name, &i))
            need(!id_is_set(&i) || strlen(i.text) == ID_LENGTH);
    }
}

static void try_body(struct request *r)
{
    struct run_request q = {0};
    struct span key;
    const char *secret;
    (void)auth_find_key(r, &secret);
    if (request_idempotency(r, &key, q.fingerprint))
        need(!key.at || (key.size >= 1 && key.size <= 256));
    json_object *value;
    const char *why;
    if (!run_form_read(r, &q))
        return;
    if (q.input.at)
        need(json_parse(r, q.input.at, q.input.size, JSON_DEPTH_MAX, &value, &why) == OK);
    if (q.metadata.at)
        need(json_parse(r, q.metadata.at, q.metadata.size, JSON_DEPTH_MAX, &value, &why) == OK && value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    char *text = talloc_size(ctx, size + 1);
    char *params[PARAMS_MAX];
    bool ok;
    size_t rendered;
    memcpy(text, data, size);
    text[size] = '\0';
    char *body = split(ctx, text, params);
    struct request *r = request_new(ctx, NULL, params, &ok);
    for (size_t i = 0; i < r->segments_n; i++)
        need(utf8_is_valid(r->segments[i], strlen(r->segments[i])));
    if (ok)
        r->route = route_find(r);
    need(r->route || (ok ? r->reply.status : r->problem.status) >= 400);
    r->body = body;
    r->body_size = strlen(body);
    if (ok) {
        try_values(r);
        try_body(r);
    }
    if (reply_rejected(r) == 0)
        reply_empty(r, 204);
    need(strncmp(reply_render(r, &rendered), "Status: ", 8) == 0);
    talloc_free(ctx);
    return 0;
}
