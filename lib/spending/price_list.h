/* Dated price lists: what the runs of a workspace, of one workflow or skill, or with one model cost from a
 * date on. A run has a fixed part, and a part for what it uses: tokens, time, bytes. For the second part the
 * most that it can be is held when the run is accepted. docs/billing.md has the rules.
 *
 * A run is priced by the list of the most specific target that has one in force: responder and model, then
 * responder, then model, then workspace. Lists are read and written under the lock of the workspace's account
 * (lib/spending/price_store.h), by MariaDB's clock, and one that has come into force is never changed. */
#pragma once

#include <stdbool.h>

#include "base/ids.h"
#include "mariadb/db.h"

/* Bits of accounts.prices. */
enum { ACCOUNT_HAS_PRICES = 1, ACCOUNT_HAS_MODEL_PRICES = 2, ACCOUNT_HAS_USED_PRICES = 4 };

/* Targets that can price one run. */
enum { PRICE_TARGETS = 4, PRICE_HASH_SIZE = 32 };

enum price_unit { PRICE_INPUT, PRICE_OUTPUT, PRICE_CACHED, PRICE_TIME, PRICE_BYTES, PRICE_UNITS };

/* Micro-credits: what the parts of a list can be together, a billion credits. */
#define PRICE_TOTAL_MAX INT64_C(1000000000000000)

struct unit_price {
    /* Micro-credits for a million tokens, a second, or a million octets. */
    int64_t price;
    /* The most that is charged: tokens, milliseconds or octets. */
    int64_t max;
};

struct price_list {
    id id, workspace_id;
    /* Unset: all of the workspace. */
    id responder_id;
    /* An alias on the context of the reader; NULL: all. */
    const char *model;
    /* MariaDB's wall time from which it is in force. */
    int64_t effective_ms, created_ms;
    /* From then on the target has no list. */
    bool ended;
    /* Micro-credits; -1: the prices without a date. */
    int64_t fixed;
    struct unit_price units[PRICE_UNITS];
};

/* "input_tokens", "output_tokens", "cached_tokens", "seconds" or "bytes". */
const char *price_unit_name(enum price_unit unit);
/* What an amount costs, rounded up to a micro-credit. More than the maximum costs no more than it. Amounts
 * below 0 count as 0. INT64_MAX on overflow, which PRICE_TOTAL_MAX excludes for lists that are stored. */
int64_t price_of_unit(const struct unit_price *unit, enum price_unit kind, int64_t amount);
/* The most that the used part can cost, which is held; the sum of the units, each rounded up. INT64_MAX on
 * overflow. */
int64_t price_held(const struct unit_price units[PRICE_UNITS]);

/* SHA-256 of the list's workspace, responder and model. */
void price_list_hash(const struct price_list *list, uint8_t hash_r[PRICE_HASH_SIZE]);

/* What is to be priced. */
struct price_subject {
    id workspace_id, responder_id;
    /* NULL: none. */
    const char *model;
};

/* Finds the list that is in force for each subject, on ctx; NULL in lists_r: there is none. One statement for
 * up to 64 targets. */
enum err price_lists_in_force(struct db *db, void *ctx, const struct price_subject *subjects, size_t n,
                              const struct price_list **lists_r) WARN_UNUSED;
/* Reads a row of price_lists_in_force, or of a query whose columns begin in the same way. */
void price_list_take_row(void *ctx, const struct db_rows *rows, size_t r, struct price_list *list_r);
/* Fills PRICE_UNITS pairs of price and maximum, as the tables have them. */
void price_fill_units(struct db_value *first, const struct unit_price units[PRICE_UNITS]);
