#include "schema/resolve.h"

#include <string.h>
#include <talloc.h>

#include "schema/metaschema.h"
#include "schema/uri.h"

enum { INDEX_DEPTH_MAX = 200 };

enum shape { ONE, LIST, MAP };

/* The keywords of 2020-12 that contain schemas. `definitions` is obsolete but still used. */
static const struct {
    const char *name;
    enum shape shape;
} holders[] = {
    {"$defs", MAP},
    {"definitions", MAP},
    {"properties", MAP},
    {"patternProperties", MAP},
    {"dependentSchemas", MAP},
    {"prefixItems", LIST},
    {"allOf", LIST},
    {"anyOf", LIST},
    {"oneOf", LIST},
    {"items", ONE},
    {"contains", ONE},
    {"additionalProperties", ONE},
    {"propertyNames", ONE},
    {"if", ONE},
    {"then", ONE},
    {"else", ONE},
    {"not", ONE},
    {"unevaluatedItems", ONE},
    {"unevaluatedProperties", ONE},
    {"contentSchema", ONE},
};

/* Returns the one copy of `name`, so that equal names are equal pointers. */
static const char *intern_name(struct schema_compiler *c, const char *name)
{
    void *found;
    if (lh_table_lookup_ex(c->names, name, &found))
        return found;
    char *copy = talloc_strdup(c->schema, name);
    lh_table_insert(c->names, copy, copy);
    return copy;
}

static int table_destroy(struct lh_table **table)
{
    lh_table_free(*table);
    return 0;
}

static struct lh_table *new_names(struct schema_compiler *c)
{
    struct lh_table **holder = talloc(c, struct lh_table *);
    *holder = lh_kchar_table_new(8, NULL);
    talloc_set_destructor(holder, table_destroy);
    return *holder;
}

static struct source *new_source(struct schema_compiler *c, json_object *root, const char *uri,
                                 const char *document_uri)
{
    struct source *s = talloc_zero(c, struct source);
    s->uri = uri;
    s->root = root;
    s->document_uri = document_uri;
    s->anchors = new_names(c);
    s->vocabularies = VOCAB_STANDARD;
    s->compiled = talloc_zero(c->schema, struct resource);
    return s;
}

static void add_uri(struct schema_compiler *c, const char *uri, struct source *source,
                    const struct subschema *subschema)
{
    void *found;
    if (!lh_table_lookup_ex(c->by_uri, uri, &found))
        lh_table_insert(c->by_uri, talloc_strdup(c, uri), source);
    else if (found != source && ((struct source *)found)->document_uri == source->document_uri)
        compiler_add_problem(c, subschema, "$id", "another schema already has the identifier \"%s\"", uri);
}

static void add_anchor(struct schema_compiler *c, struct subschema *subschema, const char *name,
                       const char *keyword)
{
    if (lh_table_lookup_ex(subschema->source->anchors, name, NULL)) {
        compiler_add_problem(c, subschema, keyword, "another schema already has the anchor \"%s\"", name);
        return;
    }
    lh_table_insert(subschema->source->anchors, talloc_strdup(c, name), subschema);
}

/* Sets the vocabularies of a resource from its `$schema`. */
static void find_vocabularies(struct schema_compiler *c, struct subschema *subschema, const char *dialect)
{
    struct metaschema m = {.vocabularies = subschema->source->vocabularies};
    metaschema_find(c, subschema, dialect, &m);
    subschema->source->vocabularies = m.vocabularies;
}

/* Reads the identity of a schema object: a URI, which makes it a resource, and its anchors. */
static void index_identity(struct schema_compiler *c, struct subschema *subschema)
{
    const char *id = json_get_text(subschema->json, "$id");
    if (id && subschema->source->root != subschema->json) {
        struct source *outer = subschema->source;
        const char *uri = uri_resolve(c, outer->uri, id);
        subschema->source = new_source(c, subschema->json, uri, outer->document_uri);
        subschema->source->vocabularies = outer->vocabularies;
        add_uri(c, uri, subschema->source, subschema);
        const char *dialect = json_get_text(subschema->json, "$schema");
        if (dialect)
            find_vocabularies(c, subschema, dialect);
    }
    const char *anchor = json_get_text(subschema->json, "$anchor");
    if (anchor)
        add_anchor(c, subschema, anchor, "$anchor");
    const char *dynamic = json_get_text(subschema->json, "$dynamicAnchor");
    if (dynamic) {
        if (!anchor || strcmp(anchor, dynamic) != 0)
            add_anchor(c, subschema, dynamic, "$dynamicAnchor");
        subschema->dynamic_name = intern_name(c, dynamic);
        subschema->next_dynamic = subschema->source->dynamic;
        subschema->source->dynamic = subschema;
    }
}

static struct subschema *index_schema(struct schema_compiler *c, json_object *json, struct source *source,
                                      const char *pointer, unsigned depth);

