#include "schema/keywords.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "schema/evaluate.h"
#include "schema/metaschema.h"
#include "schema/resolve.h"

enum { KEYWORDS_MAX = 48, TEXT_MAX = 200 };

struct keyword_spec;
/* Compiles one keyword. Returns false if there is nothing to check, or if a problem was added. */
typedef bool keyword_build(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                           json_object *value, struct keyword *k);

struct keyword_spec {
    const char *name;
    keyword_build *build;
    keyword_check *check;
    /* VOCAB_* bits; any of them enables the keyword */
    unsigned vocabulary;
    /* TYPE_* bits of the values that it applies to */
    uint8_t types;
};

static bool keyword_invalid(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                            const char *expected)
{
    compiler_add_problem(c, p, row->name, "must be %s", expected);
    return false;
}

/* A value as shown in a message: compact JSON, cut at a character boundary after at most TEXT_MAX bytes. */
static const char *shown_value(struct schema_compiler *c, json_object *value)
{
    size_t size;
    const char *text = json_text(value, &size);
    if (size <= TEXT_MAX)
        return talloc_strdup(c->schema, text);
    return talloc_asprintf(c->schema, "%.*s…", (int)utf8_cut(text, size, TEXT_MAX), text);
}

static const struct {
    const char *name;
    uint8_t bit;
    const char *article;
} type_names[] = {
    {"null", TYPE_NULL, ""},          {"boolean", TYPE_BOOLEAN, "a "}, {"object", TYPE_OBJECT, "an "},
    {"array", TYPE_ARRAY, "an "},     {"number", TYPE_NUMBER, "a "},   {"string", TYPE_STRING, "a "},
    {"integer", TYPE_INTEGER, "an "},
};

static bool add_type(struct schema_compiler *c, json_object *name, struct keyword *k, const char *separator)
{
    const char *text = json_plain(name);
    for (size_t i = 0; text && i < sizeof type_names / sizeof type_names[0]; i++) {
        if (strcmp(type_names[i].name, text) != 0)
            continue;
        k->type_mask |= type_names[i].bit;
        k->text = talloc_asprintf(c->schema, "%s%s%s%s", k->text, separator, type_names[i].article, text);
        return true;
    }
    return false;
}

static bool build_type(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                       json_object *value, struct keyword *k)
{
    k->text = "";
    if (json_object_is_type(value, json_type_string))
        return add_type(c, value, k, "") || keyword_invalid(c, p, row, "one of the seven types");
    if (!json_object_is_type(value, json_type_array))
        return keyword_invalid(c, p, row, "a type or a list of types");
    size_t count = json_object_array_length(value);
    for (size_t i = 0; i < count; i++) {
        const char *separator = i == 0 ? "" : i + 1 < count ? ", " : " or ";
        if (!add_type(c, json_object_array_get_idx(value, i), k, separator))
            return keyword_invalid(c, p, row, "a list of the seven types");
    }
    return count > 0;
}

static bool build_value(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                        json_object *value, struct keyword *k)
{
    k->value = value;
    k->text = shown_value(c, value);
    return row->check != assert_enum || json_object_is_type(value, json_type_array) ||
           keyword_invalid(c, p, row, "a list");
}

static bool build_number(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                         json_object *value, struct keyword *k)
{
    if (!(eval_type(value) & TYPE_NUMBER))
        return keyword_invalid(c, p, row, "a number");
    int64_t i = json_object_get_int64(value);
    k->text = shown_value(c, value);
    if (json_object_is_type(value, json_type_double))
        k->number = json_object_get_double(value);
    else
        k->number = i < 0 ? (long double)i : (long double)json_object_get_uint64(value);
    return true;
}

static bool build_multiple_of(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                              json_object *value, struct keyword *k)
{
    if (!build_number(c, p, row, value, k))
        return false;
    if (!(k->number > 0))
        return keyword_invalid(c, p, row, "a number above 0");
    k->value = value;
    return true;
}

static bool read_count(json_object *value, uint64_t *count_r)
{
    double number = json_object_is_type(value, json_type_double) ? json_object_get_double(value) : 0;
    if (!(eval_type(value) & TYPE_INTEGER) || json_object_get_int64(value) < 0 || number < 0)
        return false;
    if (number >= 18446744073709551615.0)
        *count_r = UINT64_MAX - 1;
    else
        *count_r = number > 0 ? (uint64_t)number : json_object_get_uint64(value);
    return true;
}

static bool build_count(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                        json_object *value, struct keyword *k)
{
    return read_count(value, &k->count) || keyword_invalid(c, p, row, "an integer of 0 or more");
}

