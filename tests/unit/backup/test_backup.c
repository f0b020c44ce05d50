#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "backup/binlog.h"
#include "backup/folder.h"
#include "backup/manifest.h"
#include "backup/program.h"
#include "backup/store_copy.h"
#include "backup/sums.h"

static void *ctx;
static char dir[64];

static void begin(void)
{
    ctx = talloc_new(NULL);
    snprintf(dir, sizeof dir, "/tmp/millrace-backup-XXXXXX");
    cr_assert(mkdtemp(dir));
}
static void end(void)
{
    cr_expect_null(tree_remove(ctx, dir));
    cr_expect_neq(access(dir, F_OK), 0);
    talloc_free(ctx);
}
TestSuite(backup, .init = begin, .fini = end);

static char *in_dir(const char *name)
{
    return talloc_asprintf(ctx, "%s/%s", dir, name);
}
static char *put(const char *name, const char *bytes, size_t size)
{
    char *path = in_dir(name);
    cr_assert_null(tree_make_parents(ctx, path));
    FILE *f = fopen(path, "we");
    cr_assert(f && fwrite(bytes, 1, size, f) == size && fclose(f) == 0);
    return path;
}
static char *put_text(const char *name, const char *text)
{
    return put(name, text, strlen(text));
}
static char *get(const char *path)
{
    static char text[4096];
    FILE *f = fopen(path, "re");
    cr_assert(f);
    text[fread(text, 1, sizeof text - 1, f)] = '\0';
    fclose(f);
    return text;
}

/* --- sums --- */

static const char *const odd_names[] = {"a",        "a/b c", "back\\slash", "line\nbreak", "\\n",
                                        "return\r", "ü",     "...",         "a/..b"};
enum { ODD_NAMES = sizeof odd_names / sizeof odd_names[0] };
struct expected {
    size_t n;
};

static const char *expect_odd(void *arg, const char *path, const uint8_t *sha256)
{
    struct expected *e = arg;
    cr_expect_str_eq(path, odd_names[e->n]);
    cr_expect_eq(sha256[0], (uint8_t)e->n);
    e->n++;
    return NULL;
}

Test(backup, sums_of_any_names_are_read_as_they_were_written)
{
    char *path = in_dir("SHA256SUMS");
    struct sums *sums = sums_new(ctx, path);
    struct expected e = {0};
    int64_t files, bytes;
    for (size_t i = 0; i < ODD_NAMES; i++)
        sums_add(sums, odd_names[i], &(struct tree_sum){.sha256 = {(uint8_t)i}, .size = 3});
    cr_assert_null(sums_end(ctx, sums, &files, &bytes));
    cr_expect_eq(files, ODD_NAMES);
    cr_expect_eq(bytes, 3 * ODD_NAMES);
    cr_expect_null(sums_read(ctx, path, expect_odd, &e));
    cr_expect_eq(e.n, ODD_NAMES);
}

Test(backup, sums_are_those_of_sha256sum)
{
    struct tree_sum sum;
    int64_t files, bytes;
    char *path = put_text("x/line\nbreak", "bytes"), *list = in_dir("SHA256SUMS");
    cr_assert_null(tree_copy_file(ctx, path, NULL, &sum));
    struct sums *sums = sums_new(ctx, list);
    sums_add(sums, "x/line\nbreak", &sum);
    cr_assert_null(sums_end(ctx, sums, &files, &bytes));
    const char *const argv[] = {"sh", "-c",
                                talloc_asprintf(ctx, "cd %s && sha256sum -c --strict SHA256SUMS", dir), NULL};
    cr_expect_null(program_run(ctx, argv, in_dir("log")));
    put_text("x/line\nbreak", "other");
    cr_expect_not_null(program_run(ctx, argv, in_dir("log")));
}

static const char *ignore(void *arg, const char *path, const uint8_t *sha256)
{
    return NULL;
}

Test(backup, lines_that_are_no_sums_are_refused)
{
    static const char hex[] = "0000000000000000000000000000000000000000000000000000000000000000";
    static const char *const bad[] = {
        "%s  a",        "%s a\n",   "%.63s  a\n", "%.63sg  a\n", "%s  \n",       "%s  /etc/passwd\n",
        "%s  a/../b\n", "%s  ..\n", "%s  a//b\n", "%s  a/\n",    "\\%s  a\\x\n", "\\%s  a\\\n",
        "\n",           "%s  ./a\n"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char line[256];
        const char *at = strstr(bad[i], "%");
        /* the part before the sum, the sum, and the rest */
        size_t before = at ? (size_t)(at - bad[i]) : 0;
        bool is_short = at && at[1] == '.';
        snprintf(line, sizeof line, "%.*s%.*s%s", (int)before, bad[i],
                 !at        ? 0
                 : is_short ? 63
                            : 64,
                 hex, !at ? bad[i] : at + (is_short ? 5 : 2));
        cr_expect_not_null(sums_read(ctx, put_text("sums", line), ignore, NULL), "%s", bad[i]);
    }
    cr_expect_not_null(sums_read(ctx, in_dir("none"), ignore, NULL));
    cr_expect_null(sums_read(ctx, put_text("sums", ""), ignore, NULL));
}

