/* The scopes of an API key: names in the API, bits in the column api_keys.scopes. The bits are stored in the
 * database, so they must never be renumbered. */
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
    SCOPE_SCHEDULES_READ = 1 << 10,
    SCOPE_SCHEDULES_WRITE = 1 << 11,
    SCOPE_WEBHOOKS_READ = 1 << 12,
    SCOPE_WEBHOOKS_WRITE = 1 << 13,
    SCOPE_BUDGETS_READ = 1 << 14,
    SCOPE_BUDGETS_WRITE = 1 << 15,
    SCOPE_CREDITS_WRITE = 1 << 16,
    SCOPES_KNOWN = (1 << 17) - 1,
    /* What "all" means: whoever may give itself credits is named. */
    SCOPES_ALL = SCOPES_KNOWN & ~SCOPE_CREDITS_WRITE,
    /* Of operators' sessions only (lib/session/role.h); no API key has them. */
    SCOPE_OPERATOR_READ = 1 << 29,
    SCOPE_OPERATOR_WRITE = 1 << 30,
};

/* "workflows:read" ...; NULL if `scope` is not exactly one scope. Static memory. */
const char *scope_name(enum scope scope);
/* Parses a comma-separated list of scope names, or "all", which is every scope but credits:write. Returns
 * false if a name is unknown or the list is empty. */
bool scopes_parse(const char *text, uint32_t *scopes_r);
/* Whether one of the scopes is for writing: its name ends with ":write". */
bool scopes_have_write(uint32_t scopes);
/* The names of the scopes, comma-separated; a new string of ctx. */
const char *scopes_text(void *ctx, uint32_t scopes);
