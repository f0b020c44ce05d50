/* Which Idempotency-Keys the workers of this host have been sent of late. Redis is asked about those only:
 * nearly every key is new, and asking was most of what a key cost. Forgetting is harmless: a
 * key that was sent to another host, before a restart, or too long ago is found by the transaction, under the
 * account's lock, and its replay takes as long as a commit does. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/accept.h"

enum { RECENT_KEYS = 1 << 17 }; /* 1 MiB, of which pages are had when they are used */

struct recent_keys { /* in the mapping; zero bytes are its first state */
    _Atomic uint64_t places[RECENT_KEYS];
};

/* Notes the key. True: it may have been noted before. Nothing is locked: two that come at the same moment may
 * both hear false. */
bool recent_keys_note(struct recent_keys *keys, const id *workspace, struct span key);
