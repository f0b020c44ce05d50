/* What a worker remembers of workflows: which version is current, for a second (accepting a run verifies it
 * under its lock anyway), and compiled programs, which never change. Bounded; what is returned lives until
 * the next call. */
#pragma once

#include "core/program.h"
#include "core/store_workflow.h"

struct request;
struct workflow_cache;

struct compiled {
    struct program *program;
};

struct workflow_cache *workflow_cache_new(void *ctx);

/* A workflow of the key's workspace as it is now. `fresh`: not from memory. */
enum err workflow_cache_now(struct request *r, const id *workflow, bool fresh,
                            const struct workflow **w_r) WARN_UNUSED;
/* One version of it, also of an archived one. */
enum err workflow_cache_compiled(struct request *r, const id *workflow, int version,
                                 const struct compiled **c_r) WARN_UNUSED;
