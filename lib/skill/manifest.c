#include "skill/manifest.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <talloc.h>

#include "base/blobs.h"

static pthread_once_t manifest_schema_once = PTHREAD_ONCE_INIT;
/* docs/skill.schema.json, compiled once and never freed */
static struct schema *manifest_schema;

static void compile_manifest_schema(void)
{
    void *ctx = talloc_new(NULL);
    struct schema_problems problems;
    json_object *document;
    const char *why;
    for (const struct blob *b = blobs; b->name; b++) {
        if (strcmp(b->name, "docs/skill.schema.json") == 0 &&
            json_parse(ctx, b->text, b->size, JSON_DEPTH_MAX, &document, &why) == OK &&
            schema_compile(NULL, document, NULL, &manifest_schema, &problems) != OK)
            manifest_schema = NULL;
    }
    talloc_free(ctx);
}

/* Validates the document against the schema of manifests; the problems found are added to `p`. */
static enum err check_manifest_schema(void *scratch, json_object *document, struct json_problems *p)
{
    struct schema_problems found = {0};
    pthread_once(&manifest_schema_once, compile_manifest_schema);
    if (!manifest_schema)
        return ERR_INTERNAL;
    enum err e = schema_validate(scratch, manifest_schema, document, &found);
    for (size_t i = 0; e != OK && i < found.count; i++)
        json_problems_add(p, found.items[i].pointer, "%s", found.items[i].message);
    return e == OK ? OK : ERR_INVALID;
}

bool manifest_slug_fits(const char *slug)
{
    size_t n = strspn(slug, "abcdefghijklmnopqrstuvwxyz0123456789-");
    return n > 0 && n <= MANIFEST_SLUG_MAX && !slug[n] && slug[0] != '-' && slug[n - 1] != '-' &&
           strcmp(slug, "executions") != 0;
}

/* --- the parts of a manifest. The document has passed its schema, so the types are known. --- */

static struct schema *compile_part(struct manifest *m, json_object *document, const char *name,
                                   struct json_problems *p)
{
    struct schema_problems found = {0};
    struct schema *schema = NULL;
    enum err e = schema_compile(m, document, NULL, &schema, &found);
    for (size_t i = 0; e != OK && i < found.count; i++) {
        char *at = talloc_asprintf(m, "/%s%s", name, found.items[i].pointer);
        json_problems_add(p, at, "%s", found.items[i].message);
    }
    if (e != OK && found.count == 0)
        json_problems_add(p, talloc_asprintf(m, "/%s", name), "the schema is too large");
    return e == OK ? schema : NULL;
}

static const char **string_list(struct manifest *m, json_object *list, size_t *n_r)
{
    *n_r = 0;
    if (!list)
        return NULL;
    *n_r = json_object_array_length(list);
    const char **out = talloc_zero_array(m, const char *, *n_r + 1);
    for (size_t i = 0; i < *n_r; i++)
        out[i] = talloc_strdup(m, json_object_get_string(json_object_array_get_idx(list, i)));
    return out;
}

static void read_credits(struct manifest *m, json_object *document, struct json_problems *p)
{
    json_object *value = json_get(document, "credits");
    double micro = value ? json_object_get_double(value) * 1e6 : 0;
    if (fabs(micro - round(micro)) < 0.01)
        m->credits_micro = (int64_t)round(micro);
    else
        json_problems_add(p, "/credits", "must have at most 6 decimals");
}

static const char *inputs_only(void *arg, void *ctx, const struct reference *r)
{
    (void)arg;
    (void)ctx;
    return r->root == REF_INPUTS ? NULL : "only references to /inputs are allowed here";
}

static struct json_template *prompt_part(struct manifest *m, json_object *runner, const char *name,
                                         struct json_problems *p)
{
    static const struct template_rules rules = {.allow = inputs_only};
    json_object *value = json_get(runner, name);
    char *at = talloc_asprintf(m, "/runner/%s", name);
    return value ? template_compile(m, value, TEMPLATE_TEXT, at, &rules, p) : NULL;
}

