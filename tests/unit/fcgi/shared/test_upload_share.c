#include <criterion/criterion.h>

#include "fcgi/shared/upload_share.h"

enum { WORKERS = 8 };

static struct upload_share share;

Test(upload_share, a_workspace_bursts_to_three_quarters_of_the_workers)
{
    id mine = id_new(), theirs = id_new();
    for (int slot = 0; slot < 6; slot++)
        cr_assert(upload_share_begin(&share, slot, &mine, WORKERS, 256, 1));
    cr_assert_not(upload_share_begin(&share, 6, &mine, WORKERS, 256, 1));
    cr_assert(upload_share_begin(&share, 6, &theirs, WORKERS, 256, 1), "it has no upload in progress");
    cr_assert_not(upload_share_begin(&share, 7, &theirs, WORKERS, 256, 1));
    upload_share_end(&share, 0);
    upload_share_end(&share, 1);
    cr_assert(upload_share_begin(&share, 7, &theirs, WORKERS, 256, 1));
}

Test(upload_share, one_upload_is_always_allowed)
{
    id mine = id_new();
    cr_assert(upload_share_begin(&share, 0, &mine, 1, 256, 1));
    cr_assert_not(upload_share_begin(&share, 1, &mine, 1, 256, 1));
    upload_share_end(&share, 0);
    cr_assert(upload_share_begin(&share, 1, &mine, 1, 256, 1));
}

Test(upload_share, a_workspace_has_no_more_than_its_own_limit)
{
    static struct upload_share fresh;
    id mine = id_new();
    cr_assert(upload_share_begin(&fresh, 0, &mine, WORKERS, 2, 1));
    cr_assert(upload_share_begin(&fresh, 1, &mine, WORKERS, 2, 1));
    cr_assert_not(upload_share_begin(&fresh, 2, &mine, WORKERS, 2, 1));
}

Test(upload_share, a_workspace_whose_minimum_was_raised_takes_the_last_quarter)
{
    static struct upload_share fresh;
    id mine = id_new(), theirs = id_new();
    for (int slot = 0; slot < 6; slot++)
        cr_assert(upload_share_begin(&fresh, slot, &theirs, WORKERS, 256, 1));
    cr_assert(upload_share_begin(&fresh, 6, &mine, WORKERS, 256, 2));
    cr_assert(upload_share_begin(&fresh, 7, &mine, WORKERS, 256, 2));
    upload_share_end(&fresh, 0);
    cr_assert_not(upload_share_begin(&fresh, 0, &mine, WORKERS, 256, 2), "it has its minimum");
}
