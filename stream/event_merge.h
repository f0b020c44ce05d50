/* In which order one subscriber gets a run's events: history by number from MariaDB, live ones from Redis,
 * merged so that each number is sent once and none is left out. Pure: it decides, the caller reads and sends.
 *
 * Redis is believed when it brings exactly the next number; anything else it says is a hint to read. A hint
 * that a read begun later does not confirm is forgotten. */
#pragma once

#include <stdbool.h>

struct event_merge {
    int sent;            /* number of the newest event that was sent */
    int known;           /* the newest that was heard of */
    int known_at_read;   /* `known` when the read under way began */
    bool history_unread; /* what MariaDB has was not looked at yet, or the last look failed */
    bool reading;        /* a read of what follows `sent` is under way */
    bool ended;          /* the terminal event was sent: nothing follows */
};

/* `after`: the number that the subscriber has already, 0 for none. */
void merge_init(struct event_merge *f, int after);

/* A live event came. True: send it now. */
bool merge_on_event(struct event_merge *f, int seq, bool is_last);
/* The run's newest number and whether it is terminal, seen in MariaDB. */
void merge_on_progress(struct event_merge *f, int last_seq, bool is_terminal);

/* Whether history should be read now; merge_read_begin says that it is being read. */
bool merge_needs_read(const struct event_merge *f);
void merge_read_begin(struct event_merge *f);
/* The read failed: it is wanted again. */
void merge_read_failed(struct event_merge *f);
/* The read brought the numbers from sent + 1 to `until` (0: none); all of them are sent now. */
void merge_read_done(struct event_merge *f, int last_read, int last_seq, bool is_terminal);
