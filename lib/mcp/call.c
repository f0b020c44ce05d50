#include "mcp/call.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"

char *mcp_hex(void *ctx, const char *json)
{
    size_t n = strlen(json);
    char *hex = talloc_size(ctx, 2 * n + 1);
    return sodium_bin2hex(hex, 2 * n + 1, (const unsigned char *)json, n);
}

const char *mcp_unhex(void *ctx, const char *hex, size_t size)
{
    size_t n;
    const char *why;
    json_object *value;
    char *json = talloc_size(ctx, size / 2 + 1);
    if (size == 0 || size > 2 * MCP_ID_MAX || size % 2 != 0 ||
        sodium_hex2bin((unsigned char *)json, size / 2, hex, size, NULL, &n, NULL) != 0 || n != size / 2 ||
        json_parse(ctx, json, n, 1, &value, &why) != OK)
        return NULL;
    if (!json_object_is_type(value, json_type_string) && !json_object_is_type(value, json_type_int))
        return NULL;
    return json_text(value, NULL);
}

char *mcp_event_id(void *ctx, const struct mcp_call *call)
{
    char *rpc_id = mcp_hex(ctx, call->rpc_id);
    char *token = call->token ? mcp_hex(ctx, call->token) : talloc_strdup(ctx, "");
    char *text = talloc_asprintf(ctx, "%s.%d.%d.%s.%s", call->execution.text, call->after, call->progress,
                                 rpc_id, token);
    talloc_free(rpc_id);
    talloc_free(token);
    return text;
}

/* Reads up to the next dot, and skips it. */
static bool take_part(const char **text, const char **part_r, size_t *size_r)
{
    const char *dot = strchr(*text, '.');
    if (!dot)
        return false;
    *part_r = *text;
    *size_r = (size_t)(dot - *text);
    *text = dot + 1;
    return true;
}

static bool read_count(const char *digits, size_t size, int *number_r)
{
    enum { DIGITS_MAX = 9 };
    *number_r = atoi(digits);
    return size > 0 && size <= DIGITS_MAX && strspn(digits, "0123456789") == size;
}

bool mcp_event_id_parse(void *ctx, const char *text, struct mcp_call *call_r)
{
    const char *run, *after, *progress, *rpc_id;
    size_t run_n, after_n, progress_n, rpc_id_n;
    *call_r = (struct mcp_call){0};
    if (strlen(text) > MCP_EVENT_ID_MAX || !take_part(&text, &run, &run_n) ||
        !take_part(&text, &after, &after_n) || !take_part(&text, &progress, &progress_n) ||
        !take_part(&text, &rpc_id, &rpc_id_n))
        return false;
    if (!id_parse(run, run_n, &call_r->execution) || !read_count(after, after_n, &call_r->after) ||
        !read_count(progress, progress_n, &call_r->progress))
        return false;
    call_r->rpc_id = mcp_unhex(ctx, rpc_id, rpc_id_n);
    call_r->token = *text ? mcp_unhex(ctx, text, strlen(text)) : NULL;
    return call_r->rpc_id && (call_r->token || !*text);
}
