#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "fcgi/shared/slow_share.h"

enum { WORKERS = 8, LONG_MS = 600000, MOST = 256 };

static struct slow_share share = {.processors = 2};

static struct slow_share *shared_mapping(unsigned processors)
{
    struct slow_share *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(s, MAP_FAILED);
    s->processors = processors;
    return s;
}

static unsigned waiting(const struct slow_share *s)
{
    unsigned n;
    slow_share_places(s, &n);
    return n;
}

/* A process that waits for its turn in `slot`, and then exits with 0 without ending its place. */
static pid_t start_waiter(struct slow_share *s, int slot, const id *workspace)
{
    unsigned before = waiting(s);
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0)
        _exit(slow_share_begin(s, slot, workspace, WORKERS, MOST, LONG_MS) ? 0 : 1);
    while (waiting(s) == before)
        usleep(1000);
    return pid;
}

static int exit_status(pid_t pid)
{
    int status;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

Test(slow_share, a_workspace_runs_half_as_many_as_processors_while_others_are_active)
{
    id mine = id_new(), theirs = id_new();
    slow_share_note(&share, &theirs, clock_boot_ms() + LONG_MS);
    cr_assert(slow_share_begin(&share, 0, &mine, WORKERS, MOST, 0));
    cr_assert_not(slow_share_begin(&share, 1, &mine, WORKERS, MOST, 0), "one of two processors");
    cr_assert(slow_share_begin(&share, 1, &theirs, WORKERS, MOST, 0));
    slow_share_end(&share, 0);
    cr_assert(slow_share_begin(&share, 2, &mine, WORKERS, MOST, 0));
    cr_assert_eq(share.rejected, 1);
}

Test(slow_share, a_workspace_alone_runs_as_many_as_processors)
{
    id mine = id_new();
    slow_share_note(&share, &mine, clock_boot_ms());
    cr_assert(slow_share_begin(&share, 0, &mine, WORKERS, MOST, 0));
    cr_assert(slow_share_begin(&share, 1, &mine, WORKERS, MOST, 0));
    cr_assert_not(slow_share_begin(&share, 2, &mine, WORKERS, MOST, 0));
}

Test(slow_share, a_request_has_one_place)
{
    id mine = id_new();
    unsigned none;
    share.processors = 1;
    cr_assert(slow_share_begin(&share, 0, &mine, WORKERS, MOST, 0));
    cr_assert(slow_share_begin(&share, 0, &mine, WORKERS, MOST, 0));
    cr_assert_eq(slow_share_places(&share, &none), 1);
    slow_share_end(&share, 0);
    cr_assert_eq(slow_share_places(&share, &none), 0);
}

Test(slow_share, a_quarter_of_the_workers_stays_free_of_slow_requests)
{
    unsigned none;
    share.processors = 64;
    for (int slot = 0; slot < 2 * WORKERS; slot++) {
        id workspace = id_new();
        bool began = slow_share_begin(&share, slot, &workspace, WORKERS, MOST, 0);
        cr_assert_eq(began, slot < WORKERS - 2, "slot %d", slot);
    }
    cr_assert_eq(slow_share_places(&share, &none), WORKERS - 2);
}

Test(slow_share, a_workspace_leaves_places_to_others)
{
    id mine = id_new(), theirs = id_new();
    share.processors = 64;
    slow_share_note(&share, &theirs, clock_boot_ms() + LONG_MS);
    for (int slot = 0; slot < WORKERS / 2; slot++)
        cr_assert(slow_share_begin(&share, slot, &mine, WORKERS, MOST, 0));
    cr_assert_not(slow_share_begin(&share, 6, &mine, WORKERS, MOST, 0), "half of the workers");
    cr_assert(slow_share_begin(&share, 6, &theirs, WORKERS, MOST, 0));
}

Test(slow_share, one_worker_serves_slow_requests_one_by_one)
{
    id mine = id_new();
    cr_assert(slow_share_begin(&share, 0, &mine, 1, MOST, 0));
    cr_assert_not(slow_share_begin(&share, 1, &mine, 1, MOST, 0));
}

Test(slow_share, turns_come_in_the_order_of_the_requests, .timeout = 60)
{
    struct slow_share *s = shared_mapping(1);
    id mine = id_new();
    cr_assert(slow_share_begin(s, 0, &mine, WORKERS, MOST, 0));
    pid_t first = start_waiter(s, 2, &mine), second = start_waiter(s, 1, &mine);
    slow_share_end(s, 0);
    cr_assert_eq(exit_status(first), 0);
    cr_assert_eq(waiting(s), 1, "the second waits for the first");
    slow_share_end(s, 2);
    cr_assert_eq(exit_status(second), 0);
}

Test(slow_share, the_place_of_a_killed_worker_is_ended_for_it, .timeout = 60)
{
    struct slow_share *s = shared_mapping(1);
    id mine = id_new();
    cr_assert(slow_share_begin(s, 0, &mine, WORKERS, MOST, 0));
    pid_t killed = start_waiter(s, 1, &mine), next = start_waiter(s, 2, &mine);
    kill(killed, SIGKILL);
    cr_assert_eq(exit_status(killed), -1);
    slow_share_end(s, 1); /* as the master does */
    slow_share_end(s, 0);
    cr_assert_eq(exit_status(next), 0);
}

Test(slow_share, a_workspace_whose_read_was_slow_is_known_for_a_while)
{
    static struct slow_share fresh;
    id mine = id_new(), theirs = id_new();
    cr_assert_not(slow_share_is_reader(&fresh, &mine, 1000));
    slow_share_note_reader(&fresh, &mine, 1000);
    cr_assert(slow_share_is_reader(&fresh, &mine, 1000 + SLOW_SHARE_READER_MS - 1));
    cr_assert_not(slow_share_is_reader(&fresh, &mine, 1000 + SLOW_SHARE_READER_MS));
    cr_assert_not(slow_share_is_reader(&fresh, &theirs, 1000));
}

Test(slow_share, remembers_for_a_while_that_the_reads_of_a_workspace_were_delayed)
{
    static struct slow_share fresh;
    id mine = id_new(), theirs = id_new();
    cr_assert_not(slow_share_is_delayed(&fresh, &mine, 1000));
    slow_share_note_delayed(&fresh, &mine, 1000);
    cr_assert(slow_share_is_delayed(&fresh, &mine, 1000 + SLOW_SHARE_READER_MS - 1));
    cr_assert_not(slow_share_is_delayed(&fresh, &mine, 1000 + SLOW_SHARE_READER_MS));
    cr_assert_not(slow_share_is_delayed(&fresh, &theirs, 1000));
    cr_assert_not(slow_share_is_reader(&fresh, &mine, 1000), "that is not a slow reader");
}

Test(slow_share, forgets_the_workspace_whose_place_another_one_takes)
{
    static struct slow_share fresh;
    id mine = id_new(), theirs;
    do
        theirs = id_new();
    while (id_hash_nonzero(&theirs) % SLOW_SHARE_READERS != id_hash_nonzero(&mine) % SLOW_SHARE_READERS);
    slow_share_note_delayed(&fresh, &mine, 1000);
    slow_share_note_reader(&fresh, &theirs, 1000);
    cr_assert_not(slow_share_is_delayed(&fresh, &theirs, 1000));
    cr_assert_not(slow_share_is_delayed(&fresh, &mine, 1000));
}

Test(slow_share, a_workspace_runs_no_more_than_its_own_limit)
{
    static struct slow_share fresh = {.processors = 8};
    id mine = id_new();
    cr_assert(slow_share_begin(&fresh, 0, &mine, WORKERS, 2, 0));
    cr_assert(slow_share_begin(&fresh, 1, &mine, WORKERS, 2, 0));
    cr_assert_not(slow_share_begin(&fresh, 2, &mine, WORKERS, 2, 0));
    slow_share_end(&fresh, 0);
    cr_assert(slow_share_begin(&fresh, 2, &mine, WORKERS, 2, 0));
}
