#include "stream/shared_text.h"

#include <string.h>
#include <talloc.h>

#include "stream/sse.h"

/* A chunk of HTTP. A talloc root: streams keep it longer than its text. */
struct shared_chunk {
    /* of its text, and of the outputs that have not sent it; loop thread only */
    size_t references;
    size_t size;
    char bytes[];
};

struct shared_text {
    /* the text within the chunk `plain` */
    const char *text;
    size_t size;
    struct shared_chunk *plain;
    /* NULL: the text was not compressed */
    struct shared_chunk *packed;
    struct gzip_block block;
};

static void drop_chunk(struct shared_chunk *chunk)
{
    if (chunk && --chunk->references == 0)
        talloc_free(chunk);
}

static void on_chunk_sent(const void *bytes, size_t size, void *arg)
{
    (void)bytes;
    (void)size;
    drop_chunk(arg);
}

/* *at_r: where the bytes begin in the chunk. */
static struct shared_chunk *chunk_new(const char *bytes, size_t size, const char **at_r)
{
    char head[CHUNK_HEAD_SIZE];
    size_t n = chunk_head(head, size), end = sizeof CHUNK_END - 1;
    struct shared_chunk *chunk = talloc_size(NULL, sizeof *chunk + n + size + end);
    chunk->references = 1;
    chunk->size = n + size + end;
    memcpy(chunk->bytes, head, n);
    memcpy(chunk->bytes + n, bytes, size);
    memcpy(chunk->bytes + n + size, CHUNK_END, end);
    *at_r = chunk->bytes + n;
    return chunk;
}

static int shared_text_destroy(struct shared_text *text)
{
    drop_chunk(text->plain);
    drop_chunk(text->packed);
    return 0;
}

struct shared_text *shared_text_new(void *ctx, const char *text, size_t size, bool packs)
{
    struct shared_text *t = talloc_zero(ctx, struct shared_text);
    const char *at;
    t->size = size;
    if (size == 0)
        return t;
    t->plain = chunk_new(text, size, &t->text);
    if (packs && gzip_block_make(t, text, size, &t->block))
        t->packed = chunk_new(t->block.bytes, t->block.size, &at);
    TALLOC_FREE(t->block.bytes);
    talloc_set_destructor(t, shared_text_destroy);
    return t;
}

static void refer_to(struct shared_chunk *chunk, struct evbuffer *out)
{
    chunk->references++;
    if (evbuffer_add_reference(out, chunk->bytes, chunk->size, on_chunk_sent, chunk) != 0)
        drop_chunk(chunk);
}

void shared_text_send(const struct shared_text *text, struct evbuffer *out, struct gzip_stream *gzip)
{
    if (text->size == 0)
        return;
    if (!gzip->is_on) {
        refer_to(text->plain, out);
    } else if (text->packed) {
        gzip_stream_count(gzip, &text->block);
        refer_to(text->packed, out);
    } else {
        gzip_stream_store(gzip, out, text->text, text->size);
    }
}
