#include "executor/run/skill/stage_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "blob/blob_rows.h"
#include "skill/package.h"
#include "store/file.h"
#include "json/json.h"

static int stage_files_destroy(struct stage_files_job *j)
{
    json_object_put(j->files);
    json_object_put(j->missing);
    return 0;
}

/* Hard links of our own, which keep the blobs while the run needs them. Across file systems: the blobs' own
 * paths. */
static enum err link_files(struct stage_files_job *j)
{
    enum err e = OK;
    if (j->found_n > 0)
        j->files = json_object_new_array();
    for (size_t i = 0; e == OK && i < j->found_n; i++) {
        const char *path = NULL, *ours = talloc_asprintf(j, "%s/files/%zu", j->run_dir, i);
        e = blob_link(j, j->blobs, &j->found[i].blob, ours, &path);
        if (e != OK) {
            log_warn("skill.file_missing", "run_dir=%s error=%s", j->run_dir, err_name(e));
            return e;
        }
        json_object *file = json_object_new_object();
        json_object_object_add(file, "source_path", json_object_new_string(path));
        json_object_object_add(file, "name", json_object_new_string(j->found[i].name));
        json_object_array_add(j->files, file);
    }
    return e;
}

/* --- with an object store --- */

static enum err find_objects(struct stage_files_job *j, struct db *db)
{
    struct blob_id *blobs = talloc_zero_array(j, struct blob_id, j->found_n + 1);
    for (size_t i = 0; i < j->found_n; i++)
        blobs[i] = j->found[i].blob;
    memcpy(blobs[j->found_n].sha256, j->package, BLOB_HASH);
    enum err e = blob_find_objects(db, j, blobs, j->found_n + j->needs_package);
    for (size_t i = 0; e == OK && i < j->found_n; i++)
        j->found[i].blob = blobs[i];
    j->package_object = blobs[j->found_n].object;
    return e;
}

static enum err get_package(struct stage_files_job *j)
{
    struct blob_id blob = {.object = j->package_object};
    int fd = -1;
    memcpy(blob.sha256, j->package, BLOB_HASH);
    enum err e = id_is_set(&blob.object) ? blob_fetch(j->blobs, &blob, &fd) : ERR_NOT_FOUND;
    if (e == OK)
        e = package_unpack(fd, j->package, j->files_dir);
    if (fd >= 0)
        close(fd);
    if (e != OK)
        log_warn("skill.package_missing", "run_dir=%s error=%s", j->run_dir, err_name(e));
    return e;
}

static void get_bytes_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    (void)thread_ctx;
    job->e = j->needs_package ? get_package(j) : OK;
    if (job->e == OK)
        job->e = link_files(j);
}

bool stage_files_has_more(struct stage_files_job *j)
{
    bool more =
        j->job.work != get_bytes_work && blob_store_objects(j->blobs) && (j->needs_package || j->found_n > 0);
    if (more)
        j->job.work = get_bytes_work;
    return more;
}

/* --- in the database thread --- */

static bool is_found(const struct file *list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(list[i].name, name) == 0)
            return true;
    }
    return false;
}

/* Notes the names that are not among the `n` files that were found. */
static void note_missing(struct stage_files_job *j, const struct file *list, size_t n)
{
    enum { NAMED_MAX = 20, NAME_SHOWN_MAX = 255 };
    json_object *names = json_object_new_array();
    int count = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (is_found(list, n, j->names[i]))
            continue;
        const char *name = j->names[i];
        if (count++ < NAMED_MAX)
            json_object_array_add(
                names, json_object_new_string_len(name, (int)utf8_cut(name, strlen(name), NAME_SHOWN_MAX)));
    }
    if (count == 0) {
        json_object_put(names);
        return;
    }
    j->missing = json_object_new_object();
    json_object_object_add(j->missing, "count", json_object_new_int(count));
    json_object_object_add(j->missing, "names", names);
}

/* Finds the files, and makes the folder for them. */
static enum err find_files(struct stage_files_job *j, struct db *db)
{
    char *dir = talloc_asprintf(j, "%s/files", j->run_dir);
    enum err e = file_find(db, j, &j->workspace, &j->principal, j->names, j->n, &j->found, &j->found_n);
    if (e != OK)
        return e;
    note_missing(j, j->found, j->found_n);
    if (j->found_n == 0 ||
        ((mkdir(j->run_dir, 0711) == 0 || errno == EEXIST) && (mkdir(dir, 0700) == 0 || errno == EEXIST)))
        return OK;
    log_error("skill.mkdir_failed", "dir=%s message=\"%s\"", dir, strerror(errno));
    return ERR_INTERNAL;
}

static void stage_files_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    job->e = j->n > 0 ? find_files(j, thread_ctx->db) : OK;
    if (job->e != OK)
        return;
    job->e = blob_store_objects(j->blobs) ? find_objects(j, thread_ctx->db) : link_files(j);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Each name once: the names are looked up in parts, and a file that two parts name would come twice, which
 * the runner rejects. */
static size_t make_distinct(const char **names, size_t n)
{
    size_t distinct = 0;
    qsort(names, n, sizeof *names, compare_names);
    for (size_t i = 0; i < n; i++) {
        if (distinct == 0 || strcmp(names[distinct - 1], names[i]) != 0)
            names[distinct++] = names[i];
    }
    return distinct;
}

struct stage_files_job *stage_files_job_new(const struct active_run *run, const char *run_dir,
                                            json_object *ids, const uint8_t *package)
{
    struct stage_files_job *j = talloc_zero(NULL, struct stage_files_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stage_files_work};
    j->blobs = run->exec->blobs;
    j->workspace = run->row.workspace_id;
    j->principal = run->principal_id;
    j->run_dir = talloc_strdup(j, run_dir);
    j->files_dir = run->exec->config->files.dir;
    j->needs_package = package != NULL;
    if (package)
        memcpy(j->package, package, BLOB_HASH);
    j->names = talloc_array(j, const char *, STAGE_FILES_MAX);
    for (size_t i = 0; ids && i < json_object_array_length(ids) && j->n < STAGE_FILES_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(ids, i));
        j->names[j->n++] = file_name_normal(j, name ? name : "");
    }
    j->n = make_distinct(j->names, j->n);
    talloc_set_destructor(j, stage_files_destroy);
    return j;
}
