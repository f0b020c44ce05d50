/* Templates: JSON whose strings may contain `${pointer}` references. A template is compiled once and rendered
 * against the scope of a run.
 *
 *   ${/inputs/email}   an RFC 6901 pointer into {inputs, steps, item, index, execution, secrets}
 *   $${                the two characters ${
 *
 * A string that consists of a single reference keeps the type of the referenced value. A reference beside
 * other text is written as text: strings unchanged, other values as compact JSON. Names of members are not
 * templates. A pointer ends at the first }.
 *
 * A compiled template is immutable, copies what it needs of the document, and may be rendered by any number
 * of threads. A scope belongs to one thread, and so does the result of rendering: it shares the values of
 * single references with the scope (except for `steps` as a whole, to which a run adds), and nothing with the
 * template. Neither may be changed afterwards.
 *
 * Failure: compiling adds to a list of problems. Rendering returns ERR_NOT_FOUND (a reference finds nothing),
 * ERR_LIMIT (the result is too large or too deep, or the scope's budget is exceeded) or ERR_INVALID (a value
 * is not allowed at its place), with a sentence. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/budget.h"
#include "base/err.h"
#include "json/json_problems.h"

enum {
    /* bytes of compact JSON that one rendering may produce */
    TEMPLATE_RESULT_MAX = 256 * 1024,
    /* levels of nesting in a result; limited because stored results are parsed again */
    TEMPLATE_DEPTH_MAX = 64,
    /* bytes of one pointer */
    TEMPLATE_POINTER_MAX = 1024,
};

enum reference_root { REF_INPUTS, REF_STEPS, REF_ITEM, REF_INDEX, REF_EXECUTION, REF_SECRETS };

struct reference {
    enum reference_root root;
    /* as written: "/steps/look-up/result" */
    const char *pointer;
    /* what follows the root: "/look-up/result"; "" for the root itself */
    const char *rest;
};

/* Decides which references a template may contain: `allow` returns NULL, or a sentence (static or of ctx)
 * that says why `r` is not allowed. */
struct template_rules {
    const char *(*allow)(void *arg, void *ctx, const struct reference *r);
    void *arg;
};

enum template_form {
    /* any JSON */
    TEMPLATE_VALUE,
    /* a string, number or boolean; the result is text */
    TEMPLATE_TEXT,
    /* text: an http or https URL; references only after the authority, their values percent-encoded */
    TEMPLATE_URL,
    /* text: the value of a header; CR, LF and NUL are errors */
    TEMPLATE_HEADER,
};

struct json_template;

/* The data that references point into. References into a NULL object find nothing. */
struct template_scope {
    json_object *inputs;
    /* {name: {result, status, error}} */
    json_object *steps;
    json_object *execution;
    /* item and index are available */
    bool in_loop;
    /* NULL: JSON null */
    json_object *item;
    int64_t index;
    /* Returns the value of a secret, or NULL; the value must outlive the rendering. It is called for each
     * use, so that the caller can remember which values to redact. NULL: there are no secrets. */
    const char *(*secret)(void *arg, const char *name, size_t *size_r);
    void *secret_arg;
    /* Everything that is evaluated in this scope is charged to it. NULL: no limit. */
    struct budget *budget;
};

/* Compiles the value at `pointer` of the caller's document; the result is owned by ctx. NULL: problems were
 * added, each with the pointer of the string that it is about. Recurses, so the document must not be nested
 * much deeper than JSON_DEPTH_MAX. */
struct json_template *template_compile(void *ctx, json_object *value, enum template_form form,
                                       const char *pointer, const struct template_rules *rules,
                                       struct json_problems *problems) WARN_UNUSED;

/* Renders at most `limit` bytes of compact JSON. The value is owned by ctx. */
enum err template_render(void *ctx, const struct json_template *t, const struct template_scope *scope,
                         size_t limit, json_object **value_r, const char **why_r) WARN_UNUSED;
/* The same, but a reference that finds nothing becomes null (for conditions). */
enum err template_render_lenient(void *ctx, const struct json_template *t, const struct template_scope *scope,
                                 size_t limit, json_object **value_r, const char **why_r) WARN_UNUSED;
/* Renders a template of one of the text forms: at most `limit` bytes, NUL-terminated, owned by ctx. The
 * result of TEMPLATE_TEXT may contain NULs. */
enum err template_render_text(void *ctx, const struct json_template *t, const struct template_scope *scope,
                              size_t limit, char **text_r, size_t *size_r, const char **why_r) WARN_UNUSED;

/* True if the template is a single reference; the type of its result is known only in a run. */
bool template_is_reference(const struct json_template *t);
/* True if the template contains no reference; *value_r is then its only result, owned by the template. */
bool template_is_literal(const struct json_template *t, json_object **value_r);
/* True if any reference in the template has this root. */
bool template_refers_to(const struct json_template *t, enum reference_root root);
/* The value that a single-reference template points at, not copied: owned by the scope (index and secrets: by
 * ctx). A JSON null is NULL with *found_r true. *found_r is false if the template is not one reference, and
 * if the scope's budget is exceeded. */
json_object *template_find(void *ctx, const struct json_template *t, const struct template_scope *scope,
                           bool *found_r);

/* The size of `value` as compact JSON, as template_render counts it. SIZE_MAX if that is more than `limit`,
 * or if the value is nested deeper than TEMPLATE_DEPTH_MAX. */
size_t template_json_size(json_object *value, size_t limit);
/* The same within a budget; SIZE_MAX also beyond that. */
size_t template_json_size_within(json_object *value, size_t limit, struct budget *budget);
/* The same with another limit of the depth. */
size_t template_json_size_at_depth(json_object *value, size_t limit, int depth);
