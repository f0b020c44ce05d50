/* Writes JSON, in order, into one growing buffer. What callers sent is embedded as its raw bytes, because
 * json-c would change numbers and drop repeated members. The writer sets the commas. It does not check UTF-8:
 * only valid text is stored, so only valid text gets here. Memory belongs to ctx; allocation never fails
 * (talloc aborts the process). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

struct json_write;

struct json_write *json_write_new(void *ctx);
/* The text written so far, NUL-terminated; valid until the next call on `w`. `size_r` may be NULL. */
const char *json_write_result(struct json_write *w, size_t *size_r);

/* Opens an object or array with '{' or '[', closes it with '}' or ']'. Within an object, json_write_key
 * precedes each value. json_write_bytes writes a string of `size` bytes, json_write_raw a text that is JSON
 * already; halves of surrogate pairs, which earlier versions have stored, become \ufffd. */
void json_write_open(struct json_write *w, char bracket);
void json_write_close(struct json_write *w, char bracket);
void json_write_key(struct json_write *w, const char *key);
void json_write_bytes(struct json_write *w, const char *text, size_t size);
void json_write_raw(struct json_write *w, const char *json, size_t size);
void json_write_number(struct json_write *w, int64_t number);
void json_write_null(struct json_write *w);

/* Each of the following writes one member of an object: its key and its value. */

/* `text` as a string, `json` as raw JSON; NULL is written as null */
void json_write_text(struct json_write *w, const char *key, const char *text);
void json_write_json(struct json_write *w, const char *key, const char *json);
/* an unset id is written as null */
void json_write_id(struct json_write *w, const char *key, const id *i);
void json_write_int(struct json_write *w, const char *key, int64_t number);
void json_write_flag(struct json_write *w, const char *key, bool value);
/* millionths of a credit, written as a number of credits without trailing zeros */
void json_write_credits(struct json_write *w, const char *key, int64_t micro);
/* Unix milliseconds, written by clock_text_z or clock_text_offset; 0 is written as null */
void json_write_time(struct json_write *w, const char *key, int64_t ms, bool with_z);
