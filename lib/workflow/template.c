#include "workflow/template.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/uri.h"
#include "workflow/template_url.h"
#include "json/json.h"

enum node_kind { NODE_LITERAL, NODE_REFERENCE, NODE_TEXT, NODE_ARRAY, NODE_OBJECT };

struct template_node {
    enum node_kind kind;
    /* of NODE_LITERAL; NULL is JSON null */
    json_object *literal;
    size_t literal_size;
    int literal_depth;
    /* units of a budget to copy it */
    size_t literal_units;
    /* of NODE_TEXT; NODE_REFERENCE has one */
    struct template_part *parts;
    size_t part_count;
    /* of NODE_ARRAY and NODE_OBJECT */
    struct template_node *children;
    /* of NODE_OBJECT; the sizes are those of the keys as JSON, with quotes and colon */
    const char **keys;
    size_t *key_sizes;
    size_t child_count;
};

struct json_template {
    struct template_node root;
    enum template_form form;
    /* 1 << enum reference_root, for each reference in the template */
    unsigned roots;
};

/* Units of a budget, measured: json-c allocates a table for each object. */
enum {
    MEASURE_NODE_UNITS = 4,
    COPY_OBJECT_UNITS = 50,
    COPY_MEMBER_UNITS = 8,
    COPY_ARRAY_UNITS = 20,
    COPY_LEAF_UNITS = 8,
    REFERENCE_UNITS = 10,
    /* of a value that json-c writes, for each byte */
    WRITE_BYTE_UNITS = 2,
};

/* --- measuring ------------------------------------------------------------------------------------------ */

/* The size of a string as json-c writes it, quotes included. */
static size_t string_size(const char *text, size_t size)
{
    size_t n = size + 2;
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '"' || c == '\\')
            n += 1;
        else if (c < 0x20)
            n += strchr("\b\n\r\t\f", c) && c ? 1 : 5;
    }
    return n;
}

/* Subtracts n from *left; false if *left is smaller. */
static bool charge(size_t *left, size_t n)
{
    if (n > *left)
        return false;
    *left -= n;
    return true;
}

/* What a measurement may still use. */
struct measure {
    /* bytes of JSON */
    size_t left;
    /* units of work for a copy of what was measured */
    size_t copy_units;
    struct budget *budget;
};

/* Units to add a member whose name has `size` bytes to an object. */
static size_t member_units(size_t size)
{
    return COPY_MEMBER_UNITS + size / BUDGET_SCANNED_BYTES_PER_UNIT;
}

/* The size of an integer as json-c writes it. */
static size_t integer_size(json_object *value)
{
    int64_t i = json_object_get_int64(value);
    uint64_t magnitude = i < 0 ? 0 - (uint64_t)i : json_object_get_uint64(value);
    size_t n = i < 0 ? 2 : 1;
    for (; magnitude >= 10; magnitude /= 10)
        n++;
    return n;
}

static bool measure_json(json_object *value, int depth, struct measure *m);

static bool measure_object(json_object *value, int depth, struct measure *m)
{
    size_t n = (size_t)json_object_object_length(value);
    m->copy_units += COPY_OBJECT_UNITS;
    if (!charge(&m->left, n ? n + 1 : 2)) /* brackets and commas */
        return false;
    json_object_object_foreach(value, key, member)
    {
        size_t size = strlen(key);
        m->copy_units += member_units(size);
        if (!budget_charge_scan(m->budget, size) || !charge(&m->left, string_size(key, size) + 1) ||
            !measure_json(member, depth, m))
            return false;
    }
    return true;
}

static bool measure_array(json_object *value, int depth, struct measure *m)
{
    size_t n = json_object_array_length(value);
    m->copy_units += COPY_ARRAY_UNITS;
    if (!charge(&m->left, n ? n + 1 : 2))
        return false;
    for (size_t i = 0; i < n; i++) {
        if (!measure_json(json_object_array_get_idx(value, i), depth, m))
            return false;
    }
    return true;
}

static bool measure_string(json_object *value, struct measure *m)
{
    size_t size = (size_t)json_object_get_string_len(value);
    m->copy_units += COPY_LEAF_UNITS + size / BUDGET_BYTES_PER_UNIT;
    /* a string is never shorter as JSON, so one that does not fit is not scanned */
    return size <= m->left && budget_charge_scan(m->budget, size) &&
           charge(&m->left, string_size(json_object_get_string(value), size));
}

