#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "skill/package.h"

static char top[64];
static void *ctx;

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static void end(void)
{
    nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    talloc_free(ctx);
}

static char *path_of(const char *name)
{
    return talloc_asprintf(ctx, "%s/%s", top, name);
}

static void put_file(const char *name, const char *text, mode_t mode)
{
    char *path = path_of(name);
    FILE *f = fopen(path, "w");
    cr_assert_not_null(f, "%s", path);
    fputs(text, f);
    fclose(f);
    cr_assert_eq(chmod(path, mode), 0);
}

/* TOP/skill with skill.json, run.sh (executable) and lib/data; TOP/files to install into. */
static void begin(void)
{
    ctx = talloc_new(NULL);
    snprintf(top, sizeof top, "/tmp/test-package-XXXXXX");
    cr_assert_not_null(mkdtemp(top));
    cr_assert_eq(mkdir(path_of("skill"), 0700), 0);
    cr_assert_eq(mkdir(path_of("skill/lib"), 0700), 0);
    cr_assert_eq(mkdir(path_of("files"), 0700), 0);
    put_file("skill/skill.json", "{}", 0600);
    put_file("skill/run.sh", "#!/bin/sh\n", 0700);
    put_file("skill/lib/data", "12345", 0644);
}

static struct package *read_package(void)
{
    struct package *package;
    struct json_problems *p = json_problems_new(ctx);
    enum err e = package_read(ctx, path_of("skill"), &package, p);
    cr_assert_eq(e, OK, "%s", p->count ? p->list[0].message : "no problem");
    cr_assert_eq(p->total, 0);
    return package;
}

static void expect_problem(const char *fragment)
{
    struct package *package;
    struct json_problems *p = json_problems_new(ctx);
    cr_assert_eq(package_read(ctx, path_of("skill"), &package, p), ERR_INVALID, "%s", fragment);
    cr_assert_gt(p->count, 0);
    cr_expect(strstr(p->list[0].message, fragment), "%s", p->list[0].message);
}

TestSuite(package, .init = begin, .fini = end);

Test(package, reads_the_manifest_and_counts_files)
{
    struct package *package = read_package();
    cr_expect_str_eq(package->manifest, "{}");
    cr_expect_eq(package->manifest_size, 2);
    cr_expect_eq(package->files_n, 4); /* the folder lib counts */
}

static bool same_hash(const struct package *a, const struct package *b)
{
    return memcmp(a->hash, b->hash, PACKAGE_HASH) == 0;
}

Test(package, hash_depends_on_names_contents_and_the_executable_bit_only)
{
    struct package *first = read_package();
    put_file("skill/lib/data", "12345", 0600); /* another mode, another time */
    cr_expect(same_hash(first, read_package()));
    put_file("skill/lib/data", "12346", 0600);
    cr_expect_not(same_hash(first, read_package()));
    put_file("skill/lib/data", "12345", 0700);
    cr_expect_not(same_hash(first, read_package()));
    put_file("skill/lib/data", "12345", 0600);
    cr_expect(same_hash(first, read_package()));
    cr_assert_eq(rename(path_of("skill/lib/data"), path_of("skill/lib/date")), 0);
    cr_expect_not(same_hash(first, read_package()));
    cr_assert_eq(rename(path_of("skill/lib/date"), path_of("skill/lib/data")), 0);
    cr_assert_eq(mkdir(path_of("skill/empty"), 0700), 0);
    cr_expect_not(same_hash(first, read_package()));
}

Test(package, rejects_what_is_not_a_file_or_folder)
{
    cr_assert_eq(symlink("/etc/passwd", path_of("skill/link")), 0);
    expect_problem("link is not a regular file or folder");
    cr_assert_eq(unlink(path_of("skill/link")), 0);
    cr_assert_eq(mkfifo(path_of("skill/pipe"), 0600), 0);
    expect_problem("pipe is not a regular file or folder");
    cr_assert_eq(unlink(path_of("skill/pipe")), 0);
    put_file("skill/b\xff", "", 0600);
    expect_problem("its name is not UTF-8");
}

Test(package, rejects_deep_nesting_and_a_missing_manifest)
{
    char *name = talloc_strdup(ctx, "skill/lib");
    for (int depth = 2; depth <= 15; depth++) {
        name = talloc_strdup_append_buffer(name, "/d");
        cr_assert_eq(mkdir(path_of(name), 0700), 0);
    }
    read_package();
    name = talloc_strdup_append_buffer(name, "/d");
    cr_assert_eq(mkdir(path_of(name), 0700), 0);
    expect_problem("nested too deeply");
    cr_assert_eq(rmdir(path_of(name)), 0);
    cr_assert_eq(unlink(path_of("skill/skill.json")), 0);
    expect_problem("skill.json cannot be read");
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    cr_assert_eq(stat(path, &st), 0, "%s", path);
    return st.st_mode & 0777;
}

/* Names in TOP/files/skills */
static int installed_count(void)
{
    DIR *dir = opendir(path_of("files/skills"));
    int n = 0;
    struct dirent *entry;
    while (dir && (entry = readdir(dir)))
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    if (dir)
        closedir(dir);
    return n;
}

