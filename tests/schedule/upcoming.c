/* Prints the occurrences of cron expressions, for tests/schedule/compare.mjs. Each line of stdin is "EXPRESSION <tab>
 * ZONE <tab> after (Unix ms) <tab> count"; the answer is one line of "Unix ms:offset from UTC in ms". The first line
 * of the output is the version of the time zone database. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "schedule/timing.h"

/* The next tab-separated field. */
static char *field(char **rest)
{
    char *text = strsep(rest, "\t");
    if (!text)
        exit(2);
    return text;
}

static void answer(void *ctx, char *line)
{
    enum { DECIMAL = 10 };
    struct timing timing = {.kind = TIMING_CRON};
    const char *problem = cron_parse(ctx, field(&line), &timing.cron);
    timing.zone = zone_open(ctx, field(&line));
    int64_t at = strtoll(field(&line), NULL, DECIMAL);
    long count = strtol(field(&line), NULL, DECIMAL);
    if (problem || !timing.zone) {
        puts(problem ? problem : "unknown zone");
        return;
    }
    for (long i = 0; i < count && at != TIMING_NEVER; i++) {
        at = timing_next(&timing, at);
        if (at != TIMING_NEVER)
            printf("%s%lld:%lld", i ? " " : "", (long long)at, (long long)zone_offset_ms(timing.zone, at));
    }
    putchar('\n');
}

int main(void)
{
    char line[1024];
    puts(zone_database_version());
    while (fgets(line, sizeof line, stdin)) {
        void *ctx = talloc_new(NULL);
        line[strcspn(line, "\n")] = '\0';
        answer(ctx, line);
        talloc_free(ctx);
    }
    return 0;
}
