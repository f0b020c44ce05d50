#include "fcgi/forms/execution_filter.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/form.h"
#include "fcgi/http/app.h"
#include "fcgi/http/request.h"
#include "store/skill.h"

enum { EXECUTION_HASH_DIGITS = 16 };

struct filter_form {
    struct execution_filter *filter;
    bool is_empty;
};

bool execution_filter_is_responder(const char *name)
{
    return strcmp(name, "responderIds") == 0 || strcmp(name, "responderIds[]") == 0;
}

static bool read_responders(struct request *r, struct filter_form *p)
{
    id *ids = talloc_zero_array(r, id, EXECUTION_RESPONDERS_MAX + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->query_n; i++) {
        const char *value = r->query[i].value;
        if (!execution_filter_is_responder(r->query[i].name))
            continue;
        if (n == EXECUTION_RESPONDERS_MAX || !id_parse(value, strlen(value), &ids[n]))
            return form_reject_value(r, "responderIds", "at most 64 UUIDs");
        bool seen = false;
        for (size_t k = 0; k < n && !seen; k++)
            seen = id_equal(&ids[k], &ids[n]);
        n += !seen;
    }
    id workflow;
    if (!request_query_id(r, "workflow_id", &workflow))
        return false;
    if (id_is_set(&workflow)) {
        bool listed = n == 0;
        for (size_t i = 0; i < n; i++)
            listed = listed || id_equal(&ids[i], &workflow);
        p->is_empty = p->is_empty || !listed;
        ids[0] = workflow;
        n = 1;
    }
    p->filter->responders = ids;
    p->filter->responders_n = n;
    return true;
}

static bool read_states(struct request *r, struct filter_form *p)
{
    const char *status = request_query(r, "status");
    const char *state = request_query(r, "state");
    struct execution_filter *f = p->filter;
    enum run_state one;
    if (status && (f->states_n = (size_t)states_from_status(status, f->states)) == 0)
        return form_reject_value(r, "status", "running, success, failed or stopped");
    if (!state)
        return true;
    if (state_from_name(state, &one) == 0)
        return form_reject_value(r, "state", "queued, running, succeeded, failed or stopped");
    p->is_empty = p->is_empty || (status && f->states[0] != one && (f->states_n < 2 || f->states[1] != one));
    f->states[0] = one;
    f->states_n = 1;
    return true;
}

/* created_after and created_before. An id contains its creation time in milliseconds, so that a range of time
 * is a range of ids. */
static bool read_times(struct request *r, struct filter_form *p)
{
    const char *after = request_query(r, "created_after");
    const char *before = request_query(r, "created_before");
    int64_t after_ms = after ? clock_parse(after) : 0;
    int64_t before_ms = before ? clock_parse(before) : 0;
    if (after_ms < 0)
        return form_reject_value(r, "created_after", "a date or date-time (RFC 3339)");
    if (before_ms < 0)
        return form_reject_value(r, "created_before", "a date or date-time (RFC 3339)");
    if (after)
        p->filter->above = id_floor(after_ms + 1);
    if (before)
        p->filter->below = id_floor(before_ms);
    return true;
}

static bool read_tag(struct request *r, struct filter_form *p)
{
    p->filter->tag = request_query(r, "tag");
    if (p->filter->tag && (!*p->filter->tag || strlen(p->filter->tag) > EXECUTION_TAG_MAX))
        return form_reject_value(r, "tag", "a string of 1 to 256 octets");
    if (!request_query_id(r, "parentId", &p->filter->parent) ||
        !request_query_id(r, "batch_id", &p->filter->batch))
        return false;
    /* the runs of a batch have no parent */
    p->is_empty = p->is_empty || (id_is_set(&p->filter->batch) && id_is_set(&p->filter->parent));
    return true;
}

