#include "executor/run/skill/stage_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "base/utf8.h"
#include "blob/blob.h"
#include "store/file.h"
#include "json/json.h"

static int stage_files_destroy(struct stage_files_job *j)
{
    json_object_put(j->files);
    json_object_put(j->missing);
    return 0;
}

/* A hard link of our own, which keeps the blob while the run needs it. Across file systems: the blob's own
 * path. */
static const char *link_blob(struct stage_files_job *j, const struct file *file, size_t i)
{
    char *blob = blob_path(j, j->blobs, file->blob.sha256);
    char *ours = talloc_asprintf(j, "%s/files/%zu", j->run_dir, i);
    return link(blob, ours) == 0 ? ours : blob;
}

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

static void stage_files_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct stage_files_job *j = (struct stage_files_job *)job;
    struct file *list;
    size_t n;
    char *dir = talloc_asprintf(j, "%s/files", j->run_dir);
    job->e = file_find(thread_ctx->db, j, &j->workspace, &j->principal, j->names, j->n, &list, &n);
    if (job->e == OK)
        note_missing(j, list, n);
    if (job->e != OK || n == 0)
        return;
    if ((mkdir(j->run_dir, 0711) != 0 && errno != EEXIST) || (mkdir(dir, 0700) != 0 && errno != EEXIST)) {
        log_error("skill.mkdir_failed", "dir=%s message=\"%s\"", dir, strerror(errno));
        job->e = ERR_INTERNAL;
        return;
    }
    j->files = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object *file = json_object_new_object();
        json_object_object_add(file, "source_path", json_object_new_string(link_blob(j, &list[i], i)));
        json_object_object_add(file, "name", json_object_new_string(list[i].name));
        json_object_array_add(j->files, file);
    }
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
                                            json_object *ids)
{
    struct stage_files_job *j = talloc_zero(NULL, struct stage_files_job);
    j->job = (struct job){.kind = JOB_CALL, .work = stage_files_work};
    j->blobs = run->exec->blobs;
    j->workspace = run->row.workspace_id;
    j->principal = run->principal_id;
    j->run_dir = talloc_strdup(j, run_dir);
    j->names = talloc_array(j, const char *, STAGE_FILES_MAX);
    for (size_t i = 0; i < json_object_array_length(ids) && j->n < STAGE_FILES_MAX; i++) {
        const char *name = json_object_get_string(json_object_array_get_idx(ids, i));
        j->names[j->n++] = file_name_normal(j, name ? name : "");
    }
    j->n = make_distinct(j->names, j->n);
    talloc_set_destructor(j, stage_files_destroy);
    return j;
}
