/* What is remembered of workflows: by the workers of a host together which version is current, for a second
 * (accepting a run verifies it under its lock anyway); by each worker compiled programs, which never change.
 * Bounded. */
#pragma once

#include "store/workflow.h"
#include "workflow/program_compile.h"

struct request;
struct workflow_cache;

struct compiled {
    struct program *program;
};

struct workflow_cache *workflow_cache_new(void *ctx);

struct workflow_cached_version {
    int64_t fetched_ms; /* boot time, before MariaDB was asked */
    int64_t credits, price, catalog_version;
    id workspace_id;
    int version;
};

/* A workflow of the key's workspace as it is now. `bypass_cache`: not from memory. */
enum err workflow_cache_current(struct request *r, const id *workflow, bool bypass_cache,
                                struct workflow_cached_version *cached_r) WARN_UNUSED;
/* One version of it, also of an archived one; lives until the next call. */
enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r) WARN_UNUSED;
