/* One sandbox while it is supervised: shared by supervise.c, which runs a job, and warm.c, which takes one
 * job after another to the same sandbox. */
#pragma once

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "runner/job.h"
#include "runner/sampler.h"
#include "runner/sandbox.h"
#include "runner/stderr_log.h"
#include "runner/warm_protocol.h"
#include "runner/workdir.h"

enum { FD_OWNER, FD_SIGNAL, FD_NOTE, FD_STDOUT, FD_STDERR, FD_STDIN, FD_COUNT };

struct supervised_run {
    const struct runner_job *job;
    struct runner_workdir workdir;
    struct runner_sandbox sandbox;
    struct stderr_log log;
    /* fd -1: closed */
    struct pollfd fds[FD_COUNT];
    /* why the runner ended the run; NULL: it did not */
    const char *reason;
    /* explanation for the operator, static or owned by the talloc context; may be NULL */
    const char *detail;
    int64_t started_ms, deadline_ms, kill_ms, sample_ms, disk_ms, ended_ms;
    /* the sandbox's /proc; -1 until opened */
    int proc_fd;
    /* of the first job */
    struct command_groups_own groups;
    /* The mount namespace of the sandbox, which would otherwise end with the command's last process: the
     * kernel then takes a lock that every start of a command needs, and that process may have to wait long
     * for a processor. -1: not held. */
    int mounts_fd;
    /* the sandbox's process 1, in the runner's pid namespace; 0 until it has sent a note */
    pid_t init_pid;
    /* consecutive samples that read nothing */
    unsigned failed_samples;
    /* number of characters of "stop" received so far */
    unsigned stop_matched;
    bool started, owner_gone, tree_dead, end_reported;
    int exec_errno, wait_status;
    uint64_t peak_bytes, stdout_bytes;
    /* standard error of bubblewrap, if the sandbox could not be set up */
    char setup_error[256];

    /* --- of a warm command --- */
    /* owns what belongs to one job */
    void *job_ctx;
    /* the job and its answer; NULL: the command is cold */
    struct warm_exchange *exchange;
    /* the answer was received */
    bool answered;
    /* the answer was received, all processes are stopped, and another job may follow */
    bool paused;
    /* the end that was reported names artifacts */
    bool has_artifacts;
    /* the message of an answer that is an error, of the exchange; NULL: none */
    const char *error;
    size_t error_bytes;
    /* the owner's next line, as far as it was received */
    char *next_line;
    size_t next_bytes;
    /* of the first job */
    const char *warm_dir;
    /* CLOCK_BOOTTIME: processes that have not stopped by then are killed; INT64_MAX: none should stop */
    int64_t pause_ms;
    /* bytes ever written, at the beginning of this job and at the last sample */
    uint64_t written_before, written_bytes;
};

int64_t supervise_now_ms(void);
void supervise_close_fd(struct supervised_run *r, int which);
/* Kills all processes of the run. */
void supervise_kill_tree(struct supervised_run *r);
/* The same, as the end of the run with this reason unless it has one already. */
void supervise_kill_run(struct supervised_run *r, const char *reason);
/* SIGTERM to all processes, and SIGKILL after the grace time. */
void supervise_terminate(struct supervised_run *r, const char *reason);
/* Lets the sandbox's mounts end; for when all processes of the run have ended. */
void supervise_release_mounts(struct supervised_run *r);
/* Samples the processes. False: none could be read. */
bool supervise_sample(struct supervised_run *r, struct runner_usage *usage_r);
void supervise_read_stderr(struct supervised_run *r);
