#include "maintenance/audit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "billing/roll_up.h"
#include "blob/blob_rows.h"
#include "redis/keys.h"
#include "run/idempotency_cache.h"
#include "schedule/calendar.h"

enum {
    /* Keys of one MGET. */
    PAGE = 500,
    ID_CHUNK = 4096,
    /* A lock of an idempotency key lives for 1 s, so one that lasts longer was left over. A client that found
     * Redis unreachable does not try again for 1 s either. */
    LOCK_WAIT_MS = 1500,
    POLL_MS = 100,
    /* The sweep of blobs runs every hour; this one may have been interrupted. */
    BLOB_ORPHAN_S = 3 * 3600,
    /* It makes an object without a row a dead one when it is a day old. */
    OBJECT_ORPHAN_S = 27 * 3600,
};

/* Most checks read a large table from its beginning to its end. One query reads each of these tables for all
 * of its checks, and says which of them may be violated. Only these run a query of their own. */
enum sight { SEEN_ALONE, SEEN_WITH_LEDGER, SEEN_WITH_EXECUTIONS, SEEN_WITH_EVENTS, SIGHTS };

static const enum sql_id sight_queries[SIGHTS] = {
    [SEEN_WITH_LEDGER] = SQL_AUDIT_PROVE_LEDGER,
    [SEEN_WITH_EXECUTIONS] = SQL_AUDIT_PROVE_EXECUTIONS,
    [SEEN_WITH_EVENTS] = SQL_AUDIT_PROVE_EVENTS,
};

struct audit_rule;

/* What a check, or the query of all checks of a table, has found. Made by one thread; it owns its memory. */
struct found {
    struct audit_violation *violations;
    size_t violations_n;
    /* Of a query of several checks: the names of those that may be violated. */
    const char **suspects;
    size_t suspects_n;
    int64_t took_ms;
};

/* Of one thread. */
struct audit_context {
    struct db *db;
    struct redis *redis;
    const struct audit_options *options;
    /* The check that is running, and what it finds. */
    const struct audit_rule *rule;
    struct found *found;
};

typedef enum err inspect(struct audit_context *context, void *scratch);

struct audit_rule {
    int invariant;
    const char *name, *promise;
    /* Returns {id, detail} of each violation; used if `inspect` is NULL. */
    enum sql_id query;
    /* What tells whether `query` is needed. */
    enum sight sight;
    inspect *inspect;
    bool at_rest;
    bool wants_deadline;
};

static void add_violation(struct audit_context *context, const char *what, const char *detail)
{
    struct found *f = context->found;
    if (f->violations_n == talloc_array_length(f->violations))
        f->violations = talloc_realloc(f, f->violations, struct audit_violation, 2 * f->violations_n + 16);
    f->violations[f->violations_n++] = (struct audit_violation){
        .invariant = context->rule->invariant,
        .check = context->rule->name,
        .id = talloc_strdup(f, what),
        .detail = talloc_strdup(f, detail),
    };
}

/* --- 1: every acknowledged id has a row --- */

static enum err check_id_chunk(struct audit_context *context, const id *ids, size_t n)
{
    void *scratch = talloc_new(NULL);
    struct db_value *values = talloc_array(scratch, struct db_value, n);
    id *found = talloc_array(scratch, id, n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < n; i++)
        values[i] = db_id(&ids[i]);
    enum err e = db_run_each(context->db, scratch, SQL_EXECUTION_FIND_IDS, NULL, 0, values, 1, n, &rows);
    size_t found_n = e == OK && rows->count < n ? rows->count : 0;
    for (size_t i = 0; i < found_n; i++)
        found[i] = db_get_id(rows, i, EXECUTION_FIND_IDS_ID);
    found_n = id_sort_distinct(found, found_n);
    for (size_t i = 0; e == OK && rows->count < n && i < n; i++) {
        if (!id_search(found, found_n, &ids[i]))
            add_violation(context, ids[i].text, "was acknowledged, but has no row");
    }
    talloc_free(scratch);
    return e;
}

static enum err check_acknowledged(struct audit_context *context, void *scratch)
{
    const struct audit_options *o = context->options;
    enum err e = OK;
    for (size_t at = 0; e == OK && at < o->acknowledged_n; at += ID_CHUNK) {
        size_t left = o->acknowledged_n - at;
        e = check_id_chunk(context, o->acknowledged + at, left < ID_CHUNK ? left : ID_CHUNK);
    }
    return e;
}

/* --- 2: the chain of what was rolled up --- */