/* Subtracts the size of `value` from m->left. False if it is larger, if it is nested deeper than `depth`
 * levels, or if the budget is exceeded. */
static bool measure_json(json_object *value, int depth, struct measure *m)
{
    size_t size;
    if (!budget_charge(m->budget, MEASURE_NODE_UNITS))
        return false;
    switch (json_object_get_type(value)) {
    case json_type_object:
        return depth > 0 && measure_object(value, depth - 1, m);
    case json_type_array:
        return depth > 0 && measure_array(value, depth - 1, m);
    case json_type_string:
        return measure_string(value, m);
    case json_type_null:
        return charge(&m->left, 4);
    case json_type_int:
        m->copy_units += COPY_LEAF_UNITS;
        return charge(&m->left, integer_size(value));
    default: /* doubles and booleans; json-c writes a double as it was in the source */
        m->copy_units += COPY_LEAF_UNITS;
        json_text(value, &size);
        return charge(&m->left, size);
    }
}

size_t template_json_size_within(json_object *value, size_t limit, struct budget *budget)
{
    struct measure m = {.left = limit, .budget = budget};
    return measure_json(value, TEMPLATE_DEPTH_MAX, &m) ? limit - m.left : SIZE_MAX;
}

size_t template_json_size_at_depth(json_object *value, size_t limit, int depth)
{
    struct measure m = {.left = limit};
    return measure_json(value, depth, &m) ? limit - m.left : SIZE_MAX;
}

size_t template_json_size(json_object *value, size_t limit)
{
    return template_json_size_within(value, limit, NULL);
}

/* Copies a value; json-c's deep copy does not accept NULL, which is JSON null. */
static bool copy_json(json_object *value, json_object **copy_r)
{
    *copy_r = NULL;
    return !value || json_object_deep_copy(value, copy_r, NULL) == 0;
}

/* --- compiling ------------------------------------------------------------------------------------------ */

struct template_compiler {
    /* owns everything that is compiled */
    struct json_template *t;
    const struct template_rules *rules;
    struct json_problems *problems;
};

static const char *const root_names[] = {"inputs", "steps", "item", "index", "execution", "secrets"};

static bool escapes_are_valid(const char *pointer)
{
    for (const char *p = strchr(pointer, '~'); p; p = strchr(p + 1, '~')) {
        if (p[1] != '0' && p[1] != '1')
            return false;
    }
    return true;
}

/* Parses a pointer into *r. Returns NULL, or a sentence that says what is wrong with the pointer itself. */
static const char *reference_parse(void *ctx, const char *pointer, struct reference *r)
{
    if (pointer[0] != '/')
        return talloc_asprintf(ctx, "${%s}: a reference is a JSON Pointer and must start with /", pointer);
    if (!escapes_are_valid(pointer))
        return talloc_asprintf(ctx, "${%s}: ~ is allowed only in ~0 and ~1", pointer);
    size_t n = strcspn(pointer + 1, "/");
    *r = (struct reference){.pointer = pointer, .rest = pointer + 1 + n};
    size_t root = 0;
    while (root < sizeof root_names / sizeof *root_names &&
           (strlen(root_names[root]) != n || memcmp(root_names[root], pointer + 1, n) != 0))
        root++;
    if (root == sizeof root_names / sizeof *root_names)
        return talloc_asprintf(
            ctx, "${%s}: a reference must start with /inputs, /steps, /item, /index, /execution or /secrets",
            pointer);
    r->root = (enum reference_root)root;
    if (r->root == REF_INDEX && *r->rest)
        return talloc_asprintf(ctx, "${%s}: index is a number and has no members", pointer);
    if (r->root == REF_SECRETS && (strlen(r->rest) < 2 || strpbrk(r->rest + 1, "/~")))
        return talloc_asprintf(ctx, "${%s}: a reference to a secret has the form ${/secrets/NAME}", pointer);
    return NULL;
}

