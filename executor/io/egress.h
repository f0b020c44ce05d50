/* Where an http step may connect to: public addresses, and the networks that the operator allows
 * (executor.outgoing_allow). Asked with the resolved address of every connection, redirects included, so that
 * no name and no notation gets around it. Sources: the IANA special-purpose address registries. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct outgoing;

/* `allow`: networks such as "10.1.0.0/16, fd00::/8", comma-separated. NULL where one is none: *why_r names
 * it. */
struct outgoing *outgoing_new(void *ctx, const char *allow, const char **why_r);
bool outgoing_allows(const struct outgoing *o, const struct sockaddr *address);
