/* One validation under way, as the keyword checks see it. Inner: only core/schema_*.c. */
#pragma once

#include "schema/node.h"

/* The way from the instance's root to the value at hand: kept on the C stack, written out only for a problem.
 */
struct path {
    const struct path *up;
    const char *name; /* NULL: an array index */
    size_t index;
};

struct scope {
    const struct scope *outer;
    const struct resource *resource;
};

/* Which members (by position) or items of the value at hand were evaluated; only kept where unevaluated*
 * asks. */
struct marks {
    uint64_t *bits;
    uint64_t word; /* serves as bits for up to 64 */
    size_t count;
};

struct eval {
    void *ctx;
    struct schema_problems *problems;
    size_t problems_max;
    unsigned quiet;  /* trying out: the first violation ends it and is not told */
    bool describing; /* within eval_why */
    bool full;       /* problems_max reached */
    bool spent;      /* budget or depth used up: every answer is worthless from here */
    long budget;
    unsigned depth;
    const struct path *at;
    const struct scope *scope;
};

/* Type bits of a value. */
unsigned eval_type(json_object *value);

/* Tells a violation at the value at hand; always false. */
bool eval_fail(struct eval *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* Takes `units` from the budget; false when it is used up. */
bool eval_spend(struct eval *e, size_t units);
/* Nothing further can change the answer. */
static inline bool eval_over(const struct eval *e)
{
    return e->spent || e->full;
}

/* The value at hand against a schema. */
bool eval_node(struct eval *e, const struct node *node, json_object *value, struct marks *marks);
/* A member (name) or item (NULL, index) of the value at hand. */
bool eval_child(struct eval *e, const struct node *node, json_object *child, const char *name, size_t index);
/* Without telling violations; marks are only taken over when it holds. */
bool eval_try(struct eval *e, const struct node *node, json_object *value, struct marks *marks);
/* Why a value does not hold: the first violation as a sentence, or NULL when that is not worth it. */
const char *eval_why(struct eval *e, const struct node *node, json_object *value);

static inline void marks_set(struct marks *m, size_t i)
{
    if (m && i < m->count)
        m->bits[i / 64] |= UINT64_C(1) << (i % 64);
}
static inline bool marks_has(const struct marks *m, size_t i)
{
    return m && i < m->count && (m->bits[i / 64] >> (i % 64) & 1);
}
void marks_set_all(struct marks *m);

/* lib/schema/assert.c: keywords that look at the value alone */
keyword_check check_type, check_enum, check_const, check_multiple_of, check_maximum, check_exclusive_maximum,
    check_minimum, check_exclusive_minimum, check_max_length, check_min_length, check_pattern, check_format,
    check_max_items, check_min_items, check_unique_items, check_max_properties, check_min_properties,
    check_required, check_dependent_required;
/* lib/schema/apply.c: keywords that apply other schemas */
keyword_check apply_reference, apply_dynamic, apply_all, apply_any, apply_one, apply_not, apply_condition,
    apply_dependent, apply_names, apply_members, apply_items, apply_contains, apply_unevaluated_items,
    apply_unevaluated_members;
