#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "fcgi/shared/recent_keys.h"

static bool note(struct recent_keys *keys, const id *workspace, const char *key)
{
    return recent_keys_note(keys, workspace, span_text(key));
}

Test(recent_keys, a_key_is_known_once_it_was_noted)
{
    struct recent_keys *keys = calloc(1, sizeof *keys);
    id mine = id_new();
    id theirs = id_new();
    cr_assert_not(note(keys, &mine, "a"));
    cr_assert(note(keys, &mine, "a"));
    cr_assert_not(note(keys, &mine, "b"));
    cr_assert_not(note(keys, &theirs, "a"));
    cr_assert(note(keys, &mine, "a"));
    free(keys);
}

Test(recent_keys, many_are_remembered_and_few_mistaken)
{
    enum { MANY = RECENT_KEYS / 8 };
    struct recent_keys *keys = calloc(1, sizeof *keys);
    id workspace = id_new();
    char key[32];
    int mistaken = 0, remembered = 0;
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        mistaken += note(keys, &workspace, key);
    }
    for (int i = 0; i < MANY; i++) {
        snprintf(key, sizeof key, "key-%d", i);
        remembered += note(keys, &workspace, key);
    }
    cr_assert_eq(mistaken, 0);
    cr_assert_gt(remembered, MANY * 3 / 4, "%d of %d", remembered, MANY);
    free(keys);
}
