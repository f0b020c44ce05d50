#define _GNU_SOURCE
#include "executor/run/skill/collect_outputs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/backoff.h"
#include "base/clock.h"
#include "executor/io/disk_thread.h"
#include "service/compute_thread.h"
#include "json/json.h"

enum { LOG_MAX = 16 * 1024 * 1024, PATIENCE_MS = 20000, PAUSE_FIRST_MS = 250, PAUSE_MOST_MS = 2000 };
/* checks of a validation on the disk thread: about a millisecond */
enum { OUTPUT_CHECKS_INLINE = 20000 };
/* no limit of our own: the runner has limited the artifacts */
#define ARTIFACT_MAX (INT64_C(1) << 40)

static int outputs_job_destroy(struct outputs_job *j)
{
    cached_skill_unref(j->skill);
    json_object_put(j->artifact_list);
    return 0;
}

/* --- outputs --- */

/* The content of a file, of the job; NULL: it is larger than `max`, or unreadable. */
static char *read_output_file(struct outputs_job *j, const char *path, size_t max, size_t *size_r)
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

/* Sets outputs, or why they are not valid. ERR_LIMIT: a larger budget may decide otherwise. */
static enum err check_outputs(struct outputs_job *j, char *text, size_t size, long budget)
{
    const struct schema *schema = cached_skill_manifest(j->skill)->outputs;
    struct schema_problems wrong = {0};
    json_object *value = NULL;
    const char *why = NULL;
    void *scratch = talloc_new(j);
    enum err e = json_parse(scratch, text, size, JSON_DEPTH_MAX, &value, &why);
    bool is_object = e == OK && json_object_is_type(value, json_type_object);
    if (is_object)
        e = schema_validate_within(scratch, schema, value, budget, &wrong);
    j->reason = e == ERR_LIMIT ? REASON_LIMIT_EXCEEDED : REASON_OUTPUTS_INVALID;
    if (!value)
        j->why = talloc_asprintf(j, "the outputs could not be parsed: %s", why);
    else if (!is_object)
        j->why = "the outputs are not a single JSON object";
    else if (e != OK && wrong.count > 0)
        j->why = talloc_asprintf(j, "the outputs do not match the manifest's schema: %s %s",
                                 wrong.items[0].pointer, wrong.items[0].message);
    else if (e != OK)
        j->why = "the outputs could not be validated";
    else
        j->outputs = text;
    talloc_free(scratch);
    return e;
}

/* What is small is checked at once, as the disk thread may use no more than a few milliseconds for it. */
static void read_outputs(struct outputs_job *j)
{
    size_t size;
    char *text = read_output_file(j, talloc_asprintf(j, "%s/stdout", j->run_dir), MANIFEST_OUTPUT_MAX, &size);
    j->reason = REASON_OUTPUTS_INVALID;
    if (!text) {
        j->why = "the outputs could not be parsed: too large";
    } else if (size == 0) {
        j->why =
            "the command printed nothing on standard output, where its outputs are expected: one JSON object";
    } else if (size > COMPUTE_INLINE_MAX || check_outputs(j, text, size, OUTPUT_CHECKS_INLINE) == ERR_LIMIT) {
        j->unchecked = text;
        j->unchecked_size = size;
    }
}

/* --- the compute thread --- */

struct outputs_check {
    struct compute_job compute; /* first */
    /* below the check */
    struct outputs_job *of;
};

static void check_outputs_work(struct compute_job *compute)
{
    struct outputs_job *j = ((struct outputs_check *)compute)->of;
    (void)check_outputs(j, j->unchecked, j->unchecked_size, SCHEMA_BUDGET_DEFAULT); /* `why` says it */
}

static void on_outputs_checked(struct compute_job *compute)
{
    struct outputs_job *j = talloc_steal(NULL, ((struct outputs_check *)compute)->of);
    talloc_free(compute);
    j->collected(j);
}

static void on_files_collected(struct job *job)
{
    struct outputs_job *j = (struct outputs_job *)job;
    if (!j->unchecked) {
        j->collected(j);
        return;
    }
    struct outputs_check *check = talloc_zero(NULL, struct outputs_check);
    check->compute = (struct compute_job){.workspace_id = cached_skill_row(j->skill)->workspace_id,
                                          .work = check_outputs_work,
                                          .done = on_outputs_checked};
    check->of = talloc_steal(check, j);
    compute_submit(j->compute, &check->compute);
}

