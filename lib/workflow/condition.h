/* The conditions of a step's `if`: {"op": [arguments]}, a boolean, or a string that is a single reference.
 *
 *   ==  !=          two values; equality as json_equal defines it: 1 equals 1.0, member order is ignored
 *   <  <=  >  >=    two numbers, or two texts in code point order; other types are an error
 *   and  or         one or more conditions, evaluated from the left until the result is known
 *   not             one condition
 *   in              [x, container]: an item of an array, a part of a text, a member name of an object;
 *                   false if the container is null
 *   exists          one reference: true if it finds something; JSON null counts as something
 *
 * Arguments are templates or nested conditions. A reference that finds nothing is null. Where a condition is
 * expected, null, false, 0, "", [] and {} are false; every other value is true. A compiled condition is
 * immutable and may be read by several threads. Failures are reported as in template.h. */
#pragma once

#include "workflow/template.h"

struct condition;

/* Compiles the condition at `pointer` of the caller's document; the result is owned by ctx. NULL: problems
 * were added at the places that they are about. */
struct condition *condition_compile(void *ctx, json_object *value, const char *pointer,
                                    const struct template_rules *rules,
                                    struct json_problems *problems) WARN_UNUSED;

/* Evaluates a condition into *holds_r. ERR_INVALID, with *why_r, if values are compared that cannot be
 * compared; ERR_LIMIT if the scope's budget is exceeded. */
enum err condition_eval(void *ctx, const struct condition *c, const struct template_scope *scope,
                        bool *holds_r, const char **why_r) WARN_UNUSED;

/* True if any reference in the condition has this root. */
bool condition_refers_to(const struct condition *c, enum reference_root root);
