#include "cli/skill_package.h"

#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

/* The path of an argument as a file of the skill, of `p`; NULL: it is no regular file of the skill. */
static char *file_of_skill(struct json_problems *p, const char *dir, const char *arg)
{
    struct stat st;
    if (*arg == '/' || *arg == '-')
        return NULL;
    char *path = talloc_asprintf(p, "%s/%s", dir, arg);
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? path : NULL;
}

/* The command must be a file of the skill that can be executed, or a name below /usr. */
static void check_command(const char *dir, const char *command, struct json_problems *p)
{
    char *path = file_of_skill(p, dir, command);
    if (*command == '/' || (!path && !strchr(command, '/')))
        return;
    if (!path)
        json_problems_add(p, "/runner/argv/0",
                          "must name an executable file of the skill; there is no file %s", command);
    else if (access(path, X_OK) != 0)
        json_problems_add(
            p, "/runner/argv/0",
            "must name an executable file of the skill: make %s executable, or name an interpreter "
            "first, as in [\"python3\", \"./%s\"]",
            command, strncmp(command, "./", 2) == 0 ? command + 2 : command);
}

/* An interpreter runs in /work, where the files of the skill are not: only an argument that begins with "./"
 * is replaced by the file's path. */
static void check_script(const char *dir, const struct manifest *m, struct json_problems *p)
{
    size_t i = 1;
    if (file_of_skill(p, dir, m->argv[0]))
        return;
    while (i < m->argv_n && *m->argv[i] == '-')
        i++;
    if (i < m->argv_n && strncmp(m->argv[i], "./", 2) != 0 && file_of_skill(p, dir, m->argv[i]))
        json_problems_add(
            p, talloc_asprintf(p, "/runner/argv/%zu", i),
            "names a file of the skill and must begin with ./, because the command runs in another "
            "folder: \"./%s\"",
            m->argv[i]);
}

int cli_skill_problems(struct cli *cli, const char *dir, const struct json_problems *p)
{
    json_object *rows = json_object_new_array();
    for (size_t i = 0; i < p->count; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "pointer", p->list[i].pointer);
        cli_add_text(row, "message", p->list[i].message);
        json_object_array_add(rows, row);
    }
    (void)cli_print(cli, rows);
    return cli_fail(cli, "%s is not a valid skill: %zu problem%s", dir, p->total, p->total == 1 ? "" : "s");
}

bool cli_read_skill(struct cli *cli, const char *dir, struct package **package_r, struct manifest **m_r)
{
    struct json_problems *p = json_problems_new(cli->ctx);
    enum err e = package_read(cli->ctx, dir, package_r, p);
    struct package *package = *package_r;
    if (package->manifest &&
        manifest_compile(cli->ctx, package->manifest, package->manifest_size, m_r, p) == OK &&
        (*m_r)->runner == RUNNER_COMMAND) {
        check_command(dir, (*m_r)->argv[0], p);
        check_script(dir, *m_r, p);
    }
    if (e == OK && package->manifest && p->total == 0)
        return true;
    cli_skill_problems(cli, dir, p);
    return false;
}
