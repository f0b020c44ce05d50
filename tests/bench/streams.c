/* bench-streams PORT KEY WORKFLOW RATE SECONDS STREAMS EXECUTION…
 *
 * The subscribers of tests/bench/streams.py. They are written in C so that they do not limit the measurement.
 * Opens STREAMS event streams, spread over the EXECUTIONs, and waits until each has received its history.
 * Then starts runs of WORKFLOW at a steady RATE for SECONDS, each with a subscriber from its acceptance to
 * its end. Prints one JSON object for each phase and waits for a line on standard input after each:
 *   {"opened": …, "seconds": …}
 *   {"runs": …, "run_ms": {…}, "late_ms": {…}, "end_late_ms": {…}, …}
 * late_ms is the time from an event's timestamp to its receipt, for all events received live; end_late_ms is
 * the same for the last event of a run. The timestamp is taken before the commit, so that the commit counts.
 * Exits with 1 if an event is missing or a stream is lost. */
#define _GNU_SOURCE
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { OPENING_MAX = 32, ID_SIZE = 36, SAMPLES_MAX = 1 << 20, PATIENCE_S = 60 };

struct samples {
    double *ms;
    size_t n;
};

struct bench {
    struct event_base *base;
    struct sockaddr_in address;
    const char *key, *workflow;
    char **executions;
    int executions_n, streams, rate, seconds;
    /* the streams that stay open */
    int begun, opened;
    /* the runs of the load */
    int runs_begun, runs_ended;
    int lost, wrong;
    bool loading;
    double load_began, load_ended;
    struct event *tick;
    struct samples run, late, end_late;
} bench;

