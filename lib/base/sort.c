#include "base/sort.h"

#include <stdlib.h>
#include <string.h>

size_t sort_merge(void *list, size_t n, size_t size, int (*compare)(const void *, const void *),
                  void (*add)(void *kept, const void *equal))
{
    char *elements = list;
    if (n == 0)
        return 0;
    qsort(list, n, size, compare);
    size_t merged = 1;
    for (size_t i = 1; i < n; i++) {
        char *kept = elements + (merged - 1) * size, *next = elements + i * size;
        if (compare(kept, next) == 0) {
            if (add)
                add(kept, next);
        } else {
            memmove(elements + merged++ * size, next, size);
        }
    }
    return merged;
}
