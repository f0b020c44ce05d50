#include <criterion/criterion.h>
#include <string.h>

#include "store/file.h"

Test(file, basename_is_the_part_after_the_last_separator)
{
    cr_expect_str_eq(file_basename("a.txt"), "a.txt");
    cr_expect_str_eq(file_basename("/tmp/dir/a.txt"), "a.txt");
    cr_expect_str_eq(file_basename("C:\\Documents\\a b.txt"), "a b.txt");
    cr_expect_str_eq(file_basename("../../etc/passwd"), "passwd");
    cr_expect_str_eq(file_basename("..."), "...");
    cr_expect_str_eq(file_basename("\xc3\xa9.txt"), "\xc3\xa9.txt");
}

Test(file, basename_rejects_what_is_no_name)
{
    static const char *const bad[] = {
        "", "/", "dir/", ".", "..", "dir/..", "a\nb", "a\x7f", "new\nline/a.txt", "\xff.txt",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_null(file_basename(bad[i]), "case %zu", i);
}

Test(file, basename_has_at_most_255_octets)
{
    char name[FILE_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_null(file_basename(name));
    name[FILE_NAME_BYTES_MAX] = '\0';
    cr_expect_eq(file_basename(name), name);
}
