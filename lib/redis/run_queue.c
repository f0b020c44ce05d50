#include "redis/run_queue.h"

#include <talloc.h>

#include "redis/keys.h"

/* How many runs from the first one on are of its workspace. */
static size_t count_neighbours(const struct queued_run *runs, size_t n)
{
    size_t same = 1;
    while (same < n && id_equal(runs[same].workspace, runs[0].workspace))
        same++;
    return same;
}

void run_queue_push(struct redis *redis, void *ctx, const struct queued_run *runs, size_t n)
{
    struct redis_arg *args = talloc_array(ctx, struct redis_arg, 2 + 3 * n);
    size_t args_n = 0;
    args[args_n++] = redis_key_run_queue(ctx);
    args[args_n++] = redis_number(ctx, RUN_QUEUE_IDS_MAX);
    for (size_t i = 0, same; i < n; i += same) {
        same = count_neighbours(&runs[i], n - i);
        args[args_n++] = redis_text(runs[i].workspace->text);
        args[args_n++] = redis_number(ctx, (int64_t)same);
        for (size_t k = i; k < i + same; k++)
            args[args_n++] = redis_text(runs[k].run->text);
    }
    if (n > 0)
        redis_queue_eval(redis, LUA_QUEUE_PUSH, args, 1, args_n - 1);
}

/* Takes the workspace whose turn it is off the set; queue_take.lua puts it back if it has more. */
static enum err wait_for_workspace(struct redis *redis, void *scratch, int wait_s,
                                   struct redis_arg *workspace_r, struct redis_arg *score_r)
{
    struct redis_arg args[] = {redis_text("BZPOPMIN"), redis_key_run_queue(scratch),
                               redis_number(scratch, wait_s)};
    struct redis_value answer;
    enum err e = redis_call_blocking(redis, scratch, args, 3, wait_s * 1000, &answer);
    if (e != OK)
        return e;
    if (answer.kind != REDIS_LIST || answer.count != 3 || answer.items[1].kind != REDIS_TEXT ||
        answer.items[2].kind != REDIS_TEXT)
        return ERR_UNAVAILABLE; /* an error answer: the set is unusable now */
    *workspace_r = redis_bytes(answer.items[1].text, answer.items[1].size);
    *score_r = redis_bytes(answer.items[2].text, answer.items[2].size);
    return OK;
}

/* The first item of the answer says how many of the ids are of short lists. */
static enum err take_ids(struct redis *redis, void *scratch, struct redis_arg workspace,
                         struct redis_arg score, id *ids, size_t most, size_t *n_r, size_t *short_n_r)
{
    struct redis_arg args[] = {redis_key_run_queue(scratch), redis_number(scratch, (int64_t)most), workspace,
                               score};
    struct redis_value answer;
    enum err e = redis_eval(redis, scratch, LUA_QUEUE_TAKE, args, 1, 3, &answer);
    if (e != OK || answer.kind != REDIS_LIST || answer.count == 0 || answer.items[0].kind != REDIS_NUMBER)
        return e;
    for (size_t i = 1; i < answer.count && *n_r < most; i++) {
        const struct redis_value *v = &answer.items[i];
        bool parsed = v->kind == REDIS_TEXT && id_parse(v->text, v->size, &ids[*n_r]);
        *n_r += parsed;
        *short_n_r += parsed && (int64_t)i <= answer.items[0].number;
    }
    return e;
}

enum err run_queue_take(struct redis *redis, int wait_s, id *ids, size_t most, size_t *n_r, size_t *short_n_r)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg workspace, score;
    *n_r = *short_n_r = 0;
    enum err e = wait_for_workspace(redis, scratch, wait_s, &workspace, &score);
    if (e == OK)
        e = take_ids(redis, scratch, workspace, score, ids, most, n_r, short_n_r);
    talloc_free(scratch);
    return e;
}
