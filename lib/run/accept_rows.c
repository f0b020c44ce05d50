/* The rows of accepted runs: one bulk statement a table, except tags and chats, which are one a run. */
#include <stdlib.h>
#include <talloc.h>

#include "base/clock.h"
#include "base/log.h"
#include "run/accept_private.h"
#include "json/json.h"

/* An id may tell another time than MariaDB's clock by this much; a request may also wait for some seconds. */
enum { CLOCK_ERROR_MAX_MS = 600000 };

/* True if the run gets a row in `run_times`. */
static bool has_times(const struct run_request *req)
{
    return req->start_ms > 0 || req->expires_ms > 0;
}

static enum err insert_executions(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * STATES_INSERT_SET_COUNT);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        const struct run_request *req = entry->req;
        if (!entry_is_new(entry))
            continue;
        struct db_value *v = &values[STATES_INSERT_SET_COUNT * rows++];
        v[STATES_INSERT_SET_ID] = db_id(&req->execution_id);
        v[STATES_INSERT_SET_WORKSPACE_ID] = db_id(&req->workspace_id);
        v[STATES_INSERT_SET_RESPONDER_ID] = db_id(&req->responder_id);
        v[STATES_INSERT_SET_PRINCIPAL_ID] = db_id(&req->principal_id);
        v[STATES_INSERT_SET_KEY_ID] = db_id(&req->key_id);
        v[STATES_INSERT_SET_ROOT_ID] =
            db_id(run_request_is_root(req) ? &req->execution_id : &req->parent.root_id);
        v[STATES_INSERT_SET_PARENT_ID] = db_id(&req->parent.id);
        v[STATES_INSERT_SET_RETRY_OF] = db_id(&req->retry_of);
        v[STATES_INSERT_SET_KIND] = db_number(req->kind);
        v[STATES_INSERT_SET_SOURCE] = db_number(req->source);
        v[STATES_INSERT_SET_AGENTIC] = db_number(req->agentic);
        v[STATES_INSERT_SET_DEPTH] = db_number(run_request_is_root(req) ? 0 : req->parent.depth + 1);
        v[STATES_INSERT_SET_VERSION] = db_number(req->version);
        v[STATES_INSERT_SET_STATE] = db_number(STATE_QUEUED);
        v[STATES_INSERT_SET_EXECUTOR_ID] =
            db_number(run_request_is_delayed(req) ? (int64_t)RUN_DELAYED_EXECUTOR : 0);
        v[STATES_INSERT_SET_COST] = db_number(entry->cost);
        v[STATES_INSERT_SET_HELD] = db_number(entry->prices ? price_held(entry->prices->units) : 0);
        v[STATES_INSERT_SET_UPDATED_MS] = db_number(id_ms(&req->execution_id));
        int64_t deadline_ms = run_request_is_root(req) ? req->expires_ms : req->parent.deadline_ms;
        v[STATES_INSERT_SET_DEADLINE_MS] = db_number_or_null(deadline_ms, deadline_ms > 0);
        v[STATES_INSERT_SET_INPUT] = span_value_or_null(req->input);
        v[STATES_INSERT_SET_TAGS] = span_value_or_null(req->tags);
        v[STATES_INSERT_SET_METADATA] = span_value_or_null(req->metadata);
        v[STATES_INSERT_SET_EXTRA] = span_value_or_null(req->extra);
        v[STATES_INSERT_SET_WEBHOOK_EVENTS] = db_number_or_null(req->webhook_events, req->webhook_url.at);
        v[STATES_INSERT_SET_WEBHOOK_URL] = span_value_or_null(req->webhook_url);
        v[STATES_INSERT_SET_TRACE_CONTEXT] =
            trace_is_set(&req->trace) ? db_bytes(&req->trace, TRACE_CONTEXT_SIZE) : db_null();
        v[STATES_INSERT_SET_TRACE_STATE] = span_value_or_null(req->trace_state);
        v[STATES_INSERT_SET_SIDE_ROWS] = db_number(has_times(req) ? SIDE_ROWS_TIMES : 0);
    }
    return db_run_each(tx->db, tx->ctx, SQL_STATES_INSERT, NULL, 0, values, STATES_INSERT_SET_COUNT, rows,
                       NULL);
}

static enum err insert_debits(struct db_tx *tx, struct accept_batch *b)
{
    struct ledger_entry *entries = talloc_zero_array(tx->ctx, struct ledger_entry, b->n);
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        if (!entry_is_new(entry))
            continue;
        entries[n++] = (struct ledger_entry){
            .workspace_id = entry->req->workspace_id,
            .id = entry->req->execution_id,
            .kind = LEDGER_DEBIT,
            .amount = -entry->cost,
            .execution_id = entry->req->execution_id,
            .responder_id = entry->req->responder_id,
            .key_id = entry->req->key_id,
            .grant_id = entry->grant,
            .budgets = budget_set_marks(b->budgets, i),
        };
    }
    return account_add_ledger_entries(tx, b->accounts, b->accounts_n, entries, n);
}

