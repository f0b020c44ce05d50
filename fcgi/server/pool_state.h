/* The part of a state dump that shows what the workers share: overload control, caches, group accept. */
#pragma once

#include "fcgi/shared/shared.h"
#include "service/state_dump.h"

/* Adds the writers. `shared` must outlive the dump. */
void pool_state_add(struct state_dump *dump, struct fcgi_shared *shared);
