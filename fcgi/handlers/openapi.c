/* GET /openapi.json: docs/openapi.json, which is embedded in the program */
#include <string.h>

#include "base/blobs.h"
#include "fcgi/handlers/handlers.h"
#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

int h_openapi(struct request *r)
{
    const struct blob *b = blobs;
    while (b->name && strcmp(b->name, "docs/openapi.json") != 0)
        b++;
    return b->name ? reply_json(r, 200, b->text, b->size) : reply_not_found(r);
}
