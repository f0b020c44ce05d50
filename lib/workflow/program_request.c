#include "workflow/program_request.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "json/json.h"

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"};

/* Headers that route or delimit a message. Only the HTTP client may set them; otherwise one request could be
 * read as two. */
static const char *const reserved_headers[] = {
    "connection",          "content-length",   "expect", "host",    "keep-alive",        "proxy-authenticate",
    "proxy-authorization", "proxy-connection", "te",     "trailer", "transfer-encoding", "upgrade"};

static void check_method(struct program_checker *c, json_object *request, const char *pointer,
                         struct program_step *step)
{
    const char *text;
    if (!program_check_text(c, request, pointer, "method", &text))
        return;
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i], text) == 0)
            step->method = methods[i];
    }
    if (!step->method)
        json_problems_add(c->problems, program_check_at(c, pointer, "method"),
                          "must be one of GET, POST, PUT, PATCH, DELETE, HEAD and OPTIONS");
}

/* Checks the name of a header (RFC 9110, section 5.1). Returns NULL, or what is wrong. */
static const char *header_name_check(const char *name)
{
    static const char token[] =
        "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    size_t n = strlen(name);
    if (!n || n > 128 || strspn(name, token) != n)
        return "is not a valid header name";
    for (size_t i = 0; i < sizeof reserved_headers / sizeof *reserved_headers; i++) {
        if (strcasecmp(reserved_headers[i], name) == 0)
            return "is set by Millrace and cannot be overridden";
    }
    return NULL;
}

static const char *header_twice(const struct program_step *step, const char *name)
{
    for (size_t i = 0; i < step->header_count; i++) {
        if (strcasecmp(step->headers[i].name, name) == 0)
            return "is a duplicate: header names ignore case";
    }
    return NULL;
}

/* The member `name` of a request if it is an object with at most PROGRAM_HEADERS_MAX members, else NULL. */
static json_object *fields_of(struct program_checker *c, json_object *request, const char *pointer,
                              const char *name, const char **at_r)
{
    json_object *object;
    if (!program_check_member(c, request, pointer, name, false, &object, at_r))
        return NULL;
    if (!json_object_is_type(object, json_type_object)) {
        json_problems_add(c->problems, *at_r, "must be an object");
        return NULL;
    }
    if (json_object_object_length(object) <= PROGRAM_HEADERS_MAX)
        return object;
    json_problems_add(c->problems, *at_r, "has more than %d members", PROGRAM_HEADERS_MAX);
    return NULL;
}

static void check_headers(struct template_place *p, json_object *request, const char *pointer,
                          struct program_step *step)
{
    struct program_checker *c = p->check;
    const char *base;
    json_object *headers = fields_of(c, request, pointer, "headers", &base);
    if (!headers)
        return;
    step->headers =
        talloc_zero_array(c->program, struct step_field, (size_t)json_object_object_length(headers));
    json_object_object_foreach(headers, name, value)
    {
        const char *at = program_check_at(c, base, name);
        const char *why = header_name_check(name);
        if (!why)
            why = header_twice(step, name);
        if (why)
            json_problems_add(c->problems, at, "%s", why);
        struct step_field *field = &step->headers[step->header_count++];
        field->name = talloc_strdup(c->program, name);
        field->value = program_check_template(p, value, TEMPLATE_HEADER, at);
    }
}

static void check_query(struct template_place *p, json_object *request, const char *pointer,
                        struct program_step *step)
{
    struct program_checker *c = p->check;
    const char *base;
    json_object *query = fields_of(c, request, pointer, "query", &base);
    if (!query)
        return;
    step->query = talloc_zero_array(c->program, struct step_field, (size_t)json_object_object_length(query));
    json_object_object_foreach(query, name, value)
    {
        const char *at = program_check_at(c, base, name);
        if (json_object_is_type(value, json_type_object))
            json_problems_add(c->problems, at,
                              "must be a text, a number, a boolean, null, or an array of these");
        struct step_field *field = &step->query[step->query_count++];
        field->name = talloc_strdup(c->program, name);
        field->value = program_check_template(p, value, TEMPLATE_VALUE, at);
    }
}

static void check_body(struct template_place *p, json_object *request, const char *pointer,
                       struct program_step *step)
{
    json_object *value;
    const char *at;
    if (!program_check_member(p->check, request, pointer, "body", false, &value, &at) || !value)
        return;
    if (step->method && (strcmp(step->method, "GET") == 0 || strcmp(step->method, "HEAD") == 0))
        json_problems_add(p->check->problems, at, "a %s request has no body", step->method);
    step->body = program_check_template(p, value, TEMPLATE_VALUE, at);
}

static bool status_parse(json_object *value, struct status_range *range_r)
{
    int end = 0;
    if (json_object_is_type(value, json_type_int)) {
        range_r->from = range_r->to = json_object_get_int(value);
    } else {
        const char *text = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : "";
        bool form = strlen(text) == 7 && strspn(text, "0123456789") == 3 && text[3] == '-' &&
                    strspn(text + 4, "0123456789") == 3;
        if (!form || sscanf(text, "%3d-%3d%n", &range_r->from, &range_r->to, &end) != 2)
            return false;
    }
    return range_r->from >= 100 && range_r->to <= 599 && range_r->from <= range_r->to;
}

static void check_expect(struct program_checker *c, json_object *document, const char *pointer,
                         struct program_step *step)
{
    json_object *value;
    const char *at;
    step->expect_count = 1;
    step->expect = talloc_zero_array(c->program, struct status_range, 1);
    step->expect[0] = (struct status_range){.from = 200, .to = 299};
    if (!program_check_member(c, document, pointer, "expect_status", false, &value, &at))
        return;
    bool list = json_object_is_type(value, json_type_array);
    size_t n = list ? json_object_array_length(value) : 1;
    if (n > 0 && n <= 100) {
        step->expect = talloc_realloc(c->program, step->expect, struct status_range, n);
        step->expect_count = 0;
    }
    for (size_t i = 0; step->expect_count == i && i < n; i++) {
        json_object *one = list ? json_object_array_get_idx(value, i) : value;
        if (status_parse(one, &step->expect[i]))
            step->expect_count++;
    }
    if (step->expect_count != n)
        json_problems_add(c->problems, at,
                          "must be a status from 100 to 599, a range such as \"200-299\", or an array of 1 "
                          "to 100 of these");
}

void program_check_request(struct template_place *place, json_object *document, const char *pointer,
                           struct program_step *step)
{
    static const char *const fields[] = {"method", "url", "headers", "query", "body", NULL};
    struct program_checker *c = place->check;
    json_object *request;
    json_object *url;
    const char *at;
    const char *url_at;
    check_expect(c, document, pointer, step);
    if (!program_check_member(c, document, pointer, "request", true, &request, &at))
        return;
    if (!json_object_is_type(request, json_type_object)) {
        json_problems_add(c->problems, at, "must be an object");
        return;
    }
    struct template_place inside = *place;
    inside.in_request = true;
    program_check_fields(c, request, at, fields, NULL);
    check_method(c, request, at, step);
    if (program_check_member(c, request, at, "url", true, &url, &url_at))
        step->url = program_check_template(&inside, url, TEMPLATE_URL, url_at);
    check_headers(&inside, request, at, step);
    check_query(&inside, request, at, step);
    check_body(&inside, request, at, step);
}
