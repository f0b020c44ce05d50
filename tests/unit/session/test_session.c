#include <criterion/criterion.h>
#include <string.h>

#include "session/session.h"
#include "store/key.h"

Test(session, a_cookie_never_has_the_hash_of_a_key)
{
    uint8_t as_cookie[SESSION_HASH_SIZE], as_key[API_KEY_HASH_SIZE], other[SESSION_HASH_SIZE];
    static const char token[] = "sk_live_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    session_hash(token, sizeof token - 1, as_cookie);
    api_key_hash(token, sizeof token - 1, as_key);
    cr_assert_neq(memcmp(as_cookie, as_key, sizeof as_key), 0);
    session_hash(token, sizeof token - 2, other);
    cr_assert_neq(memcmp(as_cookie, other, sizeof other), 0);
}

Test(session, is_open_until_its_end_and_while_it_is_used)
{
    const struct session s = {.used_ms = 1000, .ends_ms = 5000};
    cr_assert(session_is_open(&s, 2000, 2999));
    cr_assert_not(session_is_open(&s, 2000, 3000), "idle");
    cr_assert(session_is_open(&s, 9000, 4999));
    cr_assert_not(session_is_open(&s, 9000, 5000), "at its absolute end");
}