static void read_model_runner(struct manifest *m, json_object *runner, struct json_problems *p)
{
    json_object *rounds = json_get(runner, "max_iterations");
    m->runner = RUNNER_MODEL;
    m->system = prompt_part(m, runner, "system", p);
    m->prompt = prompt_part(m, runner, "prompt", p);
    m->tools = string_list(m, json_get(runner, "tools"), &m->tools_n);
    m->max_iterations = rounds ? json_object_get_int(rounds) : MANIFEST_ITERATIONS_DEFAULT;
    m->max_tokens = json_object_get_int64(json_get(runner, "max_tokens"));
    if (json_get(runner, "temperature"))
        m->temperature = json_own(m, json_object_get(json_get(runner, "temperature")));
    for (size_t i = 0; i < m->tools_n; i++) {
        if (strcmp(m->tools[i], m->slug) == 0)
            json_problems_add(p, talloc_asprintf(m, "/runner/tools/%zu", i),
                              "a skill cannot be its own tool");
    }
}

/* Only argv[0] must not contain "../"; in other arguments it is up to the command. */
static void read_command_runner(struct manifest *m, json_object *runner, struct json_problems *p)
{
    m->runner = RUNNER_COMMAND;
    m->argv = string_list(m, json_get(runner, "argv"), &m->argv_n);
    m->warm = json_get(runner, "mode") && strcmp(json_get_text(runner, "mode"), "warm") == 0;
    for (size_t i = 0; i < m->argv_n; i++) {
        json_object *value = json_object_array_get_idx(json_get(runner, "argv"), i);
        if (strlen(m->argv[i]) != (size_t)json_object_get_string_len(value))
            json_problems_add(p, talloc_asprintf(m, "/runner/argv/%zu", i), "must not contain NUL");
    }
    if (strstr(m->argv[0], "../"))
        json_problems_add(p, "/runner/argv/0", "must not leave the skill's directory");
}

static const char *copy_text_member(struct manifest *m, json_object *document, const char *name,
                                    struct json_problems *p)
{
    json_object *value = json_get(document, name);
    const char *text = json_object_get_string(value);
    if (strlen(text) != (size_t)json_object_get_string_len(value))
        json_problems_add(p, talloc_asprintf(m, "/%s", name), "must not contain NUL");
    return talloc_strdup(m, text);
}

static void read_manifest_members(struct manifest *m, json_object *document, struct json_problems *p)
{
    json_object *runner = json_get(document, "runner");
    m->slug = copy_text_member(m, document, "slug", p);
    m->version = copy_text_member(m, document, "version", p);
    m->name = copy_text_member(m, document, "name", p);
    m->description = copy_text_member(m, document, "description", p);
    m->inputs_document = json_own(m, json_object_get(json_get(document, "inputs")));
    m->outputs_document = json_own(m, json_object_get(json_get(document, "outputs")));
    m->inputs = compile_part(m, m->inputs_document, "inputs", p);
    m->outputs = compile_part(m, m->outputs_document, "outputs", p);
    m->timeout_ms = json_object_get_int64(json_get(document, "timeout_seconds")) * 1000;
    m->memory_mb = json_object_get_int64(json_get(document, "memory_mb"));
    m->expose = json_object_get_boolean(json_get(document, "expose"));
    m->network = json_object_get_boolean(json_get(document, "network"));
    m->artifacts = string_list(m, json_get(document, "artifacts"), &m->artifacts_n);
    read_credits(m, document, p);
    if (!manifest_slug_fits(m->slug))
        json_problems_add(p, "/slug", "is reserved");
    if (strcmp(json_get_text(runner, "type"), "model") == 0)
        read_model_runner(m, runner, p);
    else
        read_command_runner(m, runner, p);
}

enum err manifest_compile(void *ctx, const char *text, size_t size, struct manifest **manifest_r,
                          struct json_problems *p)
{
    struct manifest *m = talloc_zero(ctx, struct manifest);
    struct json_problems *list = p ? p : json_problems_new(m);
    json_object *document;
    const char *why;
    size_t before = list->total;
    *manifest_r = m;
    if (size > MANIFEST_BYTES_MAX) {
        json_problems_add(list, "", "is larger than %d bytes", MANIFEST_BYTES_MAX);
        return ERR_INVALID;
    }
    if (json_parse(m, text, size, JSON_DEPTH_MAX, &document, &why) != OK) {
        json_problems_add(list, "", "invalid JSON: %s", why);
        return ERR_INVALID;
    }
    enum err e = check_manifest_schema(m, document, list);
    if (e == OK)
        read_manifest_members(m, document, list);
    return e == OK && list->total > before ? ERR_INVALID : e;
}
