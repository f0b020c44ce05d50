/* The feeds of workspaces that have subscribers (store/feed.h). One watch for each workspace reads what is
 * new and passes it to all its subscribers; a subscriber that is behind reads its own pages first. Filters
 * are applied here, so that subscribers with different filters share a read. A subscriber may want to know no
 * more than how many runs have ended.
 *
 * Loop thread only. */
#pragma once

#include <event2/event.h>
#include <sys/queue.h>

#include "stream/db_thread.h"
#include "stream/internal_request.h"

struct feeds;
struct feed_watch;

/* A subscriber, embedded in the struct of its owner. */
struct feed_subscriber {
    /* NULL: not subscribed */
    struct feed_watch *watch;
    /* in the watch's list of subscribers */
    LIST_ENTRY(feed_subscriber) entry;
    /* the events up to this id were sent, or do not match */
    int64_t cursor;
    /* the id that the client knows: of the last event, or of the last comment with an id */
    int64_t told;
    /* The stream begins with what ends from now on. Its cursor is not known until a reading finds no end
     * without an id; this is the number of the first reading that counts. 0: the cursor is known. */
    uint64_t begins_at;
    /* it has all that the watch has read, and gets what is new from it */
    bool is_live;
    /* set by the owner: the stream is compressed */
    bool is_packed;
    struct stream_db_job *job;
    id key;
    int states;
    id responders[INTERNAL_REQUEST_RESPONDERS_MAX];
    size_t responders_n;
    /* "": any */
    const char *tag;
    /* It gets no event for each end, but at most one a second, with their numbers. `ended`: the matching ends
     * that it was not told of, by state; `summed_ms`: when it was told last. */
    bool is_summary;
    int ended[STATE_STOPPED + 1];
    int64_t summed_ms;
    const struct feed_subscriber_callbacks *callbacks;
};

/* on_revoked may end the subscription that it is called with, but no other; the others end none. */
struct feed_subscriber_callbacks {
    /* The cursor is known now. Not called if the request has one. */
    void (*on_begin)(struct feed_subscriber *subscriber);
    /* Server-sent events to send, which others get, too. */
    void (*on_page)(struct feed_subscriber *subscriber, const struct shared_text *page);
    /* Server-sent events to send. */
    void (*on_frames)(struct feed_subscriber *subscriber, const char *frames, size_t size);
    /* Bytes of output that are not sent yet. */
    size_t (*unsent)(struct feed_subscriber *subscriber);
    /* The API key is revoked or expired. */
    void (*on_revoked)(struct feed_subscriber *subscriber);
};

/* `keep_ms`: for how long feeds keep their events. talloc_free after all subscribers are removed. */
struct feeds *feeds_new(void *ctx, struct event_base *base, struct stream_db_thread *db_thread,
                        int64_t keep_ms);
/* Subscribes with what the request asks for. */
void feeds_add(struct feeds *feeds, const struct internal_request *request,
               struct feed_subscriber *subscriber);
/* Call it before the subscriber is freed; the last one ends the watch. Does nothing if it is not subscribed.
 */
void feeds_remove(struct feed_subscriber *subscriber);
/* Appends a block with the id up to which the subscriber has all that it wants, if that is news to it. */
void feeds_append_position(char **out, struct feed_subscriber *subscriber);
/* Continues a subscriber whose output was sent. */
void feeds_advance(struct feed_subscriber *subscriber);
const id *feed_watch_workspace(const struct feed_watch *watch);
/* A writer for state_dump_add, whose argument is the struct feeds: logs `state.feeds`. */
void feeds_log_state(void *feeds);
