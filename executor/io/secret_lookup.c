#include "executor/io/secret_lookup.h"

#include <talloc.h>

#include "secret/secrets.h"

static enum err look_up(struct secret_job *j, struct db *db, size_t i)
{
    char *value;
    size_t size;
    enum err e = secret_get(db, j->values, j->key, &j->workspace, j->names[i], &value, &size);
    if (e == OK)
        j->values[i] = (struct secret_value){.text = value, .size = size};
    else if (e == ERR_NOT_FOUND)
        j->why = talloc_asprintf(j, "there is no secret %s", j->names[i]);
    else if (e == ERR_BUSY)
        j->why = "the secrets cannot be read now";
    return e;
}

static void work(struct job *job, struct writer_hands *hands)
{
    struct secret_job *j = (struct secret_job *)job;
    j->why = "the secrets cannot be opened by this executor";
    job->e = j->key ? OK : ERR_DENIED;
    for (size_t i = 0; job->e == OK && i < j->n; i++)
        job->e = look_up(j, hands->db, i);
}

struct secret_job *secret_job_new(struct executor *x, const id *workspace, const char **names, size_t n)
{
    struct secret_job *j = talloc_zero(NULL, struct secret_job);
    j->job = (struct job){.kind = JOB_CALL, .work = work};
    j->workspace = *workspace;
    j->key = x->secret_key;
    j->n = n;
    j->names = talloc_array(j, const char *, n);
    for (size_t i = 0; i < n; i++)
        j->names[i] = talloc_strdup(j->names, names[i]);
    j->values = talloc_zero_array(j, struct secret_value, n);
    return j;
}
