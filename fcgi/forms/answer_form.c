#include "fcgi/forms/answer_form.h"

#include <string.h>
#include <talloc.h>

#include "json/json_own.h"

enum {
    /* A string of at most so many characters is one line. */
    LINE_MAX = 200,
    OPTIONS_MAX = 200,
};

/* --- out of a schema --- */

static bool is_scalar(json_object *value)
{
    return !json_object_is_type(value, json_type_object) && !json_object_is_type(value, json_type_array);
}

const char *answer_option_text(json_object *option)
{
    return json_object_is_type(option, json_type_string) ? json_object_get_string(option)
                                                         : json_text(option, NULL);
}

static bool takes_options(json_object *schema, struct answer_field *f)
{
    json_object *options = json_get(schema, "enum");
    if (!json_object_is_type(options, json_type_array))
        return false;
    size_t n = json_object_array_length(options);
    for (size_t i = 0; i < n; i++) {
        json_object *option = json_object_array_get_idx(options, i);
        if (!is_scalar(option) || (json_object_is_type(option, json_type_string) && !json_plain(option)))
            return false;
    }
    f->kind = ANSWER_ENUM;
    f->options = options;
    return n > 0 && n <= OPTIONS_MAX;
}

static bool is_one_line(json_object *schema)
{
    json_object *max = json_get(schema, "maxLength");
    return json_get(schema, "format") || json_get(schema, "pattern") ||
           (json_object_is_type(max, json_type_int) && json_object_get_int64(max) <= LINE_MAX);
}

/* False if a person cannot be asked for such a value by one field. What else the schema demands is checked
 * when the answer comes. */
static bool field_of_schema(void *ctx, json_object *schema, struct answer_field *f)
{
    static const struct {
        const char *type;
        enum answer_field_kind kind;
    } kinds[] = {{"integer", ANSWER_INTEGER}, {"number", ANSWER_NUMBER}, {"boolean", ANSWER_BOOLEAN}};
    const char *type = json_get_text(schema, "type");
    json_object *preset = json_get(schema, "default");
    if (json_get_text(schema, "title"))
        f->label = json_get_text(schema, "title");
    f->hint = json_get_text(schema, "description");
    if (preset && is_scalar(preset))
        f->value = talloc_strdup(ctx, answer_option_text(preset));
    if (json_get(schema, "enum"))
        return takes_options(schema, f);
    if (!type)
        return false;
    if (strcmp(type, "string") == 0) {
        f->kind = is_one_line(schema) ? ANSWER_TEXT : ANSWER_LONG_TEXT;
        return true;
    }
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        f->kind = kinds[i].kind;
        if (strcmp(type, kinds[i].type) == 0)
            return true;
    }
    return false;
}

static bool is_listed(json_object *names, const char *name)
{
    size_t n = json_object_is_type(names, json_type_array) ? json_object_array_length(names) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *one = json_plain(json_object_array_get_idx(names, i));
        if (one && strcmp(one, name) == 0)
            return true;
    }
    return false;
}

static bool all_have_fields(const struct answer_form *form, json_object *required)
{
    size_t n = json_object_is_type(required, json_type_array) ? json_object_array_length(required) : 0;
    for (size_t i = 0; i < n; i++) {
        const char *name = json_plain(json_object_array_get_idx(required, i));
        bool found = false;
        for (size_t k = 0; k < form->fields_n && name; k++)
            found = found || strcmp(form->fields[k].name, name) == 0;
        if (!found)
            return false;
    }
    return true;
}

static bool fields_of_object(void *ctx, json_object *schema, struct answer_form *form)
{
    json_object *properties = json_get(schema, "properties"), *required = json_get(schema, "required");
    const char *type = json_get_text(schema, "type");
    if (!type || strcmp(type, "object") != 0 || !json_object_is_type(properties, json_type_object))
        return false;
    form->is_object = true;
    struct json_object_iterator at = json_object_iter_begin(properties);
    struct json_object_iterator end = json_object_iter_end(properties);
    for (; !json_object_iter_equal(&at, &end); json_object_iter_next(&at)) {
        if (form->fields_n == ANSWER_FIELDS_MAX)
            return false;
        struct answer_field *f = &form->fields[form->fields_n++];
        f->name = f->label = json_object_iter_peek_name(&at);
        f->required = is_listed(required, f->name);
        if (!field_of_schema(ctx, json_object_iter_peek_value(&at), f))
            return false;
    }
    return form->fields_n > 0 && all_have_fields(form, required);
}

static bool field_of_value(void *ctx, json_object *schema, struct answer_form *form)
{
    form->fields[0] = (struct answer_field){.name = "data", .label = "Answer", .required = true};
    form->fields_n = 1;
    return field_of_schema(ctx, schema, &form->fields[0]);
}

struct answer_form *answer_form_new(void *ctx, json_object *schema, json_object *choices)
{
    struct answer_form *form = talloc_zero(ctx, struct answer_form);
    form->choices = choices;
    if (choices)
        return form;
    if (!fields_of_object(ctx, schema, form)) {
        *form = (struct answer_form){0};
        if (!field_of_value(ctx, schema, form))
            form->fields[0] = (struct answer_field){
                .kind = ANSWER_JSON, .name = "data", .label = "Answer", .hint = "As JSON. Empty: null."};
    }
    form->title = json_get_text(schema, "title");
    form->description = json_get_text(schema, "description");
    return form;
}