static bool compile_pattern(struct schema_compiler *c, struct subschema *p, const char *keyword,
                            const char *text, size_t size, struct regex **regex_r)
{
    const char *why;
    if (regex_compile(c->schema, text, size, regex_r, &why) == OK)
        return true;
    compiler_add_problem(c, p, keyword, "\"%s\" is not a valid regular expression: %s", text, why);
    return false;
}

static bool build_pattern(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                          json_object *value, struct keyword *k)
{
    if (!json_object_is_type(value, json_type_string))
        return keyword_invalid(c, p, row, "a string");
    k->text = shown_value(c, value);
    return compile_pattern(c, p, row->name, json_object_get_string(value),
                           (size_t)json_object_get_string_len(value), &k->regex);
}

static bool build_format(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                         json_object *value, struct keyword *k)
{
    if (!json_object_is_type(value, json_type_string))
        return keyword_invalid(c, p, row, "a string");
    if (!c->opt->assert_formats && !(p->source->vocabularies & VOCAB_FORMAT_ASSERTION))
        return false;
    k->format = format_find(json_object_get_string(value));
    k->text = talloc_strdup(c->schema, json_object_get_string(value));
    return k->format != NULL;
}

static bool build_true(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                       json_object *value, struct keyword *k)
{
    if (!json_object_is_type(value, json_type_boolean))
        return keyword_invalid(c, p, row, "true or false");
    return json_object_get_boolean(value);
}

static bool read_names(struct schema_compiler *c, json_object *value, struct name_list *names)
{
    if (!json_object_is_type(value, json_type_array))
        return false;
    names->count = json_object_array_length(value);
    names->items = talloc_array(c->schema, const char *, names->count);
    for (size_t i = 0; i < names->count; i++) {
        json_object *name = json_object_array_get_idx(value, i);
        if (!json_object_is_type(name, json_type_string))
            return false;
        names->items[i] = talloc_strdup(c->schema, json_object_get_string(name));
    }
    return true;
}

static bool build_names(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                        json_object *value, struct keyword *k)
{
    return read_names(c, value, &k->names) ? k->names.count > 0
                                           : keyword_invalid(c, p, row, "a list of strings");
}

static struct dependency *add_dependency(struct schema_compiler *c, struct keyword *k, const char *name)
{
    size_t n = k->dependencies.count++;
    k->dependencies.items = talloc_realloc(c->schema, k->dependencies.items, struct dependency, n + 1);
    k->dependencies.items[n] = (struct dependency){.name = talloc_strdup(c->schema, name)};
    return &k->dependencies.items[n];
}

static bool build_dependent_required(struct schema_compiler *c, struct subschema *p,
                                     const struct keyword_spec *row, json_object *value, struct keyword *k)
{
    if (!json_object_is_type(value, json_type_object))
        return keyword_invalid(c, p, row, "an object");
    json_object_object_foreach(value, name, list)
    {
        if (!read_names(c, list, &add_dependency(c, k, name)->required))
            return keyword_invalid(c, p, row, "an object of lists of strings");
    }
    return k->dependencies.count > 0;
}

static bool build_dependent_schemas(struct schema_compiler *c, struct subschema *p,
                                    const struct keyword_spec *row, json_object *value, struct keyword *k)
{
    if (!json_object_is_type(value, json_type_object))
        return keyword_invalid(c, p, row, "an object");
    json_object_object_foreach(value, name, json)
    {
        struct schema_node *node = compiler_node_of_json(c, p, row->name, json);
        add_dependency(c, k, name)->node = node;
    }
    return k->dependencies.count > 0;
}

static bool build_node(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                       json_object *value, struct keyword *k)
{
    k->node = compiler_node_of_json(c, p, row->name, value);
    return true;
}

static bool build_unevaluated(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                              json_object *value, struct keyword *k)
{
    k->last = true;
    p->node->needs_marks = true;
    return build_node(c, p, row, value, k);
}

static bool read_nodes(struct schema_compiler *c, struct subschema *p, const char *keyword,
                       json_object *value, struct node_list *nodes)
{
    if (!json_object_is_type(value, json_type_array))
        return false;
    nodes->count = json_object_array_length(value);
    nodes->items = talloc_array(c->schema, struct schema_node *, nodes->count);
    for (size_t i = 0; i < nodes->count; i++)
        nodes->items[i] = compiler_node_of_json(c, p, keyword, json_object_array_get_idx(value, i));
    return true;
}

static bool build_nodes(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                        json_object *value, struct keyword *k)
{
    return read_nodes(c, p, row->name, value, &k->nodes) || keyword_invalid(c, p, row, "a list of schemas");
}

