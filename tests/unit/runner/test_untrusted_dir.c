#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/untrusted_dir.h"

Test(untrusted_dir, a_deep_tree_exceeds_the_limit_and_can_be_removed)
{
    char top[] = "/tmp/runner-tree-XXXXXX";
    cr_assert_not_null(mkdtemp(top));
    int fd = open(top, O_RDONLY | O_DIRECTORY), at = dup(fd);
    const char *why = NULL;
    for (int i = 0; i < 300; i++) {
        cr_assert_eq(mkdirat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", 0755), 0);
        int next = openat(at, "a-folder-with-a-long-name-to-outgrow-PATH_MAX", O_RDONLY | O_DIRECTORY);
        if (i == 10)
            cr_expect_neq(untrusted_dir_usage(fd, &why), UINT64_MAX);
        close(at);
        at = next;
    }
    close(at);
    cr_expect_eq(untrusted_dir_usage(fd, &why), UINT64_MAX);
    cr_expect_str_eq(why, "folders nested more than 32 levels deep");
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

/* The paths must come in the order of their bytes. */
static bool check_order(void *arg, int dir_fd, const char *name, const char *relpath, const struct stat *st)
{
    char *last = arg;
    cr_expect_lt(strcmp(last, relpath), 0, "%s before %s", last, relpath);
    snprintf(last, 64, "%s", relpath);
    return true;
}

Test(untrusted_dir, files_are_visited_in_the_order_of_their_paths)
{
    static const char *const files[] = {"b", "a.txt", "a/z", "a/b/c", "a0", "a-", "\xff", "Z", "a/b.c"};
    char top[] = "/tmp/runner-order-XXXXXX", last[64] = "";
    cr_assert_not_null(mkdtemp(top));
    int fd = open(top, O_RDONLY | O_DIRECTORY);
    cr_assert(mkdirat(fd, "a", 0700) == 0 && mkdirat(fd, "a/b", 0700) == 0);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        close(openat(fd, files[i], O_CREAT | O_WRONLY, 0600));
    untrusted_dir_files(fd, check_order, last);
    cr_expect_str_eq(last, "\xff");
    close(fd);
    cr_expect(untrusted_dir_remove(top));
}
