#include "webhook/share.h"

#include <talloc.h>

struct share {
    id workspace_id;
    size_t n;
};

/* Only workspaces with requests in flight are in the list, so it is short. */
struct webhook_shares {
    struct share *list;
    size_t n;
};

struct webhook_shares *webhook_shares_new(void *ctx)
{
    return talloc_zero(ctx, struct webhook_shares);
}

static struct share *find_share(const struct webhook_shares *s, const id *workspace)
{
    for (size_t i = 0; i < s->n; i++) {
        if (id_equal(&s->list[i].workspace_id, workspace))
            return &s->list[i];
    }
    return NULL;
}

size_t webhook_share_used(const struct webhook_shares *s, const id *workspace)
{
    const struct share *share = find_share(s, workspace);
    return share ? share->n : 0;
}

size_t webhook_share_room(const struct webhook_shares *s, const id *workspace, size_t free)
{
    size_t used = webhook_share_used(s, workspace);
    return free > used ? (free - used + 1) / 2 : 0;
}

void webhook_share_add(struct webhook_shares *s, const id *workspace, size_t n)
{
    struct share *share = find_share(s, workspace);
    if (!share) {
        s->list = talloc_realloc(s, s->list, struct share, s->n + 1);
        share = &s->list[s->n++];
        *share = (struct share){*workspace, 0};
    }
    share->n += n;
}

void webhook_share_remove(struct webhook_shares *s, const id *workspace, size_t n)
{
    struct share *share = find_share(s, workspace);
    if (!share)
        return;
    share->n -= n < share->n ? n : share->n;
    if (share->n == 0)
        *share = s->list[--s->n];
}
