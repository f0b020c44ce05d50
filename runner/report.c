#define _GNU_SOURCE
#include "runner/report.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Returns the length of the valid UTF-8 sequence at `s`, or 0. */
static size_t utf8_sequence_bytes(const unsigned char *s, size_t size)
{
    static const unsigned least[] = {0, 1, 0x80, 0x800, 0x10000};
    size_t n = s[0] < 0x80 ? 1 : s[0] >> 5 == 6 ? 2 : s[0] >> 4 == 14 ? 3 : s[0] >> 3 == 30 ? 4 : 0;
    if (n == 0 || n > size)
        return 0;
    unsigned code = n == 1 ? s[0] : s[0] & (0x7fU >> n);
    for (size_t i = 1; i < n; i++) {
        if (s[i] >> 6 != 2)
            return 0;
        code = code << 6 | (s[i] & 0x3fU);
    }
    return code < least[n] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000) ? 0 : n;
}

json_object *runner_report_text(const char *bytes, size_t size)
{
    char *clean = malloc(3 * size + 1);
    size_t used = 0;
    for (size_t i = 0; clean && i < size;) {
        size_t n = utf8_sequence_bytes((const unsigned char *)bytes + i, size - i);
        memcpy(clean + used, n ? bytes + i : "\xef\xbf\xbd", n ? n : 3);
        used += n ? n : 3;
        i += n ? n : 1;
    }
    json_object *text = json_object_new_string_len(clean ? clean : "", (int)used);
    free(clean);
    return text;
}
