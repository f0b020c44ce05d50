/* millrace skill run: runs the command of a skill on this machine, in the sandbox of the executors, without
 * MariaDB and without installing it. The sandbox, its limits and the checks of inputs and outputs are those
 * of a real run. */
#define _GNU_SOURCE /* basename */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/skill_package.h"
#include "command/table.h"
#include "skill/runner_job.h"

enum {
    FILES_MAX = 64,
    /* far above the uids of the executors' slots, so that ending this run's processes ends nobody else's */
    UID_ABOVE_BASE = 900000,
    UID_BASE_DEFAULT = 200000,
    LINE_MAX_BYTES = 4 * 1024 * 1024,
};

struct local_run {
    const char *dir, *inputs_text;
    const char *files[FILES_MAX];
    size_t files_n;
    bool keep;
    struct package *package;
    struct manifest *manifest;
    /* temporary folder: skills/, run/ and job.json */
    char *folder;
    char *run_dir;
    char *runner;
};

/* --- arguments --- */

static bool add_file(struct cli *cli, struct local_run *run, const char *path)
{
    char *full = path ? realpath(path, NULL) : NULL;
    struct stat st;
    bool ok = full && stat(full, &st) == 0 && S_ISREG(st.st_mode) && run->files_n < FILES_MAX;
    if (ok)
        run->files[run->files_n++] = talloc_strdup(cli->ctx, full);
    else if (!path)
        cli_usage(cli, "--file requires a value");
    else if (run->files_n == FILES_MAX)
        cli_usage(cli, "--file may be given %d times at most", FILES_MAX);
    else
        cli_usage(cli, "--file %s: %s", path, full ? "is not a regular file" : strerror(errno));
    free(full);
    return ok;
}

/* Needed because --file may be repeated, which cli_parse does not support. */
static bool take_files(struct cli *cli, int *argc, char **argv, struct local_run *run)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        if (strncmp(argv[i], "--file=", 7) == 0) {
            if (!add_file(cli, run, argv[i] + 7))
                return false;
        } else if (strcmp(argv[i], "--file") == 0) {
            i++;
            if (!add_file(cli, run, i < *argc ? argv[i] : NULL))
                return false;
        } else {
            argv[kept++] = argv[i];
        }
    }
    *argc = kept;
    return true;
}

/* Reads the inputs: JSON, or @FILE. False after an error message. */
static bool read_inputs(struct cli *cli, struct local_run *run)
{
    if (run->inputs_text && *run->inputs_text == '@') {
        char *text = talloc_zero_size(cli->ctx, JSON_BODY_MAX + 2);
        FILE *f = fopen(run->inputs_text + 1, "re");
        size_t n = f ? fread(text, 1, JSON_BODY_MAX + 1, f) : 0;
        if (f)
            fclose(f);
        if (!f || n > JSON_BODY_MAX) {
            cli_fail(cli, "%s cannot be read, or is larger than 1 MiB", run->inputs_text + 1);
            return false;
        }
        run->inputs_text = text;
    }
    return true;
}

static bool check_inputs(struct cli *cli, struct local_run *run)
{
    json_object *value;
    const char *why;
    struct schema_problems wrong = {0};
    const char *text = run->inputs_text ? run->inputs_text : "{}";
    run->inputs_text = text;
    if (json_parse(cli->ctx, text, strlen(text), JSON_DEPTH_MAX, &value, &why) != OK) {
        cli_fail(cli, "--inputs: invalid JSON: %s", why);
        return false;
    }
    if (schema_validate(cli->ctx, run->manifest->inputs, value, &wrong) == OK)
        return true;
    json_object *list = json_object_new_array();
    for (size_t i = 0; i < wrong.count; i++) {
        json_object *row = json_object_new_object();
        cli_add_text(row, "pointer", wrong.items[i].pointer);
        cli_add_text(row, "message", wrong.items[i].message);
        json_object_array_add(list, row);
    }
    (void)cli_print(cli, list);
    cli_fail(cli, "the inputs do not match the schema of the skill");
    return false;
}

/* --- the job --- */

/* The uid that the sandbox needs if this process is root. Settings are read if there are any. */
static int64_t sandbox_uid(struct cli *cli)
{
    struct config *config;
    const char *why, *path = cli->config_path ? cli->config_path : config_find();
    bool known = config_load(cli->ctx, path, &config, &why) == OK;
    return (known ? config->executor.sandbox_uid_base : UID_BASE_DEFAULT) + UID_ABOVE_BASE;
}

