/* Fuzzes templates. Input: {"t": template, "i": inputs, "s": steps}. The result of rendering must be JSON of
 * the counted size and within the limit, and a URL must keep the host that was written. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "secret/redact.h"
#include "workflow/condition.h"
#include "json/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *secret(void *arg, const char *name, size_t *size_r)
{
    (void)arg;
    *size_r = strlen(name);
    return name;
}

static void need(bool held)
{
    if (!held)
        abort();
}

static void try_value(void *ctx, json_object *doc, const struct template_scope *scope)
{
    json_object *value;
    const char *why;
    struct json_template *t =
        template_compile(ctx, json_get(doc, "t"), TEMPLATE_VALUE, "", NULL, json_problems_new(ctx));
    if (!t)
        return;
    enum err e = template_render(ctx, t, scope, 4096, &value, &why);
    need(e == OK ? why == NULL : why != NULL && value == NULL);
    size_t written;
    if (e == OK) {
        json_text(value, &written);
        need(written <= 4096 && template_json_size(value, 4096) == written);
    }
    static const struct secret_value secrets[] = {{"a", 1}, {"secret", 6}};
    json_object *clean = redact_json(ctx, redactor_new(ctx, secrets, 2), value);
    need(!strstr(json_text(clean, &written), "secret"));
}

static void try_text(void *ctx, json_object *doc, const struct template_scope *scope, enum template_form form)
{
    char *text;
    size_t size;
    const char *why;
    struct json_template *t =
        template_compile(ctx, json_get(doc, "t"), form, "", NULL, json_problems_new(ctx));
    if (!t || template_render_text(ctx, t, scope, 4096, &text, &size, &why) != OK)
        return;
    need(size <= 4096 && text[size] == '\0');
    if (form == TEMPLATE_HEADER)
        need(strcspn(text, "\r\n") == size);
    if (form != TEMPLATE_URL)
        return;
    /* no value may change the authority */
    const char *written = json_object_get_string(json_get(doc, "t"));
    size_t scheme = strcspn(written, ":") + 3;
    size_t end = scheme + strcspn(written + scheme, "/?#");
    need(strlen(text) == size && size >= end && memcmp(text, written, end) == 0);
    need(!text[end] || strchr("/?#", text[end]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    json_object *doc;
    const char *why;
    if (json_parse(ctx, (const char *)data, size, JSON_DEPTH_MAX, &doc, &why) == OK) {
        struct template_scope scope = {.inputs = json_get(doc, "i"),
                                       .steps = json_get(doc, "s"),
                                       .in_loop = size % 2,
                                       .item = json_get(doc, "i"),
                                       .index = (int64_t)size,
                                       .secret = secret};
        try_value(ctx, doc, &scope);
        try_text(ctx, doc, &scope, TEMPLATE_TEXT);
        try_text(ctx, doc, &scope, TEMPLATE_HEADER);
        try_text(ctx, doc, &scope, TEMPLATE_URL);
        struct condition *c = condition_compile(ctx, json_get(doc, "t"), "", NULL, json_problems_new(ctx));
        bool holds;
        if (c)
            need((condition_eval(ctx, c, &scope, &holds, &why) == OK) == (why == NULL));
    }
    talloc_free(ctx);
    return 0;
}
