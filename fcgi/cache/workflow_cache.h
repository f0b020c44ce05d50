/* Two bounded caches of workflows:
 * - the current version and its prices, shared by the workers of a host, for one second; accepting a run
 * checks both again under the account's lock if the catalog version has changed;
 * - compiled programs, per worker, without expiry, because a version never changes. */
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
    /* Boot time before MariaDB was asked. */
    int64_t fetched_ms;
    int64_t credits, price, catalog_version;
    id workspace_id;
    int version;
};

/* The current version of a workflow of the request's workspace. `bypass_cache`: ask MariaDB in any case. */
enum err workflow_cache_current(struct request *r, const id *workflow, bool bypass_cache,
                                struct workflow_cached_version *cached_r) WARN_UNUSED;
/* The compiled program of one version, also of an archived workflow; valid until the next call. ERR_INTERNAL:
 * the stored program does not compile (logged). */
enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r) WARN_UNUSED;
