/* GET /files, POST /files (multipart), GET and DELETE /files/{name} */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/clock.h"
#include "fcgi/forms/blob_reply.h"
#include "fcgi/forms/page.h"
#include "fcgi/forms/quota_reply.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/app.h"
#include "fcgi/http/multipart.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "fcgi/http/request_body.h"
#include "fcgi/http/slow.h"
#include "store/file.h"
#include "json/json_write.h"

enum { PARTS_MAX = 1000, CHUNK_MAX = 64 * 1024 };

struct upload {
    struct request *request;
    /* One entry per name: a later file replaces an earlier one of the same name. */
    struct file *files;
    struct blob_writer **writers;
    size_t files_n;
    /* All names in the order of the parts, with duplicates. */
    const char **names;
    size_t names_n;
    /* Of the part that is being received. */
    struct blob_writer *writer;
    struct file file;
    int64_t bytes;
    /* Of the principal's files before this upload, and of those that the received parts replace; the latter
     * as of `replaced_n` parts. */
    int64_t used_bytes, replaced_bytes;
    size_t replaced_n;
    struct quota_excess excess;
};

static bool reject_too_large(struct upload *u, const char *what, int64_t max)
{
    reply_problem(u->request, 413, "body_too_large", "%s at most %lld bytes.", what, (long long)max);
    return false;
}

static bool upload_on_part(void *arg, const struct multipart_part *part)
{
    struct upload *u = arg;
    const char *name = part->filename ? file_basename(u->request, part->filename) : NULL;
    if (strcmp(part->name, "files") != 0)
        reply_problem(u->request, 400, "invalid_request",
                      "Unknown multipart field: %s; use the field \"files\".", part->name);
    else if (!name)
        reply_problem(u->request, 400, "invalid_request",
                      "A file must have a name in UTF-8 of at most %d bytes without control characters.",
                      FILE_NAME_BYTES_MAX);
    else if (u->names_n == PARTS_MAX)
        reply_problem(u->request, 413, "body_too_large", "A request may upload at most %d files.", PARTS_MAX);
    else if (!(u->writer = blob_writer_new(u->request, u->request->app->blobs)))
        reply_err(u->request, ERR_INTERNAL);
    if (!u->writer)
        return false;
    bool typed = part->type && file_media_type_fits(part->type);
    u->file = (struct file){
        .name = name,
        .media_type = talloc_strdup(u->request, typed ? part->type : "application/octet-stream"),
        .created_ms = clock_wall_ms(),
    };
    return true;
}

/* The bytes of the files that the parts received so far replace, also the current one. */
static enum err count_replaced_bytes(struct upload *u)
{
    struct request *r = u->request;
    struct file *list;
    size_t n;
    u->names[u->names_n] = u->file.name;
    enum err e = file_find(r->app->db, r, &r->access.workspace_id, &r->access.principal_id, u->names,
                           u->names_n + 1, &list, &n);
    u->replaced_bytes = 0;
    for (size_t i = 0; e == OK && i < n; i++)
        u->replaced_bytes += list[i].blob.size;
    u->replaced_n = u->names_n + 1;
    return e;
}

/* Whether the principal's files would exceed their limit. Names are looked up only where that may be so, once
 * per part. */
static bool exceeds_collection(struct upload *u)
{
    int64_t max = u->request->app->config->files.principal_max_bytes;
    if (u->used_bytes + u->bytes - u->replaced_bytes <= max)
        return false;
    if (u->replaced_n != u->names_n + 1 && count_replaced_bytes(u) != OK)
        return false; /* judged again when the files are stored */
    return u->bytes > max || u->used_bytes + u->bytes - u->replaced_bytes > max;
}

