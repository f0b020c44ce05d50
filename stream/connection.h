/* The connections from nginx. Each is an event stream (a subscriber to a run's events), a stream of a
 * workspace's feed or of the executors' log, or a waiter (a request that waits for a run's end). A connection
 * belongs to its list and is freed when it closes. Loop thread only. */
#pragma once

#include <event2/event.h>

#include "stream/executor_log.h"
#include "stream/feed.h"
#include "stream/subscriptions.h"

struct stream_connections;

/* `max`: connections beyond this many are answered with 503. */
struct stream_connections *connections_new(void *ctx, struct event_base *base,
                                           struct subscriptions *subscriptions, struct feeds *feeds,
                                           struct executor_log *executor_log,
                                           struct stream_db_thread *db_thread, size_t max);
/* Takes ownership of a connected, non-blocking descriptor. */
void connections_add(struct stream_connections *list, int fd);
size_t connections_count(const struct stream_connections *list);
/* Retries failed reads of history, and drops connections whose last output was not taken in time. Call it
 * every second. `now_ms`: clock_boot_ms(). */
void connections_tick(struct stream_connections *list, int64_t now_ms);
/* Sends the pings that are due: every stream gets one every 15 s, and its run and API key are checked then.
 * Call it often, because pings that are sent together delay events. */
void connections_ping(struct stream_connections *list);
/* Ends all streams with a reconnect delay, and answers all waiters. Connections close after their output was
 * sent. */
void connections_drain(struct stream_connections *list);
/* Answers an operator's question about the streams of a workspace. `list`: a struct stream_connections. */
void connections_answer_share_question(void *list, const struct share_question *question);
/* A writer for state_dump_add, whose argument is the list: logs `state.connections`. */
void connections_log_state(void *list);
/* Closes all remaining connections at once. */
void connections_drop(struct stream_connections *list);
