#define _GNU_SOURCE /* memmem */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "secret/seal.h"

static const id workspace = {"01890000-0000-7000-8000-000000000001"};
static const id other = {"01890000-0000-7000-8000-000000000002"};

Test(seal, decrypts_only_its_own_ciphertext)
{
    static const char value[] = "a value that nobody sees";
    void *ctx = talloc_new(NULL);
    uint8_t key[SECRET_KEY_SIZE] = {1}, wrong[SECRET_KEY_SIZE] = {2};
    uint8_t nonce[SECRET_NONCE_SIZE], sealed[sizeof value + SECRET_SEAL_SIZE];
    size_t n = sizeof value - 1 + SECRET_SEAL_SIZE, size;
    char *out;
    secret_seal(key, &workspace, "NAME", value, sizeof value - 1, nonce, sealed);
    cr_expect(!memmem(sealed, n, "nobody", 6));
    cr_assert_eq(secret_open(ctx, key, &workspace, "NAME", nonce, sizeof nonce, sealed, n, &out, &size), OK);
    cr_expect_eq(size, sizeof value - 1);
    cr_expect_str_eq(out, value);
    cr_expect_eq(secret_open(ctx, wrong, &workspace, "NAME", nonce, sizeof nonce, sealed, n, &out, &size),
                 ERR_DENIED);
    cr_expect_eq(secret_open(ctx, key, &other, "NAME", nonce, sizeof nonce, sealed, n, &out, &size),
                 ERR_DENIED);
    cr_expect_eq(secret_open(ctx, key, &workspace, "NAMF", nonce, sizeof nonce, sealed, n, &out, &size),
                 ERR_DENIED);
    cr_expect_eq(secret_open(ctx, key, &workspace, "NAME", nonce, 23, sealed, n, &out, &size), ERR_DENIED);
    cr_expect_eq(secret_open(ctx, key, &workspace, "NAME", nonce, sizeof nonce, sealed, 3, &out, &size),
                 ERR_DENIED);
    sealed[3] ^= 1;
    cr_expect_eq(secret_open(ctx, key, &workspace, "NAME", nonce, sizeof nonce, sealed, n, &out, &size),
                 ERR_DENIED);
    talloc_free(ctx);
}

Test(key_file, creates_and_loads_key_files)
{
    char dir[] = "/tmp/millrace-secrets-XXXXXX", path[64];
    const char *why;
    cr_assert(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/key", dir);
    uint8_t a[SECRET_KEY_SIZE], b[SECRET_KEY_SIZE];
    cr_expect_eq(secrets_load_key(path, a, &why), ERR_INVALID);
    cr_assert_eq(secrets_make_key(path), OK);
    cr_expect_eq(secrets_make_key(path), ERR_CONFLICT);
    cr_assert_eq(secrets_load_key(path, a, &why), OK);
    cr_assert_eq(secrets_load_key(path, b, &why), OK);
    cr_expect_eq(memcmp(a, b, sizeof a), 0);
    cr_assert_eq(chmod(path, 0604), 0);
    cr_expect_eq(secrets_load_key(path, a, &why), ERR_INVALID);
    cr_assert_eq(chmod(path, 0600), 0);
    cr_assert_eq(truncate(path, 20), 0);
    cr_expect_eq(secrets_load_key(path, a, &why), ERR_INVALID);
    cr_expect_eq(secrets_load_key("", a, &why), ERR_INVALID);
    unlink(path);
    rmdir(dir);
}

Test(seal, validates_names_and_values)
{
    cr_expect(secret_name_fits("API_KEY-2.b"));
    cr_expect(!secret_name_fits(""));
    cr_expect(!secret_name_fits("a/b"));
    cr_expect(!secret_name_fits("a b"));
    char name[66];
    memset(name, 'a', sizeof name);
    name[65] = '\0';
    cr_expect(!secret_name_fits(name));
    name[64] = '\0';
    cr_expect(secret_name_fits(name));
    cr_expect(secret_value_fits("gr\xc3\xbc\xc3\x9f", 6));
    cr_expect(!secret_value_fits("abc", 3));
    cr_expect(!secret_value_fits("ab\0d", 4));
    cr_expect(!secret_value_fits("ab\xc3(", 4));
    cr_expect(!secret_value_fits("abc\xc3", 4));
    cr_expect(!secret_value_fits("a\xed\xa0\x80", 4), "a surrogate");
    cr_expect(!secret_value_fits("ab\xc0\xaf", 4), "overlong");
}

Test(seal, uses_a_new_nonce_each_time)
{
    static const char value[] = "the same value";
    uint8_t key[SECRET_KEY_SIZE] = {1};
    uint8_t nonces[2][SECRET_NONCE_SIZE], sealed[2][sizeof value + SECRET_SEAL_SIZE];
    for (int i = 0; i < 2; i++)
        secret_seal(key, &workspace, "NAME", value, sizeof value - 1, nonces[i], sealed[i]);
    cr_expect_neq(memcmp(nonces[0], nonces[1], SECRET_NONCE_SIZE), 0);
    cr_expect_neq(memcmp(sealed[0], sealed[1], sizeof value - 1 + SECRET_SEAL_SIZE), 0);
}

/* The label is the workspace's id followed by the name, so no two pairs of them may have the same label. */
Test(seal, binds_names_of_all_lengths)
{
    void *ctx = talloc_new(NULL);
    uint8_t key[SECRET_KEY_SIZE] = {1}, nonce[SECRET_NONCE_SIZE], sealed[SECRET_VALUE_MIN + SECRET_SEAL_SIZE];
    char longest[SECRET_NAME_MAX + 1], *out;
    size_t size;
    memset(longest, 'a', SECRET_NAME_MAX);
    longest[SECRET_NAME_MAX] = '\0';
    const char *names[] = {"a", "aa", "a.", longest};
    for (size_t i = 0; i < 4; i++) {
        secret_seal(key, &workspace, names[i], "abcd", 4, nonce, sealed);
        for (size_t k = 0; k < 4; k++) {
            enum err e = secret_open(ctx, key, &workspace, names[k], nonce, sizeof nonce, sealed,
                                     sizeof sealed, &out, &size);
            cr_expect_eq(e, i == k ? OK : ERR_DENIED, "%s opened as %s", names[i], names[k]);
        }
    }
    talloc_free(ctx);
}

Test(key_file, rejects_what_is_not_32_bytes_in_base64)
{
    static const struct {
        const char *text;
        enum err e;
    } rows[] = {
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", OK},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\r\n", OK},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg==", ERR_INVALID},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8g", ERR_INVALID},
        {"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=x", ERR_INVALID},
        {"", ERR_INVALID},
    };
    char path[] = "/tmp/millrace-key-XXXXXX";
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint8_t key[SECRET_KEY_SIZE];
        const char *why;
        cr_assert_eq(ftruncate(fd, 0), 0);
        cr_assert_eq(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), (ssize_t)strlen(rows[i].text));
        cr_expect_eq(secrets_load_key(path, key, &why), rows[i].e, "%zu", i);
        cr_expect(rows[i].e != OK || (key[0] == 0 && key[31] == 31), "%zu", i);
    }
    close(fd);
    unlink(path);
}

Test(seal, warns_of_values_that_cannot_be_redacted_well)
{
    cr_expect_not_null(secret_value_warning("2000", 4));
    cr_expect_not_null(secret_value_warning("12345678901234567890", 20));
    cr_expect_not_null(secret_value_warning("abcdefg", 7));
    cr_expect_null(secret_value_warning("abcdefgh", 8));
    cr_expect_null(secret_value_warning("0123456789abcdef", 16));
}
