/* Tickets for signals: one-time URLs with which people answer a wait. A ticket is the cell ("c7_", or
 * nothing) and 256 random bits (lib/base/cell.h), made for the signals of one name of one run; only its hash
 * is stored. It is good for one answer, until it expires, until the wait for its signal is over, and until
 * its run has ended. docs/correctness.md, "Tickets for signals". */
#pragma once

#include "base/cell.h"
#include "base/span.h"
#include "mariadb/db.h"

enum {
    SIGNAL_TICKET_TEXT_SIZE = SECRET_TEXT_SIZE,
    SIGNAL_TICKET_HASH_SIZE = 32,
    /* Tickets of a run that are open at a time, and in all: their rows stay. */
    SIGNAL_TICKETS_OPEN_MAX = 1000,
    SIGNAL_TICKETS_MAX = 2000,
    /* Octets. */
    SIGNAL_TICKET_QUESTION_MAX = 4096,
    SIGNAL_TICKET_RECIPIENT_MAX = 256,
    /* As JSON. */
    SIGNAL_TICKET_CHOICES_MAX = 16 * 1024,
    /* Of the body that makes a ticket: what is above, with escapes. */
    SIGNAL_TICKET_BODY_MAX = 64 * 1024,
    /* Of an answer's body: a form holds SIGNAL_DATA_MAX octets of data percent-encoded. */
    SIGNAL_ANSWER_BODY_MAX = 256 * 1024,
    SIGNAL_TICKET_SECONDS_DEFAULT = 7 * 86400,
    SIGNAL_TICKET_SECONDS_MAX = 366 * 86400,
};

/* Makes a token of the cell (the setting cell.name) at random: the last segment of a ticket's URL. */
enum err signal_ticket_token(const char *cell, char token_r[SIGNAL_TICKET_TEXT_SIZE]) WARN_UNUSED;
/* What of a token is stored. */
void signal_ticket_hash(const char *token, uint8_t hash_r[SIGNAL_TICKET_HASH_SIZE]);

struct signal_ticket_request {
    /* Chosen by the caller: the same in every attempt. */
    id ticket_id;
    uint8_t hash[SIGNAL_TICKET_HASH_SIZE];
    id workspace_id, execution_id;
    /* Not set: a step of the run makes it. */
    id key_id;
    /* Of the signal. */
    const char *name;
    int64_t expires_ms;
    /* `choices`: JSON, an array of {"label", "data"}. Absent: none. */
    struct span recipient, question, choices;
    /* The setting quotas.signal_tickets, which applies unless the workspace has its own limit. */
    int64_t quota;
};

enum signal_ticket_verdict {
    SIGNAL_TICKET_MADE = 1,
    /* The workspace has no such run of a workflow. */
    SIGNAL_TICKET_NO_RUN,
    /* The run has ended. */
    SIGNAL_TICKET_RUN_ENDED,
    /* The run has as many open tickets, or tickets in all, as it may. */
    SIGNAL_TICKET_RUN_FULL,
    /* The workspace has as many open tickets as it may; *limit_r is set. */
    SIGNAL_TICKET_QUOTA,
    /* Nothing was done. */
    SIGNAL_TICKET_UNAVAILABLE,
    /* It may have been stored. Nobody knows its token: make another one. */
    SIGNAL_TICKET_UNCERTAIN,
};

/* One transaction under the lock of the run. */
enum signal_ticket_verdict signal_ticket_create(struct db *db, const struct signal_ticket_request *request,
                                                int64_t *limit_r);

enum signal_ticket_state {
    SIGNAL_TICKET_OPEN,
    SIGNAL_TICKET_ANSWERED,
    /* Its own time is over. */
    SIGNAL_TICKET_EXPIRED,
    /* The wait is over, or has its signal from elsewhere. */
    SIGNAL_TICKET_WAIT_OVER,
    /* The run has ended. */
    SIGNAL_TICKET_ENDED,
};

struct signal_ticket {
    id id, workspace_id, execution_id, workflow_id;
    int version;
    const char *name;
    enum signal_ticket_state state;
    /* Wall time; 0: not answered. */
    int64_t expires_ms, answered_ms;
    /* NULL: none. `choices` as above. Of a ticket that was answered or closed, `question` and `choices` are
     * NULL. */
    const char *recipient, *question, *choices;
    /* The step that waits for the signal now; -1: none. */
    int step;
    /* Of this wait: when it ends (wall time), and what people are asked, or NULL. */
    int64_t wait_due_ms;
    const char *wait_message;
};

/* Finds a ticket by the hash of its token; the texts are of ctx. Nothing is locked. ERR_NOT_FOUND: there is
 * none, or its run was purged. */
enum err signal_ticket_find(struct db *db, void *ctx, const uint8_t hash[SIGNAL_TICKET_HASH_SIZE],
                            struct signal_ticket *ticket_r) WARN_UNUSED;

/* Of a ticket that was found: what decides its state. Times are wall time, 0: not set. */
struct signal_ticket_times {
    int64_t expires_ms, answered_ms, run_ended_ms;
    /* The row says that it is open. */
    bool is_open;
    /* A wait for its signal goes on, and all such waits have a signal. */
    bool waits_are_served;
};
/* The rule above. Public for its unit tests. */
enum signal_ticket_state signal_ticket_state(const struct signal_ticket_times *t, int64_t now_ms);

/* The ticket's answer, in the transaction that stores its signal and has locked its run: checks the ticket
 * (*ok_r), and marks it as answered. */
enum err signal_ticket_check(struct db_tx *tx, const id *execution,
                             const uint8_t hash[SIGNAL_TICKET_HASH_SIZE], const char *name,
                             bool *ok_r) WARN_UNUSED;
enum err signal_ticket_answered(struct db_tx *tx, const uint8_t hash[SIGNAL_TICKET_HASH_SIZE],
                                const id *signal, int64_t now_ms) WARN_UNUSED;