/* Compiles if, then and else together; then and else have no effect without if. */
static bool build_condition(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                            json_object *value, struct keyword *k)
{
    json_object *then;
    json_object *otherwise;
    k->condition.test = compiler_node_of_json(c, p, "if", value);
    if (json_object_object_get_ex(p->json, "then", &then))
        k->condition.then = compiler_node_of_json(c, p, "then", then);
    if (json_object_object_get_ex(p->json, "else", &otherwise))
        k->condition.otherwise = compiler_node_of_json(c, p, "else", otherwise);
    return true;
}

static int compare_rules(const void *a, const void *b)
{
    return strcmp(((const struct member_rule *)a)->name, ((const struct member_rule *)b)->name);
}

static void read_rules(struct schema_compiler *c, struct subschema *p, json_object *value, struct members *m)
{
    m->rules = talloc_array(c->schema, struct member_rule, (size_t)json_object_object_length(value));
    json_object_object_foreach(value, name, json)
    {
        struct schema_node *node = compiler_node_of_json(c, p, "properties", json);
        m->rules[m->rule_count++] = (struct member_rule){talloc_strdup(c->schema, name), node};
    }
    qsort(m->rules, m->rule_count, sizeof *m->rules, compare_rules);
}

static void read_patterns(struct schema_compiler *c, struct subschema *p, json_object *value,
                          struct members *m)
{
    m->patterns = talloc_array(c->schema, struct pattern_rule, (size_t)json_object_object_length(value));
    json_object_object_foreach(value, text, json)
    {
        struct schema_node *node = compiler_node_of_json(c, p, "patternProperties", json);
        struct regex *regex;
        if (compile_pattern(c, p, "patternProperties", text, strlen(text), &regex))
            m->patterns[m->pattern_count++] = (struct pattern_rule){regex, node};
    }
}

/* Compiles properties, patternProperties and additionalProperties together; `value` belongs to the first of
 * them that is present. */
static bool build_members(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                          json_object *value, struct keyword *k)
{
    json_object *properties;
    json_object *patterns;
    json_object *additional;
    if (json_object_object_get_ex(p->json, "properties", &properties)) {
        if (!json_object_is_type(properties, json_type_object))
            return keyword_invalid(c, p, row, "an object of schemas");
        read_rules(c, p, properties, &k->members);
    }
    if (json_object_object_get_ex(p->json, "patternProperties", &patterns)) {
        if (!json_object_is_type(patterns, json_type_object))
            return keyword_invalid(c, p, row, "an object of schemas");
        read_patterns(c, p, patterns, &k->members);
    }
    if (json_object_object_get_ex(p->json, "additionalProperties", &additional))
        k->members.additional = compiler_node_of_json(c, p, "additionalProperties", additional);
    return true;
}

/* Compiles prefixItems and items together. */
static bool build_items(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                        json_object *value, struct keyword *k)
{
    json_object *prefix;
    json_object *rest;
    if (json_object_object_get_ex(p->json, "prefixItems", &prefix) &&
        !read_nodes(c, p, "prefixItems", prefix, &k->items.prefix))
        return keyword_invalid(c, p, row, "a list of schemas");
    if (json_object_object_get_ex(p->json, "items", &rest))
        k->items.rest = compiler_node_of_json(c, p, "items", rest);
    return true;
}

static bool build_contains(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                           json_object *value, struct keyword *k)
{
    json_object *bound;
    bool counted = p->source->vocabularies & VOCAB_VALIDATION;
    k->contains.node = compiler_node_of_json(c, p, row->name, value);
    k->contains.min = 1;
    k->contains.max = UINT64_MAX;
    if (counted && json_object_object_get_ex(p->json, "minContains", &bound) &&
        !read_count(bound, &k->contains.min))
        compiler_add_problem(c, p, "minContains", "must be an integer of 0 or more");
    if (counted && json_object_object_get_ex(p->json, "maxContains", &bound) &&
        !read_count(bound, &k->contains.max))
        compiler_add_problem(c, p, "maxContains", "must be an integer of 0 or more");
    return true;
}

static bool build_reference(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                            json_object *value, struct keyword *k)
{
    const char *anchor;
    if (!json_object_is_type(value, json_type_string))
        return keyword_invalid(c, p, row, "a string");
    struct subschema *target = resolve_reference(c, p, row->name, json_object_get_string(value), &anchor);
    if (!target)
        return false;
    k->node = compiler_node(c, target);
    return true;
}

/* $dynamicRef is dynamic only if its initial target has a $dynamicAnchor of that name; otherwise it behaves
 * like $ref. */
