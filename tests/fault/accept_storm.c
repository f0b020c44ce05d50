/* accept-storm CONFIG WORKSPACE WORKFLOW WORKERS KILLS SEED [STOPS]
 *
 * Forks workers that accept runs through one accept group as fast as they can. KILLS times, it kills the
 * leader of the group (every third time: any worker) with SIGKILL and starts a replacement. STOPS times, it
 * stops the leader with SIGSTOP and waits until the others have killed it. The workers
 * record each request and its outcome in shared memory. At the end the record is compared with MariaDB: every
 * acknowledged id has a row and a debit, a key has one execution, and nothing else was debited than requests
 * of killed workers. Prints the result as JSON and exits with 1 if one of these conditions is violated. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "fcgi/shared/accept_group.h"
#include "run/idempotency_cache.h"

enum { WORKERS_MAX = 64, KEYS = 4000, BOOK = 400000 };

enum outcome { ASKED, ACCEPTED, REPLAYED, IN_FLIGHT, REFUSED, UNKNOWN };
/* The record of one request. */
struct entry {
    _Atomic int outcome;
    /* -1: the request has no key */
    int key;
    char asked[ID_LENGTH + 1], answered[ID_LENGTH + 1];
};
struct shared {
    _Atomic int stop;
    _Atomic size_t entries;
    _Atomic int64_t longest_us;
    /* How long the leader that was stopped last was left alive. */
    _Atomic int64_t hung_us;
    _Atomic uint64_t answered;
    struct entry book[BOOK];
};

static struct {
    struct config *config;
    const char *password;
    id workspace, workflow;
    struct accept_group *group;
    struct shared *shared;
} storm;

static uint32_t random_below(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)*state * n) >> 32);
}

static void describe(struct run_request *q, void *ctx, uint32_t *seed, int *key_r)
{
    *q = (struct run_request){
        .execution_id = id_new(),
        .workspace_id = storm.workspace,
        .principal_id = storm.workspace,
        .responder_id = storm.workflow,
        .version = 1,
        .kind = KIND_WORKFLOW,
        .source = SOURCE_STANDALONE,
        .price = -1,
        .input = span_text("{\"n\":1}"),
        .first_response.status = 202,
    };
    q->first_response.body =
        span_text(talloc_asprintf(ctx, "{\"execution_id\":\"%s\"}", q->execution_id.text));
    *key_r = random_below(seed, 2) ? (int)random_below(seed, KEYS) : -1;
    if (*key_r >= 0) {
        q->idempotency_key = span_text(talloc_asprintf(ctx, "key-%d", *key_r));
        memset(q->fingerprint, *key_r & 255, sizeof q->fingerprint);
    }
}

static enum outcome outcome_of(enum run_verdict v)
{
    switch (v) {
    case RUN_ACCEPTED:
        return ACCEPTED;
    case RUN_REPLAYED:
        return REPLAYED;
    case RUN_IN_FLIGHT:
        return IN_FLIGHT;
    case RUN_UNCERTAIN:
        return UNKNOWN;
    default:
        return REFUSED;
    }
}

static bool ask_once(struct accept_member *m, struct redis *redis, uint32_t *seed)
{
    struct shared *s = storm.shared;
    void *ctx = talloc_new(NULL);
    struct run_request q;
    struct run_answer a = {0};
    int key;
    describe(&q, ctx, seed, &key);
    size_t i = atomic_fetch_add(&s->entries, 1);
    if (i >= BOOK)
        return false;
    struct entry *e = &s->book[i];
    e->key = key;
    memcpy(e->asked, q.execution_id.text, sizeof e->asked);
    int64_t from_us = clock_boot_us();
    bool claimed = false;
    a.verdict = key >= 0 ? idempotency_cache_get_or_lock(redis, ctx, &q, &claimed, &a) : 0;
    if (!a.verdict)
        accept_group_run(m, ctx, &q, &a);
    int64_t took_us = clock_boot_us() - from_us;
    int64_t longest_us = atomic_load(&s->longest_us);
    while (took_us > longest_us && !atomic_compare_exchange_weak(&s->longest_us, &longest_us, took_us)) {
    }
    memcpy(e->answered, a.execution_id.text, sizeof e->answered);
    atomic_store(&e->outcome, outcome_of(a.verdict));
    atomic_fetch_add(&s->answered, 1);
    talloc_free(ctx);
    return true;
}

