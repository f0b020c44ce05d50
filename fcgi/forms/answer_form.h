/* The form by which a person answers a wait for a signal: made out of the choices of a ticket or the JSON
 * Schema of the wait; read as data of the signal. docs/api.md, "Tickets for signals", has the mapping. */
#pragma once

#include "base/err.h"
#include "fcgi/http/request.h"
#include "json/json.h"
#include "json/json_problems.h"

enum {
    ANSWER_FIELDS_MAX = 50,
    ANSWER_CHOICES_N = 20,
    /* Octets of the label of a choice. */
    ANSWER_LABEL_MAX = 200,
};

enum answer_field_kind {
    /* One line; many lines. */
    ANSWER_TEXT,
    ANSWER_LONG_TEXT,
    ANSWER_INTEGER,
    ANSWER_NUMBER,
    ANSWER_BOOLEAN,
    /* One of `options`. */
    ANSWER_ENUM,
    /* JSON as text. */
    ANSWER_JSON,
};

struct answer_field {
    enum answer_field_kind kind;
    /* Of the form's field; for people; NULL: no hint. */
    const char *name, *label, *hint;
    bool required;
    /* Of ANSWER_ENUM: an array. */
    json_object *options;
    /* What it begins with: as sent before, or the default of the schema; NULL: empty. */
    const char *value;
};

struct answer_form {
    /* An array of {"label", "data"}: one button each, and no fields. NULL: none. */
    json_object *choices;
    struct answer_field fields[ANSWER_FIELDS_MAX];
    size_t fields_n;
    /* The fields are the members of an object; otherwise the only field is the data. */
    bool is_object;
    /* Of the schema; NULL: none. */
    const char *title, *description;
};

/* Makes the form; all texts are of ctx or borrowed from the values. NULL: no schema, no choices. */
struct answer_form *answer_form_new(void *ctx, json_object *schema, json_object *choices);

/* Reads the data out of the fields that were sent, and keeps these in the form. False: problems were added. A
 * JSON null is NULL. The data is of ctx. */
bool answer_form_read(void *ctx, struct answer_form *form, const struct query_item *items, size_t n,
                      json_object **data_r, struct json_problems *problems) WARN_UNUSED;

/* Data that came as JSON: if the form has choices, it must equal the data of one of them (json_equal). False:
 * a problem was added. */
bool answer_form_offers(const struct answer_form *form, json_object *data,
                        struct json_problems *problems) WARN_UNUSED;

/* The text of an option of ANSWER_ENUM in a form: a string as it is, anything else as JSON. */
const char *answer_option_text(json_object *option);
