/* Fuzzes the answers of warm skills. Input: the size of the pieces in which the output is read, and the
 * output; an `@` in it stands for the token. The answer must be the same in one piece, and its text must be a
 * part of the output that fits the limit. */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "runner/warm_protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ANSWER_MAX = 100 };

static void need(bool held)
{
    if (!held)
        abort();
}

static char *with_token(void *ctx, const struct warm_exchange *x, const uint8_t *data, size_t size,
                        size_t *size_r)
{
    char *out = talloc_array(ctx, char, size *WARM_TOKEN_LENGTH + 1), *at = out;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '@') {
            memcpy(at, x->token, WARM_TOKEN_LENGTH);
            at += WARM_TOKEN_LENGTH;
        } else {
            *at++ = (char)data[i];
        }
    }
    *size_r = (size_t)(at - out);
    return out;
}

static enum warm_answer feed(struct warm_exchange *x, const uint8_t *data, size_t size, size_t piece,
                             size_t *n_r)
{
    const char *text = NULL;
    enum warm_answer answer = WARM_NONE;
    size_t bytes;
    char *output = with_token(x, x, data, size, &bytes);
    *n_r = 0;
    for (size_t done = 0; answer == WARM_NONE && done < bytes; done += piece) {
        size_t n = bytes - done < piece ? bytes - done : piece;
        answer = warm_exchange_feed(x, output + done, n, &text, n_r);
    }
    if (answer == WARM_OK || answer == WARM_ERROR)
        need(*n_r <= ANSWER_MAX && memchr(text, '\n', *n_r) == NULL &&
             (*n_r == 0 || memmem(output, bytes, text, *n_r)));
    return answer;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    void *ctx = talloc_new(NULL);
    size_t one_n, many_n;
    /* every other input is answered as if the job had a trace */
    const struct warm_trace trace = {.traceparent = size % 2 ? "00-a-b-01" : NULL};
    struct warm_exchange *one = warm_exchange_new(ctx, "{}", 2, &trace, ANSWER_MAX);
    struct warm_exchange *many = warm_exchange_new(ctx, "{}", 2, &trace, ANSWER_MAX);
    if (size > 1) {
        size_t piece = data[0] ? data[0] : 1;
        enum warm_answer a = feed(one, data + 1, size - 1, size * WARM_TOKEN_LENGTH, &one_n);
        enum warm_answer b = feed(many, data + 1, size - 1, piece, &many_n);
        /* in pieces, a line may be found too long before its end was seen */
        need(a == b || b == WARM_TOO_LONG);
        need(a != b || a == WARM_TOO_LONG || one_n == many_n);
    }
    talloc_free(ctx);
    return 0;
}
