#include "fcgi/forms/blob_reply.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

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

int blob_reply(struct request *r, const uint8_t sha256[BLOB_HASH], const char *media_type, const char *name)
{
    char path[BLOB_NAME + 1];
    blob_name(sha256, path);
    add_disposition(r, name);
    reply_header(r, "Cache-Control", "private, no-cache");
    (void)reply_internal(r, "/internal/blobs/%s", path);
    r->reply.type = file_media_type_fits(media_type) ? media_type : "application/octet-stream";
    return r->reply.status;
}
