/* Fuzzes the reader of event streams. Input: a byte that seeds the sizes of the pieces, and the stream. The
 * events must be the same whether the stream comes whole, byte by byte, or in pieces of any size. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/event_stream.h"
#include "base/text_buffer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool held)
{
    if (!held)
        abort();
}

static void note_event(void *arg, const char *type, const char *data, size_t size)
{
    struct text_buffer *all = arg;
    need(data[size] == '\0' && *type && !strchr(type, '\n'));
    text_buffer_append(NULL, all, type, strlen(type) + 1);
    text_buffer_append(NULL, all, data, size);
    text_buffer_append(NULL, all, "\0\n", 2);
}

/* `seed` 0: all at once; otherwise pieces of 1 to `seed` bytes. */
static struct text_buffer read_in_pieces(const char *text, size_t size, unsigned int seed)
{
    struct text_buffer all = {0};
    struct event_stream *s = event_stream_new(NULL, note_event, &all);
    unsigned int state = seed;
    for (size_t at = 0, n; at < size; at += n) {
        state = state * 1103515245 + 12345;
        n = seed ? 1 + (state >> 16) % seed : size;
        n = n < size - at ? n : size - at;
        event_stream_feed(s, text + at, n);
    }
    event_stream_finish(s);
    text_buffer_append(NULL, &all, event_stream_is_recognized(s) ? "y" : "n", 1);
    talloc_free(s);
    return all;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *text = (const char *)data + 1;
    struct text_buffer whole = read_in_pieces(text, size - 1, 0);
    unsigned int seeds[] = {1, data[0] ? data[0] : 3};
    for (int i = 0; i < 2; i++) {
        struct text_buffer again = read_in_pieces(text, size - 1, seeds[i]);
        need(again.size == whole.size && memcmp(again.text, whole.text, whole.size) == 0);
        talloc_free(again.text);
    }
    talloc_free(whole.text);
    return 0;
}
