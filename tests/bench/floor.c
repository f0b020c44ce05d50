/* bench-floor accept|get|batch SOCKET WORKERS DB_SOCKET DB_USER DB_PASSWORD REDIS_SOCKET WORKSPACE WORKFLOW
 *
 * The smallest program that does the I/O of run-async, one request at a time (read the body, one EVALSHA, one
 * call of a stored procedure with a durable commit, one pipelined push, write the response), of get (one
 * prepared SELECT by primary key, no Redis), or of run-batch: the rows of BATCH_ITEMS runs by bulk
 * statements, BATCH_RUNS runs in a transaction, one push of their ids for each transaction, and all ids in
 * the response. No authentication, no checks, no limits. This is the best that a stack without group commit
 * can reach. */
#include <hiredis.h>
#include <mysql.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/ids.h"
#include "tests/bench/serve.h"

/* the arguments from DB_SOCKET on */
static char **args;
enum { DB_SOCKET, DB_USER, DB_PASSWORD, REDIS_SOCKET, WORKSPACE, WORKFLOW };

static const char script[] = "local r = redis.call('GET', KEYS[1]) if r then return {r, 0, false} end "
                             "return {redis.call('GET', KEYS[2]), 1, redis.call('HGET', KEYS[3], 'balance')}";

struct state {
    MYSQL *db;
    MYSQL_STMT *stmt;
    redisContext *redis;
    char sha[64];
};

static void die(const char *what)
{
    fprintf(stderr, "floor: %s\n", what);
    exit(1);
}

static struct state *open_db(const char *sql)
{
    struct state *s = calloc(1, sizeof *s);
    s->db = mysql_init(NULL);
    if (!mysql_real_connect(s->db, NULL, args[DB_USER], args[DB_PASSWORD], "millrace", 0, args[DB_SOCKET], 0))
        die(mysql_error(s->db));
    s->stmt = mysql_stmt_init(s->db);
    if (mysql_stmt_prepare(s->stmt, sql, strlen(sql)) != 0)
        die(mysql_stmt_error(s->stmt));
    return s;
}

static void *open_accept(void)
{
    struct state *s = open_db("CALL floor_accept(?, ?, ?, ?, ?)");
    s->redis = redisConnectUnix(args[REDIS_SOCKET]);
    redisReply *sha = redisCommand(s->redis, "SCRIPT LOAD %s", script);
    if (!sha || sha->type != REDIS_REPLY_STRING)
        die("Redis is unreachable");
    snprintf(s->sha, sizeof s->sha, "%s", sha->str);
    freeReplyObject(sha);
    return s;
}

static void *open_get(void)
{
    return open_db("SELECT id, state, responder_id, started_ms, ended_ms FROM executions WHERE id = ?");
}

static MYSQL_BIND text_bind(const char *text, size_t size)
{
    return (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING, .buffer = (void *)text, .buffer_length = size};
}

static void call_procedure(struct state *s, const id *run, const struct serve_request *r, int64_t now_ms)
{
    MYSQL_BIND binds[5] = {
        text_bind(run->text, ID_LENGTH),
        text_bind(args[WORKSPACE], ID_LENGTH),
        text_bind(args[WORKFLOW], ID_LENGTH),
        text_bind(r->body, r->body_size),
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &now_ms},
    };
    if (mysql_stmt_bind_param(s->stmt, binds) != 0 || mysql_stmt_execute(s->stmt) != 0)
        die(mysql_stmt_error(s->stmt));
    while (mysql_stmt_next_result(s->stmt) == 0) {
    }
}

static void drop_reply(redisContext *c)
{
    void *reply = NULL;
    if (redisGetReply(c, &reply) != REDIS_OK)
        die("Redis is unreachable");
    freeReplyObject(reply);
}

static void answer_accept(void *state, struct serve_request *r)
{
    struct state *s = state;
    id run = id_new();
    int64_t now_ms = clock_wall_ms();
    char at[CLOCK_TEXT_SIZE];
    redisAppendCommand(s->redis, "EVALSHA %s 3 bench:a bench:b bench:c %s", s->sha, run.text);
    drop_reply(s->redis);
    call_procedure(s, &run, r, now_ms);
    redisAppendCommand(s->redis, "LPUSH bench:queue %s", run.text);
    redisAppendCommand(s->redis, "LTRIM bench:queue 0 999");
    drop_reply(s->redis);
    drop_reply(s->redis);
    char text[512];
    int n = snprintf(text, sizeof text,
                     "Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n{\"execution_id\":\"%s\","
                     "\"workflow_id\":\"%s\",\"status\":\"running\",\"created_at\":\"%s\"}",
                     run.text, args[WORKFLOW], clock_text_offset(now_ms, at));
    FCGX_PutStr(text, n, r->fcgi->out);
}

