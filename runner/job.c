#define _GNU_SOURCE
#include "runner/job.h"

#include <string.h>
#include <talloc.h>

#include "json/json.h"

struct job_parse {
    void *ctx;
    json_object *root;
    /* the first error; NULL while there is none */
    const char *why;
};

static const char *const known_members[] = {
    "argv",      "skill_dir",     "run_dir",    "stdin",       "timeout_ms",     "grace_ms",
    "memory_mb", "disk_mb",       "network",    "uid",         "files",          "artifacts",
    "env",       "processes_max", "stdout_max", "log_max",     "accept_missing", "artifacts_max",
    "warm",      "warm_dir",      "last",       "traceparent", "tracestate",
};

static void job_error(struct job_parse *p, const char *name, const char *what)
{
    if (!p->why)
        p->why = talloc_asprintf(p->ctx, "job: %s %s", name, what);
}

static void check_known_members(struct job_parse *p)
{
    json_object_object_foreach(p->root, key, value)
    {
        (void)value;
        size_t i = 0, n = sizeof known_members / sizeof *known_members;
        while (i < n && strcmp(key, known_members[i]) != 0)
            i++;
        if (i == n)
            job_error(p, key, "is not a known member");
    }
}

static int64_t int_member(struct job_parse *p, const char *name, int64_t fallback, int64_t min, int64_t max)
{
    json_object *v = json_get(p->root, name);
    if (!v)
        return fallback;
    int64_t n = json_object_get_int64(v);
    if (!json_object_is_type(v, json_type_int) || n < min || n > max)
        job_error(p, name, "must be an integer within its range");
    return n;
}

static const char *path_member(struct job_parse *p, const char *name)
{
    const char *s = json_get_text(p->root, name);
    if (!s || *s != '/')
        job_error(p, name, "must be an absolute path");
    return s ? talloc_strdup(p->ctx, s) : "";
}

/* Returns a copy of a string without NUL bytes, which can become an argument, a file name or a variable;
 * otherwise NULL. */
static const char *plain_text(void *ctx, json_object *v)
{
    if (!json_object_is_type(v, json_type_string))
        return NULL;
    const char *s = json_object_get_string(v);
    return strlen(s) == (size_t)json_object_get_string_len(v) ? talloc_strdup(ctx, s) : NULL;
}

static const char **string_list_member(struct job_parse *p, const char *name)
{
    json_object *list = json_get(p->root, name);
    if (!list)
        return NULL;
    size_t n = json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
    if (!json_object_is_type(list, json_type_array) || n > 1000)
        job_error(p, name, "must be a list of at most 1000 strings");
    const char **out = talloc_zero_array(p->ctx, const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        out[i] = plain_text(p->ctx, json_object_array_get_idx(list, i));
        if (!out[i])
            job_error(p, name, "must hold only strings without NUL");
    }
    return out;
}

static bool is_component(const char *s)
{
    return s && *s && strlen(s) <= 255 && !strchr(s, '/') && strcmp(s, ".") != 0 && strcmp(s, "..") != 0;
}

static void parse_files(struct job_parse *p, struct runner_job *job)
{
    json_object *list = json_get(p->root, "files");
    if (!list)
        return;
    if (!json_object_is_type(list, json_type_array)) {
        job_error(p, "files", "must be a list");
        return;
    }
    job->file_count = json_object_array_length(list);
    job->files = talloc_zero_array(p->ctx, struct runner_file, job->file_count);
    for (size_t i = 0; i < job->file_count; i++) {
        json_object *v = json_object_array_get_idx(list, i);
        struct runner_file *f = &job->files[i];
        f->source_path = plain_text(p->ctx, json_get(v, "source_path"));
        f->name = plain_text(p->ctx, json_get(v, "name"));
        if (!f->source_path || *f->source_path != '/')
            job_error(p, "files", "must have absolute source_path members");
        if (!is_component(f->name))
            job_error(p, "files", "must have names that are single path components");
    }
}

static void parse_env(struct job_parse *p, struct runner_job *job)
{
    json_object *map = json_get(p->root, "env");
    size_t n = 0;
    job->env = talloc_zero_array(p->ctx, const char *, 1);
    if (!map)
        return;
    if (!json_object_is_type(map, json_type_object)) {
        job_error(p, "env", "must be an object");
        return;
    }
    job->env = talloc_zero_array(p->ctx, const char *, (size_t)json_object_object_length(map) + 1);
    json_object_object_foreach(map, key, value)
    {
        const char *text = plain_text(p->ctx, value);
        /* LD_* would also take effect in bubblewrap, outside the sandbox */
        if (!text || !*key || strchr(key, '=') || strncmp(key, "LD_", 3) == 0)
            job_error(p, "env", "contains a variable that is not allowed or not a string");
        else
            job->env[n++] = talloc_asprintf(p->ctx, "%s=%s", key, text);
    }
}

