#define _GNU_SOURCE
#include "runner/stderr_log.h"

#include <string.h>
#include <unistd.h>

#include "runner/report.h"

bool stderr_log_parse_progress(const char *line, size_t size, int *percent_r, char *message,
                               size_t message_max)
{
    static const char mark[] = "::progress ";
    size_t i = sizeof mark - 1;
    if (size <= i || memcmp(line, mark, i) != 0 || line[i] < '0' || line[i] > '9')
        return false;
    int percent = 0;
    for (; i < size && line[i] >= '0' && line[i] <= '9'; i++)
        percent = percent > 100 ? percent : percent * 10 + (line[i] - '0');
    if (i < size && line[i] == '%')
        i++;
    if (i < size && line[i] != ' ')
        return false;
    while (i < size && line[i] == ' ')
        i++;
    size_t n = size - i < message_max - 1 ? size - i : message_max - 1;
    memcpy(message, line + i, n);
    message[n] = '\0';
    *percent_r = percent > 100 ? 100 : percent;
    return true;
}

static void append_to_log(struct stderr_log *log, const char *data, size_t size)
{
    uint64_t room = log->max_bytes - log->kept_bytes;
    size_t n = size < room ? size : (size_t)room;
    log->truncated |= n < size;
    ssize_t written = n ? write(log->fd, data, n) : 0;
    if (written >= 0 && (size_t)written < n)
        log->truncated = true; /* the disk is full: the log ends here, but the run continues */
    log->kept_bytes += n;
    if (n == 0)
        return;
    room = sizeof log->batch - log->batch_bytes;
    n = n < room ? n : room;
    memcpy(log->batch + log->batch_bytes, data, n);
    log->batch_bytes += n;
}

static void end_line(struct stderr_log *log, bool whole)
{
    size_t size = log->line_bytes;
    if (size && log->line[size - 1] == '\n')
        size--;
    if (!log->in_long_line && whole &&
        stderr_log_parse_progress(log->line, size, &log->percent, log->message, sizeof log->message))
        log->has_progress = true;
    else
        append_to_log(log, log->line, log->line_bytes);
    log->line_bytes = 0;
    log->in_long_line = !whole;
}

void stderr_log_feed(struct stderr_log *log, const char *data, size_t size)
{
    while (size) {
        size_t room = sizeof log->line - log->line_bytes;
        size_t n = size < room ? size : room;
        const char *nl = memchr(data, '\n', n);
        if (nl)
            n = (size_t)(nl - data) + 1;
        memcpy(log->line + log->line_bytes, data, n);
        log->line_bytes += n;
        data += n;
        size -= n;
        if (nl || log->line_bytes == sizeof log->line)
            end_line(log, nl != NULL);
    }
}

void stderr_log_end(struct stderr_log *log)
{
    if (log->line_bytes)
        end_line(log, true);
}

int64_t stderr_log_send(struct stderr_log *log, int64_t now_ms, bool all)
{
    if (!log->batch_bytes && !log->has_progress)
        return -1;
    int64_t wait_ms = log->sent_ms + LOG_INTERVAL_MS - now_ms;
    if (!all && wait_ms > 0)
        return wait_ms;
    if (log->has_progress) {
        json_object *r = runner_report_new("progress");
        json_object_object_add(r, "percent", json_object_new_int(log->percent));
        json_object_object_add(r, "message", runner_report_text(log->message, strlen(log->message)));
        runner_report_send(r);
    }
    if (log->batch_bytes) {
        json_object *r = runner_report_new("log");
        json_object_object_add(r, "text", runner_report_text(log->batch, log->batch_bytes));
        runner_report_send(r);
    }
    log->has_progress = false;
    log->batch_bytes = 0;
    log->sent_ms = now_ms;
    return -1;
}