/* --- batch --- */

enum { BATCH_ITEMS = 1024, BATCH_RUNS = 256, BATCH_STATEMENTS = 3, BATCH_VALUES_MAX = 7 };
enum batch_value { RUN, OWNER, TARGET, INPUT, NOW };

/* Of each table, and what its placeholders are bound to. */
static const struct {
    const char *sql;
    unsigned values_n;
    enum batch_value values[BATCH_VALUES_MAX];
} batch_inserts[BATCH_STATEMENTS] = {
    {"INSERT INTO executions (id, workspace_id, responder_id, principal_id, root_id, kind, source, version, "
     "state, last_seq, cost, updated_ms, input) VALUES (?, ?, ?, ?, ?, 1, 1, 1, 1, 1, 1000000, ?, ?)",
     7,
     {RUN, OWNER, TARGET, OWNER, RUN, NOW, INPUT}},
    {"INSERT INTO events (execution_id, seq, type, at_ms) VALUES (?, 1, 1, ?)", 2, {RUN, NOW}},
    {"INSERT INTO credit_ledger (workspace_id, id, kind, amount, execution_id, responder_id) "
     "VALUES (?, ?, 2, -1000000, ?, ?)",
     4,
     {OWNER, RUN, RUN, TARGET}},
};

struct batch_state {
    struct state common;
    MYSQL_STMT *inserts[BATCH_STATEMENTS];
    id runs[BATCH_ITEMS];
    const char *texts[INPUT + 1][BATCH_RUNS];
    unsigned long sizes[INPUT + 1][BATCH_RUNS];
    long long now_ms[BATCH_RUNS];
};

static void query(MYSQL *db, const char *sql)
{
    if (mysql_query(db, sql) != 0)
        die(mysql_error(db));
    mysql_free_result(mysql_store_result(db));
}

static void *open_batch(void)
{
    struct batch_state *s = calloc(1, sizeof *s);
    struct state *common = open_db("SELECT balance FROM accounts WHERE workspace_id = ? FOR UPDATE");
    unsigned rows = BATCH_RUNS;
    s->common = *common;
    s->common.redis = redisConnectUnix(args[REDIS_SOCKET]);
    for (int i = 0; i < BATCH_STATEMENTS; i++) {
        s->inserts[i] = mysql_stmt_init(s->common.db);
        if (mysql_stmt_prepare(s->inserts[i], batch_inserts[i].sql, strlen(batch_inserts[i].sql)) != 0)
            die(mysql_stmt_error(s->inserts[i]));
        mysql_stmt_attr_set(s->inserts[i], STMT_ATTR_ARRAY_SIZE, &rows);
    }
    free(common);
    return s;
}

static void insert_rows(struct batch_state *s, int i)
{
    MYSQL_BIND binds[BATCH_VALUES_MAX] = {{0}};
    for (unsigned k = 0; k < batch_inserts[i].values_n; k++) {
        enum batch_value value = batch_inserts[i].values[k];
        binds[k] = value == NOW ? (MYSQL_BIND){.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = s->now_ms}
                                : (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
                                               .buffer = (void *)s->texts[value],
                                               .length = s->sizes[value]};
    }
    if (mysql_stmt_bind_param(s->inserts[i], binds) != 0 || mysql_stmt_execute(s->inserts[i]) != 0)
        die(mysql_stmt_error(s->inserts[i]));
}

static void set_text(struct batch_state *s, enum batch_value value, int i, const char *text, size_t size)
{
    s->texts[value][i] = text;
    s->sizes[value][i] = size;
}

static void push_runs(struct batch_state *s, const id *runs)
{
    const char *argv[BATCH_RUNS + 2] = {"LPUSH", "bench:queue"};
    for (int i = 0; i < BATCH_RUNS; i++)
        argv[i + 2] = runs[i].text;
    redisAppendCommandArgv(s->common.redis, BATCH_RUNS + 2, argv, NULL);
    redisAppendCommand(s->common.redis, "LTRIM bench:queue 0 999");
    drop_reply(s->common.redis);
    drop_reply(s->common.redis);
}

