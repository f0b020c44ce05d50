/* Which Idempotency-Keys the workers of this host have been sent of late. Redis is asked about those only:
 * nearly every key is new, and asking was most of what a key cost. Forgetting is harmless: a
 * key that was sent to another host, before a restart, or too long ago is found by the transaction, under the
 * account's lock, and its replay takes as long as a commit does. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/accept.h"

enum { IDEMPOTENCY_KEY_FILTER_SLOTS = 1 << 17 }; /* 1 MiB, of which pages are had when they are used */

struct idempotency_key_filter { /* in the mapping; zero bytes are its first state */
    _Atomic uint64_t slots[IDEMPOTENCY_KEY_FILTER_SLOTS];
};

/* Notes the key. True: it may have been noted before. Nothing is locked: two that come at the same moment may
 * both hear false. */
bool idempotency_key_filter_add(struct idempotency_key_filter *filter, const id *workspace, struct span key);
