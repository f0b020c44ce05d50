#define _GNU_SOURCE
#include "runner/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "json/json.h"

static int out_fd = -1;
/* the rest of a record that was sent only in part; it must be sent before anything else */
static char *unsent;
static size_t unsent_bytes;

void runner_report_open(int fd)
{
    out_fd = fd;
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

/* Returns the bytes written: less than `size` if the pipe is full, or if the reader is gone. */
static size_t write_some(const char *data, size_t size)
{
    size_t done = 0;
    while (done < size) {
        ssize_t n = write(out_fd, data + done, size - done);
        if (n > 0)
            done += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    return done;
}

static bool flush_unsent(void)
{
    if (!unsent_bytes)
        return true;
    size_t n = write_some(unsent, unsent_bytes);
    memmove(unsent, unsent + n, unsent_bytes - n);
    unsent_bytes -= n;
    return unsent_bytes == 0;
}

bool runner_report_send(json_object *record)
{
    size_t size = 0;
    const char *text = json_text(record, &size);
    char *line = malloc(size + 1);
    bool sent = false;
    if (line && flush_unsent()) {
        memcpy(line, text, size);
        line[size++] = '\n';
        size_t n = write_some(line, size);
        sent = n > 0;
        if (n > 0 && n < size) {
            free(unsent);
            unsent_bytes = size - n;
            unsent = malloc(unsent_bytes);
            if (unsent)
                memcpy(unsent, line + n, unsent_bytes);
            else
                unsent_bytes = 0;
        }
    }
    free(line);
    json_object_put(record);
    return sent;
}

bool runner_report_send_last(json_object *record)
{
    fcntl(out_fd, F_SETFL, fcntl(out_fd, F_GETFL) & ~O_NONBLOCK);
    bool sent = runner_report_send(record);
    free(unsent);
    unsent = NULL;
    unsent_bytes = 0;
    return sent;
}

json_object *runner_report_new(const char *type)
{
    json_object *record = json_object_new_object();
    json_object_object_add(record, "type", json_object_new_string(type));
    return record;
}

json_object *runner_report_text(const char *bytes, size_t size)
{
    char *clean = malloc(3 * size + 1);
    size_t used = clean ? utf8_sanitize(clean, bytes, size, false) : 0;
    json_object *text = json_object_new_string_len(clean ? clean : "", (int)used);
    free(clean);
    return text;
}
