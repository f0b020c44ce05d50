#include "objects/object_store.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text_buffer.h"
#include "base/version.h"
#include "objects/sigv4.h"

enum {
    CONNECT_S = 2,
    TRANSFER_MAX_S = 900,
    /* after a failed connection, requests fail at once for so long */
    AWAY_MS = 1000,
    /* libcurl handles that are kept with their connections */
    IDLE_MAX = 4,
    /* of the text of an answer: a list of 1000 objects has about 400 KiB */
    TEXT_MAX = 4 * 1024 * 1024,
    SHOWN_MAX = 300,
    HEADERS_MAX = 3,
};

static const char empty_sha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct object_store {
    struct object_settings settings;
    struct sigv4_key key;
    /* as the requests name it: with the bucket, unless it is in the path */
    const char *host;
    struct object_counts *counts;
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX];
    size_t idle_n;
    _Atomic int64_t away_until_ms;
};

const char *object_action_name(enum object_action action)
{
    static const char *const names[OBJECT_ACTIONS] = {"put", "get", "head", "delete", "list"};
    return names[action];
}

const char *object_outcome_name(enum object_outcome outcome)
{
    static const char *const names[OBJECT_OUTCOMES] = {"done", "missing", "refused", "away"};
    return names[outcome];
}

/* --- the store --- */

static int object_store_destroy(struct object_store *s)
{
    while (s->idle_n > 0)
        curl_easy_cleanup(s->idle[--s->idle_n]);
    pthread_mutex_destroy(&s->lock);
    return 0;
}

struct object_store *object_store_new(void *ctx, const struct object_settings *settings,
                                      struct object_counts *counts)
{
    static const char scheme[] = "http://";
    struct object_store *s = talloc_zero(ctx, struct object_store);
    struct object_settings *own = &s->settings;
    *own = *settings;
    own->socket = talloc_strdup(s, settings->socket);
    own->bucket = talloc_strdup(s, settings->bucket);
    own->endpoint = talloc_strdup(s, settings->endpoint);
    s->key = (struct sigv4_key){.access_key = talloc_strdup(s, settings->access_key),
                                .secret = talloc_strdup(s, settings->secret),
                                .region = talloc_strdup(s, settings->region),
                                .service = "s3"};
    own->access_key = own->secret = own->region = NULL;
    const char *host = own->endpoint;
    if (strncmp(host, scheme, strlen(scheme)) == 0)
        host += strlen(scheme);
    s->host = own->path_style ? host : talloc_asprintf(s, "%s.%s", own->bucket, host);
    s->counts = counts;
    pthread_mutex_init(&s->lock, NULL);
    talloc_set_destructor(s, object_store_destroy);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return s;
}

static CURL *take_handle(struct object_store *s)
{
    pthread_mutex_lock(&s->lock);
    CURL *easy = s->idle_n > 0 ? s->idle[--s->idle_n] : NULL;
    pthread_mutex_unlock(&s->lock);
    if (easy)
        curl_easy_reset(easy);
    return easy ? easy : curl_easy_init();
}

static void give_back_handle(struct object_store *s, CURL *easy)
{
    pthread_mutex_lock(&s->lock);
    bool kept = s->idle_n < IDLE_MAX;
    if (kept)
        s->idle[s->idle_n++] = easy;
    pthread_mutex_unlock(&s->lock);
    if (!kept)
        curl_easy_cleanup(easy);
}

/* --- one request --- */

struct call {
    struct object_store *store;
    void *ctx;
    enum object_action action;
    const char *key;
    const struct sigv4_pair *query;
    size_t query_n;
    /* of a PUT */
    int fd;
    int64_t size, sent;
    const char *sha256;
    /* of a GET: gets the bytes of a response with the status 200; NULL: they are added to `text` */
    bool (*on_bytes)(void *arg, const char *bytes, size_t n);
    void *arg;

    CURL *easy;
    struct curl_slist *headers;
    long status;
    int64_t bytes;
    /* an error of our own: of reading the file, or of on_bytes */
    bool failed_here;
    struct text_buffer text;
};

