/* Credits as decimal text. Internally, amounts are whole micro-credits: one credit is 1,000,000. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    /* micro-credits of one credit */
    CREDIT_MICRO = 1000000,
    CREDITS_TEXT_SIZE = 24,
};

/* Parses "12", "0.5" or "-3.000001": at most six decimals, no exponent, no sign except a minus. False for any
 * other text, and for an amount beyond 64 bits of micro-credits. */
bool credits_parse(const char *text, int64_t *micro_r);
/* The inverse of credits_parse, without trailing zeros. Returns `out`. */
const char *credits_text(int64_t micro, char out[CREDITS_TEXT_SIZE]);
/* A JSON number with exactly the digits of credits_text. The caller owns the reference. */
json_object *credits_json(int64_t micro);
