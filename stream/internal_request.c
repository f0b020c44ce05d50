#define _GNU_SOURCE /* memmem */
#include "stream/internal_request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct word {
    const char *at;
    size_t size;
};

/* Up to one of `stops`, which is skipped; false at the end of the text. */
static bool take_word(struct word *rest, const char *stop, struct word *word_r)
{
    const char *end = memmem(rest->at, rest->size, stop, strlen(stop));
    if (!end)
        return false;
    *word_r = (struct word){rest->at, (size_t)(end - rest->at)};
    size_t gone = word_r->size + strlen(stop);
    rest->at += gone;
    rest->size -= gone;
    return true;
}

static bool is_word(struct word w, const char *text)
{
    return w.size == strlen(text) && memcmp(w.at, text, w.size) == 0;
}

/* The value of a query's parameter. The API writes ids and numbers only: nothing is ever encoded. */
static struct word query_value(const char *query, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = query; *p; p += *p == '&') {
        size_t size = strcspn(p, "&");
        if (size > n && p[n] == '=' && strncmp(p, name, n) == 0)
            return (struct word){p + n + 1, size - n - 1};
        p += size;
    }
    return (struct word){0};
}

static bool query_id(const char *query, const char *name, id *id_r)
{
    struct word w = query_value(query, name);
    return w.at && id_parse(w.at, w.size, id_r);
}

static bool query_number(const char *query, const char *name, int least, int most, int *number_r)
{
    struct word w = query_value(query, name);
    char *end = NULL;
    long n = w.at ? strtol(w.at, &end, 10) : 0;
    *number_r = (int)n;
    return w.at && w.size > 0 && end == w.at + w.size && n >= least && n <= most;
}

static bool read_target(struct word target, struct ask *a)
{
    struct word path;
    if (!take_word(&target, "?", &path) || target.size > ASK_QUERY_MAX)
        return false;
    memcpy(a->query, target.at, target.size);
    a->query[target.size] = '\0';
    if (!query_id(a->query, "execution", &a->execution) || !query_id(a->query, "workspace", &a->workspace))
        return false;
    if (is_word(path, "/internal/stream/events")) {
        a->what = ASK_EVENTS;
        return query_id(a->query, "key", &a->key) && query_number(a->query, "after", 0, 1 << 30, &a->after);
    }
    a->what = ASK_WAIT;
    return is_word(path, "/internal/stream/wait") &&
           query_number(a->query, "seconds", 1, ASK_WAIT_MAX_S, &a->seconds);
}

static void read_field(struct word line, struct ask *a)
{
    static const char name[] = "X-Request-Id:";
    size_t n = sizeof name - 1;
    if (line.size < n || strncasecmp(line.at, name, n) != 0)
        return;
    for (line.at += n, line.size -= n; line.size > 0 && *line.at == ' '; line.at++)
        line.size--;
    if (line.size <= ASK_REQUEST_ID_MAX) {
        memcpy(a->request_id, line.at, line.size);
        a->request_id[line.size] = '\0';
    }
}

bool ask_read(const char *head, size_t size, struct ask *ask_r)
{
    struct word rest = {head, size}, method, target, version, line;
    *ask_r = (struct ask){0};
    if (memchr(head, '\0', size) || !take_word(&rest, " ", &method) || !take_word(&rest, " ", &target) ||
        !take_word(&rest, "\r\n", &version))
        return false;
    if (!is_word(method, "GET") || !is_word(version, "HTTP/1.1") || !read_target(target, ask_r))
        return false;
    while (take_word(&rest, "\r\n", &line))
        read_field(line, ask_r);
    return true;
}
