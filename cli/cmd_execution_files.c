/* millrace execution logs, artifacts and artifact: what a skill's run has written. */
#define _GNU_SOURCE /* memrchr */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "blob/blob_rows.h"
#include "cli/commands.h"
#include "cli/execution_find.h"
#include "command/table.h"
#include "store/artifact.h"
#include "store/live_log.h"

enum {
    CHUNK = 64 * 1024,
    /* interval at which the log of a running command is read again */
    POLL_MS = 500,
    /* of a log that is read from events at once; a log has at most 1 MiB */
    LIVE_MAX = 2 * 1024 * 1024,
};

/* --- logs --- */

/* Prints a part of a log. On a terminal, control characters are escaped; line ends and tabs are not. */
static void write_log_text(const char *text, size_t size)
{
    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, size, stdout);
        return;
    }
    void *scratch = talloc_new(NULL);
    for (const char *end = text + size; text < end;) {
        size_t n =
            strcspn(text, "\n\t") < (size_t)(end - text) ? strcspn(text, "\n\t") : (size_t)(end - text);
        fputs(printable_text(scratch, talloc_strndup(scratch, text, n), n), stdout);
        text += n;
        if (text < end)
            putchar(*text++);
    }
    talloc_free(scratch);
}

/* Prints what the file has from *offset on, and advances *offset. */
static bool print_from(int fd, int64_t *offset)
{
    char *buffer = talloc_size(NULL, CHUNK + 1);
    ssize_t n;
    while ((n = pread(fd, buffer, CHUNK, (off_t)*offset)) > 0) {
        buffer[n] = '\0';
        write_log_text(buffer, (size_t)n);
        *offset += n;
    }
    talloc_free(buffer);
    return n == 0;
}

/* As print_from(), for a run that is being executed on another host. */
static enum err print_live(struct cli *cli, const id *execution, int64_t *offset)
{
    char *text;
    size_t size;
    enum err e = live_log_read(cli->db, cli->ctx, execution, *offset, LIVE_MAX, &text, &size);
    if (e == OK && size > 0)
        write_log_text(text, size);
    *offset += (int64_t)size;
    talloc_free(text);
    return e;
}

/* Opens the stored log, or the log file of a run that is being executed on this host. -1: neither exists. */
static int open_run_log(struct cli *cli, struct blob_store *blobs, const id *execution,
                        const struct execution_log *log)
{
    if (log->is_purged)
        return -1;
    int fd = -1;
    if (log->has_log)
        return blob_read(cli->db, blobs, log->log.sha256, &fd) == OK ? fd : -1;
    char *path = talloc_asprintf(cli->ctx, "%s/%s.%d/log", cli->config->executor.run_dir, execution->text,
                                 log->attempt);
    return open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

static struct blob_store *open_blobs(struct cli *cli)
{
    struct blob_store *blobs = blob_store_open_existing(cli->ctx, cli->config);
    if (!blobs)
        cli_fail(cli, "the folder files.dir cannot be used: %s", cli->config->files.dir);
    return blobs;
}

/* Prints what is new in the log. *more_r: the run has not ended. */
static int print_new_log(struct cli *cli, struct blob_store *blobs, const struct run_progress *run,
                         int64_t *offset, int *attempt, bool *more_r)
{
    struct execution_log log;
    enum err e = execution_log(cli->db, cli->ctx, &run->workspace_id, &run->execution_id, &log);
    if (e != OK)
        return cli_fail_err(cli, e, "reading the log");
    if (*attempt != log.attempt)
        *offset = 0;
    *attempt = log.attempt;
    *more_r = !state_is_terminal(log.state);
    int fd = open_run_log(cli, blobs, &run->execution_id, &log);
    bool ok = fd < 0 || print_from(fd, offset);
    if (fd >= 0)
        close(fd);
    else if (live_log_exists(&log) && (e = print_live(cli, &run->execution_id, offset)) != OK)
        return cli_fail_err(cli, e, "reading the log");
    if (!ok)
        return cli_fail(cli, "the log cannot be read: %s", strerror(errno));
    if (log.is_purged)
        return cli_fail(cli, "the run was purged; its log is no longer stored");
    return CLI_DONE;
}

int cmd_execution_logs(struct cli *cli, int argc, char **argv)
{
    const char *text;
    bool follow = false, more = false;
    const struct cli_option options[] = {{"follow", .flag_r = &follow}, {0}};
    struct run_progress run;
    int64_t offset = 0;
    int code, attempt = -1;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_find_execution(cli, text, &run, &code))
        return code;
    struct blob_store *blobs = open_blobs(cli);
    if (!blobs)
        return CLI_FAILED;
    do {
        code = print_new_log(cli, blobs, &run, &offset, &attempt, &more);
        if (fflush(stdout) != 0)
            return CLI_FAILED;
        if (code == CLI_DONE && follow && more)
            poll(NULL, 0, POLL_MS);
    } while (code == CLI_DONE && follow && more);
    return code;
}

