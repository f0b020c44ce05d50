/* What a key may do: names of the contract as bits of api_keys.scopes. The bits are stored: never renumber,
 * only add. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum scope {
    SCOPE_WORKFLOWS_READ = 1 << 0,
    SCOPE_WORKFLOWS_WRITE = 1 << 1,
    SCOPE_WORKFLOWS_EXECUTE = 1 << 2,
    SCOPE_SKILLS_READ = 1 << 3,
    SCOPE_SKILLS_EXECUTE = 1 << 4,
    SCOPE_EXECUTIONS_READ = 1 << 5,
    SCOPE_EXECUTIONS_PURGE = 1 << 6,
    SCOPE_FILES_READ = 1 << 7,
    SCOPE_FILES_WRITE = 1 << 8,
    SCOPE_CREDITS_READ = 1 << 9,
};
enum { SCOPES = 10, SCOPES_ALL = (1 << SCOPES) - 1 };

/* "workflows:read" …; the lowest scope of a set. NULL for an empty one. */
const char *scope_name(uint32_t set);
/* The names of a set, comma-separated, of ctx. */
const char *scopes_text(void *ctx, uint32_t set);
/* A comma- or space-separated list; "all" is every scope. False where a name is none: it stands in *wrong_r,
 * of ctx. */
bool scopes_parse(void *ctx, const char *list, uint32_t *set_r, const char **wrong_r);
