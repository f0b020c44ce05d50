#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "secret/seal.h"
#include "webhook/sealed_response.h"

static const id one = {"01a20000-0000-7000-8000-000000000001"},
                other = {"01a20000-0000-7000-8000-000000000002"};
static const char body[] = "{\"secret\":\"whsec_aaaa\"}";

Test(sealed_response, opens_to_the_body)
{
    void *ctx = talloc_new(NULL);
    uint8_t key[SECRET_KEY_SIZE] = {1};
    struct span opened;
    cr_assert_geq(sodium_init(), 0);
    for (size_t n = 0; n < sizeof body; n++) {
        struct span sealed = response_seal(ctx, key, &one, (struct span){body, n});
        cr_assert(response_is_sealed(sealed));
        cr_expect_null(memchr(sealed.at, '"', sealed.size));
        cr_assert_eq(response_open(ctx, key, &one, sealed, &opened), OK);
        cr_expect(opened.size == n && memcmp(opened.at, body, n) == 0);
    }
    talloc_free(ctx);
}

Test(sealed_response, is_not_opened_with_another_key_or_workspace_or_changed)
{
    void *ctx = talloc_new(NULL);
    uint8_t key[SECRET_KEY_SIZE] = {1}, another[SECRET_KEY_SIZE] = {2};
    struct span opened;
    cr_assert_geq(sodium_init(), 0);
    struct span sealed = response_seal(ctx, key, &one, span_text(body));
    cr_expect_eq(response_open(ctx, another, &one, sealed, &opened), ERR_DENIED);
    cr_expect_eq(response_open(ctx, NULL, &one, sealed, &opened), ERR_DENIED);
    cr_expect_eq(response_open(ctx, key, &other, sealed, &opened), ERR_DENIED);
    for (size_t n = 0; n < sealed.size; n++)
        cr_expect_eq(response_open(ctx, key, &one, (struct span){sealed.at, n}, &opened), ERR_DENIED, "%zu",
                     n);
    cr_expect_not(opened.at);
    talloc_free(ctx);
}

Test(sealed_response, is_told_from_json)
{
    cr_expect_not(response_is_sealed((struct span){0}));
    cr_expect_not(response_is_sealed(span_text("")));
    cr_expect_not(response_is_sealed(span_text("{\"sealed:\":1}")));
    cr_expect_not(response_is_sealed(span_text("sealed:")));
}
