#include "command/options.h"

#include <string.h>
#include <talloc.h>

static const struct cli_option *find_option(const struct cli_option *options, const char *name, size_t size)
{
    for (; options->name; options++) {
        if (strlen(options->name) == size && memcmp(options->name, name, size) == 0)
            return options;
    }
    return NULL;
}

static const struct cli_option *find_letter(const struct cli_option *options, char letter)
{
    for (; options->name; options++) {
        if (options->letter == letter)
            return options;
    }
    return NULL;
}

static void add_value(void *ctx, struct option_values *v, const char *value)
{
    v->list = talloc_realloc(ctx, v->list, const char *, v->n + 1);
    v->list[v->n++] = value;
}

/* Parses the option at argv[*i]. Returns NULL, or what is wrong. */
static const char *parse_option(void *ctx, int argc, char **argv, int *i, const struct cli_option *options)
{
    const char *name = argv[*i] + 2;
    const char *equals = strchr(name, '=');
    const struct cli_option *o = find_option(options, name, equals ? (size_t)(equals - name) : strlen(name));
    if (!o)
        return talloc_asprintf(ctx, "unknown option %s", argv[*i]);
    if (!o->text_r && !o->values_r) {
        *o->flag_r = true;
        return NULL;
    }
    if (o->text_r && *o->text_r)
        return talloc_asprintf(ctx, "duplicate option --%s", o->name);
    if (!equals && *i + 1 == argc)
        return talloc_asprintf(ctx, "--%s requires a value", o->name);
    const char *value = equals ? equals + 1 : argv[++*i];
    if (o->values_r)
        add_value(ctx, o->values_r, value);
    else
        *o->text_r = value;
    return NULL;
}

static const char *find_missing(void *ctx, const struct cli_option *options)
{
    for (const struct cli_option *o = options; o->name; o++) {
        if (o->required && !*o->text_r)
            return talloc_asprintf(ctx, "missing option --%s", o->name);
    }
    return NULL;
}

const char *command_parse(void *ctx, int argc, char **argv, const struct cli_option *options,
                          const char **rest_r, size_t rest_least, size_t rest_most, size_t *rest_n_r)
{
    size_t rest = 0;
    for (int i = 0; i < argc; i++) {
        const struct cli_option *o = NULL;
        if (argv[i][0] == '-' && argv[i][1] && !argv[i][2])
            o = find_letter(options, argv[i][1]);
        if (o) {
            *o->flag_r = true;
        } else if (strncmp(argv[i], "--", 2) == 0) {
            const char *why = parse_option(ctx, argc, argv, &i, options);
            if (why)
                return why;
        } else if (rest == rest_most) {
            return talloc_asprintf(ctx, "unexpected argument \"%s\"", argv[i]);
        } else {
            rest_r[rest++] = argv[i];
        }
    }
    *rest_n_r = rest;
    const char *why = find_missing(ctx, options);
    return why ? why : rest < rest_least ? "missing argument" : NULL;
}
