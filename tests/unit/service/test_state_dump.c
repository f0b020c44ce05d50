#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "service/state_dump.h"

static void write_first(void *arg)
{
    state_log("state.first", "n=%d", *(int *)arg);
}

static void write_second(void *arg)
{
    log_info("other.event", "n=2");
    state_log("state.second", "n=2");
}

Test(state_dump, logs_all_writers_at_any_level)
{
    char path[] = "/tmp/state_dump.XXXXXX";
    char text[4096];
    int first = 1;
    void *ctx = talloc_new(NULL);
    struct state_dump *dump = state_dump_new(ctx);
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(log_open("test", path, LOG_LEVEL_ERROR), OK);
    state_dump_add(dump, write_first, &first);
    state_dump_add(dump, write_second, NULL);
    state_dump_write(dump);
    ssize_t n = read(fd, text, sizeof text - 1);
    cr_assert_gt(n, 0);
    text[n] = '\0';
    const char *process = strstr(text, "state.process uptime_ms=");
    const char *one = strstr(text, "state.first n=1\n");
    const char *two = strstr(text, "state.second n=2\n");
    const char *end = strstr(text, "state.end writers=2\n");
    cr_assert(process && one && two && end && process < one && one < two && two < end, "%s", text);
    cr_assert_null(strstr(text, "other.event"), "an ordinary line is subject to the level");
    cr_assert(strstr(text, " info test[") && !strstr(text, "=-1"), "%s", text);
    close(fd);
    unlink(path);
    talloc_free(ctx);
}
