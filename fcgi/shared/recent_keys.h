/* A filter of the Idempotency-Keys that the workers of this host received recently. Redis is asked only about
 * keys that the filter knows: nearly every key is new, and asking Redis was most of what a key cost.
 *
 * Forgetting a key is harmless. A key that was sent to another host, before a restart or too long ago is
 * found by the transaction under the account's lock; its replay then takes as long as a commit. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "run/accept_types.h"

/* 1 MiB; the kernel provides the pages on first use. */
enum { IDEMPOTENCY_KEY_FILTER_SLOTS = 1 << 17 };

/* In the shared mapping. Initial state: zero bytes. */
struct idempotency_key_filter {
    _Atomic uint64_t slots[IDEMPOTENCY_KEY_FILTER_SLOTS];
};

/* Adds the key. True: the key may have been added before. Takes no lock, so two calls at the same moment may
 * both return false for one key. */
bool idempotency_key_filter_add(struct idempotency_key_filter *filter, const id *workspace, struct span key);
