/* What the executors log, in one stream of Redis that all hosts share: the event daemon reads it for
 * operators (GET /operator/executor-log). An entry holds the lines that one process logged within about 250
 * ms, at most LOG_STREAM_ENTRY_MAX bytes, and Redis keeps about the newest `entries_max` entries, so the
 * stream's size is bounded by their product. It is a copy for reading along: while Redis is unreachable
 * nothing gets there, and the log file has all. Source: Redis documentation, "Streams". */
#pragma once

#include <stdbool.h>

#include "redis/redis.h"

enum {
    LOG_STREAM_ENTRY_MAX = 4096,
    /* bytes of a position's text, with its NUL */
    LOG_POSITION_SIZE = 42
};

/* The id of an entry; all 0: before the first one. */
struct log_position {
    uint64_t ms, seq;
};
/* "MS-SEQ". False if it is no such text. */
bool log_position_parse(const char *text, size_t size, struct log_position *position_r) WARN_UNUSED;
const char *log_position_text(struct log_position position, char text[LOG_POSITION_SIZE]);
/* As for qsort. */
int log_position_compare(struct log_position a, struct log_position b);

/* Texts of the context that was passed for reading. */
struct log_entry {
    struct log_position at;
    const char *host;
    /* objects of JSON, each ended by a line end */
    const char *lines;
    size_t size;
};

/* Queues an entry; redis_flush sends it. */
void log_stream_queue(struct redis *r, int64_t entries_max, const char *host, const char *lines, size_t size);
/* Reads at most `max` entries after a position, oldest first. */
enum err log_stream_read(struct redis *r, void *ctx, struct log_position after, size_t max,
                         struct log_entry **entries_r, size_t *n_r) WARN_UNUSED;
/* *position_r: after it the newest `back` entries follow; *end_r: the newest entry. Both are 0 of an empty
 * stream. */
enum err log_stream_newest(struct redis *r, void *ctx, size_t back, struct log_position *position_r,
                           struct log_position *end_r) WARN_UNUSED;
/* *oldest_r: the first entry that is left, 0 of an empty stream. */
enum err log_stream_oldest(struct redis *r, void *ctx, struct log_position *oldest_r) WARN_UNUSED;
