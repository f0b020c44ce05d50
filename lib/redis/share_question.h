/* How many units of the shared pools one workspace holds now, which only the daemons know
 * (docs/isolation.md, "Shares"). An operator's command publishes a question; every executor process and event
 * daemon appends its answer to a list that the question names, and that expires. Redis tells how many were
 * asked, so the command knows whether all have answered. */
#pragma once

#include "base/ids.h"
#include "redis/redis.h"

enum {
    /* A daemon that has not answered by then is missing. */
    SHARE_ANSWER_MS = 1000,
    /* Units of one answer: "NAME=N NAME=N". */
    SHARE_ANSWER_SIZE = 128,
};

struct share_question {
    id workspace;
    /* A new id for each question. */
    id reply;
};

/* --- the daemons --- */

/* The message of redis_channel_shares. False: it is none. */
bool share_question_parse(const char *text, size_t size, struct share_question *question_r);
/* Sends an answer. */
void share_question_answer(struct redis *r, void *ctx, const id *reply, const char *answer);

/* --- the command --- */

struct share_answers {
    /* Of ctx. */
    const char **list;
    size_t n;
    /* Daemons that were asked and have not answered. */
    size_t missing;
};

/* Asks, and waits for the answers. */
enum err share_question_ask(struct redis *r, void *ctx, const id *workspace,
                            struct share_answers *answers_r) WARN_UNUSED;
/* The sum of one name in the answers. False: none of them has it. */
bool share_answers_sum(const struct share_answers *answers, const char *name, int64_t *sum_r);
