/* How many streams and waits the event daemon of this host holds: asked through its socket, for GET /metrics.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct stream_gauges {
    /* streams of executions, calls of tools, feeds of workspaces, requests that wait; the limit of all
     * together */
    long long events, calls, feeds, waits, max;
};

/* Reads the daemon's answer. False if it is not one. */
bool stream_gauges_parse(const char *answer, size_t size, struct stream_gauges *g_r);
/* False if the daemon does not answer within a quarter of a second. */
bool stream_gauges_read(const char *socket_path, struct stream_gauges *g_r);