/* One transaction. */
static void accept_runs(struct batch_state *s, id *runs)
{
    static const char input[] = "{\"n\": 1}";
    char update[256];
    MYSQL_BIND owner = text_bind(args[WORKSPACE], ID_LENGTH);
    for (int i = 0; i < BATCH_RUNS; i++) {
        runs[i] = id_new();
        s->now_ms[i] = clock_wall_ms();
        set_text(s, RUN, i, runs[i].text, ID_LENGTH);
        set_text(s, OWNER, i, args[WORKSPACE], ID_LENGTH);
        set_text(s, TARGET, i, args[WORKFLOW], ID_LENGTH);
        set_text(s, INPUT, i, input, sizeof input - 1);
    }
    query(s->common.db, "START TRANSACTION");
    if (mysql_stmt_bind_param(s->common.stmt, &owner) != 0 || mysql_stmt_execute(s->common.stmt) != 0)
        die(mysql_stmt_error(s->common.stmt));
    mysql_stmt_free_result(s->common.stmt);
    for (int i = 0; i < BATCH_STATEMENTS; i++)
        insert_rows(s, i);
    snprintf(update, sizeof update,
             "UPDATE accounts SET balance = balance - %d000000, head_remaining = head_remaining - %d000000, "
             "version = version + 1 WHERE workspace_id = '%s'",
             BATCH_RUNS, BATCH_RUNS, args[WORKSPACE]);
    query(s->common.db, update);
    query(s->common.db, "COMMIT");
    push_runs(s, runs);
}

static void answer_batch(void *state, struct serve_request *r)
{
    struct batch_state *s = state;
    static char text[BATCH_ITEMS * (ID_LENGTH + 3) + 256];
    int n = snprintf(text, sizeof text,
                     "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n{\"received\":%zu,\"runs\":[",
                     r->body_size);
    for (int first = 0; first < BATCH_ITEMS; first += BATCH_RUNS)
        accept_runs(s, s->runs + first);
    for (int i = 0; i < BATCH_ITEMS; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\"", i ? "," : "", s->runs[i].text);
    n += snprintf(text + n, sizeof text - (size_t)n, "]}");
    FCGX_PutStr(text, n, r->fcgi->out);
}

/* --- get --- */

struct row {
    char id[ID_LENGTH + 1], responder[ID_LENGTH + 1];
    long long state, started, ended;
    my_bool nulls[2];
};

static void select_row(struct state *s, const char *run, struct row *row)
{
    MYSQL_BIND in = text_bind(run, strlen(run));
    MYSQL_BIND out[5] = {
        {.buffer_type = MYSQL_TYPE_STRING, .buffer = row->id, .buffer_length = sizeof row->id},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &row->state},
        {.buffer_type = MYSQL_TYPE_STRING, .buffer = row->responder, .buffer_length = sizeof row->responder},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &row->started, .is_null = &row->nulls[0]},
        {.buffer_type = MYSQL_TYPE_LONGLONG, .buffer = &row->ended, .is_null = &row->nulls[1]},
    };
    if (mysql_stmt_bind_param(s->stmt, &in) != 0 || mysql_stmt_execute(s->stmt) != 0 ||
        mysql_stmt_bind_result(s->stmt, out) != 0)
        die(mysql_stmt_error(s->stmt));
    (void)mysql_stmt_fetch(s->stmt);
    mysql_stmt_free_result(s->stmt);
}

/* The id is the last segment of the URI. */
static void answer_get(void *state, struct serve_request *r)
{
    const char *uri = FCGX_GetParam("REQUEST_URI", r->fcgi->envp);
    const char *slash = uri ? strrchr(uri, '/') : NULL;
    struct row row = {0};
    char text[512];
    char at[CLOCK_TEXT_SIZE];
    select_row(state, slash ? slash + 1 : "", &row);
    int n =
        snprintf(text, sizeof text,
                 "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n{\"execution_id\":\"%s\","
                 "\"workflow_id\":\"%s\",\"status\":\"%lld\",\"started_at\":\"%s\",\"completed_at\":%lld}",
                 row.id, row.responder, row.state, clock_text_offset(row.started, at), row.ended);
    FCGX_PutStr(text, n, r->fcgi->out);
}

int main(int argc, char **argv)
{
    if (argc != 10)
        die("usage: floor accept|get|batch SOCKET WORKERS DB_SOCKET DB_USER DB_PASSWORD REDIS_SOCKET "
            "WORKSPACE "
            "WORKFLOW");
    args = argv + 4;
    if (strcmp(argv[1], "accept") == 0)
        serve(argv[2], atoi(argv[3]), open_accept, answer_accept);
    if (strcmp(argv[1], "batch") == 0)
        serve(argv[2], atoi(argv[3]), open_batch, answer_batch);
    serve(argv[2], atoi(argv[3]), open_get, answer_get);
}
