#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "fcgi/shared/recent_keys.h"

static bool add_key(struct idempotency_key_filter *filter, const id *workspace, const char *key)
{
    return idempotency_key_filter_add(filter, workspace, span_text(key));
}

Test(idempotency_key_filter, reports_keys_added_before)
{
    struct idempotency_key_filter *filter = calloc(1, sizeof *filter);
    /* fixed ids: the keys of random ones share a slot now and then */
    id mine, theirs;
    cr_assert(id_parse("01a21a8e-9589-709b-8d01-bb772838865a", 36, &mine));
    cr_assert(id_parse("01a21a8e-9589-709b-8d01-bb772838865b", 36, &theirs));
    cr_assert_not(add_key(filter, &mine, "a"));
    cr_assert(add_key(filter, &mine, "a"));
    cr_assert_not(add_key(filter, &mine, "b"));
    cr_assert_not(add_key(filter, &theirs, "a"));
    cr_assert(add_key(filter, &mine, "a"));
    free(filter);
}

Test(idempotency_key_filter, keeps_most_keys_with_few_false_positives)
{
    enum { MANY = IDEMPOTENCY_KEY_FILTER_SLOTS / 8 };
    struct idempotency_key_filter *filter = calloc(1, sizeof *filter);
    id workspace;
    cr_assert(id_parse("01a21a8e-9589-709b-8d01-bb772838865a", 36, &workspace));
    char key[32];
    int mistaken = 0, remembered = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        mistaken += add_key(filter, &workspace, key);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        remembered += add_key(filter, &workspace, key);
    }
    cr_assert_eq(mistaken, 0);
    cr_assert_gt(remembered, MANY * 3 / 4, "%d of %d", remembered, MANY);
    free(filter);
}
