/* millrace log: prints lines of the executor's log, filtered by workspace, execution and level. --follow
 * continues through log rotation. Lines of JSON (the setting log.format) are shown as lines of text are. */
#define _GNU_SOURCE /* memrchr, memmem */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/names.h"
#include "command/table.h"

enum {
    /* lines are shorter than 4 KiB (lib/base/log.c) */
    LINE_MAX_BYTES = 64 * 1024,
    /* --follow begins with the lines in the last bytes of the file */
    LATEST_BYTES = 16 * 1024,
    /* polling interval, in case inotify reports nothing */
    POLL_MS = 1000,
};

static const char *const levels[] = {"debug", "info", "warn", "error"};
enum { LEVELS = sizeof levels / sizeof levels[0] };

struct log_filter {
    /* unset: no filter */
    id workspace, execution;
    /* index into `levels` */
    int min_level;
    bool json;
};

/* A file that is read as it grows. */
struct log_tail {
    /* -1: not open */
    int fd;
    size_t buffered;
    char buffer[LINE_MAX_BYTES];
};

/* --- lines --- */

static int level_of(const char *word, size_t size)
{
    for (int i = 0; i < LEVELS; i++) {
        if (strlen(levels[i]) == size && memcmp(levels[i], word, size) == 0)
            return i;
    }
    return -1;
}

/* True if the line contains " name=id" as a complete word, or if the id is unset. */
static bool line_mentions(const char *line, size_t size, const char *name, const id *i)
{
    char word[64];
    if (!id_is_set(i))
        return true;
    size_t n = (size_t)snprintf(word, sizeof word, " %s=%s", name, i->text);
    const char *at = memmem(line, size, word, n);
    return at && (at + n == line + size || at[n] == ' ');
}

/* Returns the end of the word at `word`, or NULL if no space follows. A log line is "TIME LEVEL PROGRAM[PID]
 * EVENT TEXT". */
static const char *word_end(const char *word, const char *end)
{
    return word < end ? memchr(word, ' ', (size_t)(end - word)) : NULL;
}

static void add_member(json_object *o, const char *name, const char *from, const char *to)
{
    json_object_object_add(o, name, json_object_new_string_len(from, (int)(to - from)));
}

static void print_log_json(const char *line, const char *const ends[4], const char *end)
{
    static const char *const names[] = {"at", "level", "process", "event"};
    json_object *o = json_object_new_object();
    const char *from = line;
    for (int i = 0; i < 4; i++) {
        add_member(o, names[i], from, ends[i]);
        from = ends[i] + 1;
    }
    add_member(o, "text", from, end);
    puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
    json_object_put(o);
}

static void print_log_text(const char *line, size_t size)
{
    char *text = talloc_strndup(NULL, line, size);
    puts(printable_text(text, text, strlen(text)));
    talloc_free(text);
}

static void show_text_line(const struct log_filter *f, const char *line, size_t size)
{
    const char *ends[4], *end = line + size, *from = line;
    for (int i = 0; i < 4; i++) {
        ends[i] = word_end(from, end);
        if (!ends[i])
            return;
        from = ends[i] + 1;
    }
    int level = level_of(ends[0] + 1, (size_t)(ends[1] - ends[0] - 1));
    if (level < f->min_level || !line_mentions(line, size, "workspace", &f->workspace) ||
        !line_mentions(line, size, "execution", &f->execution))
        return;
    if (f->json)
        print_log_json(line, ends, end);
    else
        print_log_text(line, size);
}

/* The fields of a line of JSON as text, without its first four members. */
static char *fields_text(void *ctx, json_object *o)
{
    char *text = talloc_strdup(ctx, "");
    int nth = 0;
    json_object_object_foreach(o, name, value)
    {
        if (nth++ < 4)
            continue;
        const char *mark =
            json_object_is_type(value, json_type_string) && strpbrk(json_object_get_string(value), " \"")
                ? "\""
                : "";
        text = talloc_asprintf_append_buffer(text, "%s%s=%s%s%s", *text ? " " : "", name, mark,
                                             json_object_get_string(value), mark);
    }
    return text;
}

static bool member_is(json_object *o, const char *name, const id *i)
{
    json_object *value;
    return !id_is_set(i) ||
           (json_object_object_get_ex(o, name, &value) && json_object_is_type(value, json_type_string) &&
            strcmp(json_object_get_string(value), i->text) == 0);
}

/* A line of JSON. Its ids are compared as members: the text of a message may hold others. */
static void show_json_line(const struct log_filter *f, json_object *o)
{
    static const char *const names[] = {"at", "level", "process", "event"};
    const char *words[4];
    json_object *value;
    for (int i = 0; i < 4; i++) {
        if (!json_object_object_get_ex(o, names[i], &value) || !json_object_is_type(value, json_type_string))
            return;
        words[i] = json_object_get_string(value);
    }
    if (level_of(words[1], strlen(words[1])) < f->min_level || !member_is(o, "workspace", &f->workspace) ||
        !member_is(o, "execution", &f->execution))
        return;
    char *text = fields_text(NULL, o);
    char *line = talloc_asprintf(text, "%s %s %s %s %s", words[0], words[1], words[2], words[3], text);
    const char *ends[4], *from = line;
    for (int i = 0; i < 4; i++) {
        ends[i] = from + strlen(words[i]);
        from = ends[i] + 1;
    }
    if (f->json)
        print_log_json(line, ends, line + strlen(line));
    else
        print_log_text(line, strlen(line));
    talloc_free(text);
}