static void parse_accept_missing(struct job_parse *p, struct runner_job *job)
{
    const char **list = string_list_member(p, "accept_missing");
    for (; list && *list; list++) {
        if (strcmp(*list, "net_ns") == 0)
            job->no_net_ns = true;
        else if (strcmp(*list, "cgroup_ns") == 0)
            job->no_cgroup_ns = true;
        else if (strcmp(*list, "seccomp") == 0)
            job->no_seccomp = true;
        else if (strcmp(*list, "io_accounting") == 0)
            job->no_io_accounting = true;
        else
            job_error(p, "accept_missing", "names a feature that no job can run without");
    }
}

static const char *optional_text(struct job_parse *p, const char *name)
{
    json_object *v = json_get(p->root, name);
    const char *text = v ? plain_text(p->ctx, v) : NULL;
    if (v && !text)
        job_error(p, name, "must be a string without NUL");
    return text;
}

static void parse_trace(struct job_parse *p, struct runner_job *job)
{
    job->trace.traceparent = optional_text(p, "traceparent");
    job->trace.tracestate = optional_text(p, "tracestate");
    if (!job->warm && job->trace.traceparent)
        job_error(p, "traceparent", "needs warm");
    if (!job->trace.traceparent && job->trace.tracestate)
        job_error(p, "tracestate", "needs traceparent");
}

static void parse_stdin(struct job_parse *p, struct runner_job *job)
{
    json_object *v = json_get(p->root, "stdin");
    job->stdin_text = "";
    if (!v)
        return;
    if (!json_object_is_type(v, json_type_string)) {
        job_error(p, "stdin", "must be a string");
        return;
    }
    job->stdin_bytes = (size_t)json_object_get_string_len(v);
    job->stdin_text = talloc_memdup(p->ctx, json_object_get_string(v), job->stdin_bytes + 1);
}

static void parse_job_limits(struct job_parse *p, struct runner_job *job)
{
    const int64_t mib = 1024 * 1024, day_ms = 24 * 3600 * 1000LL;
    job->timeout_ms = int_member(p, "timeout_ms", 60 * 1000, 1, 7 * day_ms);
    job->grace_ms = int_member(p, "grace_ms", 2000, 0, day_ms);
    job->memory_bytes = (uint64_t)(int_member(p, "memory_mb", 256, 8, 1024 * 1024) * mib);
    job->disk_bytes = (uint64_t)(int_member(p, "disk_mb", 256, 1, 1024 * 1024) * mib);
    job->processes_max = (unsigned)int_member(p, "processes_max", 64, 1, 10000);
    job->stdout_max = (uint64_t)int_member(p, "stdout_max", mib, 0, 64 * mib);
    job->log_max = (uint64_t)int_member(p, "log_max", mib, 0, 64 * mib);
    job->artifacts_max = (unsigned)int_member(p, "artifacts_max", 100, 0, 10000);
    job->uid = (uid_t)int_member(p, "uid", 0, 0, UINT32_MAX - 1);
}

enum err runner_job_parse(void *ctx, const char *text, size_t size, struct runner_job **job_r,
                          const char **why_r)
{
    struct job_parse p = {.ctx = ctx};
    enum err e = json_parse(ctx, text, size, JSON_DEPTH_MAX, &p.root, why_r);
    if (e != OK)
        return e;
    if (!json_object_is_type(p.root, json_type_object)) {
        *why_r = "job: must be an object";
        return ERR_INVALID;
    }
    struct runner_job *job = talloc_zero(ctx, struct runner_job);
    job->groups = COMMAND_GROUPS_NONE;
    check_known_members(&p);
    job->argv = string_list_member(&p, "argv");
    if (!job->argv || !job->argv[0] || !*job->argv[0])
        job_error(&p, "argv", "must name a command");
    job->skill_dir = path_member(&p, "skill_dir");
    job->run_dir = path_member(&p, "run_dir");
    job->artifacts = string_list_member(&p, "artifacts");
    job->network = json_object_get_boolean(json_get(p.root, "network"));
    job->warm = json_object_get_boolean(json_get(p.root, "warm"));
    job->last = json_object_get_boolean(json_get(p.root, "last"));
    job->work_parent = json_get(p.root, "warm_dir") ? path_member(&p, "warm_dir") : job->run_dir;
    if (!job->warm && job->work_parent != job->run_dir)
        job_error(&p, "warm_dir", "needs warm");
    parse_stdin(&p, job);
    parse_trace(&p, job);
    parse_job_limits(&p, job);
    parse_files(&p, job);
    parse_env(&p, job);
    parse_accept_missing(&p, job);
    *job_r = job;
    *why_r = p.why;
    return p.why ? ERR_INVALID : OK;
}
