#include "base/scopes.h"

#include <string.h>
#include <talloc.h>

static const char *const scope_names[] = {
    "workflows:read",  "workflows:write",  "workflows:execute", "skills:read",    "skills:execute",
    "executions:read", "executions:purge", "files:read",        "files:write",    "credits:read",
    "schedules:read",  "schedules:write",  "webhooks:read",     "webhooks:write", "budgets:read",
    "budgets:write",   "credits:write",
};
enum { SCOPE_NAMES = sizeof scope_names / sizeof scope_names[0] };
_Static_assert(SCOPES_KNOWN == (1 << SCOPE_NAMES) - 1, "each scope needs a name");

const char *scope_name(enum scope scope)
{
    if (scope == SCOPE_OPERATOR_READ)
        return "operator:read";
    if (scope == SCOPE_OPERATOR_WRITE)
        return "operator:write";
    for (int i = 0; i < SCOPE_NAMES; i++) {
        if ((unsigned)scope == 1U << i)
            return scope_names[i];
    }
    return NULL;
}

static uint32_t scope_of(const char *name, size_t size)
{
    for (int i = 0; i < SCOPE_NAMES; i++) {
        if (strlen(scope_names[i]) == size && memcmp(scope_names[i], name, size) == 0)
            return 1U << i;
    }
    return 0;
}

bool scopes_parse(const char *text, uint32_t *scopes_r)
{
    *scopes_r = SCOPES_ALL;
    if (strcmp(text, "all") == 0)
        return true;
    *scopes_r = 0;
    for (;; text++) {
        size_t size = strcspn(text, ",");
        uint32_t bit = scope_of(text, size);
        *scopes_r |= bit;
        text += size;
        if (!bit || !*text)
            return bit != 0;
    }
}

bool scopes_have_write(uint32_t scopes)
{
    for (int i = 0; i < 31; i++) {
        const char *name = scopes & 1U << i ? scope_name((enum scope)(1U << i)) : NULL;
        if (name && strcmp(strchr(name, ':'), ":write") == 0)
            return true;
    }
    return false;
}

const char *scopes_text(void *ctx, uint32_t scopes)
{
    char *text = talloc_strdup(ctx, "");
    for (int i = 0; i < 31; i++) {
        const char *name = scopes & 1U << i ? scope_name((enum scope)(1U << i)) : NULL;
        if (name)
            text = talloc_asprintf_append_buffer(text, "%s%s", *text ? "," : "", name);
    }
    return text;
}