/* --- trees --- */

Test(backup, a_file_is_copied_with_its_mode_and_never_over_another)
{
    struct tree_sum sum, again;
    char *from = put_text("from", "text"), *to = in_dir("made/on/the/way");
    chmod(from, 0751);
    cr_assert_null(tree_copy_file(ctx, from, to, &sum));
    struct stat st;
    cr_assert_eq(stat(to, &st), 0);
    cr_expect_eq(st.st_mode & 0777, 0751);
    cr_expect_eq(sum.size, 4);
    cr_expect_str_eq(get(to), "text");
    cr_expect_null(tree_copy_file(ctx, to, NULL, &again));
    cr_expect_arr_eq(again.sha256, sum.sha256, TREE_SUM);
    cr_expect_not_null(tree_copy_file(ctx, from, to, &sum));
    cr_assert_eq(symlink("from", in_dir("link")), 0);
    cr_expect_not_null(tree_copy_file(ctx, in_dir("link"), NULL, &sum), "a link is not followed");
}

static const char *append(void *arg, const char *path)
{
    char **names = arg;
    *names = talloc_asprintf_append(*names, "%s ", path);
    return NULL;
}

Test(backup, a_tree_is_visited_in_order_and_has_files_and_folders_only)
{
    char *names = talloc_strdup(ctx, "");
    put_text("t/b", "");
    put_text("t/a/z", "");
    put_text("t/a/y", "");
    cr_expect_null(tree_visit(ctx, in_dir("t"), append, &names));
    cr_expect_str_eq(names, "a/y a/z b ");
    cr_assert_eq(symlink("b", in_dir("t/link")), 0);
    cr_expect_not_null(tree_visit(ctx, in_dir("t"), append, &names));
    cr_expect_not_null(tree_visit(ctx, in_dir("none"), append, &names));
}

Test(backup, a_target_is_empty_or_absent)
{
    cr_expect_null(tree_check_target(ctx, in_dir("absent")));
    cr_assert_eq(mkdir(in_dir("empty"), 0700), 0);
    cr_expect_null(tree_check_target(ctx, in_dir("empty")));
    put_text("empty/.hidden", "");
    cr_expect_not_null(tree_check_target(ctx, in_dir("empty")));
    cr_expect_not_null(tree_check_target(ctx, put_text("file", "")));
}

/* --- blobs --- */

/* A store below "store" with a blob of these bytes. *path_r: its file below blobs/. */
static struct blob_store *store_with(const char *bytes, char path_r[BLOB_NAME + 1])
{
    cr_assert_eq(mkdir(in_dir("store"), 0700), 0);
    struct blob_store *store = blob_store_open(ctx, store_config(ctx, in_dir("store")), NULL);
    struct blob_writer *w = blob_writer_new(ctx, store);
    struct blob_id blob;
    cr_assert(w && blob_write(w, bytes, strlen(bytes)) == OK && blob_finish(w, &blob) == OK &&
              blob_publish(w) == OK);
    blob_name(blob.sha256, path_r);
    return store;
}

/* Copies the store to a backup of this name. */
static const char *back_up(const struct blob_store *store, const char *to, const char *earlier,
                           struct store_copy *copy)
{
    cr_assert_eq(mkdir(in_dir(to), 0700), 0);
    *copy = (struct store_copy){.from = in_dir("store"),
                                .to = in_dir(to),
                                .earlier = earlier ? in_dir(earlier) : NULL,
                                .sums = sums_new(ctx, in_dir(talloc_asprintf(ctx, "%s/" MANIFEST_SUMS, to)))};
    const char *why = store_copy(ctx, store, copy);
    talloc_free(copy->sums);
    return why;
}

