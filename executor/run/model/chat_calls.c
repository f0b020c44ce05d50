#include "executor/run/model/chat_calls.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/text_buffer.h"
#include "executor/run/model/chat_text.h"
#include "json/json.h"

/* How far the arguments are: a JSON object whose braces are all closed is complete. */
struct brace_scan {
    int depth;
    bool in_string, escaped;
    bool complete;
};

struct tool_call {
    struct text_buffer id, name, arguments;
    struct brace_scan scan;
    bool has_index;
    int64_t index;
    /* number of the list that named it last */
    int named_in;
};

struct chat_calls {
    int round;
    struct tool_call calls[CHAT_TOOL_CALLS_MAX];
    size_t n;
    /* lists added so far */
    int lists;
};

/* One item of a list. A text that is absent is "". */
struct call_delta {
    const char *id, *name, *arguments;
    size_t id_size, name_size, arguments_size;
    bool has_index;
    int64_t index;
};

struct chat_calls *chat_calls_new(void *ctx, int round)
{
    struct chat_calls *c = talloc_zero(ctx, struct chat_calls);
    c->round = round;
    return c;
}

/* --- reading an item --- */

static const char *text_member(json_object *object, const char *name, size_t *size_r)
{
    json_object *value = json_get(object, name);
    bool is_text = json_object_is_type(value, json_type_string);
    *size_r = is_text ? (size_t)json_object_get_string_len(value) : 0;
    return is_text ? json_object_get_string(value) : "";
}

/* Arguments are a text that holds JSON; some servers send the object itself. */
static const char *arguments_member(json_object *function, size_t *size_r)
{
    json_object *value = json_get(function, "arguments");
    if (json_object_is_type(value, json_type_object))
        return json_text(value, size_r);
    return text_member(function, "arguments", size_r);
}

static struct call_delta read_delta(json_object *item, json_object *function)
{
    json_object *index = json_get(item, "index");
    struct call_delta d = {.has_index = index != NULL, .index = json_object_get_int64(index)};
    d.id = text_member(item, "id", &d.id_size);
    d.name = text_member(function, "name", &d.name_size);
    d.arguments = arguments_member(function, &d.arguments_size);
    return d;
}

/* --- which call an item belongs to --- */

static bool same_text(const struct text_buffer *b, const char *text, size_t size)
{
    return b->size == size && memcmp(text_buffer_text(b), text, size) == 0;
}

static struct tool_call *call_of(struct chat_calls *c, const struct call_delta *d)
{
    for (size_t i = c->n; d->id_size > 0 && i-- > 0;) {
        if (same_text(&c->calls[i].id, d->id, d->id_size))
            return &c->calls[i];
    }
    for (size_t i = c->n; d->has_index && i-- > 0;) {
        if (c->calls[i].has_index && c->calls[i].index == d->index)
            return &c->calls[i];
    }
    struct tool_call *last = c->n > 0 ? &c->calls[c->n - 1] : NULL;
    if (!d->has_index)
        return last;
    /* the first delta of the call had no index, and this one has */
    return last && !last->has_index && d->id_size == 0 && d->name_size == 0 ? last : NULL;
}

/* True if the item begins a new call although `call` was found for it. */
static bool starts_new_call(const struct chat_calls *c, const struct tool_call *call,
                            const struct call_delta *d)
{
    bool new_name = d->name_size > 0 && call->name.size > 0 && !same_text(&call->name, d->name, d->name_size);
    bool same_id = d->id_size > 0 && same_text(&call->id, d->id, d->id_size);
    bool again = d->name_size > 0 && call->scan.complete && d->arguments_size > 0;
    if (new_name)
        return true;
    if (same_id) /* the whole call repeated is no new call; other arguments under the same id are */
        return again && !same_text(&call->arguments, d->arguments, d->arguments_size);
    if (d->id_size > 0 && call->id.size > 0) /* an id of its own for each piece of the arguments: one call */
        return d->name_size > 0 || d->arguments_size == 0 || call->scan.complete || !d->has_index;
    return again || (d->name_size > 0 && call->name.size > 0 && call->named_in == c->lists);
}

/* --- adding --- */

