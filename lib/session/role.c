#include "session/role.h"

#include <stddef.h>
#include <string.h>

#include "base/scopes.h"

#define READ                                                                                                 \
    (SCOPE_WORKFLOWS_READ | SCOPE_SKILLS_READ | SCOPE_EXECUTIONS_READ | SCOPE_FILES_READ |                   \
     SCOPE_CREDITS_READ | SCOPE_SCHEDULES_READ | SCOPE_WEBHOOKS_READ | SCOPE_BUDGETS_READ)

static const struct {
    const char *name;
    uint32_t scopes;
} roles[] = {
    [ROLE_VIEWER] = {"viewer", READ | SCOPE_OPERATOR_READ},
    [ROLE_OPERATOR] = {"operator", READ | SCOPE_OPERATOR_READ | SCOPE_OPERATOR_WRITE |
                                       SCOPE_WORKFLOWS_EXECUTE | SCOPE_SKILLS_EXECUTE |
                                       SCOPE_SCHEDULES_WRITE | SCOPE_WEBHOOKS_WRITE},
    [ROLE_BILLING] = {"billing", SCOPE_CREDITS_READ | SCOPE_BUDGETS_READ | SCOPE_WORKFLOWS_READ |
                                     SCOPE_SKILLS_READ | SCOPE_OPERATOR_READ},
    [ROLE_ADMIN] = {"admin", SCOPES_KNOWN | SCOPE_OPERATOR_READ | SCOPE_OPERATOR_WRITE},
};
enum { ROLES = sizeof roles / sizeof roles[0] };

const char *role_name(enum role role)
{
    return (unsigned)role < ROLES ? roles[role].name : NULL;
}

bool role_parse(const char *name, enum role *role_r)
{
    for (int i = ROLE_VIEWER; i < ROLES; i++) {
        if (strcmp(roles[i].name, name) == 0) {
            *role_r = (enum role)i;
            return true;
        }
    }
    return false;
}

uint32_t role_scopes(enum role role)
{
    return (unsigned)role < ROLES ? roles[role].scopes : 0;
}