/* Compiles the reference at [p, p + size) into *part. */
static bool compile_reference(struct template_compiler *c, const char *p, size_t size, const char *where,
                              struct template_part *part)
{
    if (size > TEMPLATE_POINTER_MAX || memchr(p, '\0', size)) {
        json_problems_add(c->problems, where, "a reference is longer than %d bytes or contains NUL",
                          TEMPLATE_POINTER_MAX);
        return false;
    }
    struct reference *r = talloc(c->t, struct reference);
    const char *why = reference_parse(c->t, talloc_strndup(r, p, size), r);
    if (!why && c->rules && c->rules->allow)
        why = c->rules->allow(c->rules->arg, c->t, r);
    if (why) {
        json_problems_add(c->problems, where, "%s", why);
        return false;
    }
    c->t->roots |= 1U << r->root;
    *part = (struct template_part){.reference = r};
    return true;
}

/* Splits a string into parts; adjacent literal text is one part. There is always at least one part. */
static bool compile_parts(struct template_compiler *c, const char *p, size_t size, const char *where,
                          struct template_node *node)
{
    const char *end = p + size;
    /* holds the text of all literal parts, one after the other */
    char *text = talloc_array(c->t, char, size + 1);
    node->parts = talloc_zero_array(c->t, struct template_part, 1);
    node->part_count = 0;
    struct template_part literal = {.text = text};
    while (p < end) {
        if (end - p >= 3 && memcmp(p, "$${", 3) == 0) {
            text[0] = '$', text[1] = '{';
            text += 2, p += 3, literal.size += 2;
            continue;
        }
        if (end - p < 2 || memcmp(p, "${", 2) != 0) {
            *text++ = *p++, literal.size++;
            continue;
        }
        const char *close = memchr(p, '}', (size_t)(end - p));
        if (!close) {
            json_problems_add(c->problems, where,
                              "a reference lacks its closing }; write $${ for the characters ${");
            return false;
        }
        node->parts = talloc_realloc(c->t, node->parts, struct template_part, node->part_count + 3);
        if (literal.size)
            node->parts[node->part_count++] = literal;
        if (!compile_reference(c, p + 2, (size_t)(close - p - 2), where, &node->parts[node->part_count++]))
            return false;
        p = close + 1;
        literal = (struct template_part){.text = text};
    }
    if (literal.size || !node->part_count)
        node->parts[node->part_count++] = literal;
    return true;
}

static void node_make_literal(struct template_compiler *c, struct template_node *node, json_object *value)
{
    struct measure m = {.left = SIZE_MAX};
    measure_json(value, 1, &m);
    node->kind = NODE_LITERAL;
    node->literal = json_own(c->t, value);
    node->literal_size = SIZE_MAX - m.left;
    node->literal_units = m.copy_units;
}

static bool compile_string(struct template_compiler *c, json_object *value, const char *where,
                           struct template_node *node)
{
    const char *text = json_object_get_string(value);
    if (!compile_parts(c, text, (size_t)json_object_get_string_len(value), where, node))
        return false;
    if (node->part_count > 1) {
        node->kind = NODE_TEXT;
    } else if (node->parts[0].reference) {
        node->kind = NODE_REFERENCE;
    } else {
        node_make_literal(c, node, json_object_new_string_len(node->parts[0].text, (int)node->parts[0].size));
    }
    return true;
}

static bool compile_template_node(struct template_compiler *c, json_object *value, const char *where,
                                  struct template_node *node);

static void node_alloc_children(struct template_compiler *c, struct template_node *node, size_t n)
{
    node->children = talloc_zero_array(c->t, struct template_node, n);
    node->keys = talloc_zero_array(c->t, const char *, n);
    node->key_sizes = talloc_zero_array(c->t, size_t, n);
    node->child_count = n;
}

static bool all_literal(const struct template_node *node)
{
    for (size_t i = 0; i < node->child_count; i++) {
        if (node->children[i].kind != NODE_LITERAL)
            return false;
    }
    return true;
}

static bool compile_object(struct template_compiler *c, json_object *value, const char *where,
                           struct template_node *node)
{
    bool fine = true;
    size_t i = 0;
    node->kind = NODE_OBJECT;
    node_alloc_children(c, node, (size_t)json_object_object_length(value));
    json_object_object_foreach(value, key, member)
    {
        char *below = json_pointer_join(NULL, where, key);
        node->keys[i] = talloc_strdup(c->t, key);
        node->key_sizes[i] = string_size(key, strlen(key)) + 1;
        fine = compile_template_node(c, member, below, &node->children[i++]) && fine;
        talloc_free(below);
    }
    return fine;
}

