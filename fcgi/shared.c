#include "fcgi/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/log.h"

static void *map(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    log_error("pool.no_memory", "bytes=%zu message=\"%s\"", bytes, strerror(errno));
    return NULL;
}

struct fcgi_shared *fcgi_shared_new(void)
{
    struct fcgi_shared *s = map(sizeof *s);
    void *group = map(accept_group_size(ACCEPT_GROUP_WORKERS_MAX));
    if (!s || !group)
        return NULL;
    rate_area_init(&s->rate);
    s->accept_group = accept_group_init(group, ACCEPT_GROUP_WORKERS_MAX);
    return s;
}
