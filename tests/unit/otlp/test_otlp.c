#include <criterion/criterion.h>
#include <netdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "otlp/otlp.h"
#include "otlp/spans_share.h"
#include "json/json.h"

#define PARENT "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"

static struct config config_of(const char *endpoint, const char *ratio)
{
    struct config c = {0};
    c.otlp.endpoint = endpoint;
    c.otlp.sample_ratio = ratio;
    c.otlp.spans_per_minute = 1000000;
    return c;
}

static struct otlp_span recorded_span(void)
{
    struct otlp_span span = {.kind = OTLP_CLIENT,
                             .start_us = 1000,
                             .end_us = 2000,
                             .workspace_id = id_new(),
                             .execution_id = id_new()};
    cr_assert(trace_parse(PARENT "01", &span.trace));
    span.trace.flags |= TRACE_RECORDED;
    otlp_set_name(&span, "step");
    return span;
}

Test(otlp, without_an_endpoint_there_is_no_exporter_and_nothing_is_recorded)
{
    struct config c = config_of("", "1");
    struct otlp *o = otlp_new(NULL, &c, "test", NULL);
    struct otlp_span span = recorded_span();
    struct trace_context t = {0};
    id run = id_new();
    cr_assert_null(o);
    cr_assert(!otlp_decide(o, &run, NULL, NULL, &t) && !trace_is_set(&t));
    otlp_add(o, &span);
    otlp_stop(o);
    cr_assert_eq(otlp_queued(o), 0);
}

static bool budget(void *arg)
{
    int *left = arg;
    return (*left)-- > 0;
}

Test(otlp, a_caller_is_recorded_within_its_budget_only)
{
    struct config c = config_of("unix:/nowhere", "0");
    struct otlp *o = otlp_new(NULL, &c, "test", NULL);
    struct trace_context t;
    id run = id_new();
    int left = 1;
    cr_assert(trace_parse(PARENT "01", &t));
    cr_assert(otlp_decide(o, &run, budget, &left, &t) && trace_is_recorded(&t));
    cr_assert(trace_parse(PARENT "01", &t));
    cr_assert(!otlp_decide(o, &run, budget, &left, &t) && !trace_is_recorded(&t));
    cr_assert(!otlp_decide(o, &run, NULL, NULL, &t));
    left = 1;
    cr_assert(trace_parse(PARENT "00", &t));
    cr_assert(!otlp_decide(o, &run, budget, &left, &t) && left == 1);
    memset(&t, 0, sizeof t);
    cr_assert(!otlp_decide(o, &run, budget, &left, &t) && left == 1 && !trace_is_set(&t));
    otlp_stop(o);
}

Test(otlp, the_ratio_takes_roots_and_sampled_callers)
{
    struct config c = config_of("unix:/nowhere", "1");
    struct otlp *o = otlp_new(NULL, &c, "test", NULL);
    struct trace_context t = {0}, own;
    id run = id_new();
    cr_assert(otlp_decide(o, &run, NULL, NULL, &t));
    own = trace_of_root(&run);
    cr_assert_arr_eq(t.trace_id, own.trace_id, sizeof own.trace_id);
    cr_assert_eq(t.flags, TRACE_SAMPLED | TRACE_RECORDED);
    cr_assert(trace_parse(PARENT "01", &t));
    cr_assert(otlp_decide(o, &run, NULL, NULL, &t));
    cr_assert(trace_parse(PARENT "00", &t));
    cr_assert(!otlp_decide(o, &run, NULL, NULL, &t));
    otlp_stop(o);
}

Test(otlp, a_span_of_a_trace_that_is_not_recorded_is_ignored)
{
    struct config c = config_of("unix:/nowhere", "1");
    struct otlp *o = otlp_new(NULL, &c, "test", NULL);
    struct otlp_span span = recorded_span();
    span.trace.flags = TRACE_SAMPLED;
    otlp_add(o, &span);
    cr_assert_eq(otlp_queued(o), 0);
    otlp_stop(o);
}

/* A collector that takes connections and never answers. */
static int hanging_collector(char *endpoint, size_t size)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/tmp/millrace-otlp-%d", getpid());
    unlink(address.sun_path);
    cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    cr_assert_eq(listen(fd, 8), 0);
    snprintf(endpoint, size, "unix:%s", address.sun_path);
    return fd;
}

