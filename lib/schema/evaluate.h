/* The state of one validation, as the checks of the keywords see it. Private to lib/schema. "Current value"
 * below means the part of the instance that is being checked. Everything here belongs to one thread. */
#pragma once

#include "schema/node.h"

/* The path from the root of the instance to the current value. It lives on the C stack and becomes text only
 * when a problem is recorded. */
struct instance_path {
    const struct instance_path *up;
    /* NULL: an item of an array, at `index` */
    const char *name;
    size_t index;
};

/* The resources that evaluation has entered, innermost first ($dynamicRef searches them). */
struct dynamic_scope {
    const struct dynamic_scope *outer;
    const struct resource *resource;
};

/* The members (by position) or items of the current value that were evaluated. Only kept below a schema that
 * has unevaluatedProperties or unevaluatedItems; elsewhere the pointer is NULL. */
struct marks {
    uint64_t *bits;
    /* storage of `bits` for up to 64 members or items */
    uint64_t word;
    size_t count;
};

struct schema_eval {
    void *ctx;
    struct schema_problems *problems;
    size_t problems_max;
    /* above 0: only the result counts. The first violation ends the evaluation and is not recorded. */
    unsigned quiet;
    /* within eval_reason */
    bool describing;
    /* problems_max is reached */
    bool full;
    /* the budget or the depth is used up: results are meaningless from here on */
    bool exhausted;
    /* the pointer of the value at which that happened; NULL within eval_reason */
    const char *exhausted_at;
    struct budget budget;
    unsigned depth;
    const struct instance_path *at;
    const struct dynamic_scope *scope;
};

/* The type bits (TYPE_*) of a value. */
unsigned eval_type(json_object *value);

/* Records a violation at the current value. Always returns false. */
bool eval_fail(struct schema_eval *e, const char *format, ...) PRINTF_LIKE(2, 3);
/* Charges `checks` checks of a keyword, of SCHEMA_CHECK_UNITS each; false if the budget is used up. */
bool eval_charge(struct schema_eval *e, size_t checks);
/* Charges `size` bytes that are looked at one by one. */
bool eval_charge_scan(struct schema_eval *e, size_t size);
/* False, and e->exhausted, if something that was charged to e->budget has exceeded it. */
bool eval_within_budget(struct schema_eval *e);
/* True if further checks cannot change the result. */
static inline bool eval_is_done(const struct schema_eval *e)
{
    return e->exhausted || e->full;
}

/* Checks the current value against a schema. */
bool eval_node(struct schema_eval *e, const struct schema_node *node, json_object *value,
               struct marks *marks);
/* Checks a member (`name`) or an item (NULL and `index`) of the current value. */
bool eval_child(struct schema_eval *e, const struct schema_node *node, json_object *child, const char *name,
                size_t index);
/* As eval_node, but without recording violations. `marks` are updated only if the value is valid. */
bool eval_try(struct schema_eval *e, const struct schema_node *node, json_object *value, struct marks *marks);
/* Why a value is invalid: the first violation as a sentence (of e->ctx). NULL if no reason is wanted (quiet,
 * or within another reason) or if none was found within a small budget. */
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

/* assert.c: keywords that check the value itself */
keyword_check assert_type, assert_enum, assert_const, assert_multiple_of, assert_maximum,
    assert_exclusive_maximum, assert_minimum, assert_exclusive_minimum, assert_max_length, assert_min_length,
    assert_pattern, assert_format, assert_max_items, assert_min_items, assert_unique_items,
    assert_max_properties, assert_min_properties, assert_required, assert_dependent_required;
/* apply.c: keywords that apply other schemas */
keyword_check apply_reference, apply_dynamic, apply_all, apply_any, apply_one, apply_not, apply_condition,
    apply_dependent, apply_names, apply_members, apply_items, apply_contains, apply_unevaluated_items,
    apply_unevaluated_members;
