#include "replaced_db_thread.h"

#include <talloc.h>

static struct thread_job_list submitted = STAILQ_HEAD_INITIALIZER(submitted);

struct stream_db_job *stream_db_job_new(enum stream_db_job_kind kind, void *owner,
                                        void (*on_done)(struct stream_db_job *job))
{
    struct stream_db_job *job = talloc_zero(NULL, struct stream_db_job);
    job->kind = kind;
    job->owner = owner;
    job->on_done = on_done;
    return job;
}

void stream_db_thread_submit(struct stream_db_thread *thread, struct stream_db_job *job)
{
    STAILQ_INSERT_TAIL(&submitted, &job->queued, next);
}

struct stream_db_job *first_submitted(enum stream_db_job_kind kind, const id *workspace)
{
    struct thread_job *each;
    STAILQ_FOREACH(each, &submitted, next)
    {
        struct stream_db_job *job = (struct stream_db_job *)each;
        if (job->kind == kind && (!workspace || id_equal(&job->workspace, workspace)))
            return job;
    }
    return NULL;
}

void finish_submitted(struct stream_db_job *job, enum err e)
{
    STAILQ_REMOVE(&submitted, &job->queued, thread_job, next);
    job->error = e;
    stream_db_job_finish(job);
}
