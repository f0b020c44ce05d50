#include "fcgi/shared/shared.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "base/log.h"
#include "store/key.h"

/* The kernel provides the pages on first use, so unused entries cost nothing. */
enum { CACHE_ENTRIES = 4096 };

static void *map_shared_memory(size_t bytes)
{
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        return memory;
    log_error("pool.mmap_failed", "bytes=%zu message=\"%s\"", bytes, strerror(errno));
    return NULL;
}

static struct shared_cache *new_shared_cache(size_t key_size, size_t value_size)
{
    void *memory = map_shared_memory(shared_cache_size(CACHE_ENTRIES, key_size, value_size));
    return memory ? shared_cache_init(memory, CACHE_ENTRIES, key_size, value_size) : NULL;
}

struct fcgi_shared *fcgi_shared_new(size_t cached_key_size, size_t cached_version_size)
{
    struct fcgi_shared *s = map_shared_memory(sizeof *s);
    void *group = map_shared_memory(accept_group_size(ACCEPT_GROUP_WORKERS_MAX));
    if (!s || !group)
        return NULL;
    s->keys = new_shared_cache(API_KEY_HASH_SIZE, cached_key_size);
    s->unknown_keys = new_shared_cache(API_KEY_HASH_SIZE, sizeof(int64_t));
    s->workflows = new_shared_cache(sizeof(id), cached_version_size);
    if (!s->keys || !s->unknown_keys || !s->workflows)
        return NULL;
    s->slow.processors = (unsigned)get_nprocs();
    address_limit_init(&s->unknown_key_limit);
    rate_area_init(&s->rate);
    s->accept_group = accept_group_init(group, ACCEPT_GROUP_WORKERS_MAX);
    return s;
}
