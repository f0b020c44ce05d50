/* GET /executions/{id}/artifacts/{artifact}, GET /executions/{id}/logs */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "blob/blob_rows.h"
#include "fcgi/forms/blob_reply.h"
#include "fcgi/forms/wait.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/auth.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/artifact.h"
#include "store/live_log.h"

/* A log has at most 1 MiB (docs/skills.md). */
enum { LOG_RESPONSE_MAX = 2 * 1024 * 1024 };

int h_artifact_get(struct request *r)
{
    struct artifact found;
    id artifact;
    if (!request_path_id(r, 0, &r->execution_id) || !request_path_id(r, 1, &artifact))
        return reply_rejected(r);
    enum err e = artifact_get(r->app->db, r, &r->access.workspace_id, &r->execution_id, &artifact, &found);
    if (e != OK)
        return reply_err(r, e);
    const char *slash = strrchr(found.relpath, '/');
    return blob_reply(r, found.blob.sha256, found.media_type, slash ? slash + 1 : found.relpath);
}

/* The stored log; *fd_r is -1 if its bytes are nowhere. */
static enum err open_stored_log(struct request *r, const struct execution_log *log, int *fd_r)
{
    *fd_r = -1;
    enum err e =
        r->app->blobs ? blob_read(r->app->db, r->app->blobs, log->log.sha256, fd_r) : ERR_UNAVAILABLE;
    return e == ERR_NOT_FOUND ? OK : e;
}

/* Opens the stored log, or the log file of the current attempt while it runs or is in its grace period after
 * a stop: the executor makes that file readable for the API. *fd_r is -1 if there is no log. */
static enum err open_log(struct request *r, const struct execution_log *log, int *fd_r)
{
    *fd_r = -1;
    if (log->has_log && !log->is_purged)
        return open_stored_log(r, log, fd_r);
    if (!live_log_exists(log))
        return OK;
    char *path = talloc_asprintf(r, "%s/%s.%d/log", r->app->config->executor.run_dir, r->execution_id.text,
                                 log->attempt);
    *fd_r = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return OK;
}

/* As open_log(). The executor removes the file after it has written the row that names the stored log: if the
 * file is gone, the row is read once more. */
static enum err find_log(struct request *r, struct execution_log *log, int *fd_r)
{
    enum err e = open_log(r, log, fd_r);
    if (e != OK || *fd_r >= 0 || log->is_purged || log->has_log)
        return e;
    e = execution_log(r->app->db, r, &r->access.workspace_id, &r->execution_id, log);
    return e == OK ? open_log(r, log, fd_r) : e;
}

static int reply_log(struct request *r, const char *text, size_t size)
{
    reply_header(r, "X-Content-Type-Options", "nosniff");
    return reply_bytes(r, 200, "text/plain; charset=utf-8", text ? text : "", size);
}

static int reply_log_file(struct request *r, int fd, int64_t offset)
{
    char *text = talloc_size(r, LOG_RESPONSE_MAX);
    size_t size = 0;
    for (ssize_t n = 1; n > 0 && size<LOG_RESPONSE_MAX; size += n> 0 ? (size_t)n : 0)
        n = pread(fd, text + size, LOG_RESPONSE_MAX - size, offset + (off_t)size);
    close(fd);
    return reply_log(r, text, size);
}

/* The run is on another host, or has only just begun: what its events have of the log. */
static int reply_live_log(struct request *r, int64_t offset)
{
    char *text;
    size_t size;
    enum err e = live_log_read(r->app->db, r, &r->execution_id, offset, LOG_RESPONSE_MAX, &text, &size);
    return e == OK ? reply_log(r, text, size) : reply_err(r, e);
}

static bool is_ended(const struct execution_log *log)
{
    return log->is_purged || log->has_log || state_is_terminal(log->state);
}

/* Passes the request to the event daemon, which sends what the log's events hold until the run ends. */
static int follow_log(struct request *r)
{
    return reply_internal(r, "/internal/stream/log?execution=%s&workspace=%s&key=%s&after=0&streams=%lld",
                          r->execution_id.text, r->access.workspace_id.text, auth_credential(r)->text,
                          wait_streams_max(r));
}

int h_execution_logs(struct request *r)
{
    struct execution_log log;
    int64_t offset;
    bool follow;
    if (!request_path_id(r, 0, &r->execution_id) || !request_query_bool(r, "follow", &follow) ||
        !request_query_int(r, "offset", 0, INT64_C(1) << 40, 0, &offset))
        return reply_rejected(r);
    enum err e = execution_log(r->app->db, r, &r->access.workspace_id, &r->execution_id, &log);
    if (e != OK)
        return reply_err(r, e);
    if (follow && offset > 0)
        return reply_problem(r, 400, "invalid_request",
                             "offset cannot be given with follow, which begins at the start of the log.");
    if (follow && !is_ended(&log) && strcmp(r->method, "HEAD") != 0)
        return follow_log(r);
    int fd;
    e = find_log(r, &log, &fd);
    if (e != OK)
        return reply_err(r, e);
    if (fd >= 0)
        return reply_log_file(r, fd, offset);
    return live_log_exists(&log) ? reply_live_log(r, offset) : reply_log(r, NULL, 0);
}
