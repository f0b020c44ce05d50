/* What accepting a run takes and returns: the request, the verdict and the limits. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "account/budget_refusal.h"
#include "account/idempotency.h"
#include "account/stored_response.h"
#include "base/ids.h"
#include "base/span.h"
#include "base/trace.h"
#include "run/occurrence.h"
#include "run/states.h"

enum {
    /* Runs of one transaction: the items of a run-batch. */
    ACCEPT_BATCH_MAX = 256,
    /* The same of single requests, children and occurrences, whose callers wait for each other: a larger
     * transaction would hold the accounts of other workspaces longer. */
    ACCEPT_GROUP_MAX = 64,
    /* Levels of a tree, including its root. */
    TREE_DEPTH_MAX = 16,
    /* Runs of a tree. */
    TREE_SIZE_MAX = 10000,
};

struct run_request {
    /* Chosen by the caller: the same in every attempt to accept this run. */
    id execution_id;
    id workspace_id, principal_id, responder_id;
    /* The batch whose item this run is (run/batch.h); unset: none. Another request may accept the same items
     * at the same time. All requests of one call have the same batch. */
    id batch_id;
    /* The bulk job that retries `retry_of` (run/bulk_item.h); unset: none. All requests of one call have the
     * same. */
    id bulk_job_id;
    /* May be unset. */
    id key_id;
    id retry_of;
    /* The responder's version that the request was validated against. */
    int version;
    /* The account's catalog version, read together with `version` (lib/account/account.h); 0: not known. */
    int64_t catalog_version;
    /* An item of a batch, with or without a key. Its first event is not published: nobody has its id before
     * the response, and whoever follows it later finds the event with the run in MariaDB. */
    bool is_item;
    /* The caller is about to claim it and does not put it on the queue of Redis: should the caller not come
     * to that, the scan of MariaDB finds the run. */
    bool is_kept;
    /* A retry: the version need not be the current one. */
    bool pinned;
    bool agentic;
    enum responder_kind kind;
    enum run_source source;
    /* Micro-credits that the program or manifest asks for; 0: none. */
    int64_t credits_asked;
    /* The operator's price of this responder in micro-credits, read together with `version`; -1: not set. */
    int64_t price;

    /* Of a child; parent.id is unset for a root. */
    struct {
        id id, root_id;
        /* The attempt of the parent that starts the child: it must still be running. */
        int attempt;
        int step, item, try;
        /* Of the parent. */
        int depth;
        int64_t deadline_ms;
        /* JSON object: the data of the event execution.child_started that the parent gets in the transaction
         * which accepts the child. Absent: none. */
        struct span started;
        /* No transaction has tried to start this (step, item, try) before. */
        bool is_first;
    } parent;

    /* Of a run that a schedule starts; schedule_id is unset for any other. */
    struct occurrence occurrence;

    /* Absent: none. */
    struct span idempotency_key;
    uint8_t fingerprint[IDEMPOTENCY_FINGERPRINT];

    /* JSON as sent; absent: none. */
    struct span input;
    /* JSON array. */
    struct span tags;
    /* JSON object. */
    struct span metadata;
    /* JSON object with what only this kind of responder has (lib/skill/extra.h). */
    struct span extra;
    /* Its own webhook, and the events that this asks for (lib/outbox/outbox.h). */
    struct span webhook_url;
    uint32_t webhook_events;
    struct span thread_id, tool_call_id;
    id message_id;

    /* Its place in a trace, and the tracestate; unset and absent: the trace is that of the root. */
    struct trace_context trace;
    struct span trace_state;
    /* Of a recorded run: the caller's span, above that of the acceptance; all 0: none. Not stored. */
    uint8_t caller_span[TRACE_SPAN_SIZE];

    /* Of a root, wall time; 0: none. A run with a start waits for it, and one that was not started by its
     * expiry fails (lib/run/delayed.h). */
    int64_t start_ms, expires_ms;
    /* Runs of the workspace that may wait for their start. */
    int64_t delayed_limit;

    /* What a repetition of this request gets. */
    struct stored_response first_response;
};

/* 0 in run_answer.verdict: not decided yet. */
enum run_verdict {
    RUN_ACCEPTED = 1,
    /* The key is known with the same request: `response` and `execution_id` are the first ones. */
    RUN_REPLAYED,
    /* This (parent, step, item, try) has its child already: `execution_id`. */
    RUN_CHILD_EXISTS,
    /* 422: the key is known with another request. */
    RUN_KEY_REUSED,
    /* 409: a request with this key is being processed. */
    RUN_IN_FLIGHT,
    /* 409: `execution_id`. */
    RUN_TOOL_CALL_EXISTS,
    /* 402. */
    RUN_INSUFFICIENT_CREDITS,
    /* 402: `budget`. */
    RUN_BUDGET_EXCEEDED,
    /* 429: `active` and `limit`. */
    RUN_CONCURRENCY_LIMITED,
    /* 403: as many runs of the workspace wait for their start as may; `limit`. */
    RUN_DELAYED_LIMITED,
    /* The responder was archived, or has a newer version or another price: validate against it and repeat. */
    RUN_RESPONDER_CHANGED,
    /* The parent no longer runs the attempt that asks. */
    RUN_PARENT_GONE,
    /* The occurrence was decided before: `execution_id`, if it was started. */
    RUN_OCCURRENCE_EXISTS,
    /* The schedule was changed, paused or decided since the request was prepared: nothing was written. */
    RUN_OCCURRENCE_STALE,
    /* `occurrence.refused` was written as the reason. */
    RUN_OCCURRENCE_REFUSED,
    /* A run of the schedule is active: the occurrence was skipped or waits. */
    RUN_OVERLAP,
    /* A run of the schedule is active and has to be stopped first; nothing was written. */
    RUN_STOP_PREVIOUS,
    /* The schedule's key is revoked or has expired: the schedule was paused. */
    RUN_SCHEDULE_KEY_REVOKED,
    /* The item of the bulk job was decided before, or the job is paused or ended: nothing was written. */
    RUN_BULK_STALE,
    /* The tree would exceed TREE_DEPTH_MAX or TREE_SIZE_MAX. */
    RUN_TREE_LIMIT,
    /* Another request has finished the batch: its stored results count. */
    RUN_BATCH_ENDED,
    /* Nothing was done, because another transaction has locked the workspace's account. The caller repeats
     * the request after account_busy_pause_ms(). */
    RUN_ACCOUNT_BUSY,
    /* 503: nothing was done. */
    RUN_UNAVAILABLE,
    /* 504: the run may have been accepted; repeating the request with its key finds out. */
    RUN_UNCERTAIN,
    /* 500. */
    RUN_INTERNAL,
};

struct run_answer {
    enum run_verdict verdict;
    id execution_id;
    struct stored_response response;
    /* Micro-credits, if accepted. */
    int64_t cost;
    /* If the concurrency limit is reached; `limit`, if that of delayed runs is. */
    int64_t active, limit;
    struct budget_refusal budget;
    /* Of the account, if it is locked: who finds another number later knows that it was free in between. */
    int64_t account_version;
};

static inline bool run_request_is_delayed(const struct run_request *req)
{
    return req->start_ms > 0;
}

static inline bool run_request_is_root(const struct run_request *req)
{
    return !id_is_set(&req->parent.id);
}
