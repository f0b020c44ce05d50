#include <string.h>
#include <talloc.h>

#include "schema/evaluate.h"

bool apply_reference(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    return eval_node(e, k->node, value, marks);
}

/* $dynamicRef: the outermost resource in the dynamic scope that has the anchor provides the target. */
bool apply_dynamic(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    const struct schema_node *target = k->dynamic.node;
    size_t steps = 0;
    for (const struct dynamic_scope *s = e->scope; s; s = s->outer, steps++) {
        for (size_t i = 0; i < s->resource->dynamic_count; i++) {
            if (s->resource->dynamic[i].name == k->dynamic.name)
                target = s->resource->dynamic[i].node;
        }
        if (!eval_charge(e, s->resource->dynamic_count / 8))
            return false;
    }
    return eval_charge(e, steps / 4) && eval_node(e, target, value, marks);
}

bool apply_all(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = true;
    for (size_t i = 0; i < k->nodes.count; i++) {
        if (!eval_node(e, k->nodes.items[i], value, marks))
            holds = false;
        if (!holds && (e->quiet || eval_is_done(e)))
            break;
    }
    return holds;
}

/* Records a violation such as "must match at least one of 3 alternatives: it must be a string; or it must be
 * at least 3", with the reasons of the first REASONS_MAX alternatives. */
static bool fail_alternatives(struct schema_eval *e, const struct keyword *k, json_object *value,
                              const char *which)
{
    enum { REASONS_MAX = 4 };
    if (e->quiet || eval_is_done(e))
        return false;
    char *reasons = talloc_strdup(e->ctx, "");
    for (size_t i = 0; i < k->nodes.count && i < REASONS_MAX; i++) {
        const char *why = eval_reason(e, k->nodes.items[i], value);
        if (why)
            reasons = talloc_asprintf_append_buffer(reasons, "%s%s", *reasons ? "; or it " : ": it ", why);
    }
    return eval_fail(e, "must match %s of %zu alternatives%s", which, k->nodes.count, reasons);
}

bool apply_any(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = false;
    for (size_t i = 0; i < k->nodes.count && !eval_is_done(e); i++) {
        if (!eval_try(e, k->nodes.items[i], value, marks))
            continue;
        holds = true;
        if (!marks)
            break;
    }
    return holds || fail_alternatives(e, k, value, "at least one");
}

bool apply_one(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    size_t first = SIZE_MAX;
    for (size_t i = 0; i < k->nodes.count && !eval_is_done(e); i++) {
        if (!eval_try(e, k->nodes.items[i], value, first == SIZE_MAX ? marks : NULL))
            continue;
        if (first != SIZE_MAX)
            return eval_fail(
                e, "must match exactly one of %zu alternatives, but matches number %zu and number %zu",
                k->nodes.count, first + 1, i + 1);
        first = i;
    }
    return first != SIZE_MAX || fail_alternatives(e, k, value, "exactly one");
}

bool apply_not(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    return !eval_try(e, k->node, value, NULL) || eval_fail(e, "must not match the schema under \"not\"");
}

bool apply_condition(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool test = eval_try(e, k->condition.test, value, marks);
    const struct schema_node *branch = test ? k->condition.then : k->condition.otherwise;
    return !branch || eval_node(e, branch, value, marks);
}

bool apply_dependent(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = eval_charge(e, k->dependencies.count);
    for (size_t i = 0; i < k->dependencies.count && !eval_is_done(e); i++) {
        const struct dependency *d = &k->dependencies.items[i];
        if (!eval_charge_scan(e, 2 * strlen(d->name)))
            return false;
        if (json_object_object_get_ex(value, d->name, NULL) && !eval_node(e, d->node, value, marks))
            holds = false;
    }
    return holds;
}

bool apply_names(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = true;
    json_object_object_foreach(value, key, member)
    {
        (void)member;
        if (eval_is_done(e) || (!holds && e->quiet))
            return false;
        if (!eval_charge(e, 2) || !eval_charge_scan(e, strlen(key)))
            return false;
        json_object *name = json_object_new_string(key);
        if (!eval_try(e, k->node, name, NULL)) {
            const char *why = eval_reason(e, k->node, name);
            holds = eval_fail(e, "has a member with an invalid name: \"%s\"%s%s", key, why ? " " : "",
                              why ? why : "");
        }
        json_object_put(name);
    }
    return holds;
}

