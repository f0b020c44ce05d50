/* The memory that the work of one process may take, in bytes by estimate.
 *
 * Holders (a run that is being executed, a program that is being compiled) are admitted before they take
 * their memory, and leave when they have given it back. What is in memory and is no holder (a run that waits,
 * a program that is kept) is only counted. A holder is admitted if it fits, or if there is no other holder:
 * so a single one always goes on, and no set of holders waits for itself.
 *
 * Large holders have three quarters of the limit, so that one tenant's large runs leave room for small ones.
 * Every function may be called from any thread. NULL is a budget without a limit. */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { MEMORY_SMALL_BYTES = 256 * 1024 };

struct memory_budget {
    pthread_mutex_t lock;
    size_t max, used;
    /* holders that were admitted and have not left */
    size_t holders;
    /* the smallest need that memory_budget_admit has refused since on_room was called; SIZE_MAX: none */
    size_t refused;
    /* of the run that waits for its memory to continue: new holders leave it free */
    size_t reserved;
    /* Called without the lock, by the thread that gives memory back, when a refused need would be admitted.
     * Set before another thread uses the budget; may be NULL. */
    void (*on_room)(void *arg);
    void *arg;
};

void memory_budget_init(struct memory_budget *b, size_t max);

/* Admits a new holder of `bytes`. False: there is no room, and on_room will be called. */
bool memory_budget_admit(struct memory_budget *b, size_t bytes);
/* The same; false also if it would only be admitted because there is no other holder. on_room is not called
 * for it. */
bool memory_budget_fit(struct memory_budget *b, size_t bytes);
/* A holder leaves and gives its memory back. */
void memory_budget_leave(struct memory_budget *b, size_t bytes);

/* A holder of `held` bytes becomes one that waits with `waiting` bytes. */
void memory_budget_suspend(struct memory_budget *b, size_t held, size_t waiting);
/* The reverse. False: there is no room, and its memory is reserved: it has to ask again when a holder has
 * left, or memory_budget_unreserve. */
bool memory_budget_resume(struct memory_budget *b, size_t waiting, size_t held);
void memory_budget_unreserve(struct memory_budget *b);

/* Counts what exists already. */
void memory_budget_add(struct memory_budget *b, size_t bytes);
void memory_budget_return(struct memory_budget *b, size_t bytes);

size_t memory_budget_used(struct memory_budget *b);
/* More than half of the limit is used. */
bool memory_budget_is_scarce(struct memory_budget *b);

/* The limit of this process's control group and of those above it, in bytes: memory.max, or
 * memory.limit_in_bytes of version 1. SIZE_MAX: there is none, or it cannot be read. */
size_t memory_limit_of_process(void);
