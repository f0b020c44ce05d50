/* What only a skill's run has, stored as JSON with the run (executions.extra). */
#pragma once

#include "base/span.h"

struct skill_extra {
    const char *slug;
    /* The version as the manifest names it. */
    const char *label;
    /* Alias of the model that the run uses; NULL: none. */
    const char *model;
    /* Names of the uploaded files, as requested. */
    const char *const *file_source_ids;
    size_t file_source_ids_n;
    /* Any octets; absent: none. */
    struct span idempotency_key;
};

/* The JSON object, allocated on ctx: {skill_slug, skill_version, model, file_source_ids, idempotency_key}.
 * Octets of the key that are not UTF-8 are read as ISO-8859-1. */
struct span skill_extra_json(void *ctx, const struct skill_extra *e);
