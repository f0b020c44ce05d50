/* bench-hello SOCKET WORKERS [REDIS_SOCKET]: responds with the bytes of a 202; with Redis, after one EVALSHA
 * of a script that reads three keys. This is the best that a FastCGI program behind this nginx can reach. */
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/serve.h"

static const char *redis_socket;
static const char script[] = "local r = redis.call('GET', KEYS[1]) if r then return {r, 0, false} end "
                             "return {redis.call('GET', KEYS[2]), 1, redis.call('HGET', KEYS[3], 'balance')}";

struct state {
    redisContext *redis;
    char sha[64];
};

static void *open_redis(void)
{
    struct state *s = calloc(1, sizeof *s);
    s->redis = redisConnectUnix(redis_socket);
    redisReply *sha = redisCommand(s->redis, "SCRIPT LOAD %s", script);
    if (!sha || sha->type != REDIS_REPLY_STRING)
        exit(1);
    snprintf(s->sha, sizeof s->sha, "%s", sha->str);
    freeReplyObject(sha);
    return s;
}

static void answer(void *state, struct serve_request *r)
{
    struct state *s = state;
    if (s) {
        redisReply *reply = redisCommand(s->redis, "EVALSHA %s 3 bench:a bench:b bench:c token", s->sha);
        if (!reply)
            exit(1);
        freeReplyObject(reply);
    }
    const char *text = "Status: 202 Accepted\r\nContent-Type: application/json\r\n\r\n"
                       "{\"execution_id\":\"0198c0de-0000-7000-8000-000000000000\",\"workflow_id\":"
                       "\"0198c0de-0000-7000-8000-000000000000\",\"status\":\"running\",\"created_at\":"
                       "\"2026-01-15T10:30:00.000+00:00\"}";
    FCGX_PutStr(text, (int)strlen(text), r->fcgi->out);
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: hello SOCKET WORKERS [REDIS_SOCKET]\n");
        return 2;
    }
    redis_socket = argc > 3 ? argv[3] : NULL;
    serve(argv[1], atoi(argv[2]), redis_socket ? open_redis : NULL, answer);
}
