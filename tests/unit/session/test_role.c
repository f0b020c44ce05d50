#include <criterion/criterion.h>
#include <string.h>

#include "base/scopes.h"
#include "session/operator.h"
#include "session/session.h"

Test(role, names_are_found_again)
{
    for (int i = ROLE_VIEWER; i <= ROLE_ADMIN; i++) {
        enum role role = 0;
        cr_assert(role_parse(role_name((enum role)i), &role));
        cr_assert_eq((int)role, i);
    }
    enum role role = ROLE_BILLING;
    cr_assert_not(role_parse("root", &role));
    cr_assert_not(role_parse("", &role));
    cr_assert_eq(role, ROLE_BILLING);
    cr_assert_null(role_name((enum role)(ROLE_ADMIN + 1)));
}

Test(role, an_unknown_role_may_do_nothing)
{
    cr_assert_eq(role_scopes((enum role)0), 0);
    cr_assert_eq(role_scopes((enum role)(ROLE_ADMIN + 1)), 0);
    cr_assert_eq(role_scopes((enum role) - 1), 0);
}

Test(role, only_operators_and_admins_write)
{
    cr_assert(role_scopes(ROLE_ADMIN) & SCOPE_OPERATOR_WRITE);
    cr_assert(role_scopes(ROLE_OPERATOR) & SCOPE_OPERATOR_WRITE);
    cr_assert_not(role_scopes(ROLE_OPERATOR) &
                  (SCOPE_WORKFLOWS_WRITE | SCOPE_EXECUTIONS_PURGE | SCOPE_FILES_WRITE));
    static const enum role readers[] = {ROLE_VIEWER, ROLE_BILLING};
    for (int i = 0; i < 2; i++) {
        const char *names = scopes_text(NULL, role_scopes(readers[i]));
        cr_assert_null(strstr(names, ":write"), "%s", names);
        cr_assert_null(strstr(names, ":execute"), "%s", names);
        cr_assert_null(strstr(names, ":purge"), "%s", names);
    }
}

Test(role, a_key_never_has_an_operators_scope)
{
    uint32_t scopes;
    cr_assert(scopes_parse("all", &scopes));
    cr_assert_eq(scopes & (SCOPE_OPERATOR_READ | SCOPE_OPERATOR_WRITE), 0);
    cr_assert_not(scopes_parse("operator:read", &scopes));
    cr_assert_str_eq(scopes_text(NULL, SCOPE_OPERATOR_READ | SCOPE_CREDITS_READ),
                     "credits:read,operator:read");
}

Test(operator, a_token_has_a_hash_of_its_own)
{
    static const char token[] = "op_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    uint8_t hash[API_KEY_HASH_SIZE], as_key[API_KEY_HASH_SIZE], as_cookie[SESSION_HASH_SIZE];
    operator_hash(token, sizeof token - 1, hash);
    api_key_hash(token, sizeof token - 1, as_key);
    session_hash(token, sizeof token - 1, as_cookie);
    cr_assert_neq(memcmp(hash, as_key, sizeof hash), 0);
    cr_assert_neq(memcmp(hash, as_cookie, sizeof hash), 0);
}