static const char *method_of(enum object_action action)
{
    return action == OBJECT_PUT      ? "PUT"
           : action == OBJECT_DELETE ? "DELETE"
           : action == OBJECT_HEAD   ? "HEAD"
                                     : "GET";
}

static char *path_of(const struct object_store *s, void *ctx, const char *key)
{
    return s->settings.path_style ? talloc_asprintf(ctx, "/%s/%s", s->settings.bucket, key)
                                  : talloc_asprintf(ctx, "/%s", key);
}

static char *authorization_of(const struct object_store *s, void *ctx, const char *method, const char *path,
                              const struct call *c, const char *payload, const char *date)
{
    const struct sigv4_pair headers[HEADERS_MAX] = {
        {"Host", s->host}, {"X-Amz-Date", date}, {"X-Amz-Content-Sha256", payload}};
    const struct sigv4_request request = {.method = method,
                                          .path = path,
                                          .query = c ? c->query : NULL,
                                          .query_n = c ? c->query_n : 0,
                                          .headers = headers,
                                          .headers_n = HEADERS_MAX,
                                          .payload = payload,
                                          .date = date};
    return sigv4_authorization(ctx, &s->key, &request);
}

void object_sign_get(const struct object_store *s, void *ctx, const char *key, struct object_signed *signed_r)
{
    char date[SIGV4_DATE_SIZE];
    sigv4_date(clock_wall_ms(), date);
    const char *path = path_of(s, ctx, key);
    *signed_r = (struct object_signed){
        .path = sigv4_path(ctx, path),
        .host = s->host,
        .date = talloc_strdup(ctx, date),
        .authorization = authorization_of(s, ctx, "GET", path, NULL, OBJECT_UNSIGNED, date)};
}

static void add_header(struct call *c, const char *name, const char *value)
{
    c->headers = curl_slist_append(c->headers, talloc_asprintf(c->ctx, "%s: %s", name, value));
}

static void sign_call(struct call *c)
{
    const struct object_store *s = c->store;
    const char *payload = c->action == OBJECT_PUT ? c->sha256 : empty_sha256;
    const char *path = path_of(s, c->ctx, c->key);
    char date[SIGV4_DATE_SIZE];
    sigv4_date(clock_wall_ms(), date);
    add_header(c, "Host", s->host);
    add_header(c, "X-Amz-Date", date);
    add_header(c, "X-Amz-Content-Sha256", payload);
    add_header(c, "Authorization", authorization_of(s, c->ctx, method_of(c->action), path, c, payload, date));
    add_header(c, "Expect", "");
    const char *query = sigv4_query(c->ctx, c->query, c->query_n);
    const char *url = talloc_asprintf(c->ctx, "http://%s%s%s%s", s->host, sigv4_path(c->ctx, path),
                                      *query ? "?" : "", query);
    curl_easy_setopt(c->easy, CURLOPT_URL, url);
    curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, c->headers);
}

static size_t call_on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    (void)size; /* always 1 */
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->status);
    if (c->on_bytes && c->status == 200) {
        c->bytes += (int64_t)n;
        c->failed_here = !c->on_bytes(c->arg, bytes, n);
        return c->failed_here ? 0 : n;
    }
    if (c->text.size + n > TEXT_MAX)
        return 0;
    text_buffer_append(c->ctx, &c->text, bytes, n);
    return n;
}

static size_t call_on_read(char *bytes, size_t size, size_t n, void *arg)
{
    struct call *c = arg;
    (void)size; /* always 1 */
    ssize_t got;
    do {
        got = pread(c->fd, bytes, n, (off_t)c->sent);
    } while (got < 0 && errno == EINTR);
    c->failed_here = got < 0 || (got == 0 && c->sent < c->size);
    if (c->failed_here)
        return CURL_READFUNC_ABORT;
    c->sent += got;
    return (size_t)got;
}