struct peer {
    enum { STAYS, STARTS, FOLLOWS } what;
    struct bufferevent *connection;
    char execution[ID_SIZE + 1];
    /* wall-clock time in seconds */
    double began;
    /* sequence number of the last event */
    int seq;
    int status;
    /* STAYS: the history has been received */
    bool counted;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_sample(struct samples *s, double ms)
{
    if (s->n < SAMPLES_MAX)
        s->ms[s->n++] = ms;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s, const char *end)
{
    qsort(s->ms, s->n, sizeof *s->ms, compare);
    double median = s->n ? s->ms[s->n / 2] : -1, p99 = s->n ? s->ms[s->n * 99 / 100] : -1;
    printf("\"%s\": {\"n\": %zu, \"median\": %.1f, \"p99\": %.1f}%s", name, s->n, median, p99, end);
}

/* --- requests --- */

static void on_read(struct bufferevent *connection, void *arg);
static void on_end(struct bufferevent *connection, short what, void *arg);

/* HTTP/1.0, so that the response is not chunked and ends with the connection. */
static struct peer *ask(int what, const char *method, const char *path)
{
    struct peer *p = calloc(1, sizeof *p);
    p->what = what;
    p->began = now();
    p->connection = bufferevent_socket_new(bench.base, -1, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(p->connection, on_read, NULL, on_end, p);
    bufferevent_enable(p->connection, EV_READ | EV_WRITE);
    evbuffer_add_printf(
        bufferevent_get_output(p->connection),
        "%s /api/v1%s HTTP/1.0\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 0\r\n\r\n", method,
        path, bench.key);
    if (bufferevent_socket_connect(p->connection, (struct sockaddr *)&bench.address, sizeof bench.address) !=
        0) {
        perror("connect");
        exit(1);
    }
    return p;
}

static void open_stream(int what, const char *execution)
{
    char path[128];
    snprintf(path, sizeof path, "/executions/%.36s/events", execution);
    struct peer *p = ask(what, "GET", path);
    memcpy(p->execution, execution, ID_SIZE);
}

static void start_run(void)
{
    char path[128];
    snprintf(path, sizeof path, "/workflows/%s/run-async", bench.workflow);
    ask(STARTS, "POST", path);
}

static void open_more(void)
{
    while (bench.begun < bench.streams && bench.begun - bench.opened < OPENING_MAX) {
        open_stream(STAYS, bench.executions[bench.begun % bench.executions_n]);
        bench.begun++;
    }
}

static void finish(struct peer *p)
{
    bufferevent_free(p->connection);
    free(p);
}

/* --- responses --- */

/* The time of "at":"2026-01-15T10:30:00.123Z" in seconds; 0 if there is none. */
static double read_time(const char *data)
{
    struct tm t = {0};
    int ms = 0;
    const char *at = strstr(data, "\"at\":\"");
    const char *rest = at ? strptime(at + 6, "%Y-%m-%dT%H:%M:%S", &t) : NULL;
    return rest && sscanf(rest, ".%3dZ", &ms) == 1 ? (double)timegm(&t) + ms / 1000.0 : 0;
}

static void take_event(struct peer *p, const char *data)
{
    const char *seq = strstr(data, "\"seq\":");
    double at = read_time(data), late = (now() - at) * 1000;
    bool last = strstr(data, "\"type\":\"execution.succeeded\"") != NULL;
    if (!seq || at == 0 || atoi(seq + 6) != p->seq + 1)
        bench.wrong++;
    p->seq++;
    if (p->what == STAYS && !p->counted && strstr(data, "\"type\":\"step.started\"")) {
        p->counted = true;
        bench.opened++;
    }
    if (p->what != FOLLOWS)
        return;
    if (at > p->began)
        add_sample(&bench.late, late);
    if (last && at > p->began)
        add_sample(&bench.end_late, late);
    bench.runs_ended += last;
}

static void take_line(struct peer *p, const char *line)
{
    char execution[ID_SIZE + 1];
    const char *id = p->what == STARTS ? strstr(line, "\"execution_id\":\"") : NULL;
    if (p->status == 0)
        sscanf(line, "HTTP/%*s %d", &p->status);
    else if (strncmp(line, "data: ", 6) == 0)
        take_event(p, line + 6);
    if (!id || p->status != 202)
        return;
    add_sample(&bench.run, (now() - p->began) * 1000);
    snprintf(execution, sizeof execution, "%.36s", id + 16);
    open_stream(FOLLOWS, execution);
    p->seq = 1; /* the response to the start is the first event */
}

static void step(void)
{
    open_more();
    bool opened = !bench.loading && bench.opened == bench.streams;
    bool ended = bench.loading && bench.runs_begun == bench.rate * bench.seconds &&
                 bench.runs_ended == bench.runs_begun;
    if (opened || ended)
        event_base_loopbreak(bench.base);
}

static void on_read(struct bufferevent *connection, void *arg)
{
    struct peer *p = arg;
    struct evbuffer *in = bufferevent_get_input(connection);
    for (char *line; (line = evbuffer_readln(in, NULL, EVBUFFER_EOL_CRLF)); free(line))
        take_line(p, line);
    step();
}

static void on_end(struct bufferevent *connection, short what, void *arg)
{
    struct peer *p = arg;
    if (what & BEV_EVENT_CONNECTED)
        return;
    char *rest = evbuffer_readln(bufferevent_get_input(connection), NULL, EVBUFFER_EOL_CRLF);
    size_t size = evbuffer_get_length(bufferevent_get_input(connection));
    if (!rest && size > 0) { /* a body need not end with a newline */
        evbuffer_add(bufferevent_get_input(connection), "", 1);
        take_line(p, (const char *)evbuffer_pullup(bufferevent_get_input(connection), -1));
    }
    free(rest);
    if (p->what == STAYS)
        bench.lost++;
    else if (p->what == STARTS && p->seq == 0)
        bench.wrong++;
    finish(p);
    step();
}

/* --- the load --- */

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    int due = (int)((now() - bench.load_began) * bench.rate) + 1, all = bench.rate * bench.seconds;
    for (due = due < all ? due : all; bench.runs_begun < due; bench.runs_begun++)
        start_run();
    if (now() - bench.load_began > bench.seconds + PATIENCE_S)
        event_base_loopbreak(bench.base);
}

static void wait_for_line(void)
{
    char line[16];
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        exit(1);
}

static void load(void)
{
    static const struct timeval often = {.tv_usec = 1000};
    bench.tick = event_new(bench.base, -1, EV_PERSIST, on_tick, NULL);
    bench.loading = true;
    bench.load_began = now();
    event_add(bench.tick, &often);
    event_base_dispatch(bench.base);
    event_free(bench.tick);
    printf("{\"runs\": %d, \"runs_per_s\": %.1f, ", bench.runs_ended,
           bench.runs_ended / (now() - bench.load_began));
    print_samples("run_ms", &bench.run, ", ");
    print_samples("late_ms", &bench.late, ", ");
    print_samples("end_late_ms", &bench.end_late, ", ");
    printf("\"lost\": %d, \"wrong\": %d}\n", bench.lost, bench.wrong);
}

static void make_samples(struct samples *s)
{
    s->ms = malloc(SAMPLES_MAX * sizeof *s->ms);
}

int main(int argc, char **argv)
{
    if (argc < 7 || (atoi(argv[6]) > 0 && argc < 8)) {
        fprintf(stderr, "usage: streams PORT KEY WORKFLOW RATE SECONDS STREAMS EXECUTION...\n");
        return 2;
    }
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    bench = (struct bench){.base = event_base_new(),
                           .key = argv[2],
                           .workflow = argv[3],
                           .rate = atoi(argv[4]),
                           .seconds = atoi(argv[5]),
                           .streams = atoi(argv[6]),
                           .executions = argv + 7,
                           .executions_n = argc - 7};
    bench.address = (struct sockaddr_in){.sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)atoi(argv[1])),
                                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    make_samples(&bench.run);
    make_samples(&bench.late);
    make_samples(&bench.end_late);
    double began = now();
    open_more();
    if (bench.streams > 0)
        event_base_dispatch(bench.base);
    printf("{\"opened\": %d, \"seconds\": %.2f}\n", bench.opened, now() - began);
    wait_for_line();
    load();
    wait_for_line();
    return bench.lost || bench.wrong || bench.runs_ended != bench.rate * bench.seconds;
}
