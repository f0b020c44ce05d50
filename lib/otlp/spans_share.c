#include "otlp/spans_share.h"

bool spans_share_take(struct spans_share *s, const id *workspace, int64_t now_ms)
{
    size_t slot = id_hash(workspace) % SPANS_SHARE_SLOTS;
    int64_t minute = now_ms / 60000;
    if (s->slots[slot].minute != minute) {
        s->slots[slot].minute = minute;
        s->slots[slot].used = 0;
    }
    if (s->slots[slot].used >= s->per_minute)
        return false;
    s->slots[slot].used++;
    return true;
}
