#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/sampler.h"

#define STATUS "Name:\tx\nRssAnon:\t   61440 kB\nRssShmem:\t       0 kB\nVmSwap:\t       0 kB\nThreads:\t1\n"
#define ROLLUP                                                                                               \
    "Rss:               61440 kB\nPss_Anon:           8000 kB\nPss_Shmem:          192 kB\nSwapPss:        " \
    "   0 kB\n"

enum { MIB = 1024 * 1024 };

static char root[] = "/tmp/millrace-sampler-XXXXXX";
static int proc_fd = -1;

static void write_text(const char *name, const char *text)
{
    int fd = openat(proc_fd, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* Two processes of 60 MiB each. */
static void make_proc(void)
{
    cr_assert(mkdtemp(root));
    proc_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    mkdirat(proc_fd, "2", 0700);
    mkdirat(proc_fd, "3", 0700);
    write_text("2/status", STATUS);
    write_text("3/status", STATUS);
}

static void remove_proc(void)
{
    static const char *const names[] = {"2/status", "2/smaps_rollup", "3/status", "3/smaps_rollup"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        unlinkat(proc_fd, names[i], 0);
    unlinkat(proc_fd, "2", AT_REMOVEDIR);
    unlinkat(proc_fd, "3", AT_REMOVEDIR);
    close(proc_fd);
    rmdir(root);
}

TestSuite(sampler, .init = make_proc, .fini = remove_proc);

Test(sampler, within_the_limit_pages_are_counted_for_each_process)
{
    struct runner_usage u;
    cr_assert(sampler_usage(proc_fd, 128 * MIB, &u));
    cr_assert_eq(u.memory_bytes, 120 * MIB);
    cr_assert_eq(u.processes, 2);
}

Test(sampler, beyond_it_shared_pages_are_divided)
{
    struct runner_usage u;
    write_text("2/smaps_rollup", ROLLUP);
    write_text("3/smaps_rollup", ROLLUP);
    cr_assert(sampler_usage(proc_fd, 100 * MIB, &u));
    cr_assert_eq(u.memory_bytes, 16 * MIB);
}

Test(sampler, a_process_that_has_given_up_its_memory_counts_nothing)
{
    struct runner_usage u;
    write_text("2/smaps_rollup", ROLLUP);
    cr_assert(sampler_usage(proc_fd, 100 * MIB, &u));
    cr_assert_eq(u.memory_bytes, 8 * MIB, "the other one has ended since its status was read");
}

Test(sampler, a_process_that_may_not_be_read_counts_wholly)
{
    struct runner_usage u;
    write_text("2/smaps_rollup", ROLLUP);
    cr_assert_eq(symlinkat("status", proc_fd, "3/smaps_rollup"), 0);
    cr_assert(sampler_usage(proc_fd, 100 * MIB, &u)); /* links are not followed: an error of another kind */
    cr_assert_eq(u.memory_bytes, 68 * MIB);
}
