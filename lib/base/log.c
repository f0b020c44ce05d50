#include "base/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"

enum {
    TEXT_MAX = 3500,
    /* below PIPE_BUF, so that one write appends one whole line */
    LINE_MAX_BYTES = 4000,
    /* of the formats in the sources; the fields of a longer one become the field "text" */
    FORMAT_MAX = 1024,
    NAME_MAX_BYTES = 64,
};

static struct {
    const char *program;
    char path[4096];
    int fd;
    enum log_level least;
    bool is_json;
    void (*copy)(void *arg, const char *line, size_t size);
    void *copy_arg;
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

const char *log_format_problem(const char *name)
{
    return strcmp(name, "text") == 0 || strcmp(name, "json") == 0 ? NULL : "is not text or json";
}

void log_set_format(const char *name)
{
    output.is_json = strcmp(name, "json") == 0;
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

void log_set_copy(void (*copy)(void *arg, const char *line, size_t size), void *arg)
{
    output.copy = NULL;
    output.copy_arg = arg;
    output.copy = copy;
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

/* --- lines of JSON --- */

/* A line that is written as JSON. Room for the end of the line is always left. */
struct json_line {
    char bytes[LINE_MAX_BYTES];
    size_t size;
    bool is_cut;
};

static const char cut_member[] = ",\"cut\":true";

static size_t json_room(const struct json_line *l)
{
    size_t limit = sizeof l->bytes - sizeof cut_member - sizeof "\"}\n";
    return l->size < limit ? limit - l->size : 0;
}

static void json_add(struct json_line *l, const char *text, size_t size)
{
    if (l->is_cut || size > json_room(l)) {
        l->is_cut = true;
        return;
    }
    memcpy(l->bytes + l->size, text, size);
    l->size += size;
}

/* One code point. */
static void json_add_escaped(struct json_line *l, const char *point, size_t size)
{
    unsigned char c = (unsigned char)*point;
    char escaped[8];
    if (c == '"' || c == '\\') {
        escaped[0] = '\\';
        escaped[1] = *point;
        json_add(l, escaped, 2);
    } else if (c < 0x20 || c == 0x7f) {
        json_add(l, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", c));
    } else {
        json_add(l, point, size);
    }
}

/* Adds a string. What is not UTF-8 becomes U+FFFD. */
static void json_add_string(struct json_line *l, const char *text, size_t size)
{
    char valid[3 * TEXT_MAX];
    size_t valid_n = utf8_sanitize(valid, text, size < TEXT_MAX ? size : TEXT_MAX, false);
    json_add(l, "\"", 1);
    if (l->is_cut)
        return;
    for (size_t i = 0; i < valid_n && !l->is_cut;) {
        size_t n = 1;
        while (i + n < valid_n && ((unsigned char)valid[i + n] & 0xc0) == 0x80)
            n++;
        json_add_escaped(l, valid + i, n);
        i += n;
    }
    l->bytes[l->size++] = '"'; /* json_room leaves a byte for it and for the end of the object */
}

/* Adds a member, or nothing if its name does not fit. */
static void json_add_member(struct json_line *l, const char *name, size_t name_size, const char *value,
                            size_t size, bool is_number)
{
    char head[NAME_MAX_BYTES + 8];
    bool fits = name_size <= NAME_MAX_BYTES;
    size_t n = fits ? (size_t)snprintf(head, sizeof head, "%s\"%.*s\":", l->size > 1 ? "," : "",
                                       (int)name_size, name)
                    : 0;
    if (!fits || l->is_cut || n + (is_number ? size : 2) > json_room(l)) {
        l->is_cut = true;
        return;
    }
    json_add(l, head, n);
    if (is_number)
        json_add(l, value, size);
    else
        json_add_string(l, value, size);
}

static void json_add_text_member(struct json_line *l, const char *name, const char *value)
{
    json_add_member(l, name, strlen(name), value, strlen(value), false);
}

/* A field of a format: name=value or name="value". The offsets are in the format. */
struct format_field {
    const char *name;
    size_t name_size;
    size_t value_at, value_end;
    /* where the next field begins, at a space or at the end */
    size_t end;
};

static size_t name_size_at(const char *fmt)
{
    size_t n = 0;
    while ((fmt[n] >= 'a' && fmt[n] <= 'z') || (n > 0 && ((fmt[n] >= '0' && fmt[n] <= '9') || fmt[n] == '_')))
        n++;
    return n > 0 && fmt[n] == '=' ? n : 0;
}

/* Reads the field that begins at fmt + at. False if none does. The names are taken from the format, which is
 * part of the program, and not from the formatted line: a value may hold " name=" as well. */
static bool read_field(const char *fmt, size_t at, struct format_field *f)
{
    size_t n = name_size_at(fmt + at);
    if (n == 0)
        return false;
    bool is_quoted = fmt[at + n + 1] == '"';
    *f = (struct format_field){.name = fmt + at, .name_size = n, .value_at = at + n + 1 + is_quoted};
    size_t end = f->value_at;
    while (fmt[end] && fmt[end] != (is_quoted ? '"' : ' '))
        end++;
    f->value_end = end;
    f->end = end + (is_quoted && fmt[end] == '"');
    return fmt[f->end] == '\0' || fmt[f->end] == ' ';
}

/* True for one conversion to a decimal number without flags, and nothing else. */
static bool is_number_format(const char *fmt, size_t size)
{
    size_t n = 1;
    if (size < 2 || fmt[0] != '%')
        return false;
    while (n < size && (fmt[n] == 'l' || fmt[n] == 'z' || fmt[n] == 'j' || fmt[n] == 'h'))
        n++;
    if (n + 3 == size && fmt[n] == '.' && fmt[n + 1] >= '0' && fmt[n + 1] <= '9' && fmt[n + 2] == 'f')
        return true;
    return n + 1 == size && (fmt[n] == 'd' || fmt[n] == 'u' || fmt[n] == 'i');
}

/* "nan" and "inf" are no numbers in JSON. */
static bool is_json_number(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (!(text[i] >= '0' && text[i] <= '9') && text[i] != '-' && text[i] != '.')
            return false;
    }
    return size > 0;
}

/* The first `size` bytes of a format, copied to `out`. */
__attribute__((format_arg(1))) static const char *format_head(const char *fmt, size_t size,
                                                              char out[FORMAT_MAX])
{
    memcpy(out, fmt, size);
    out[size] = '\0';
    return out;
}

/* How many bytes the first `size` bytes of a format become. */
PRINTF_LIKE(1, 0) static size_t formatted_size(const char *fmt, size_t size, va_list args)
{
    char head[FORMAT_MAX];
    va_list copy;
    va_copy(copy, args);
    int n = vsnprintf(NULL, 0, format_head(fmt, size, head), copy);
    va_end(copy);
    return n > 0 ? (size_t)n : 0;
}

/* Adds the fields of a line that was formatted to `text`. */
PRINTF_LIKE(3, 0)
static void json_add_fields(struct json_line *l, const char *text, const char *fmt, va_list args)
{
    size_t text_size = strlen(text), fmt_size = strlen(fmt), at = 0, text_at = 0;
    struct format_field f;
    while (fmt_size < FORMAT_MAX && fmt[at] && read_field(fmt, at, &f)) {
        /* up to the value the format holds no conversion */
        size_t from = text_at + (f.value_at - at);
        size_t to = formatted_size(fmt, f.value_end, args);
        bool is_whole = to <= text_size;
        size_t size = (is_whole ? to : text_size) - (from < text_size ? from : text_size);
        bool is_number = is_whole && is_number_format(fmt + f.value_at, f.value_end - f.value_at) &&
                         is_json_number(text + from, size);
        if (from < text_size || is_whole)
            json_add_member(l, f.name, f.name_size, text + from, size, is_number);
        l->is_cut |= !is_whole;
        if (l->is_cut)
            return;
        text_at = to + (f.end - f.value_end);
        at = f.end;
        if (fmt[at] == ' ') {
            at++;
            text_at++;
        }
    }
    if (fmt[at] && text_at < text_size)
        json_add_member(l, "text", 4, text + text_at, text_size - text_at, false);
}

/* Writes the line if the log is JSON, and passes it to the copy. */
PRINTF_LIKE(4, 0)
static void write_json_line(enum log_level level, const char *event, const char *text, const char *fmt,
                            va_list args)
{
    char time[CLOCK_TEXT_SIZE], process[256];
    struct json_line l = {.bytes = "{", .size = 1};
    snprintf(process, sizeof process, "%s[%d]", output.program, (int)getpid());
    json_add_text_member(&l, "at", clock_text_z(clock_wall_ms(), time));
    json_add_text_member(&l, "level", level_names[level]);
    json_add_text_member(&l, "process", process);
    json_add_text_member(&l, "event", event);
    json_add_fields(&l, text, fmt, args);
    if (l.is_cut) {
        memcpy(l.bytes + l.size, cut_member, sizeof cut_member - 1);
        l.size += sizeof cut_member - 1;
    }
    l.bytes[l.size++] = '}';
    if (output.copy)
        output.copy(output.copy_arg, l.bytes, l.size);
    l.bytes[l.size++] = '\n';
    if (output.is_json && write(output.fd, l.bytes, l.size) < 0)
        return; /* there is no other place to report it */
}

/* --- lines --- */

static _Atomic uint64_t error_count;

uint64_t log_error_count(void)
{
    return error_count;
}

PRINTF_LIKE(3, 0)
static void write_line(enum log_level level, const char *event, const char *fmt, va_list args)
{
    char text[TEXT_MAX];
    va_list copy;
    va_copy(copy, args);
    vsnprintf(text, sizeof text, fmt, copy);
    va_end(copy);
    if (output.is_json || output.copy)
        write_json_line(level, event, text, fmt, args);
    if (output.is_json)
        return;
    char time[CLOCK_TEXT_SIZE];
    char line[LINE_MAX_BYTES];
    size_t at = (size_t)snprintf(line, sizeof line, "%s %s %s[%d] %s ", clock_text_z(clock_wall_ms(), time),
                                 level_names[level], output.program, (int)getpid(), event);
    at = append_escaped(line, at, sizeof line - 1, text);
    line[at++] = '\n';
    if (write(output.fd, line, at) < 0)
        return; /* there is no other place to report it */
}

void log_line(enum log_level level, const char *event, const char *fmt, ...)
{
    error_count += level == LOG_LEVEL_ERROR;
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