static enum err check_chain(struct audit_context *context, void *scratch)
{
    struct roll_up *list;
    size_t n;
    enum err e = roll_up_list(context->db, scratch, NULL, &list, &n);
    const struct roll_up *before = NULL;
    for (size_t i = 0; e == OK && i < n; i++) {
        const struct roll_up *r = &list[i];
        struct roll_up found;
        char month[CALENDAR_MONTH_SIZE];
        if (before && !id_equal(&before->workspace_id, &r->workspace_id))
            before = NULL;
        if (r->done) {
            e = roll_up_prove(context->db, &r->workspace_id, r->month, before ? before->checksum : NULL,
                              &found);
            if (e == OK && memcmp(found.checksum, r->checksum, ROLL_UP_CHECKSUM) != 0)
                add_violation(
                    context, r->workspace_id.text,
                    talloc_asprintf(scratch,
                                    "month %s: its sums, or the checksum before, have another checksum",
                                    calendar_month_text(r->month, month)));
        }
        before = r;
    }
    return e;
}

/* --- 9: the bytes of blobs --- */

/* The hash as a row's id in the report. */
static const char *hash_text(void *ctx, const uint8_t sha256[BLOB_HASH])
{
    char name[BLOB_NAME + 1];
    blob_name(sha256, name);
    return talloc_strdup(ctx, name);
}

/* Whether maintenance is going to remove the object. */
static bool is_dead_object(struct audit_context *context, void *scratch, const id *object)
{
    struct db_value value = db_id(object);
    struct db_rows *rows;
    return db_run(context->db, scratch, SQL_DEAD_OBJECT_FIND, &value, 1, &rows) == OK && rows->count > 0;
}

/* Compares the objects between `after` and the end of the page with its rows. */
static enum err check_objects(struct audit_context *context, void *scratch, const struct blob_store *store,
                              const uint8_t after[BLOB_HASH], const struct db_rows *rows)
{
    struct blob_difference *list;
    size_t n;
    enum err e = blob_compare_objects(store, scratch, after, rows, rows->count < PAGE, &list, &n);
    for (size_t i = 0; i < n; i++) {
        char key[BLOB_KEY + 1];
        blob_object_key(&list[i].blob, key);
        if (list[i].kind == BLOB_OBJECT_MISSING)
            add_violation(context, key, "is named by a row, but the store has no such object");
        else if (list[i].kind == BLOB_OBJECT_OTHER_SIZE)
            add_violation(context, key, "has another size than its row says");
        else if (list[i].age_s > OBJECT_ORPHAN_S && !is_dead_object(context, scratch, &list[i].blob.object))
            add_violation(context, key, "is an object that no row names");
    }
    if (e == ERR_UNAVAILABLE)
        add_violation(context, "the object store", "cannot be reached, so its objects were not checked");
    return e == ERR_UNAVAILABLE ? OK : e;
}

/* Compares one page of rows with the files. *after: the last hash. */
static enum err check_blob_rows(struct audit_context *context, void *scratch, const struct blob_store *store,
                                uint8_t after[BLOB_HASH], size_t *n_r)
{
    uint8_t before[BLOB_HASH];
    memcpy(before, after, BLOB_HASH);
    struct db_value from = db_bytes(before, BLOB_HASH);
    struct db_rows *rows;
    enum err e = db_run(context->db, scratch, SQL_BLOB_PAGE, &from, 1, &rows);
    *n_r = e == OK ? rows->count : 0;
    for (size_t i = 0; i < *n_r; i++) {
        int64_t size, age_s, expected = db_int(rows, i, BLOB_PAGE_SIZE);
        memcpy(after, db_str(rows, i, BLOB_PAGE_SHA256), BLOB_HASH);
        if (!db_int(rows, i, BLOB_PAGE_IS_REFERENCED) || !db_cell(rows, i, BLOB_PAGE_OBJECT)->is_null)
            continue;
        if (!blob_look(store, after, &size, &age_s))
            add_violation(context, hash_text(scratch, after), "is named by a row, but its file is missing");
        else if (size != expected)
            add_violation(
                context, hash_text(scratch, after),
                talloc_asprintf(scratch, "has %" PRId64 " bytes, its row says %" PRId64, size, expected));
    }
    if (e == OK && blob_store_objects(store))
        e = check_objects(context, scratch, store, before, rows);
    return e;
}

