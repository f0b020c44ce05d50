/* The requests of nginx to the event daemon. They come only from nginx's internal locations, after the API
 * has authenticated the client and checked the parameters. The API writes the query into X-Accel-Redirect:
 *
 *   GET /internal/stream/events?execution=ID&workspace=ID&key=ID&after=N&streams=N
 *   GET /internal/stream/log?…, with the same parameters as for events
 *   GET
 * /internal/stream/feed?workspace=ID&key=ID&after=N&missed=0|1&states=BITS&responders=ID,ID…&tag=HEX&gzip=0|1&summary=0|1&begin=0|1&streams=N
 *   GET /internal/stream/wait?execution=ID&workspace=ID&seconds=N&streams=N…
 *   GET
 * /internal/stream/call?execution=ID&workspace=ID&key=ID&after=N&progress=N&rpc=HEX&token=HEX&prime=0|1&seconds=N&streams=N
 *   GET
 * /internal/stream/executor-log?workspace=OPERATOR&key=ID&after=MS-SEQ|new|all&level=N&of=[ID]&run=[ID]&text=HEX&gzip=0|1&streams=N
 *
 * And one of the API's own workers, for GET /metrics, which nginx passes to nobody:
 *
 *   GET /internal/stream/gauges?
 *
 * Pure: parses the head of a request. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "redis/log_stream.h"

enum {
    INTERNAL_REQUEST_HEAD_MAX = 8 * 1024,
    INTERNAL_REQUEST_QUERY_MAX = 2048,
    INTERNAL_REQUEST_RESPONDERS_MAX = 16,
    INTERNAL_REQUEST_TAG_MAX = 256,
    INTERNAL_REQUEST_WAIT_MAX_S = 60,
    INTERNAL_REQUEST_CALL_MAX_S = 86400,
    INTERNAL_REQUEST_RPC_MAX = 256,
    INTERNAL_REQUEST_ID_MAX = 64,
    INTERNAL_REQUEST_LOG_TEXT_MAX = 200
};

struct internal_request {
    enum {
        INTERNAL_REQUEST_EVENTS = 1,
        INTERNAL_REQUEST_WAIT,
        INTERNAL_REQUEST_FEED,
        INTERNAL_REQUEST_CALL,
        INTERNAL_REQUEST_GAUGES,
        INTERNAL_REQUEST_EXECUTOR_LOG
    } kind;
    id execution, workspace, key;
    /* events: the text of the log is wanted */
    bool as_log;
    /* events, call: number of the last event that the client has */
    int after;
    /* streams and waits that the workspace may have open; INT_MAX if absent, as from an API of an older
     * release */
    int streams;
    /* feed: continues after this id; `missed`: there were ids between that one and the client's */
    int64_t feed_after;
    int missed;
    /* feed, executor log: the client accepts gzip. Feed: it wants numbers of ends; it has no id and wants
     * what ends from now on, `feed_after` being for a daemon that does not know this. 0 if absent, as from an
     * API of an older release */
    int gzip, summary, begin;
    /* feed: bits 1 << state of the ends that are wanted; the responders, none: all; a tag, "": any */
    int states;
    id responders[INTERNAL_REQUEST_RESPONDERS_MAX];
    size_t responders_n;
    char tag[INTERNAL_REQUEST_TAG_MAX + 1];
    /* call: JSON texts of the request's id and of the progress token, "": none; the last progress that was
     * sent; the client understands an event that only tells an id */
    char rpc_id[INTERNAL_REQUEST_RPC_MAX + 1], token[INTERNAL_REQUEST_RPC_MAX + 1];
    int progress, prime;
    /* executor log: continues after this position; without one (log_from_start: at the first line that is
     * kept) with the newest lines. Filters: the lowest level, a workspace and an execution (unset: all), and
     * a text ("": any). `workspace` is the operator, by whom the streams are counted */
    struct log_position log_after;
    bool log_has_position, log_from_start;
    int level;
    id log_workspace, log_execution;
    char log_text[INTERNAL_REQUEST_LOG_TEXT_MAX + 1];
    /* wait, call: seconds until it is answered without an end */
    int seconds;
    /* the query as received */
    char query[INTERNAL_REQUEST_QUERY_MAX + 1];
    /* request id of the client's request; "" if absent */
    char request_id[INTERNAL_REQUEST_ID_MAX + 1];
};

/* Parses `head`, which ends with the empty line. False if the request is invalid or not one of those above.
 */
bool internal_request_parse(const char *head, size_t size, struct internal_request *request_r);
