#include "base/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

static struct {
    const char *program;
    char path[4096];
    int fd;
    enum log_level least;
} output = {.program = "millrace", .fd = STDERR_FILENO, .least = LOG_LEVEL_INFO};

static const char *const level_names[] = {"debug", "info", "warn", "error"};

enum log_level log_level_of(const char *name)
{
    for (int i = LOG_LEVEL_DEBUG; i <= LOG_LEVEL_ERROR; i++) {
        if (strcmp(level_names[i], name) == 0)
            return (enum log_level)i;
    }
    return LOG_LEVEL_INFO;
}

enum err log_open(const char *program, const char *path, enum log_level least)
{
    output.program = program;
    output.least = least;
    if (!path || !*path)
        return OK;
    if (strlen(path) >= sizeof output.path)
        return ERR_INVALID;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return ERR_INVALID;
    memcpy(output.path, path, strlen(path) + 1);
    output.fd = fd;
    return OK;
}

void log_reopen(void)
{
    if (!output.path[0])
        return;
    int fd = open(output.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return;
    /* dup2 replaces the descriptor atomically: another thread may be writing */
    dup2(fd, output.fd);
    close(fd);
}

static size_t append_escaped(char *line, size_t at, size_t size, const char *text)
{
    for (const char *p = text; *p && at + 5 < size; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == 0x7f)
            at += (size_t)snprintf(line + at, size - at, "\\x%02x", c);
        else
            line[at++] = *p;
    }
    return at;
}

PRINTF_LIKE(3, 0)
static void write_line(enum log_level level, const char *event, const char *fmt, va_list args)
{
    char text[3500];
    vsnprintf(text, sizeof text, fmt, args);
    char time[CLOCK_TEXT_SIZE];
    /* below PIPE_BUF, so that one write appends one whole line */
    char line[4000];
    size_t at = (size_t)snprintf(line, sizeof line, "%s %s %s[%d] %s ", clock_text_z(clock_wall_ms(), time),
                                 level_names[level], output.program, (int)getpid(), event);
    at = append_escaped(line, at, sizeof line - 1, text);
    line[at++] = '\n';
    if (write(output.fd, line, at) < 0)
        return; /* there is no other place to report it */
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
    if (level < output.least)
        return;
    va_list args;
    va_start(args, fmt);
    write_line(level, event, fmt, args);
    va_end(args);
}

void log_requested(const char *event, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    write_line(LOG_LEVEL_INFO, event, fmt, args);
    va_end(args);
}
