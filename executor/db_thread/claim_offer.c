#include "executor/db_thread/claim_offer.h"

#include <pthread.h>
#include <talloc.h>
#include <time.h>

enum { TAKE_UP_MS = 200 };

struct claim_offers {
    void (*begin)(void *arg, struct claimed_run *runs, size_t n);
    void *arg;

    /* Protects everything below, and the states of the offers. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* on CLOCK_MONOTONIC */
    bool refusing;
};

/* The side that comes second frees it: the database thread if the loop took the offer up, otherwise the
 * loop. */
struct claim_offer {
    struct job job;
    struct claim_offers *offers;
    struct claimed_run *runs;
    size_t n;
    bool taken_up, handled, withdrawn;
};

struct claim_offers *claim_offers_new(void *ctx, void (*begin)(void *arg, struct claimed_run *runs, size_t n),
                                      void *arg)
{
    struct claim_offers *offers = talloc_zero(ctx, struct claim_offers);
    pthread_condattr_t monotonic;
    offers->begin = begin;
    offers->arg = arg;
    pthread_mutex_init(&offers->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&offers->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return offers;
}

/* On the loop. */
static void on_claim_offer(struct job *job)
{
    struct claim_offer *offer = (struct claim_offer *)job;
    struct claim_offers *offers = offer->offers;
    pthread_mutex_lock(&offers->lock);
    bool mine = !offer->withdrawn;
    offer->taken_up = mine;
    pthread_mutex_unlock(&offers->lock);
    if (!mine) {
        talloc_free(offer);
        return;
    }
    offers->begin(offers->arg, offer->runs, offer->n);
    pthread_mutex_lock(&offers->lock);
    offer->handled = true;
    pthread_cond_signal(&offers->changed);
    pthread_mutex_unlock(&offers->lock);
}

static struct timespec take_up_deadline(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += TAKE_UP_MS * 1000000L;
    at.tv_sec += at.tv_nsec / 1000000000L;
    at.tv_nsec %= 1000000000L;
    return at;
}

/* With the lock held. */
static void await_offer(struct claim_offers *offers, struct claim_offer *offer)
{
    struct timespec deadline = take_up_deadline();
    while (!offer->handled && (offer->taken_up || !offers->refusing) &&
           pthread_cond_timedwait(&offers->changed, &offers->lock, &deadline) == 0)
        ;
    while (offer->taken_up && !offer->handled)
        pthread_cond_wait(&offers->changed, &offers->lock);
    offer->withdrawn = !offer->taken_up;
}

bool claim_offers_make(struct claim_offers *offers, struct thread_queue *q, struct claimed_run *runs,
                       size_t n)
{
    struct claim_offer *offer = talloc_zero(NULL, struct claim_offer);
    *offer = (struct claim_offer){
        .job = {.kind = JOB_CALL, .done = on_claim_offer}, .offers = offers, .runs = runs, .n = n};
    thread_queue_return(q, &offer->job.queued);
    pthread_mutex_lock(&offers->lock);
    await_offer(offers, offer);
    bool taken_up = offer->taken_up;
    bool refused = offer->withdrawn && offers->refusing;
    pthread_mutex_unlock(&offers->lock);
    if (taken_up)
        talloc_free(offer);
    return !refused;
}

void claim_offers_refuse(struct claim_offers *offers)
{
    pthread_mutex_lock(&offers->lock);
    offers->refusing = true;
    pthread_cond_signal(&offers->changed);
    pthread_mutex_unlock(&offers->lock);
}
