/* Who may have an HTTP request in flight: so many in all, so many per destination host, and a share per
 * workspace. A request cannot be preempted, so one workspace bursts into what the others leave idle only up
 * to three quarters of all places; the last quarter is for workspaces below their minimum. Other requests
 * wait, and places that become free go to the workspaces in turn, within a workspace to its hosts in turn,
 * within a host in the order of arrival.
 *
 * Pure bookkeeping: no request is sent here. Loop thread only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/ids.h"
#include "base/share.h"

struct http_queue_limits {
    /* all at least 1 */
    size_t total, per_host, workspace_min;
    struct share_limit workspace_max;
    /* a larger minimum of a workspace */
    struct share_limit workspace_guaranteed;
};

struct http_queue;
struct http_place;

/* `on_free`: a place was given back while others wait; call http_queue_serve soon, not from within. */
struct http_queue *http_queue_new(void *ctx, const struct http_queue_limits *limits,
                                  void (*on_free)(void *arg), void *arg);

/* A place, of ctx, in the queue of this workspace and host. `start` is called by http_queue_serve when it is
 * granted. Freeing it leaves the queue, or gives the place back; it must be freed before the queue. */
struct http_place *http_place_new(void *ctx, struct http_queue *queue, const id *workspace, const char *host,
                                  void (*start)(void *arg), void *arg);
/* Grants what the limits allow. */
void http_queue_serve(struct http_queue *queue);

size_t http_queue_granted(const struct http_queue *queue);
size_t http_queue_granted_to(const struct http_queue *queue, const id *workspace);
size_t http_queue_waiting(const struct http_queue *queue);