/* libcurl sends the file again on another connection if the server has closed the first one. */
static int call_on_seek(void *arg, curl_off_t offset, int origin)
{
    struct call *c = arg;
    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    c->sent = offset;
    return CURL_SEEKFUNC_OK;
}

static void set_limits(struct call *c)
{
    CURL *e = c->easy;
    const struct object_settings *o = &c->store->settings;
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long)o->timeout_s);
    curl_easy_setopt(e, CURLOPT_TIMEOUT, (long)TRANSFER_MAX_S);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "millrace/" MILLRACE_VERSION);
    if (*o->socket)
        curl_easy_setopt(e, CURLOPT_UNIX_SOCKET_PATH, o->socket);
}

static void set_body(struct call *c)
{
    CURL *e = c->easy;
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, call_on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    if (c->action == OBJECT_HEAD)
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
    if (c->action == OBJECT_DELETE)
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "DELETE");
    if (c->action != OBJECT_PUT)
        return;
    curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE, (curl_off_t)c->size);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, call_on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, c);
    curl_easy_setopt(e, CURLOPT_SEEKFUNCTION, call_on_seek);
    curl_easy_setopt(e, CURLOPT_SEEKDATA, c);
}

static enum object_outcome outcome_of(const struct call *c, CURLcode code)
{
    if (code != CURLE_OK || c->status >= 500 || c->status == 429)
        return OBJECT_AWAY;
    if (c->status == 404)
        return OBJECT_MISSING;
    return c->status >= 200 && c->status < 300 ? OBJECT_DONE : OBJECT_REFUSED;
}

static void count(struct call *c, enum object_outcome outcome, int64_t us)
{
    struct object_counts *n = c->store->counts;
    if (!n)
        return;
    atomic_fetch_add(&n->requests[c->action][outcome], 1);
    atomic_fetch_add(&n->bytes[c->action], (uint64_t)(c->action == OBJECT_PUT ? c->sent : c->bytes));
    atomic_fetch_add(&n->us[c->action], (uint64_t)us);
}

/* The answer's text says in which way a request was wrong ("SignatureDoesNotMatch"); it repeats the request's
 * signature at most behind the code and the message, hence only its <Code> is logged. */
static const char *error_code(struct call *c)
{
    const char *from = strstr(text_buffer_text(&c->text), "<Code>");
    size_t n = from ? strcspn(from += strlen("<Code>"), "<\r\n\"") : 0;
    return talloc_strndup(c->ctx, from ? from : "", n < SHOWN_MAX ? n : SHOWN_MAX);
}

static enum err report(struct call *c, CURLcode code, enum object_outcome outcome)
{
    const char *action = object_action_name(c->action);
    if (c->failed_here) {
        log_error("objects.file_failed", "action=%s key=%s", action, c->key);
        return ERR_INTERNAL;
    }
    if (outcome == OBJECT_DONE)
        return OK;
    if (outcome == OBJECT_MISSING && (c->action == OBJECT_GET || c->action == OBJECT_HEAD))
        return ERR_NOT_FOUND;
    if (outcome == OBJECT_MISSING && c->action == OBJECT_DELETE && strcmp(error_code(c), "NoSuchBucket") != 0)
        return OK;
    if (code != CURLE_OK)
        log_warn("objects.away", "action=%s key=%s message=\"%s\"", action, c->key, curl_easy_strerror(code));
    else
        log_error("objects.refused", "action=%s key=%s status=%ld code=\"%s\"", action, c->key, c->status,
                  error_code(c));
    return ERR_UNAVAILABLE;
}

static bool is_unreachable(CURLcode code)
{
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
           code == CURLE_OPERATION_TIMEDOUT;
}

