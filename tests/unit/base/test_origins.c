#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "base/origins.h"

Test(origins, accepts_what_browsers_send)
{
    static const char *const good[] = {
        "",
        "  ",
        "*",
        " * ",
        "https://app.example.com",
        "http://localhost:3000",
        "http://127.0.0.1:8080, https://a.example",
        "https://[2001:db8::1]:8443",
        "http://[::1]",
        "chrome-extension://abcdefghijklmnop",
        "capacitor://localhost",
        "https://a.example:80",
        "https://xn--bcher-kva.example",
        "https://a.example:65535",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect_null(origins_problem(good[i]), "%s: %s", good[i], origins_problem(good[i]));
}

Test(origins, rejects_what_no_browser_sends)
{
    static const struct {
        const char *list, *problem;
    } bad[] = {
        {"https://a.example/", "no path"},
        {"https://a.example/app", "no path"},
        {"https://a.example?x", "no path"},
        {"a.example", "not an origin"},
        {"https://", "not an origin"},
        {"https:/a.example", "not an origin"},
        {"HTTPS://a.example", "not an origin"},
        {"https://A.example", "lower case"},
        {"https://*.example.com", "lower case"},
        {"https://user@a.example", "no path"},
        {"https://a.example\"; return 200", "no path"},
        {"https://[::1", "valid host"},
        {"https://[]", "valid host"},
        {"https://a.example:", "port"},
        {"https://a.example:0", "port"},
        {"https://a.example:65536", "port"},
        {"https://a.example:8x", "port"},
        {"https://a.example:443", "default port"},
        {"http://a.example:80", "default port"},
        {"null", "null"},
        {"https://a.example,", "empty element"},
        {",https://a.example", "empty element"},
        {"*,https://a.example", "stand alone"},
        {"https://a.example, *", "stand alone"},
        {"https://a.example https://b.example", "no path"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *problem = origins_problem(bad[i].list);
        cr_expect(problem && strstr(problem, bad[i].problem), "%s: %s", bad[i].list,
                  problem ? problem : "accepted");
    }
}

static void expect_maps(const char *list, const char *expected)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    origins_write_nginx(out, list);
    fclose(out);
    cr_expect_str_eq(text, expected, "%s", list);
    free(text);
}

Test(origins, writes_the_maps_of_nginx)
{
    expect_maps("", "map $http_origin $cors_origin {\n    default \"\";\n}\nmap \"\" $cors_vary {\n    "
                    "default \"\";\n}\n");
    expect_maps(" *", "map $http_origin $cors_origin {\n    default \"*\";\n}\nmap \"\" $cors_vary {\n    "
                      "default \"\";\n}\n");
    expect_maps(" https://a.example ,http://b:1", "map $http_origin $cors_origin {\n    default \"\";\n"
                                                  "    \"https://a.example\" \"https://a.example\";\n"
                                                  "    \"http://b:1\" \"http://b:1\";\n}\n"
                                                  "map \"\" $cors_vary {\n    default \"Origin\";\n}\n");
}
