/* POST /workflows/{id}/run-batch. The semantics are in docs/correctness.md ("Batches"). */
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/failpoint.h"
#include "fcgi/cache/workflow_cache.h"
#include "fcgi/forms/run_form.h"
#include "fcgi/forms/run_trace.h"
#include "fcgi/forms/start_run.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/handlers/workflow_target.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "fcgi/shared/accept_group.h"
#include "run/batch.h"
#include "json/json_raw.h"
#include "json/json_write.h"

enum {
    /* A request that has worked for so long ends; a repetition completes the batch. nginx waits for 75 s. */
    BATCH_WORK_MS = 30000,
    /* As for single runs (fcgi/forms/start_run.c). */
    VALIDATE_TRIES = 5,
    /* The account is locked for about so long at most, as the time of the transaction before tells: other
     * requests of the workspace wait for it. The first transaction, and one on a slow machine, has
     * ACCEPT_GROUP_MAX items. */
    CHUNK_MS = 200,
    /* Bytes of the first violation in the result of an item. */
    ERROR_MAX = 512,
};

struct batch {
    struct request *r;
    /* `batch.key.key` is absent without an Idempotency-Key. */
    struct run_batch batch;
    bool repeated;
    /* The id of the first item's run. */
    id first;
    const struct span *items;
    /* Of each item, as JSON; absent: not decided. */
    struct span *results;
    /* Runs whose ids were derived from the batch. */
    size_t accepted;
    /* The rate tokens are used up: every later item is rejected. */
    bool is_limited;
    int64_t until_ms;
};

/* Up to ACCEPT_BATCH_MAX items on their way. */
struct chunk {
    void *ctx;
    size_t n;
    size_t index[ACCEPT_BATCH_MAX];
    struct request *item[ACCEPT_BATCH_MAX];
    struct run_request *req[ACCEPT_BATCH_MAX];
    struct run_answer answers[ACCEPT_BATCH_MAX];
};

/* --- results --- */

static void set_result(struct batch *b, size_t i, const char *text)
{
    b->results[i] = span_text(text);
}

static void result_run(struct batch *b, size_t i, const id *run, bool is_replay)
{
    set_result(b, i,
               talloc_asprintf(b->r, "{\"status\":202,\"execution_id\":\"%s\"%s}", run->text,
                               is_replay ? ",\"replayed\":true" : ""));
}

static void count_item(const struct batch *b, enum batch_item_result result)
{
    if (b->r->app->shared)
        atomic_fetch_add_explicit(&b->r->app->shared->metrics.batch_items[result], 1, memory_order_relaxed);
}

/* The reply that a single request would have got, as a result: status, code, detail, the first violation. */
static void result_rejected(struct batch *b, size_t i, struct request *item)
{
    json_object *problem = NULL;
    const char *why;
    count_item(b, BATCH_ITEM_REJECTED);
    reply_rejected(item);
    if (json_parse(item, item->reply.body, item->reply.size, JSON_DEPTH_MAX, &problem, &why) != OK)
        problem = NULL;
    struct json_write *w = json_write_new(b->r);
    json_write_open(w, '{');
    json_write_int(w, "status", item->reply.status);
    json_write_text(w, "code", json_get_text(problem, "code"));
    json_write_text(w, "detail", json_get_text(problem, "detail"));
    json_object *errors = json_get(problem, "errors");
    if (json_object_is_type(errors, json_type_array) && json_object_array_length(errors) > 0) {
        size_t size;
        const char *first = json_text(json_object_array_get_idx(errors, 0), &size);
        if (size <= ERROR_MAX) {
            json_write_key(w, "errors");
            json_write_open(w, '[');
            json_write_raw(w, first, size);
            json_write_close(w, ']');
        }
    }
    json_write_close(w, '}');
    b->results[i].at = json_write_result(w, &b->results[i].size);
}

/* False: the item is not decided, and a repetition of the request may decide it. */
static bool is_decided(enum run_verdict verdict)
{
    return verdict != RUN_UNAVAILABLE && verdict != RUN_UNCERTAIN && verdict != RUN_RESPONDER_CHANGED &&
           verdict != RUN_BATCH_ENDED;
}

