#include <criterion/criterion.h>
#include <talloc.h>

#include "webhook/share.h"

enum { PLACES = 256 };

/* Each workspace takes what it may, in turns, until none may take more. Returns the free places. */
static size_t fill(struct webhook_shares *s, const id *workspaces, size_t n, size_t free)
{
    for (bool any = true; any;) {
        any = false;
        for (size_t i = 0; i < n; i++) {
            if (webhook_share_room(s, &workspaces[i], free) > 0) {
                webhook_share_add(s, &workspaces[i], 1);
                free--;
                any = true;
            }
        }
    }
    return free;
}

Test(share, leaves_as_much_free_as_each_workspace_has)
{
    void *ctx = talloc_new(NULL);
    id workspaces[20];
    for (size_t i = 0; i < 20; i++)
        workspaces[i] = id_new();
    for (size_t n = 1; n <= 20; n++) {
        struct webhook_shares *s = webhook_shares_new(ctx);
        size_t free = fill(s, workspaces, n, PLACES);
        id other = id_new();
        cr_assert(webhook_share_room(s, &other, free) > 0, "%zu workspaces", n);
        for (size_t i = 0; i < n; i++)
            cr_assert(webhook_share_used(s, &workspaces[i]) <= PLACES / (n + 1) + 1, "%zu workspaces", n);
    }
    talloc_free(ctx);
}

Test(share, room_is_what_can_be_taken_one_after_the_other)
{
    void *ctx = talloc_new(NULL);
    for (size_t used = 0; used < 20; used++) {
        for (size_t free = 0; free < 20; free++) {
            struct webhook_shares *s = webhook_shares_new(ctx);
            id workspace = id_new();
            size_t taken = 0;
            if (used > 0)
                webhook_share_add(s, &workspace, used);
            while (used + taken < free - taken && taken < free)
                taken++;
            cr_assert_eq(webhook_share_room(s, &workspace, free), taken, "used %zu, free %zu", used, free);
        }
    }
    talloc_free(ctx);
}

Test(share, forgets_workspaces_without_requests)
{
    void *ctx = talloc_new(NULL);
    struct webhook_shares *s = webhook_shares_new(ctx);
    id a = id_new(), b = id_new();
    webhook_share_add(s, &a, 3);
    webhook_share_add(s, &b, 2);
    webhook_share_remove(s, &a, 3);
    webhook_share_remove(s, &a, 1);
    cr_assert_eq(webhook_share_used(s, &a), 0U);
    cr_assert_eq(webhook_share_used(s, &b), 2U);
    webhook_share_remove(s, &b, 1);
    cr_assert_eq(webhook_share_used(s, &b), 1U);
    talloc_free(ctx);
}
