/* The compiled form of a schema, as the compiler writes it and the evaluator reads it. Inner: only
 * core/schema_*.c. All of it lives in the talloc context of its struct schema and does not change once
 * schema_compile returned. */
#pragma once

#include "schema/format.h"
#include "schema/regex.h"
#include "schema/schema.h"

/* Types of values as bits; an integral number has both NUMBER and INTEGER. */
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

/* One keyword (or a group that only makes sense together) checked against one value. False: violated, and
 * told. */
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

/* properties, patternProperties and additionalProperties: one walk over the members serves all three. */
struct members {
    struct member_rule *rules; /* sorted by name */
    size_t rule_count;
    struct pattern_rule *patterns;
    size_t pattern_count;
    struct schema_node *additional; /* or NULL */
};

struct dependency {
    const char *name;
    struct name_list required; /* dependentRequired */
    struct schema_node *node;  /* dependentSchemas */
};

struct keyword {
    keyword_check *check;
    const char *text; /* what the message names: the bound as written, the pattern, the format */
    uint8_t types;    /* the values it speaks of */
    bool last;        /* unevaluated*: after all others, and only when they held */
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
            struct schema_node
                *node;        /* where the reference leads when nothing in the dynamic scope replaces it */
            const char *name; /* interned: compared as a pointer */
        } dynamic;
    };
};

struct dynamic_anchor {
    const char *name; /* interned */
    struct schema_node *node;
};

/* A schema resource: what has a URI of its own. At run time it is only needed for the dynamic scope. */
struct resource {
    struct dynamic_anchor *dynamic;
    size_t dynamic_count;
};

struct schema_node {
    const struct resource *resource;
    struct keyword *keywords;
    size_t count;
    bool never;       /* the schema `false` */
    bool needs_marks; /* has unevaluated* */
};

struct schema {
    struct schema_node *root;
    json_object *document; /* the copy that `value`s point into */
    long budget;
};