static void worker(unsigned slot, uint32_t seed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *ctx = talloc_new(NULL);
    struct db_settings settings = {storm.config->database.socket, storm.config->database.name,
                                   storm.config->api.db_user, storm.password, 0};
    struct db *db = db_new(ctx, &settings);
    struct redis *redis = redis_new(ctx, storm.config->redis.socket);
    struct accept_member *m = accept_group_attach(ctx, storm.group, slot, db, redis);
    while (!atomic_load(&storm.shared->stop) && ask_once(m, redis, &seed)) {
    }
    talloc_free(ctx);
    _exit(0);
}

static pid_t start(unsigned slot, uint32_t seed)
{
    pid_t pid = fork();
    if (pid == 0)
        worker(slot, seed);
    return pid;
}

/* --- the check --- */

struct check {
    struct db *db;
    int wrong;
};

static int64_t one_number(struct check *c, enum sql_id query, size_t column)
{
    struct db_value workspace = db_id(&storm.workspace);
    struct db_rows *rows;
    if (db_run(c->db, c->db, query, &workspace, 1, &rows) != OK || rows->count != 1) {
        c->wrong++;
        return -1;
    }
    return db_int(rows, 0, column);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Returns how many of the sorted ids have no execution. Equal ids count once. */
static int count_missing(struct check *c, char (*ids)[ID_LENGTH + 1], size_t n)
{
    int missing = 0;
    for (size_t at = 0; at < n; at += 64) {
        struct db_value values[64];
        size_t part = n - at < 64 ? n - at : 64;
        size_t distinct = 0;
        for (size_t i = 0; i < part; i++) {
            if (i == 0 || strcmp(ids[at + i], ids[at + i - 1]) != 0)
                values[distinct++] = db_text(ids[at + i]);
        }
        struct db_rows *rows;
        void *ctx = talloc_new(NULL);
        if (db_run_each(c->db, ctx, SQL_EXECUTION_FIND_IDS, NULL, 0, values, 1, distinct, &rows) != OK)
            missing += (int)distinct;
        else
            missing += (int)(distinct - rows->count);
        talloc_free(ctx);
    }
    return missing;
}

static int check_books(struct check *c, size_t entries, int counts[UNKNOWN + 1])
{
    char(*ids)[ID_LENGTH + 1] = calloc(entries + 1, sizeof *ids);
    char(*of_key)[ID_LENGTH + 1] = calloc(KEYS, sizeof *of_key);
    size_t n = 0;
    int keys_split = 0;
    for (size_t i = 0; i < entries; i++) {
        const struct entry *e = &storm.shared->book[i];
        int outcome = e->outcome;
        counts[outcome]++;
        if (outcome != ACCEPTED && outcome != REPLAYED)
            continue;
        memcpy(ids[n++], e->answered, sizeof *ids);
        if (e->key < 0)
            continue;
        if (of_key[e->key][0] && strcmp(of_key[e->key], e->answered) != 0)
            keys_split++;
        memcpy(of_key[e->key], e->answered, sizeof *of_key);
    }
    qsort(ids, n, sizeof *ids, by_text);
    int missing = count_missing(c, ids, n);
    printf("  \"acknowledged_ids\": %zu, \"acknowledged_missing\": %d, \"keys_with_two_executions\": %d,\n",
           n, missing, keys_split);
    free(ids);
    free(of_key);
    return missing + keys_split;
}

static int check(struct config *config, const char *password, int kills, size_t entries)
{
    struct db_settings settings = {config->database.socket, config->database.name, config->api.db_user,
                                   password, 60};
    struct check c = {.db = db_new(NULL, &settings)};
    struct accept_group_counters g = accept_group_counters(storm.group);
    int counts[UNKNOWN + 1] = {0};
    printf("{\n  \"kills\": %d, \"settled\": %llu, \"batches\": %llu, \"runs\": %llu, \"longest_ms\": %.1f,\n"
           "  \"hung_ms\": %.1f,\n",
           kills, (unsigned long long)g.settled, (unsigned long long)g.batches, (unsigned long long)g.runs,
           (double)storm.shared->longest_us / 1000, (double)storm.shared->hung_us / 1000);
    c.wrong += check_books(&c, entries, counts);
    int64_t rows = one_number(&c, SQL_AUDIT_COUNT_EXECUTIONS, AUDIT_COUNT_EXECUTIONS_N);
    int64_t debits = one_number(&c, SQL_AUDIT_COUNT_DEBITS, AUDIT_COUNT_DEBITS_N);
    int64_t drift = one_number(&c, SQL_AUDIT_BALANCE_DRIFT, AUDIT_BALANCE_DRIFT_DRIFT);
    int64_t unanswered = rows - counts[ACCEPTED];
    c.wrong += rows != debits || drift != 0 || unanswered < 0 || unanswered > counts[ASKED] + counts[UNKNOWN];
    printf("  \"accepted\": %d, \"replayed\": %d, \"in_flight\": %d, \"refused\": %d, \"unknown\": %d, "
           "\"killed_asking\": %d,\n",
           counts[ACCEPTED], counts[REPLAYED], counts[IN_FLIGHT], counts[REFUSED], counts[UNKNOWN],
           counts[ASKED]);
    printf("  \"rows\": %lld, \"debits\": %lld, \"balance_drift\": %lld, \"wrong\": %d\n}\n", (long long)rows,
           (long long)debits, (long long)drift, c.wrong);
    talloc_free(c.db);
    return c.wrong != 0;
}

static void *map_shared(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        _exit(2);
    return memory;
}

/* Kills the leader of the current batch (every third time: any worker) and starts a replacement. */
static void kill_one(pid_t *pids, unsigned workers, uint32_t *seed, int round)
{
    int victim = -1;
    while (victim < 0) {
        int leader = round % 3 == 2 ? pids[random_below(seed, workers)] : accept_group_leader(storm.group);
        for (unsigned i = 0; i < workers; i++) {
            if (leader != 0 && pids[i] == leader)
                victim = (int)i;
        }
    }
    kill(pids[victim], SIGKILL);
    waitpid(pids[victim], NULL, 0);
    pids[victim] = start((unsigned)victim, random_below(seed, UINT32_MAX));
}

/* Stops the leader of a batch, waits until another worker has killed it, and starts a replacement. */
static void stop_one(pid_t *pids, unsigned workers, uint32_t *seed)
{
    for (;;) {
        pid_t leader = accept_group_leader(storm.group);
        if (leader == 0)
            continue;
        int64_t from_us = clock_boot_us();
        kill(leader, SIGSTOP);
        if (accept_group_leader(storm.group) != leader) {
            kill(leader, SIGCONT); /* its batch ended before it was stopped */
            continue;
        }
        for (unsigned i = 0; i < workers; i++) {
            if (pids[i] != leader)
                continue;
            waitpid(leader, NULL, 0);
            storm.shared->hung_us = clock_boot_us() - from_us;
            pids[i] = start(i, random_below(seed, UINT32_MAX));
            return;
        }
    }
}

/* Waits until at least `n` more requests have been answered. */
static void await_answers(uint64_t n)
{
    uint64_t until = atomic_load(&storm.shared->answered) + n;
    while (atomic_load(&storm.shared->answered) < until && atomic_load(&storm.shared->entries) < BOOK)
        usleep(200);
}

int main(int argc, char **argv)
{
    const char *why;
    if (argc < 7 || argc > 8 || config_load(NULL, argv[1], &storm.config, &why) != OK ||
        !id_parse(argv[2], strlen(argv[2]), &storm.workspace) ||
        !id_parse(argv[3], strlen(argv[3]), &storm.workflow)) {
        fprintf(stderr, "usage: accept-storm CONFIG WORKSPACE WORKFLOW WORKERS KILLS SEED [STOPS]\n");
        return 2;
    }
    unsigned workers = (unsigned)atoi(argv[4]);
    int kills = atoi(argv[5]);
    uint32_t seed = (uint32_t)strtoul(argv[6], NULL, 10);
    pid_t pids[WORKERS_MAX];
    storm.password = config_password(NULL, storm.config->api.db_password_file);
    storm.group = accept_group_init(map_shared(accept_group_size(workers)), workers);
    storm.shared = map_shared(sizeof *storm.shared);
    for (unsigned i = 0; i < workers; i++)
        pids[i] = start(i, random_below(&seed, UINT32_MAX));
    await_answers(100);
    for (int i = 0; i < kills; i++) {
        kill_one(pids, workers, &seed, i);
        await_answers(50);
    }
    for (int i = argc == 8 ? atoi(argv[7]) : 0; i > 0; i--) {
        stop_one(pids, workers, &seed);
        await_answers(50);
    }
    atomic_store(&storm.shared->stop, 1);
    for (unsigned i = 0; i < workers; i++)
        waitpid(pids[i], NULL, 0);
    size_t entries = atomic_load(&storm.shared->entries);
    return check(storm.config, storm.password, kills, entries < BOOK ? entries : BOOK);
}