static void scan_arguments(struct brace_scan *s, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        char ch = text[i];
        if (s->escaped) {
            s->escaped = false;
        } else if (s->in_string) {
            s->escaped = ch == '\\';
            s->in_string = ch != '"';
        } else if (ch == '"') {
            s->in_string = true;
        } else if (ch == '{' || ch == '[') {
            s->depth++;
        } else if ((ch == '}' || ch == ']') && --s->depth == 0) {
            s->complete = true;
        }
    }
}

static void append_delta(struct chat_calls *c, struct tool_call *call, const struct call_delta *d)
{
    bool repeated = d->id_size > 0 && d->name_size > 0 && call->scan.complete &&
                    same_text(&call->id, d->id, d->id_size) &&
                    same_text(&call->arguments, d->arguments, d->arguments_size);
    if (call->id.size == 0)
        text_buffer_append(c, &call->id, d->id, d->id_size);
    if (call->name.size == 0)
        text_buffer_append(c, &call->name, d->name, d->name_size);
    if (d->name_size > 0)
        call->named_in = c->lists;
    if (d->has_index) {
        call->has_index = true;
        call->index = d->index;
    }
    if (repeated)
        return;
    text_buffer_append(c, &call->arguments, d->arguments, d->arguments_size);
    scan_arguments(&call->scan, d->arguments, d->arguments_size);
}

static bool add_item(struct chat_calls *c, json_object *item, json_object *function, bool whole)
{
    struct call_delta d = read_delta(item, function);
    struct tool_call *call = whole ? NULL : call_of(c, &d);
    if (d.id_size + d.name_size + d.arguments_size == 0)
        return true;
    if (!call || starts_new_call(c, call, &d)) {
        if (c->n == CHAT_TOOL_CALLS_MAX)
            return false;
        call = &c->calls[c->n++];
    }
    append_delta(c, call, &d);
    return true;
}

bool chat_calls_add(struct chat_calls *c, json_object *list, bool whole)
{
    c->lists++;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        json_object *item = json_object_array_get_idx(list, i);
        if (!add_item(c, item, json_get(item, "function"), whole))
            return false;
    }
    return true;
}

bool chat_calls_add_function(struct chat_calls *c, json_object *function)
{
    c->lists++;
    return add_item(c, NULL, function, false);
}

/* --- the result --- */

static json_object *repaired(struct chat_calls *c, const struct text_buffer *b)
{
    size_t size;
    char *text = chat_text_repair(c, text_buffer_text(b), b->size, &size);
    json_object *value = json_object_new_string_len(text, (int)size);
    talloc_free(text);
    return value;
}

static bool id_is_taken(const struct chat_calls *c, size_t before, const char *id, size_t size)
{
    for (size_t i = 0; i < before; i++) {
        if (same_text(&c->calls[i].id, id, size))
            return true;
    }
    return false;
}

/* Gives the call an id that no other call of the answer has: nine letters and digits, the only form that
 * Mistral's API accepts. */
static void generate_id(struct chat_calls *c, struct tool_call *call)
{
    char id[24];
    int n = 0;
    do {
        snprintf(id, sizeof id, "call%02d%03d", c->round % 100, n++);
    } while (id_is_taken(c, c->n, id, strlen(id)));
    text_buffer_clear(&call->id);
    text_buffer_append(c, &call->id, id, strlen(id));
}

static json_object *call_json(struct chat_calls *c, const struct tool_call *call)
{
    json_object *o = json_object_new_object(), *function = json_object_new_object();
    json_object_object_add(o, "id", repaired(c, &call->id));
    json_object_object_add(o, "type", json_object_new_string("function"));
    json_object_object_add(function, "name", repaired(c, &call->name));
    json_object_object_add(function, "arguments", repaired(c, &call->arguments));
    json_object_object_add(o, "function", function);
    return o;
}

json_object *chat_calls_json(struct chat_calls *c)
{
    json_object *list = json_own(c, json_object_new_array());
    for (size_t i = 0; i < c->n; i++) {
        struct tool_call *call = &c->calls[i];
        if (call->name.size == 0 && call->arguments.size == 0)
            continue;
        if (call->name.size == 0)
            return NULL;
        if (call->id.size == 0 || id_is_taken(c, i, call->id.text, call->id.size))
            generate_id(c, call);
        json_object_array_add(list, call_json(c, call));
    }
    return list;
}
