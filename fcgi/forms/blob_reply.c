#include "fcgi/forms/blob_reply.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "blob/blob_rows.h"
#include "fcgi/http/app.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"
#include "store/file.h"

/* Content-Disposition (RFC 6266) with the name twice: reduced to ASCII for old clients, and complete by RFC
 * 8187. */
static void add_disposition(struct request *r, const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._";
    size_t n = strlen(name);
    char *ascii = talloc_size(r, n + 1), *encoded = talloc_size(r, 3 * n + 1), *out = encoded;
    for (size_t i = 0; i <= n; i++) {
        ascii[i] = name[i];
        if (name[i] && (name[i] < 0x20 || name[i] > 0x7e || strchr("\"\\%", name[i])))
            ascii[i] = '_';
        if (name[i] && !strchr(plain, name[i]))
            out += snprintf(out, 4, "%%%02X", (unsigned char)name[i]);
        else
            *out++ = name[i];
    }
    reply_header(r, "Content-Disposition", "attachment; filename=\"%s\"; filename*=UTF-8''%s", ascii,
                 encoded);
}

/* Lets nginx get the object from the store. The signature goes to nginx in headers, which it passes to nobody
 * else. A signed URL would be written to its error log whenever the store fails. */
static void reply_object(struct request *r, const struct blob_id *blob)
{
    struct object_signed request;
    char key[BLOB_KEY + 1];
    blob_object_key(blob, key);
    object_sign_get(blob_store_objects(r->app->blobs), r, key, &request);
    reply_header(r, "X-Object-Host", "%s", request.host);
    reply_header(r, "X-Object-Date", "%s", request.date);
    reply_header(r, "X-Object-Authorization", "%s", request.authorization);
    (void)reply_internal(r, "/internal/objects%s", request.path);
}

int blob_reply(struct request *r, const uint8_t sha256[BLOB_HASH], const char *media_type, const char *name)
{
    char path[BLOB_NAME + 1];
    struct blob_id blob = {0};
    bool from_objects = r->app->blobs && blob_store_objects(r->app->blobs);
    memcpy(blob.sha256, sha256, BLOB_HASH);
    enum err e = from_objects ? blob_find_objects(r->app->db, r, &blob, 1) : OK;
    if (e != OK)
        return reply_err(r, e);
    blob_name(sha256, path);
    add_disposition(r, name);
    reply_header(r, "Cache-Control", "private, no-cache");
    if (id_is_set(&blob.object))
        reply_object(r, &blob);
    else
        (void)reply_internal(r, "/internal/blobs/%s", path);
    r->reply.type = file_media_type_fits(media_type) ? media_type : "application/octet-stream";
    return r->reply.status;
}