/* Reports the files of one folder that have no row although the hourly sweep has passed them. */
static enum err check_blob_files(struct audit_context *context, void *scratch, const struct blob_store *store,
                                 int shard)
{
    struct blob_id *files;
    size_t n = blob_list_shard(scratch, store, shard, &files), old_n = 0;
    for (size_t i = 0; i < n; i++) {
        int64_t size, age_s;
        if (blob_look(store, files[i].sha256, &size, &age_s) && age_s > BLOB_ORPHAN_S)
            files[old_n++] = files[i];
    }
    struct db_value *hashes = talloc_array(scratch, struct db_value, old_n + 1);
    struct db_rows *rows;
    for (size_t i = 0; i < old_n; i++)
        hashes[i] = db_bytes(files[i].sha256, BLOB_HASH);
    enum err e = db_run_each(context->db, scratch, SQL_BLOB_FIND, NULL, 0, hashes, 1, old_n, &rows);
    for (size_t i = 0; e == OK && i < old_n; i++) {
        bool has_row = false;
        for (size_t r = 0; r < rows->count && !has_row; r++)
            has_row = memcmp(db_str(rows, r, BLOB_FIND_SHA256), files[i].sha256, BLOB_HASH) == 0;
        if (!has_row)
            add_violation(context, hash_text(scratch, files[i].sha256), "is a file without a row");
    }
    return e;
}

static enum err check_blobs(struct audit_context *context, void *scratch)
{
    const struct blob_store *store = blob_store_open_existing(scratch, context->options->config);
    uint8_t after[BLOB_HASH] = {0};
    size_t n = PAGE;
    enum err e = OK;
    if (!store && errno != ENOENT)
        add_violation(context, context->options->config->files.dir,
                      "cannot be read, so its files were not checked");
    for (int shard = 0; e == OK && store && !context->options->files_are_newer && shard < BLOB_SHARDS;
         shard++) {
        void *part = talloc_new(scratch);
        e = check_blob_files(context, part, store, shard);
        talloc_free(part);
    }
    while (e == OK && store && n == PAGE) {
        void *part = talloc_new(scratch);
        e = check_blob_rows(context, part, store, after, &n);
        talloc_free(part);
    }
    return e;
}

/* --- 8: at rest --- */

/* Calls Redis, repeatedly for LOCK_WAIT_MS: after one slow response, the client does not try again for a
 * second. False: Redis is unreachable. */
static bool ask_redis(struct redis *redis, void *ctx, const struct redis_arg *args, size_t n,
                      struct redis_value *v_r)
{
    int64_t until = clock_boot_ms() + LOCK_WAIT_MS;
    enum err e;
    while ((e = redis_call(redis, ctx, args, n, v_r)) != OK && clock_boot_ms() < until)
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
    return e == OK && v_r->kind != REDIS_ERROR;
}

static enum err check_counters(struct audit_context *context, void *scratch)
{
    struct db_rows *rows;
    enum err e = db_run(context->db, scratch, SQL_AUDIT_ACCOUNTS, NULL, 0, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        id workspace = db_get_id(rows, i, AUDIT_ACCOUNTS_WORKSPACE_ID);
        void *call = talloc_new(scratch);
        struct redis_arg args[] = {redis_text("HGET"), redis_key_credits(call, &workspace),
                                   redis_text("balance")};
        struct redis_value v = {.kind = REDIS_NIL};
        if (!ask_redis(context->redis, call, args, 3, &v)) {
            add_violation(context, "redis", "is unreachable, so its counters were not checked");
            return OK;
        }
        char *balance = talloc_asprintf(call, "%" PRId64, db_int(rows, i, AUDIT_ACCOUNTS_BALANCE));
        if (v.kind == REDIS_TEXT && strcmp(v.text, balance) != 0)
            add_violation(context, workspace.text,
                          talloc_asprintf(call, "Redis has %s, MariaDB %s micro-credits", v.text, balance));
        talloc_free(call);
    }
    return e;
}

/* Adds those of `keys` whose value is a lock to the list. */
static bool add_cache_locks(struct redis *redis, void *ctx, const struct redis_value *keys,
                            const char ***list_r, size_t *n_r)
{
    *list_r = talloc_realloc(ctx, *list_r, const char *, *n_r + keys->count + 1);
    for (size_t done = 0, n; done < keys->count; done += n) {
        struct redis_arg args[1 + PAGE] = {redis_text("MGET")};
        struct redis_value v;
        n = keys->count - done < PAGE ? keys->count - done : PAGE;
        for (size_t i = 0; i < n; i++)
            args[1 + i] = redis_bytes(keys->items[done + i].text, keys->items[done + i].size);
        if (!ask_redis(redis, ctx, args, 1 + n, &v) || v.kind != REDIS_LIST || v.count != n)
            return false;
        for (size_t i = 0; i < n; i++) {
            if (v.items[i].kind == REDIS_TEXT &&
                strncmp(v.items[i].text, IDEMPOTENCY_CACHE_LOCK, sizeof IDEMPOTENCY_CACHE_LOCK - 1) == 0)
                (*list_r)[(*n_r)++] = keys->items[done + i].text;
        }
    }
    return true;
}

