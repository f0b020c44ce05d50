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
/* Parses a JSON number, which may have an exponent: many programs write 0.000001 as 1e-06. False if it is no
 * whole number of micro-credits, or beyond 64 bits. */
bool credits_parse_json(const char *number, int64_t *micro_r);
/* The inverse of credits_parse, without trailing zeros. Returns `out`. */
const char *credits_text(int64_t micro, char out[CREDITS_TEXT_SIZE]);
/* A JSON number with exactly the digits of credits_text. The caller owns the reference. */
json_object *credits_json(int64_t micro);