static bool compile_array(struct template_compiler *c, json_object *value, const char *where,
                          struct template_node *node)
{
    bool fine = true;
    node->kind = NODE_ARRAY;
    node_alloc_children(c, node, json_object_array_length(value));
    for (size_t i = 0; i < node->child_count; i++) {
        char *below = talloc_asprintf(NULL, "%s/%zu", where, i);
        fine =
            compile_template_node(c, json_object_array_get_idx(value, i), below, &node->children[i]) && fine;
        talloc_free(below);
    }
    return fine;
}

/* Makes a container of literals a literal. It shares the values of the children, in which $${ has been
 * replaced, and adds up their sizes: copying and measuring them again at each level would take as many times
 * as long as the document has levels. */
static void node_join_literals(struct template_compiler *c, struct template_node *node)
{
    bool array = node->kind == NODE_ARRAY;
    json_object *value = array ? json_object_new_array() : json_object_new_object();
    size_t size = node->child_count ? node->child_count + 1 : 2;
    size_t units = array ? COPY_ARRAY_UNITS : COPY_OBJECT_UNITS;
    int depth = 0;
    for (size_t i = 0; i < node->child_count; i++) {
        const struct template_node *child = &node->children[i];
        if (array)
            json_object_array_add(value, json_object_get(child->literal));
        else
            json_object_object_add(value, node->keys[i], json_object_get(child->literal));
        size += child->literal_size + (array ? 0 : node->key_sizes[i]);
        units += child->literal_units + (array ? 0 : member_units(node->key_sizes[i]));
        depth = child->literal_depth > depth ? child->literal_depth : depth;
    }
    node->kind = NODE_LITERAL;
    node->literal = json_own(c->t, value);
    node->literal_size = size;
    node->literal_units = units;
    node->literal_depth = depth + 1;
}

static bool compile_template_node(struct template_compiler *c, json_object *value, const char *where,
                                  struct template_node *node)
{
    json_object *whole;
    switch (json_object_get_type(value)) {
    case json_type_string:
        return compile_string(c, value, where, node);
    case json_type_object:
        if (!compile_object(c, value, where, node))
            return false;
        break;
    case json_type_array:
        if (!compile_array(c, value, where, node))
            return false;
        break;
    default:
        if (!copy_json(value, &whole))
            return false;
        node_make_literal(c, node, whole);
        return true;
    }
    if (all_literal(node))
        node_join_literals(c, node);
    return true;
}

/* Compiles a template of a text form: a scalar, which becomes a NODE_TEXT. */
static bool compile_text(struct template_compiler *c, json_object *value, const char *where,
                         struct template_node *node)
{
    json_type type = json_object_get_type(value);
    if (type == json_type_null || type == json_type_object || type == json_type_array) {
        json_problems_add(c->problems, where, "must be a text");
        return false;
    }
    const char *text = type == json_type_string ? json_object_get_string(value) : json_text(value, NULL);
    size_t size = type == json_type_string ? (size_t)json_object_get_string_len(value) : strlen(text);
    if (!compile_parts(c, text, size, where, node))
        return false;
    node->kind = NODE_TEXT;
    return true;
}

static bool check_form(struct template_compiler *c, struct template_node *node, const char *where)
{
    const char *why = NULL;
    if (c->t->form == TEMPLATE_URL)
        why = template_url_check(c->t, node->parts, node->part_count);
    for (size_t i = 0; !why && c->t->form == TEMPLATE_HEADER && i < node->part_count; i++) {
        const struct template_part *p = &node->parts[i];
        if (p->text && template_header_unfit(p->text, p->size))
            why = "the value of a header must not contain CR, LF or NUL";
    }
    if (why)
        json_problems_add(c->problems, where, "%s", why);
    return !why;
}

