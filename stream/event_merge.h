/* Merges a run's history, read from MariaDB by number, with its live events from Redis, so that a
 * subscriber gets each event once, in order, and none is missing. Pure: this module decides, the caller
 * reads and sends.
 *
 * A live event is sent directly only if it has exactly the next number. Any other message from Redis only
 * causes a read. If a read that begins after such a message does not find the event, the message is
 * ignored. */
#pragma once

#include <stdbool.h>

struct event_merge {
    /* number of the newest event that was sent */
    int sent;
    /* number of the newest event that is known to exist or was reported */
    int known;
    /* `known` when the current read began */
    int known_at_read;
    /* no read of the history has begun, or the last one failed */
    bool history_unread;
    /* a read of the events after `sent` is in flight */
    bool reading;
    /* the last event was sent */
    bool ended;
};

/* `after`: number of the last event that the subscriber has; 0: none. */
void merge_init(struct event_merge *f, int after);

/* Handles a live event. True: send it now. */
bool merge_on_event(struct event_merge *f, int seq, bool is_last);
/* Handles a state of the run read from MariaDB: its newest event number and whether it has ended. */
void merge_on_progress(struct event_merge *f, int last_seq, bool is_terminal);

/* True if the history must be read now. merge_read_begin() marks the read as in flight. */
bool merge_needs_read(const struct event_merge *f);
void merge_read_begin(struct event_merge *f);
/* The read failed: it is needed again. */
void merge_read_failed(struct event_merge *f);
/* The read returned the events from sent + 1 to last_read (0: none), which the caller has sent. `last_seq`
 * and `is_terminal`: the run's newest number and whether it has ended. */
void merge_read_done(struct event_merge *f, int last_read, int last_seq, bool is_terminal);