static bool upload_on_data(void *arg, const char *bytes, size_t size)
{
    struct upload *u = arg;
    const struct config *c = u->request->app->config;
    u->bytes += (int64_t)size;
    if (blob_written(u->writer) + (int64_t)size > c->files.file_max_bytes)
        return reject_too_large(u, "A file may have", c->files.file_max_bytes);
    if (exceeds_collection(u))
        return reject_too_large(u, "All files together may have", c->files.principal_max_bytes);
    enum err e = blob_write(u->writer, bytes, size);
    if (e == ERR_LIMIT)
        reply_err(u->request, ERR_UNAVAILABLE);
    else if (e != OK)
        reply_err(u->request, e);
    return e == OK;
}

static bool upload_on_end(void *arg)
{
    struct upload *u = arg;
    size_t i = 0;
    enum err e = blob_finish(u->writer, &u->file.blob);
    if (e != OK) {
        reply_err(u->request, e == ERR_LIMIT ? ERR_UNAVAILABLE : e);
        return false;
    }
    while (i < u->files_n && strcmp(u->files[i].name, u->file.name) != 0)
        i++;
    if (i == u->files_n)
        u->files_n++;
    else
        talloc_free(u->writers[i]);
    u->files[i] = u->file;
    u->writers[i] = u->writer;
    u->names[u->names_n++] = u->file.name;
    u->writer = NULL;
    return true;
}

static bool receive_upload(struct upload *u)
{
    const struct multipart_events events = {
        .part = upload_on_part, .data = upload_on_data, .end = upload_on_end, .arg = u};
    const char *type = request_param(u->request, "CONTENT_TYPE");
    const char *boundary = type ? multipart_boundary(u->request, type) : NULL;
    if (!boundary) {
        reply_problem(u->request, 415, "unsupported_media_type",
                      "Upload files as multipart/form-data with a boundary.");
        return false;
    }
    if (!request_charset_is_utf8(u->request))
        return false;
    struct multipart *m = multipart_new(u->request, boundary, &events);
    char *chunk = talloc_size(u->request, CHUNK_MAX);
    enum err e = OK;
    ssize_t n = 1;
    while (e == OK && (n = request_read_chunk(u->request, chunk, CHUNK_MAX)) > 0)
        e = multipart_feed(m, chunk, (size_t)n);
    if (n < 0)
        return false;
    if (e == OK)
        e = multipart_finish(m);
    if (e == ERR_INVALID)
        reply_problem(u->request, 400, "invalid_request", "Malformed multipart body: %s.", multipart_why(m));
    return e == OK;
}

/* Publishes the blobs, then writes their rows. Blobs whose rows were refused are removed later. */
static enum err store_upload(struct upload *u)
{
    struct app *app = u->request->app;
    enum err e = OK;
    for (size_t i = 0; e == OK && i < u->files_n; i++)
        e = blob_publish(u->writers[i]);
    if (e == OK)
        e = file_put_all(app->db, u->request, &u->request->access.workspace_id,
                         &u->request->access.principal_id, u->files, u->files_n, app->config, &u->excess);
    if (e != OK)
        file_discard(app->db, u->files, u->files_n);
    return e;
}

/* The overhead of a part: its headers and delimiter. */
enum { PART_OVERHEAD_MAX = MULTIPART_HEADERS_MAX + MULTIPART_BOUNDARY_MAX + 8 };

/* Judges the upload by its Content-Length before the body is read. How much of it replaces stored files is
 * not known yet. */
static bool check_announced_size(struct upload *u)
{
    struct request *r = u->request;
    const char *length = request_param(r, "CONTENT_LENGTH");
    int64_t max = r->app->config->files.principal_max_bytes;
    if (length && strtoll(length, NULL, 10) > max + (int64_t)PARTS_MAX * PART_OVERHEAD_MAX)
        return reject_too_large(u, "All files together may have", max);
    enum err e =
        file_used_bytes(r->app->db, r, &r->access.workspace_id, &r->access.principal_id, &u->used_bytes);
    if (e != OK)
        reply_err(r, e);
    return e == OK;
}

