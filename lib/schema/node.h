/* The compiled form of a schema: the compiler writes it, the evaluator reads it. Private to lib/schema. All
 * of it is owned by its struct schema and immutable after schema_compile has returned. */
#pragma once

#include "schema/format.h"
#include "schema/regex.h"
#include "schema/schema.h"

/* Types of values as bits; an integral number has the bits NUMBER and INTEGER. */
enum {
    TYPE_NULL = 1,
    TYPE_BOOLEAN = 2,
    TYPE_OBJECT = 4,
    TYPE_ARRAY = 8,
    TYPE_NUMBER = 16,
    TYPE_STRING = 32,
    TYPE_INTEGER = 64,
    TYPE_ANY = 127
};

struct schema_eval;
struct marks;
struct keyword;
struct schema_node;

/* Checks one keyword (or a group of keywords that depend on each other) against one value. Returns false if
 * the value violates it; the violation has then been recorded. */
typedef bool keyword_check(struct schema_eval *e, const struct keyword *k, json_object *value,
                           struct marks *marks);

struct node_list {
    struct schema_node **items;
    size_t count;
};

struct name_list {
    const char **items;
    size_t count;
};

struct member_rule {
    const char *name;
    struct schema_node *node;
};

struct pattern_rule {
    struct regex *regex;
    struct schema_node *node;
};

/* properties, patternProperties and additionalProperties together: one pass over the members checks all
 * three. */
struct members {
    /* sorted by name */
    struct member_rule *rules;
    size_t rule_count;
    struct pattern_rule *patterns;
    size_t pattern_count;
    /* NULL: no additionalProperties */
    struct schema_node *additional;
};

struct dependency {
    const char *name;
    /* of dependentRequired */
    struct name_list required;
    /* of dependentSchemas */
    struct schema_node *node;
};

struct keyword {
    keyword_check *check;
    /* what a message names: the bound as it was written, the pattern, the format */
    const char *text;
    /* TYPE_* bits of the values that the keyword applies to; other values are valid */
    uint8_t types;
    /* unevaluated*: checked after all other keywords, and only if those are satisfied */
    bool last;
    union {
        uint8_t type_mask;
        long double number;
        uint64_t count;
        json_object *value;
        struct regex *regex;
        format_check *format;
        struct schema_node *node;
        struct node_list nodes;
        struct name_list names;
        struct members members;
        struct {
            struct dependency *items;
            size_t count;
        } dependencies;
        struct {
            struct schema_node *test, *then, *otherwise;
        } condition;
        struct {
            struct node_list prefix;
            struct schema_node *rest;
        } items;
        struct {
            struct schema_node *node;
            uint64_t min, max;
        } contains;
        struct {
            /* the target of the reference, unless the dynamic scope replaces it */
            struct schema_node *node;
            /* interned: compared as a pointer */
            const char *name;
        } dynamic;
    };
};

struct dynamic_anchor {
    /* interned */
    const char *name;
    struct schema_node *node;
};

/* A schema resource: a schema that has its own URI. After compilation it is needed only for the dynamic
 * scope. */
struct resource {
    struct dynamic_anchor *dynamic;
    size_t dynamic_count;
};

struct schema_node {
    const struct resource *resource;
    struct keyword *keywords;
    size_t count;
    /* the schema `false`, which rejects everything */
    bool never;
    /* has unevaluatedItems or unevaluatedProperties */
    bool needs_marks;
};

struct schema {
    struct schema_node *root;
    /* the copy of the document that keywords' `value`s point into */
    json_object *document;
    /* units of work of one validation */
    long budget;
};
