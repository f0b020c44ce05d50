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

struct workflow_known {
    int64_t asked_ms; /* boot time, before MariaDB was asked */
    int64_t credits, price, responders;
    id workspace_id;
    int version;
};

/* A workflow of the key's workspace as it is now. `fresh`: not from memory. */
enum err workflow_cache_now(struct request *r, const id *workflow, bool fresh,
                            struct workflow_known *known_r) WARN_UNUSED;
/* One version of it, also of an archived one; lives until the next call. */
enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r) WARN_UNUSED;
