/* Skills and their executions as the JSON of the skills contract: every documented member is there, null
 * where there is nothing. */
#pragma once

#include "store/skill.h"
#include "store/skill_execution.h"
#include "json/json_write.h"

/* The execution, with inputs, outputs, artifacts and children. */
void view_skill_execution(struct json_write *w, const struct skill_execution *exec);

/* A skill, with those of `versions` that are its own; the manifest with `whole`. */
void view_skill(struct json_write *w, const struct skill *s, const struct skill_version *versions,
                size_t versions_n, bool whole);

/* What is particular to a skill's run, stored with it (executions.extra). */
struct skill_extra {
    const char *slug, *label;
    const char *model;                  /* the alias; NULL: none */
    const char *const *file_source_ids; /* as asked for */
    size_t file_source_ids_n;
    struct span idempotency_key; /* any octets; absent: none */
};
void skill_extra_write(struct json_write *w, const struct skill_extra *e);
