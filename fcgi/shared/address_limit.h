/* A limit of look-ups of unknown credentials per second and client address, so that guessing keys costs the
 * database little. The address is a text: an IPv4 address, or the /64 network of an IPv6 address.
 *
 * Addresses whose hashes collide share a limit. The hash has a secret, so that nobody can choose a
 * collision. */
#pragma once

#include <sodium.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { ADDRESS_LIMIT_SLOTS = 8192 };

/* In the shared mapping. Call address_limit_init before the workers are forked. */
struct address_limit {
    unsigned char secret[crypto_shorthash_KEYBYTES];
    /* The second of boot time (upper half) and the look-ups in it (lower half). */
    _Atomic uint64_t slots[ADDRESS_LIMIT_SLOTS];
};

void address_limit_init(struct address_limit *limit);
/* Takes one look-up out of the `per_second` of the address. False if none is left in this second. Exact also
 * if several workers call at the same moment. */
bool address_limit_take(struct address_limit *limit, const char *address, int64_t now_ms,
                        uint32_t per_second);
/* Gives back what address_limit_take took at `now_ms`: the credential is known. */
void address_limit_give_back(struct address_limit *limit, const char *address, int64_t now_ms);
