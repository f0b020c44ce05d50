#define _GNU_SOURCE
#include "runner/workdir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "runner/untrusted_dir.h"

static enum err workdir_error(void *ctx, const char *what, const char *name, const char **why_r)
{
    *why_r = talloc_asprintf(ctx, "cannot %s %s: %s", what, name, strerror(errno));
    return ERR_INTERNAL;
}

/* Creates and opens a folder below `at`. -1 with errno. */
static int make_dir(int at, const char *name, mode_t mode, uid_t owner)
{
    if (mkdirat(at, name, mode) != 0)
        return -1;
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fchmod(fd, mode) != 0 || (owner && fchown(fd, owner, owner) != 0))) {
        close(fd);
        fd = -1;
    }
    return fd;
}

static bool copy_bytes(int from, int to, off_t size)
{
    if (ioctl(to, FICLONE, from) == 0)
        return true;
    while (size > 0) {
        ssize_t n = copy_file_range(from, NULL, to, NULL, (size_t)size, 0);
        if (n < 0 && (errno == EXDEV || errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP))
            n = sendfile(to, from, NULL, (size_t)size);
        if (n <= 0)
            return false;
        size -= n;
    }
    return true;
}

/* True if a hard link can replace a copy. A hard link costs nothing, but shares owner and mode, so the
 * command must already be able to read the file as it is. The read-only mount prevents the command from
 * writing it. */
static bool may_link(const struct runner_job *job, const struct stat *st)
{
    return job->uid ? (st->st_mode & 0004) != 0 : st->st_uid == geteuid() && (st->st_mode & 0400);
}

static bool copy_input(const struct runner_job *job, const struct runner_file *file, int dir_fd)
{
    struct stat st;
    int from = open(file->source_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK), to = -1;
    bool good = from >= 0 && fstat(from, &st) == 0 && (S_ISREG(st.st_mode) || (errno = EINVAL, false));
    if (good && !(may_link(job, &st) && linkat(AT_FDCWD, file->source_path, dir_fd, file->name, 0) == 0)) {
        to = openat(dir_fd, file->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
        good = to >= 0 && fchmod(to, 0444) == 0 && copy_bytes(from, to, st.st_size);
    }
    if (to >= 0)
        close(to);
    if (from >= 0)
        close(from);
    return good;
}

static enum err copy_inputs(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                            const char **why_r)
{
    const char *why;
    struct stat st;
    for (size_t i = 0; i < job->file_count; i++)
        if (!copy_input(job, &job->files[i], workdir->materials_fd))
            return workdir_error(ctx, "copy the input file", job->files[i].name, why_r);
    if (fstat(workdir->materials_fd, &st) != 0)
        return workdir_error(ctx, "examine", "inputs/materials", why_r);
    workdir->input_bytes = untrusted_dir_usage(workdir->materials_fd, &why) + (uint64_t)st.st_blocks * 512;
    return OK;
}

static enum err make_inputs(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                            const char **why_r)
{
    int inputs = make_dir(workdir->work_fd, "inputs", 0755, 0);
    workdir->materials_fd = inputs >= 0 ? make_dir(inputs, "materials", 0755, 0) : -1;
    enum err e = workdir->materials_fd >= 0 ? copy_inputs(ctx, job, workdir, why_r)
                                            : workdir_error(ctx, "create", "inputs/materials", why_r);
    if (inputs >= 0)
        close(inputs);
    return e;
}

/* The setgid bit of executor.run_dir stays: the API's user reads the log as a member of that group. */
static int make_top_dir(const char *path)
{
    struct stat st;
    if (mkdir(path, 0711) != 0 && errno != EEXIST)
        return -1;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) != 0 || fchmod(fd, 0711 | (st.st_mode & S_ISGID)) != 0)) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* The run's own folder with its log and stdout. The caller owns *run_r, also on failure. */
static enum err make_run_dir(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                             int *run_r, const char **why_r)
{
    const int create = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    *run_r = make_top_dir(job->run_dir);
    if (*run_r < 0)
        return workdir_error(ctx, "create", job->run_dir, why_r);
    if ((workdir->log_fd = openat(*run_r, "log", create | O_APPEND, 0640)) < 0)
        return workdir_error(ctx, "create", "log", why_r);
    if ((workdir->stdout_fd = openat(*run_r, "stdout", create, 0640)) < 0)
        return workdir_error(ctx, "create", "stdout", why_r);
    return OK;
}

static enum err make_work(void *ctx, const struct runner_job *job, int parent, struct runner_workdir *workdir,
                          const char **why_r)
{
    if ((workdir->work_fd = make_dir(parent, "work", 0700, job->uid)) < 0)
        return workdir_error(ctx, "create", "work", why_r);
    if ((workdir->outputs_fd = make_dir(workdir->work_fd, "outputs", 0755, job->uid)) < 0)
        return workdir_error(ctx, "create", "work/outputs", why_r);
    return make_inputs(ctx, job, workdir, why_r);
}

enum err runner_workdir_make(void *ctx, const struct runner_job *job, struct runner_workdir *workdir_r,
                             const char **why_r)
{
    int run = -1;
    *workdir_r = (struct runner_workdir){-1, -1, -1, -1, -1, -1, 0, false};
    umask(022);
    enum err e = make_run_dir(ctx, job, workdir_r, &run, why_r);
    if (e == OK && job->work_parent != job->run_dir) {
        workdir_r->lock_fd = make_top_dir(job->work_parent);
        if (workdir_r->lock_fd < 0 || flock(workdir_r->lock_fd, LOCK_EX | LOCK_NB) != 0)
            e = workdir_error(ctx, "create and lock", job->work_parent, why_r);
    }
    if (e == OK)
        e = make_work(ctx, job, workdir_r->lock_fd >= 0 ? workdir_r->lock_fd : run, workdir_r, why_r);
    if (run >= 0)
        close(run);
    return e;
}

static void close_job_fds(struct runner_workdir *workdir)
{
    int *const fds[] = {&workdir->outputs_fd, &workdir->log_fd, &workdir->stdout_fd};
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Leaves what a job without input files finds. */
static enum err clear_work(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                           const char **why_r)
{
    close_job_fds(workdir);
    fchmod(workdir->work_fd,
           /* if the runner is not root, the skill may have removed the access of both */
           0700);
    /* `inputs` is mounted in the sandbox, so that the skill can neither replace nor move it */
    if (!untrusted_dir_empty(workdir->work_fd, "inputs") || !untrusted_dir_empty(workdir->materials_fd, NULL))
        return workdir_error(ctx, "empty", "work", why_r);
    if ((workdir->outputs_fd = make_dir(workdir->work_fd, "outputs", 0755, job->uid)) < 0)
        return workdir_error(ctx, "create", "work/outputs", why_r);
    return OK;
}

void runner_workdir_clear(const struct runner_job *job, struct runner_workdir *workdir)
{
    const char *why;
    void *scratch = talloc_new(NULL);
    workdir->is_clear = clear_work(scratch, job, workdir, &why) == OK;
    talloc_free(scratch);
}

enum err runner_workdir_next(void *ctx, const struct runner_job *job, struct runner_workdir *workdir,
                             const char **why_r)
{
    int run = -1;
    enum err e = workdir->is_clear ? OK : clear_work(ctx, job, workdir, why_r);
    workdir->is_clear = false;
    if (e == OK)
        e = make_run_dir(ctx, job, workdir, &run, why_r);
    if (run >= 0)
        close(run);
    return e == OK ? copy_inputs(ctx, job, workdir, why_r) : e;
}