/* --- artifacts --- */

static json_object *artifact_json(const struct artifact *a)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "path", a->relpath);
    cli_add_number(o, "size_bytes", a->blob.size);
    cli_add_text(o, "media_type", a->media_type);
    cli_add_text(o, "id", a->id.text);
    return o;
}

int cmd_execution_artifacts(struct cli *cli, int argc, char **argv)
{
    const char *text;
    const struct cli_option options[] = {{0}};
    struct run_progress run;
    struct artifact *list;
    size_t n;
    int code;
    if (!cli_parse(cli, argc, argv, options, &text, 1))
        return CLI_USAGE;
    if (!cli_find_execution(cli, text, &run, &code))
        return code;
    enum err e = artifact_list(cli->db, cli->ctx, &run.execution_id, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing the artifacts");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, artifact_json(&list[i]));
    return cli_print(cli, rows);
}

/* Returns the artifact with this id, path, or path below outputs/; NULL: none. */
static const struct artifact *find_artifact(const struct artifact *list, size_t n, const char *text)
{
    static const char outputs[] = "outputs/";
    for (size_t i = 0; i < n; i++) {
        const char *path = list[i].relpath;
        bool below = strncmp(path, outputs, sizeof outputs - 1) == 0;
        if (strcmp(list[i].id.text, text) == 0 || strcmp(path, text) == 0 ||
            (below && strcmp(path + sizeof outputs - 1, text) == 0))
            return &list[i];
    }
    return NULL;
}

/* Copies to the file, or to standard output if `path` is NULL. */
static int copy_artifact(struct cli *cli, int from, const char *path)
{
    FILE *out = path ? fopen(path, "we") : stdout;
    char *buffer = talloc_size(cli->ctx, CHUNK);
    ssize_t n = 0;
    if (!out)
        return cli_fail(cli, "cannot write %s: %s", path, strerror(errno));
    bool ok = true;
    while (ok && (n = read(from, buffer, CHUNK)) > 0)
        ok = fwrite(buffer, 1, (size_t)n, out) == (size_t)n;
    ok = ok && n == 0 && fflush(out) == 0;
    if (path)
        ok = fclose(out) == 0 && ok;
    return ok ? CLI_DONE : cli_fail(cli, "the artifact could not be copied: %s", strerror(errno));
}

int cmd_execution_artifact(struct cli *cli, int argc, char **argv)
{
    const char *texts[2], *path = NULL;
    const struct cli_option options[] = {{"output", .text_r = &path}, {0}};
    struct run_progress run;
    struct artifact *list;
    size_t n;
    int code;
    if (!cli_parse(cli, argc, argv, options, texts, 2))
        return CLI_USAGE;
    if (!cli_find_execution(cli, texts[0], &run, &code))
        return code;
    enum err e = artifact_list(cli->db, cli->ctx, &run.execution_id, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing the artifacts");
    const struct artifact *found = find_artifact(list, n, texts[1]);
    if (!found)
        return cli_fail(cli, "artifact not found: %s; `millrace execution artifacts %s` lists %zu", texts[1],
                        run.execution_id.text, n);
    struct blob_store *blobs = open_blobs(cli);
    int fd = -1;
    enum err read = blobs ? blob_read(cli->db, blobs, found->blob.sha256, &fd) : OK;
    if (read != OK && read != ERR_NOT_FOUND)
        return cli_fail_err(cli, read, "reading the artifact");
    if (fd < 0)
        return blobs ? cli_fail(cli, "the bytes of %s are not below files.dir (%s)", found->relpath,
                                cli->config->files.dir)
                     : CLI_FAILED;
    code = copy_artifact(cli, fd, path);
    close(fd);
    return code;
}
