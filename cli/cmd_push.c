/* millrace push: where the rows of the ledger are sent (lib/push/destination.h). */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "cli/commands.h"
#include "push/destination.h"
#include "secret/seal.h"
#include "webhook/endpoint.h"
#include "webhook/sign.h"

enum { STATEMENT_S = 60 };

static const char *state_of(const struct push *p)
{
    return p->paused ? "paused" : p->failures > 0 ? "failing" : "active";
}

/* The names of kinds, and whether those of later versions are sent, too. */
static void add_kinds(struct cli *cli, json_object *o, const struct push *p)
{
    cli_add_text(o, "kinds", push_kinds_text(cli->ctx, p->kinds));
    json_object_object_add(o, "all_kinds", json_object_new_boolean(p->kinds == PUSH_KINDS_ALL));
}

static json_object *push_json(struct cli *cli, const struct push *p)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "name", p->name);
    cli_add_text(o, "url", p->url);
    add_kinds(cli, o, p);
    cli_add_text(o, "auth", push_auth_name(p->auth));
    cli_add_text(o, "state", state_of(p));
    cli_add_number(o, "lag_rows", p->lag_rows);
    cli_add_number(o, "lag_seconds", p->lag_ms / 1000);
    cli_add_number(o, "set_aside", p->aside_rows);
    cli_add_number(o, "sent_rows", p->sent_rows);
    cli_add_time(o, "sent_at", p->sent_ms, p->sent_ms > 0);
    cli_add_number(o, "failures", p->failures);
    cli_add_time(o, "failing_since", p->failing_since_ms, p->failing_since_ms > 0);
    cli_add_number(o, "status", p->status);
    cli_add_text(o, "error", p->error);
    cli_add_time(o, "created_at", p->created_ms, true);
    return o;
}

int cmd_push_list(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {{0}};
    struct push *list;
    size_t n;
    if (!cli_parse(cli, argc, argv, options, NULL, 0))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = push_list(cli->db, cli->ctx, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing destinations");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++)
        json_object_array_add(rows, push_json(cli, &list[i]));
    return cli_print(cli, rows);
}

/* The first line of a file, of cli->ctx. NULL after an error message. */
static char *read_secret(struct cli *cli, const char *path)
{
    char *secret = talloc_zero_size(cli->ctx, PUSH_SECRET_MAX + 3);
    FILE *f = fopen(path, "re");
    bool ok = f && fgets(secret, PUSH_SECRET_MAX + 3, f);
    if (f)
        fclose(f);
    if (!ok) {
        cli_fail(cli, "%s cannot be read, or is empty", path);
        return NULL;
    }
    secret[strcspn(secret, "\r\n")] = '\0';
    return secret;
}

static int check_secret(struct cli *cli, const struct push *p, const char *secret)
{
    if (p->auth == PUSH_AUTH_BEARER && !push_bearer_fits(secret))
        return cli_fail(cli, "a bearer token has %d to %d visible ASCII characters", SECRET_VALUE_MIN,
                        PUSH_SECRET_MAX);
    if (p->auth == PUSH_AUTH_SIGNATURE && !webhook_secret_fits(secret))
        return cli_fail(cli, "a signing secret is whsec_ and %d to %d bytes in base64", WEBHOOK_KEY_MIN,
                        WEBHOOK_KEY_MAX);
    return CLI_DONE;
}

static int add(struct cli *cli, const struct push *p, const char *secret_path, bool from_start)
{
    uint8_t key[SECRET_KEY_SIZE] = {0};
    const char *why;
    char *secret = NULL;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    if (secret_path) {
        secret = read_secret(cli, secret_path);
        int code = secret ? check_secret(cli, p, secret) : CLI_FAILED;
        if (code != CLI_DONE)
            return code;
        if (secrets_load_key(cli->config->secrets.key_file, key, &why) != OK)
            return cli_fail(cli, "the key file %s %s", cli->config->secrets.key_file, why);
    }
    enum err e = push_add(cli->db, key, p, secret, from_start);
    sodium_memzero(key, sizeof key);
    if (secret)
        sodium_memzero(secret, strlen(secret));
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "a destination has this name already: %s", p->name);
    if (e == ERR_LIMIT)
        return cli_fail(cli, "there may be %d destinations", PUSHES_MAX);
    if (e != OK)
        return cli_fail_err(cli, e, "adding the destination");
    json_object *o = json_object_new_object();
    cli_add_text(o, "name", p->name);
    cli_add_text(o, "url", p->url);
    add_kinds(cli, o, p);
    cli_add_text(o, "auth", push_auth_name(p->auth));
    return cli_print(cli, o);
}

int cmd_push_add(struct cli *cli, int argc, char **argv)
{
    struct push p = {.kinds = PUSH_KINDS_ALL};
    const char *kinds = NULL, *bearer = NULL, *signing = NULL;
    bool from_start = false;
    const struct cli_option options[] = {
        {"url", .text_r = &p.url, .required = true}, {"kinds", .text_r = &kinds},
        {"bearer-file", .text_r = &bearer},          {"signing-file", .text_r = &signing},
        {"from-start", .flag_r = &from_start},       {0}};
    if (!cli_parse(cli, argc, argv, options, &p.name, 1))
        return CLI_USAGE;
    if (!secret_name_fits(p.name))
        return cli_usage(cli, "NAME must be 1 to %d characters of A-Z a-z 0-9 _ - .", SECRET_NAME_MAX);
    if (!webhook_url_fits(p.url))
        return cli_usage(cli, "--url must be an http or https URL without user, password and fragment");
    if (kinds && !push_kinds_parse(kinds, &p.kinds))
        return cli_usage(cli, "--kinds must be all, or names of %s, separated by commas",
                         push_kinds_text(cli->ctx, push_all_kinds()));
    if (bearer && signing)
        return cli_usage(cli, "either --bearer-file or --signing-file may be given");
    p.auth = bearer ? PUSH_AUTH_BEARER : signing ? PUSH_AUTH_SIGNATURE : PUSH_AUTH_NONE;
    return add(cli, &p, bearer ? bearer : signing, from_start);
}

static int change(struct cli *cli, int argc, char **argv, enum push_change what, const char *done)
{
    const struct cli_option options[] = {{0}};
    const char *name;
    if (!cli_parse(cli, argc, argv, options, &name, 1))
        return CLI_USAGE;
    if (!cli_open(cli, STATEMENT_S))
        return CLI_FAILED;
    enum err e = push_do(cli->db, name, what);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "no destination has this name: %s", name);
    if (e != OK)
        return cli_fail_err(cli, e, "changing the destination");
    json_object *o = json_object_new_object();
    cli_add_text(o, "name", name);
    json_object_object_add(o, done, json_object_new_boolean(true));
    return cli_print_line(cli, o, done);
}

int cmd_push_pause(struct cli *cli, int argc, char **argv)
{
    return change(cli, argc, argv, PUSH_PAUSE, "paused");
}

int cmd_push_resume(struct cli *cli, int argc, char **argv)
{
    return change(cli, argc, argv, PUSH_RESUME, "resumed");
}

int cmd_push_retry(struct cli *cli, int argc, char **argv)
{
    return change(cli, argc, argv, PUSH_RETRY, "due");
}

int cmd_push_remove(struct cli *cli, int argc, char **argv)
{
    return change(cli, argc, argv, PUSH_REMOVE, "removed");
}
