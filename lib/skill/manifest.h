/* A skill's manifest, skill.json: checked against docs/skill.schema.json and against rules that a JSON Schema
 * cannot express, then compiled. A compiled manifest is immutable, owns everything it needs, and may be read
 * by any number of threads. */
#pragma once

#include "schema/schema.h"
#include "workflow/template.h"
#include "json/json.h"
#include "json/json_problems.h"

enum {
    MANIFEST_BYTES_MAX = JSON_BODY_MAX,
    MANIFEST_SLUG_MAX = 64,
    /* bytes of the outputs of one run */
    MANIFEST_OUTPUT_MAX = 1024 * 1024,
    MANIFEST_ITERATIONS_DEFAULT = 10,
};

enum runner_type { RUNNER_COMMAND, RUNNER_MODEL };

struct manifest {
    const char *slug, *version, *name, *description;
    /* agents see it as a tool (docs/agents.md) */
    bool expose;
    json_object *inputs_document, *outputs_document;
    struct schema *inputs, *outputs;
    enum runner_type runner;
    int64_t timeout_ms, memory_mb;
    /* minimum price of a run in millionths of a credit; 0: the usual price */
    int64_t credits_micro;

    /* --- RUNNER_COMMAND --- */
    const char **argv;
    size_t argv_n;
    /* its process takes one job after another */
    bool warm;
    bool network;
    /* glob patterns of the files to keep; NULL: all files */
    const char **artifacts;
    size_t artifacts_n;

    /* --- RUNNER_MODEL --- */
    /* NULL: no system prompt */
    struct json_template *system;
    struct json_template *prompt;
    /* slugs of the skills that the model may call */
    const char **tools;
    size_t tools_n;
    int max_iterations;
    /* 0: not set */
    int64_t max_tokens;
    /* a number; NULL: not set */
    json_object *temperature;
};

/* Compiles the text of a manifest; *manifest_r is owned by ctx, also after a failure. ERR_INVALID with at
 * least one problem in `p`, which may be NULL if only the result matters; ERR_INTERNAL if the built-in schema
 * of manifests is unusable. */
enum err manifest_compile(void *ctx, const char *text, size_t size, struct manifest **manifest_r,
                          struct json_problems *p) WARN_UNUSED;
/* True if `slug` is a valid slug: 1 to MANIFEST_SLUG_MAX lower-case letters, digits and hyphens, no hyphen at
 * either end, and not "executions", which is reserved by the paths of the API. */
bool manifest_slug_fits(const char *slug);