struct json_template *template_compile(void *ctx, json_object *value, enum template_form form,
                                       const char *pointer, const struct template_rules *rules,
                                       struct json_problems *problems)
{
    struct json_template *t = talloc_zero(ctx, struct json_template);
    struct template_compiler c = {.t = t, .rules = rules, .problems = problems};
    t->form = form;
    bool fine = form == TEMPLATE_VALUE
                    ? compile_template_node(&c, value, pointer, &t->root)
                    : compile_text(&c, value, pointer, &t->root) && check_form(&c, &t->root, pointer);
    if (fine)
        return t;
    talloc_free(t);
    return NULL;
}

/* --- rendering ------------------------------------------------------------------------------------------ */

struct rendering {
    /* owns the sentence `why` */
    void *ctx;
    /* freed at the end of the rendering */
    void *scratch;
    const struct template_scope *scope;
    enum template_form form;
    bool lenient;
    size_t limit;
    size_t left;
    enum err e;
    const char *why;
};

static bool render_fail(struct rendering *r, enum err e, const char *why)
{
    r->e = e;
    r->why = why;
    return false;
}

static bool render_too_large(struct rendering *r)
{
    return render_fail(r, ERR_LIMIT,
                       talloc_asprintf(r->ctx,
                                       "the result is larger than %zu bytes or nested deeper than %d levels",
                                       r->limit, TEMPLATE_DEPTH_MAX));
}

/* A charge did not fit, or what was measured was too large. */
static bool render_exceeded(struct rendering *r)
{
    if (!budget_is_exceeded(r->scope->budget))
        return render_too_large(r);
    char sentence[BUDGET_SENTENCE_SIZE];
    return render_fail(r, ERR_LIMIT, talloc_strdup(r->ctx, budget_sentence(r->scope->budget, sentence)));
}

static json_object *resolve_secret(struct rendering *r, const char *name, bool *found_r)
{
    size_t size = 0;
    const char *text = r->scope->secret ? r->scope->secret(r->scope->secret_arg, name, &size) : NULL;
    *found_r = text != NULL;
    return text ? json_own(r->scratch, json_object_new_string_len(text, (int)size)) : NULL;
}

/* The value that a reference points at, still owned by the scope. */
static json_object *resolve_in_scope(struct rendering *r, const struct reference *ref, bool *found_r)
{
    const struct template_scope *s = r->scope;
    *found_r = false;
    if (!budget_charge(s->budget, REFERENCE_UNITS))
        return NULL;
    switch (ref->root) {
    case REF_INPUTS:
        return s->inputs ? json_find_within(s->inputs, ref->rest, found_r, s->budget) : NULL;
    case REF_STEPS:
        return s->steps ? json_find_within(s->steps, ref->rest, found_r, s->budget) : NULL;
    case REF_EXECUTION:
        return s->execution ? json_find_within(s->execution, ref->rest, found_r, s->budget) : NULL;
    case REF_ITEM:
        return s->in_loop ? json_find_within(s->item, ref->rest, found_r, s->budget) : NULL;
    case REF_INDEX:
        *found_r = s->in_loop;
        return s->in_loop ? json_own(r->scratch, json_object_new_int64(s->index)) : NULL;
    case REF_SECRETS:
        return resolve_secret(r, ref->rest + 1, found_r);
    }
    return NULL;
}

static bool lookup_reference(struct rendering *r, const struct reference *ref, json_object **value_r)
{
    bool found;
    *value_r = resolve_in_scope(r, ref, &found);
    if (budget_is_exceeded(r->scope->budget))
        return render_exceeded(r);
    if (found || r->lenient)
        return true;
    return render_fail(r, ERR_NOT_FOUND,
                       talloc_asprintf(r->ctx, "the reference ${%s} finds nothing", ref->pointer));
}

/* A text under construction. It grows by doubling and never exceeds r->left. */
struct text_buffer {
    char *data;
    size_t size;
};

static bool text_add(struct rendering *r, struct text_buffer *t, const char *data, size_t size)
{
    if (size > r->left || t->size > r->left - size)
        return render_too_large(r);
    if (!budget_charge_bytes(r->scope->budget, size))
        return render_exceeded(r);
    size_t need = t->size + size + 1;
    if (!t->data || talloc_get_size(t->data) < need)
        t->data = talloc_realloc(r->scratch, t->data, char, need * 2);
    memcpy(t->data + t->size, data, size);
    t->size += size;
    t->data[t->size] = '\0';
    return true;
}

