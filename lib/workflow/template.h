/* Templates: JSON with `${pointer}` references in its strings, compiled once and rendered against a run's
 * scope.
 *
 *   ${/inputs/email}   an RFC 6901 pointer into {inputs, steps, item, index, execution, secrets}
 *   $${                the two characters ${
 *
 * A string that is one reference and nothing else keeps the value's type; beside other text a value is
 * written as text: strings as they are, everything else as compact JSON. Member names are no templates. A
 * pointer ends at the first }.
 *
 * A compiled template is immutable: any number of threads may render it. It holds copies, nothing of the
 * document that it was made from. Rendering copies too: no part of the scope is shared with the result. A
 * scope belongs to one thread. Failure: compiling adds to a list of problems; rendering returns ERR_NOT_FOUND
 * (a reference finds nothing), ERR_LIMIT (too large or too deep) or ERR_INVALID (a value that must not stand
 * there), with a sentence. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "json/json_problems.h"

enum {
    TEMPLATE_RESULT_MAX = 256 * 1024, /* bytes of compact JSON that one rendering may make */
    TEMPLATE_DEPTH_MAX = 64,     /* levels of nesting in a rendering: what is stored must be parsed again */
    TEMPLATE_POINTER_MAX = 1024, /* bytes of one pointer */
};

enum reference_root { REF_INPUTS, REF_STEPS, REF_ITEM, REF_INDEX, REF_EXECUTION, REF_SECRETS };

struct reference {
    enum reference_root root;
    const char *pointer; /* as written: "/steps/look-up/result" */
    const char *rest;    /* what follows the root: "/look-up/result", "" for the root itself */
};

/* What the references of a template may point at: NULL where `r` is fine, else a sentence (static or of ctx).
 */
struct template_rules {
    const char *(*allow)(void *arg, void *ctx, const struct reference *r);
    void *arg;
};

enum template_form {
    TEMPLATE_VALUE,  /* any JSON */
    TEMPLATE_TEXT,   /* a string (or number or boolean): the result is text */
    TEMPLATE_URL,    /* text; http or https; values percent-encoded and only behind the authority */
    TEMPLATE_HEADER, /* text; CR, LF and NUL are errors */
};

struct json_template;

/* What a rendering sees. A NULL object finds nothing below it. */
struct template_scope {
    json_object *inputs;
    json_object *steps; /* {name: {result, status, error}} */
    json_object *execution;
    bool in_loop;      /* item and index are there */
    json_object *item; /* may be NULL: JSON null */
    int64_t index;
    /* The value of a secret, living as long as the rendering, or NULL. Called for each use: whoever keeps
     * what it handed out knows what to redact. NULL: there are no secrets here. */
    const char *(*secret)(void *arg, const char *name, size_t *size_r);
    void *secret_arg;
};

/* Compiles `value`, which stands at `pointer` of the caller's document. NULL: problems were added, each at
 * the string it is about. The document must not be nested deeper than JSON_DEPTH_MAX or so: this recurses. */
struct json_template *template_compile(void *ctx, json_object *value, enum template_form form,
                                       const char *pointer, const struct template_rules *rules,
                                       struct json_problems *problems) WARN_UNUSED;

/* Renders into at most `limit` bytes of compact JSON. The value belongs to ctx. */
enum err template_render(void *ctx, const struct json_template *t, const struct template_scope *scope,
                         size_t limit, json_object **value_r, const char **why_r) WARN_UNUSED;
/* The same with null in the place of references that find nothing: for conditions. */
enum err template_render_lenient(void *ctx, const struct json_template *t, const struct template_scope *scope,
                                 size_t limit, json_object **value_r, const char **why_r) WARN_UNUSED;
/* Renders a template of one of the text forms to `limit` bytes at most; NUL-terminated (and may hold NULs if
 * TEXT). */
enum err template_render_text(void *ctx, const struct json_template *t, const struct template_scope *scope,
                              size_t limit, char **text_r, size_t *size_r, const char **why_r) WARN_UNUSED;

/* Whether it is one reference and nothing else; what its result is, is known only in a run. */
bool template_is_reference(const struct json_template *t);
/* Whether there is no reference in it; *value_r is then its one result, which stays the template's. */
bool template_is_literal(const struct json_template *t, json_object **value_r);
/* Whether it refers to `root` anywhere. */
bool template_refers_to(const struct json_template *t, enum reference_root root);
/* What the one reference that it is points at, without a copy: it stays the scope's (index and secrets: of
 * ctx). JSON null is found and NULL; where the template is no single reference nothing is found. */
json_object *template_find(void *ctx, const struct json_template *t, const struct template_scope *scope,
                           bool *found_r);

/* Bytes of `value` as compact JSON, as template_render counts them, or SIZE_MAX where that is more than
 * `limit` or deeper than TEMPLATE_DEPTH_MAX. */
size_t template_json_size(json_object *value, size_t limit);

/* Appends to talloc string *text what stays as it is in a URL (RFC 3986 unreserved), the rest
 * percent-encoded. */
void uri_percent_encode(char **text, const char *value, size_t size);
