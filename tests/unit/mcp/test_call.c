#include <criterion/criterion.h>
#include <string.h>
#include <talloc.h>

#include "mcp/call.h"

#define RUN "0190a5d4-7c3a-7000-8000-000000000001"

Test(mcp_call, reads_the_event_ids_that_it_writes)
{
    static const struct mcp_call calls[] = {
        {{RUN}, 0, 0, "1", NULL},
        {{RUN}, 12, 7, "\"a.b \\u0000é\"", "-3"},
        {{RUN}, 999999999, 999999999, "\"\"", "\"t\""},
    };
    void *ctx = talloc_new(NULL);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct mcp_call read;
        const char *text = mcp_event_id(ctx, &calls[i]);
        cr_assert_eq(text[strcspn(text, " \r\n")], '\0');
        cr_assert(mcp_event_id_parse(ctx, text, &read), "%s", text);
        cr_assert(id_equal(&read.execution, &calls[i].execution));
        cr_assert_eq(read.after, calls[i].after);
        cr_assert_eq(read.progress, calls[i].progress);
        cr_assert_str_eq(read.rpc_id, calls[i].rpc_id);
        cr_assert_eq(read.token == NULL, calls[i].token == NULL);
    }
    talloc_free(ctx);
}

Test(mcp_call, rejects_other_event_ids)
{
    static const char *const texts[] = {
        "",
        ".",
        "....",
        RUN,
        RUN ".1.1.31",
        RUN ".1.1..",
        RUN "..1.31.",
        RUN ".1..31.",
        RUN ".-1.1.31.",
        RUN ".1.1x.31.",
        RUN ".1234567890.1.31.",
        RUN ".1.1.3.",
        RUN ".1.1.3g.",
        RUN ".1.1.7b7d.",
        RUN ".1.1.6e756c6c.",
        RUN ".1.1.312e35.",
        RUN ".1.1.2261.",
        RUN ".1.1.31.7b7d",
        RUN ".1.1.31.31.31",
        "x.1.1.31.",
        RUN ".1.1.31.\n",
    };
    void *ctx = talloc_new(NULL);
    struct mcp_call read;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_assert(!mcp_event_id_parse(ctx, texts[i], &read), "%s", texts[i]);
    char *zeros = talloc_zero_array(ctx, char, 5000);
    memset(zeros, '3', 4999);
    cr_assert(!mcp_event_id_parse(ctx, talloc_asprintf(ctx, RUN ".1.1.%s.", zeros), &read));
    talloc_free(ctx);
}
