#include "workflow/http_request.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/uri.h"
#include "json/json.h"

struct http_request_rendering {
    void *ctx;
    const struct program_step *step;
    const struct template_scope *scope;
    struct http_request *out;
    const char *why;
};

/* Appends one query parameter, after ? or & as needed: the URL may have a query already. */
static void add_parameter(char **url, const char *name, json_object *value)
{
    size_t n = strlen(*url);
    bool joined = (*url)[n - 1] == '?' || (*url)[n - 1] == '&';
    *url = talloc_strdup_append_buffer(*url, joined ? "" : strchr(*url, '?') ? "&" : "?");
    uri_percent_encode(url, name, strlen(name));
    *url = talloc_strdup_append_buffer(*url, "=");
    size_t size = (size_t)json_object_get_string_len(value);
    const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                    : json_text(value, &size);
    uri_percent_encode(url, text, size);
}

static enum err request_too_costly(struct http_request_rendering *r)
{
    char sentence[BUDGET_SENTENCE_SIZE];
    r->why = talloc_strdup(r->ctx, budget_sentence(r->scope->budget, sentence));
    return ERR_LIMIT;
}

static enum err add_query(struct http_request_rendering *r, char **url, const struct step_field *field)
{
    json_object *value;
    enum err e = template_render(r->ctx, field->value, r->scope, HTTP_REQUEST_URL_MAX, &value, &r->why);
    if (e)
        return e;
    bool list = json_object_is_type(value, json_type_array);
    size_t n = list ? json_object_array_length(value) : 1;
    for (size_t i = 0; i < n; i++) {
        json_object *one = list ? json_object_array_get_idx(value, i) : value;
        if (json_object_is_type(one, json_type_object) || json_object_is_type(one, json_type_array)) {
            r->why = talloc_asprintf(r->ctx, "the query parameter %s is not a text, number or boolean",
                                     field->name);
            return ERR_INVALID;
        }
        if (!budget_charge(r->scope->budget, 1))
            return request_too_costly(r);
        if (!one)
            continue;
        /* add_parameter searches the URL for its end and for a query */
        if (!budget_charge_bytes(r->scope->budget, 4 * strlen(*url)))
            return request_too_costly(r);
        add_parameter(url, field->name, one);
        if (strlen(*url) > HTTP_REQUEST_URL_MAX) {
            r->why = talloc_asprintf(r->ctx, "the URL is longer than %d bytes", HTTP_REQUEST_URL_MAX);
            return ERR_LIMIT;
        }
    }
    return OK;
}

static enum err render_url(struct http_request_rendering *r)
{
    char *url;
    size_t size;
    enum err e =
        template_render_text(r->ctx, r->step->url, r->scope, HTTP_REQUEST_URL_MAX, &url, &size, &r->why);
    if (e)
        return e;
    if (strlen(url) != size) {
        r->why = "the URL contains a NUL";
        return ERR_INVALID;
    }
    url = talloc_strndup(r->ctx, url, strcspn(url, "#"));
    for (size_t i = 0; i < r->step->query_count && !e; i++)
        e = add_query(r, &url, &r->step->query[i]);
    r->out->url = url;
    return e;
}

static enum err render_headers(struct http_request_rendering *r)
{
    const struct program_step *step = r->step;
    r->out->headers = talloc_zero_array(r->ctx, struct http_header, step->header_count + 1);
    for (size_t i = 0; i < step->header_count; i++) {
        char *value;
        size_t size;
        enum err e = template_render_text(r->ctx, step->headers[i].value, r->scope, HTTP_REQUEST_HEADER_MAX,
                                          &value, &size, &r->why);
        if (e)
            return e;
        if (strlen(value) != size) {
            r->why = talloc_asprintf(r->ctx, "the header %s contains a NUL", step->headers[i].name);
            return ERR_INVALID;
        }
        r->out->headers[r->out->header_count++] =
            (struct http_header){.name = step->headers[i].name, .value = value};
    }
    return OK;
}

static void default_content_type(struct http_request_rendering *r, const char *type)
{
    for (size_t i = 0; i < r->out->header_count; i++) {
        if (strcasecmp(r->out->headers[i].name, "content-type") == 0)
            return;
    }
    r->out->headers[r->out->header_count++] = (struct http_header){.name = "Content-Type", .value = type};
}

static enum err render_body(struct http_request_rendering *r)
{
    json_object *value = NULL;
    if (!r->step->body)
        return OK;
    enum err e = template_render(r->ctx, r->step->body, r->scope, PROGRAM_RESULT_MAX, &value, &r->why);
    if (e || !value)
        return e;
    if (json_object_is_type(value, json_type_string)) {
        r->out->body = json_object_get_string(value);
        r->out->body_size = (size_t)json_object_get_string_len(value);
        default_content_type(r, "text/plain; charset=utf-8");
    } else {
        r->out->body = json_text(value, &r->out->body_size);
        default_content_type(r, "application/json");
    }
    return OK;
}

enum err http_request_render(void *ctx, const struct program_step *step, const struct template_scope *scope,
                             struct http_request *request_r, const char **why_r)
{
    *request_r = (struct http_request){.method = step->method};
    struct http_request_rendering r = {.ctx = ctx, .step = step, .scope = scope, .out = request_r};
    enum err e = render_url(&r);
    if (!e)
        e = render_headers(&r);
    if (!e)
        e = render_body(&r);
    *why_r = r.why;
    return e;
}
