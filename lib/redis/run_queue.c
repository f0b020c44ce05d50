#include "redis/run_queue.h"

#include <talloc.h>

#include "redis/keys.h"

static void add_id(const struct redis_value *v, id *ids, size_t *n)
{
    if (v->kind == REDIS_TEXT && id_parse(v->text, v->size, &ids[*n]))
        (*n)++;
}

enum err run_queue_wait(struct redis *redis, int wait_s, id *first_r)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg args[] = {redis_text("BRPOP"), redis_key_run_queue(scratch),
                               redis_number(scratch, wait_s)};
    struct redis_value answer;
    size_t n = 0;
    enum err e = redis_call_blocking(redis, scratch, args, 3, wait_s * 1000, &answer);
    if (e == OK && answer.kind == REDIS_LIST && answer.count == 2)
        add_id(&answer.items[1], first_r, &n);
    else if (e == OK)
        e = ERR_UNAVAILABLE; /* an error answer */
    talloc_free(scratch);
    return e == OK && n == 0 ? ERR_NOT_FOUND : e;
}

size_t run_queue_pop(struct redis *redis, id *ids, size_t most)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg args[] = {redis_text("RPOP"), redis_key_run_queue(scratch),
                               redis_number(scratch, (int64_t)most)};
    struct redis_value answer;
    size_t n = 0;
    if (most > 0 && redis_call(redis, scratch, args, 3, &answer) == OK && answer.kind == REDIS_LIST) {
        for (size_t i = 0; i < answer.count && n < most; i++)
            add_id(&answer.items[i], ids, &n);
    }
    talloc_free(scratch);
    return n;
}
