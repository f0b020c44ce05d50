#include "json/json_own.h"

#include <talloc.h>

static int json_holder_destroy(json_object **holder)
{
    json_object_put(*holder);
    return 0;
}

json_object *json_own(void *ctx, json_object *value)
{
    json_object **holder = talloc(ctx, json_object *);
    *holder = value;
    talloc_set_destructor(holder, json_holder_destroy);
    return value;
}
