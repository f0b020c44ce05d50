/* A budget limits the work of one evaluation that a caller's data controls: a condition, a template, a
 * validation. Work is counted in units of about 5 ns: a visited node, 64 bytes that are compared or copied,
 * or 8 bytes that are looked at one by one (hashed, searched, encoded). It is charged before it is done, so
 * that no single operation exceeds the budget. A budget belongs to one thread. NULL is a budget without a
 * limit. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum {
    /* units of one evaluation of a condition or template: about 5 ms of one processor core */
    BUDGET_EVALUATION = 1000000,
    BUDGET_BYTES_PER_UNIT = 64,
    BUDGET_SCANNED_BYTES_PER_UNIT = 8,
    /* bytes of the sentence that budget_sentence writes */
    BUDGET_SENTENCE_SIZE = 96,
};

struct budget {
    size_t limit;
    /* units charged so far; at most `limit` */
    size_t used;
    /* a charge did not fit. All further charges fail. */
    bool exceeded;
};

/* Charges `units`. False if they do not fit: the work must not be done. */
static inline bool budget_charge(struct budget *b, size_t units)
{
    if (!b)
        return true;
    if (b->exceeded || units > b->limit - b->used) {
        b->exceeded = true;
        return false;
    }
    b->used += units;
    return true;
}

/* Charges a node with `size` bytes that are compared or copied. */
static inline bool budget_charge_bytes(struct budget *b, size_t size)
{
    return budget_charge(b, 1 + size / BUDGET_BYTES_PER_UNIT);
}

/* Charges a node with `size` bytes that are looked at one by one. */
static inline bool budget_charge_scan(struct budget *b, size_t size)
{
    return budget_charge(b, 1 + size / BUDGET_SCANNED_BYTES_PER_UNIT);
}

static inline bool budget_is_exceeded(const struct budget *b)
{
    return b && b->exceeded;
}

/* Writes a sentence that names the limit, for the caller whose work exceeded it. Returns `out`. */
const char *budget_sentence(const struct budget *b, char out[BUDGET_SENTENCE_SIZE]);
