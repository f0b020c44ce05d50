/* Usage push: a batch is claimed, sent by the caller, and its result is recorded. Any process may do it; one
 * process at a time has a destination. Who dies with a claim, or whose result is not recorded, has another
 * process send the rows again, with the same ids. The clock is MariaDB's. */
#pragma once

#include "push/destination.h"

enum {
    /* Rows of a batch. One number has at most half as many (billing/ledger_numbers.h). */
    PUSH_ROWS = 400,
    /* Of an answer, kept. */
    PUSH_ANSWER_MAX = 1000,
    PUSH_ERROR_MAX = 500,
    /* A claim lasts for the timeout of the request and this much longer. */
    PUSH_LEASE_MS = 5000,
};

struct push_batch {
    id push_id, claim;
    const char *name, *url;
    enum push_auth auth;
    /* Wiped when it is freed; NULL: there is none, or it cannot be decrypted (logged). */
    const char *secret;
    /* The numbers of the rows. `is_again`: they were set aside. */
    int64_t first, last;
    bool is_again;
    /* Of one number only. */
    bool is_single;
    size_t rows_n;
    /* JSON: an array of CloudEvents. */
    const char *body;
    size_t body_size;

    /* --- set by the caller --- */
    /* 0: there is no answer, and `error` says why. */
    int status;
    const char *error;
    /* 0: the destination asked for none. */
    int64_t retry_after_ms;
    const char *answer;
    size_t answer_size;
};

/* What an answer means. */
enum push_outcome {
    PUSH_ACCEPTED,
    /* The destination cannot take anything now: again later. */
    PUSH_LATER,
    /* The destination refuses these rows: 400, 409, 413 and 422. */
    PUSH_REJECTED,
};
enum push_outcome push_outcome_of(int status);

/* What becomes of a row of the ledger. */
enum push_use {
    PUSH_SEND,
    /* The destination does not want its kind: the cursor passes it. */
    PUSH_SKIP,
    /* The destination wants its kind, which only a later version knows: the cursor stops before it, and a
     * program of that version sends it. */
    PUSH_LEAVE,
};
/* `kinds`: as of struct push. */
enum push_use push_use_of(int64_t kind, uint32_t kinds);
/* Of the first n rows of SQL_PUSH_ROWS, which are whole numbers: those before the first number with a row
 * that is left. */
size_t push_rows_before_left(const struct db_rows *rows, size_t n, uint32_t kinds);

/* What one look at the destinations has found. */
struct push_round {
    /* Batches. */
    size_t n;
    /* There may be more to do at once. */
    bool more;
    /* Something was left to programs of a later version. */
    bool left;
};
/* Claims destinations that are due, at most `most`, each with a batch, of ctx. Batches of destinations whose
 * next rows are of kinds that they do not want need no request: the cursor passes them. */
enum err push_claim(struct db *db, void *ctx, const uint8_t *key, int64_t timeout_ms, size_t most,
                    struct push_batch **list_r, struct push_round *round_r) WARN_UNUSED;
/* Records the result. OK also if the claim is another's by now, or the destination was removed. */
enum err push_finish(struct db *db, const struct push_batch *b, int64_t pause_max_ms) WARN_UNUSED;

/* The events of rows of SQL_PUSH_ROWS whose kinds are wanted and known: an array, of ctx, and how many. */
const char *push_events(void *ctx, const struct db_rows *rows, size_t n, uint32_t kinds, size_t *events_n_r,
                        size_t *size_r);
