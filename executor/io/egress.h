/* The egress policy: the addresses that an outgoing HTTP request may connect to. Public addresses are
 * allowed, and the networks that the operator allows (executor.outgoing_allow). The policy is checked with
 * the resolved address of every connection, redirects included, so that no host name and no notation of an
 * address bypasses it. An IPv4 address that is embedded in an IPv6 address (mapped, NAT64, 6to4, Teredo) is
 * rejected unless its IPv6 network is allowed.
 *
 * Source: the IANA special-purpose address registries (IPv4, IPv6). Immutable; thread-safe. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

struct egress_policy;

/* `setting`: the name of the setting that `allow` is, for egress_denial. `allow`: networks in CIDR notation
 * or single addresses, separated by commas or spaces: "10.1.0.0/16, fd00::/8". NULL if one is invalid:
 * *why_r, of ctx, names it. */
struct egress_policy *egress_policy_new(void *ctx, const char *setting, const char *allow,
                                        const char **why_r);
/* False for every family other than AF_INET and AF_INET6. */
bool egress_policy_allows(const struct egress_policy *policy, const struct sockaddr *address);
/* The sentence that tells why no connection to this address is made: it names the address and the setting. Of
 * ctx. */
char *egress_denial(void *ctx, const struct egress_policy *policy, const struct sockaddr *address);
