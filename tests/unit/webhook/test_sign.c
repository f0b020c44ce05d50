#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "webhook/sign.h"

/* The example that the specification's libraries test themselves with. */
Test(sign, signs_as_published)
{
    char signature[WEBHOOK_SIGNATURE_SIZE];
    static const char body[] = "{\"test\": 2432232314}";
    cr_assert(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek",
                           1614265330, body, strlen(body), signature));
    cr_assert_str_eq(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

Test(sign, signs_bytes_and_not_text)
{
    char one[WEBHOOK_SIGNATURE_SIZE], two[WEBHOOK_SIGNATURE_SIZE], secret[WEBHOOK_SECRET_SIZE];
    cr_assert(sodium_init() >= 0);
    webhook_secret_make(secret);
    cr_assert(webhook_sign(secret, "m", 1, "a\0b", 3, one));
    cr_assert(webhook_sign(secret, "m", 1, "a\0c", 3, two));
    cr_assert_str_neq(one, two);
    cr_assert(webhook_sign(secret, "m", 2, "a\0b", 3, two));
    cr_assert_str_neq(one, two);
}

Test(sign, makes_secrets_that_fit_and_differ)
{
    char one[WEBHOOK_SECRET_SIZE], two[WEBHOOK_SECRET_SIZE];
    cr_assert(sodium_init() >= 0);
    webhook_secret_make(one);
    webhook_secret_make(two);
    cr_assert(webhook_secret_fits(one) && webhook_secret_fits(two));
    cr_assert_str_neq(one, two);
}

Test(sign, secrets_have_24_to_64_bytes)
{
    for (size_t size = 1; size <= 80; size++) {
        uint8_t key[80] = {0};
        char text[6 + sodium_base64_ENCODED_LEN(80, sodium_base64_VARIANT_ORIGINAL)] = "whsec_";
        sodium_bin2base64(text + 6, sizeof text - 6, key, size, sodium_base64_VARIANT_ORIGINAL);
        cr_assert_eq(webhook_secret_fits(text), size >= 24 && size <= 64, "%zu bytes", size);
    }
    static const char *const wrong[] = {"",
                                        "whsec_",
                                        "whsec",
                                        "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                        "WHSEC_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
                                        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_not(webhook_secret_fits(wrong[i]), "%s", wrong[i]);
}
