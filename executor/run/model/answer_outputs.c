#define _GNU_SOURCE /* memmem */
#include "executor/run/model/answer_outputs.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <talloc.h>

#include "json/json.h"

enum {
    /* braces in the text that are tried; with MANIFEST_OUTPUT_MAX they bound the work */
    STARTS_MAX = 64,
    CANDIDATES_MAX = 16,
};

/* --- reasoning --- */

struct marks {
    const char *start, *end;
};
static const struct marks reasoning_marks[] = {
    {"<think>", "</think>"},         {"<thinking>", "</thinking>"}, {"<thought>", "</thought>"},
    {"<reasoning>", "</reasoning>"}, {"[THINK]", "[/THINK]"},       {"◁think▷", "◁/think▷"},
};
enum { MARKS_N = sizeof reasoning_marks / sizeof *reasoning_marks };

static bool is_white(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Moves *text behind white space and byte order marks. */
static void skip_white(const char **text, size_t *size)
{
    static const char mark[] = "\xef\xbb\xbf";
    while (*size > 0) {
        size_t n = is_white(**text)                                                        ? 1
                   : *size >= sizeof mark - 1 && memcmp(*text, mark, sizeof mark - 1) == 0 ? sizeof mark - 1
                                                                                           : 0;
        if (n == 0)
            return;
        *text += n;
        *size -= n;
    }
}

static const char *find_text(const char *text, size_t size, const char *word)
{
    return memmem(text, size, word, strlen(word));
}

/* The end of the first reasoning mark pair that the text begins with, or that ends in it without having
 * begun; NULL: the text has no leading reasoning. */
static const char *reasoning_end(const char *text, size_t size)
{
    for (size_t i = 0; i < MARKS_N; i++) {
        const struct marks *m = &reasoning_marks[i];
        size_t n = strlen(m->start);
        if (size < n || memcmp(text, m->start, n) != 0)
            continue;
        const char *end = find_text(text, size, m->end);
        return end ? end + strlen(m->end) : text + size;
    }
    return NULL;
}

/* The mark of an end without a start: the start was in the server's own prompt. */
static const char *lone_end(const char *text, size_t size)
{
    for (size_t i = 0; i < MARKS_N; i++) {
        const char *end = find_text(text, size, reasoning_marks[i].end);
        if (end && !find_text(text, (size_t)(end - text), reasoning_marks[i].start))
            return end + strlen(reasoning_marks[i].end);
    }
    return NULL;
}

const char *answer_without_reasoning(const char *text, size_t size, size_t *size_r)
{
    const char *end, *all = text;
    size_t all_size = size;
    bool stripped = false;
    skip_white(&text, &size);
    if (size > 0 && *text != '{' && *text != '[' && (end = lone_end(text, size))) {
        size -= (size_t)(end - text);
        text = end;
        stripped = true;
        skip_white(&text, &size);
    }
    while ((end = reasoning_end(text, size))) {
        size -= (size_t)(end - text);
        text = end;
        stripped = true;
        skip_white(&text, &size);
    }
    *size_r = stripped ? size : all_size;
    return stripped ? text : all;
}

/* --- objects in the text --- */

struct candidate {
    json_object *value;
    bool fenced;
};

struct search {
    const char *text;
    size_t size;
    struct candidate list[CANDIDATES_MAX];
    size_t n;
    /* what is wrong with an object that was meant to be JSON; NULL: there is none */
    const char *broken;
    /* of all comparisons and validations together: what one validation may take */
    struct budget budget;
    /* as json_count_values counts, of all objects together */
    size_t values;
    /* why parsing, comparing or validating the objects exceeds a limit; NULL: it does not */
    const char *limit;
};

/* The end of the object that begins at p, behind its last brace; NULL: it has no end. */
static const char *object_end(const char *p, const char *end)
{
    int depth = 0;
    bool in_string = false;
    for (; p < end; p++) {
        if (in_string && *p == '\\')
            p++;
        else if (*p == '"')
            in_string = !in_string;
        else if (!in_string && *p == '{')
            depth++;
        else if (!in_string && *p == '}' && --depth == 0)
            return p + 1;
    }
    return NULL;
}

/* Braces of prose are followed by a word; those of JSON by a quote or their end. */
static bool looks_like_object(const char *p, const char *end)
{
    for (p++; p < end && is_white(*p);)
        p++;
    return p == end || *p == '"' || *p == '\'' || *p == '}';
}

/* True if the object at p is the first text in a code fence: ```, perhaps a language, and the line's end. */
static bool is_fenced(const char *text, const char *p)
{
    while (p > text && is_white(p[-1]))
        p--;
    while (p > text && (isalnum((unsigned char)p[-1]) || p[-1] == '-' || p[-1] == '_'))
        p--;
    return p - text >= 3 && memcmp(p - 3, "```", 3) == 0;
}

static void add_candidate(struct search *s, json_object *value, bool fenced)
{
    for (size_t i = 0; i < s->n; i++) {
        if (json_equal_within(s->list[i].value, value, &s->budget)) {
            s->list[i].fenced = s->list[i].fenced || fenced;
            return;
        }
    }
    if (s->n < CANDIDATES_MAX)
        s->list[s->n++] = (struct candidate){value, fenced};
    else
        s->broken = "it holds too many JSON objects";
}

/* Parses the object at p. Returns where the search continues. */
static const char *try_object(void *ctx, struct search *s, const char *p)
{
    const char *all = s->text + s->size, *why;
    json_object *value;
    if (!looks_like_object(p, all))
        return p + 1; /* the text's own brace */
    const char *end = object_end(p, all);
    s->values += end ? json_count_values(p, (size_t)(end - p)) : 0;
    if (s->values > JSON_VALUES_MAX) {
        s->broken = s->limit = "it has more than 300000 values, of which each object counts as 3";
        return all;
    }
    enum err e = end ? json_parse(ctx, p, (size_t)(end - p), TEMPLATE_DEPTH_MAX, &value, &why) : ERR_INVALID;
    if (e == OK) {
        add_candidate(s, value, is_fenced(s->text, p));
        return end;
    }
    /* nothing within a broken object is taken for the object */
    if (!s->broken)
        s->broken = end ? why : "a JSON object in it has no end";
    return end ? end : all;
}

static void find_objects(void *ctx, struct search *s)
{
    const char *p = s->text, *end = p + s->size;
    for (int i = 0; p < end && (p = memchr(p, '{', (size_t)(end - p))); i++) {
        if (i == STARTS_MAX) {
            s->broken = "it holds too many braces";
            return;
        }
        p = try_object(ctx, s, p);
    }
}

/* --- the outputs --- */

static const char *schema_problem(void *ctx, const struct manifest *m, struct search *s, json_object *value)
{
    struct schema_problems wrong = {0};
    enum err e = schema_validate_sharing(ctx, m->outputs, value, &s->budget, &wrong);
    if (e == OK)
        return NULL;
    const char *why =
        talloc_asprintf(ctx, "the outputs do not match the manifest's schema: %s %s",
                        wrong.count ? wrong.items[0].pointer : "", wrong.count ? wrong.items[0].message : "");
    if (e == ERR_LIMIT && s->n > 1)
        why = "the JSON objects of the model's answer together exceed the limit of one validation";
    if (e == ERR_LIMIT && !s->limit)
        s->limit = why;
    return why;
}

/* The object to use; NULL: none is valid, or it cannot be told which of several. */
static json_object *choose_candidate(void *ctx, const struct manifest *m, struct search *s,
                                     const char **why_r)
{
    json_object *valid = NULL, *fenced = NULL;
    size_t valid_n = 0, fenced_n = 0;
    for (size_t i = 0; i < s->n; i++) {
        const char *why = schema_problem(ctx, m, s, s->list[i].value);
        if (why) {
            *why_r = why;
            continue;
        }
        valid = s->list[i].value;
        valid_n++;
        if (s->list[i].fenced) {
            fenced = valid;
            fenced_n++;
        }
    }
    if (valid_n > 1 && fenced_n != 1)
        *why_r = "the model's answer holds several JSON objects that match the manifest's schema";
    if (s->limit) { /* an object that was not validated may be valid as well */
        *why_r = s->limit;
        return NULL;
    }
    return valid_n == 1 ? valid : valid_n > 1 && fenced_n == 1 ? fenced : NULL;
}

/* The text as the outputs of a skill whose single output is a string; NULL otherwise. */
static json_object *wrap_text(void *ctx, const struct manifest *m, const char *text, size_t size)
{
    json_object *properties = json_get(m->outputs_document, "properties");
    if (!json_object_is_type(properties, json_type_object) || json_object_object_length(properties) != 1)
        return NULL;
    json_object *outputs = json_own(ctx, json_object_new_object());
    json_object_object_foreach(properties, name, schema)
    {
        const char *type = json_get_text(schema, "type");
        if (!type || strcmp(type, "string") != 0)
            return NULL;
        json_object_object_add(outputs, name, json_object_new_string_len(text, (int)size));
    }
    return outputs;
}

/* A list, or a code fence without an object, was meant to be JSON. */
static bool looks_like_json(const char *text, size_t size)
{
    skip_white(&text, &size);
    return size > 0 && (*text == '{' || *text == '[' || (size >= 3 && memcmp(text, "```", 3) == 0));
}

static json_object *wrapped_outputs(void *ctx, const struct manifest *m, struct search *s, const char **why_r)
{
    json_object *outputs =
        s->broken || looks_like_json(s->text, s->size) ? NULL : wrap_text(ctx, m, s->text, s->size);
    *why_r = s->broken ? talloc_asprintf(ctx, "the model's answer is not a single JSON object: %s", s->broken)
             : outputs ? schema_problem(ctx, m, s, outputs)
                       : "the model's answer is not a single JSON object";
    return *why_r ? NULL : outputs;
}

enum answer_verdict answer_outputs(void *ctx, const struct manifest *manifest, const char *text, size_t size,
                                   json_object **outputs_r, const char **why_r)
{
    struct search s = {.text = text, .size = size};
    s.budget.limit = (size_t)SCHEMA_BUDGET_DEFAULT * SCHEMA_CHECK_UNITS;
    skip_white(&text, &size);
    *outputs_r = NULL;
    *why_r = NULL;
    bool whole = size > 0 && *text == '{' && object_end(text, text + size);
    if (!whole)
        s.text = answer_without_reasoning(s.text, s.size, &s.size);
    text = s.text;
    size = s.size;
    skip_white(&text, &size);
    if (size == 0) {
        *why_r = "the model's answer is empty";
        return ANSWER_EMPTY;
    }
    if (s.size > MANIFEST_OUTPUT_MAX) {
        *why_r = "the model's answer is larger than 1 MiB";
        return ANSWER_UNUSABLE;
    }
    find_objects(ctx, &s);
    *outputs_r =
        s.n > 0 ? choose_candidate(ctx, manifest, &s, why_r) : wrapped_outputs(ctx, manifest, &s, why_r);
    if (*outputs_r)
        *why_r = NULL;
    return *outputs_r ? ANSWER_OK : s.limit ? ANSWER_LIMIT : ANSWER_UNUSABLE;
}
