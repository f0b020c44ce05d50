#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "cli/commands.h"
#include "schema/schema.h"

/* Exit codes of this command only: a script distinguishes three results. */
enum { VALID = 0, NOT_VALID = 1, UNUSABLE = 2 };
enum { FILE_MAX = 64 * 1024 * 1024, DEPTH_MAX = 128 };

struct schema_arguments {
    const char *schema, *instance;
    struct schema_options options;
    struct schema_registry *registry;
};

static bool add_registry(struct cli *cli, struct schema_arguments *a, const char *text)
{
    const char *equals = text ? strrchr(text, '=') : NULL;
    if (!equals || equals == text || !equals[1]) {
        cli_usage(cli, "--registry must be PREFIX=DIR");
        return false;
    }
    schema_registry_add(a->registry, talloc_strndup(cli->ctx, text, (size_t)(equals - text)), equals + 1);
    return true;
}

/* Needed because --registry may be repeated, which cli_parse does not support. */
static bool parse_arguments(struct cli *cli, int argc, char **argv, struct schema_arguments *a)
{
    a->registry = schema_registry_new(cli->ctx);
    a->options.registry = a->registry;
    for (int i = 0; i < argc; i++) {
        if (strcmp(argv[i], "--format-assertion") == 0) {
            a->options.assert_formats = true;
        } else if (strcmp(argv[i], "--registry") == 0) {
            i++;
            if (!add_registry(cli, a, i < argc ? argv[i] : NULL))
                return false;
        } else if (strncmp(argv[i], "--registry=", 11) == 0) {
            if (!add_registry(cli, a, argv[i] + 11))
                return false;
        } else if ((strncmp(argv[i], "--", 2) == 0) || (a->schema && a->instance)) {
            cli_usage(cli, "unexpected argument \"%s\"", argv[i]);
            return false;
        } else {
            *(a->schema ? &a->instance : &a->schema) = argv[i];
        }
    }
    if (!a->instance)
        cli_usage(cli, "missing argument: a schema and an instance are required");
    return a->instance != NULL;
}

/* Reads a file, or standard input for "-". NULL on an error, or if it is larger than FILE_MAX. */
static char *read_json_text(void *ctx, const char *path, size_t *size_r)
{
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    if (!f)
        return NULL;
    char *text = NULL;
    size_t size = 0;
    size_t n = 0;
    do {
        size += n;
        text = talloc_realloc_size(ctx, text, size + 64 * 1024);
        n = fread(text + size, 1, 64 * 1024, f);
    } while (n > 0 && size <= FILE_MAX);
    bool failed = ferror(f) || size > FILE_MAX;
    if (f != stdin)
        fclose(f);
    *size_r = size;
    return failed ? NULL : text;
}

static bool read_json_file(struct cli *cli, const char *path, json_object **value_r)
{
    size_t size;
    const char *why = "cannot be read, or is larger than 64 MiB";
    char *text = read_json_text(cli->ctx, path, &size);
    if (text && json_parse(cli->ctx, text, size, DEPTH_MAX, value_r, &why) == OK)
        return true;
    cli_fail(cli, "%s: %s", path, why);
    return false;
}

/* Prints one line per problem: file, pointer (# for the root), message. Returns `code`. */
static int report_problems(struct cli *cli, int code, const char *path,
                           const struct schema_problems *problems)
{
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < problems->count; i++) {
        const struct schema_problem *p = &problems->items[i];
        json_object *row = json_object_new_object();
        cli_add_text(row, "pointer", p->pointer);
        cli_add_text(row, "message", p->message);
        json_object_array_add(list, row);
        if (!cli->json)
            fprintf(code == UNUSABLE ? stderr : stdout, "%s: #%s: %s\n", path, p->pointer, p->message);
    }
    json_object *answer = json_object_new_object();
    json_object_object_add(answer, "valid", code == UNUSABLE ? NULL : json_object_new_boolean(code == VALID));
    cli_add_text(answer, "file", path);
    json_object_object_add(answer, "problems", list);
    if (cli->json || code == VALID)
        cli_print_line(cli, answer, "valid");
    else
        json_object_put(answer);
    return code;
}

int cmd_schema_validate(struct cli *cli, int argc, char **argv)
{
    struct schema_arguments a = {0};
    json_object *schema_json;
    json_object *instance;
    struct schema *schema;
    struct schema_problems problems;
    if (!parse_arguments(cli, argc, argv, &a))
        return CLI_USAGE;
    if (!read_json_file(cli, a.schema, &schema_json) || !read_json_file(cli, a.instance, &instance))
        return UNUSABLE;
    if (schema_compile(cli->ctx, schema_json, &a.options, &schema, &problems) != OK)
        return report_problems(cli, UNUSABLE, a.schema, &problems);
    enum err e = schema_validate(cli->ctx, schema, instance, &problems);
    int code = e == OK ? VALID : e == ERR_INVALID ? NOT_VALID : UNUSABLE;
    return report_problems(cli, code, a.instance, &problems);
}
