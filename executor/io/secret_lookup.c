#include "executor/io/secret_lookup.h"

#include <talloc.h>

#include "secret/secrets.h"

/* Of the needed secrets, each must exist. */
static enum err check_needed(struct secret_lookup *j)
{
    for (size_t i = 0; i < j->needed_n; i++) {
        if (j->values[i].text)
            continue;
        j->why = talloc_asprintf(j, "secret %s does not exist", j->names[i]);
        return ERR_NOT_FOUND;
    }
    return OK;
}

static void secret_lookup_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct secret_lookup *j = (struct secret_lookup *)job;
    j->why = "the secrets could not be decrypted by this executor";
    job->e = j->key || j->needed_n == 0 ? OK : ERR_DENIED;
    if (job->e != OK || !j->key)
        return;
    job->e = secrets_get(thread_ctx->db, j->values, j->key, &j->workspace, j->names, j->n, j->values);
    if (job->e == OK)
        job->e = check_needed(j);
    else if (err_is_transient(job->e))
        j->why = "the secrets could not be read";
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
