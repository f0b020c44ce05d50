/* Text of a model's answer across its deltas. Servers split an answer between tokens, and not between
 * characters: a delta can end within the bytes of a character, or with half of a surrogate pair (`"\ud83d"`,
 * the other half in the next delta). The deltas are therefore joined as bytes first and made UTF-8
 * afterwards. Half of a pair is kept as the three bytes that UTF-8 would give it (CESU-8), because json-c
 * would replace it. Pure. */
#pragma once

#include <stddef.h>

/* `json`, with each half of a surrogate pair that stands alone in a \u escape written as three bytes: `json`
 * itself if there is none, otherwise a new text of ctx of at most the same size. */
const char *chat_text_keep_halves(void *ctx, const char *json, size_t size, size_t *size_r);
/* The number of bytes of `text` that no further bytes can change: without a character, or a pair, that is not
 * complete. */
size_t chat_text_settled(const char *text, size_t size);
/* `text` as UTF-8 of ctx: halves that stand together are one character, and any byte that is not part of a
 * character is U+FFFD. NULs are kept; the result is NUL-terminated. */
char *chat_text_repair(void *ctx, const char *text, size_t size, size_t *size_r);
