#include "schema/evaluate.h"

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <talloc.h>

/* units of work to explain one failure */
enum {
    WHY_BUDGET = 5000 * SCHEMA_CHECK_UNITS,
    /* a pointer is copied and escaped at each level, and copied again into a response */
    PATH_BYTE_COPIES = 16
};

unsigned eval_type(json_object *value)
{
    switch (json_object_get_type(value)) {
    case json_type_null:
        return TYPE_NULL;
    case json_type_boolean:
        return TYPE_BOOLEAN;
    case json_type_object:
        return TYPE_OBJECT;
    case json_type_array:
        return TYPE_ARRAY;
    case json_type_string:
        return TYPE_STRING;
    case json_type_int:
        return TYPE_NUMBER | TYPE_INTEGER;
    case json_type_double:
        break;
    }
    double d = json_object_get_double(value);
    return floor(d) == d ? TYPE_NUMBER | TYPE_INTEGER : TYPE_NUMBER;
}

static char *render_path(void *ctx, const struct instance_path *at)
{
    if (!at)
        return talloc_strdup(ctx, "");
    char *up = render_path(ctx, at->up);
    char *pointer =
        at->name ? json_pointer_join(ctx, up, at->name) : talloc_asprintf(ctx, "%s/%zu", up, at->index);
    talloc_free(up);
    return pointer;
}

static void eval_add_problem(struct schema_eval *e, const char *message)
{
    struct schema_problems *p = e->problems;
    if (p->count % 8 == 0)
        p->items = talloc_realloc(e->ctx, p->items, struct schema_problem, p->count + 8);
    char *pointer = render_path(e->ctx, e->at);
    p->items[p->count++] = (struct schema_problem){pointer, message};
    e->full = p->count >= e->problems_max;
    /* names of members can be as long as the instance: their copies count as work, too */
    eval_charge_scan(e, PATH_BYTE_COPIES * strlen(pointer));
}

bool eval_fail(struct schema_eval *e, const char *format, ...)
{
    if (e->quiet || eval_is_done(e))
        return false;
    va_list args;
    va_start(args, format);
    eval_add_problem(e, talloc_vasprintf(e->ctx, format, args));
    va_end(args);
    return false;
}

static void eval_exhaust(struct schema_eval *e)
{
    if (!e->exhausted && !e->describing)
        e->exhausted_at = render_path(e->ctx, e->at);
    e->exhausted = true;
}

bool eval_within_budget(struct schema_eval *e)
{
    if (e->budget.exceeded)
        eval_exhaust(e);
    return !e->exhausted;
}

bool eval_charge(struct schema_eval *e, size_t checks)
{
    (void)budget_charge(&e->budget,
                        checks < SIZE_MAX / SCHEMA_CHECK_UNITS ? checks * SCHEMA_CHECK_UNITS : SIZE_MAX);
    return eval_within_budget(e);
}

bool eval_charge_scan(struct schema_eval *e, size_t size)
{
    (void)budget_charge_scan(&e->budget, size);
    return eval_within_budget(e);
}

static void marks_init(struct schema_eval *e, struct marks *m, json_object *value)
{
    m->word = 0;
    m->count = json_object_is_type(value, json_type_object) ? (size_t)json_object_object_length(value)
                                                            : json_object_array_length(value);
    m->bits = &m->word;
    if (m->count > 64) {
        m->bits = talloc_zero_array(e->ctx, uint64_t, m->count / 64 + 1);
        eval_charge(e, m->count / 64);
    }
}

static void marks_free(struct marks *m)
{
    if (m->bits != &m->word)
        talloc_free(m->bits);
}

static void marks_add(struct marks *to, const struct marks *from)
{
    for (size_t i = 0; i * 64 < to->count; i++)
        to->bits[i] |= from->bits[i];
}

void marks_set_all(struct marks *m)
{
    if (m)
        memset(m->bits, 0xff, m->count > 64 ? (m->count / 64 + 1) * sizeof *m->bits : sizeof m->word);
}

static bool eval_keywords(struct schema_eval *e, const struct schema_node *node, json_object *value,
                          struct marks *marks)
{
    unsigned type = eval_type(value);
    bool holds = true;
    for (size_t i = 0; i < node->count; i++) {
        const struct keyword *k = &node->keywords[i];
        if (!(k->types & type) || (k->last && !holds))
            continue;
        if (!eval_charge(e, 1))
            return false;
        if (!k->check(e, k, value, marks))
            holds = false;
        if (!holds && (e->quiet || eval_is_done(e)))
            return false;
    }
    return holds;
}

static bool eval_with_own_marks(struct schema_eval *e, const struct schema_node *node, json_object *value,
                                struct marks *outer)
{
    struct marks own;
    marks_init(e, &own, value);
    bool holds = eval_keywords(e, node, value, &own);
    if (holds && outer)
        marks_add(outer, &own);
    marks_free(&own);
    return holds;
}

