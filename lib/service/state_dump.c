#include "service/state_dump.h"

#include <dirent.h>
#include <stdio.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"

struct state_writer {
    void (*write)(void *arg);
    void *arg;
};

struct state_dump {
    int64_t started_ms; /* CLOCK_BOOTTIME */
    struct state_writer *writers;
    size_t n;
};

struct state_dump *state_dump_new(void *ctx)
{
    struct state_dump *dump = talloc_zero(ctx, struct state_dump);
    dump->started_ms = clock_boot_ms();
    return dump;
}

void state_dump_add(struct state_dump *dump, void (*write)(void *arg), void *arg)
{
    dump->writers = talloc_realloc(dump, dump->writers, struct state_writer, dump->n + 1);
    dump->writers[dump->n++] = (struct state_writer){write, arg};
}

/* Resident memory; -1: unknown. */
static long long resident_bytes(void)
{
    long long size, resident = -1;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f)
        return -1;
    if (fscanf(f, "%lld %lld", &size, &resident) == 2)
        resident *= sysconf(_SC_PAGESIZE);
    fclose(f);
    return resident;
}

/* Open file descriptors, without the one that counts them; -1: unknown. */
static int count_open_files(void)
{
    DIR *dir = opendir("/proc/self/fd");
    int n = 0;
    if (!dir)
        return -1;
    for (const struct dirent *entry; (entry = readdir(dir));)
        n += entry->d_name[0] != '.';
    closedir(dir);
    return n - 1;
}

void state_dump_write(struct state_dump *dump)
{
    state_log("state.process", "uptime_ms=%lld rss_bytes=%lld open_files=%d",
              (long long)(clock_boot_ms() - dump->started_ms), resident_bytes(), count_open_files());
    for (size_t i = 0; i < dump->n; i++)
        dump->writers[i].write(dump->writers[i].arg);
    state_log("state.end", "writers=%zu", dump->n);
}
