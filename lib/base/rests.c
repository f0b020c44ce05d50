#include "base/rests.h"

#include <stddef.h>

static size_t find(const struct rests *r, const id *wanted)
{
    size_t i = 0;
    while (i < RESTS_MAX && !id_equal(&r->list[i].id, wanted))
        i++;
    return i;
}

bool rests_has(const struct rests *r, const id *wanted, int64_t now_ms)
{
    size_t i = find(r, wanted);
    return i < RESTS_MAX && now_ms < r->list[i].until_ms;
}

static size_t place_for(const struct rests *r)
{
    size_t first = 0;
    for (size_t i = 1; i < RESTS_MAX; i++) {
        if (r->list[i].until_ms < r->list[first].until_ms)
            first = i;
    }
    return first;
}

int64_t rests_add(struct rests *r, const id *failed, int64_t now_ms)
{
    size_t i = find(r, failed);
    int64_t pause = REST_FIRST_MS;
    if (i == RESTS_MAX) {
        i = place_for(r);
        r->list[i] = (struct rest){.id = *failed};
    }
    for (unsigned n = 0; n < r->list[i].failures && pause < REST_LONGEST_MS; n++)
        pause *= 2;
    pause = pause < REST_LONGEST_MS ? pause : REST_LONGEST_MS;
    r->list[i].failures++;
    r->list[i].until_ms = now_ms + pause;
    return pause;
}

void rests_end(struct rests *r, const id *succeeded)
{
    size_t i = find(r, succeeded);
    if (i < RESTS_MAX)
        r->list[i] = (struct rest){.failures = 0};
}
