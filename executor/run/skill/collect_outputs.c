#define _GNU_SOURCE
#include "executor/run/skill/collect_outputs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "json/json.h"

enum { LOG_MAX = 16 * 1024 * 1024 };
#define ARTIFACT_MAX (INT64_C(1) << 40) /* the runner has limited them */

struct hold {
    struct blob_store *store;
};

static int let_go(struct hold *h)
{
    blob_release(h->store);
    return 0;
}

static int job_destroy(struct keep_job *j)
{
    skills_unref(j->skill);
    json_object_put(j->found);
    return 0;
}

/* --- outputs --- */

/* The whole file as text of the job; NULL where it is too large or cannot be read. */
static char *read_file(struct keep_job *j, const char *path, size_t max, size_t *size_r)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    char *text = talloc_size(j, max + 2);
    size_t size = 0;
    ssize_t n = fd >= 0 ? 1 : -1;
    while (n > 0 && size <= max && (n = read(fd, text + size, max + 1 - size)) > 0)
        size += (size_t)n;
    if (fd >= 0)
        close(fd);
    text[size] = '\0';
    *size_r = size;
    return n < 0 || size > max ? NULL : text;
}

static void check_outputs(struct keep_job *j)
{
    char *path = talloc_asprintf(j, "%s/stdout", j->run_dir);
    struct schema_problems wrong = {0};
    json_object *value;
    const char *why = "too large";
    size_t size;
    char *text = read_file(j, path, MANIFEST_OUTPUT_MAX, &size);
    enum err e = text ? json_parse(j, text, size, JSON_DEPTH_MAX, &value, &why) : ERR_LIMIT;
    j->reason = REASON_OUTPUTS_INVALID;
    if (e != OK) {
        j->why = talloc_asprintf(j, "the outputs cannot be read: %s", why);
    } else if (!json_object_is_type(value, json_type_object)) {
        j->why = "the outputs are not one JSON object";
    } else if (schema_validate(j, skills_manifest(j->skill)->outputs, value, &wrong) != OK) {
        j->why = talloc_asprintf(j, "the outputs are not what the manifest says: %s %s",
                                 wrong.count ? wrong.items[0].pointer : "",
                                 wrong.count ? wrong.items[0].message : "they are too large to be checked");
    } else {
        j->outputs = text;
    }
}

/* --- blobs --- */

struct copies {
    struct blob_writer **list;
    size_t n;
};

static enum err copy_log(struct keep_job *j, struct copies *copies)
{
    char *path = talloc_asprintf(j, "%s/log", j->run_dir);
    struct blob_writer *w = NULL;
    struct stat st;
    if (lstat(path, &st) != 0 || st.st_size == 0) /* the run has not come that far, or said nothing */
        return OK;
    enum err e = blob_copy_file(j, j->blobs, AT_FDCWD, path, LOG_MAX, &w, &j->log);
    j->has_log = e == OK;
    if (j->has_log)
        copies->list[copies->n++] = w;
    return e == ERR_INVALID ? OK : e;
}

static enum err copy_artifact(struct keep_job *j, json_object *found, int outputs, struct copies *copies)
{
    const char *relpath = json_get_text(found, "relpath");
    const char *type = json_get_text(found, "media_type");
    struct artifact *a = &j->artifacts[j->artifacts_n];
    struct blob_writer *w = NULL;
    if (!relpath || strlen(relpath) > 4000)
        return OK;
    enum err e = blob_copy_file(j, j->blobs, outputs, relpath, ARTIFACT_MAX, &w, &a->blob);
    if (e == ERR_INVALID)
        return OK;
    a->id = id_new();
    a->relpath = talloc_asprintf(j, "outputs/%s", relpath);
    a->media_type = talloc_strdup(j, type && strlen(type) < 200 ? type : "application/octet-stream");
    if (e != OK)
        return e;
    j->artifacts_n++;
    copies->list[copies->n++] = w;
    return OK;
}

static enum err copy_all(struct keep_job *j, struct copies *copies)
{
    size_t n = j->found ? json_object_array_length(j->found) : 0;
    j->artifacts = talloc_zero_array(j, struct artifact, n + 1);
    copies->list = talloc_array(j, struct blob_writer *, n + 1);
    enum err e = copy_log(j, copies);
    if (e != OK || n == 0)
        return e;
    char *path = talloc_asprintf(j, "%s/work/outputs", j->run_dir);
    int outputs = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; e == OK && i < n; i++)
        e = copy_artifact(j, json_object_array_get_idx(j->found, i), outputs, copies);
    if (outputs >= 0)
        close(outputs);
    return e;
}

static enum err keep_all(struct keep_job *j, const struct copies *copies)
{
    if (copies->n == 0)
        return OK;
    enum err e = blob_hold(j->blobs);
    if (e != OK)
        return e;
    struct hold *hold = talloc_zero(j, struct hold);
    hold->store = j->blobs;
    talloc_set_destructor(hold, let_go);
    j->hold = hold;
    for (size_t i = 0; e == OK && i < copies->n; i++)
        e = blob_keep(copies->list[i]);
    return e;
}

static void work(struct job *job, struct writer_hands *hands)
{
    struct keep_job *j = (struct keep_job *)job;
    struct copies copies = {0};
    (void)hands;
    if (j->want_outputs)
        check_outputs(j);
    j->failed = copy_all(j, &copies) != OK || keep_all(j, &copies) != OK;
}

struct keep_job *keep_job_new(struct executor *x, struct cached_skill *skill, const char *run_dir,
                              json_object *found)
{
    struct keep_job *j = talloc_zero(NULL, struct keep_job);
    j->job = (struct job){.kind = JOB_CALL, .work = work};
    j->blobs = x->blobs;
    j->skill = skills_ref(skill);
    j->run_dir = talloc_strdup(j, run_dir);
    j->found = json_object_get(found);
    talloc_set_destructor(j, job_destroy);
    return j;
}
