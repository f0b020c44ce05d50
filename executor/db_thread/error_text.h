/* The reason why a step or a run failed, a sentence, as it is stored. It may hold what a tenant wrote (a
 * `fail` step, a key of an input, an error of a child), and is stored three times: in a row, in a row of the
 * step and, as JSON, in the data of an event. Any thread. */
#pragma once

/* bytes of the text as JSON, without the quotes: far less than the 64 KiB of the columns */
enum { ERROR_TEXT_MAX = 4096 };

/* A copy, of ctx. A longer text is cut after a character and ends with "…". NULL for NULL. */
const char *error_text(void *ctx, const char *error);
