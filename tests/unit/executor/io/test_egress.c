#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/un.h>
#include <talloc.h>

#include "executor/io/egress.h"

static bool policy_allows(const struct egress_policy *policy, const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
        return egress_policy_allows(policy, (struct sockaddr *)&v4);
    cr_assert_eq(inet_pton(AF_INET6, text, &v6.sin6_addr), 1, "%s", text);
    return egress_policy_allows(policy, (struct sockaddr *)&v6);
}

Test(egress_policy, allows_only_public_addresses)
{
    static const char *const denied[] = {
        "0.0.0.0",
        "10.0.0.1",
        "100.64.0.1",
        "100.127.255.255",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.1",
        "192.0.2.1",
        "192.168.255.255",
        "198.18.0.1",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.9",
        "224.0.0.1",
        "239.1.1.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:8.8.8.8",
        "::ffff:127.0.0.1",
        "64:ff9b::808:808",
        "64:ff9b:1::1",
        "100::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::",
        "3fff::1",
    };
    static const char *const allowed[] = {"1.1.1.1",     "9.255.255.255", "11.0.0.0",   "100.63.255.255",
                                          "100.128.0.0", "172.15.0.1",    "172.32.0.1", "192.0.1.1",
                                          "192.167.1.1", "198.17.1.1",    "198.20.1.1", "223.255.255.1",
                                          "2000::1",     "2606:4700::1",  "2a00::1",    "2001:4860::1"};
    void *ctx = talloc_new(NULL);
    const char *why = NULL;
    struct egress_policy *policy = egress_policy_new(ctx, "executor.outgoing_allow", "", &why);
    cr_assert_not_null(policy);
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++)
        cr_expect_not(policy_allows(policy, denied[i]), "%s", denied[i]);
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        cr_expect(policy_allows(policy, allowed[i]), "%s", allowed[i]);
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    cr_expect_not(egress_policy_allows(policy, (struct sockaddr *)&path));
    talloc_free(ctx);
}

Test(egress_policy, honours_operator_exceptions)
{
    void *ctx = talloc_new(NULL);
    const char *why = NULL;
    struct egress_policy *policy = egress_policy_new(
        ctx, "executor.outgoing_allow", "10.1.0.0/16, 192.168.7.9 fd00:1::/33,127.0.0.0/9", &why);
    cr_assert_not_null(policy, "%s", why);
    static const struct {
        const char *address;
        bool allowed;
    } cases[] = {{"10.1.255.255", true},    {"10.2.0.0", false},     {"192.168.7.9", true},
                 {"192.168.7.8", false},    {"fd00:1:7fff::", true}, {"fd00:1:8000::", false},
                 {"127.127.255.1", true},   {"127.128.0.1", false},  {"::ffff:127.0.0.1", false},
                 {"::ffff:10.1.0.1", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(policy_allows(policy, cases[i].address), cases[i].allowed, "%s", cases[i].address);
    talloc_free(ctx);
}

Test(egress_policy, rejects_invalid_networks)
{
    static const char *const bad[] = {"10.0.0.0/33", "10.0.0/8",    "fd00::/129",
                                      "10.0.0.0/",   "10.0.0.0/-1", "localhost",
                                      "10.0.0.0/8x", "1.2.3.4,x",   "10.0.0.0/8 /8"};
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *why = NULL;
        cr_expect_null(egress_policy_new(ctx, "executor.outgoing_allow", bad[i], &why), "%s", bad[i]);
        cr_expect_not_null(why, "%s", bad[i]);
    }
    talloc_free(ctx);
}

Test(egress_policy, denial_names_the_address_and_the_setting)
{
    void *ctx = talloc_new(NULL);
    const char *why = NULL;
    struct egress_policy *policy = egress_policy_new(ctx, "executor.models_allow", "", &why);
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    inet_pton(AF_INET, "10.1.2.3", &v4.sin_addr);
    inet_pton(AF_INET6, "fd00::1", &v6.sin6_addr);
    cr_expect_str_eq(
        egress_denial(ctx, policy, (struct sockaddr *)&v4),
        "the address is not public: 10.1.2.3; the setting executor.models_allow does not list it");
    cr_expect_not_null(strstr(egress_denial(ctx, policy, (struct sockaddr *)&v6), ": fd00::1; "));
    talloc_free(ctx);
}
