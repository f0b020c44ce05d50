#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "account/credits.h"
#include "base/clock.h"
#include "blob/blob_rows.h"
#include "cli/commands.h"
#include "cli/names.h"
#include "cli/skill_package.h"
#include "store/skill.h"

enum { STATEMENT_S = 10 };

int cmd_skill_check(struct cli *cli, int argc, char **argv)
{
    const char *dir;
    const struct cli_option options[] = {{0}};
    struct package *package;
    struct manifest *m;
    if (!cli_parse(cli, argc, argv, options, &dir, 1))
        return CLI_USAGE;
    if (!cli_read_skill(cli, dir, &package, &m))
        return CLI_FAILED;
    return cli_print_line(cli, json_object_new_array(), "valid");
}

static json_object *installed_json(const struct skill_install *s, const id *skill, bool is_new)
{
    json_object *o = json_object_new_object();
    cli_add_text(o, "id", skill->text);
    cli_add_text(o, "slug", s->slug);
    cli_add_text(o, "version", s->label);
    json_object_object_add(o, "is_new", json_object_new_boolean(is_new));
    return o;
}

/* The version under which a development install is known: it differs with the content, so that an edited
 * skill is installed again without a new version number. */
static const char *development_label(struct cli *cli, const struct package *package, const struct manifest *m)
{
    enum { HEX_BYTES = 6 };
    int kept = (int)strcspn(m->version, "+");
    char hex[2 * HEX_BYTES + 1];
    for (int i = 0; i < HEX_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", package->hash[i]);
    return talloc_asprintf(cli->ctx, "%.*s%cdev.h%s", kept < 40 ? kept : 40, m->version,
                           memchr(m->version, '-', (size_t)kept) ? '.' : '-', hex);
}

static enum err write_to_blob(void *arg, const void *bytes, size_t size)
{
    return blob_write(arg, bytes, size);
}

enum err package_to_blob(struct cli *cli, struct blob_store *blobs, const struct package *package)
{
    struct blob_writer *w = blob_writer_new(cli->ctx, blobs);
    struct blob_id blob;
    if (!w)
        return ERR_INTERNAL;
    enum err e = package_archive(package, write_to_blob, w);
    if (e == OK)
        e = blob_finish(w, &blob);
    if (e == OK)
        e = blob_publish(w);
    if (e == OK)
        e = blob_keep(cli->db, &blob, 1);
    talloc_free(w);
    return e;
}

/* With an object store, the executors of other hosts get the package from there. No row names it until the
 * version is written, which comes next. */
static enum err put_package(struct cli *cli, const struct package *package)
{
    if (strcmp(cli->config->blob.store, "s3") != 0)
        return OK;
    struct blob_store *blobs = blob_store_open(cli->ctx, cli->config, NULL);
    enum err e = blobs ? package_to_blob(cli, blobs, package) : ERR_INTERNAL;
    talloc_free(blobs);
    return e;
}

static int install_package(struct cli *cli, const struct package *package, const struct manifest *m,
                           const id *workspace, bool is_development)
{
    const char *label = is_development ? development_label(cli, package, m) : m->version;
    struct skill_install s = {
        .workspace_id = *workspace,
        .skill_id = id_new(),
        .slug = m->slug,
        .label = label,
        .agentic = m->runner == RUNNER_MODEL,
        .exposed = m->expose,
        .credits = m->credits_micro,
        .manifest = {package->manifest, package->manifest_size},
        .at_ms = clock_wall_ms(),
    };
    id skill;
    bool is_new;
    memcpy(s.hash, package->hash, sizeof s.hash);
    enum err e = package_install(package, cli->config->files.dir);
    if (e == OK)
        e = put_package(cli, package);
    if (e == ERR_CONFLICT)
        return cli_fail(cli, "%s changed while it was read", package->dir);
    if (e == OK)
        e = skill_put(cli->db, &s, &skill, &is_new);
    if (e == ERR_CONFLICT)
        return cli_fail(cli,
                        "version %s %s is already installed with different files; use a new version number, "
                        "or --development",
                        m->slug, s.label);
    if (e != OK)
        return cli_fail_err(cli, e, "installing the skill");
    return cli_print_line(cli, installed_json(&s, &skill, is_new), skill.text);
}

/* A manifest may set a higher price than the configured one, but not a lower one. */
static enum err check_price(struct cli *cli, const id *workspace, const struct manifest *m,
                            struct json_problems *p)
{
    char text[CREDITS_TEXT_SIZE];
    int64_t price;
    enum err e = skill_price(cli->db, cli->ctx, workspace, m->slug, &price);
    if (e == OK && m->credits_micro != 0 && m->credits_micro < price)
        json_problems_add(p, "/credits", "must not be less than the price, %s", credits_text(price, text));
    return e;
}

int cmd_skill_install(struct cli *cli, int argc, char **argv)
{
    const char *dir;
    bool is_development = false;
    const struct cli_option options[] = {{"development", .flag_r = &is_development}, {0}};
    id workspace;
    struct package *package;
    struct manifest *m;
    struct json_problems *p = json_problems_new(cli->ctx);
    int code = cli_begin(cli, argc, argv, options, &dir, 1, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    if (!cli_read_skill(cli, dir, &package, &m))
        return CLI_FAILED;
    enum err e = check_price(cli, &workspace, m, p);
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "workspace not found: %s", workspace.text);
    if (e != OK)
        return cli_fail_err(cli, e, "installing the skill");
    if (p->total)
        return cli_skill_problems(cli, dir, p);
    return install_package(cli, package, m, &workspace, is_development);
}

int cmd_skill_list(struct cli *cli, int argc, char **argv)
{
    id workspace;
    struct skill *list;
    size_t n;
    int code = cli_begin(cli, argc, argv, NULL, NULL, 0, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = skill_list(cli->db, cli->ctx, &workspace, &list, &n);
    if (e != OK)
        return cli_fail_err(cli, e, "listing skills");
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < n; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "slug", list[i].slug);
        cli_add_text(row, "version", list[i].label);
        cli_add_text(row, "id", list[i].id.text);
        json_object_object_add(row, "is_agentic", json_object_new_boolean(list[i].agentic));
        cli_add_time(row, "installed_at", list[i].version_ms, true);
        json_object_array_add(rows, row);
    }
    return cli_print(cli, rows);
}

int cmd_skill_remove(struct cli *cli, int argc, char **argv)
{
    const char *slug;
    id workspace;
    int code = cli_begin(cli, argc, argv, NULL, &slug, 1, STATEMENT_S, &workspace);
    if (code != CLI_DONE)
        return code;
    enum err e = skill_archive(cli->db, &workspace, slug, clock_wall_ms());
    if (e == ERR_NOT_FOUND)
        return cli_fail(cli, "skill not found in this workspace: %s", slug);
    if (e != OK)
        return cli_fail_err(cli, e, "removing the skill");
    json_object *o = json_object_new_object();
    cli_add_text(o, "slug", slug);
    json_object_object_add(o, "removed", json_object_new_boolean(true));
    return cli_print_line(cli, o, "removed");
}