/* The text of the answer stays on ctx. */
static enum err perform(struct call *c, void *ctx)
{
    struct object_store *s = c->store;
    int64_t began_us = clock_boot_us();
    if (clock_boot_ms() < atomic_load(&s->away_until_ms)) {
        count(c, OBJECT_AWAY, 0);
        return ERR_UNAVAILABLE;
    }
    c->ctx = talloc_new(ctx);
    c->easy = take_handle(s);
    set_limits(c);
    set_body(c);
    sign_call(c);
    CURLcode code = curl_easy_perform(c->easy);
    curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &c->status);
    enum object_outcome outcome = outcome_of(c, code);
    if (!c->failed_here && is_unreachable(code))
        atomic_store(&s->away_until_ms, clock_boot_ms() + AWAY_MS);
    count(c, outcome, clock_boot_us() - began_us);
    curl_slist_free_all(c->headers);
    give_back_handle(s, c->easy);
    return report(c, code, outcome);
}

/* --- the actions --- */

enum err object_put(struct object_store *s, const char *key, int fd, int64_t size, const char *sha256)
{
    void *ctx = talloc_new(NULL);
    struct call c = {.store = s, .action = OBJECT_PUT, .key = key, .fd = fd, .size = size, .sha256 = sha256};
    enum err e = perform(&c, ctx);
    talloc_free(ctx);
    return e;
}

enum err object_get(struct object_store *s, const char *key,
                    bool (*on_bytes)(void *arg, const char *bytes, size_t n), void *arg)
{
    void *ctx = talloc_new(NULL);
    struct call c = {.store = s, .action = OBJECT_GET, .key = key, .on_bytes = on_bytes, .arg = arg};
    enum err e = perform(&c, ctx);
    talloc_free(ctx);
    return e;
}

enum err object_look(struct object_store *s, const char *key)
{
    void *ctx = talloc_new(NULL);
    struct call c = {.store = s, .action = OBJECT_HEAD, .key = key};
    enum err e = perform(&c, ctx);
    talloc_free(ctx);
    return e;
}

enum err object_delete(struct object_store *s, const char *key)
{
    void *ctx = talloc_new(NULL);
    struct call c = {.store = s, .action = OBJECT_DELETE, .key = key};
    enum err e = perform(&c, ctx);
    talloc_free(ctx);
    return e;
}

/* The text of an element without attributes between `from` and `end`, of ctx; NULL: there is none. Keys of
 * Millrace hold no character that XML would escape. */
static const char *element(void *ctx, const char *from, const char *end, const char *name)
{
    const char *open = talloc_asprintf(ctx, "<%s>", name);
    const char *at = strstr(from, open);
    if (!at || at >= end)
        return NULL;
    at += strlen(open);
    return talloc_strndup(ctx, at, strcspn(at, "<"));
}

static size_t read_list(void *ctx, const char *text, struct object_entry **list_r)
{
    static const char begin[] = "<Contents>", over[] = "</Contents>";
    size_t n = 0;
    const char *end;
    *list_r = talloc_array(ctx, struct object_entry, OBJECT_LIST_MAX);
    while (n < OBJECT_LIST_MAX && (text = strstr(text, begin)) && (end = strstr(text, over))) {
        const char *key = element(*list_r, text, end, "Key"), *size = element(*list_r, text, end, "Size");
        const char *modified = element(*list_r, text, end, "LastModified");
        if (key && size && modified)
            (*list_r)[n++] = (struct object_entry){
                .key = key, .size = strtoll(size, NULL, 10), .modified_ms = clock_parse(modified)};
        text = end;
    }
    return n;
}

enum err object_list(struct object_store *s, void *ctx, const char *after, size_t max,
                     struct object_entry **list_r, size_t *n_r, bool *more_r)
{
    const struct sigv4_pair query[] = {
        {"list-type", "2"}, {"max-keys", talloc_asprintf(ctx, "%zu", max)}, {"start-after", after}};
    struct call c = {.store = s, .action = OBJECT_LIST, .key = "", .query = query, .query_n = *after ? 3 : 2};
    enum err e = perform(&c, ctx);
    const char *text = text_buffer_text(&c.text);
    *n_r = 0;
    *more_r = false;
    if (e != OK)
        return e;
    *n_r = read_list(ctx, text, list_r);
    *more_r = strstr(text, "<IsTruncated>true<") != NULL;
    talloc_free(c.ctx);
    return OK;
}