bool eval_node(struct schema_eval *e, const struct schema_node *node, json_object *value, struct marks *marks)
{
    if (node->never)
        return eval_fail(e, "is not allowed");
    if (node->count == 0)
        return true;
    if (e->depth >= SCHEMA_DEPTH_MAX)
        eval_exhaust(e);
    if (eval_is_done(e))
        return false;
    const struct dynamic_scope *outer = e->scope;
    struct dynamic_scope scope = {outer, node->resource};
    if (!outer || outer->resource != node->resource)
        e->scope = &scope;
    e->depth++;
    bool container =
        json_object_is_type(value, json_type_object) || json_object_is_type(value, json_type_array);
    bool holds = node->needs_marks && container ? eval_with_own_marks(e, node, value, marks)
                                                : eval_keywords(e, node, value, marks);
    e->depth--;
    e->scope = outer;
    return holds;
}

bool eval_child(struct schema_eval *e, const struct schema_node *node, json_object *child, const char *name,
                size_t index)
{
    struct instance_path here = {e->at, name, index};
    e->at = &here;
    bool holds = eval_node(e, node, child, NULL);
    e->at = here.up;
    return holds;
}

bool eval_try(struct schema_eval *e, const struct schema_node *node, json_object *value, struct marks *marks)
{
    struct marks tried;
    if (marks)
        marks_init(e, &tried, value);
    e->quiet++;
    bool holds = eval_node(e, node, value, marks ? &tried : NULL);
    e->quiet--;
    if (marks) {
        if (holds)
            marks_add(marks, &tried);
        marks_free(&tried);
    }
    return holds;
}

/* Has a small separate budget and does not nest: explaining a failure must cost less than finding it. */
const char *eval_reason(struct schema_eval *e, const struct schema_node *node, json_object *value)
{
    if (e->quiet || e->describing || eval_is_done(e))
        return NULL;
    struct schema_problems found = {0};
    struct schema_eval sub = *e;
    sub.problems = &found;
    sub.problems_max = 1;
    sub.describing = true;
    sub.at = NULL;
    size_t left = e->budget.limit - e->budget.used;
    sub.budget = (struct budget){.limit = left < WHY_BUDGET ? left : WHY_BUDGET};
    if (eval_node(&sub, node, value, NULL) || found.count == 0)
        return NULL;
    if (found.items[0].pointer[0] == '\0')
        return found.items[0].message;
    return talloc_asprintf(e->ctx, "%s %s", found.items[0].pointer, found.items[0].message);
}

static void add_exhausted_problem(struct schema_eval *e, long limit)
{
    const char *message =
        e->budget.exceeded
            ? talloc_asprintf(
                  e->ctx, "exceeds the limit of %ld units of work of one validation by this schema", limit)
            : talloc_asprintf(e->ctx, "exceeds the limit of %d nested evaluations of schemas",
                              SCHEMA_DEPTH_MAX);
    e->problems->items = talloc(e->ctx, struct schema_problem);
    e->problems->items[0] = (struct schema_problem){e->exhausted_at, message};
    e->problems->count = 1;
}

/* The evaluation charges `budget`. */
static enum err validate(void *ctx, const struct schema *schema, json_object *instance, struct budget *budget,
                         struct schema_problems *problems_r)
{
    struct schema_problems none = {0};
    struct schema_eval e = {
        .ctx = ctx,
        .problems = problems_r ? problems_r : &none,
        .problems_max = SCHEMA_PROBLEMS_MAX,
        .quiet = problems_r ? 0 : 1,
        .budget = *budget,
    };
    *e.problems = none;
    bool holds = eval_node(&e, schema->root, instance, NULL);
    *budget = e.budget;
    if (e.exhausted) {
        *e.problems = none;
        if (problems_r)
            add_exhausted_problem(&e, (long)(budget->limit / SCHEMA_CHECK_UNITS));
        return ERR_LIMIT;
    }
    return holds ? OK : ERR_INVALID;
}

enum err schema_validate_within(void *ctx, const struct schema *schema, json_object *instance, long budget,
                                struct schema_problems *problems_r)
{
    long checks = budget < schema->budget ? budget : schema->budget;
    struct budget own = {.limit = (size_t)checks * SCHEMA_CHECK_UNITS};
    return validate(ctx, schema, instance, &own, problems_r);
}

enum err schema_validate_sharing(void *ctx, const struct schema *schema, json_object *instance,
                                 struct budget *budget, struct schema_problems *problems_r)
{
    if (budget->exceeded) {
        if (problems_r)
            *problems_r = (struct schema_problems){0};
        return ERR_LIMIT;
    }
    return validate(ctx, schema, instance, budget, problems_r);
}

enum err schema_validate(void *ctx, const struct schema *schema, json_object *instance,
                         struct schema_problems *problems_r)
{
    return schema_validate_within(ctx, schema, instance, schema->budget, problems_r);
}
