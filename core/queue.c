#include "core/queue.h"

#include <talloc.h>

#include "core/redis_keys.h"

static void take(const struct redis_value *v, id *ids, size_t *n)
{
    if (v->kind == REDIS_TEXT && id_parse(v->text, v->size, &ids[*n]))
        (*n)++;
}

enum err queue_pop(struct redis *redis, int wait_s, id *ids, size_t most, size_t *n_r)
{
    void *scratch = talloc_new(NULL);
    struct redis_arg key = redis_key_queue(scratch);
    struct redis_arg wait[] = {redis_text("BRPOP"), key, redis_number(scratch, wait_s)};
    struct redis_value answer;
    *n_r = 0;
    enum err e = redis_block(redis, scratch, wait, 3, wait_s * 1000, &answer);
    if (e == OK && answer.kind == REDIS_LIST && answer.count == 2) {
        take(&answer.items[1], ids, n_r);
        struct redis_arg more[] = {redis_text("RPOP"), key, redis_number(scratch, (int64_t)most - 1)};
        if (most > 1 && redis_call(redis, scratch, more, 3, &answer) == OK && answer.kind == REDIS_LIST) {
            for (size_t i = 0; i < answer.count && *n_r < most; i++)
                take(&answer.items[i], ids, n_r);
        }
    } else if (e == OK) {
        e = ERR_BUSY; /* an error answer: the list is of no use now */
    }
    talloc_free(scratch);
    return e;
}
