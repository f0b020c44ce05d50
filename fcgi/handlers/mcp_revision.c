#include "fcgi/handlers/mcp_revision.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/reply.h"
#include "fcgi/http/request.h"

/* Members of `_meta`. */
#define META_VERSION "io.modelcontextprotocol/protocolVersion"
#define META_CAPABILITIES "io.modelcontextprotocol/clientCapabilities"

static const char stateless[] = "2026-07-28";
/* With sessions; the first one is offered to clients that ask for another. Batches of 2025-03-26 are
 * rejected. */
static const char *const versions[] = {"2025-11-25", "2025-06-18", "2025-03-26"};

static bool has_sessions(const char *version)
{
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++) {
        if (strcmp(version, versions[i]) == 0)
            return true;
    }
    return false;
}

const char *mcp_initialize_version(const char *asked)
{
    return has_sessions(asked) ? asked : versions[0];
}

static const char *header_version(const struct request *r)
{
    return request_param(r, "HTTP_MCP_PROTOCOL_VERSION");
}

bool mcp_header_is_stateless(const struct request *r)
{
    const char *version = header_version(r);
    return version && strcmp(version, stateless) == 0;
}

void mcp_write_versions(struct json_write *w)
{
    json_write_open(w, '[');
    json_write_bytes(w, stateless, sizeof stateless - 1);
    for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
        json_write_bytes(w, versions[i], strlen(versions[i]));
    json_write_close(w, ']');
}

static enum mcp_era reject_version(struct request *r, const struct rpc *rpc, const char *asked)
{
    struct json_write *w = json_write_new(r);
    json_write_open(w, '{');
    json_write_key(w, "supported");
    mcp_write_versions(w);
    json_write_text(w, "requested", reply_text(r, asked));
    json_write_close(w, '}');
    const char *body = mcp_error(r, rpc->id, MCP_UNSUPPORTED_VERSION, "Unsupported protocol version",
                                 json_write_result(w, NULL));
    reply_json(r, 400, body, strlen(body));
    return MCP_ERA_REJECTED;
}

/* The value of a header that may be encoded as =?base64?…?=, on ctx; NULL: it is not valid. */
static const char *decoded_header(void *ctx, const char *value)
{
    static const char begin[] = "=?base64?", end[] = "?=";
    size_t n = strlen(value), size;
    const char *last;
    if (n < sizeof begin + sizeof end - 2 || strncmp(value, begin, sizeof begin - 1) != 0 ||
        strcmp(value + n - (sizeof end - 1), end) != 0)
        return value;
    const char *text = value + sizeof begin - 1;
    n -= sizeof begin + sizeof end - 2;
    char *plain = talloc_size(ctx, n + 1);
    if (sodium_base642bin((unsigned char *)plain, n, text, n, NULL, &size, &last,
                          sodium_base64_VARIANT_ORIGINAL) != 0 ||
        last != text + n || memchr(plain, '\0', size))
        return NULL;
    plain[size] = '\0';
    return plain;
}

/* True if the header of this CGI name repeats the member. */
static bool header_repeats(struct request *r, const char *header, const char *member)
{
    const char *value = request_param(r, header);
    const char *plain = value ? decoded_header(r, value) : NULL;
    return plain && strcmp(plain, member) == 0;
}

static const char *header_mismatch(struct request *r, const struct rpc *rpc, const char *version)
{
    const char *name = json_get_text(rpc->params, "name");
    const char *header = header_version(r), *method = request_param(r, "HTTP_MCP_METHOD");
    if (!header || strcmp(header, version) != 0)
        return "MCP-Protocol-Version";
    if (!method || strcmp(method, rpc->method) != 0)
        return "Mcp-Method";
    if (strcmp(rpc->method, "tools/call") == 0 && name && !header_repeats(r, "HTTP_MCP_NAME", name))
        return "Mcp-Name";
    return NULL;
}

static enum mcp_era check_stateless(struct request *r, const struct rpc *rpc, const char *version)
{
    if (!rpc->id)
        return MCP_ERA_STATELESS; /* the revision asks nothing of notifications */
    if (!version ||
        !json_object_is_type(json_get(json_get(rpc->params, "_meta"), META_CAPABILITIES), json_type_object)) {
        rpc_reply_error(r, 400, rpc, MCP_INVALID_PARAMS, "%s in _meta is required: %s.",
                        version ? META_CAPABILITIES : META_VERSION, version ? "an object" : "a string");
        return MCP_ERA_REJECTED;
    }
    const char *header = header_mismatch(r, rpc, version);
    if (!header)
        return MCP_ERA_STATELESS;
    rpc_reply_error(r, 400, rpc, MCP_HEADER_MISMATCH,
                    "Header mismatch: %s is missing or differs from the body.", header);
    return MCP_ERA_REJECTED;
}

enum mcp_era mcp_read_era(struct request *r, const struct rpc *rpc)
{
    const char *header = header_version(r);
    const char *named = json_get_text(json_get(rpc->params, "_meta"), META_VERSION);
    if (header && !has_sessions(header) && strcmp(header, stateless) != 0)
        return reject_version(r, rpc, header);
    if (named && !has_sessions(named) && strcmp(named, stateless) != 0)
        return reject_version(r, rpc, named);
    if (mcp_header_is_stateless(r) || (named && strcmp(named, stateless) == 0))
        return check_stateless(r, rpc, named);
    return MCP_ERA_SESSION;
}
