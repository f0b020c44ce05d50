#define _GNU_SOURCE
#include "runner/artifacts.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/utf8.h"
#include "runner/media.h"
#include "runner/report.h"
#include "runner/untrusted_dir.h"
#include "json/json.h"

enum { REFUSED_MAX = 20, CHUNK = 64 * 1024 };

struct artifact_collector {
    const struct runner_job *job;
    int outputs_fd;
    uint64_t budget_bytes;
    struct runner_artifacts found;
    /* NULL until the first file is hashed */
    struct runner_media *media;
};

bool runner_artifacts_match(const char **globs, const char *relpath)
{
    for (; globs && *globs; globs++) {
        const char *g = strncmp(*globs, "outputs/", 8) == 0 ? *globs + 8 : *globs;
        if (fnmatch(g, relpath, 0) == 0)
            return true;
        if (strncmp(g, "**/", 3) == 0 && fnmatch(g + 3, relpath, 0) == 0)
            return true;
    }
    return globs == NULL;
}

static int open_beneath(int dir_fd, const char *relpath)
{
    struct open_how how = {.flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV};
    return (int)syscall(SYS_openat2, dir_fd, relpath, &how, sizeof how);
}

static void refuse_artifact(struct artifact_collector *c, const char *relpath, const char *why)
{
    json_object *count = json_get(c->found.reasons, why);
    json_object_object_add(c->found.reasons, why, json_object_new_int(json_object_get_int(count) + 1));
    if (json_object_array_length(c->found.refused) >= REFUSED_MAX)
        return;
    json_object *o = json_object_new_object();
    json_object_object_add(o, "relpath", runner_report_text(relpath, strlen(relpath)));
    json_object_object_add(o, "why", json_object_new_string(why));
    json_object_array_add(c->found.refused, o);
}

/* Describes an open file: size, SHA-256 and media type. NULL if a read fails. */
static json_object *describe_artifact(struct artifact_collector *c, int fd, const char *relpath)
{
    static unsigned char chunk[CHUNK];
    unsigned char digest[crypto_hash_sha256_BYTES];
    char hex[2 * sizeof digest + 1];
    const char *type = NULL;
    int64_t size = 0;
    crypto_hash_sha256_state state;
    crypto_hash_sha256_init(&state);
    ssize_t n;
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        crypto_hash_sha256_update(&state, chunk, (unsigned long long)n);
        if (size == 0)
            type = runner_media_type(c->media, chunk, (size_t)n);
        size += n;
    }
    if (n < 0)
        return NULL;
    crypto_hash_sha256_final(&state, digest);
    sodium_bin2hex(hex, sizeof hex, digest, sizeof digest);
    json_object *o = json_object_new_object();
    json_object_object_add(o, "relpath", json_object_new_string(relpath));
    json_object_object_add(o, "size_bytes", json_object_new_int64(size));
    json_object_object_add(o, "sha256", json_object_new_string(hex));
    json_object_object_add(o, "media_type", json_object_new_string(type ? type : "application/octet-stream"));
    return o;
}

/* False for a name that is not UTF-8: JSON cannot carry it, so the executor could not find the file again. */
static bool is_utf8_name(const char *relpath)
{
    return utf8_is_valid(relpath, strlen(relpath));
}

static const char *file_type_refusal(mode_t mode)
{
    return S_ISREG(mode)    ? NULL
           : S_ISLNK(mode)  ? "is a symbolic link"
           : S_ISFIFO(mode) ? "is a FIFO"
           : S_ISSOCK(mode) ? "is a socket"
                            : "is a device";
}

/* NULL: the file is kept if it can be read. */
static const char *refusal(const struct artifact_collector *c, const char *relpath, const struct stat *st)
{
    const char *why = file_type_refusal(st->st_mode);
    if (why)
        return why;
    if (st->st_nlink != 1)
        return "has more than one hard link";
    if (!is_utf8_name(relpath))
        return "name is not valid UTF-8";
    if (strlen(relpath) > RUNNER_ARTIFACT_PATH_MAX)
        return "path is longer than 4000 bytes";
    if (json_object_array_length(c->found.kept) >= c->job->artifacts_max)
        return "too many artifacts";
    return (uint64_t)st->st_size > c->budget_bytes ? "too large" : NULL;
}

static bool collect_file(void *arg, int dir_fd, const char *name, const char *relpath, const struct stat *st)
{
    struct artifact_collector *c = arg;
    if (!runner_artifacts_match(c->job->artifacts, relpath))
        return true;
    const char *why = refusal(c, relpath, st);
    if (!why && !c->media)
        c->media = runner_media_start(c->job->uid);
    int fd = why ? -1 : open_beneath(c->outputs_fd, relpath);
    json_object *o = fd >= 0 ? describe_artifact(c, fd, relpath) : NULL;
    if (fd >= 0)
        close(fd);
    if (o) {
        c->budget_bytes -= (uint64_t)st->st_size;
        json_object_array_add(c->found.kept, o);
    } else {
        refuse_artifact(c, relpath, why ? why : "cannot be read");
    }
    return true;
}

void runner_artifacts_collect(const struct runner_job *job, int outputs_fd, uint64_t budget_bytes,
                              struct runner_artifacts *found_r)
{
    struct artifact_collector c = {.job = job, .outputs_fd = outputs_fd, .budget_bytes = budget_bytes};
    c.found =
        (struct runner_artifacts){json_object_new_array(), json_object_new_array(), json_object_new_object()};
    untrusted_dir_files(outputs_fd, collect_file, &c);
    runner_media_stop(c.media);
    *found_r = c.found;
}