/* --- reading --- */

static const char *sent(const struct query_item *items, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(items[i].name, name) == 0)
            return items[i].value;
    }
    return NULL;
}

/* Browsers send line ends as CR LF. */
static json_object *text_value(void *ctx, const char *text)
{
    char *out = talloc_strdup(ctx, text), *o = out;
    for (const char *p = text; *p; p++) {
        if (*p != '\r' || p[1] != '\n')
            *o++ = *p;
    }
    return json_own(ctx, json_object_new_string_len(out, (int)(o - out)));
}

static bool number_value(void *ctx, const struct answer_field *f, const char *text, json_object **value_r)
{
    const char *why;
    text += strspn(text, " \t");
    enum err e = json_parse(ctx, text, strlen(text), 1, value_r, &why);
    bool is_whole = json_object_is_type(*value_r, json_type_int);
    return e == OK &&
           (is_whole || (f->kind == ANSWER_NUMBER && json_object_is_type(*value_r, json_type_double)));
}

static bool option_value(const struct answer_field *f, const char *text, json_object **value_r)
{
    size_t n = json_object_array_length(f->options);
    for (size_t i = 0; i < n; i++) {
        *value_r = json_object_array_get_idx(f->options, i);
        if (strcmp(answer_option_text(*value_r), text) == 0)
            return true;
    }
    return false;
}

/* NULL: read. Otherwise what is wrong with the text, as a clause; static or of ctx. */
static const char *read_value(void *ctx, const struct answer_field *f, const char *text,
                              json_object **value_r)
{
    const char *why;
    switch (f->kind) {
    case ANSWER_INTEGER:
        return number_value(ctx, f, text, value_r) ? NULL : "must be a whole number";
    case ANSWER_NUMBER:
        return number_value(ctx, f, text, value_r) ? NULL : "must be a number";
    case ANSWER_BOOLEAN:
        *value_r = json_own(ctx, json_object_new_boolean(strcmp(text, "true") == 0));
        return strcmp(text, "true") == 0 || strcmp(text, "false") == 0 ? NULL : "must be true or false";
    case ANSWER_ENUM:
        return option_value(f, text, value_r) ? NULL : "must be one of the listed values";
    case ANSWER_JSON:
        return json_parse(ctx, text, strlen(text), JSON_DEPTH_MAX, value_r, &why) == OK
                   ? NULL
                   : talloc_asprintf(ctx, "is not JSON: %s", why);
    default:
        *value_r = text_value(ctx, text);
        return NULL;
    }
}

static bool is_text(const struct answer_field *f)
{
    return f->kind == ANSWER_TEXT || f->kind == ANSWER_LONG_TEXT;
}

/* An empty field is absent, except that a required text is empty. */
static bool is_absent(const struct answer_field *f)
{
    return !f->value || (!*f->value && f->kind != ANSWER_ENUM && !(is_text(f) && f->required)) ||
           (!*f->value && f->kind == ANSWER_ENUM && !f->required);
}

static bool read_choice(const struct answer_form *form, const struct query_item *items, size_t n,
                        json_object **data_r, struct json_problems *problems)
{
    const char *text = sent(items, n, "choice");
    char number[24];
    size_t choices_n = json_object_array_length(form->choices);
    for (size_t i = 0; text && i < choices_n; i++) {
        snprintf(number, sizeof number, "%zu", i);
        if (strcmp(number, text) != 0)
            continue;
        *data_r = json_get(json_object_array_get_idx(form->choices, i), "data");
        return true;
    }
    json_problems_add(problems, "/choice", "must be the number of one of the answers");
    return false;
}

bool answer_form_offers(const struct answer_form *form, json_object *data, struct json_problems *problems)
{
    size_t n = form->choices ? json_object_array_length(form->choices) : 0;
    for (size_t i = 0; i < n; i++) {
        if (json_equal(json_get(json_object_array_get_idx(form->choices, i), "data"), data))
            return true;
    }
    if (form->choices)
        json_problems_add(problems, "", "must be the data of one of the choices");
    return !form->choices;
}

bool answer_form_read(void *ctx, struct answer_form *form, const struct query_item *items, size_t n,
                      json_object **data_r, struct json_problems *problems)
{
    size_t before = problems->total;
    *data_r = NULL;
    if (form->choices)
        return read_choice(form, items, n, data_r, problems);
    json_object *object = form->is_object ? json_own(ctx, json_object_new_object()) : NULL;
    for (size_t i = 0; i < form->fields_n; i++) {
        struct answer_field *f = &form->fields[i];
        json_object *value = NULL;
        f->value = sent(items, n, f->name);
        if (is_absent(f)) {
            if (f->required)
                json_problems_add(problems, json_pointer_join(ctx, "", f->name), "is required");
            continue;
        }
        const char *why = read_value(ctx, f, f->value, &value);
        if (why)
            json_problems_add(problems, json_pointer_join(ctx, "", f->name), "%s", why);
        else if (object)
            json_object_object_add(object, f->name, json_object_get(value));
        else
            *data_r = value;
    }
    if (object)
        *data_r = object;
    return problems->total == before;
}