static bool build_dynamic(struct schema_compiler *c, struct subschema *p, const struct keyword_spec *row,
                          json_object *value, struct keyword *k)
{
    const char *anchor;
    if (!json_object_is_type(value, json_type_string))
        return keyword_invalid(c, p, row, "a string");
    struct subschema *target = resolve_reference(c, p, row->name, json_object_get_string(value), &anchor);
    if (!target)
        return false;
    struct schema_node *node = compiler_node(c, target);
    if (anchor && target->dynamic_name && strcmp(target->dynamic_name, anchor) == 0) {
        k->dynamic.node = node;
        k->dynamic.name = target->dynamic_name;
    } else {
        k->check = apply_reference;
        k->node = node;
    }
    return true;
}

#define V VOCAB_VALIDATION
#define A VOCAB_APPLICATOR
#define U VOCAB_UNEVALUATED
#define F (VOCAB_FORMAT_ANNOTATION | VOCAB_FORMAT_ASSERTION)

/* In the order of evaluation: cheap keywords first, unevaluated* last. */
static const struct keyword_spec rows[] = {
    {"type", build_type, assert_type, V, TYPE_ANY},
    {"const", build_value, assert_const, V, TYPE_ANY},
    {"enum", build_value, assert_enum, V, TYPE_ANY},
    {"minimum", build_number, assert_minimum, V, TYPE_NUMBER},
    {"maximum", build_number, assert_maximum, V, TYPE_NUMBER},
    {"exclusiveMinimum", build_number, assert_exclusive_minimum, V, TYPE_NUMBER},
    {"exclusiveMaximum", build_number, assert_exclusive_maximum, V, TYPE_NUMBER},
    {"multipleOf", build_multiple_of, assert_multiple_of, V, TYPE_NUMBER},
    {"minLength", build_count, assert_min_length, V, TYPE_STRING},
    {"maxLength", build_count, assert_max_length, V, TYPE_STRING},
    {"pattern", build_pattern, assert_pattern, V, TYPE_STRING},
    {"format", build_format, assert_format, F, TYPE_STRING},
    {"minItems", build_count, assert_min_items, V, TYPE_ARRAY},
    {"maxItems", build_count, assert_max_items, V, TYPE_ARRAY},
    {"uniqueItems", build_true, assert_unique_items, V, TYPE_ARRAY},
    {"minProperties", build_count, assert_min_properties, V, TYPE_OBJECT},
    {"maxProperties", build_count, assert_max_properties, V, TYPE_OBJECT},
    {"required", build_names, assert_required, V, TYPE_OBJECT},
    {"dependentRequired", build_dependent_required, assert_dependent_required, V, TYPE_OBJECT},
    {"$ref", build_reference, apply_reference, VOCAB_CORE, TYPE_ANY},
    {"$dynamicRef", build_dynamic, apply_dynamic, VOCAB_CORE, TYPE_ANY},
    {"propertyNames", build_node, apply_names, A, TYPE_OBJECT},
    {"properties", build_members, apply_members, A, TYPE_OBJECT},
    {"patternProperties", build_members, apply_members, A, TYPE_OBJECT},
    {"additionalProperties", build_members, apply_members, A, TYPE_OBJECT},
    {"dependentSchemas", build_dependent_schemas, apply_dependent, A, TYPE_OBJECT},
    {"prefixItems", build_items, apply_items, A, TYPE_ARRAY},
    {"items", build_items, apply_items, A, TYPE_ARRAY},
    {"contains", build_contains, apply_contains, A, TYPE_ARRAY},
    {"allOf", build_nodes, apply_all, A, TYPE_ANY},
    {"anyOf", build_nodes, apply_any, A, TYPE_ANY},
    {"oneOf", build_nodes, apply_one, A, TYPE_ANY},
    {"not", build_node, apply_not, A, TYPE_ANY},
    {"if", build_condition, apply_condition, A, TYPE_ANY},
    {"unevaluatedItems", build_unevaluated, apply_unevaluated_items, U, TYPE_ARRAY},
    {"unevaluatedProperties", build_unevaluated, apply_unevaluated_members, U, TYPE_OBJECT},
};

#undef V
#undef A
#undef U
#undef F

void keywords_compile(struct schema_compiler *c, struct subschema *subschema)
{
    struct keyword list[KEYWORDS_MAX];
    struct schema_node *node = subschema->node;
    /* the builder of the previous keyword: a builder that handles a group of keywords runs once */
    keyword_build *group = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct keyword_spec *row = &rows[i];
        json_object *value;
        if (!(row->vocabulary & (subschema->source->vocabularies | VOCAB_CORE)) ||
            !json_object_object_get_ex(subschema->json, row->name, &value))
            continue;
        if ((row->build == build_members || row->build == build_items) && row->build == group)
            continue;
        group = row->build;
        struct keyword *k = &list[node->count];
        *k = (struct keyword){.check = row->check, .types = row->types};
        if (row->build(c, subschema, row, value, k))
            node->count++;
    }
    node->keywords = talloc_memdup(c->schema, list, node->count * sizeof list[0]);
}