static int reply_source_ids(struct upload *u)
{
    struct json_write *w = json_write_new(u->request);
    json_write_open(w, '{');
    json_write_key(w, "source_ids");
    json_write_open(w, '[');
    for (size_t i = 0; i < u->names_n; i++)
        json_write_bytes(w, u->names[i], strlen(u->names[i]));
    json_write_close(w, ']');
    json_write_close(w, '}');
    return reply_written(u->request, 201, w);
}

/* The workers that uploads may occupy. */
static unsigned upload_workers(const struct app *app)
{
    return (unsigned)(app->admission ? app->config->api.workers : app->config->api.uploads_workers);
}

static int answer_upload(struct request *r)
{
    struct upload u = {.request = r};
    u.files = talloc_array(r, struct file, PARTS_MAX);
    u.writers = talloc_zero_array(r, struct blob_writer *, PARTS_MAX);
    u.names = talloc_array(r, const char *, PARTS_MAX + 1);
    if (!check_announced_size(&u) || !receive_upload(&u))
        return reply_rejected(r);
    if (u.files_n == 0)
        return reply_problem(r, 400, "invalid_request",
                             "No file uploaded; use the multipart field \"files\".");
    enum err e = store_upload(&u);
    if (e == ERR_LIMIT)
        return reply_problem(r, 413, "body_too_large", "All files together may have at most %lld bytes.",
                             (long long)r->app->config->files.principal_max_bytes);
    if (e == ERR_DENIED)
        return quota_reply(r, &u.excess);
    return e == OK ? reply_source_ids(&u) : reply_err(r, e);
}

int h_file_upload(struct request *r)
{
    struct upload_share *share = &r->app->shared->uploads;
    if (!r->app->blobs)
        return reply_err(r, ERR_UNAVAILABLE);
    if (!upload_share_begin(share, r->app->slot, &r->access.workspace_id, upload_workers(r->app),
                            request_share_limit(r, QUOTA_UPLOADS),
                            request_share_limit(r, QUOTA_UPLOADS_GUARANTEED))) {
        reply_header(r, "Retry-After", "1");
        return reply_problem(r, 429, "concurrency_limited",
                             "The workspace has as many uploads in progress as it may have.");
    }
    int status = answer_upload(r);
    upload_share_end(share, r->app->slot);
    return status;
}

/* --- stored files --- */

static void write_file_json(struct json_write *w, const struct file *f)
{
    json_write_open(w, '{');
    json_write_text(w, "name", f->name);
    json_write_int(w, "size_bytes", f->blob.size);
    json_write_text(w, "media_type", f->media_type);
    json_write_time(w, "created_at", f->created_ms, true);
    json_write_close(w, '}');
}

int h_file_list(struct request *r)
{
    const char *after = request_query(r, "after");
    struct file *list;
    int64_t limit;
    size_t n;
    if (!request_query_int(r, "limit", 1, FILES_LIST_MAX, FILES_LIST_MAX, &limit))
        return reply_rejected(r);
    enum err e = file_list(r->app->db, r, &r->access.workspace_id, &r->access.principal_id,
                           after ? after : "", limit + 1, &list, &n);
    if (e != OK)
        return reply_err(r, e);
    struct page page = page_begin(r, "files", n, limit);
    for (size_t i = 0; i < page.count; i++)
        write_file_json(page.w, &list[i]);
    return page_reply(r, &page, page.has_more ? list[page.count - 1].name : NULL);
}

int h_file_get(struct request *r)
{
    struct file file;
    enum err e =
        file_get(r->app->db, r, &r->access.workspace_id, &r->access.principal_id, r->path_values[0], &file);
    return e == OK ? blob_reply(r, file.blob.sha256, file.media_type, file.name) : reply_err(r, e);
}

int h_file_delete(struct request *r)
{
    const char *name = file_name_normal(r, r->path_values[0]);
    enum err e = file_delete(r->app->db, &r->access.workspace_id, &r->access.principal_id, name);
    return e == OK ? reply_empty(r, 204) : reply_err(r, e);
}