static bool text_add_value(struct rendering *r, struct text_buffer *t, json_object *value)
{
    const char *data = "null";
    size_t size = 4;
    if (json_object_is_type(value, json_type_string)) {
        data = json_object_get_string(value);
        size = (size_t)json_object_get_string_len(value);
    } else if (value) {
        /* checked first, so that json-c does not serialise something huge */
        size = template_json_size_within(value, r->left, r->scope->budget);
        if (size == SIZE_MAX || !budget_charge(r->scope->budget, size * WRITE_BYTE_UNITS))
            return render_exceeded(r);
        data = json_text(value, &size);
    }
    if (r->form != TEMPLATE_URL)
        return text_add(r, t, data, size);
    if (size > r->left)
        return render_too_large(r);
    if (!budget_charge_scan(r->scope->budget, size))
        return render_exceeded(r);
    char *encoded = talloc_strdup(r->scratch, "");
    uri_percent_encode(&encoded, data, size);
    bool fine = text_add(r, t, encoded, strlen(encoded));
    talloc_free(encoded);
    return fine;
}

static bool render_parts(struct rendering *r, const struct template_node *node, struct text_buffer *t)
{
    *t = (struct text_buffer){0};
    if (!text_add(r, t, "", 0))
        return false;
    for (size_t i = 0; i < node->part_count; i++) {
        const struct template_part *p = &node->parts[i];
        json_object *value;
        if (p->text) {
            if (!text_add(r, t, p->text, p->size))
                return false;
        } else if (!lookup_reference(r, p->reference, &value) || !text_add_value(r, t, value)) {
            return false;
        }
    }
    return true;
}

static bool render_text_node(struct rendering *r, const struct template_node *node, json_object **value_r)
{
    struct text_buffer t;
    if (!render_parts(r, node, &t))
        return false;
    bool fine = budget_charge(r->scope->budget, COPY_LEAF_UNITS) &&
                budget_charge_scan(r->scope->budget, t.size) && charge(&r->left, string_size(t.data, t.size));
    if (fine)
        *value_r = json_object_new_string_len(t.data, (int)t.size);
    talloc_free(t.data);
    return fine ? true : render_exceeded(r);
}

static bool render_reference(struct rendering *r, const struct template_node *node, int depth,
                             json_object **value_r)
{
    json_object *value;
    if (!lookup_reference(r, node->parts[0].reference, &value))
        return false;
    struct measure m = {.left = r->left, .budget = r->scope->budget};
    bool fits = measure_json(value, depth, &m);
    r->left = m.left;
    bool grows = value && value == r->scope->steps;
    if (!fits || (grows && !budget_charge(m.budget, m.copy_units)))
        return render_exceeded(r);
    if (grows && !copy_json(value, value_r))
        return render_fail(r, ERR_INTERNAL, "out of memory");
    if (!grows)
        *value_r = json_object_get(value);
    return true;
}

static bool render_node(struct rendering *r, const struct template_node *node, int depth,
                        json_object **value_r);

static bool render_children(struct rendering *r, const struct template_node *node, int depth,
                            json_object *into)
{
    for (size_t i = 0; i < node->child_count; i++) {
        json_object *child = NULL;
        if (node->kind == NODE_OBJECT && !charge(&r->left, node->key_sizes[i]))
            return render_too_large(r);
        if (!budget_charge(r->scope->budget, member_units(node->key_sizes[i])))
            return render_exceeded(r);
        if (!render_node(r, &node->children[i], depth, &child))
            return false;
        int bad = node->kind == NODE_OBJECT ? json_object_object_add(into, node->keys[i], child)
                                            : json_object_array_add(into, child);
        if (bad) {
            json_object_put(child);
            return render_fail(r, ERR_INTERNAL, "out of memory");
        }
    }
    return true;
}

