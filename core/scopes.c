#include "core/scopes.h"

#include <string.h>
#include <talloc.h>

static const char *const names[SCOPES] = {
    "workflows:read",  "workflows:write",  "workflows:execute", "skills:read", "skills:execute",
    "executions:read", "executions:purge", "files:read",        "files:write", "credits:read",
};

const char *scope_name(uint32_t set)
{
    for (int i = 0; i < SCOPES; i++) {
        if (set & (1U << i))
            return names[i];
    }
    return NULL;
}

const char *scopes_text(void *ctx, uint32_t set)
{
    char *text = talloc_strdup(ctx, "");
    for (int i = 0; i < SCOPES; i++) {
        if (set & (1U << i))
            text = talloc_asprintf_append_buffer(text, "%s%s", *text ? "," : "", names[i]);
    }
    return text;
}

static uint32_t scope_find(const char *name, size_t size)
{
    if (size == 3 && memcmp(name, "all", 3) == 0)
        return SCOPES_ALL;
    for (int i = 0; i < SCOPES; i++) {
        if (strlen(names[i]) == size && memcmp(names[i], name, size) == 0)
            return 1U << i;
    }
    return 0;
}

bool scopes_parse(void *ctx, const char *list, uint32_t *set_r, const char **wrong_r)
{
    *set_r = 0;
    for (const char *p = list; *p;) {
        size_t n = strcspn(p, ", ");
        uint32_t scope = scope_find(p, n);
        if (n > 0 && scope == 0) {
            *wrong_r = talloc_strndup(ctx, p, n);
            return false;
        }
        *set_r |= scope;
        p += n + (p[n] != '\0');
    }
    return true;
}
