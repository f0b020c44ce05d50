#include "skill/extra.h"

#include <string.h>
#include <talloc.h>

#include "base/utf8.h"
#include "json/json_write.h"

/* Octets of a header field. UTF-8 is written unchanged; anything else is read as ISO-8859-1, which was the
 * character set of HTTP headers (RFC 2616, 2.2). */
static void write_octets(struct json_write *w, struct span s)
{
    if (utf8_is_valid(s.at, s.size)) {
        json_write_bytes(w, s.at, s.size);
        return;
    }
    char *text = talloc_size(w, 2 * s.size + 1), *end = text;
    for (size_t i = 0; i < s.size; i++) {
        unsigned char c = (unsigned char)s.at[i];
        if (c >= 0x80)
            *end++ = (char)(0xc0 | c >> 6);
        *end++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
    }
    json_write_bytes(w, text, (size_t)(end - text));
    talloc_free(text);
}

struct span skill_extra_json(void *ctx, const struct skill_extra *e)
{
    struct json_write *w = json_write_new(ctx);
    struct span text;
    json_write_open(w, '{');
    json_write_text(w, "skill_slug", e->slug);
    json_write_text(w, "skill_version", e->label);
    json_write_text(w, "model", e->model);
    json_write_key(w, "file_source_ids");
    json_write_open(w, '[');
    for (size_t i = 0; i < e->file_source_ids_n; i++)
        json_write_bytes(w, e->file_source_ids[i], strlen(e->file_source_ids[i]));
    json_write_close(w, ']');
    json_write_key(w, "idempotency_key");
    if (e->idempotency_key.at)
        write_octets(w, e->idempotency_key);
    else
        json_write_null(w);
    json_write_close(w, '}');
    text.at = json_write_result(w, &text.size);
    return text;
}
