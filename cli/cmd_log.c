/* millrace log: the executor's log, filtered by what a line is about; --follow stays with it through
 * rotation. */
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

enum {
    LINE_MAX_BYTES = 64 * 1024, /* lines are shorter than 4 KiB, see lib/base/log.c */
    LATEST_BYTES = 16 * 1024,   /* --follow begins with the newest of the lines that are there */
    POLL_MS = 1000,             /* at least so often, should the kernel not tell */
};

static const char *const levels[] = {"debug", "info", "warn", "error"};
enum { LEVELS = sizeof levels / sizeof levels[0] };

struct log_filter {
    id workspace, execution; /* unset: any */
    int min_level;           /* index of levels */
    bool json;
};

/* One file that is read as it grows. */
struct log_tail {
    int fd; /* -1: none */
    size_t buffered;
    char buffer[LINE_MAX_BYTES];
};

/* --- one line --- */

static int level_of(const char *word, size_t size)
{
    for (int i = 0; i < LEVELS; i++) {
        if (strlen(levels[i]) == size && memcmp(levels[i], word, size) == 0)
            return i;
    }
    return -1;
}

/* Whether ` name=id` stands in the line, as a whole word. */
static bool line_mentions(const char *line, size_t size, const char *name, const id *i)
{
    char word[64];
    if (!id_is_set(i))
        return true;
    size_t n = (size_t)snprintf(word, sizeof word, " %s=%s", name, i->text);
    const char *at = memmem(line, size, word, n);
    return at && (at + n == line + size || at[n] == ' ');
}

/* "TIME LEVEL PROGRAM[PID] EVENT TEXT": the end of each of the first four words, or NULL where it is no such
 * line. */
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

static void show_line(const struct log_filter *f, const char *line, size_t size)
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
        printf("%.*s\n", (int)size, line);
}

/* --- one file --- */

static void log_tail_close(struct log_tail *t)
{
    if (t->fd >= 0)
        close(t->fd);
    t->fd = -1;
    t->buffered = 0;
}

/* Shows the whole lines that have come since. */
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
            t->buffered = 0; /* no line of ours is that long */
    }
}

/* Another file stands at the path now, or this one was cut to begin anew. */
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
        ; /* the rest of a line that began before */
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
            ; /* what it is, the files tell */
    }
}

/* For ever. Some processes go on writing to the old file until they have opened the new one, so both are
 * read. */
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
        (workspace && !cli_id(cli, "--workspace", workspace, &f.workspace)) ||
        (execution && !cli_id(cli, "--execution", execution, &f.execution)))
        return CLI_USAGE;
    f.min_level = level ? level_of(level, strlen(level)) : 0;
    if (f.min_level < 0)
        return cli_usage(cli, "--level wants debug, info, warn or error");
    if (!cli_configure(cli))
        return CLI_FAILED;
    const char *path = cli->config->executor.log_file;
    if (!*path)
        return cli_fail(cli, "the executor has no log file: [executor] log_file is not set");
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
