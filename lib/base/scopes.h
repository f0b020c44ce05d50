/* What a key may do: names in the contract, bits in api_keys.scopes. Bits are stored: never renumber. */
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
    SCOPES_ALL = (1 << 10) - 1,
};

/* "workflows:read" …; NULL for what is not exactly one scope. */
const char *scope_name(enum scope scope);
/* A comma-separated list of names, or "all". False where a name is none, or there is no name at all. */
bool scopes_parse(const char *text, uint32_t *scopes_r);
/* The names, comma-separated, of ctx. */
const char *scopes_text(void *ctx, uint32_t scopes);