const char *accept_queued_data(void *ctx, const struct run_request *req)
{
    json_object *data;
    char text[CLOCK_TEXT_SIZE];
    if (!has_times(req))
        return NULL;
    data = json_own(ctx, json_object_new_object());
    if (req->start_ms > 0)
        json_object_object_add(data, "start_at",
                               json_object_new_string(clock_text_offset(req->start_ms, text)));
    if (req->expires_ms > 0)
        json_object_object_add(data, "expires_at",
                               json_object_new_string(clock_text_offset(req->expires_ms, text)));
    return json_text(data, NULL);
}

/* The first event of each run, and those of the parents. */
static enum err insert_events(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, 2 * b->n * EVENT_INSERT_SET_COUNT);
    size_t rows = 0;
    b->started_ms = clock_wall_ms();
    for (size_t i = 0; i < b->n; i++) {
        struct accept_entry *entry = &b->entries[i];
        const struct run_request *req = entry->req;
        if (!entry_is_new(entry))
            continue;
        struct db_value *v = &values[EVENT_INSERT_SET_COUNT * rows++];
        v[EVENT_INSERT_SET_EXECUTION_ID] = db_id(&req->execution_id);
        v[EVENT_INSERT_SET_SEQ] = db_number(1);
        v[EVENT_INSERT_SET_TYPE] = db_number(EVENT_QUEUED);
        v[EVENT_INSERT_SET_AT_MS] = db_number(id_ms(&req->execution_id));
        v[EVENT_INSERT_SET_DATA] = db_text(accept_queued_data(tx->ctx, req));
        if (!entry->parent || !req->parent.started.at)
            continue;
        entry->parent->events_n++;
        entry->parent_seq = ++entry->parent->last_seq;
        v = &values[EVENT_INSERT_SET_COUNT * rows++];
        v[EVENT_INSERT_SET_EXECUTION_ID] = db_id(&req->parent.id);
        v[EVENT_INSERT_SET_SEQ] = db_number(entry->parent_seq);
        v[EVENT_INSERT_SET_TYPE] = db_number(EVENT_CHILD_STARTED);
        v[EVENT_INSERT_SET_AT_MS] = db_number(b->started_ms);
        v[EVENT_INSERT_SET_DATA] = span_value_or_null(req->parent.started);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EVENT_INSERT, NULL, 0, values, EVENT_INSERT_SET_COUNT, rows,
                       NULL);
}

/* The rows of runs with a start or an expiry, and of `waits` for those that wait for their start. */
static enum err insert_times(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value times[ACCEPT_BATCH_MAX * RUN_TIMES_PUT_SET_COUNT];
    struct db_value waits[ACCEPT_BATCH_MAX * STARTS_PUT_SET_COUNT];
    size_t times_n = 0, waits_n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) || !has_times(req))
            continue;
        struct db_value *v = &times[RUN_TIMES_PUT_SET_COUNT * times_n++];
        v[RUN_TIMES_PUT_SET_EXECUTION_ID] = db_id(&req->execution_id);
        v[RUN_TIMES_PUT_SET_START_MS] = db_number_or_null(req->start_ms, req->start_ms > 0);
        v[RUN_TIMES_PUT_SET_EXPIRES_MS] = db_number_or_null(req->expires_ms, req->expires_ms > 0);
        if (!run_request_is_delayed(req))
            continue;
        v = &waits[STARTS_PUT_SET_COUNT * waits_n++];
        v[STARTS_PUT_SET_EXECUTION_ID] = db_id(&req->execution_id);
        v[STARTS_PUT_SET_WORKSPACE_ID] = db_id(&req->workspace_id);
        v[STARTS_PUT_SET_WAKE_MS] = db_number(req->start_ms);
    }
    enum err e = db_run_each(tx->db, tx->ctx, SQL_RUN_TIMES_PUT, NULL, 0, times, RUN_TIMES_PUT_SET_COUNT,
                             times_n, NULL);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_STARTS_PUT, NULL, 0, waits, STARTS_PUT_SET_COUNT,
                                 waits_n, NULL)
                   : e;
}

