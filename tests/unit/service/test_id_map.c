#include <criterion/criterion.h>
#include <sodium.h>
#include <talloc.h>

#include "service/id_map.h"

enum { MANY = 3000 };

Test(id_map, holds_entries_until_removed)
{
    void *ctx = talloc_new(NULL);
    struct id_map *t = id_map_new(ctx);
    id *ids = talloc_array(ctx, id, MANY);
    cr_assert_geq(sodium_init(), 0);
    for (int round = 0; round < 3; round++) { /* deleted entries of one round must not fill the table up */
        for (int i = 0; i < MANY; i++) {
            ids[i] = id_new();
            id_map_put(t, &ids[i], &ids[i]);
        }
        id_map_put(t, &ids[0], &ids[1]);
        cr_assert_eq(id_map_get(t, &ids[0]), &ids[1], "replaced");
        cr_assert_eq(id_map_count(t), (size_t)MANY);
        for (int i = 0; i < MANY; i += 2)
            id_map_remove(t, &ids[i]);
        id_map_remove(t, &ids[0]);
        cr_assert_eq(id_map_count(t), (size_t)MANY / 2);
        size_t place = 0;
        size_t seen = 0;
        for (id *one; (one = id_map_next(t, &place)); seen++)
            cr_assert_eq((one - ids) % 2, 1);
        cr_assert_eq(seen, (size_t)MANY / 2);
        for (int i = 0; i < MANY; i++)
            cr_assert_eq(id_map_get(t, &ids[i]), i % 2 ? &ids[i] : NULL);
        for (int i = 1; i < MANY; i += 2)
            id_map_remove(t, &ids[i]);
        cr_assert_eq(id_map_count(t), 0);
    }
    talloc_free(ctx);
}
