/* The command's standard error: a bounded log file, progress lines, and batches for clients that follow the
 * run. A line `::progress 40 message` of at most LOG_LINE_MAX bytes is a progress event and is not written to
 * the log; every other line is. After `max_bytes`, bytes are still read, because a command that is blocked on
 * a full pipe would hang, but they are dropped. Batches are sent at most every LOG_INTERVAL_MS (250 ms) and
 * hold at most 16 KiB: the file is the log, batches are a view of it. What does not fit a batch is omitted
 * and counted: the batch says how many bytes of the command's output are missing after its text. No batch
 * ends within a character. A batch for which the pipe has no room waits.
 *
 * A zeroed struct with `fd` and `max_bytes` set is ready for use. Times are CLOCK_BOOTTIME milliseconds. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum { LOG_LINE_MAX = 4096, LOG_BATCH_MAX = 16 * 1024, LOG_INTERVAL_MS = 250 };

struct stderr_log {
    /* the log file, owned by the caller */
    int fd;
    uint64_t kept_bytes, max_bytes;
    bool truncated;
    /* the first part of the current line was already written: the rest is never a progress line */
    bool in_long_line;
    char line[LOG_LINE_MAX];
    size_t line_bytes;
    char batch[LOG_BATCH_MAX];
    size_t batch_bytes;
    /* of the output after the batch: not in a batch, perhaps not in the log either */
    uint64_t omitted_bytes;
    bool has_progress;
    int percent;
    /* of the last progress line; may contain NULs, which are sent as U+FFFD */
    char message[LOG_LINE_MAX];
    size_t message_bytes;
    /* when the last batch was sent */
    int64_t sent_ms;
};

void stderr_log_feed(struct stderr_log *log, const char *data, size_t size);
/* Handles the last line if it has no newline. Call it at the end of file. */
void stderr_log_end(struct stderr_log *log);
/* Sends the batch and progress if they are due. `all`: regardless of the time, and blocking, because all
 * processes of the run have ended. Returns the
 * milliseconds until the next call is needed, or -1 if nothing is left to send. */
int64_t stderr_log_send(struct stderr_log *log, int64_t now_ms, bool all);
/* Parses "::progress 40 message" without the newline. `percent` is limited to 100; *message_r is the rest of
 * the line (borrowed). False if the line is not a progress line. */
bool stderr_log_parse_progress(const char *line, size_t size, int *percent_r, struct span *message_r);
