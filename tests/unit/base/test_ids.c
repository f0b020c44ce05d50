#include <criterion/criterion.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"

Test(ids, are_uuid_version_7_of_this_millisecond)
{
    int64_t before_ms = clock_wall_ms();
    id i = id_new();
    int64_t after_ms = clock_wall_ms();
    cr_assert_eq(strlen(i.text), (size_t)ID_LENGTH);
    cr_assert_eq(i.text[14], '7');
    cr_assert(strchr("89ab", i.text[19]));
    cr_assert(id_ms(&i) >= before_ms && id_ms(&i) <= after_ms);
}

Test(ids, ascend_strictly_within_a_process)
{
    id last = id_new();
    for (int i = 0; i < 200000; i++) {
        id next = id_new();
        cr_assert(id_compare(&last, &next) < 0, "%s then %s", last.text, next.text);
        last = next;
    }
}

Test(ids, parse_folds_case_and_rejects_non_uuids)
{
    id i;
    cr_assert(id_parse("0198C0DE-1234-7ABC-8DEF-0123456789AB", 36, &i));
    cr_assert_str_eq(i.text, "0198c0de-1234-7abc-8def-0123456789ab");
    static const char *const wrong[] = {
        "",
        "0198c0de",
        "0198c0de-1234-7abc-8def-0123456789a",
        "0198c0de-1234-7abc-8def-0123456789abc",
        "0198c0de_1234-7abc-8def-0123456789ab",
        "0198c0de-1234-7abc-8def-0123456789ag",
        "0198c0de12347abc8def0123456789ab0000",
    };
    for (size_t k = 0; k < sizeof wrong / sizeof *wrong; k++) {
        cr_expect_not(id_parse(wrong[k], strlen(wrong[k]), &i), "%s", wrong[k]);
        cr_expect_not(id_is_set(&i));
    }
}

Test(ids, floor_is_the_lowest_id_of_its_millisecond)
{
    id now = id_new();
    id low = id_floor(id_ms(&now));
    id next = id_floor(id_ms(&now) + 1);
    cr_assert(id_compare(&low, &now) <= 0);
    cr_assert(id_compare(&now, &next) < 0);
    cr_assert_eq(id_ms(&low), id_ms(&now));
}

Test(ids, sorting_keeps_one_of_each_id)
{
    id ids[5] = {id_floor(3000), id_floor(1000), id_floor(3000), id_floor(2000), id_floor(1000)};
    id absent = id_floor(4000);
    cr_assert_eq(id_sort_distinct(ids, 5), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(id_ms(&ids[i]), 1000 * (i + 1));
    cr_assert_eq(id_sort_distinct(ids, 0), 0);
    cr_assert(id_search(ids, 3, &ids[1]));
    cr_assert_not(id_search(ids, 3, &absent));
    cr_assert_not(id_search(ids, 0, &absent));
    cr_assert(id_is_in(ids, 3, &ids[2]));
    cr_assert_not(id_is_in(ids, 2, &ids[2]));
    cr_assert_not(id_is_in(NULL, 0, &absent));
}

Test(ids, unset_ids_equal_only_each_other)
{
    id unset = {0}, other_unset = {0}, set = id_new();
    cr_assert(id_equal(&unset, &other_unset));
    cr_assert_not(id_equal(&unset, &set));
}

Test(ids, hashes_spread_over_a_small_table)
{
    unsigned used[64] = {0};
    for (int i = 0; i < 6400; i++) {
        id one = id_new();
        id same = one;
        cr_assert_eq(id_hash(&one), id_hash(&same));
        used[id_hash(&one) % 64]++;
    }
    for (int i = 0; i < 64; i++) /* 100 each on average */
        cr_assert(used[i] > 30 && used[i] < 300, "%u in place %d", used[i], i);
}

Test(ids, derived_ids_are_repeatable_distinct_and_ascend)
{
    id of = id_new(), other = id_new(), before = {0}, last = id_derive(&of, ID_DERIVED_MAX - 1);
    for (unsigned i = 0; i < ID_DERIVED_MAX; i++) {
        id one = id_derive(&of, i), again = id_derive(&of, i), elsewhere = id_derive(&other, i), parsed;
        cr_assert(id_equal(&one, &again), "%u", i);
        cr_assert_not(id_equal(&one, &elsewhere), "%u", i);
        cr_assert(id_parse(one.text, ID_LENGTH, &parsed) && id_equal(&one, &parsed));
        cr_assert_eq(one.text[14], '7');
        cr_assert(strchr("89ab", one.text[19]), "%s", one.text);
        cr_assert(id_compare(&before, &one) < 0, "%s is not behind %s", one.text, before.text);
        cr_assert_eq(id_ms(&one), id_ms(&of));
        id sibling = id_sibling(&last, i);
        cr_assert(id_equal(&sibling, &one), "%u", i);
        before = one;
    }
    id first = id_derive(&of, 0);
    cr_assert_str_eq(first.text + ID_LENGTH - ID_DERIVED_TAIL, before.text + ID_LENGTH - ID_DERIVED_TAIL);
}