static void result_of_answer(struct batch *b, struct chunk *c, size_t k)
{
    const struct run_answer *answer = &c->answers[k];
    if (answer->verdict == RUN_ACCEPTED) {
        b->accepted++;
        count_item(b, BATCH_ITEM_ACCEPTED);
        result_run(b, c->index[k], &c->req[k]->execution_id, false);
    } else if (answer->verdict == RUN_REPLAYED) {
        count_item(b, BATCH_ITEM_REPLAYED);
        result_run(b, c->index[k], &answer->execution_id, true);
    } else if (is_decided(answer->verdict) ||
               (!b->batch.key.key.at && answer->verdict != RUN_RESPONDER_CHANGED)) {
        reply_run_verdict(c->item[k], c->req[k], answer);
        result_rejected(b, c->index[k], c->item[k]);
    }
}

/* --- the items of a chunk --- */

/* The request's own token is the first item's. */
static bool take_token(struct batch *b, size_t i)
{
    struct request *r = b->r;
    if (!r->app->shared || b->is_limited || (i == 0 && !b->repeated))
        return !b->is_limited;
    int64_t limit = r->access.rate_limit ? r->access.rate_limit : r->app->config->api.rate_limit_per_minute;
    struct rate_state state =
        rate_take(&r->app->shared->rate, r->app->redis, r, &r->access.workspace_id, limit);
    b->is_limited = state.verdict == RATE_LIMITED;
    if (state.verdict != RATE_UNKNOWN)
        r->rate = state;
    return !b->is_limited;
}

/* A request that stands for the item: its body is the item, its reply becomes the result. */
static struct request *item_request(struct batch *b, void *ctx, size_t i)
{
    struct request *item = talloc(ctx, struct request);
    *item = *b->r;
    item->body = b->items[i].at;
    item->body_size = b->items[i].size;
    item->reply = (struct reply){0};
    item->problem = (struct request_problem){0};
    return item;
}

static struct run_request *item_run(struct batch *b, struct request *item, size_t i)
{
    struct run_request *req = talloc_zero(item, struct run_request);
    *req = (struct run_request){
        .kind = KIND_WORKFLOW,
        .is_item = true,
        .first_response.status = 202,
        .execution_id = id_sibling(&b->first, (unsigned)i),
        .workspace_id = b->batch.workspace_id,
        .principal_id = item->access.principal_id,
        .key_id = item->access.key_id,
        .responder_id = b->batch.responder_id,
        .price = -1,
        .source = SOURCE_STANDALONE,
    };
    if (b->batch.key.key.at)
        req->batch_id = b->batch.batch_id;
    request_trace(b->r, &req->trace, &req->trace_state);
    return req;
}

/* Reads an item and adds it to the chunk, or rejects it. */
static void add_item(struct batch *b, struct chunk *c, size_t i)
{
    struct request *item = item_request(b, c->ctx, i);
    struct run_request *req = item_run(b, item, i);
    if (!take_token(b, i)) {
        reply_problem(item, 429, "rate_limited",
                      "The workspace has used its limit of %lld requests per minute.",
                      (long long)b->r->rate.limit);
    } else if (run_form_read_item(item, req)) {
        if (req->idempotency_key.at)
            req->first_response.body = run_accepted_body(
                item, &(struct run_accepted){&req->execution_id, &req->responder_id, &req->retry_of,
                                             req->start_ms, req->expires_ms});
        c->index[c->n] = i;
        c->item[c->n] = item;
        c->req[c->n++] = req;
        return;
    }
    result_rejected(b, i, item);
}

/* Rejects the items whose inputs the current version does not take. */
static void validate_chunk(struct batch *b, struct chunk *c, bool bypass_cache)
{
    size_t left = 0;
    for (size_t k = 0; k < c->n; k++) {
        /* one that is found renews the cache; an archived workflow stays in it for a second */
        if (!run_form_check_times(c->item[k], c->req[k]) ||
            !workflow_validate_target(c->item[k], c->req[k], bypass_cache && left == 0)) {
            result_rejected(b, c->index[k], c->item[k]);
            continue;
        }
        c->index[left] = c->index[k];
        c->item[left] = c->item[k];
        c->req[left++] = c->req[k];
    }
    c->n = left;
}

