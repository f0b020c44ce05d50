#include "base/memory_budget.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void memory_budget_init(struct memory_budget *b, size_t max)
{
    *b = (struct memory_budget){.max = max, .refused = SIZE_MAX};
    pthread_mutex_init(&b->lock, NULL);
}

/* With the lock held. */
static bool fits(const struct memory_budget *b, size_t bytes, size_t reserved)
{
    size_t max = bytes > MEMORY_SMALL_BYTES ? b->max - b->max / 4 : b->max;
    return b->used < max && bytes <= max - b->used && reserved <= max - b->used - bytes;
}

static bool may_enter(const struct memory_budget *b, size_t bytes)
{
    return fits(b, bytes, b->reserved) || (b->holders == 0 && b->reserved == 0);
}

static bool enter(struct memory_budget *b, size_t bytes)
{
    b->holders++;
    b->used += bytes;
    return true;
}

/* Releases the lock. */
static void unlock_after_return(struct memory_budget *b)
{
    bool room = b->on_room && b->refused != SIZE_MAX && may_enter(b, b->refused);
    if (room)
        b->refused = SIZE_MAX;
    pthread_mutex_unlock(&b->lock);
    if (room)
        b->on_room(b->arg);
}

bool memory_budget_admit(struct memory_budget *b, size_t bytes)
{
    if (!b)
        return true;
    pthread_mutex_lock(&b->lock);
    bool admitted = may_enter(b, bytes) && enter(b, bytes);
    if (!admitted && bytes < b->refused)
        b->refused = bytes;
    pthread_mutex_unlock(&b->lock);
    return admitted;
}

bool memory_budget_fit(struct memory_budget *b, size_t bytes)
{
    if (!b)
        return true;
    pthread_mutex_lock(&b->lock);
    bool admitted = fits(b, bytes, b->reserved) && enter(b, bytes);
    pthread_mutex_unlock(&b->lock);
    return admitted;
}

void memory_budget_leave(struct memory_budget *b, size_t bytes)
{
    memory_budget_suspend(b, bytes, 0);
}

void memory_budget_suspend(struct memory_budget *b, size_t held, size_t waiting)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->holders--;
    b->used = b->used - held + waiting;
    unlock_after_return(b);
}

bool memory_budget_resume(struct memory_budget *b, size_t waiting, size_t held)
{
    if (!b)
        return true;
    pthread_mutex_lock(&b->lock);
    size_t more = held > waiting ? held - waiting : 0;
    bool resumed = more == 0 || b->holders == 0 || fits(b, more, 0);
    b->reserved = resumed ? 0 : more;
    if (resumed) {
        b->holders++;
        b->used = b->used - waiting + held;
    }
    pthread_mutex_unlock(&b->lock);
    return resumed;
}

void memory_budget_unreserve(struct memory_budget *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->reserved = 0;
    unlock_after_return(b);
}

void memory_budget_add(struct memory_budget *b, size_t bytes)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->used += bytes;
    pthread_mutex_unlock(&b->lock);
}

void memory_budget_return(struct memory_budget *b, size_t bytes)
{
    if (!b)
        return;
    pthread_mutex_lock(&b->lock);
    b->used -= bytes;
    unlock_after_return(b);
}

size_t memory_budget_used(struct memory_budget *b)
{
    if (!b)
        return 0;
    pthread_mutex_lock(&b->lock);
    size_t used = b->used;
    pthread_mutex_unlock(&b->lock);
    return used;
}

bool memory_budget_is_scarce(struct memory_budget *b)
{
    return b && memory_budget_used(b) > b->max / 2;
}

/* --- the limit of the control group --- */

enum { GROUP_PATH_SIZE = 4096 };

/* SIZE_MAX: no such file, or no limit ("max", or a number of version 1 that no machine has). */
static size_t read_limit(const char *directory, const char *file)
{
    char path[GROUP_PATH_SIZE + 64];
    char text[32] = "";
    snprintf(path, sizeof path, "%s/%s", directory, file);
    FILE *f = fopen(path, "re");
    if (!f)
        return SIZE_MAX;
    bool read = fgets(text, sizeof text, f) != NULL;
    fclose(f);
    unsigned long long limit = read ? strtoull(text, NULL, 10) : 0;
    return limit == 0 || limit > (1ULL << 50) ? SIZE_MAX : (size_t)limit;
}

/* The lowest limit of `group` and of the groups above it, which are below `root`. */
static size_t lowest_limit(const char *root, const char *group, const char *file)
{
    char directory[GROUP_PATH_SIZE];
    size_t lowest = SIZE_MAX;
    int size = snprintf(directory, sizeof directory, "%s%s", root, group);
    if (size < 0 || (size_t)size >= sizeof directory)
        return SIZE_MAX;
    while (strlen(directory) >= strlen(root)) {
        size_t limit = read_limit(directory, file);
        lowest = limit < lowest ? limit : lowest;
        *strrchr(directory, '/') = '\0';
    }
    return lowest;
}

/* The limit that one line of /proc/self/cgroup leads to: "0::/group" of version 2, "N:memory:/group" of
 * version 1. */
static size_t limit_of_line(char *line)
{
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return SIZE_MAX;
    *group++ = '\0';
    group[strcspn(group, "\n")] = '\0';
    if (controllers[1] == '\0')
        return lowest_limit("/sys/fs/cgroup", group, "memory.max");
    if (strcmp(controllers + 1, "memory") == 0)
        return lowest_limit("/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    return SIZE_MAX;
}

size_t memory_limit_of_process(void)
{
    char line[GROUP_PATH_SIZE];
    size_t lowest = SIZE_MAX;
    FILE *f = fopen("/proc/self/cgroup", "re");
    while (f && fgets(line, sizeof line, f)) {
        size_t limit = limit_of_line(line);
        lowest = limit < lowest ? limit : lowest;
    }
    if (f)
        fclose(f);
    return lowest;
}
