#include "executor/db_thread/sandbox_share.h"

#include <pthread.h>
#include <talloc.h>
#include <uthash.h>

/* A workspace, while it has a permit. */
struct holder {
    id workspace;
    size_t permits;
    UT_hash_handle hh;
};

struct sandbox_share {
    size_t total, workspace_min;
    struct share_limit workspace_max, workspace_guaranteed;
    void (*on_free)(void *arg);
    void *arg;

    /* Protects everything below, and the permits. */
    pthread_mutex_t lock;
    struct holder *holders;
    size_t permits;
    /* A permit was refused since on_free was called last. */
    bool refused;
};

struct sandbox_permit {
    struct sandbox_share *share;
    struct holder *holder;
    int refs;
};

static int share_destroy(struct sandbox_share *share)
{
    HASH_CLEAR(hh, share->holders);
    pthread_mutex_destroy(&share->lock);
    return 0;
}

struct sandbox_share *sandbox_share_new(void *ctx, size_t total, size_t workspace_min,
                                        const struct share_limit *workspace_max,
                                        const struct share_limit *workspace_guaranteed,
                                        void (*on_free)(void *arg), void *arg)
{
    struct sandbox_share *share = talloc_zero(ctx, struct sandbox_share);
    share->total = total;
    share->workspace_min = workspace_min;
    share->workspace_max = *workspace_max;
    share->workspace_guaranteed = *workspace_guaranteed;
    share->on_free = on_free;
    share->arg = arg;
    pthread_mutex_init(&share->lock, NULL);
    talloc_set_destructor(share, share_destroy);
    return share;
}

static bool may_take(const struct sandbox_share *share, const struct holder *holder, const id *workspace)
{
    size_t own = holder ? holder->permits : 0;
    size_t least = share_minimum(&share->workspace_guaranteed, workspace, share->workspace_min);
    return share_may_take(share->total, share->permits, own, least) &&
           share_is_below(&share->workspace_max, workspace, own);
}

/* With the lock held. */
static struct sandbox_permit *make_permit(struct sandbox_share *share, const id *workspace)
{
    struct holder *holder;
    HASH_FIND(hh, share->holders, workspace->text, ID_LENGTH, holder);
    if (!may_take(share, holder, workspace)) {
        share->refused = true;
        return NULL;
    }
    if (!holder) {
        holder = talloc_zero(NULL, struct holder);
        holder->workspace = *workspace;
        HASH_ADD(hh, share->holders, workspace.text, ID_LENGTH, holder);
    }
    holder->permits++;
    share->permits++;
    struct sandbox_permit *permit = talloc_zero(NULL, struct sandbox_permit);
    *permit = (struct sandbox_permit){.share = share, .holder = holder, .refs = 1};
    return permit;
}

size_t sandbox_share_held(struct sandbox_share *share, const id *workspace)
{
    const struct holder *holder;
    pthread_mutex_lock(&share->lock);
    HASH_FIND(hh, share->holders, workspace->text, ID_LENGTH, holder);
    size_t permits = holder ? holder->permits : 0;
    pthread_mutex_unlock(&share->lock);
    return permits;
}

struct sandbox_permit *sandbox_permit_take(struct sandbox_share *share, const id *workspace)
{
    pthread_mutex_lock(&share->lock);
    struct sandbox_permit *permit = make_permit(share, workspace);
    pthread_mutex_unlock(&share->lock);
    return permit;
}

struct sandbox_permit *sandbox_permit_ref(struct sandbox_permit *permit)
{
    if (!permit)
        return NULL;
    pthread_mutex_lock(&permit->share->lock);
    permit->refs++;
    pthread_mutex_unlock(&permit->share->lock);
    return permit;
}

/* With the lock held. */
static void end_permit(struct sandbox_permit *permit)
{
    struct holder *holder = permit->holder;
    permit->share->permits--;
    if (--holder->permits == 0) {
        HASH_DEL(permit->share->holders, holder);
        talloc_free(holder);
    }
    talloc_free(permit);
}

void sandbox_permit_unref(struct sandbox_permit *permit)
{
    bool announce = false;
    if (!permit)
        return;
    struct sandbox_share *share = permit->share;
    pthread_mutex_lock(&share->lock);
    if (--permit->refs == 0) {
        end_permit(permit);
        announce = share->refused;
        share->refused = false;
    }
    pthread_mutex_unlock(&share->lock);
    if (announce)
        share->on_free(share->arg);
}
