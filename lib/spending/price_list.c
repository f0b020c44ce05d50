#include "spending/price_list.h"

#include <sodium.h>
#include <string.h>
#include <talloc.h>

#include "base/sort.h"
/* Tokens, milliseconds and octets for which a price of the unit is given. */
static const int64_t unit_sizes[] = {
    [PRICE_INPUT] = 1000000, [PRICE_OUTPUT] = 1000000, [PRICE_CACHED] = 1000000,
    [PRICE_TIME] = 1000,     [PRICE_BYTES] = 1000000,
};
static const char *const unit_names[] = {
    [PRICE_INPUT] = "input_tokens", [PRICE_OUTPUT] = "output_tokens", [PRICE_CACHED] = "cached_tokens",
    [PRICE_TIME] = "seconds",       [PRICE_BYTES] = "bytes",
};

const char *price_unit_name(enum price_unit unit)
{
    return unit_names[unit];
}

int64_t price_of_unit(const struct unit_price *unit, enum price_unit kind, int64_t amount)
{
    int64_t size = unit_sizes[kind], counted = amount < unit->max ? amount : unit->max;
    if (counted <= 0 || unit->price <= 0)
        return 0;
    unsigned __int128 parts = (unsigned __int128)counted * (unsigned __int128)unit->price;
    unsigned __int128 price = parts / (unsigned __int128)size + (parts % (unsigned __int128)size != 0);
    return price > INT64_MAX ? INT64_MAX : (int64_t)price;
}

int64_t price_held(const struct unit_price units[PRICE_UNITS])
{
    int64_t held = 0;
    for (int u = 0; u < PRICE_UNITS; u++) {
        if (__builtin_add_overflow(held, price_of_unit(&units[u], (enum price_unit)u, units[u].max), &held))
            return INT64_MAX;
    }
    return held;
}

/* --- targets --- */

struct target {
    uint8_t hash[PRICE_HASH_SIZE];
};

static void hash_target(const id *workspace, const id *responder, const char *model,
                        uint8_t hash_r[PRICE_HASH_SIZE])
{
    crypto_hash_sha256_state s;
    const unsigned char kind = (unsigned char)((responder ? 1 : 0) | (model ? 2 : 0));
    crypto_hash_sha256_init(&s);
    crypto_hash_sha256_update(&s, (const unsigned char *)workspace->text, ID_LENGTH);
    crypto_hash_sha256_update(&s, &kind, 1);
    if (responder)
        crypto_hash_sha256_update(&s, (const unsigned char *)responder->text, ID_LENGTH);
    if (model)
        crypto_hash_sha256_update(&s, (const unsigned char *)model, strlen(model));
    crypto_hash_sha256_final(&s, hash_r);
}

void price_list_hash(const struct price_list *list, uint8_t hash_r[PRICE_HASH_SIZE])
{
    hash_target(&list->workspace_id, id_is_set(&list->responder_id) ? &list->responder_id : NULL, list->model,
                hash_r);
}

static size_t hash_subject(const struct price_subject *s, struct target targets_r[PRICE_TARGETS])
{
    size_t n = 0;
    if (s->model)
        hash_target(&s->workspace_id, &s->responder_id, s->model, targets_r[n++].hash);
    hash_target(&s->workspace_id, &s->responder_id, NULL, targets_r[n++].hash);
    if (s->model)
        hash_target(&s->workspace_id, NULL, s->model, targets_r[n++].hash);
    hash_target(&s->workspace_id, NULL, NULL, targets_r[n++].hash);
    return n;
}

static int compare_targets(const void *a, const void *b)
{
    return memcmp(a, b, PRICE_HASH_SIZE);
}

/* --- reading --- */

void price_list_take_row(void *ctx, const struct db_rows *rows, size_t r, struct price_list *list_r)
{
    const struct db_cell *model = db_cell(rows, r, PRICE_LISTS_IN_FORCE_MODEL);
    *list_r = (struct price_list){
        .id = db_get_id(rows, r, PRICE_LISTS_IN_FORCE_ID),
        .workspace_id = db_get_id(rows, r, PRICE_LISTS_IN_FORCE_WORKSPACE_ID),
        .responder_id = db_get_id(rows, r, PRICE_LISTS_IN_FORCE_RESPONDER_ID),
        .model = model->is_null ? NULL : talloc_strndup(ctx, model->text, model->size),
        .effective_ms = db_int(rows, r, PRICE_LISTS_IN_FORCE_EFFECTIVE_MS),
        .created_ms = db_int(rows, r, PRICE_LISTS_IN_FORCE_CREATED_MS),
        .ended = db_int(rows, r, PRICE_LISTS_IN_FORCE_ENDED) != 0,
        .fixed = db_int_or(rows, r, PRICE_LISTS_IN_FORCE_FIXED, -1),
    };
    for (int u = 0; u < PRICE_UNITS; u++)
        list_r->units[u] =
            (struct unit_price){db_int(rows, r, PRICE_LISTS_IN_FORCE_INPUT_PRICE + 2 * (size_t)u),
                                db_int(rows, r, PRICE_LISTS_IN_FORCE_INPUT_MAX + 2 * (size_t)u)};
}

void price_fill_units(struct db_value *first, const struct unit_price units[PRICE_UNITS])
{
    for (int u = 0; u < PRICE_UNITS; u++) {
        first[2 * u] = db_number(units[u].price);
        first[2 * u + 1] = db_number(units[u].max);
    }
}

/* The list of the first of the targets that has one. */
static const struct price_list *choose_list(void *ctx, const struct db_rows *rows,
                                            const struct target *targets, size_t n)
{
    for (size_t t = 0; t < n; t++) {
        for (size_t r = 0; r < rows->count; r++) {
            const struct db_cell *hash = db_cell(rows, r, PRICE_LISTS_IN_FORCE_TARGET_HASH);
            if (hash->size != PRICE_HASH_SIZE || memcmp(hash->text, targets[t].hash, PRICE_HASH_SIZE) != 0 ||
                db_int(rows, r, PRICE_LISTS_IN_FORCE_ENDED) != 0)
                continue;
            struct price_list *list = talloc(ctx, struct price_list);
            price_list_take_row(list, rows, r, list);
            return list;
        }
    }
    return NULL;
}

enum err price_lists_in_force(struct db *db, void *ctx, const struct price_subject *subjects, size_t n,
                              const struct price_list **lists_r)
{
    struct target *targets = talloc_array(ctx, struct target, PRICE_TARGETS * n + 1), own[PRICE_TARGETS];
    struct db_value *values = talloc_array(ctx, struct db_value, PRICE_TARGETS * n + 1);
    struct db_rows *rows;
    size_t targets_n = 0;
    for (size_t i = 0; i < n; i++)
        targets_n += hash_subject(&subjects[i], &targets[targets_n]);
    targets_n = sort_merge(targets, targets_n, sizeof *targets, compare_targets, NULL);
    for (size_t i = 0; i < targets_n; i++)
        values[i] = db_bytes(targets[i].hash, PRICE_HASH_SIZE);
    enum err e = db_run_each(db, ctx, SQL_PRICE_LISTS_IN_FORCE, NULL, 0, values, 1, targets_n, &rows);
    for (size_t i = 0; e == OK && i < n; i++)
        lists_r[i] = choose_list(ctx, rows, own, hash_subject(&subjects[i], own));
    return e;
}