static json_object *job_json(struct cli *cli, const struct local_run *run)
{
    const struct manifest *m = run->manifest;
    json_object *files = json_object_new_array();
    json_object *job = runner_job_new(m, package_path(cli->ctx, run->folder, run->package->hash),
                                      run->run_dir, run->inputs_text, m->timeout_ms);
    for (size_t i = 0; i < run->files_n; i++) {
        json_object *file = json_object_new_object();
        cli_add_text(file, "source_path", run->files[i]);
        cli_add_text(file, "name", strrchr(run->files[i], '/') + 1);
        json_object_array_add(files, file);
    }
    json_object_object_add(job, "files", files);
    if (geteuid() == 0)
        cli_add_number(job, "uid", sandbox_uid(cli));
    return job;
}

/* Makes the temporary folder with an installed copy of the skill, as an executor has it. */
static bool prepare(struct cli *cli, struct local_run *run)
{
    const char *tmp = getenv("TMPDIR");
    run->folder = talloc_asprintf(cli->ctx, "%s/millrace-skill-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(run->folder)) {
        cli_fail(cli, "cannot make the folder %s: %s", run->folder, strerror(errno));
        return false;
    }
    run->run_dir = talloc_asprintf(cli->ctx, "%s/run", run->folder);
    if (chmod(run->folder, 0755) == 0 && package_install(run->package, run->folder) == OK)
        return true;
    cli_fail(cli, "the skill could not be copied to %s", run->folder);
    return false;
}

static bool find_runner(struct cli *cli, struct local_run *run)
{
    char own[4096];
    ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
    own[n > 0 ? n : 0] = '\0';
    char *slash = strrchr(own, '/');
    run->runner = talloc_asprintf(cli->ctx, "%.*s/millrace-runner", slash ? (int)(slash - own) : 0, own);
    if (access(run->runner, X_OK) != 0)
        cli_fail(cli, "%s is missing", run->runner);
    return access(run->runner, X_OK) == 0;
}

/* --- running --- */

/* Shows a report of the runner on standard error. Returns the record if it is the last report. */
static json_object *on_report(struct cli *cli, const char *line, size_t size)
{
    json_object *report;
    const char *why, *type;
    if (json_parse(cli->ctx, line, size, JSON_DEPTH_MAX, &report, &why) != OK)
        return NULL;
    type = json_get_text(report, "type");
    const char *text = json_get_text(report, "text"), *message = json_get_text(report, "message");
    if (type && strcmp(type, "progress") == 0)
        fprintf(stderr, "[%d %%] %s\n", json_object_get_int(json_get(report, "percent")),
                message ? printable_text(cli->ctx, message, strlen(message)) : "");
    else if (type && strcmp(type, "log") == 0 && text)
        fputs(text, stderr);
    return type && strcmp(type, "ended") == 0 ? report : NULL;
}

