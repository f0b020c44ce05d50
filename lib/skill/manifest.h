/* A skill's manifest, skill.json: checked against docs/skill.schema.json and the rules that a schema cannot
 * say, and compiled. A compiled manifest is immutable and owns all that it needs; any number of threads may
 * read it. */
#pragma once

#include "schema/schema.h"
#include "workflow/template.h"
#include "json/json.h"
#include "json/json_problems.h"

enum {
    MANIFEST_BYTES_MAX = JSON_BODY_MAX,
    MANIFEST_SLUG_MAX = 64,
    MANIFEST_OUTPUT_MAX = 1024 * 1024, /* bytes of a run's outputs */
    MANIFEST_ITERATIONS_DEFAULT = 10,
};

enum runner_type { RUNNER_COMMAND, RUNNER_MODEL };

struct manifest {
    const char *slug, *version, *name, *description;
    json_object *inputs_document, *outputs_document;
    struct schema *inputs, *outputs;
    enum runner_type runner;
    int64_t timeout_ms, memory_mb;
    int64_t credits_micro; /* at least this much is charged; 0: the usual price */

    /* command */
    const char **argv;
    size_t argv_n;
    bool network;
    const char **artifacts; /* globs; NULL: every file */
    size_t artifacts_n;

    /* model */
    struct json_template *system; /* NULL: none */
    struct json_template *prompt;
    const char **tools; /* slugs */
    size_t tools_n;
    int max_iterations;
    int64_t max_tokens;       /* 0: not said */
    json_object *temperature; /* a number; NULL: not said */
};

/* OK, or ERR_INVALID with at least one problem (`p` may be NULL where only the answer counts). */
enum err manifest_compile(void *ctx, const char *text, size_t size, struct manifest **manifest_r,
                          struct json_problems *p) WARN_UNUSED;
/* Whether a text may be the slug of a skill in a path. */
bool manifest_slug_fits(const char *slug);
