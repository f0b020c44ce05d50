#include "executor/process/share_answer.h"

#include <stdio.h>
#include <talloc.h>

#include "executor/db_thread/db_thread.h"
#include "executor/db_thread/sandbox_share.h"
#include "executor/io/http_client.h"
#include "store/quota.h"

struct answer_job {
    struct job job; /* first */
    id reply;
    char text[SHARE_ANSWER_SIZE];
};

static void answer_work(struct job *job, struct db_thread_ctx *thread_ctx)
{
    struct answer_job *j = (struct answer_job *)job;
    share_question_answer(thread_ctx->redis, j, &j->reply, j->text);
}

static void on_answered(struct job *job)
{
    talloc_free(job);
}

void share_answer_send(struct executor *exec, const struct share_question *question)
{
    struct answer_job *j = talloc_zero(NULL, struct answer_job);
    j->job = (struct job){.kind = JOB_CALL, .work = answer_work, .done = on_answered};
    j->reply = question->reply;
    snprintf(j->text, sizeof j->text, "%s=%zu %s=%zu", quota_name(QUOTA_HTTP_REQUESTS),
             http_calls_of(exec->http_client, &question->workspace), quota_name(QUOTA_SANDBOXES),
             sandbox_share_held(exec->sandboxes, &question->workspace));
    db_thread_submit(exec->db_thread, &j->job);
}
