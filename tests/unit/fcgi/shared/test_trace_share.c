#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/shared/trace_share.h"

Test(trace_share, a_workspace_has_so_many_runs_a_minute)
{
    static struct trace_share share;
    id a = id_new(), b = id_new();
    while (id_hash(&a) % TRACE_SHARE_SLOTS == id_hash(&b) % TRACE_SHARE_SLOTS)
        b = id_new();
    for (int minute = 0; minute < 3; minute++) {
        cr_assert(trace_share_take(&share, &a, 2, 60000 * minute));
        cr_assert(trace_share_take(&share, &a, 2, 60000 * minute + 59999));
        cr_assert(!trace_share_take(&share, &a, 2, 60000 * minute + 59999));
        cr_assert(trace_share_take(&share, &b, 1, 60000 * minute));
    }
    cr_assert(!trace_share_take(&share, &a, 0, 1000000));
}
