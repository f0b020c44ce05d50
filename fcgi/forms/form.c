#include "fcgi/forms/form.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/request.h"
#include "fcgi/http/slow.h"
#include "json/json_raw.h"

bool form_reject_value(struct request *r, const char *name, const char *what)
{
    return request_reject(r, 400, "invalid_request", "%s must be %s.", name, what);
}

static bool list_has_name(const char *list, const char *name)
{
    size_t size = strlen(name);
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, " ");
        if (n == size && memcmp(p, name, n) == 0)
            return true;
        p += n + (p[n] == ' ');
    }
    return false;
}

bool form_members_are_known(struct request *r, json_object *body, const char *known)
{
    json_object_object_foreach(body, name, value)
    {
        (void)value;
        if (!list_has_name(known, name))
            return request_reject(r, 400, "invalid_request", "Unknown member: %s.", name);
    }
    return true;
}

struct span form_raw_member(const struct request *r, json_object *body, const char *name)
{
    struct span s = {0};
    if (json_get(body, name))
        json_raw_member(r->body, r->body_size, name, &s.at, &s.size);
    return s;
}

enum err form_validate(struct request *r, const struct schema *schema, json_object *inputs,
                       struct schema_problems *found)
{
    enum err e = schema_validate_within(r, schema, inputs, SLOW_VALIDATION, found);
    if (e != ERR_LIMIT)
        return e;
    return slow_begin(r) ? schema_validate(r, schema, inputs, found) : ERR_RETRY;
}

struct json_problems *form_input_problems(struct request *r, const struct schema_problems *found)
{
    struct json_problems *p = json_problems_new(r);
    for (size_t i = 0; i < found->count; i++)
        json_problems_add(p, talloc_asprintf(r, "/inputs%s", found->items[i].pointer), "%s",
                          found->items[i].message);
    return p;
}

bool form_last_event_id(struct request *r, size_t digits, int64_t *id_r)
{
    const char *text = request_param(r, "HTTP_LAST_EVENT_ID");
    if (!text || !*text)
        text = request_query(r, "last_event_id");
    *id_r = -1;
    if (!text || !*text)
        return true;
    if (strlen(text) > digits || text[strspn(text, "0123456789")] != '\0')
        return request_reject(r, 400, "invalid_request", "Last-Event-ID must be the number of an event.");
    *id_r = strtoll(text, NULL, 10);
    return true;
}