/* Lists the idempotency keys that are locked in Redis, on ctx. False: Redis is unreachable. */
static bool list_cache_locks(struct redis *redis, void *ctx, const char ***list_r, size_t *n_r)
{
    const char *cursor = "0";
    *list_r = NULL;
    *n_r = 0;
    do {
        struct redis_arg args[] = {redis_text("SCAN"),         redis_text(cursor),  redis_text("MATCH"),
                                   redis_pattern_replays(ctx), redis_text("COUNT"), redis_text("1000")};
        struct redis_value v;
        if (!ask_redis(redis, ctx, args, 6, &v) || v.kind != REDIS_LIST || v.count != 2 ||
            !add_cache_locks(redis, ctx, &v.items[1], list_r, n_r))
            return false;
        cursor = v.items[0].text;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

static enum err check_cache_locks(struct audit_context *context, void *scratch)
{
    const char **list;
    size_t n;
    int64_t until = clock_boot_ms() + LOCK_WAIT_MS;
    bool there = list_cache_locks(context->redis, scratch, &list, &n);
    while (there && n > 0 && clock_boot_ms() < until) {
        nanosleep(&(struct timespec){.tv_nsec = POLL_MS * 1000000L}, NULL);
        there = list_cache_locks(context->redis, scratch, &list, &n);
    }
    if (!there)
        add_violation(context, "redis", "is unreachable, so its locks were not checked");
    for (size_t i = 0; there && i < n; i++)
        add_violation(context, list[i], "the lock of an idempotency key was left over");
    return OK;
}

static bool is_executor(void *ctx, int pid)
{
    char name[32] = "";
    FILE *f = fopen(talloc_asprintf(ctx, "/proc/%d/comm", pid), "re");
    bool got = f && fgets(name, sizeof name, f);
    if (f)
        fclose(f);
    return got && strncmp(name, "millrace-execut", 15) == 0; /* the kernel keeps 15 characters */
}

/* The arguments of a process that follow its name, each with a zero byte; one more follows the last. */
static const char *arguments(void *ctx, const char *pid)
{
    enum { ARGUMENTS_MAX = 4096 };
    char *line = talloc_zero_size(ctx, ARGUMENTS_MAX + 2);
    FILE *f = fopen(talloc_asprintf(ctx, "/proc/%s/cmdline", pid), "re");
    size_t n = f ? fread(line, 1, ARGUMENTS_MAX, f) : 0;
    if (f)
        fclose(f);
    return n ? line + strlen(line) + 1 : line;
}

/* Whether the process starts the runners of these executors. */
static bool is_runner_starter(const struct audit_context *context, void *ctx, const char *pid)
{
    const char *args = arguments(ctx, pid);
    return strcmp(args, "--listen") == 0 &&
           strcmp(args + strlen(args) + 1, context->options->runner_socket) == 0;
}

/* The runner of a warm skill that waits for its next job holds its folder open and locked. */
static bool is_warm_runner(const struct audit_context *context, void *ctx, const char *pid)
{
    char *dir = talloc_asprintf(ctx, "/proc/%s/fd", pid);
    char *prefix = talloc_asprintf(ctx, "%s/warm.", context->options->run_dir);
    DIR *files = opendir(dir);
    bool found = false;
    for (struct dirent *d; !found && files && (d = readdir(files));) {
        char target[4096];
        ssize_t n = readlinkat(dirfd(files), d->d_name, target, sizeof target);
        found = n > (ssize_t)strlen(prefix) && memcmp(target, prefix, strlen(prefix)) == 0;
    }
    if (files)
        closedir(files);
    return found;
}

/* Reports the children of one thread, a list of pids. */
static void add_thread_children(struct audit_context *context, void *ctx, int pid, char *children)
{
    char *place = NULL;
    for (char *child = strtok_r(children, " \n", &place); child; child = strtok_r(NULL, " \n", &place)) {
        /* an executor that starts has the sandbox looked at */
        if (!is_warm_runner(context, ctx, child) && strcmp(arguments(ctx, child), "--report") != 0)
            add_violation(context, talloc_asprintf(ctx, "pid %d", pid),
                          talloc_asprintf(ctx, "has the child process %s", child));
    }
}

/* Reports the child processes of each thread of an executor process. */
static void add_children(struct audit_context *context, void *ctx, int pid)
{
    char *dir = talloc_asprintf(ctx, "/proc/%d/task", pid);
    DIR *threads = opendir(dir);
    for (struct dirent *d; threads && (d = readdir(threads));) {
        char children[4096] = "";
        FILE *f =
            d->d_name[0] == '.' ? NULL : fopen(talloc_asprintf(ctx, "%s/%s/children", dir, d->d_name), "re");
        if (f && fgets(children, sizeof children, f))
            add_thread_children(context, ctx, pid, children);
        if (f)
            fclose(f);
    }
    if (threads)
        closedir(threads);
}

static void check_runner_starters(struct audit_context *context, void *scratch)
{
    DIR *all = opendir("/proc");
    for (struct dirent *d; all && (d = readdir(all));)
        if (d->d_name[0] >= '1' && d->d_name[0] <= '9' && is_runner_starter(context, scratch, d->d_name))
            add_children(context, scratch, (int)strtol(d->d_name, NULL, 10));
    if (all)
        closedir(all);
}

static enum err check_processes(struct audit_context *context, void *scratch)
{
    check_runner_starters(context, scratch);
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    struct db_value arg = db_text(host);
    struct db_rows *rows;
    enum err e = db_run(context->db, scratch, SQL_AUDIT_EXECUTORS, &arg, 1, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++) {
        int pid = (int)db_int(rows, i, AUDIT_EXECUTORS_PID);
        if (is_executor(scratch, pid))
            add_children(context, scratch, pid);
    }
    return e;
}

/* A living runner of a warm skill holds the lock of its folder. */
static bool is_locked_warm_dir(int runs_fd, const char *name)
{
    if (strncmp(name, "warm.", 5) != 0)
        return false;
    int fd = openat(runs_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0)
        close(fd);
    return locked;
}

static enum err check_folders(struct audit_context *context, void *scratch)
{
    DIR *runs = opendir(context->options->run_dir);
    for (struct dirent *d; runs && (d = readdir(runs));) {
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 &&
            !is_locked_warm_dir(dirfd(runs), d->d_name))
            add_violation(context, d->d_name, "a staged directory was left over");
    }
    if (runs)
        closedir(runs);
    return OK;
}

/* --- the table --- */

static const struct audit_rule checks[] = {
    {1, "acknowledged", "every acknowledged id has a row", .inspect = check_acknowledged},
    {2, "balance", "a balance equals the sum of its ledger and is never below zero",
     .query = SQL_AUDIT_BALANCE, .sight = SEEN_WITH_LEDGER},
    {2, "grants", "a balance equals what the account's grants have left", .query = SQL_AUDIT_GRANTS},
    {2, "grant", "what a grant has left equals the sum of its ledger", .query = SQL_AUDIT_GRANT,
     .sight = SEEN_WITH_LEDGER},
    {2, "parts", "every ledger row names its grant, or its parts do", .query = SQL_AUDIT_PARTS,
     .sight = SEEN_WITH_LEDGER},
    {2, "ledger_stray", "every ledger row has its account", .query = SQL_AUDIT_LEDGER_STRAY,
     .sight = SEEN_WITH_LEDGER},
    {2, "ledger_sums", "the sums of days and months equal the ledger", .query = SQL_AUDIT_LEDGER_SUMS,
     .sight = SEEN_WITH_LEDGER},
    {2, "roll_up", "what was rolled up is what was removed, month by month", .query = SQL_AUDIT_ROLL_UP},
    {2, "roll_up_chain", "the checksums of what was rolled up follow from each other",
     .inspect = check_chain},
    {2, "push", "what the usage push has passed or set aside is in the ledger", .query = SQL_AUDIT_PUSH},
    {2, "reference", "every reference names its grant or correction", .query = SQL_AUDIT_REFERENCE},
    {2, "budget", "the counters of budgets equal the ledger", .query = SQL_AUDIT_BUDGET},
    {2, "alert", "what was told of a balance is what the balance says", .query = SQL_AUDIT_ALERT},
    {2, "active", "active equals the number of roots that are not terminal", .query = SQL_AUDIT_ACTIVE},
    {2, "frozen", "nothing of an exported workspace is in progress", .query = SQL_AUDIT_FROZEN},
    {2, "delayed", "delayed equals the number of runs that wait for their start", .query = SQL_AUDIT_DELAYED},
    {2, "program_bytes", "the counted bytes of programs equal their sum", .query = SQL_AUDIT_PROGRAM_BYTES},
    {2, "tool_name", "no two exposed workflows of a workspace have the same tool",
     .query = SQL_AUDIT_TOOL_NAME},
    {3, "debit", "every execution has its debit", .query = SQL_AUDIT_DEBIT, .sight = SEEN_WITH_EXECUTIONS},
    {3, "debit_stray", "every debit and refund has its execution; every execution has one debit",
     .query = SQL_AUDIT_DEBIT_STRAY, .sight = SEEN_WITH_LEDGER},
    {3, "refund", "at most one refund or release, never more than the debit", .query = SQL_AUDIT_REFUND,
     .sight = SEEN_WITH_EXECUTIONS},
    {3, "refund_due",
     "refunded if it ended before any side effect was started, else what was held and not used is released",
     .query = SQL_AUDIT_REFUND_DUE, .sight = SEEN_WITH_EXECUTIONS},
    {3, "charge", "the parts of a listed price are the debit", .query = SQL_AUDIT_CHARGE,
     .sight = SEEN_WITH_EXECUTIONS},
    {4, "key_wrong", "an idempotency key occurs once in its workspace", .query = SQL_AUDIT_KEY_WRONG},
    {3, "batch", "a finished batch has as many runs as it reported", .query = SQL_AUDIT_BATCH},
    {4, "key_stray", "every idempotency key has its execution", .query = SQL_AUDIT_KEY_STRAY},
    {5, "deadline", "no execution is active after its deadline and grace period", .query = SQL_AUDIT_DEADLINE,
     .wants_deadline = true},
    {6, "terminal", "a row's columns agree with its state", .query = SQL_AUDIT_TERMINAL,
     .sight = SEEN_WITH_EXECUTIONS},
    {6, "failures", "a row of the failed executions describes one", .query = SQL_AUDIT_FAILURES},
    {6, "parked", "a running execution has an executor or is parked, never both", .query = SQL_AUDIT_PARKED},
    {6, "signals", "a signal that came is given to the wait for it", .query = SQL_AUDIT_SIGNALS},
    {6, "signal_tickets", "a ticket for a signal has one answer", .query = SQL_AUDIT_SIGNAL_TICKETS},
    {6, "events", "events are numbered 1…n, and the only terminal event is the last",
     .query = SQL_AUDIT_EVENTS, .sight = SEEN_WITH_EVENTS},
    {6, "events_stray", "every event has its execution", .query = SQL_AUDIT_EVENTS_STRAY,
     .sight = SEEN_WITH_EVENTS},
    {6, "result", "every execution that succeeded has its output", .query = SQL_AUDIT_RESULT,
     .sight = SEEN_WITH_EXECUTIONS},
    {7, "step_again", "a step that succeeded is not started again", .query = SQL_AUDIT_STEP_AGAIN,
     .sight = SEEN_WITH_EVENTS},
    {7, "step_rows", "a step's columns agree with its status", .query = SQL_AUDIT_STEP_ROWS},
    {7, "child_twice", "a try of a step has at most one child", .query = SQL_AUDIT_CHILD_TWICE},
    {7, "child_wrong", "every row of execution_children agrees with its execution",
     .query = SQL_AUDIT_CHILD_WRONG},
    {7, "child_stray", "every execution with a parent has its row in execution_children",
     .query = SQL_AUDIT_CHILD_STRAY, .sight = SEEN_WITH_EXECUTIONS},
    {7, "tree_size", "the size of a tree that can grow is the number of its descendants",
     .query = SQL_AUDIT_TREE_SIZE},
    {9, "blob_row", "every file, artifact and log has the row of its blob", .query = SQL_AUDIT_BLOB_ROW},
    {9, "blob_file", "every named blob has its bytes, and every file its row", .inspect = check_blobs},
    {9, "blob_unused", "a blob that no row names is marked as dead", .query = SQL_AUDIT_BLOB_UNUSED},
    {6, "webhook_delivery", "every pending delivery has its message and a lane that is due for it",
     .query = SQL_AUDIT_WEBHOOK_DELIVERY},
    {6, "webhook_message", "every end that a run's own webhook asks for has its message",
     .query = SQL_AUDIT_WEBHOOK_MESSAGE, .sight = SEEN_WITH_EXECUTIONS},
    {6, "stop_mark", "a run that is marked because the runs below it are being stopped has ended",
     .query = SQL_AUDIT_STOP_MARK},
    {6, "occurrence", "an occurrence names its run if and only if it was started; a run has one",
     .query = SQL_AUDIT_OCCURRENCE},
    {6, "occurrence_missing", "a run that a schedule started has its occurrence",
     .query = SQL_AUDIT_OCCURRENCE_MISSING, .sight = SEEN_WITH_EXECUTIONS},
    {7, "bulk_item", "a retry of a bulk job is one run, which retries its item; decided items stay decided",
     .query = SQL_AUDIT_BULK_ITEM},
    {6, "bulk_job", "a bulk job is due if and only if it goes on, and its counts are those of its items",
     .query = SQL_AUDIT_BULK_JOB},
    {6, "retry_link", "the link from an execution to its retry is what the retry says",
     .query = SQL_AUDIT_RETRY_LINK},
    {6, "schedule",
     "a schedule is due if and only if it has a next time and is not paused; what waits is known",
     .query = SQL_AUDIT_SCHEDULE},
    {8, "stop_left", "no tree is being stopped", .query = SQL_AUDIT_STOP_LEFT, .at_rest = true},
    {8, "child_open", "an execution that has ended has no active child", .query = SQL_AUDIT_CHILD_OPEN,
     .at_rest = true},
    {8, "counters", "the balances cached in Redis equal those of MariaDB", .inspect = check_counters,
     .at_rest = true},
    {8, "claims", "no lock of an idempotency key is left over", .inspect = check_cache_locks,
     .at_rest = true},
    {8, "processes", "no command of a skill is left over but warm ones that wait", .inspect = check_processes,
     .at_rest = true},
    {8, "folders", "no staged directory is left over", .inspect = check_folders, .at_rest = true},
};
enum { CHECKS = sizeof checks / sizeof checks[0] };

/* --- running them --- */

/* Threads with a connection each take one piece of work after the other: the number of a check, or CHECKS + a
 * query for several checks. */
struct team {
    struct audit_context contexts[AUDIT_CONNECTIONS_MAX];
    size_t contexts_n;
    /* By the same number. */
    struct found *found[CHECKS + SIGHTS];
    pthread_mutex_t mutex;
    int pieces[CHECKS + SIGHTS];
    size_t pieces_n, taken;
    enum err e;
};

struct member {
    struct team *team;
    struct audit_context *context;
};

/* Adds the names of a list with commas. */
static void add_suspects(struct found *f, const char *names)
{
    char *copy = talloc_strdup(f, names), *left = NULL;
    size_t before = f->suspects_n;
    for (char *name = strtok_r(copy, ",", &left); name; name = strtok_r(NULL, ",", &left)) {
        bool known = false;
        for (size_t i = 0; i < f->suspects_n && !known; i++)
            known = strcmp(f->suspects[i], name) == 0;
        if (known)
            continue;
        f->suspects = talloc_realloc(f, f->suspects, const char *, f->suspects_n + 1);
        f->suspects[f->suspects_n++] = name;
    }
    if (f->suspects_n == before) /* as nearly always: a damage may concern millions of rows */
        talloc_free(copy);
}

static enum err look_for_all(struct audit_context *context, void *scratch, enum sight sight)
{
    struct db_rows *rows;
    enum err e = db_run(context->db, scratch, sight_queries[sight], NULL, 0, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        add_suspects(context->found, db_str(rows, i, AUDIT_ACTIVE_DETAIL));
    return e;
}

static enum err check_by_query(struct audit_context *context, void *scratch)
{
    const struct audit_rule *c = context->rule;
    struct db_value before = db_number(context->options->deadline_before_ms);
    struct db_rows *rows;
    enum err e = db_run(context->db, scratch, c->query, &before, c->wants_deadline, &rows);
    for (size_t i = 0; e == OK && i < rows->count; i++)
        add_violation(context, db_str(rows, i, AUDIT_ACTIVE_SUBJECT), db_str(rows, i, AUDIT_ACTIVE_DETAIL));
    return e;
}

static enum err do_piece(struct team *team, struct audit_context *context, int piece)
{
    void *scratch = talloc_new(NULL);
    int64_t began = clock_boot_ms();
    enum err e;
    context->found = team->found[piece] = talloc_zero(NULL, struct found);
    context->rule = piece < CHECKS ? &checks[piece] : NULL;
    if (!context->rule)
        e = look_for_all(context, scratch, (enum sight)(piece - CHECKS));
    else
        e = context->rule->inspect ? context->rule->inspect(context, scratch)
                                   : check_by_query(context, scratch);
    context->found->took_ms = clock_boot_ms() - began;
    talloc_free(scratch);
    return e;
}

/* Records how the last piece ended. Returns the number of the next one, or -1 if none is left. */
static int take_piece(struct team *team, enum err e)
{
    pthread_mutex_lock(&team->mutex);
    if (team->e == OK)
        team->e = e;
    int piece = team->e == OK && team->taken < team->pieces_n ? team->pieces[team->taken++] : -1;
    pthread_mutex_unlock(&team->mutex);
    return piece;
}

static void *do_pieces(void *arg)
{
    struct member *m = arg;
    enum err e = OK;
    for (int piece; (piece = take_piece(m->team, e)) >= 0;)
        e = do_piece(m->team, m->context, piece);
    return NULL;
}

/* Does all pieces, the calling thread as one of them. A thread that cannot be started is no harm. */
static enum err do_all_pieces(struct team *team)
{
    pthread_t threads[AUDIT_CONNECTIONS_MAX];
    struct member members[AUDIT_CONNECTIONS_MAX];
    size_t started = 1;
    members[0] = (struct member){team, &team->contexts[0]}; /* there is one at least */
    for (size_t i = 1; i < team->contexts_n; i++)
        members[i] = (struct member){team, &team->contexts[i]};
    while (started < team->contexts_n &&
           pthread_create(&threads[started], NULL, do_pieces, &members[started]) == 0)
        started++;
    do_pieces(&members[0]);
    for (size_t i = 1; i < started; i++)
        pthread_join(threads[i], NULL);
    team->pieces_n = team->taken = 0;
    return team->e;
}

/* Whether a query that has run names the check. It may also name checks that belong to another one. */
static bool is_suspect(const struct team *team, const struct audit_rule *c)
{
    for (int sight = SEEN_ALONE + 1; sight < SIGHTS; sight++) {
        const struct found *f = team->found[CHECKS + sight];
        for (size_t i = 0; i < f->suspects_n; i++) {
            if (strcmp(f->suspects[i], c->name) == 0)
                return true;
        }
    }
    return false;
}

/* First the long ones: the queries of the large tables. Then the checks that they name. What holds at rest is
 * looked at last, by the thread of the connection to Redis. */
static enum err run_checks(struct team *team, const struct audit_options *options)
{
    for (int sight = SIGHTS - 1; sight > SEEN_ALONE; sight--)
        team->pieces[team->pieces_n++] = CHECKS + sight;
    for (int i = 0; i < CHECKS; i++) {
        if (!checks[i].at_rest && checks[i].sight == SEEN_ALONE)
            team->pieces[team->pieces_n++] = i;
    }
    enum err e = do_all_pieces(team);
    for (int i = 0; e == OK && i < CHECKS; i++) {
        if (checks[i].sight != SEEN_ALONE && is_suspect(team, &checks[i]))
            team->pieces[team->pieces_n++] = i;
    }
    if (e == OK)
        e = do_all_pieces(team);
    for (int i = 0; e == OK && options->at_rest && i < CHECKS; i++) {
        if (checks[i].at_rest)
            e = do_piece(team, &team->contexts[0], i);
    }
    return e;
}

/* Adds a check with what it has found; f NULL: it was not needed. *sight_ms: the time of the query for all
 * checks of its table, which the first of them has. */
static void report(struct audit *a, const struct audit_rule *c, struct found *f, int64_t *sight_ms)
{
    a->checks[a->checks_n++] = (struct audit_check){.invariant = c->invariant,
                                                    .name = c->name,
                                                    .promise = c->promise,
                                                    .violations = f ? f->violations_n : 0,
                                                    .took_ms = *sight_ms + (f ? f->took_ms : 0)};
    *sight_ms = 0;
    if (!f || f->violations_n == 0)
        return;
    a->violations =
        talloc_realloc(a, a->violations, struct audit_violation, a->violations_n + f->violations_n);
    memcpy(a->violations + a->violations_n, f->violations, f->violations_n * sizeof *f->violations);
    a->violations_n += f->violations_n;
    talloc_steal(a, f); /* with the texts */
}

static void report_all(struct audit *a, const struct team *team, const struct audit_options *options)
{
    int64_t sight_ms[SIGHTS] = {0};
    for (int sight = SEEN_ALONE + 1; sight < SIGHTS; sight++)
        sight_ms[sight] = team->found[CHECKS + sight]->took_ms;
    a->checks = talloc_zero_array(a, struct audit_check, CHECKS);
    for (int i = 0; i < CHECKS; i++) {
        if (!checks[i].at_rest || options->at_rest)
            report(a, &checks[i], team->found[i], &sight_ms[checks[i].sight]);
    }
}

static enum err form_team(struct team *team, struct db *db, struct redis *redis,
                          const struct audit_options *options)
{
    enum err e = OK;
    team->contexts_n = options->connections > 1 ? options->connections : 1;
    for (size_t i = 0; e == OK && i < team->contexts_n; i++) {
        struct db *own = i == 0 ? db : db_new_like(team, db);
        team->contexts[i] = (struct audit_context){.db = own, .redis = redis, .options = options};
        e = db_run(own, team, SQL_AUDIT_BEGIN, NULL, 0, NULL);
    }
    return e;
}

enum err audit_run(struct db *db, struct redis *redis, void *ctx, const struct audit_options *options,
                   struct audit **audit_r)
{
    struct audit *a = *audit_r = talloc_zero(ctx, struct audit);
    struct team *team = talloc_zero(ctx, struct team);
    pthread_mutex_init(&team->mutex, NULL);
    enum err e = form_team(team, db, redis, options);
    if (e == OK)
        e = run_checks(team, options);
    if (e == OK)
        report_all(a, team, options);
    for (int i = 0; i < CHECKS + SIGHTS; i++) {
        if (team->found[i] && !talloc_parent(team->found[i]))
            talloc_free(team->found[i]);
    }
    pthread_mutex_destroy(&team->mutex);
    talloc_free(team);
    return e;
}
