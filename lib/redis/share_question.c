#include "redis/share_question.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "redis/keys.h"

enum { ANSWERS_MAX = 1000, EXPIRE_S = 30 };

bool share_question_parse(const char *text, size_t size, struct share_question *question_r)
{
    return size == 2 * ID_LENGTH + 1 && text[ID_LENGTH] == ' ' &&
           id_parse(text, ID_LENGTH, &question_r->workspace) &&
           id_parse(text + ID_LENGTH + 1, ID_LENGTH, &question_r->reply);
}

void share_question_answer(struct redis *r, void *ctx, const id *reply, const char *answer)
{
    struct redis_arg key = redis_key_share_answers(ctx, reply);
    struct redis_arg push[] = {redis_text("RPUSH"), key, redis_text(answer)};
    struct redis_arg expire[] = {redis_text("EXPIRE"), key, redis_number(ctx, EXPIRE_S)};
    redis_queue(r, push, 3);
    redis_queue(r, expire, 3);
    redis_flush(r);
}

static enum err publish(struct redis *r, void *ctx, const struct share_question *q, size_t *asked_r)
{
    struct redis_arg args[] = {redis_text("PUBLISH"), redis_channel_shares(ctx),
                               redis_text(talloc_asprintf(ctx, "%s %s", q->workspace.text, q->reply.text))};
    struct redis_value answer;
    enum err e = redis_call(r, ctx, args, 3, &answer);
    int64_t n = e == OK && answer.kind == REDIS_NUMBER ? answer.number : 0;
    *asked_r = n < ANSWERS_MAX ? (size_t)n : ANSWERS_MAX;
    return e;
}

/* ERR_NOT_FOUND: none came in time. */
static enum err await_answer(struct redis *r, void *ctx, struct redis_arg key, int64_t until_ms,
                             const char **answer_r)
{
    struct redis_value popped;
    int64_t left_ms = until_ms - clock_boot_ms();
    if (left_ms <= 0)
        return ERR_NOT_FOUND;
    struct redis_arg args[] = {redis_text("BLPOP"), key,
                               redis_text(talloc_asprintf(ctx, "%.3f", (double)left_ms / 1000))};
    enum err e = redis_call_blocking(r, ctx, args, 3, (int)left_ms, &popped);
    if (e == OK && (popped.kind != REDIS_LIST || popped.count != 2 || popped.items[1].kind != REDIS_TEXT))
        return ERR_NOT_FOUND;
    if (e == OK)
        *answer_r = talloc_strndup(ctx, popped.items[1].text, popped.items[1].size);
    return e;
}

enum err share_question_ask(struct redis *r, void *ctx, const id *workspace, struct share_answers *answers_r)
{
    struct share_question q = {.workspace = *workspace, .reply = id_new()};
    struct redis_arg key = redis_key_share_answers(ctx, &q.reply);
    int64_t until_ms = clock_boot_ms() + SHARE_ANSWER_MS;
    size_t asked;
    *answers_r = (struct share_answers){0};
    enum err e = publish(r, ctx, &q, &asked);
    if (e != OK)
        return e;
    answers_r->list = talloc_array(ctx, const char *, asked + 1);
    while (e == OK && answers_r->n < asked) {
        e = await_answer(r, ctx, key, until_ms, &answers_r->list[answers_r->n]);
        answers_r->n += e == OK;
    }
    answers_r->missing = asked - answers_r->n;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* "NAME=N" in a text of such, each after a space. */
static bool find_number(const char *answer, const char *name, int64_t *n_r)
{
    size_t size = strlen(name);
    for (const char *at = answer; at; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (strncmp(at, name, size) == 0 && at[size] == '=') {
            *n_r = strtoll(at + size + 1, NULL, 10);
            return true;
        }
    }
    return false;
}

bool share_answers_sum(const struct share_answers *answers, const char *name, int64_t *sum_r)
{
    bool any = false;
    *sum_r = 0;
    for (size_t i = 0; i < answers->n; i++) {
        int64_t n;
        if (!find_number(answers->list[i], name, &n))
            continue;
        any = true;
        *sum_r += n;
    }
    return any;
}