static void show_line(const struct log_filter *f, const char *line, size_t size)
{
    if (size == 0 || *line != '{') {
        show_text_line(f, line, size);
        return;
    }
    json_tokener *parser = json_tokener_new();
    json_object *o = json_tokener_parse_ex(parser, line, (int)size);
    if (o && json_object_is_type(o, json_type_object))
        show_json_line(f, o);
    json_object_put(o);
    json_tokener_free(parser);
}

/* --- files --- */

static void log_tail_close(struct log_tail *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->buffered = 0;
}

/* Prints the complete lines that were added since the last call. */
static void log_tail_read(struct log_tail *t, const struct log_filter *f)
{
    ssize_t n;
    while (t->fd >= 0 && (n = read(t->fd, t->buffer + t->buffered, sizeof t->buffer - t->buffered)) > 0) {
        t->buffered += (size_t)n;
        char *line = t->buffer, *end;
        while ((end = memchr(line, '\n', t->buffered - (size_t)(line - t->buffer))) != NULL) {
            show_line(f, line, (size_t)(end - line));
            line = end + 1;
        }
        t->buffered -= (size_t)(line - t->buffer);
        memmove(t->buffer, line, t->buffered);
        if (t->buffered == sizeof t->buffer)
            t->buffered = 0; /* not a line of Millrace */
    }
}

/* True if another file is at the path now, or the open file was truncated. */
static bool was_rotated(const struct log_tail *t, const char *path)
{
    struct stat here, there;
    if (stat(path, &there) != 0)
        return false;
    if (t->fd < 0 || fstat(t->fd, &here) != 0)
        return true;
    return here.st_ino != there.st_ino || here.st_dev != there.st_dev ||
           lseek(t->fd, 0, SEEK_CUR) > here.st_size;
}

static void skip_to_latest(struct log_tail *t)
{
    char c = '\n';
    off_t end = t->fd >= 0 ? lseek(t->fd, 0, SEEK_END) : 0;
    if (t->fd < 0 || lseek(t->fd, end > LATEST_BYTES ? end - LATEST_BYTES - 1 : 0, SEEK_SET) <= 0)
        return;
    while (read(t->fd, &c, 1) == 1 && c != '\n')
        ; /* skip the rest of an incomplete line */
}

/* --- following --- */

static int watch_directory(const char *path)
{
    char *folder = talloc_strdup(NULL, path);
    char *slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = '\0';
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (fd >= 0)
        (void)inotify_add_watch(fd, slash ? folder : ".", IN_MODIFY | IN_CREATE | IN_MOVED_TO);
    talloc_free(folder);
    return fd;
}

static void wait_for_log_change(int inotify_fd)
{
    char dropped[4096];
    struct pollfd p = {.fd = inotify_fd, .events = POLLIN};
    if (poll(&p, 1, POLL_MS) > 0) {
        while (read(inotify_fd, dropped, sizeof dropped) > 0)
            ; /* the events only wake up the loop, which looks at the files */
    }
}

/* Never returns, except when standard output fails. Some processes continue to write to the old file until
 * they have opened the new one, so both are read. */
static void follow_log(const char *path, const struct log_filter *f, struct log_tail *current_file,
                       struct log_tail *previous_file)
{
    int inotify_fd = watch_directory(path);
    for (;;) {
        log_tail_read(previous_file, f);
        log_tail_read(current_file, f);
        if (was_rotated(current_file, path)) {
            log_tail_close(previous_file);
            memcpy(previous_file, current_file, sizeof *previous_file);
            *current_file = (struct log_tail){.fd = open(path, O_RDONLY | O_CLOEXEC)};
            continue;
        }
        if (fflush(stdout) != 0)
            return;
        wait_for_log_change(inotify_fd);
    }
}

/* MariaDB is needed for a name only. False after an error message. */
static bool find_log_workspace(struct cli *cli, const char *text, id *workspace_r)
{
    enum { STATEMENT_S = 10 };
    if (!text || id_parse(text, strlen(text), workspace_r))
        return true;
    return cli_open(cli, STATEMENT_S) && cli_workspace_filter(cli, text, workspace_r) == CLI_DONE;
}

int cmd_log(struct cli *cli, int argc, char **argv)
{
    bool is_followed = false;
    const char *workspace = NULL, *execution = NULL, *level = NULL;
    const struct cli_option options[] = {{"follow", .flag_r = &is_followed},
                                         {"workspace", .text_r = &workspace},
                                         {"execution", .text_r = &execution},
                                         {"level", .text_r = &level},
                                         {0}};
    struct log_filter f = {.json = cli->json};
    if (!cli_parse(cli, argc, argv, options, NULL, 0) ||
        (execution && !cli_id(cli, "--execution", execution, &f.execution)))
        return CLI_USAGE;
    f.min_level = level ? level_of(level, strlen(level)) : 0;
    if (f.min_level < 0)
        return cli_usage(cli, "--level must be debug, info, warn or error");
    if (!cli_configure(cli) || !find_log_workspace(cli, workspace, &f.workspace))
        return CLI_FAILED;
    const char *path = cli->config->executor.log_file;
    if (!*path)
        return cli_fail(cli, "the setting executor.log_file is empty: the executor logs to standard error");
    struct log_tail *current_file = talloc_zero(cli->ctx, struct log_tail),
                    *previous_file = talloc_zero(cli->ctx, struct log_tail);
    previous_file->fd = -1;
    current_file->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (current_file->fd < 0 && !is_followed)
        return cli_fail(cli, "cannot read %s", path);
    if (is_followed) {
        skip_to_latest(current_file);
        follow_log(path, &f, current_file, previous_file);
        return CLI_FAILED;
    }
    log_tail_read(current_file, &f);
    return CLI_DONE;
}
