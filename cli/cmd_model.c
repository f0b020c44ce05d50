#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "secret/secrets.h"
#include "store/model.h"
#include "store/model_options.h"

enum { STATEMENT_S = 10 };

/* Returns the first line of a file; NULL after an error message. */
static const char *read_api_key_file(struct cli *cli, const char *path)
{
    FILE *f = fopen(path, "re");
    char *key = talloc_zero_size(cli->ctx, SECRET_VALUE_MAX + 2);
    bool got = f && fgets(key, SECRET_VALUE_MAX + 2, f) != NULL;
    if (f)
        fclose(f);
    key[strcspn(key, "\r\n")] = '\0';
    if (got && *key && secret_value_fits(key, strlen(key)))
        return key;
    cli_fail(cli, "the first line of %s is not an API key", path);
    return NULL;
}

/* Parses dollars per million tokens into micro-dollars, by the same rules as credits: at most six decimals.
 */
static bool read_price(struct cli *cli, const char *option, const char *text, int64_t *price_r)
{
    const int64_t max = INT64_C(1000000) * 1000000;
    if (credits_parse(text ? text : "0", price_r) && *price_r >= 0 && *price_r <= max)
        return true;
    cli_usage(cli, "%s must be a number of dollars from 0 to 1000000 with at most six decimals", option);
    return false;
}

static bool model_fits(struct cli *cli, const struct model *m)
{
    json_object *options;
    const char *why;
    if (!model_alias_fits(m->alias))
        cli_usage(cli, "--alias must be 1 to %d characters of A-Z a-z 0-9 _ - . : /", MODEL_ALIAS_MAX);
    else if (!model_url_fits(m->url))
        cli_usage(cli, "--url must be http:// or https:// with a host and a path");
    else if (!*m->model || strlen(m->model) > MODEL_NAME_MAX)
        cli_usage(cli, "--model must have 1 to %d bytes", MODEL_NAME_MAX);
    else if (m->options && model_options_parse(cli->ctx, m->options, &options, &why) != OK)
        cli_usage(cli, "--options: %s", why);
    else
        return true;
    return false;
}

static json_object *model_json(const struct model *m)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "alias", m->alias);
    cli_add_text(o, "url", m->url);
    cli_add_text(o, "model", m->model);
    json_object_object_add(o, "has_key", json_object_new_boolean(m->has_key));
    cli_add_credits(o, "input_usd_per_mtok", m->input_price);
    cli_add_credits(o, "output_usd_per_mtok", m->output_price);
    json_object_object_add(o, "options", m->options ? json_tokener_parse(m->options) : NULL);
    json_object_object_add(o, "default", json_object_new_boolean(m->is_default));
    return o;
}

static int store_model(struct cli *cli, struct model *m, const char *key_file)
{
    uint8_t seal[SECRET_KEY_SIZE] = {0};
    const char *why;
    if (key_file && secrets_load_key(cli->config->secrets.key_file, seal, &why) != OK)
        return cli_fail(cli, "the key file %s %s", cli->config->secrets.key_file, why);
    enum err e = model_put(cli->db, seal, m);
    sodium_memzero(seal, sizeof seal);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "workspace not found: %s", m->workspace_id.text);
    if (e != OK)
        return cli_fail_err(cli, e, "storing the model");
    m->has_key = m->key != NULL;
    return cli_print(cli, model_json(m));
}

int cmd_model_put(struct cli *cli, int argc, char **argv)
{
    const char *workspace = NULL, *key_file = NULL, *input = NULL, *output = NULL;
    struct model m = {0};
    const struct cli_option options[] = {
        {"workspace", .text_r = &workspace},         {"alias", .text_r = &m.alias, .required = true},
        {"url", .text_r = &m.url, .required = true}, {"model", .text_r = &m.model, .required = true},
        {"api-key-file", .text_r = &key_file},       {"input-usd-per-mtok", .text_r = &input},
        {"output-usd-per-mtok", .text_r = &output},  {"options", .text_r = &m.options},
        {"default", .flag_r = &m.is_default},        {0},
    };
    if (!cli_parse(cli, argc, argv, options, NULL, 0) || !model_fits(cli, &m) ||
        !read_price(cli, "--input-usd-per-mtok", input, &m.input_price) ||
        !read_price(cli, "--output-usd-per-mtok", output, &m.output_price))
        return CLI_USAGE;
    int code = cli_open_workspace(cli, STATEMENT_S, workspace, &m.workspace_id);
    if (code != CLI_DONE)
        return code;
    if (key_file && !(m.key = read_api_key_file(cli, key_file)))
        return CLI_FAILED;
    return store_model(cli, &m, key_file);
}

int cmd_model_list(struct cli *cli, int argc, char **argv)
{
    id workspace;
    struct model *list;
    size_t n;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = model_list(cli->db, cli->ctx, &workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing models");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, model_json(&list[i]));
    return cli_print(cli, rows);
}

int cmd_model_delete(struct cli *cli, int argc, char **argv)
{
    const char *alias;
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, &alias, 1, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = model_delete(cli->db, &workspace, alias);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "model not found in this workspace: %s", alias);
    if (e != OK)
        return cli_fail_err(cli, e, "deleting the model");
    json_object *o = json_object_new_object();
    cli_add_text(o, "alias", alias);
    json_object_object_add(o, "deleted", json_object_new_boolean(true));
    return cli_print_line(cli, o, "deleted");
}