Test(otlp, what_does_not_fit_is_dropped_and_the_end_is_bounded)
{
    char endpoint[128];
    int fd = hanging_collector(endpoint, sizeof endpoint);
    struct config c = config_of(endpoint, "1");
    struct otlp_counters counters = {0};
    struct otlp *o = otlp_new(NULL, &c, "test", &counters);
    const int spans = OTLP_QUEUE_MAX + 2 * OTLP_BATCH_MAX;
    for (int i = 0; i < spans; i++) {
        struct otlp_span span = recorded_span();
        otlp_add(o, &span);
    }
    size_t queued = otlp_queued(o);
    cr_assert(queued > 0 && queued <= OTLP_QUEUE_MAX);
    /* the thread has at most one batch in its hands */
    cr_assert_geq((int)counters.dropped_full, spans - OTLP_QUEUE_MAX - OTLP_BATCH_MAX);
    cr_assert_eq((int)counters.exported, 0);
    otlp_stop(o);
    cr_assert_eq((int)counters.dropped_full + (int)counters.dropped_failed, spans, "every span is counted");
    close(fd);
    unlink(endpoint + 5);
}

/* Stands in for that of libc in this program, libcurl included: it tells when it is called, and does not
 * return. The other tests need no names. */
static sem_t resolver_called;

int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    (void)name, (void)service, (void)hints, (void)found;
    sem_post(&resolver_called);
    for (;;)
        pause();
}

Test(otlp, a_name_server_that_does_not_answer_does_not_hold_up_the_end)
{
    struct config c = config_of("http://collector.invalid:4318", "1");
    struct otlp_counters counters = {0};
    struct otlp *o = otlp_new(NULL, &c, "test", &counters);
    struct otlp_span span = recorded_span();
    sem_init(&resolver_called, 0, 0);
    otlp_add(o, &span);
    while (sem_wait(&resolver_called) != 0)
        ;
    otlp_stop(o);
    cr_assert_eq((int)counters.dropped_failed, 1);
}

Test(otlp, a_workspace_has_its_share_of_spans)
{
    struct spans_share share = {.per_minute = 2};
    id a = id_new(), b = id_new();
    while (id_hash(&a) % SPANS_SHARE_SLOTS == id_hash(&b) % SPANS_SHARE_SLOTS)
        b = id_new();
    cr_assert(spans_share_take(&share, &a, 60000) && spans_share_take(&share, &a, 119999));
    cr_assert(!spans_share_take(&share, &a, 119999) && spans_share_take(&share, &b, 119999));
    cr_assert(spans_share_take(&share, &a, 120000));
}

Test(otlp, names_and_texts_are_cut_between_characters)
{
    struct otlp_span span = recorded_span();
    char name[200] = "";
    for (int i = 0; i < 60; i++)
        strcat(name, "\xc3\xa4");
    otlp_set_name(&span, name);
    cr_assert_eq(strlen(span.name), 64);
    otlp_set_name(&span, name + 1); /* a broken first byte: 1 + 31 characters */
    cr_assert_eq(strlen(span.name), 63);
    otlp_set_name(&span, "exact");
    cr_assert_str_eq(span.name, "exact");
    for (int i = 0; i < 2 * OTLP_ATTRIBUTES; i++)
        otlp_add_number(&span, "n", i);
    otlp_add_text(&span, "t", "x");
    cr_assert_eq(span.attributes_n, OTLP_ATTRIBUTES);
}

Test(otlp, writes_the_request)
{
    void *ctx = talloc_new(NULL);
    struct otlp_span span = recorded_span();
    json_object *root, *sent;
    const char *why;
    size_t size;
    memset(span.parent, 7, sizeof span.parent);
    span.failed = true;
    span.end_us = 500; /* before its start */
    otlp_set_reason(&span, "step_failed");
    otlp_add_number(&span, "millrace.try", 2);
    otlp_add_text(&span, "millrace.step_type", "http");
    otlp_add_text(&span, "millrace.none", "");
    const char *body = otlp_request(ctx, "millrace-test", &span, 1, &size);
    cr_assert_eq(json_parse_tolerant(ctx, body, size, 32, &root, &why), OK, "%s", body);
    sent = json_object_array_get_idx(json_get(root, "resourceSpans"), 0);
    cr_assert(strstr(body, "{\"key\":\"service.name\",\"value\":{\"stringValue\":\"millrace-test\"}}"));
    sent = json_object_array_get_idx(json_get(sent, "scopeSpans"), 0);
    sent = json_object_array_get_idx(json_get(sent, "spans"), 0);
    cr_assert_str_eq(json_get_text(sent, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736");
    cr_assert_str_eq(json_get_text(sent, "spanId"), "00f067aa0ba902b7");
    cr_assert_str_eq(json_get_text(sent, "parentSpanId"), "0707070707070707");
    cr_assert_str_eq(json_get_text(sent, "startTimeUnixNano"), "1000000");
    cr_assert_str_eq(json_get_text(sent, "endTimeUnixNano"), "1000000");
    cr_assert_eq(json_object_get_int(json_get(sent, "kind")), OTLP_CLIENT);
    cr_assert_eq(json_object_get_int(json_get(json_get(sent, "status"), "code")), 2);
    cr_assert(strstr(body, "{\"key\":\"millrace.try\",\"value\":{\"intValue\":\"2\"}}"));
    cr_assert(!strstr(body, "millrace.none"));
    talloc_free(ctx);
}
