/* The command's standard error: a bounded log file, progress lines, and batches for whoever follows the run.
 * A line `::progress 40 message` is a progress event and does not enter the log; any other line does. After
 * the cap bytes are still taken (a command blocked on a full pipe would hang), but dropped. Batches are at
 * most four a second and 16 KiB each: the file is the log, batches are a view of it that may have holes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_LINE_MAX = 4096, LOG_BATCH_MAX = 16 * 1024, LOG_INTERVAL_MS = 250 };

struct stderr_log {
    int fd; /* of the log file */
    uint64_t kept_bytes, max_bytes;
    bool truncated;
    bool in_long_line; /* the line's first part went out already: its rest is never a progress line */
    char line[LOG_LINE_MAX];
    size_t line_bytes;
    char batch[LOG_BATCH_MAX];
    size_t batch_bytes;
    bool has_progress;
    int percent;
    char message[512];
    int64_t sent_ms; /* when the last batch went out */
};

void stderr_log_feed(struct stderr_log *log, const char *data, size_t size);
/* The rest of an unended line, at the end. */
void stderr_log_end(struct stderr_log *log);
/* Sends what is due; returns the milliseconds until it wants to be called again, -1 when there is nothing to
 * send. */
int64_t stderr_log_send(struct stderr_log *log, int64_t now_ms, bool all);
/* "::progress 40 message" → true. percent 0–100, clamped; message cut to what fits. */
bool stderr_log_parse_progress(const char *line, size_t size, int *percent_r, char *message,
                               size_t message_max);
