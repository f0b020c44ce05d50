/* Credits as people write them. Inside, money is whole micro-credits: 1 credit is 1,000,000. */
#pragma once

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

enum { CREDITS_TEXT_SIZE = 24 };

/* "12", "0.5", "-3.000001": at most six decimals, no exponent, no sign but a minus, within 64 bits of
 * micro-credits. */
bool credits_parse(const char *text, int64_t *micro_r);
/* The same text, without decimals that say nothing. */
const char *credits_text(int64_t micro, char out[CREDITS_TEXT_SIZE]);
/* A JSON number with exactly those digits; the reference is the caller's. */
json_object *credits_json(int64_t micro);
