#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "fcgi/http/request.h"
#include "fcgi/server/routes.h"

static struct request *find_route(const char *method, const char *uri)
{
    static char texts[2][1024];
    static char *params[3] = {texts[0], texts[1], NULL};
    bool ok;
    snprintf(texts[0], sizeof texts[0], "REQUEST_METHOD=%s", method);
    snprintf(texts[1], sizeof texts[1], "REQUEST_URI=%s", uri);
    struct request *r = request_new(NULL, NULL, params, &ok);
    cr_assert(ok);
    r->route = route_find(r);
    return r;
}

Test(routes, finds_by_method_and_path)
{
    static const char *const cases[][3] = {
        {"GET", "/api/v1/executions", "/executions"},
        {"GET", "/v1/executions/", "/executions"},
        {"HEAD", "/api/v1/executions", "/executions"},
        {"GET", "/api-proxy/v1/executions/x", "/executions/{id}"},
        {"POST", "/api/v1/executions/x/stop", "/executions/{id}/stop"},
        {"POST", "/api/v1/workflows/x/run-async", "/workflows/{id}/run-async"},
        {"GET", "/healthz", "/healthz"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = find_route(cases[i][0], cases[i][1]);
        cr_assert_not_null(r->route, "%s", cases[i][1]);
        cr_expect_str_eq(r->route->path, cases[i][2]);
    }
    cr_assert_str_eq(find_route("GET", "/api/v1/executions/a%2Fb")->path_values[0], "a/b");
}

Test(routes, distinguishes_404_from_405)
{
    static const struct {
        const char *method, *uri;
        int status;
    } cases[] = {
        {"GET", "/api/v1", 404},
        {"GET", "/api/v1/nothing", 404},
        {"GET", "/executions", 404},
        {"GET", "/api/v1/healthz", 404},
        {"GET", "/api/v1/executions//stop", 404},
        {"GET", "/api/v1//executions", 404},
        {"GET", "/api/v1/executions/x/y", 404},
        {"GET", "/api/v1/Executions", 404},
        {"GET", "/api/v1/executions/x/sto", 404},
        {"POST", "/api/v1/executions", 405},
        {"GET", "/api/v1/executions/x/stop", 405},
        {"get", "/api/v1/executions", 405},
        {"", "/api/v1/executions", 405},
        {"GET", "/api/v1/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a", 404},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct request *r = find_route(cases[i].method, cases[i].uri);
        cr_expect_null(r->route);
        cr_expect_eq(r->reply.status, cases[i].status, "%s %s", cases[i].method, cases[i].uri);
    }
}

Test(routes, allow_names_every_method)
{
    struct request *r = find_route("PATCH", "/api/v1/workflows/x");
    cr_assert_str_eq(r->reply.headers, "Allow: GET, HEAD, PUT, DELETE\r\n");
}

/* A {…} segment must not shadow a literal path that stands after it in the table. */
Test(routes, every_route_finds_itself)
{
    unsigned n;
    const char *const *names = route_names(&n);
    for (unsigned i = 0; i + 1 < n; i++) {
        char method[16], path[128], uri[256];
        cr_assert_eq(sscanf(names[i], "%15s %127s", method, path), 2);
        snprintf(uri, sizeof uri, "/api/v1%s", path);
        struct request *r = find_route(method, uri);
        if (!r->route)
            r = find_route(method, path);
        cr_assert_not_null(r->route, "%s", names[i]);
        cr_expect_eq(route_index(r), i, "%s is shadowed by %s", names[i], r->route->path);
    }
}
