#include "executor/io/egress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct network {
    int family;
    uint8_t bytes[16];
    int bits;
};

struct egress_policy {
    const char *setting;
    struct network *allowed;
    size_t allowed_n;
    /* within the addresses that are public otherwise */
    struct network *denied;
    size_t denied_n;
};

/* IPv4: all other addresses are public. 192.88.99.0/24 is the 6to4 relay anycast network. 168.63.129.16 is
 * the metadata and health service of one provider's virtual machines, reachable only from them. */
static const char denied_v4[] =
    "0.0.0.0/8,10.0.0.0/8,100.64.0.0/10,127.0.0.0/8,169.254.0.0/16,172.16.0.0/12,192.0.0.0/24,192.0.2.0/24,"
    "168.63.129.16/32,192.88.99.0/24,192.168.0.0/16,198.18.0.0/15,198.51.100.0/24,203.0.113.0/24,224.0.0.0/"
    "4,240.0.0.0/4";
/* IPv6: only 2000::/3 is public. That excludes IPv4-mapped (::ffff:0:0/96), NAT64 (64:ff9b::/96,
 * 64:ff9b:1::/48), unique local, link-local and multicast addresses. The list holds networks within 2000::/3
 * that tunnel IPv4 (2001::/23 with Teredo, 2002::/16) or serve documentation. */
static const char denied_v6[] = "2001::/23,2001:db8::/32,2002::/16,3fff::/20";

static bool parse_network(const char *text, struct network *n)
{
    char copy[64];
    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text); /* NOLINT: the length was checked */
    char *slash = strchr(copy, '/');
    if (slash)
        *slash = '\0';
    n->family = strchr(copy, ':') ? AF_INET6 : AF_INET;
    int most = n->family == AF_INET ? 32 : 128;
    n->bits = most;
    if (slash) {
        char *end;
        long bits = strtol(slash + 1, &end, 10);
        if (end == slash + 1 || *end || bits < 0 || bits > most)
            return false;
        n->bits = (int)bits;
    }
    return inet_pton(n->family, copy, n->bytes) == 1;
}

static bool parse_networks(void *ctx, const char *list, struct network **networks_r, size_t *n_r,
                           const char **why_r)
{
    char *copy = talloc_strdup(ctx, list);
    char *rest = NULL;
    for (char *word = strtok_r(copy, ", \t", &rest); word; word = strtok_r(NULL, ", \t", &rest)) {
        *networks_r = talloc_realloc(ctx, *networks_r, struct network, *n_r + 1);
        if (!parse_network(word, &(*networks_r)[*n_r])) {
            *why_r = talloc_asprintf(ctx, "%s is not a network", word);
            return false;
        }
        (*n_r)++;
    }
    talloc_free(copy);
    return true;
}

static bool network_contains(const struct network *n, int family, const uint8_t *bytes)
{
    if (n->family != family)
        return false;
    int whole = n->bits / 8;
    if (memcmp(n->bytes, bytes, (size_t)whole) != 0)
        return false;
    int rest = n->bits % 8;
    return rest == 0 || (n->bytes[whole] ^ bytes[whole]) >> (8 - rest) == 0;
}

static bool any_network_contains(const struct network *list, size_t n, int family, const uint8_t *bytes)
{
    for (size_t i = 0; i < n; i++) {
        if (network_contains(&list[i], family, bytes))
            return true;
    }
    return false;
}

struct egress_policy *egress_policy_new(void *ctx, const char *setting, const char *allow, const char **why_r)
{
    struct egress_policy *policy = talloc_zero(ctx, struct egress_policy);
    policy->setting = talloc_strdup(policy, setting);
    if (!parse_networks(policy, denied_v4, &policy->denied, &policy->denied_n, why_r) ||
        !parse_networks(policy, denied_v6, &policy->denied, &policy->denied_n, why_r))
        return NULL;
    return parse_networks(policy, allow, &policy->allowed, &policy->allowed_n, why_r) ? policy : NULL;
}

bool egress_policy_allows(const struct egress_policy *policy, const struct sockaddr *address)
{
    const uint8_t *bytes;
    if (address->sa_family == AF_INET)
        bytes = (const uint8_t *)&((const struct sockaddr_in *)address)->sin_addr;
    else if (address->sa_family == AF_INET6)
        bytes = ((const struct sockaddr_in6 *)address)->sin6_addr.s6_addr;
    else
        return false;
    if (any_network_contains(policy->allowed, policy->allowed_n, address->sa_family, bytes))
        return true;
    if (address->sa_family == AF_INET6 && (bytes[0] & 0xe0) != 0x20)
        return false;
    return !any_network_contains(policy->denied, policy->denied_n, address->sa_family, bytes);
}

char *egress_denial(void *ctx, const struct egress_policy *policy, const struct sockaddr *address)
{
    char text[INET6_ADDRSTRLEN] = "unknown";
    if (address->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    else if (address->sa_family == AF_INET6)
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text);
    return talloc_asprintf(ctx, "the address is not public: %s; the setting %s does not list it", text,
                           policy->setting);
}