Test(backup, damage_does_not_pass_from_backup_to_backup)
{
    char name[BLOB_NAME + 1];
    struct store_copy copy;
    struct blob_store *store = store_with("bytes", name);
    char *blob[] = {talloc_asprintf(ctx, "store/blobs/%s", name), talloc_asprintf(ctx, "1/blobs/%s", name),
                    talloc_asprintf(ctx, "2/blobs/%s", name), talloc_asprintf(ctx, "3/blobs/%s", name)};
    cr_assert_null(back_up(store, "1", NULL, &copy));
    put_text(blob[1], "wrong"); /* as many bytes */
    cr_assert_null(back_up(store, "2", "1", &copy));
    cr_expect_eq(copy.linked, 0);
    cr_expect_str_eq(get(in_dir(blob[2])), "bytes");
    /* and the other way round: the backup has the bytes that the store has lost */
    put_text(blob[0], "");
    cr_assert_null(back_up(store, "3", "2", &copy));
    cr_expect_eq(copy.linked, 1);
    cr_expect_eq(copy.damaged_n, 0);
    cr_expect_str_eq(get(in_dir(blob[3])), "bytes");
}

Test(backup, a_folder_of_blobs_that_cannot_be_listed_is_reported)
{
    char name[BLOB_NAME + 1];
    struct store_copy copy;
    int64_t n;
    struct blob_store *store = store_with("bytes", name);
    put_text(strncmp(name, "00", 2) == 0 ? "store/blobs/01" : "store/blobs/00", "no folder");
    const char *why = back_up(store, "1", NULL, &copy);
    cr_expect(why && strstr(why, "cannot be listed"), "%s", why);
    why = store_complete(ctx, in_dir("store"), in_dir("2"), &n);
    cr_expect(why && strstr(why, "cannot be listed"), "%s", why);
}

/* --- the folder of backups --- */

