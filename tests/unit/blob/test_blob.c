#define _GNU_SOURCE
#include "blob/blob.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

static char dir[64];

/* A blob that was published an hour ago. */
static struct blob_id old_blob(void *ctx, struct blob_store *store)
{
    struct blob_writer *w = blob_writer_new(ctx, store);
    struct blob_id blob;
    cr_assert(w && blob_write(w, "bytes", 5) == OK && blob_finish(w, &blob) == OK && blob_publish(w) == OK);
    const struct timespec then[2] = {{.tv_sec = time(NULL) - 3600}, {.tv_sec = time(NULL) - 3600}};
    cr_assert_eq(utimensat(AT_FDCWD, blob_path(ctx, store, blob.sha256), then, 0), 0);
    talloc_free(w);
    return blob;
}

Test(blob, nothing_is_removed_from_a_store_that_is_held)
{
    void *ctx = talloc_new(NULL);
    snprintf(dir, sizeof dir, "/tmp/millrace-blob-XXXXXX");
    cr_assert(mkdtemp(dir));
    const struct config config = {.files.dir = dir, .blob.store = "directory"};
    struct blob_store *store = blob_store_open(ctx, &config, NULL);
    struct blob_store *reader = blob_store_open_existing(ctx, &config);
    struct blob_id blob = old_blob(ctx, store);
    struct blob_hold *hold = blob_store_hold(ctx, reader);
    cr_assert_not_null(hold);
    cr_expect_not(blob_remove(store, blob.sha256));
    cr_expect(blob_exists(store, blob.sha256));
    talloc_free(hold);
    cr_expect(blob_remove(store, blob.sha256));
    cr_expect_not(blob_exists(store, blob.sha256));
    cr_expect(blob_remove(store, blob.sha256), "it is not there any more");
    talloc_free(ctx);
    cr_expect_eq(system(talloc_asprintf(NULL, "rm -r %s", dir)), 0);
}

/* A store whose bytes are objects, below `dir`, which is shared. */
static struct config objects_config(void)
{
    char *secret = talloc_asprintf(NULL, "%s/secret", dir), *blobs = talloc_asprintf(NULL, "%s/blobs", dir);
    int fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert(fd >= 0 && write(fd, "secret\n", 7) == 7 && close(fd) == 0);
    cr_assert(mkdir(blobs, 0755) == 0 && chmod(dir, 02775) == 0);
    talloc_free(blobs);
    return (struct config){.files.dir = dir,
                           .blob = {.store = "s3",
                                    .endpoint = "http://objects",
                                    .socket = talloc_asprintf(NULL, "%s/objects.sock", dir),
                                    .bucket = "bucket",
                                    .region = "region",
                                    .access_key = "key",
                                    .secret_file = secret,
                                    .path_style = "yes",
                                    .timeout_s = 10}};
}

Test(blob, a_reader_creates_the_cache_for_all_users_of_a_shared_store)
{
    void *ctx = talloc_new(NULL);
    struct stat st;
    snprintf(dir, sizeof dir, "/tmp/millrace-blob-XXXXXX");
    cr_assert(mkdtemp(dir));
    const struct config config = objects_config();
    umask(077);
    cr_assert_not_null(blob_store_open_existing(ctx, &config));
    cr_assert_eq(stat(talloc_asprintf(ctx, "%s/cache", dir), &st), 0);
    cr_expect_eq(st.st_mode & 07777, 02775, "%o", st.st_mode & 07777);
    talloc_free(ctx);
    cr_expect_eq(system(talloc_asprintf(NULL, "rm -r %s", dir)), 0);
}

/* A process that answers one request at the socket of the settings with `body`. */
static pid_t answer_once(const struct config *config, const char *body)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", config->blob.socket);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 1) == 0);
    pid_t pid = fork();
    if (pid != 0) {
        close(fd);
        return pid;
    }
    char request[4096];
    int peer = accept(fd, NULL, NULL);
    bool got = read(peer, request, sizeof request) > 0;
    dprintf(peer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n%s", strlen(body),
            body);
    _exit(!got);
}

Test(blob, bytes_of_an_object_are_kept_for_the_run_whatever_becomes_of_the_cache)
{
    void *ctx = talloc_new(NULL);
    char text[16] = "";
    const char *path;
    snprintf(dir, sizeof dir, "/tmp/millrace-blob-XXXXXX");
    cr_assert(mkdtemp(dir));
    const struct config config = objects_config(); /* its cache has no room at all */
    struct blob_store *store = blob_store_open(ctx, &config, NULL);
    struct blob_writer *w = store ? blob_writer_new(ctx, store) : NULL;
    struct blob_id blob;
    cr_assert(w && blob_write(w, "bytes", 5) == OK && blob_finish(w, &blob) == OK);
    pid_t server = answer_once(&config, "bytes");
    const char *to =
        talloc_asprintf(ctx, "/dev/shm/millrace-blob-%d", (int)getpid()); /* another file system */
    cr_assert_eq(blob_link(ctx, store, &blob, to, &path), OK);
    cr_expect_str_eq(path, to);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_expect(fd >= 0 && read(fd, text, sizeof text) == 5);
    cr_expect_str_eq(text, "bytes");
    close(fd);
    cr_expect_eq(unlink(to), 0);
    cr_expect_eq(waitpid(server, NULL, 0), server);
    talloc_free(ctx);
    cr_expect_eq(system(talloc_asprintf(NULL, "rm -r %s", dir)), 0);
}