/* `depth` is the number of levels that may still be opened. */
static bool render_node(struct rendering *r, const struct template_node *node, int depth,
                        json_object **value_r)
{
    *value_r = NULL;
    if (node->kind == NODE_TEXT)
        return render_text_node(r, node, value_r);
    if (node->kind == NODE_REFERENCE)
        return render_reference(r, node, depth, value_r);
    if (node->kind == NODE_LITERAL) {
        if (node->literal_depth > depth || !charge(&r->left, node->literal_size))
            return render_too_large(r);
        if (!budget_charge(r->scope->budget, node->literal_units))
            return render_exceeded(r);
        return copy_json(node->literal, value_r) ? true : render_fail(r, ERR_INTERNAL, "out of memory");
    }
    if (depth < 1 ||
        !charge(&r->left, node->child_count + 1)) /* never empty: empty containers are literals */
        return render_too_large(r);
    if (!budget_charge(r->scope->budget, node->kind == NODE_OBJECT ? COPY_OBJECT_UNITS : COPY_ARRAY_UNITS))
        return render_exceeded(r);
    json_object *into = node->kind == NODE_OBJECT ? json_object_new_object() : json_object_new_array();
    if (render_children(r, node, depth - 1, into)) {
        *value_r = into;
        return true;
    }
    json_object_put(into);
    return false;
}

static enum err render_template(void *ctx, const struct json_template *t, const struct template_scope *scope,
                                size_t limit, bool lenient, json_object **value_r, const char **why_r)
{
    struct rendering r = {.ctx = ctx,
                          .scratch = talloc_new(ctx),
                          .scope = scope,
                          .form = t->form,
                          .lenient = lenient,
                          .limit = limit,
                          .left = limit};
    json_object *value = NULL;
    bool fine = render_node(&r, &t->root, TEMPLATE_DEPTH_MAX, &value);
    *value_r = fine ? json_own(ctx, value) : NULL;
    *why_r = r.why;
    talloc_free(r.scratch);
    return fine ? OK : r.e;
}

enum err template_render(void *ctx, const struct json_template *t, const struct template_scope *scope,
                         size_t limit, json_object **value_r, const char **why_r)
{
    return render_template(ctx, t, scope, limit, false, value_r, why_r);
}

enum err template_render_lenient(void *ctx, const struct json_template *t, const struct template_scope *scope,
                                 size_t limit, json_object **value_r, const char **why_r)
{
    return render_template(ctx, t, scope, limit, true, value_r, why_r);
}

/* Checks what can be seen only in the complete text. */
static bool text_fits_form(struct rendering *r, const struct text_buffer *t)
{
    if (r->form == TEMPLATE_HEADER && template_header_unfit(t->data, t->size))
        return render_fail(r, ERR_INVALID, "the value of a header must not contain CR, LF or NUL");
    if (r->form == TEMPLATE_URL && template_url_has_dots(t->data))
        return render_fail(r, ERR_INVALID, "a value makes a path segment of the URL . or ..");
    return true;
}

enum err template_render_text(void *ctx, const struct json_template *t, const struct template_scope *scope,
                              size_t limit, char **text_r, size_t *size_r, const char **why_r)
{
    struct rendering r = {.ctx = ctx,
                          .scratch = talloc_new(ctx),
                          .scope = scope,
                          .form = t->form,
                          .limit = limit,
                          .left = limit};
    struct text_buffer text = {0};
    *text_r = NULL;
    *why_r = NULL;
    bool fine = t->form == TEMPLATE_VALUE ? render_fail(&r, ERR_INTERNAL, "the template has no text form")
                                          : render_parts(&r, &t->root, &text) && text_fits_form(&r, &text);
    if (fine) {
        *text_r = talloc_steal(ctx, text.data);
        *size_r = text.size;
    }
    *why_r = r.why;
    talloc_free(r.scratch);
    return fine ? OK : r.e;
}

/* --- questions ------------------------------------------------------------------------------------------ */

bool template_is_reference(const struct json_template *t)
{
    return t->root.part_count == 1 && t->root.parts[0].reference;
}

bool template_is_literal(const struct json_template *t, json_object **value_r)
{
    *value_r = t->root.literal;
    return t->root.kind == NODE_LITERAL;
}

bool template_refers_to(const struct json_template *t, enum reference_root root)
{
    return (t->roots >> root) & 1U;
}

json_object *template_find(void *ctx, const struct json_template *t, const struct template_scope *scope,
                           bool *found_r)
{
    struct rendering r = {.scratch = ctx, .scope = scope};
    *found_r = false;
    return template_is_reference(t) ? resolve_in_scope(&r, t->root.parts[0].reference, found_r) : NULL;
}