static const struct schema_node *find_rule(const struct members *m, const char *name)
{
    size_t low = 0;
    size_t high = m->rule_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = strcmp(name, m->rules[middle].name);
        if (order == 0)
            return m->rules[middle].node;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* True if the name matches the pattern. A match that costs too much sets e->exhausted. */
static bool pattern_fits(struct schema_eval *e, const struct pattern_rule *rule, const char *name)
{
    bool fits = false;
    if (regex_match(rule->regex, name, strlen(name), &e->budget, &fits) != OK)
        return eval_within_budget(e);
    return fits;
}

static bool apply_member(struct schema_eval *e, const struct members *m, const char *name,
                         json_object *member, bool *seen_r)
{
    const struct schema_node *rule = find_rule(m, name);
    bool seen = rule != NULL;
    bool holds = !rule || eval_child(e, rule, member, name, 0);
    for (size_t i = 0; i < m->pattern_count && !eval_is_done(e); i++) {
        if (!pattern_fits(e, &m->patterns[i], name))
            continue;
        seen = true;
        holds = eval_child(e, m->patterns[i].node, member, name, 0) && holds;
    }
    if (!seen && m->additional) {
        seen = true;
        if (m->additional->never)
            holds = eval_fail(e, "has an unknown member: \"%s\"", name);
        else
            holds = eval_child(e, m->additional, member, name, 0);
    }
    *seen_r = seen;
    return holds;
}

bool apply_members(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = true;
    size_t i = 0;
    json_object_object_foreach(value, name, member)
    {
        bool seen;
        if (!eval_charge(e, 1) || !eval_charge_scan(e, strlen(name)) ||
            !apply_member(e, &k->members, name, member, &seen))
            holds = false;
        else if (seen)
            marks_set(marks, i);
        if (!holds && (e->quiet || eval_is_done(e)))
            return false;
        i++;
    }
    return holds;
}

bool apply_items(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    bool holds = true;
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count && eval_charge(e, 1); i++) {
        const struct schema_node *node = i < k->items.prefix.count ? k->items.prefix.items[i] : k->items.rest;
        if (!node)
            break;
        if (!eval_child(e, node, json_object_array_get_idx(value, i), NULL, i))
            holds = false;
        marks_set(marks, i);
        if (!holds && (e->quiet || eval_is_done(e)))
            break;
    }
    return holds;
}

bool apply_contains(struct schema_eval *e, const struct keyword *k, json_object *value, struct marks *marks)
{
    uint64_t matches = 0;
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count && eval_charge(e, 1); i++) {
        if (!eval_try(e, k->contains.node, json_object_array_get_idx(value, i), NULL))
            continue;
        matches++;
        marks_set(marks, i);
        if (!marks && matches >= k->contains.min && k->contains.max == UINT64_MAX)
            break;
    }
    if (matches < k->contains.min)
        return eval_fail(e,
                         "must contain at least %ju items that match the schema under \"contains\", not %ju",
                         (uintmax_t)k->contains.min, (uintmax_t)matches);
    if (matches > k->contains.max)
        return eval_fail(e,
                         "must contain at most %ju items that match the schema under \"contains\", not %ju",
                         (uintmax_t)k->contains.max, (uintmax_t)matches);
    return true;
}

bool apply_unevaluated_items(struct schema_eval *e, const struct keyword *k, json_object *value,
                             struct marks *marks)
{
    bool holds = true;
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count && eval_charge(e, 1); i++) {
        if (marks_has(marks, i))
            continue;
        if (!eval_child(e, k->node, json_object_array_get_idx(value, i), NULL, i))
            holds = false;
        if (!holds && (e->quiet || eval_is_done(e)))
            return false;
    }
    marks_set_all(marks);
    return holds;
}

bool apply_unevaluated_members(struct schema_eval *e, const struct keyword *k, json_object *value,
                               struct marks *marks)
{
    bool holds = true;
    size_t i = 0;
    json_object_object_foreach(value, name, member)
    {
        if (!eval_charge(e, 1))
            return false;
        bool seen = marks_has(marks, i++);
        if (!seen && k->node->never)
            holds = eval_fail(e, "has an unknown member: \"%s\"", name);
        else if (!seen && !eval_child(e, k->node, member, name, 0))
            holds = false;
        if (!holds && (e->quiet || eval_is_done(e)))
            return false;
    }
    marks_set_all(marks);
    return holds;
}