static void index_held(struct schema_compiler *c, struct subschema *subschema, json_object *held,
                       const char *name, enum shape shape, unsigned depth)
{
    const char *pointer = json_pointer_join(c, subschema->pointer, name);
    if (shape == ONE) {
        index_schema(c, held, subschema->source, pointer, depth + 1);
    } else if (shape == MAP && json_object_is_type(held, json_type_object)) {
        json_object_object_foreach(held, key, value)
        {
            index_schema(c, value, subschema->source, json_pointer_join(c, pointer, key), depth + 1);
        }
    } else if (shape == LIST && json_object_is_type(held, json_type_array)) {
        for (size_t i = 0; i < json_object_array_length(held); i++) {
            const char *at = talloc_asprintf(c, "%s/%zu", pointer, i);
            index_schema(c, json_object_array_get_idx(held, i), subschema->source, at, depth + 1);
        }
    }
}

static struct subschema *index_schema(struct schema_compiler *c, json_object *json, struct source *source,
                                      const char *pointer, unsigned depth)
{
    void *found;
    bool object = json_object_is_type(json, json_type_object);
    if (!object && !json_object_is_type(json, json_type_boolean))
        return NULL;
    if (lh_table_lookup_ex(c->by_json, json, &found))
        return found;
    if (c->subschema_count >= SCHEMA_NODES_MAX || depth > INDEX_DEPTH_MAX) {
        c->too_large = true;
        return NULL;
    }
    c->subschema_count++;
    struct subschema *subschema = talloc_zero(c, struct subschema);
    subschema->json = json;
    subschema->source = source;
    subschema->pointer = pointer;
    lh_table_insert(c->by_json, json, subschema);
    *c->end = subschema;
    c->end = &subschema->next;
    if (!object)
        return subschema;
    index_identity(c, subschema);
    for (size_t i = 0; i < sizeof holders / sizeof holders[0]; i++) {
        json_object *held = json_get(json, holders[i].name);
        if (held)
            index_held(c, subschema, held, holders[i].name, holders[i].shape, depth);
    }
    return subschema;
}

struct source *resolve_open_document(struct schema_compiler *c, json_object *root, const char *uri,
                                     bool main_document)
{
    const char *id = json_get_text(root, "$id");
    const char *base = id ? uri_resolve(c, uri, id) : uri;
    struct source *source = new_source(c, root, base, main_document ? NULL : uri);
    if (json_object_is_type(root, json_type_object) || json_object_is_type(root, json_type_boolean))
        return source;
    struct subschema at = {.json = root, .source = source, .pointer = ""};
    compiler_add_problem(c, &at, NULL, "a schema must be an object or a boolean");
    return NULL;
}

struct subschema *resolve_index_document(struct schema_compiler *c, struct source *source)
{
    struct subschema at = {.json = source->root, .source = source, .pointer = ""};
    const char *uri = source->document_uri ? source->document_uri : "";
    add_uri(c, source->uri, source, &at);
    if (!resolve_is_known(c, uri))
        lh_table_insert(c->by_uri, talloc_strdup(c, uri), source);
    return index_schema(c, source->root, source, "", 0);
}

const char *resolve_reference_uri(struct schema_compiler *c, const struct subschema *from,
                                  const char *reference)
{
    return uri_resolve(c, from->source->uri, reference);
}

bool resolve_is_known(struct schema_compiler *c, const char *uri)
{
    return lh_table_lookup_ex(c->by_uri, uri, NULL);
}

/* Follows a JSON pointer from the root of a resource. The pointer may lead through and to places that no
 * keyword declares as schemas; a schema found there belongs to the last resource on the path. */
static struct subschema *follow_pointer(struct schema_compiler *c, struct source *source, const char *pointer)
{
    void *found;
    bool exists;
    struct subschema *last = lh_table_lookup_ex(c->by_json, source->root, &found) ? found : NULL;
    for (const char *p = pointer; last; p += 1 + strcspn(p + 1, "/")) {
        char *head = talloc_strndup(c, pointer, (size_t)(p - pointer));
        json_object *at = json_find(source->root, head, &exists);
        if (!exists)
            return NULL;
        if (at && lh_table_lookup_ex(c->by_json, at, &found))
            last = found;
        if (*p)
            continue;
        const char *root_pointer = last->source == source ? "" : last->pointer;
        return last->json == at
                   ? last
                   : index_schema(c, at, last->source, talloc_asprintf(c, "%s%s", root_pointer, pointer), 0);
    }
    return NULL;
}

struct subschema *resolve_reference(struct schema_compiler *c, struct subschema *from, const char *keyword,
                                    const char *reference, const char **anchor_r)
{
    *anchor_r = NULL;
    const char *fragment = uri_fragment(c, reference);
    void *found = NULL;
    if (!lh_table_lookup_ex(c->by_uri, resolve_reference_uri(c, from, reference), &found))
        return NULL;
    struct source *source = found;
    if (!fragment) {
        found = NULL;
    } else if (fragment[0] == '\0' || fragment[0] == '/') {
        found = follow_pointer(c, source, fragment);
    } else {
        *anchor_r = fragment;
        lh_table_lookup_ex(source->anchors, fragment, &found);
    }
    if (!found && !c->too_large)
        compiler_add_problem(c, from, keyword, "the reference \"%s\" does not lead to a schema", reference);
    return found;
}
