#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/shared/shared_answer.h"

static struct shared_answer *answer;

static void make(void)
{
    answer = calloc(1, sizeof *answer);
}

static void drop(void)
{
    free(answer);
}

TestSuite(shared_answer, .init = make, .fini = drop);

static bool has(int64_t key, int64_t now_ms, const char *want)
{
    size_t size = 0;
    char *got = shared_answer_get(answer, NULL, key, now_ms, &size);
    bool is_it = got && strcmp(got, want) == 0 && size == strlen(want);
    talloc_free(got);
    return is_it;
}

Test(shared_answer, is_kept_for_a_multiple_of_its_reading)
{
    cr_assert_not(has(7, 1000, ""), "there is none yet");
    shared_answer_put(answer, 7, 1000, 1020, "{}", 2);
    cr_assert(has(7, 1020, "{}"));
    cr_assert(has(7, 1020 + 20 * SHARED_ANSWER_TIMES - 1, "{}"));
    cr_assert_not(has(7, 1020 + 20 * SHARED_ANSWER_TIMES, "{}"), "it is too old");
    cr_assert_not(has(8, 1020, "{}"), "something else was asked for");
    shared_answer_put(answer, 8, 2000, 4000, "[]", 2);
    cr_assert(has(8, 4000 + SHARED_ANSWER_MAX_MS - 1, "[]"));
    cr_assert_not(has(8, 4000 + SHARED_ANSWER_MAX_MS, "[]"));
}

Test(shared_answer, what_is_fast_or_large_is_not_kept)
{
    static char large[SHARED_ANSWER_BYTES + 1];
    shared_answer_put(answer, 7, 1000, 1000 + SHARED_ANSWER_SLOW_MS - 1, "{}", 2);
    cr_assert_not(has(7, 1005, "{}"));
    shared_answer_put(answer, 7, 1000, 1100, large, sizeof large);
    cr_assert_not(has(7, 1100, ""));
}

Test(shared_answer, a_change_ends_it_and_readings_that_have_begun)
{
    shared_answer_put(answer, 7, 1000, 1100, "{}", 2);
    shared_answer_drop(answer, 1200);
    cr_assert_not(has(7, 1200, "{}"));
    shared_answer_put(answer, 7, 1150, 1300, "{}", 2);
    cr_assert_not(has(7, 1300, "{}"));
    shared_answer_put(answer, 7, 1201, 1300, "[]", 2);
    cr_assert(has(7, 1300, "[]"));
}

Test(shared_answer, a_worker_that_died_while_it_wrote_blocks_nobody_for_long)
{
    atomic_store(&answer->writing_ms, 1000);
    atomic_store(&answer->version, 5);
    shared_answer_put(answer, 7, 1000, 1100, "{}", 2);
    cr_assert_not(has(7, 1100, "{}"));
    shared_answer_put(answer, 7, 1900, 1000 + SHARED_ANSWER_LOST_MS, "{}", 2);
    cr_assert(has(7, 2000, "{}"));
}
