#include "skill/runner_job.h"

static json_object *texts_json(const char *const *list, size_t n)
{
    json_object *array = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(array, json_object_new_string(list[i]));
    return array;
}

json_object *runner_job_new(const struct manifest *m, const char *skill_dir, const char *run_dir,
                            const char *input, int64_t timeout_ms)
{
    json_object *job = json_object_new_object();
    json_object_object_add(job, "argv", texts_json(m->argv, m->argv_n));
    json_object_object_add(job, "skill_dir", json_object_new_string(skill_dir));
    json_object_object_add(job, "run_dir", json_object_new_string(run_dir));
    json_object_object_add(job, "stdin", json_object_new_string(input));
    json_object_object_add(job, "timeout_ms", json_object_new_int64(timeout_ms));
    json_object_object_add(job, "grace_ms", json_object_new_int(SKILL_GRACE_MS));
    json_object_object_add(job, "memory_mb", json_object_new_int64(m->memory_mb));
    json_object_object_add(job, "network", json_object_new_boolean(m->network));
    json_object_object_add(job, "warm", json_object_new_boolean(m->warm));
    if (m->artifacts)
        json_object_object_add(job, "artifacts", texts_json(m->artifacts, m->artifacts_n));
    return job;
}