static pid_t start_runner(const struct local_run *run, const char *job_path, int out[2])
{
    if (pipe2(out, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(out[1], STDOUT_FILENO);
        execl(run->runner, run->runner, "--job", job_path, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    return pid;
}

/* Runs the job. Returns the runner's record; NULL after an error message. */
static json_object *run_job(struct cli *cli, const struct local_run *run)
{
    char *path = talloc_asprintf(cli->ctx, "%s/job.json", run->folder), *line = NULL;
    json_object *job = job_json(cli, run), *record = NULL;
    FILE *f = fopen(path, "we");
    int out[2], status;
    size_t room = 0;
    if (f)
        fputs(json_text(job, NULL), f);
    json_object_put(job);
    if (!f || fclose(f) != 0) {
        cli_fail(cli, "cannot write %s", path);
        return NULL;
    }
    pid_t pid = start_runner(run, path, out);
    FILE *reports = pid > 0 ? fdopen(out[0], "r") : NULL;
    for (ssize_t n; reports && (n = getline(&line, &room, reports)) > 0;) {
        json_object *last = on_report(cli, line, (size_t)n);
        record = last ? last : record;
    }
    free(line);
    if (reports)
        fclose(reports);
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (!record)
        cli_fail(cli, "the runner ended without a report; `millrace-runner --check` tells whether the "
                      "sandbox works here");
    return record;
}

/* --- the result --- */

/* Returns why the run failed, as a real run would report it; NULL: it succeeded as far as the runner can
 * tell. */
static const char *failure_of(struct cli *cli, json_object *record)
{
    const char *reason = json_get_text(record, "reason"), *detail = json_get_text(record, "detail");
    const char *error = json_get_text(record, "error");
    json_object *number = json_get(record, "signal"), *code = json_get(record, "exit_code");
    if (reason)
        return talloc_asprintf(cli->ctx, "%s%s%s", reason, detail ? ": " : "", detail ? detail : "");
    if (error)
        return talloc_asprintf(cli->ctx, "the command reported an error: %s", error);
    if (number)
        return talloc_asprintf(cli->ctx, "the command was killed by signal %d", json_object_get_int(number));
    if (!code || json_object_get_int(code) != 0)
        return talloc_asprintf(cli->ctx, "the command ended with exit code %d%s%s", json_object_get_int(code),
                               detail ? ": " : "", detail ? detail : "");
    return NULL;
}

/* Reads and validates what the command printed. Returns why it is unusable; NULL: *outputs_r is set. */
static const char *read_outputs(struct cli *cli, const struct local_run *run, json_object **outputs_r)
{
    char *path = talloc_asprintf(cli->ctx, "%s/stdout", run->run_dir);
    char *text = talloc_size(cli->ctx, MANIFEST_OUTPUT_MAX + 1);
    FILE *f = fopen(path, "re");
    size_t size = f ? fread(text, 1, MANIFEST_OUTPUT_MAX + 1, f) : 0;
    struct schema_problems wrong = {0};
    const char *why = "cannot be read";
    if (f)
        fclose(f);
    if (size == 0)
        return "the command printed nothing on standard output, where its outputs are expected: one JSON "
               "object";
    if (!f || size > MANIFEST_OUTPUT_MAX ||
        json_parse(cli->ctx, text, size, JSON_DEPTH_MAX, outputs_r, &why) != OK)
        return talloc_asprintf(cli->ctx, "the outputs could not be parsed: %s",
                               size > MANIFEST_OUTPUT_MAX ? "too large" : why);
    if (!json_object_is_type(*outputs_r, json_type_object))
        return "the outputs are not a single JSON object";
    if (schema_validate(cli->ctx, run->manifest->outputs, *outputs_r, &wrong) != OK)
        return talloc_asprintf(cli->ctx, "the outputs do not match the manifest's schema: %s %s",
                               wrong.count ? wrong.items[0].pointer : "",
                               wrong.count ? wrong.items[0].message : "too large to validate");
    return NULL;
}

static int print_result(struct cli *cli, const struct local_run *run, json_object *record)
{
    json_object *o = json_object_new_object(), *outputs = NULL;
    const char *error = failure_of(cli, record);
    if (!error)
        error = read_outputs(cli, run, &outputs);
    cli_add_text(o, "state", error ? "failed" : "succeeded");
    cli_add_text(o, "error", error);
    json_object_object_add(o, "outputs", error ? NULL : json_object_get(outputs));
    json_object_object_add(o, "wallclock_ms", json_object_get(json_get(record, "wallclock_ms")));
    json_object_object_add(o, "peak_memory_bytes", json_object_get(json_get(record, "peak_memory_bytes")));
    json_object_object_add(o, "artifacts", json_object_get(json_get(record, "artifacts")));
    json_object_object_add(o, "artifacts_refused", json_object_get(json_get(record, "artifacts_refused")));
    if (run->keep)
        cli_add_text(o, "folder", run->run_dir);
    (void)cli_print(cli, o);
    return error ? CLI_FAILED : CLI_DONE;
}

/* Removes a folder by a program: the run's by millrace-runner, which copes with whatever the command created.
 */
static void remove_by(const char *program, const char *option, const char *path)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        execlp(program, program, option, path, (char *)NULL);
        _exit(127);
    }
    if (pid > 0)
        waitpid(pid, NULL, 0);
}

static void clean_up(const struct local_run *run)
{
    if (run->keep || !run->folder)
        return;
    if (run->run_dir && access(run->run_dir, F_OK) == 0)
        remove_by(run->runner, "--remove", run->run_dir);
    remove_by("rm", "-rf", run->folder);
}

int cmd_skill_run(struct cli *cli, int argc, char **argv)
{
    struct local_run run = {0};
    const struct cli_option options[] = {
        {"inputs", .text_r = &run.inputs_text}, {"keep", .flag_r = &run.keep}, {0}};
    if (!take_files(cli, &argc, argv, &run) || !cli_parse(cli, argc, argv, options, &run.dir, 1))
        return CLI_USAGE;
    if (!cli_read_skill(cli, run.dir, &run.package, &run.manifest))
        return CLI_FAILED;
    if (run.manifest->runner != RUNNER_COMMAND)
        return cli_fail(cli, "this skill calls a model; install it and run it by the API");
    if (!read_inputs(cli, &run) || !check_inputs(cli, &run) || !find_runner(cli, &run))
        return CLI_FAILED;
    json_object *record = prepare(cli, &run) ? run_job(cli, &run) : NULL;
    int code = record ? print_result(cli, &run, record) : CLI_FAILED;
    clean_up(&run);
    return code;
}
