/* Where an http step may connect to: public addresses, and the networks that the operator allows
 * (executor.outgoing_allow). Asked with the resolved address of every connection, redirects included, so that
 * no name and no notation gets around it. Sources: the IANA special-purpose address registries. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct egress_policy;

/* `allow`: networks such as "10.1.0.0/16, fd00::/8", comma-separated. NULL where one is none: *why_r names
 * it. */
struct egress_policy *egress_policy_new(void *ctx, const char *allow, const char **why_r);
bool egress_policy_allows(const struct egress_policy *policy, const struct sockaddr *address);
