/* The order in which grants are used, what a debit takes from them, and what the account's row keeps of them.
 */
#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "account/grants.h"

enum { CREDIT = 1000000 };

static struct account account;

/* The account has its grants open, and they are in the order in which they are added. */
static void begin(void)
{
    account = (struct account){
        .workspace_id = id_new(), .now_ms = 1000, .grants = talloc_zero(NULL, struct account_grants)};
}

static void end(void)
{
    talloc_free(account.grants);
}

static id add(enum grant_category category, int priority, int64_t credits, int64_t from_ms, int64_t until_ms)
{
    const struct grant g = {.id = id_new(),
                            .category = category,
                            .priority = priority,
                            .amount = credits * CREDIT,
                            .effective_ms = from_ms,
                            .expires_ms = until_ms};
    cr_assert_eq(account_add_grant(&account, &g, 0), OK);
    return g.id;
}

static const struct grant *at(size_t i)
{
    return &account.grants->list[i];
}

Test(grants, are_used_by_priority_expiry_category_and_age, .init = begin, .fini = end)
{
    id paid_young = add(GRANT_PAID, 50, 1, 900, 0);
    id paid_old = add(GRANT_PAID, 50, 1, 800, 0);
    id promotional = add(GRANT_PROMOTIONAL, 50, 1, 900, 0);
    id expires_late = add(GRANT_PAID, 50, 1, 900, 9000);
    id expires_soon = add(GRANT_PAID, 50, 1, 900, 8000);
    id first = add(GRANT_PAID, 0, 1, 900, 0);
    const id *order[] = {&first, &expires_soon, &expires_late, &promotional, &paid_old, &paid_young};
    cr_assert_eq(account.balance, 6 * CREDIT);
    cr_assert_eq(account.next_change_ms, 8000);
    for (size_t i = 0; i < 6; i++) {
        id debit = id_new(), from;
        cr_assert(id_equal(&account.head_grant, order[i]), "%zu", i);
        from = account_debit(&account, &debit, CREDIT);
        cr_assert(id_equal(&from, order[i]), "%zu", i);
    }
    cr_assert_eq(account.balance, 0);
    cr_assert_eq(account.head_remaining, 0);
    cr_assert_not(id_is_set(&account.head_grant));
    cr_assert_eq(account.next_change_ms, 0);
    cr_assert_not(account_covers(&account, 1));
    cr_assert(account_covers(&account, 0));
}

Test(grants, a_debit_of_several_grants_has_parts_whose_sum_it_is, .init = begin, .fini = end)
{
    id debit = id_new();
    add(GRANT_PAID, 1, 1, 900, 0);
    add(GRANT_PAID, 2, 2, 900, 0);
    id third = add(GRANT_PAID, 3, 3, 900, 0);
    id from = account_debit(&account, &debit, 4 * CREDIT + 1);
    cr_assert_not(id_is_set(&from));
    cr_assert_eq(account.grants->parts_n, 3);
    const int64_t parts[] = {-CREDIT, -2 * CREDIT, -CREDIT - 1};
    for (size_t i = 0; i < 3; i++) {
        cr_assert(id_equal(&account.grants->parts[i].ledger_id, &debit));
        cr_assert_eq(account.grants->parts[i].amount, parts[i]);
    }
    cr_assert(id_equal(&account.head_grant, &third));
    cr_assert_eq(account.head_remaining, 2 * CREDIT - 1);
    cr_assert_eq(account.balance, 2 * CREDIT - 1);
    cr_assert_not(account_covers(&account, 2 * CREDIT));
}

Test(grants, a_closed_account_spends_its_head_grant_only)
{
    struct account a = {.balance = 5 * CREDIT, .head_grant = id_new(), .head_remaining = 2 * CREDIT};
    id debit = id_new(), head = a.head_grant;
    cr_assert(account_covers(&a, 2 * CREDIT));
    cr_assert_not(account_covers(&a, 2 * CREDIT + 1), "the other grants were not read");
    id from = account_debit(&a, &debit, 2 * CREDIT);
    cr_assert(id_equal(&from, &head));
    cr_assert_eq(a.head_remaining, 0);
    cr_assert_eq(a.balance, 3 * CREDIT);
    cr_assert_null(a.grants);
}

Test(grants, a_future_grant_is_not_in_the_balance, .init = begin, .fini = end)
{
    add(GRANT_PAID, 50, 7, 2000, 3000);
    cr_assert_eq(account.balance, 0);
    cr_assert_eq(account.next_change_ms, 2000);
    cr_assert_eq(account.grants->entries_n, 0);
    cr_assert_not(account_covers(&account, 1));
    cr_assert_eq(at(0)->state, GRANT_SCHEDULED);
    cr_assert_eq(at(0)->remaining, 7 * CREDIT);
}

Test(grants, stay_far_below_64_bits, .init = begin, .fini = end)
{
    struct grant g = {
        .id = id_new(), .category = GRANT_PAID, .amount = GRANTS_TOTAL_MAX - 10, .effective_ms = 2000};
    cr_assert_eq(account_add_grant(&account, &g, 0), OK);
    g.id = id_new();
    g.amount = 11;
    cr_assert_eq(account_add_grant(&account, &g, 0), ERR_LIMIT, "what is scheduled counts");
    g.amount = 10;
    g.effective_ms = 1;
    cr_assert_eq(account_add_grant(&account, &g, 0), OK);
    g.id = id_new();
    g.amount = INT64_MAX;
    cr_assert_eq(account_add_grant(&account, &g, 0), ERR_LIMIT);
    cr_assert_eq(account.balance, 10);
    cr_assert_eq(account.grants->n, 2);
}

Test(grants, of_a_month_are_limited_with_those_that_are_scheduled_or_start_now, .init = begin, .fini = end)
{
    const struct ledger_entry started = {.kind = LEDGER_GRANT, .amount = 3}, other = {.amount = 100};
    const struct ledger_entry entries[] = {started, other};
    struct grant g = {.id = id_new(), .category = GRANT_PAID, .amount = 5, .effective_ms = 2000};
    cr_assert_eq(account_add_grant(&account, &g, GRANTS_TOTAL_MAX - 4), ERR_LIMIT);
    cr_assert_eq(account_add_grant(&account, &g, GRANTS_TOTAL_MAX - 5), OK);
    account.grants->entries = talloc_memdup(account.grants, entries, sizeof entries);
    account.grants->entries_n = 2;
    g = (struct grant){.id = id_new(), .category = GRANT_PAID, .amount = 7, .effective_ms = 1};
    cr_assert_eq(account_add_grant(&account, &g, GRANTS_TOTAL_MAX - 14), ERR_LIMIT);
    cr_assert_eq(account_add_grant(&account, &g, INT64_MAX), ERR_LIMIT);
    cr_assert_eq(account.balance, 0, "a refused grant changes nothing");
    cr_assert_eq(account_add_grant(&account, &g, GRANTS_TOTAL_MAX - 15), OK);
    cr_assert_eq(account.balance, 7);
}
