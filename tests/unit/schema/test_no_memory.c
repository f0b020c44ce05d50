#define _GNU_SOURCE
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <talloc.h>

#include "schema/schema.h"

/* The copy that fails, from 1; 0: none. */
static int failing_copy;

/* Takes the place of json-c's function. */
int json_object_deep_copy(json_object *from, json_object **to_r, json_c_shallow_copy_fn *copy)
{
    static int (*real)(json_object *, json_object **, json_c_shallow_copy_fn *);
    if (!real)
        *(void **)&real = dlsym(RTLD_NEXT, "json_object_deep_copy");
    if (failing_copy > 0 && --failing_copy == 0) {
        errno = ENOMEM;
        return -1;
    }
    return real(from, to_r, copy);
}

/* The second copy is the one of the standard metaschema, which is built with the first schema. */
Test(schema_memory, schema_without_its_metaschema_is_an_error)
{
    for (failing_copy = 1; failing_copy <= 2; failing_copy++) {
        int number = failing_copy;
        void *ctx = talloc_new(NULL);
        const char *why;
        json_object *document;
        struct schema *schema;
        struct schema_problems problems;
        cr_assert_eq(json_parse(ctx, "{}", 2, 8, &document, &why), OK);
        cr_expect_eq(schema_compile(ctx, document, NULL, &schema, &problems), ERR_INTERNAL, "copy %d",
                     number);
        cr_expect_null(schema);
        talloc_free(ctx);
        failing_copy = number;
    }
}
