#include <criterion/criterion.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/backoff.h"

enum { HOUR_MS = 3600 * 1000 };

Test(backoff, doubles_and_stays_below_its_limit)
{
    cr_expect_eq(backoff_at_ms(2000, 1, HOUR_MS, 0.5), 2000);
    cr_expect_eq(backoff_at_ms(2000, 2, HOUR_MS, 0.5), 4000);
    cr_expect_eq(backoff_at_ms(2000, 1, HOUR_MS, 0), 1600);
    cr_expect_leq(backoff_at_ms(2000, 3, HOUR_MS, 0.999), 9600);
    cr_expect_eq(backoff_at_ms(HOUR_MS, 9, HOUR_MS, 0.9), HOUR_MS);
    cr_expect_eq(backoff_at_ms(0, 9, HOUR_MS, 0.9), 0);
    cr_expect_eq(backoff_at_ms(1000, 10000, HOUR_MS, 0), HOUR_MS);
}

Test(backoff, draws_from_the_whole_range)
{
    int64_t least = INT64_MAX;
    int64_t most = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t ms = backoff_ms(100000, 1, HOUR_MS);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    /* within ±20 %, and (but for a chance of 1e-200) near both ends */
    cr_expect_geq(least, 80000);
    cr_expect_leq(least, 82000);
    cr_expect_geq(most, 118000);
    cr_expect_leq(most, 120000);
}

enum { DRAWS = 16 };

/* What a process draws that is forked now. */
static void draw_in_child(int64_t draws[DRAWS])
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < DRAWS; i++)
            draws[i] = backoff_ms(1000000, 1, HOUR_MS);
        size_t size = DRAWS * sizeof draws[0];
        _exit(write(ends[1], draws, size) == (ssize_t)size ? 0 : 1);
    }
    close(ends[1]);
    cr_assert_eq(read(ends[0], draws, DRAWS * sizeof draws[0]), (ssize_t)(DRAWS * sizeof draws[0]));
    close(ends[0]);
    int status;
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0);
}

Test(backoff, two_processes_draw_differently)
{
    int64_t a[DRAWS];
    int64_t b[DRAWS];
    (void)backoff_ms(1000, 1, HOUR_MS); /* a generator with a state in memory would be seeded now */
    draw_in_child(a);
    draw_in_child(b);
    cr_expect_neq(memcmp(a, b, sizeof a), 0);
}
