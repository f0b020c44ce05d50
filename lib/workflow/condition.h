/* The conditions of a step's `if`: {"op": [args]}, or a boolean, or a string that is one reference.
 *
 *   ==  !=            two values; equal as json_equal has it: 1 equals 1.0, member order is nothing
 *   <  <=  >  >=      two numbers, or two texts in code point order; anything else is an error
 *   and  or           one or more conditions, from the left, and no further than needed
 *   not               one condition
 *   in                [x, where]: an element of an array, part of a text, a member name of an object; nothing
 * is in null exists            one reference: whether it finds something (JSON null is something)
 *
 * Arguments are templates, or conditions again. A reference that finds nothing is null here. Where a
 * condition is expected, null, false, 0, "", [] and {} do not hold and everything else does. A compiled
 * condition is immutable and may be read by many threads. Failure: as with templates. */
#pragma once

#include "workflow/template.h"

struct condition;

/* NULL: problems were added, at their places below `pointer`. */
struct condition *condition_compile(void *ctx, json_object *value, const char *pointer,
                                    const struct template_rules *rules,
                                    struct json_problems *problems) WARN_UNUSED;

/* Whether it holds. ERR_INVALID: it compares what cannot be compared, *why_r says so. */
enum err condition_eval(void *ctx, const struct condition *c, const struct template_scope *scope,
                        bool *holds_r, const char **why_r) WARN_UNUSED;

/* Whether it refers to `root` anywhere. */
bool condition_refers_to(const struct condition *c, enum reference_root root);