static void accept_chunk(struct batch *b, struct chunk *c)
{
    struct app *app = b->r->app;
    const struct run_request *const *requests = (const struct run_request *const *)c->req;
    for (size_t k = 0; k < c->n; k++)
        run_trace_decide(b->r, c->req[k]);
    if (app->accepts)
        accept_group_run_items(app->accepts, c->ctx, requests, c->n, c->answers);
    else
        accept_many(app->db, app->redis, c->ctx, requests, c->n, c->answers);
    size_t left = 0;
    for (size_t k = 0; k < c->n; k++) {
        if (c->answers[k].verdict == RUN_ACCEPTED)
            run_trace_accepted(b->r, c->req[k]);
        result_of_answer(b, c, k);
        if (c->answers[k].verdict != RUN_RESPONDER_CHANGED)
            continue;
        c->index[left] = c->index[k];
        c->item[left] = c->item[k];
        c->req[left++] = c->req[k];
    }
    c->n = left;
}

/* What of the chunk has a run already: an earlier request has accepted it. */
static bool find_accepted(struct batch *b, size_t first, size_t n)
{
    bool found[ACCEPT_BATCH_MAX];
    if (!b->repeated)
        return true;
    if (batch_find(b->r->app->db, &b->batch.batch_id, first, n, found) != OK)
        return false;
    for (size_t k = 0; k < n; k++) {
        id run = id_sibling(&b->first, (unsigned)(first + k));
        b->accepted += found[k];
        if (found[k])
            result_run(b, first + k, &run, false);
    }
    return true;
}

/* Decides the items of one transaction. The turn of a slow request lasts as long as their reading; nothing is
 * held between two transactions. False: some are not decided. */
static bool decide_chunk(struct batch *b, size_t first, size_t n)
{
    bool is_slow = b->r->body_size > SLOW_JSON_BYTES;
    if (!find_accepted(b, first, n) || (is_slow && !slow_try(b->r)))
        return false;
    struct chunk *c = talloc(b->r, struct chunk);
    c->ctx = c;
    c->n = 0;
    for (size_t i = first; i < first + n; i++) {
        if (!b->results[i].at)
            add_item(b, c, i);
    }
    for (int tries = 0; tries < VALIDATE_TRIES && c->n > 0; tries++) {
        validate_chunk(b, c, tries > 0);
        slow_end(b->r->app);
        if (c->n > 0)
            accept_chunk(b, c);
    }
    slow_end(b->r->app);
    talloc_free(c);
    failpoint("batch.after_chunk");
    bool all = true;
    for (size_t i = first; i < first + n; i++)
        all = all && b->results[i].at;
    return all;
}

/* The number of items from `first` on that fit into one transaction of at most `most`. */
static size_t chunk_size(const struct batch *b, size_t first, size_t most)
{
    size_t n = 0, bytes = 0;
    while (first + n < b->batch.items && n < most &&
           (n == 0 || bytes + b->items[first + n].size <= ACCEPT_BATCH_BYTES))
        bytes += b->items[first + n++].size;
    return n;
}

/* The most items of a transaction after one of `n` that took so long. */
static size_t next_chunk_max(size_t n, int64_t took_ms)
{
    size_t fit = n * CHUNK_MS / (size_t)(took_ms > 0 ? took_ms : 1);
    return fit < ACCEPT_GROUP_MAX ? ACCEPT_GROUP_MAX : fit < ACCEPT_BATCH_MAX ? fit : ACCEPT_BATCH_MAX;
}

static bool decide_items(struct batch *b)
{
    bool all = true;
    size_t most = ACCEPT_GROUP_MAX;
    for (size_t first = 0, n; all && first < b->batch.items; first += n) {
        int64_t began_ms = clock_boot_ms();
        n = chunk_size(b, first, most);
        all = began_ms < b->until_ms && decide_chunk(b, first, n);
        most = next_chunk_max(n, clock_boot_ms() - began_ms);
    }
    return all;
}

/* --- the reply --- */

static struct span render_results(struct batch *b)
{
    struct json_write *w = json_write_new(b->r);
    struct span text;
    json_write_open(w, '{');
    json_write_id(w, "batch_id", &b->batch.batch_id);
    json_write_int(w, "accepted", (int64_t)b->accepted);
    json_write_key(w, "results");
    json_write_open(w, '[');
    for (size_t i = 0; i < b->batch.items; i++)
        json_write_raw(w, b->results[i].at, b->results[i].size);
    json_write_close(w, ']');
    json_write_close(w, '}');
    text.at = json_write_result(w, &text.size);
    return text;
}