Test(package, installs_once_with_modes_of_its_own)
{
    umask(0077);
    struct package *package = read_package();
    cr_assert_eq(package_install(package, path_of("files")), OK);
    char *installed = package_path(ctx, path_of("files"), package->hash);
    cr_expect_eq(mode_of(installed), 0755);
    cr_expect_eq(mode_of(talloc_asprintf(ctx, "%s/skill.json", installed)), 0644);
    cr_expect_eq(mode_of(talloc_asprintf(ctx, "%s/run.sh", installed)), 0755);
    cr_expect_eq(mode_of(talloc_asprintf(ctx, "%s/lib", installed)), 0755);
    char text[16] = "";
    FILE *f = fopen(talloc_asprintf(ctx, "%s/lib/data", installed), "r");
    cr_assert_not_null(f);
    cr_expect_not_null(fgets(text, sizeof text, f));
    fclose(f);
    cr_expect_str_eq(text, "12345");
    cr_expect_eq(package_install(package, path_of("files")), OK);
    cr_expect_eq(installed_count(), 1);
}

Test(package, installs_nothing_if_a_file_has_changed)
{
    struct package *package = read_package();
    put_file("skill/lib/data", "54321", 0644); /* of the same size */
    cr_expect_eq(package_install(package, path_of("files")), ERR_CONFLICT);
    cr_expect_eq(installed_count(), 0);
    put_file("skill/lib/data", "123456", 0644);
    cr_expect_eq(package_install(package, path_of("files")), ERR_CONFLICT);
    cr_expect_eq(installed_count(), 0);
    put_file("skill/lib/data", "12345", 0644);
    cr_expect_eq(package_install(package, path_of("files")), OK);
    cr_expect_eq(installed_count(), 1);
}

/* /dev/full fails each write of the log with ENOSPC. */
Test(package, failure_to_log_does_not_hide_the_reason)
{
    struct package *package = read_package();
    cr_assert_eq(log_open("test", "/dev/full", LOG_LEVEL_INFO), OK);
    cr_expect_eq(package_install(package, path_of("missing")), ERR_INTERNAL);
}

static enum err append(void *arg, const void *bytes, size_t size)
{
    return fwrite(bytes, 1, size, arg) == size ? OK : ERR_INTERNAL;
}

/* Writes the archive to TOP/archive and returns its descriptor. */
static int archive_package(const struct package *package)
{
    FILE *f = fopen(path_of("archive"), "w+e");
    cr_assert_not_null(f);
    cr_assert_eq(package_archive(package, append, f), OK);
    cr_assert_eq(fflush(f), 0);
    int fd = dup(fileno(f));
    fclose(f);
    return fd;
}

Test(package, archive_is_named_by_the_hash_and_unpacks_to_the_same_package)
{
    uint8_t hash[PACKAGE_HASH];
    char bytes[4096];
    struct package *package = read_package(), *copy;
    int fd = archive_package(package);
    ssize_t n = pread(fd, bytes, sizeof bytes, 0);
    crypto_hash_sha256(hash, (unsigned char *)bytes, (unsigned long long)n);
    cr_expect_arr_eq(hash, package->hash, PACKAGE_HASH);
    cr_assert_eq(package_unpack(fd, package->hash, path_of("files")), OK);
    cr_assert_eq(package_unpack(fd, package->hash, path_of("files")), OK); /* again: it is there */
    cr_assert_eq(
        package_read(ctx, package_path(ctx, path_of("files"), package->hash), &copy, json_problems_new(ctx)),
        OK);
    cr_expect(same_hash(package, copy));
    close(fd);
}

Test(package, folder_of_packages_is_shared_as_files_dir_is)
{
    struct stat st;
    struct package *package = read_package();
    umask(077);
    cr_assert_eq(chmod(path_of("files"), 02775), 0);
    cr_assert_eq(package_install(package, path_of("files")), OK);
    cr_assert_eq(stat(path_of("files/skills"), &st), 0);
    cr_expect_eq(st.st_mode & 07777, 02775, "%o", st.st_mode & 07777);
}

static void expect_no_archive(const char *bytes, size_t n)
{
    static const uint8_t hash[PACKAGE_HASH];
    FILE *f = fopen(path_of("bad"), "w+e");
    cr_assert_not_null(f);
    cr_assert_eq(fwrite(bytes, 1, n, f), n);
    cr_assert_eq(fflush(f), 0);
    cr_expect_eq(package_unpack(fileno(f), hash, path_of("files")), ERR_INVALID);
    cr_expect_neq(access(package_path(ctx, path_of("files"), hash), F_OK), 0);
    fclose(f);
}

Test(package, rejects_what_is_no_archive_and_leaves_nothing)
{
#define EXPECT_NO_ARCHIVE(text) expect_no_archive(text, sizeof text - 1)
    EXPECT_NO_ARCHIVE("a");                  /* no NUL */
    EXPECT_NO_ARCHIVE("a\0");                /* no head */
    EXPECT_NO_ARCHIVE("a\0f3\0ab");          /* too few bytes */
    EXPECT_NO_ARCHIVE("a\0l3\0abc");         /* another type */
    EXPECT_NO_ARCHIVE("a\0f\0");             /* no size */
    EXPECT_NO_ARCHIVE("a\0f-1\0");           /* a negative size */
    EXPECT_NO_ARCHIVE("../a\0f1\0x");        /* above the folder */
    EXPECT_NO_ARCHIVE("/tmp/a\0f1\0x");      /* an absolute path */
    EXPECT_NO_ARCHIVE("a/./b\0f1\0x");       /* a part of one dot */
    EXPECT_NO_ARCHIVE("a\0d0\0a//b\0f1\0x"); /* an empty part */
#undef EXPECT_NO_ARCHIVE
    DIR *dir = opendir(path_of("files/skills"));
    int entries = 0;
    while (dir && readdir(dir))
        entries++;
    cr_expect_eq(entries, 2); /* . and .. */
    if (dir)
        closedir(dir);
}
