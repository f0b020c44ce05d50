#include <criterion/criterion.h>
#include <string.h>

#include "fcgi/handlers/stream_gauges.h"

static bool parse(const char *answer, struct stream_gauges *g)
{
    return stream_gauges_parse(answer, strlen(answer), g);
}

Test(stream_gauges, reads_an_answer)
{
    struct stream_gauges g;
    cr_assert(parse(
        "HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\nevents 1\ncalls 2\nfeeds 3\nwaits 4\nmax 20000\n", &g));
    cr_assert(g.events == 1 && g.calls == 2 && g.feeds == 3 && g.waits == 4 && g.max == 20000);
}

Test(stream_gauges, rejects_other_answers)
{
    struct stream_gauges g;
    cr_assert_not(parse("", &g));
    cr_assert_not(parse("HTTP/1.1 200 OK\r\n\r\n", &g));
    cr_assert_not(parse("HTTP/1.1 200 OK\r\n\r\nevents 1\ncalls 2\n", &g));
    cr_assert_not(
        parse("HTTP/1.1 500 Internal Server Error\r\n\r\nevents 1\ncalls 2\nfeeds 3\nwaits 4\nmax 5\n", &g));
    cr_assert_not(stream_gauges_read("/nonexistent/s", &g));
}
