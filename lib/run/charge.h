/* What runs with a listed price have used, and what their ends release of what was held for it. Only
 * lib/run/run_tx.c changes it, under the locks of the runs. docs/billing.md has the rules,
 * docs/correctness.md the failure cases. */
#pragma once

#include "mariadb/db.h"
#include "spending/price_list.h"

/* A run that ends. */
struct charge_end {
    id run;
    /* Octets of its output. */
    int64_t output_bytes;
    /* Its executor was lost: the time since it got the run does not count. */
    bool lost;
    /* Set by charges_settle: micro-credits, 0 to what was held. */
    int64_t released;
};

/* Amounts as they are priced: tokens, milliseconds, octets. */
struct charge_use {
    int64_t amounts[PRICE_UNITS];
};
/* What the used part costs: at most what is held. Cached tokens that have no price of their own count as
 * input tokens, in which they are contained. */
struct charge_use charge_count(const struct unit_price units[PRICE_UNITS], int64_t input_tokens,
                               int64_t output_tokens, int64_t cached_tokens, int64_t time_ms, int64_t bytes);
int64_t charge_price(const struct unit_price units[PRICE_UNITS], const struct charge_use *use);

/* Counts what the runs have used by now, and stores it. A run is settled once. */
enum err charges_settle(struct db_tx *tx, struct charge_end *ends, size_t n) WARN_UNUSED;

enum charge_clock { CHARGE_BEGIN, CHARGE_PAUSE, CHARGE_LOSE, CHARGE_CLOCKS };
/* An executor gets the runs; parks them or hands them back; was lost. */
enum err charges_set_clock(struct db_tx *tx, enum charge_clock clock, const id *runs, size_t n) WARN_UNUSED;
