/* Roles of operators, and the scopes that each one has: the one table of them. The numbers are stored in the
 * column operators.role, so they must never be changed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum role { ROLE_VIEWER = 1, ROLE_OPERATOR, ROLE_BILLING, ROLE_ADMIN };

/* "viewer" …; NULL if there is no such role. Static memory. */
const char *role_name(enum role role);
/* False if there is no role of that name. */
bool role_parse(const char *name, enum role *role_r);
/* Scopes of lib/base/scopes.h; 0 for an unknown role. */
uint32_t role_scopes(enum role role);