static int reply_incomplete(struct batch *b)
{
    b->r->reply = (struct reply){0};
    reply_header(b->r, "Retry-After", "1");
    return reply_problem(
        b->r, 503, "unavailable",
        "The batch is not complete; the runs that were accepted stand. Repeat the request with the "
        "same Idempotency-Key.");
}

/* Without a key nobody can complete the batch: what is not decided is reported item by item. */
static void give_up_items(struct batch *b)
{
    for (size_t i = 0; i < b->batch.items; i++) {
        if (b->results[i].at)
            continue;
        struct request *item = item_request(b, b->r, i);
        reply_err(item, ERR_UNAVAILABLE);
        result_rejected(b, i, item);
        talloc_free(item);
    }
}

static int run_items(struct batch *b)
{
    b->first = id_derive(&b->batch.batch_id, 0);
    bool all = decide_items(b);
    b->r->batch = (int)b->accepted;
    if (!b->batch.key.key.at) {
        give_up_items(b);
    } else if (!all) {
        return reply_incomplete(b);
    }
    struct span results = render_results(b);
    failpoint("batch.before_finish");
    if (b->batch.key.key.at) {
        enum err e = batch_finish(b->r->app->db, b->r, &b->batch, b->accepted, &results);
        if (e != OK)
            return e == ERR_INTERNAL ? reply_err(b->r, e) : reply_incomplete(b);
    }
    return reply_json(b->r, 200, results.at, results.size);
}

static int run_keyed(struct batch *b)
{
    struct run_batch_state state;
    enum err e = batch_begin(b->r->app->db, b->r, &b->batch, &state);
    if (e != OK)
        return reply_err(b->r, e);
    if (state.kind == BATCH_KEY_REUSED)
        return reply_key_reused(b->r);
    if (state.kind == BATCH_FINISHED) {
        const struct stored_response stored = {200, state.results};
        const id no_run = {{0}};
        return reply_stored_response(b->r, &no_run, &stored);
    }
    failpoint("batch.after_begin");
    b->repeated = state.kind == BATCH_OPEN;
    return run_items(b);
}

/* The workflow does not exist (any more). A batch that its key knows is repeated all the same. */
static int reject_target(struct batch *b, enum err e)
{
    struct idempotency_match match = {0};
    if (!b->batch.key.key.at || e != ERR_NOT_FOUND)
        return reply_err(b->r, e);
    if (idempotency_lookup(b->r->app->db, b->r, &b->batch.key, &match) != OK)
        return reply_err(b->r, ERR_UNAVAILABLE);
    return match.state == IDEMPOTENCY_FREE ? reply_err(b->r, e) : run_keyed(b);
}

static bool read_items(struct request *r, struct batch *b)
{
    struct span *items = talloc_array(r, struct span, RUN_BATCH_ITEMS_MAX);
    const char *why;
    if (!request_body_is_json(r))
        return false;
    ssize_t n =
        json_raw_split(r->body ? r->body : "", r->body_size, "items", items, RUN_BATCH_ITEMS_MAX, &why);
    if (n < 0)
        return request_reject(r, 400, "invalid_json", "Invalid batch, {\"items\": […]}: %s.", why);
    if (n < 1 || n > RUN_BATCH_ITEMS_MAX)
        return request_reject(r, 400, "invalid_request", "items must be an array of 1 to %d items.",
                              RUN_BATCH_ITEMS_MAX);
    b->items = items;
    b->batch.items = (size_t)n;
    b->results = talloc_zero_array(r, struct span, (unsigned)n);
    return true;
}

int h_workflow_run_batch(struct request *r)
{
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT] = {0};
    struct workflow_cached_version current;
    struct batch b = {.r = r, .until_ms = clock_boot_ms() + BATCH_WORK_MS};
    if (!request_path_id(r, 0, &b.batch.responder_id) || !read_items(r, &b) ||
        !request_idempotency(r, &b.batch.key.key, fingerprint))
        return reply_rejected(r);
    slow_end(r->app);
    b.batch.batch_id = id_new();
    b.batch.workspace_id = b.batch.key.workspace_id = r->access.workspace_id;
    b.batch.key.fingerprint = fingerprint;
    enum err e = workflow_cache_current(r, &b.batch.responder_id, false, &current);
    if (e != OK)
        return reject_target(&b, e);
    return b.batch.key.key.at ? run_keyed(&b) : run_items(&b);
}