/* --- blobs --- */

struct copies {
    struct blob_writer **list;
    size_t n;
};

static enum err copy_log(struct outputs_job *j, struct copies *copies)
{
    char *path = talloc_asprintf(j, "%s/log", j->run_dir);
    struct blob_writer *w = NULL;
    struct stat st;
    /* none: the command was not started, or wrote nothing to stderr */
    if (lstat(path, &st) != 0 || st.st_size == 0)
        return OK;
    enum err e = blob_copy_file(j, j->blobs, AT_FDCWD, path, LOG_MAX, &w, &j->log);
    j->has_log = e == OK;
    if (j->has_log)
        copies->list[copies->n++] = w;
    return e == ERR_INVALID ? OK : e;
}

static enum err copy_artifact(struct outputs_job *j, json_object *found, int outputs, struct copies *copies)
{
    const char *relpath = json_get_text(found, "relpath");
    const char *type = json_get_text(found, "media_type");
    struct artifact *a = &j->artifacts[j->artifacts_n];
    struct blob_writer *w = NULL;
    enum err e =
        relpath ? blob_copy_file(j, j->blobs, outputs, relpath, ARTIFACT_MAX, &w, &a->blob) : ERR_INVALID;
    j->missing_n += e == ERR_INVALID;
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

static enum err copy_outputs(struct outputs_job *j, struct copies *copies)
{
    size_t n = j->artifact_list ? json_object_array_length(j->artifact_list) : 0;
    j->artifacts = talloc_zero_array(j, struct artifact, n + 1);
    copies->list = talloc_array(j, struct blob_writer *, n + 1);
    enum err e = copy_log(j, copies);
    if (e != OK || n == 0)
        return e;
    char *path = talloc_asprintf(j, "%s/work/outputs", j->work_parent);
    int outputs = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    for (size_t i = 0; e == OK && i < n; i++)
        e = copy_artifact(j, json_object_array_get_idx(j->artifact_list, i), outputs, copies);
    if (outputs >= 0)
        close(outputs);
    return e;
}

/* The command has run, and the run cannot be handed back. An object store that is away for a moment must not
 * cost its outputs. The limit is for all blobs together, as other runs wait for the thread. */
static enum err publish_patiently(struct blob_writer *w, int64_t until_ms)
{
    enum err e = blob_publish(w);
    for (int attempt = 1; e == ERR_UNAVAILABLE && clock_boot_ms() < until_ms; attempt++) {
        int64_t pause_ms = backoff_ms(PAUSE_FIRST_MS, attempt, PAUSE_MOST_MS);
        struct timespec pause = {.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000};
        nanosleep(&pause, NULL);
        e = blob_publish(w);
    }
    return e;
}

static enum err publish_blobs(const struct copies *copies)
{
    int64_t until_ms = clock_boot_ms() + PATIENCE_MS;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < copies->n; i++)
        e = publish_patiently(copies->list[i], until_ms);
    return e;
}

static void collect_outputs_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct outputs_job *j = (struct outputs_job *)job;
    struct copies copies = {0};
    (void)thread_ctx;
    if (j->want_outputs)
        read_outputs(j);
    j->failed = copy_outputs(j, &copies) != OK || publish_blobs(&copies) != OK;
}

struct outputs_job *outputs_job_new(struct executor *exec, struct cached_skill *skill, const char *run_dir,
                                    const char *work_parent, json_object *found)
{
    struct outputs_job *j = talloc_zero(NULL, struct outputs_job);
    j->job = (struct job){.kind = JOB_CALL, .work = collect_outputs_work, .done = on_files_collected};
    j->compute = exec->compute;
    j->blobs = exec->blobs;
    j->skill = cached_skill_ref(skill);
    j->run_dir = talloc_strdup(j, run_dir);
    j->work_parent = talloc_strdup(j, work_parent);
    j->artifact_list = json_object_get(found);
    talloc_set_destructor(j, outputs_job_destroy);
    return j;
}

void outputs_job_submit(struct executor *exec, struct outputs_job *j)
{
    disk_thread_submit(exec->disk_thread, &j->job);
}
