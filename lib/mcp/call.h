/* A tools/call of the Model Context Protocol (Streamable HTTP) that started or follows a run, as its stream
 * knows it. The server keeps nothing about it: the id of each server-sent event names all that is needed to
 * continue the stream after it (GET /mcp with Last-Event-ID), on any host. */
#pragma once

#include <stdbool.h>

#include "base/ids.h"

enum {
    /* bytes of the JSON text of a request's id and of a progress token */
    MCP_ID_MAX = 256,
    /* bytes of the text of an event id: the run, two numbers, and both ids in hexadecimal */
    MCP_EVENT_ID_MAX = ID_LENGTH + 4 * MCP_ID_MAX + 32
};

struct mcp_call {
    id execution;
    /* number of the run's last event that the client knows; 0: none */
    int after;
    /* the `progress` of the last notification that was sent; 0: none */
    int progress;
    /* JSON texts, a string or an integer. `token`: the progress token; NULL: none was given */
    const char *rpc_id, *token;
};

/* The text of the event id, on ctx: visible ASCII without spaces. */
char *mcp_event_id(void *ctx, const struct mcp_call *call);
/* Reads such a text, which a client has sent. False if it is no event id. The texts are on ctx, and valid
 * JSON scalars. */
bool mcp_event_id_parse(void *ctx, const char *text, struct mcp_call *call_r);
/* The JSON text of an id or a token in hexadecimal, and back; the latter returns NULL if it is none. */
char *mcp_hex(void *ctx, const char *json);
const char *mcp_unhex(void *ctx, const char *hex, size_t size);
