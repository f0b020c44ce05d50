#include "executor/io/secret_lookup.h"

#include <talloc.h>

#include "secret/secrets.h"

static enum err read_secret(struct secret_lookup *j, struct db *db, size_t i)
{
    char *value;
    size_t size;
    enum err e = secret_get(db, j->values, j->key, &j->workspace, j->names[i], &value, &size);
    if (e == OK)
        j->values[i] = (struct secret_value){.text = value, .size = size};
    else if (e == ERR_NOT_FOUND && i >= j->needed_n)
        return OK;
    else if (e == ERR_NOT_FOUND)
        j->why = talloc_asprintf(j, "secret %s does not exist", j->names[i]);
    else if (err_is_transient(e))
        j->why = "the secrets could not be read";
    return e;
}

static void secret_lookup_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct secret_lookup *j = (struct secret_lookup *)job;
    j->why = "the secrets could not be decrypted by this executor";
    job->e = j->key || j->needed_n == 0 ? OK : ERR_DENIED;
    for (size_t i = 0; job->e == OK && j->key && i < j->n; i++)
        job->e = read_secret(j, thread_ctx->db, i);
}

struct secret_lookup *secret_lookup_new(struct executor *exec, const id *workspace, const char **names,
                                        size_t n, size_t needed_n)
{
    struct secret_lookup *j = talloc_zero(NULL, struct secret_lookup);
    j->job = (struct job){.kind = JOB_CALL, .work = secret_lookup_work};
    j->workspace = *workspace;
    j->key = exec->secret_key;
    j->n = n;
    j->needed_n = needed_n;
    j->names = talloc_array(j, const char *, n);
    for (size_t i = 0; i < n; i++)
        j->names[i] = talloc_strdup(j->names, names[i]);
    j->values = talloc_zero_array(j, struct secret_value, n);
    return j;
}