/* One statement for the parents that get as many events: most get one. */
static enum err write_parents(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *ids = talloc_array(tx->ctx, struct db_value, b->parents_n + 1);
    enum err e = OK;
    for (size_t i = 0; e == OK && i < b->parents_n; i++) {
        const struct accept_parent *first = &b->parents[i];
        struct db_value events_n = db_number(first->events_n);
        size_t n = 0;
        for (size_t k = i; k < b->parents_n; k++) {
            struct accept_parent *p = &b->parents[k];
            if (!p->changed || p->events_n != first->events_n)
                continue;
            ids[n++] = db_id(&p->id);
            p->changed = false;
        }
        e = db_run_each(tx->db, tx->ctx, SQL_EXECUTION_MARK_PARENTS, &events_n, 1, ids, 1, n, NULL);
    }
    return e;
}

static enum err insert_children(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *values = talloc_array(tx->ctx, struct db_value, b->n * EXECUTION_CHILD_INSERT_SET_COUNT);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) || run_request_is_root(req))
            continue;
        struct accept_parent *parent = b->entries[i].parent;
        parent->changed = parent->changed || !parent->knows_children || parent->events_n > 0;
        struct db_value *v = &values[EXECUTION_CHILD_INSERT_SET_COUNT * rows++];
        v[EXECUTION_CHILD_INSERT_SET_ROOT_ID] = db_id(&req->parent.root_id);
        v[EXECUTION_CHILD_INSERT_SET_CHILD_ID] = db_id(&req->execution_id);
        v[EXECUTION_CHILD_INSERT_SET_PARENT_ID] = db_id(&req->parent.id);
        v[EXECUTION_CHILD_INSERT_SET_STEP] = db_number(req->parent.step);
        v[EXECUTION_CHILD_INSERT_SET_ITEM] = db_number(req->parent.item);
        v[EXECUTION_CHILD_INSERT_SET_TRY] = db_number(req->parent.try);
    }
    enum err e = write_parents(tx, b);
    return e == OK ? db_run_each(tx->db, tx->ctx, SQL_EXECUTION_CHILD_INSERT, NULL, 0, values,
                                 EXECUTION_CHILD_INSERT_SET_COUNT, rows, NULL)
                   : e;
}

/* Before any row is inserted: these executions are older than those of the batch. */
static enum err mark_retried(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX];
    id retried[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        if (entry_is_new(&b->entries[i]) && id_is_set(&b->entries[i].req->retry_of))
            retried[n++] = b->entries[i].req->retry_of;
    }
    n = id_sort_distinct(retried, n);
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&retried[i]);
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_MARK_RETRIED, NULL, 0, values, 1, n, NULL);
}

static enum err insert_retries(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value values[ACCEPT_BATCH_MAX * EXECUTION_RETRY_INSERT_SET_COUNT];
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) || !id_is_set(&req->retry_of))
            continue;
        struct db_value *v = &values[EXECUTION_RETRY_INSERT_SET_COUNT * rows++];
        v[EXECUTION_RETRY_INSERT_SET_RETRY_OF] = db_id(&req->retry_of);
        v[EXECUTION_RETRY_INSERT_SET_EXECUTION_ID] = db_id(&req->execution_id);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_RETRY_INSERT, NULL, 0, values,
                       EXECUTION_RETRY_INSERT_SET_COUNT, rows, NULL);
}

static enum err write_trees(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, b->trees_n * EXECUTION_TREE_WRITE_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < b->trees_n; i++) {
        if (!b->trees[i].changed)
            continue;
        struct db_value *v = &values[EXECUTION_TREE_WRITE_SET_COUNT * rows++];
        v[EXECUTION_TREE_WRITE_SET_ROOT_ID] = db_id(&b->trees[i].root_id);
        v[EXECUTION_TREE_WRITE_SET_SIZE] = db_number(b->trees[i].size);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TREE_WRITE, NULL, 0, values,
                       EXECUTION_TREE_WRITE_SET_COUNT, rows, NULL);
}

static enum err insert_tags(struct db_tx *tx, const struct run_request *req)
{
    json_object *tags;
    const char *why;
    if (!req->tags.at)
        return OK;
    if (json_parse_tolerant(tx->ctx, req->tags.at, req->tags.size, 2, &tags, &why) != OK)
        return ERR_INTERNAL; /* the caller has validated them */
    size_t n = json_object_array_length(tags);
    struct db_value *values = talloc_array(tx->ctx, struct db_value, n * EXECUTION_TAG_INSERT_SET_COUNT + 1);
    for (size_t i = 0; i < n; i++) {
        json_object *tag = json_object_array_get_idx(tags, i);
        struct db_value *v = &values[i * EXECUTION_TAG_INSERT_SET_COUNT];
        v[EXECUTION_TAG_INSERT_SET_WORKSPACE_ID] = db_id(&req->workspace_id);
        v[EXECUTION_TAG_INSERT_SET_TAG] =
            db_bytes(json_object_get_string(tag), (size_t)json_object_get_string_len(tag));
        v[EXECUTION_TAG_INSERT_SET_EXECUTION_ID] = db_id(&req->execution_id);
    }
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_TAG_INSERT, NULL, 0, values,
                       EXECUTION_TAG_INSERT_SET_COUNT, n, NULL);
}

