/* One validation under way, as the keyword checks see it. Inner: only core/schema_*.c. */
#pragma once

#include "schema/node.h"

/* The way from the instance's root to the value at hand: kept on the C stack, written out only for a problem.
 */
struct instance_path {
    const struct instance_path *up;
    const char *name; /* NULL: an array index */
    size_t index;
};

struct dynamic_scope {
    const struct dynamic_scope *outer;
    const struct resource *resource;
};

/* Which members (by position) or items of the value at hand were evaluated; only kept where unevaluated*
 * asks. */
struct marks {
    uint64_t *bits;
    uint64_t word; /* serves as bits for up to 64 */
    size_t count;
};

struct schema_eval {
    void *ctx;
    struct schema_problems *problems;
    size_t problems_max;
    unsigned quiet;  /* trying out: the first violation ends it and is not told */
    bool describing; /* within eval_reason */
    bool full;       /* problems_max reached */
    bool exhausted;  /* budget or depth used up: every answer is worthless from here */
    long budget;
    unsigned depth;
    const struct instance_path *at;
    const struct dynamic_scope *scope;
};

/* Type bits of a value. */
unsigned eval_type(json_object *value);

/* Tells a violation at the value at hand; always false. */
bool eval_fail(struct schema_eval *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* Takes `units` from the budget; false when it is used up. */
bool eval_charge(struct schema_eval *e, size_t units);
/* Nothing further can change the answer. */
static inline bool eval_is_done(const struct schema_eval *e)
{
    return e->exhausted || e->full;
}

/* The value at hand against a schema. */
bool eval_node(struct schema_eval *e, const struct schema_node *node, json_object *value,
               struct marks *marks);
/* A member (name) or item (NULL, index) of the value at hand. */
bool eval_child(struct schema_eval *e, const struct schema_node *node, json_object *child, const char *name,
                size_t index);
/* Without telling violations; marks are only taken over when it holds. */
bool eval_try(struct schema_eval *e, const struct schema_node *node, json_object *value, struct marks *marks);
/* Why a value does not hold: the first violation as a sentence, or NULL when that is not worth it. */
const char *eval_reason(struct schema_eval *e, const struct schema_node *node, json_object *value);

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
keyword_check assert_type, assert_enum, assert_const, assert_multiple_of, assert_maximum,
    assert_exclusive_maximum, assert_minimum, assert_exclusive_minimum, assert_max_length, assert_min_length,
    assert_pattern, assert_format, assert_max_items, assert_min_items, assert_unique_items,
    assert_max_properties, assert_min_properties, assert_required, assert_dependent_required;
/* lib/schema/apply.c: keywords that apply other schemas */
keyword_check apply_reference, apply_dynamic, apply_all, apply_any, apply_one, apply_not, apply_condition,
    apply_dependent, apply_names, apply_members, apply_items, apply_contains, apply_unevaluated_items,
    apply_unevaluated_members;
