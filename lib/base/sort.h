/* Sorting that makes one element of equal ones: distinct lists, and sums by a key. */
#pragma once

#include <stddef.h>

/* Sorts the `n` elements of `size` bytes in place, and moves the first of equal ones to the front. add(kept,
 * equal) is called for each of the others; NULL: they are dropped. Returns how many are left. `list` may be
 * NULL if n is 0. */
size_t sort_merge(void *list, size_t n, size_t size, int (*compare)(const void *, const void *),
                  void (*add)(void *kept, const void *equal));
