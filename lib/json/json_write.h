/* Writing JSON, once, in order, into one growing buffer. What callers sent is embedded as its raw bytes
 * (json-c would bend numbers and drop repeated members). Commas are set by the writer; text that is not UTF-8
 * never gets here, because nothing stored is. Memory is of ctx and never fails (talloc aborts). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ids.h"

struct json_write;

struct json_write *json_write_new(void *ctx);
/* The text so far, NUL-terminated; valid until the next call. */
const char *json_write_result(struct json_write *w, size_t *size_r);

/* '{', '[' … '}', ']'. In an object each value follows its json_write_key. */
void json_write_open(struct json_write *w, char bracket);
void json_write_close(struct json_write *w, char bracket);
void json_write_key(struct json_write *w, const char *key);
void json_write_bytes(struct json_write *w, const char *text, size_t size); /* as a string */
void json_write_raw(struct json_write *w, const char *json, size_t size);   /* already JSON */
void json_write_number(struct json_write *w, int64_t number);
void json_write_null(struct json_write *w);

/* A member of an object. */
void json_write_text(struct json_write *w, const char *key, const char *text); /* NULL: null */
void json_write_json(struct json_write *w, const char *key, const char *json); /* NULL: null */
void json_write_id(struct json_write *w, const char *key, const id *i);        /* unset: null */
void json_write_int(struct json_write *w, const char *key, int64_t number);
void json_write_flag(struct json_write *w, const char *key, bool value);
void json_write_credits(struct json_write *w, const char *key, int64_t micro); /* a number of credits */
void json_write_time(struct json_write *w, const char *key, int64_t ms, bool with_z); /* 0: null */
