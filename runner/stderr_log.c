#define _GNU_SOURCE
#include "runner/stderr_log.h"

#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "runner/report.h"

bool stderr_log_parse_progress(const char *line, size_t size, int *percent_r, struct span *message_r)
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
    *message_r = (struct span){line + i, size - i};
    *percent_r = percent > 100 ? 100 : percent;
    return true;
}

static void append_to_log(struct stderr_log *log, const char *data, size_t size)
{
    uint64_t room = log->max_bytes - log->kept_bytes;
    size_t n = utf8_cut(data, size, size < room ? size : (size_t)room);
    log->truncated |= n < size;
    log->omitted_bytes += size - n;
    ssize_t written = n ? write(log->fd, data, n) : 0;
    if (written >= 0 && (size_t)written < n)
        log->truncated = true; /* the disk is full: the log ends here, but the run continues */
    log->kept_bytes += n;
    if (n == 0)
        return;
    /* after a gap nothing is added until the batch is sent, so that a batch is one piece of the log */
    room = log->omitted_bytes ? 0 : sizeof log->batch - log->batch_bytes;
    size_t added = n < room ? n : room;
    memcpy(log->batch + log->batch_bytes, data, added);
    log->batch_bytes += added;
    log->omitted_bytes += n - added;
}

static void end_line(struct stderr_log *log, bool whole)
{
    size_t size = log->line_bytes;
    struct span message;
    if (size && log->line[size - 1] == '\n')
        size--;
    size_t shown = size && log->line[size - 1] == '\r' ? size - 1 : size;
    if (!log->in_long_line && whole && stderr_log_parse_progress(log->line, shown, &log->percent, &message)) {
        memcpy(log->message, message.at, message.size);
        log->message_bytes = message.size;
        log->has_progress = true;
    } else {
        append_to_log(log, log->line, log->line_bytes);
    }
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

static bool send_record(json_object *record, bool last)
{
    return last ? runner_report_send_last(record) : runner_report_send(record);
}

/* The bytes of the batch that end with a whole character. The rest stays for the next batch, or is omitted if
 * what follows it was. */
static size_t whole_characters(const struct stderr_log *log, bool last)
{
    size_t size = log->batch_bytes, back = 0;
    while (back < 3 && back < size && ((unsigned char)log->batch[size - 1 - back] & 0xc0) == 0x80)
        back++;
    if (last && !log->omitted_bytes)
        return size;
    if (back < size && (unsigned char)log->batch[size - 1 - back] >= 0xc0) {
        unsigned char lead = (unsigned char)log->batch[size - 1 - back];
        size_t needed = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
        return back + 1 < needed ? size - back - 1 : size;
    }
    return size;
}

/* False: the pipe is full, and the batch waits. */
static bool send_batch(struct stderr_log *log, bool last)
{
    size_t size = whole_characters(log, last);
    size_t rest = log->batch_bytes - size;
    uint64_t omitted = log->omitted_bytes ? log->omitted_bytes + rest : 0;
    if (!size && !omitted)
        return true;
    json_object *r = runner_report_new("log");
    json_object_object_add(r, "text", runner_report_text(log->batch, size));
    if (omitted)
        json_object_object_add(r, "omitted_bytes", json_object_new_int64((int64_t)omitted));
    if (!send_record(r, last))
        return false;
    memmove(log->batch, log->batch + size, rest);
    log->batch_bytes = omitted ? 0 : rest;
    log->omitted_bytes = 0;
    return true;
}

int64_t stderr_log_send(struct stderr_log *log, int64_t now_ms, bool all)
{
    if (!log->batch_bytes && !log->omitted_bytes && !log->has_progress)
        return -1;
    int64_t wait_ms = log->sent_ms + LOG_INTERVAL_MS - now_ms;
    if (!all && wait_ms > 0)
        return wait_ms;
    log->sent_ms = now_ms;
    if (log->has_progress) {
        json_object *r = runner_report_new("progress");
        json_object_object_add(r, "percent", json_object_new_int(log->percent));
        json_object_object_add(r, "message", runner_report_text(log->message, log->message_bytes));
        log->has_progress = !send_record(r, all);
    }
    return send_batch(log, all) && !log->has_progress ? -1 : LOG_INTERVAL_MS;
}