Test(backup, names_of_backups_are_times)
{
    cr_expect_str_eq(folder_name(ctx, 1768473000999), "2026-01-15T10-30-00Z");
    cr_expect(folder_is_name("2026-01-15T10-30-00Z"));
    static const char *const others[] = {"", "2026-01-15T10-30-00Z.partial", "2026-01-15T10-30-00",
                                         "x026-01-15T10-30-00Z", "notes"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        cr_expect_not(folder_is_name(others[i]), "%s", others[i]);
}

Test(backup, the_newest_whole_backups_are_kept)
{
    const char **names;
    size_t n;
    put_text("2026-01-03T00-00-00Z/" MANIFEST_FILE, "");
    put_text("2026-01-01T00-00-00Z/" MANIFEST_FILE, "");
    put_text("2026-01-02T00-00-00Z/" MANIFEST_FILE, "");
    put_text("2025-01-01T00-00-00Z/other", "no whole backup");
    put_text("2026-01-04T00-00-00Z" FOLDER_PARTIAL "/" MANIFEST_FILE, "");
    put_text("notes/" MANIFEST_FILE, "");
    cr_assert_null(folder_list(ctx, dir, &names, &n));
    cr_assert_eq(n, 3);
    cr_expect_str_eq(names[0], "2026-01-01T00-00-00Z");
    cr_assert_null(folder_keep(ctx, dir, 2, &n));
    cr_expect_eq(n, 1);
    cr_expect_neq(access(in_dir("2026-01-01T00-00-00Z"), F_OK), 0);
    cr_assert_null(folder_keep(ctx, dir, 5, &n));
    cr_expect_eq(n, 0);
    cr_assert_null(folder_remove_partial(ctx, dir));
    cr_expect_neq(access(in_dir("2026-01-04T00-00-00Z" FOLDER_PARTIAL), F_OK), 0);
    static const char *const stay[] = {"2026-01-02T00-00-00Z", "2026-01-03T00-00-00Z", "2025-01-01T00-00-00Z",
                                       "notes"};
    for (size_t i = 0; i < sizeof stay / sizeof stay[0]; i++)
        cr_expect_eq(access(in_dir(stay[i]), F_OK), 0, "%s", stay[i]);
}

Test(backup, a_folder_has_one_creator)
{
    int one, two;
    cr_assert_null(folder_lock(ctx, in_dir("made"), &one));
    cr_expect_not_null(folder_lock(ctx, in_dir("made"), &two));
    close(one);
    cr_expect_null(folder_lock(ctx, in_dir("made"), &two));
    close(two);
}

/* --- the manifest --- */

static const char *damaged[] = {"ab/abcd"};
static const struct manifest whole = {.millrace = "1",
                                      .server = "10.11.19",
                                      .database = "millrace",
                                      .schema = 42,
                                      .began_ms = 1000,
                                      .copied_ms = 2000,
                                      .ended_ms = 3000,
                                      .binlog_file = "bin.000003",
                                      .binlog_position = 4,
                                      .files = 5,
                                      .bytes = 6,
                                      .sums_sha256 = "ab",
                                      .secrets_key = "cd",
                                      .datadir_owner = "mysql",
                                      .datadir_group = "mysql",
                                      .files_owner = "root",
                                      .files_group = "millrace-store",
                                      .files_mode = 02775,
                                      .damaged = damaged,
                                      .damaged_n = 1};

Test(backup, a_manifest_is_read_as_it_was_written)
{
    struct manifest *m;
    cr_assert_null(manifest_write(ctx, dir, &whole));
    cr_assert_null(manifest_read(ctx, dir, &m));
    cr_expect_str_eq(m->server, whole.server);
    cr_expect_eq(m->schema, 42);
    cr_expect_eq(m->began_ms, 1000);
    cr_expect_str_eq(m->binlog_file, "bin.000003");
    cr_expect_eq(m->binlog_position, 4);
    cr_expect_str_eq(m->secrets_key, "cd");
    cr_expect_null(m->webhooks_key);
    cr_expect_eq(m->files_mode, 02775);
    cr_expect_eq(m->damaged_n, 1);
    cr_expect_str_eq(m->damaged[0], "ab/abcd");
    cr_expect_not_null(manifest_write(ctx, dir, &whole), "it is written once");
}

Test(backup, a_manifest_without_any_one_of_its_members_is_refused)
{
    struct manifest *m;
    cr_assert_null(manifest_write(ctx, dir, &whole));
    char *text = talloc_strdup(ctx, get(in_dir(MANIFEST_FILE)));
    size_t members = 0;
    for (char *name = strstr(text, "\n  \""); name; name = strstr(name + 1, "\n  \"")) {
        char saved = name[4];
        if (strncmp(name + 4, "keys", 4) == 0 || strncmp(name + 4, "binlog", 6) == 0)
            continue; /* null without them */
        name[4] = '_';
        put_text(MANIFEST_FILE, text);
        cr_expect_not_null(manifest_read(ctx, dir, &m), "%.30s", name);
        name[4] = saved;
        members++;
    }
    cr_expect_eq(members, 17);
    put_text(MANIFEST_FILE, text);
    cr_expect_null(manifest_read(ctx, dir, &m));
}

/* --- binary logs --- */

Test(backup, logs_are_listed_without_a_gap)
{
    const char **paths;
    size_t n;
    put_text("bin.000002", "");
    put_text("bin.000003", "");
    put_text("bin.000004", "");
    put_text("bin.index", "");
    put_text("other.000009", "");
    cr_assert_null(binlog_list(ctx, dir, "bin.000003", &paths, &n));
    cr_assert_eq(n, 2);
    cr_expect_str_eq(paths[1], in_dir("bin.000004"));
    put_text("bin.000006", "");
    cr_expect(strstr(binlog_list(ctx, dir, "bin.000003", &paths, &n), "bin.000005"));
    cr_expect(strstr(binlog_list(ctx, dir, "bin.000007", &paths, &n), "bin.000007"));
    cr_expect_not_null(binlog_list(ctx, dir, "bin.index", &paths, &n));
    cr_expect_not_null(binlog_list(ctx, in_dir("none"), "bin.000003", &paths, &n));
}

Test(backup, only_an_open_log_is_copied_and_the_copy_is_closed)
{
    char log[40] = "\xfe"
                   "bin";
    bool copied;
    char *path = put("bin.000001", log, sizeof log), *to = in_dir("copies/1");
    cr_expect_null(binlog_copy_open(ctx, path, to, &copied));
    cr_expect_not(copied);
    cr_expect_neq(access(to, F_OK), 0);
    log[21] = 1;
    put("bin.000001", log, sizeof log);
    cr_expect_null(binlog_copy_open(ctx, path, to, &copied));
    cr_expect(copied);
    cr_expect_eq(get(to)[21], 0);
    cr_expect_eq(get(path)[21], 1);
    cr_expect_not_null(binlog_copy_open(ctx, put("short", log, 21), in_dir("copies/2"), &copied));
}

/* --- programs --- */

Test(backup, a_failed_program_is_reported_with_its_last_words)
{
    const char *const good[] = {"sh", "-c", "exit 0", NULL}, *const bad[] = {"sh", "-c",
                                                                             "echo words >&2; exit 3", NULL};
    const char *const none[] = {"/no/such/program", NULL}, *const say[] = {"echo", "x", NULL},
                      *const eat[] = {"grep", "-q", "x", NULL};
    char *log = in_dir("log");
    cr_expect_null(program_run(ctx, good, log));
    cr_expect(strstr(program_run(ctx, bad, log), "sh failed: words"));
    cr_expect(strstr(program_run(ctx, none, log), "No such file"));
    cr_expect_null(program_run_pair(ctx, say, eat, log));
    cr_expect(strstr(program_run_pair(ctx, bad, good, log), "sh failed"));
    cr_expect(strstr(program_run_pair(ctx, good, eat, log), "grep failed"));
    cr_expect(strstr(program_run_pair(ctx, none, good, log), "program failed"));
}
