/* UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits; within a process strictly ascending.
 * Written in lower case with hyphens, which is how they are kept in memory, too: they are compared and bound
 * as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_LENGTH = 36 };
typedef struct id {
    char text[ID_LENGTH + 1]; /* NUL-terminated; "" is no id */
} id;

/* A new id of this millisecond. */
id id_new(void);
/* The least id of a millisecond: for ranges of time. */
id id_floor(int64_t ms);
/* Takes `size` bytes as a UUID of any version, upper case folded to lower; false where it is none. */
bool id_parse(const char *text, size_t size, id *id_r);
/* For tables that are found by ids; its low bits are as good as any. */
uint64_t id_hash(const id *i);
/* The millisecond an id was made in (meaningful for version 7). */
int64_t id_ms(const id *i);
/* True if both are the same id; an unset id equals only another unset one. */
bool id_equal(const id *a, const id *b);
/* Negative, 0 or positive, like strcmp. Version 7 ids sort by their millisecond. */
int id_compare(const id *a, const id *b);
/* Sorts in place, ascending, and moves the distinct ids to the front. Returns how many are distinct. */
size_t id_sort_distinct(id *ids, size_t n);
/* Binary search in a sorted list. */
bool id_search(const id *sorted, size_t n, const id *wanted);
static inline bool id_is_set(const id *i)
{
    return i->text[0] != '\0';
}
