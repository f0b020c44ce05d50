/* UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits. The ids that one thread makes are
 * strictly ascending. An id is kept as text in lower case with hyphens, because ids are mostly compared and
 * bound to statements as text. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ID_LENGTH = 36 };
typedef struct id {
    /* NUL-terminated; "" means "no id" */
    char text[ID_LENGTH + 1];
} id;

/* Makes an id of the current millisecond. Thread-safe. */
id id_new(void);
/* Returns the smallest id of a millisecond: the bound of a range of time. A negative `ms` counts as 0. */
id id_floor(int64_t ms);
enum { ID_DERIVED_MAX = 1 << 14 };
/* The id number `index` (below ID_DERIVED_MAX) that belongs to the id `of`: always the same one, of the same
 * millisecond. The ids of one `of` ascend by index, and their last ID_DERIVED_TAIL characters are equal. */
id id_derive(const id *of, unsigned index);
enum { ID_DERIVED_TAIL = 16 };
/* The id number `index` of the same `of` as an id that was derived: id_derive() without its hash. */
id id_sibling(const id *derived, unsigned index);
/* Reads `size` bytes as a UUID of any version and folds upper case to lower. Returns false, and an empty
 * *id_r, if they are no UUID. */
bool id_parse(const char *text, size_t size, id *id_r);
/* Hash for tables keyed by id. Its low bits are as well distributed as the others, so a table may use them
 * alone. */
uint64_t id_hash(const id *i);
/* The same, but never 0, for slots in which 0 means that they are empty. */
uint64_t id_hash_nonzero(const id *i);
/* The Unix milliseconds at which an id was made (meaningful for version 7 only). */
int64_t id_ms(const id *i);
/* True if both are the same id; an unset id equals only another unset one. */
bool id_equal(const id *a, const id *b);
/* Negative, 0 or positive, like strcmp. Version 7 ids sort by their millisecond. */
int id_compare(const id *a, const id *b);
/* Sorts in place, ascending, and moves the distinct ids to the front. Returns how many are distinct. */
size_t id_sort_distinct(id *ids, size_t n);
/* Search in a list of any order. */
bool id_is_in(const id *ids, size_t n, const id *wanted);
/* Binary search in a sorted list. */
bool id_search(const id *sorted, size_t n, const id *wanted);
static inline bool id_is_set(const id *i)
{
    return i->text[0] != '\0';
}
