#include <criterion/criterion.h>
#include <string.h>

#include "store/file.h"

Test(file, basename_is_the_part_after_the_last_separator)
{
    cr_expect_str_eq(file_basename(NULL, "a.txt"), "a.txt");
    cr_expect_str_eq(file_basename(NULL, "/tmp/dir/a.txt"), "a.txt");
    cr_expect_str_eq(file_basename(NULL, "C:\\Documents\\a b.txt"), "a b.txt");
    cr_expect_str_eq(file_basename(NULL, "../../etc/passwd"), "passwd");
    cr_expect_str_eq(file_basename(NULL, "..."), "...");
    cr_expect_str_eq(file_basename(NULL, "\xc3\xa9.txt"), "\xc3\xa9.txt");
    cr_expect_str_eq(file_basename(NULL, "e\u0301.txt"), "\xc3\xa9.txt");
}

Test(file, basename_rejects_what_is_no_name)
{
    static const char *const bad[] = {
        "", "/", "dir/", ".", "..", "dir/..", "a\nb", "a\x7f", "new\nline/a.txt", "\xff.txt",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_null(file_basename(NULL, bad[i]), "case %zu", i);
}

Test(file, basename_has_at_most_255_octets)
{
    char name[FILE_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    cr_expect_null(file_basename(NULL, name));
    name[FILE_NAME_BYTES_MAX] = '\0';
    cr_expect_str_eq(file_basename(NULL, name), name);
}

Test(file, a_media_type_is_printable_ascii)
{
    cr_expect(file_media_type_fits("text/plain; charset=utf-8"));
    cr_expect_not(file_media_type_fits("text/\xff"));
    cr_expect_not(file_media_type_fits("text/\xc3\xa9"));
    cr_expect_not(file_media_type_fits("text/a\tb"));
    cr_expect_not(file_media_type_fits("text"));
    cr_expect_not(file_media_type_fits(""));
}