static enum err insert_chat(struct db_tx *tx, const struct run_request *req)
{
    if (!req->tool_call_id.at && !req->thread_id.at && !id_is_set(&req->message_id))
        return OK;
    struct db_value values[] = {
        [EXECUTION_CHAT_INSERT_SET_EXECUTION_ID] = db_id(&req->execution_id),
        [EXECUTION_CHAT_INSERT_SET_WORKSPACE_ID] = db_id(&req->workspace_id),
        [EXECUTION_CHAT_INSERT_SET_THREAD_ID] = span_value_or_null(req->thread_id),
        [EXECUTION_CHAT_INSERT_SET_MESSAGE_ID] = db_id(&req->message_id),
        [EXECUTION_CHAT_INSERT_SET_TOOL_CALL_ID] = span_value_or_null(req->tool_call_id),
    };
    return db_run_each(tx->db, tx->ctx, SQL_EXECUTION_CHAT_INSERT, NULL, 0, values,
                       EXECUTION_CHAT_INSERT_SET_COUNT, 1, NULL);
}

static enum err store_keys(struct db_tx *tx, struct accept_batch *b)
{
    struct idempotency_entry keyed[ACCEPT_BATCH_MAX];
    size_t n = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) || !req->idempotency_key.at)
            continue;
        keyed[n++] = (struct idempotency_entry){
            .key = {req->workspace_id, req->idempotency_key, req->fingerprint},
            .execution_id = b->entries[i].answer->execution_id,
            .response = b->entries[i].answer->response,
        };
    }
    return idempotency_store(tx, keyed, n);
}

/* Runs whose ids the clock of this host has misdated. */
static enum err note_misdated(struct db_tx *tx, struct accept_batch *b)
{
    struct db_value *values =
        talloc_array(tx->ctx, struct db_value, 2 * b->n * RETENTION_MISDATED_SET_COUNT + 1);
    size_t rows = 0;
    for (size_t i = 0; i < b->n; i++) {
        const struct run_request *req = b->entries[i].req;
        if (!entry_is_new(&b->entries[i]) ||
            llabs(id_ms(&req->execution_id) - b->entries[i].account->now_ms) <= CLOCK_ERROR_MAX_MS)
            continue;
        for (int removes = 0; removes <= 1; removes++) {
            struct db_value *v = &values[RETENTION_MISDATED_SET_COUNT * rows++];
            v[RETENTION_MISDATED_SET_WORKSPACE_ID] = db_id(&req->workspace_id);
            v[RETENTION_MISDATED_SET_REMOVES] = db_number(removes);
            v[RETENTION_MISDATED_SET_EXECUTION_ID] = db_id(&req->execution_id);
            v[RETENTION_MISDATED_SET_DUE_MS] = db_number(b->entries[i].account->now_ms);
            v[RETENTION_MISDATED_SET_ACCEPTED_MS] = db_number(b->entries[i].account->now_ms);
        }
        log_warn("accept.clock_differs", "execution=%s ahead_ms=%lld", req->execution_id.text,
                 (long long)(id_ms(&req->execution_id) - b->entries[i].account->now_ms));
    }
    return db_run_each(tx->db, tx->ctx, SQL_RETENTION_MISDATED, NULL, 0, values, RETENTION_MISDATED_SET_COUNT,
                       rows, NULL);
}

enum err accept_insert(struct db_tx *tx, struct accept_batch *b)
{
    enum err e = mark_retried(tx, b);
    if (e == OK)
        e = insert_executions(tx, b);
    if (e == OK)
        e = insert_events(tx, b);
    if (e == OK)
        e = insert_debits(tx, b);
    if (e == OK)
        e = accept_write_charges(tx, b);
    if (e == OK)
        e = insert_children(tx, b);
    if (e == OK)
        e = insert_times(tx, b);
    if (e == OK)
        e = insert_retries(tx, b);
    if (e == OK)
        e = write_trees(tx, b);
    if (e == OK)
        e = note_misdated(tx, b);
    for (size_t i = 0; e == OK && i < b->n; i++) {
        if (entry_is_new(&b->entries[i]) && (e = insert_tags(tx, b->entries[i].req)) == OK)
            e = insert_chat(tx, b->entries[i].req);
    }
    if (e == OK)
        e = store_keys(tx, b);
    return e;
}
