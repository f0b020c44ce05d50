#include "base/budget.h"

#include <stdio.h>

const char *budget_sentence(const struct budget *b, char out[BUDGET_SENTENCE_SIZE])
{
    snprintf(out, BUDGET_SENTENCE_SIZE, "the evaluation exceeds the limit of %zu units of work",
             b ? b->limit : 0);
    return out;
}