static bool read_error_hash(struct request *r, struct execution_filter *f)
{
    const char *text = request_query(r, "error_hash");
    if (!text)
        return true;
    if (strlen(text) != EXECUTION_HASH_DIGITS || strspn(text, "0123456789abcdef") != EXECUTION_HASH_DIGITS)
        return form_reject_value(r, "error_hash", "the hash of a group of GET /executions/errors");
    f->error_hash = (int64_t)strtoull(text, NULL, 16);
    f->has_error_hash = true;
    return true;
}

/* Only failed runs have an error that is looked for. */
static bool read_error(struct request *r, struct filter_form *p)
{
    struct execution_filter *f = p->filter;
    f->error = request_query(r, "error");
    if (f->error && (!*f->error || strlen(f->error) > EXECUTION_ERROR_MAX))
        return form_reject_value(r, "error", "a string of 1 to 256 octets");
    if (!read_error_hash(r, f))
        return false;
    if (!f->error && !f->has_error_hash)
        return true;
    bool has_failed = f->states_n == 0;
    for (size_t i = 0; i < f->states_n; i++)
        has_failed = has_failed || f->states[i] == STATE_FAILED;
    p->is_empty = p->is_empty || !has_failed;
    f->states_n = 0;
    return true;
}

bool execution_filter_read(struct request *r, struct execution_filter *filter, bool *is_empty_r)
{
    struct filter_form p = {.filter = filter};
    bool ok = read_responders(r, &p) && read_states(r, &p) && read_times(r, &p) && read_tag(r, &p) &&
              read_error(r, &p);
    *is_empty_r = p.is_empty;
    return ok;
}

/* --- the same as a JSON object --- */

static bool add_item(struct request *item, const char *name, json_object *value)
{
    struct span text = json_span(value);
    if (!json_object_is_type(value, json_type_string) || strlen(text.at) != text.size ||
        item->query_n == QUERY_MAX)
        return form_reject_value(item, name, "a string");
    item->query[item->query_n++] = (struct query_item){name, text.at};
    return true;
}

/* The skill is one more responder. */
static bool add_skill(struct request *item, json_object *value)
{
    const char *slug = json_object_is_type(value, json_type_string) ? json_object_get_string(value) : NULL;
    struct skill skill;
    enum err e = slug ? skill_get_current(item->app->db, item, &item->access.workspace_id, slug, &skill)
                      : ERR_NOT_FOUND;
    if (e == ERR_NOT_FOUND)
        return form_reject_value(item, "skill", "the slug of an installed skill");
    if (e != OK)
        return request_reject(item, 503, "unavailable", "MariaDB cannot be reached.");
    item->query[item->query_n++] = (struct query_item){"responderIds", talloc_strdup(item, skill.id.text)};
    return true;
}

static bool add_member(struct request *item, const char *name, json_object *value)
{
    if (strcmp(name, "skill") == 0)
        return item->query_n < QUERY_MAX ? add_skill(item, value) : form_reject_value(item, name, "fewer");
    if (strcmp(name, "responderIds") != 0)
        return add_item(item, name, value);
    if (!json_object_is_type(value, json_type_array))
        return form_reject_value(item, name, "at most 60 UUIDs");
    for (size_t i = 0; i < json_object_array_length(value); i++) {
        if (!add_item(item, name, json_object_array_get_idx(value, i)))
            return false;
    }
    return true;
}

bool execution_filter_read_json(struct request *r, json_object *object, struct execution_filter *filter,
                                bool *is_empty_r)
{
    /* A request that stands for the query that the object is. */
    struct request *item = talloc(r, struct request);
    *item = *r;
    item->query_n = 0;
    bool ok = form_members_are_known(item, object,
                                     "state status workflow_id skill responderIds tag parentId batch_id "
                                     "created_after created_before error error_hash");
    struct json_object_iterator at = json_object_iter_begin(object), end = json_object_iter_end(object);
    for (; ok && !json_object_iter_equal(&at, &end); json_object_iter_next(&at))
        ok = add_member(item, json_object_iter_peek_name(&at), json_object_iter_peek_value(&at));
    ok = ok && execution_filter_read(item, filter, is_empty_r);
    r->problem = item->problem;
    return ok;
}
