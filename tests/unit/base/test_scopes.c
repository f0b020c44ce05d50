#include <criterion/criterion.h>
#include <talloc.h>

#include "base/scopes.h"

Test(scopes, bit_values_are_stable)
{
    cr_expect_str_eq(scope_name(1), "workflows:read");
    cr_expect_str_eq(scope_name(SCOPE_WORKFLOWS_EXECUTE), "workflows:execute");
    cr_expect_str_eq(scope_name(1 << 9), "credits:read");
    cr_expect_str_eq(scope_name(1 << 10), "schedules:read");
    cr_expect_str_eq(scope_name(1 << 11), "schedules:write");
    cr_expect_str_eq(scope_name(1 << 12), "webhooks:read");
    cr_expect_str_eq(scope_name(1 << 13), "webhooks:write");
    cr_expect_str_eq(scope_name(1 << 14), "budgets:read");
    cr_expect_str_eq(scope_name(1 << 15), "budgets:write");
    cr_expect_str_eq(scope_name(1 << 16), "credits:write");
    cr_expect_null(scope_name((enum scope)(1 << 17)));
    cr_expect_null(scope_name((enum scope)3));
    cr_expect_null(scope_name((enum scope)0));
}

Test(scopes, parses_and_formats_lists)
{
    void *ctx = talloc_new(NULL);
    uint32_t scopes;
    cr_assert(scopes_parse("all", &scopes));
    cr_expect_eq(scopes, SCOPES_ALL);
    cr_expect_eq(scopes & SCOPE_CREDITS_WRITE, 0, "nobody gets it without its name");
    uint32_t again;
    cr_assert(scopes_parse(scopes_text(ctx, SCOPES_ALL), &again));
    cr_expect_eq(again, SCOPES_ALL);
    cr_assert(scopes_parse("credits:read,workflows:read,credits:read", &scopes));
    cr_expect_eq(scopes, SCOPE_CREDITS_READ | SCOPE_WORKFLOWS_READ);
    cr_expect_str_eq(scopes_text(ctx, scopes), "workflows:read,credits:read");
    static const char *const bad[] = {"",
                                      "all,credits:read",
                                      "credits",
                                      "credits:read,",
                                      ",credits:read",
                                      "Credits:read",
                                      "credits:read, files:read"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect(!scopes_parse(bad[i], &scopes), "%s", bad[i]);
    talloc_free(ctx);
}

Test(scopes, tells_which_are_for_writing)
{
    cr_expect(!scopes_have_write(0));
    cr_expect(!scopes_have_write(SCOPE_WEBHOOKS_READ | SCOPE_CREDITS_READ | SCOPE_OPERATOR_READ));
    cr_expect(!scopes_have_write(SCOPE_WORKFLOWS_EXECUTE | SCOPE_EXECUTIONS_PURGE));
    cr_expect(scopes_have_write(SCOPE_WORKFLOWS_WRITE));
    cr_expect(scopes_have_write(SCOPE_WEBHOOKS_READ | SCOPE_WEBHOOKS_WRITE));
    cr_expect(scopes_have_write(SCOPE_CREDITS_WRITE));
    cr_expect(scopes_have_write(SCOPE_OPERATOR_WRITE));
}
