#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/untrusted_dir.h"

Test(untrusted_dir, a_deep_tree_exceeds_the_limit_and_can_be_removed)
{
    char top[] = "/tmp/runner-tree-XXXXXX";
    cr_assert_not_null(mkdtemp(top));
    int fd = open(top, O_RDONLY | O_DIRECTORY), at = dup(fd);
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(mkdirat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", 0755), 0);
        int next = openat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", O_RDONLY | O_DIRECTORY);
        if (i == 10)
            cr_expect_neq(untrusted_dir_usage(fd), UINT64_MAX);
        close(at);
        at = next;
    }
    close(at);
    cr_expect_eq(untrusted_dir_usage(fd), UINT64_MAX);
    close(fd);
    cr_expect(untrusted_dir_remove(top));
    cr_expect_neq(access(top, F_OK), 0);
}

static bool count_file(void *arg, int dir_fd, const char *name, const char *relpath, const struct stat *st)
{
    int *n = arg;
    cr_expect_str_eq(relpath, "sub/link");
    cr_expect(S_ISLNK(st->st_mode));
    (*n)++;
    return true;
}

Test(untrusted_dir, does_not_follow_links)
{
    char top[] = "/tmp/runner-links-XXXXXX";
    int seen = 0;
    cr_assert_not_null(mkdtemp(top));
    int fd = open(top, O_RDONLY | O_DIRECTORY);
    cr_assert_eq(mkdirat(fd, "sub", 0700), 0);
    cr_assert_eq(symlinkat("/usr", fd, "sub/link"), 0);
    untrusted_dir_files(fd, count_file, &seen);
    cr_expect_eq(seen, 1);
    close(fd);
    cr_expect(untrusted_dir_remove(top));
    cr_expect_eq(access("/usr/bin", F_OK), 0);
    cr_expect(untrusted_dir_remove(top), "a folder that does not exist is removed");
}
